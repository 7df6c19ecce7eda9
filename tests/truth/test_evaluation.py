"""The evaluation of a snapshot on the validation split repeats its validation and baseline, in every engine and task."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.datasets import VAL_DB
from digits.domain.events import BaselineEvent, MetricEvent
from digits.domain.inference import EvaluationSpec, main_output
from digits.domain.metrics import LOSS
from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import get_engine
from digits.networks import catalog
from digits.storage.folders import JobsDir
from digits.testing.runs import make_dataset, squared_pictures, train
from tests.worker.evaluation import evaluating

MODEL_ID, JOB_ID, DATASET_ID = "20260101-000000-aaaa", "20260101-000001-bbbb", "20260101-000002-cccc"
RNG = np.random.default_rng(5)
PICTURES = RNG.integers(0, 256, (26, 3, 12, 12)).astype(np.uint8)
BLURRED = ((PICTURES.astype(np.int64) + np.roll(PICTURES, 1, axis=3)) // 2).astype(np.uint8)
NUMBERS = np.stack([RNG.normal(size=26), 1000 + RNG.normal(size=26)], axis=1).astype(np.float32)
SEVEN = tuple("abcdefg")
DATA: dict[str, dict[str, Any]] = {
    "classification": {"labels": RNG.integers(0, 7, 26), "class_labels": SEVEN},
    "multi_label": {"labels": (RNG.random((26, 3)) < 0.4).astype(np.float32), "label_kind": "vector", "class_labels": SEVEN[:3]},
    "segmentation": {
        "labels": RNG.choice([0, 1, 2, 255], (26, 1, 12, 12)).astype(np.uint8),
        "label_kind": "map",
        "class_labels": SEVEN[:3],
    },
    "regression": {"labels": NUMBERS, "label_kind": "vector"},
    "processing": {"labels": BLURRED, "label_kind": "array"},
    "processing itself": {"labels": None, "label_kind": "none"},
}
TEXTS = {
    "pytorch": """
import torch.nn as nn
class Far(nn.Module):  # scores so far apart that their probabilities are 0 and 1
    def forward(self, x):
        return 300 * x
def build_network(context):
    outputs = context.num_classes or context.label_shape[0]
    if context.task in ("segmentation", "processing"):
        return nn.Conv2d(context.input_shape[0], outputs, 3, padding=1)
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(outputs), Far() if context.task == "classification" else nn.Identity())
""",
    "tensorflow": """
import keras
def build_network(context):
    channels, height, width = context.input_shape
    outputs = context.num_classes or context.label_shape[0]
    x = keras.Input((height, width, channels))
    if context.task in ("segmentation", "processing"):
        return keras.Model(x, keras.layers.Conv2D(outputs, 3, padding="same")(x))
    y = keras.layers.Dense(outputs)(keras.layers.Flatten()(x))
    return keras.Model(x, 300 * y if context.task == "classification" else y)
""",
}
TRAINED, VALIDATED = slice(0, 16), slice(16, 26)
SUFFIX = {"pytorch": "safetensors", "tensorflow": "keras"}
BOTH = [
    pytest.param(name, marks=pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{name} is not installed"))
    for name, module in (("pytorch", "torch"), ("tensorflow", "tensorflow"))
]


def validated_and_evaluated(tmp_path: Path, features: np.ndarray, spec: TrainingSpec, **data: Any) -> tuple[Any, Any, Any]:
    """The last values of training and validation by phase, those of the baseline, and the result of an evaluation of the snapshot
    on the same split."""
    jobs = JobsDir(tmp_path)
    jobs.prepare()
    dataset = make_dataset(tmp_path / DATASET_ID, features, task=spec.task, validation=10, **data)
    events = train(dataset, tmp_path / MODEL_ID, spec)
    metrics = {event.phase: event.values for event in events if isinstance(event, MetricEvent)}
    (trivial,) = [event.values for event in events if isinstance(event, BaselineEvent)]
    snapshot = f"snapshots/epoch_1.{SUFFIX[spec.framework]}"
    wanted = EvaluationSpec(
        MODEL_ID, snapshot, 1.0, source="split", dataset_id=DATASET_ID, split=VAL_DB, framework=spec.framework
    )
    return metrics, trivial, evaluating.run(evaluating.context_for(jobs, JOB_ID, spec.task, wanted))


def every_value(result: dict[str, Any]) -> dict[str, float]:
    rows = {f"{name}/{row['label']}": row[name] for row in result["per_class"] for name in row if name != "label"}
    return {name: np.nan if value is None else value for name, value in {**result["metrics"], **rows}.items()}


def shares_of(counts: np.ndarray) -> np.ndarray:
    return np.maximum(counts / counts.sum(), np.finfo(np.float32).tiny)


def trivial_loss(data: str) -> float:
    """The task's default loss of the best guess on the validation split, by its formula."""
    labels = DATA[data]["labels"]
    if data == "processing itself":
        std = np.sqrt(np.mean(np.square(PICTURES.std(axis=(0, 2, 3)))))
        mean = PICTURES[TRAINED].mean(axis=(0, 2, 3), keepdims=True)
        return float(np.square((PICTURES[VALIDATED] - mean) / std).mean())
    if data == "processing":
        return float(np.square((PICTURES[VALIDATED].astype(float) - BLURRED[VALIDATED]) / 255).mean())
    if data == "regression":
        return float(np.square(labels[VALIDATED] - labels[TRAINED].astype(float).mean(axis=0)).mean())
    if data == "multi_label":
        share, truth = labels[TRAINED].astype(float).mean(axis=0), labels[VALIDATED]
        return float(-(truth * np.log(share) + (1 - truth) * np.log(1 - share)).mean())
    if data == "classification":
        return float(-np.log(shares_of(np.bincount(labels[TRAINED], minlength=7))[labels[VALIDATED]]).mean())
    shares = shares_of(np.bincount(labels[TRAINED][labels[TRAINED] != 255], minlength=3))
    masks = labels[VALIDATED, 0]
    dice = []
    for mask in masks:
        sizes, kept = np.array([(mask == k).sum() for k in range(3)]), (mask != 255).sum()
        dice.append(((2 * shares * sizes + 1) / (shares * kept + sizes + 1))[sizes > 0].mean())
    return float(-np.log(shares[masks[masks != 255]]).mean() + 1 - np.mean(dice))


