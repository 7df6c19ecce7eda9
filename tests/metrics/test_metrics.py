"""Metrics against torchmetrics, in batches and in halves that are added as several processes would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import r2_score

from digits.metrics.accuracy import Accuracy, predicted, rank
from digits.metrics.base import Metric
from digits.metrics.classification_report import ClassificationReport, best_first
from digits.metrics.segmentation import Overlap
from digits.tasks import Labels, get
from digits.testing.tasks import joined

RNG = np.random.default_rng(0)


def measured(make: Callable[[], Metric], outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The metric over two instances, each fed in batches of 3, whose sums are added."""
    parts = [make(), make()]
    for start in range(0, len(outputs), 3):
        parts[start % 2].update(outputs[start : start + 3], labels[start : start + 3])
    return joined(parts)


def test_ignored_pixels_and_absent_classes_do_not_count() -> None:
    truth = np.array([[[0, 0], [255, 255]]])
    made = np.array([[[0, 0], [1, 1]]])
    found = measured(lambda: Overlap(["a", "b"]), made, truth)
    assert found["iou/a"] == 1.0
    assert np.isnan(found["iou/b"])
    assert found["mean_iou"] == found["mean_dice_pictures"] == found["pixel_accuracy"] == 1.0


def test_nothing_measured_is_not_a_number() -> None:
    assert all(np.isnan(v) for v in Accuracy(10).compute().values())
    assert np.isnan(Overlap(["a"]).compute()["mean_iou"])


def test_another_ignore_index_counts_nowhere() -> None:
    truth, made = np.array([[[0, 9], [1, 1]]]), np.array([[[0, 0], [1, 1]]])
    labels = Labels("map", (1, 2, 2), class_labels=("a", "b"), ignored=9)
    found = measured(lambda: get("segmentation").metrics(labels)[0], made, truth)
    assert found["pixel_accuracy"] == found["mean_iou"] == 1.0


def saturated() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of 12 classes that a softmax of far scores made 0 and 1, some equal, and some no number."""
    scores = RNG.normal(size=(300, 12)).astype(np.float32) * np.float32(200)
    scores[:20] = 0
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    found = shifted / shifted.sum(axis=1, keepdims=True)
    found[20:25] = np.nan
    return found.astype(np.float32), RNG.integers(0, 12, 300)


def test_training_and_evaluation_count_ties_alike_and_against_the_model() -> None:
    scores, labels = saturated()
    trained = measured(lambda: Accuracy(12), scores, labels)
    report = ClassificationReport([f"c{i}" for i in range(12)], 3)
    with np.errstate(divide="ignore"):
        report.add(np.log(scores), labels)
    evaluated = report.summary()
    assert (evaluated["top1"], evaluated["top5"]) == (trained["accuracy"], trained["accuracy_top5"])
    sure = [int((row >= row[label]).sum()) for row, label in zip(scores, labels, strict=True)]  # of no number: none
    assert trained["accuracy"] == np.mean([n == 1 for n in sure])
    assert trained["accuracy_top5"] == np.mean([1 <= n <= 5 for n in sure])
    assert trained["accuracy_top5"] < 0.2  # most true classes share a zero with ten others
    assert sum(row["correct"] for row in evaluated["per_class"]) == round(evaluated["top1"] * len(labels))


def test_a_network_that_gives_all_classes_one_score_is_never_right() -> None:
    scores, labels = np.full((9, 7), 1 / 7, np.float32), np.arange(9) % 7
    assert rank(scores, labels).tolist() == [6] * 9
    assert (predicted(scores, labels) != labels).all()
    assert (best_first(scores, labels)[:, -1] == labels).all()


def test_the_order_of_predictions_agrees_with_the_ranks() -> None:
    scores, labels = saturated()
    scores, labels = scores[25:], labels[25:]
    places = (best_first(scores, labels) == labels[:, None]).argmax(axis=1)
    assert (places == rank(scores, labels)).all()
    assert (best_first(scores, labels)[:, 0] == predicted(scores, labels)).all()


def test_errors_of_pictures_are_in_their_units_and_each_channel_has_a_mean_of_its_own() -> None:
    truth = RNG.integers(0, 256, (5, 3, 4, 6)).astype(np.float64)
    truth[:, 0] = truth[:, 0] / 10 + 200
    made = truth + RNG.normal(size=truth.shape) * 20
    labels = Labels("array", (3, 4, 6), "uint8", (), (3, 4, 6))
    found = measured(lambda: get("image_to_image").metrics(labels)[0], made / 255, truth / 255)
    columns = [np.moveaxis(one, 1, -1).reshape(-1, 3) for one in (truth, made)]
    assert found["mae"] == pytest.approx(np.abs(made - truth).mean())
    assert found["rmse"] == pytest.approx(np.sqrt(np.square(made - truth).mean()))
    assert found["r2"] == pytest.approx(r2_score(*columns))


def test_the_mean_of_each_column_has_an_r2_of_0() -> None:
    truth = np.stack([RNG.normal(size=40), 1e6 + RNG.normal(size=40), np.full(40, 3.25)], axis=1).astype(np.float32)
    labels = Labels("vector", (3,), "float32", columns=("a", "b", "c"))
    task = get("regression")
    (guess,) = task.guesses(labels, lambda: iter([truth[:15], truth[15:]]), ())
    found = measured(lambda: task.metrics(labels)[0], np.array(guess.answer(None, truth)), truth)
    assert [found[f"r2/{name}"] for name in "ab"] == pytest.approx([0, 0], abs=1e-9)
    assert found["r2/c"] == 1  # equal labels: right, as scikit-learn has it
    assert found["mae/b"] == pytest.approx(np.abs(truth[:, 1] - truth[:, 1].astype(np.float64).mean()).mean())


def test_the_most_frequent_of_equally_frequent_classes_can_be_right() -> None:
    labels = Labels(class_labels=tuple("abcdefg"))
    (guess,) = get("classification").guesses(labels, lambda: iter(()), (3, 5, 5, 1, 5, 0, 0))
    truth = np.arange(7)
    assert rank(guess.answer(None, truth), truth).tolist() == [3, 0, 1, 4, 2, 5, 6]
    assert np.exp(guess.answer(None, truth)[0]).sum() == pytest.approx(1, abs=1e-6)
    assert guess.words == "always the most frequent class, “b”"
