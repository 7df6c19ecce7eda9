"""Curves, calibration and intervals are those of scikit-learn, SciPy and statsmodels' formulas; what is no number is wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn import metrics

from digits.domain.inference import EvaluationSpec
from digits.metrics import intervals
from digits.metrics.analysis import base
from digits.metrics.analysis.classes import averages
from digits.metrics.calibration import EachByItself, OneOfMany, calibration, reliability, softmax, temperature_of
from digits.metrics.curves import curve_of, described, effect
from digits.metrics.intervals import bootstrapped, of_mean, wilson
from digits.storage.files import read_json
from digits.storage.predictions import ANALYSIS_FILE
from digits.tasks import Labels
from digits.utils.values import finite
from tests.web.evaluations.analysed import write_evaluation

SCORES = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(SCORES)
def test_areas_are_those_of_scikit_learn_with_ties(rows: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([score / 8 for score, _ in rows]), np.array([true for _, true in rows])
    curve = curve_of(scores, truth)
    if not truth.any():
        assert math.isnan(curve.average_precision)
    else:
        assert curve.average_precision == pytest.approx(metrics.average_precision_score(truth, scores))
    if not truth.any() or truth.all():
        assert math.isnan(curve.roc_auc)
    else:
        assert curve.roc_auc == pytest.approx(metrics.roc_auc_score(truth, scores))


def test_points_are_the_counts_at_their_thresholds() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(5000)
    truth = rng.random(5000) < scores
    curve = curve_of(scores, truth)
    points = curve.points()
    assert len(points) <= 202
    assert points[0] == [math.inf, 0, 0]
    assert points[-1][1:] == [int(truth.sum()), int((~truth).sum())]
    for threshold, right, wrong in points[1:]:
        found = scores >= threshold
        assert (right, wrong) == ((found & truth).sum(), (found & ~truth).sum())
    row = json.loads(json.dumps(finite(described(["a"], [curve]))))["classes"][0]
    said = effect(row, 0.7)
    assert said["counted_at"] >= 0.7
    found = scores >= said["counted_at"]
    assert said["precision"] == pytest.approx(metrics.precision_score(truth, found))
    assert said["recall"] == pytest.approx(metrics.recall_score(truth, found))
    assert said["f1"] == pytest.approx(metrics.f1_score(truth, found))
    assert effect(row, 2.0)["precision"] is None, "nothing is found above all scores"


def test_scores_that_are_no_numbers_are_wrong_at_every_threshold() -> None:
    curve = curve_of(np.array([np.inf, 0.5, -np.inf, 0.2]), np.array([False, True, True, False]))
    assert curve.points() == [[math.inf, 0, 1], [0.5, 1, 1], [0.2, 1, 2]]
    assert curve.roc_auc == 0.25
    nothing = curve_of(np.zeros(0), np.zeros(0, bool))
    assert math.isnan(nothing.roc_auc)
    assert nothing.points() == [[math.inf, 0, 0]]


def drawn(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a model that is twice too sure, and classes drawn as they should be."""
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(count, 5))
    shares = softmax(logits)
    return softmax(2 * logits), np.array([rng.choice(5, p=row) for row in shares])


def test_ece_is_the_weighted_distance_over_bins() -> None:
    shares, labels = drawn()
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == labels
    found = reliability(confidence, right)
    sums, _, _ = stats.binned_statistic(confidence, [right, confidence], "sum", bins=np.linspace(0, 1, 16))
    assert found["ece"] == pytest.approx(np.abs(sums[0] - sums[1]).sum() / len(labels))
    assert sum(row["count"] for row in found["bins"]) == len(labels)


