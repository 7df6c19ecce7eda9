"""Multi-label classification from the training to the evaluation and the archive's script, in both frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from digits.domain.datasets import TRAIN_DB, VAL_DB
from digits.domain.events import BaselineEvent, MetricEvent, SnapshotEvent
from digits.domain.inference import EvaluationSpec
from digits.domain.training import LearningRate, Solver, TaskOptions, TrainingSpec
from digits.engines.base import get_engine
from digits.errors import TrainingError
from digits.frameworks import frameworks
from digits.service.models.templates import predicting
from digits.storage.folders import JobsDir
from digits.storage.records.open import open_split
from digits.storage.snapshots import snapshot_metadata
from digits.tasks import Labels, get
from digits.testing.runs import make_dataset, train
from tests.worker.evaluation import evaluating

NAMES = ("top", "left", "bottom")
DATASET, MODEL, EVALUATION = "20260102-030405-aaaa", "20260102-030405-bbbb", "20260102-030405-cccc"
TEXTS = {
    "pytorch": "from torch import nn\n\ndef build_network(context):\n    c, h, w = context.input_shape\n"
    "    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, context.num_classes))\n",
    "tensorflow": "import keras\nfrom keras import layers\n\ndef build_network(context):\n    c, h, w = context.input_shape\n"
    "    return keras.Sequential([keras.Input((h, w, c)), layers.Flatten(), layers.Dense(context.num_classes)])\n",
}


def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with up to three bright bars, and which of them there are: float32 (N, 3) of 0 and 1."""
    rng = np.random.default_rng(8)
    truth = (rng.random((count, 3)) < 0.4).astype(np.float32)
    found = rng.integers(0, 90, (count, 1, 8, 8))
    for picture, (top, left, bottom) in zip(found, truth, strict=True):
        picture[0, :2] += 90 * int(top)
        picture[0, 2:6, :3] += 90 * int(left)
        picture[0, 6:] += 90 * int(bottom)
    return found.astype(np.uint8), truth


@pytest.fixture(params=["pytorch", "tensorflow"])
def framework(request: pytest.FixtureRequest) -> str:
    if not frameworks()[request.param].is_installed:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


def trained(jobs: JobsDir, framework: str, *thresholds: float) -> list[Any]:
    features, truth = pictures(120)
    data = make_dataset(
        jobs.path / DATASET, features, truth, task="multi_label", label_kind="vector", class_labels=NAMES, validation=40
    )
    spec = TrainingSpec(
        DATASET,
        "multi_label",
        framework,
        TEXTS[framework],
        epochs=6,
        batch_size=16,
        seed=2,
        solver=Solver("ADAM"),
        learning_rate=LearningRate(0.02, "fixed"),
        use_mean="pixel",
        options=TaskOptions(label_thresholds=thresholds),
    )
    return train(data, jobs.path / MODEL, spec)


def evaluated(jobs: JobsDir, framework: str, snapshot: SnapshotEvent, split: str) -> dict[str, Any]:
    where = {"dataset_id": DATASET, "split": split, "framework": framework, "roots": (str(jobs.path),)}
    spec = EvaluationSpec(MODEL, snapshot.path, snapshot.epoch, source="split", **where)
    return evaluating.run(evaluating.context_for(jobs, EVALUATION, "multi_label", spec))