@pytest.mark.parametrize("framework", BOTH)
@pytest.mark.parametrize("data", DATA)
def test_an_evaluation_repeats_the_validation(tmp_path: Path, framework: str, data: str) -> None:
    task, rate = data.partition(" ")[0], LearningRate(1e-4, "fixed")
    spec = TrainingSpec(
        DATASET_ID, task, framework=framework, network=TEXTS[framework], epochs=1, batch_size=6, seed=3, learning_rate=rate
    )
    measured, trivial, result = validated_and_evaluated(tmp_path, PICTURES, spec, **DATA[data])
    told, values = every_value(result), measured["val"]
    assert trivial[LOSS] == pytest.approx(trivial_loss(data), rel=1e-4)  # columns about 1000 have four digits behind the point
    compared = {name for name in values if name in told}
    assert compared >= {name for name in values if name != LOSS}
    for name in compared:
        assert told[name] == pytest.approx(values[name], rel=2e-5, abs=1e-9, nan_ok=True), name
    assert (LOSS in compared) == (task == "classification")
    if task == "classification":
        assert result["loss"] > 50  # far beyond what is left of a probability in a float
    if task == "processing":
        assert values["mae"] > 1  # of 255, not of 1
    found = result["baseline"]["values"]
    assert set(found) >= {name for name in trivial if name in told and not np.isnan(trivial[name])}
    for name in found.keys() & trivial:
        assert found.get(name, np.nan) == pytest.approx(trivial[name], rel=2e-5, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("framework", BOTH)
def test_a_sigmoid_at_the_end_is_one_of_two_everywhere(tmp_path: Path, framework: str) -> None:
    """Training, validation, evaluation and prediction take what it gives as scores: all have the same probabilities."""
    last = {
        "pytorch": ("nn.Identity()", "nn.Sigmoid()"),
        "tensorflow": ("Dense(outputs)", 'Dense(outputs, activation="sigmoid")'),
    }
    text = TEXTS[framework].replace(*last[framework])
    rate = LearningRate(1e-12, "fixed")
    spec = TrainingSpec(DATASET_ID, "multi_label", framework=framework, network=text, epochs=1, batch_size=16, learning_rate=rate)
    measured, _, result = validated_and_evaluated(tmp_path, PICTURES, spec, **DATA["multi_label"])
    predictor = get_engine(framework).load(tmp_path / MODEL_ID / f"snapshots/epoch_1.{SUFFIX[framework]}", "cpu")
    found, truth = main_output(predictor.predict(PICTURES)).astype(float), DATA["multi_label"]["labels"]
    predictor.close()
    assert 0.5 <= found.min() < found.max() <= 1 / (1 + np.exp(-1)) + 1e-6
    told, values = every_value(result), measured["val"]
    losses = -(truth * np.log(found) + (1 - truth) * np.log(1 - found))
    assert values[LOSS] == pytest.approx(losses[VALIDATED].mean(), rel=1e-5)
    assert measured["train"]["epoch_loss"] == pytest.approx(losses[TRAINED].mean(), rel=1e-5)
    assert {name: told[name] for name in values if name in told} == pytest.approx({n: v for n, v in values.items() if n in told})


def test_an_evaluation_repeats_the_validation_of_boxes(tmp_path: Path) -> None:
    features, boxes = squared_pictures(26, 48, 2)
    spec = TrainingSpec(DATASET_ID, "detection", network=catalog.network_text("detector"), epochs=1, batch_size=6, seed=3)
    data = {"labels": boxes, "label_kind": "boxes", "class_labels": ("red", "blue")}
    measured, trivial, result = validated_and_evaluated(tmp_path, features, spec, **data)
    told, values = every_value(result), measured["val"]
    for name in values.keys() & told:
        assert told[name] == pytest.approx(values[name], rel=1e-6, nan_ok=True), name
    assert told.keys() <= values.keys()
    assert result["baseline"]["values"] == pytest.approx({name: v for name, v in trivial.items() if not np.isnan(v)})