def test_the_temperature_has_the_least_loss_and_mends_what_is_too_sure() -> None:
    shares, labels = drawn()
    many = OneOfMany(shares, labels)
    best = optimize.minimize_scalar(lambda t: many.measured(t)["nll"], bounds=(0.5, 5), method="bounded", options={"xatol": 1e-7})
    assert temperature_of(many) == pytest.approx(best.x, abs=1e-4)
    assert temperature_of(many) == pytest.approx(2, abs=0.15)
    assert many.measured(1.0)["nll"] == pytest.approx(metrics.log_loss(labels, shares))
    own = calibration(many, is_validation=True, fitted=None, fitted_by="")
    assert (own["how"], own["temperature"]) == ("validation", pytest.approx(temperature_of(many)))
    assert own["after"]["ece"] < own["before"]["ece"] / 3
    other = calibration(many, is_validation=False, fitted=2.0, fitted_by="job")
    assert (other["how"], other["fitted_by"], other["after"]["nll"]) == ("given", "job", pytest.approx(many.measured(2.0)["nll"]))
    assert calibration(many, is_validation=False, fitted=None, fitted_by="")["after"] is None, "it is fitted on no test split"


def test_labels_by_themselves_are_mended_by_one_temperature() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(3000, 3))
    truth = rng.random(scores.shape) < 1 / (1 + np.exp(-scores))
    each = EachByItself(1 / (1 + np.exp(-3 * scores)), truth)
    assert temperature_of(each) == pytest.approx(3, abs=0.2)
    assert each.measured(1.0)["brier"] == pytest.approx(np.mean((1 / (1 + np.exp(-3 * scores)) - truth) ** 2), abs=1e-6)


def test_a_temperature_stays_within_bounds_where_all_is_right() -> None:
    assert 0.05 <= temperature_of(OneOfMany(np.tile([0.9, 0.1], (10, 1)), np.zeros(10, int))) < 0.06


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (3, 7), (940, 1000)])
def test_wilson_is_scipys(hits: int, count: int) -> None:
    expected = stats.binomtest(hits, count).proportion_ci(0.95, method="wilson")
    assert wilson(hits, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_an_interval_of_nothing_is_none() -> None:
    assert all(math.isnan(end) for end in wilson(0, 0))
    assert math.isnan(of_mean(np.array([1.0]))["low"])
    assert bootstrapped({"rank": np.zeros(1)}, 1) == {}


@pytest.mark.parametrize("missing", [0.0, 0.2], ids=["all predicted", "some without a class"])
def test_averages_over_the_classes_are_scikit_learns(missing: float) -> None:
    rng = np.random.default_rng(5)
    true = rng.choice([0, 1, 4], 200)  # no picture is of class 2, 3 or 5
    best = rng.choice([0, 1, 2], 200)  # 2 is predicted without pictures, 4 never, 3 and 5 do not occur
    best[rng.random(200) < missing] = -1
    found, labels = averages(true, best, 6), [0, 1, 2, 4]
    for kind in ("macro", "weighted"):
        wanted = metrics.precision_recall_fscore_support(true, best, labels=labels, average=kind, zero_division=0)
        names = ("precision", "recall", "f1")
        assert [found[f"{kind}_{name}"] for name in names] == pytest.approx(list(wanted[:3]))
    assert found["balanced_accuracy"] == pytest.approx(metrics.recall_score(true, best, labels=[0, 1, 4], average="macro"))


@pytest.mark.parametrize(("most", "said"), [(20_000, False), (5, True)])
def test_more_pictures_than_are_drawn_anew_are_a_note(
    most: int, said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (base, intervals):
        monkeypatch.setattr(module, "MOST_PICTURES", most)
    numbers = np.random.default_rng(2).normal(size=(9, 2)).astype(np.float32)
    labels = Labels("vector", (2,), "float32", columns=("w", "h"))
    write_evaluation(
        tmp_path, "regression", labels, list(numbers + 0.1), list(numbers), (), EvaluationSpec("m", "s", 1.0, "list")
    )
    told = read_json(tmp_path / ANALYSIS_FILE)
    notes = [note for note in told["notes"] if "9 pictures" in note]
    assert bool(notes) == said
    assert ("rmse" in told["intervals"]) != said
    assert not said or "at most 5" in notes[0]


def test_the_bootstrap_holds_about_as_much_as_the_formula() -> None:
    rank = (np.random.default_rng(3).random(800) < 0.2).astype(int) * 3
    found = bootstrapped({"rank": rank}, len(rank))["accuracy"]
    low, high = wilson(int((rank < 1).sum()), len(rank))
    assert (found["low"], found["high"]) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