def test_it_learns_and_every_number_is_that_of_scikit_learn(tmp_path: Path, framework: str) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    jobs.prepare()
    events = trained(jobs, framework)
    validations = [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"]
    assert {e.decides for e in validations} == {"mean_ap"}
    assert validations[-1].values["mean_ap"] > 0.95
    baseline = next(e for e in events if isinstance(e, BaselineEvent))
    assert baseline.values["mean_ap"] < 0.7
    best = [e for e in events if isinstance(e, SnapshotEvent) and e.best][-1]
    assert best.metrics["mean_ap"] == max(e.values["mean_ap"] for e in validations[1:])

    predictor = get_engine(framework).load(jobs.path / MODEL / best.path)
    records = open_split(jobs.path / DATASET, VAL_DB)
    rows = np.arange(len(records))
    scores, truth = predictor.predict(records.features(rows))["output"], records.labels(rows)
    predictor.close()
    assert scores.min() > 0
    assert scores.max() < 1
    assert not np.allclose(scores.sum(axis=1), 1, atol=0.1)  # each by itself
    wanted = metrics.average_precision_score(truth, scores, average="macro")
    assert best.metrics["mean_ap"] == pytest.approx(wanted, abs=1e-6)
    chosen = np.array([best.metrics[f"threshold/{name}"] for name in NAMES], np.float32)
    assert best.metrics["f1_micro"] == pytest.approx(metrics.f1_score(truth, scores >= chosen - 1e-6, average="micro"))

    meta = snapshot_metadata(jobs.path / MODEL / best.path)
    assert meta["options"]["label_thresholds"] == [best.metrics[f"threshold/{name}"] for name in NAMES]
    with np.load(jobs.path / MODEL / "samples" / f"step_{best.step}.npz") as samples:
        assert samples["label_thresholds"].tolist() == meta["options"]["label_thresholds"]

    result = evaluated(jobs, framework, best, TRAIN_DB)
    assert result["options"] == meta["options"]
    assert (result["kind"], result["task"], result["key"]) == ("classes", "multi_label", "f1_micro")
    assert [row["threshold"] for row in result["per_class"]] == pytest.approx([float(v) for v in chosen])
    assert result["metrics"]["mean_ap"] > 0.95
    assert result["baseline"]["description"].startswith("how frequent")


def test_given_thresholds_hold_everywhere(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    jobs.prepare()
    events = trained(jobs, "pytorch", 0.9)
    values = [e.values for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1]
    assert [values[f"threshold/{name}"] for name in NAMES] == [0.9] * 3
    last = [e for e in events if isinstance(e, SnapshotEvent) and not e.removed][-1]
    options = {"label_thresholds": [0.9] * 3}
    assert snapshot_metadata(jobs.path / MODEL / last.path)["options"] == options
    result = evaluated(jobs, "pytorch", last, VAL_DB)
    assert result["options"] == options
    assert result["metrics"]["f1_micro"] == pytest.approx(values["f1_micro"])


def test_thresholds_that_do_not_fit_the_labels_are_refused_before_the_training(tmp_path: Path) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    jobs.prepare()
    with pytest.raises(TrainingError, match=r"2 thresholds for 3 labels.* in this order: top, left, bottom"):
        trained(jobs, "pytorch", 0.5, 0.2)


def test_the_samples_and_the_scripts_name_the_labels(tmp_path: Path) -> None:
    output = np.array([0.9, 0.2, 0.7], np.float32)
    labels = Labels(class_labels=tuple(NAMES))
    described = get("multi_label").describe_output(output, np.array([1, 0, 1]), labels)
    assert [label for label, _ in described["top"]] == ["top", "bottom", "left"]
    assert (described["found"], described["true"], described["correct"]) == (["top", "bottom"], ["top", "bottom"], True)
    given = TaskOptions(label_thresholds=(0.95, 0.1, 0.5))
    described = get("multi_label").describe_output(output, np.array([0, 1, 1]), labels, given)
    assert (described["found"], described["correct"]) == (["left", "bottom"], True)
    assert described["thresholds"] == pytest.approx([95, 50, 10])  # in the order of the scores
    shorter = get("multi_label").describe_output(output, np.array([1]), labels, given)  # of a data set that knows fewer labels
    assert (shorter["true"], shorter["correct"]) == (["top"], False)
    unknown = get("multi_label").describe_output(output, None, labels, given)
    assert (unknown["found"], unknown["true"], unknown["correct"]) == (["left", "bottom"], None, None), "neither right nor wrong"
    assert get("classification").describe_output(output, None, labels)["correct"] is None
    assert get("multi_label").describe_label(np.array([1, 0, 1]), labels) == "top, bottom"
    meta = {
        "class_labels": list(NAMES),
        "task": "multi_label",
        "activation": "sigmoid",
        "preparation": {},
        "label_kind": "vector",
    }
    found = predicting.finish(np.array([0.0, 2.0, -2.0, 9.0]), meta)
    assert found == pytest.approx(1 / (1 + np.exp(-np.array([0.0, 2.0, -2.0]))))
    assert predicting.as_json({"output": found}, meta) == pytest.approx(dict(zip(NAMES, found, strict=True)))
    lines = predicting.words({"output": output}, {**meta, "options": {"label_thresholds": [0.95, 0.1, 0.5]}}, 2)
    assert lines == ["found: left, bottom", " 90.00 % <   95.00 %  top", " 70.00 % >=  50.00 %  bottom"]


def test_an_archive_says_what_is_no_number_and_writes_null() -> None:
    meta = {"class_labels": ["a", "b"], "task": "classification", "activation": "softmax", "preparation": {}}
    scores = {"output": np.array([0.5, np.nan])}
    assert predicting.words(scores, meta, 2) == ["1 of 2 values are NaN or infinite"]
    assert predicting.as_json(scores, meta) == {"a": 0.5, "b": None}
    maps = {"output": np.array([[[0.9, np.inf]], [[0.1, 0.0]]])}
    lines = predicting.words(maps, {**meta, "task": "segmentation"}, 2)
    assert lines == ["1 of 4 values are NaN or infinite", " 50.00 % of the pixels  a"]
