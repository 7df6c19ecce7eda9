"""A training on two and on three processes has the numbers of one: losses, metrics and weights, whatever is divided how."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from digits.domain.datasets import IGNORED
from digits.domain.events import MetricEvent
from digits.domain.training import AVERAGED, LearningRate, Solver, TaskOptions, TrainingSpec
from digits.testing.runs import make_dataset, train
from tests.truth.ranks import Ranks

BODY = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self, c, k):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(c, 4, 3, padding=1), {norm}, nn.ReLU())
        self.unused = nn.Linear(3, 3)
        self.head = {head}

    def forward(self, x):
        return self.head(self.body(x))

def build_network(context):
    c, h, w = context.input_shape
    return Network(c, {outputs})
"""
FLAT = (
    "nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 8), "
    "nn.BatchNorm1d(8) if {vector} else nn.Identity(), nn.Linear(8, k))"
)
NORMS = {
    "": "nn.Identity()",
    "batch": "nn.BatchNorm2d(4)",
    "of each picture": "nn.InstanceNorm2d(4, affine=True, track_running_stats=True)",
}
MAP = "nn.Conv2d(4, k, 1)"
OWN = """
def loss(outputs, targets):
    each = nn.functional.cross_entropy(outputs, targets, reduction="none")
    found = {"loss": (each.sum(), len(targets))}
    if (targets == 1).any():
        found["of_class_1"] = (each[targets == 1].sum().detach(), int((targets == 1).sum()))
    return found

def metrics(outputs, targets):
    return {"largest": outputs.max(1).values.mean()}
"""


@dataclass(frozen=True)
class Case:
    """What is trained, and how it is divided."""

    task: str
    world: int
    records: int
    validation: int
    batch: int
    accumulation: int
    loss: str
    weights: bool
    void: bool
    norm: str
    own: bool


def cases() -> st.SearchStrategy[Case]:
    losses = {
        "classification": ["", "focal"],
        "segmentation": ["", "dice", "cross_entropy_dice", "focal"],
        "regression": ["mse", "l1"],
        "multi_label": [""],
        "image_to_image": ["mse"],
    }
    return st.sampled_from(sorted(losses)).flatmap(
        lambda task: st.builds(
            Case,
            task=st.just(task),
            world=st.sampled_from([2, 3]),
            records=st.sampled_from([12, 11, 7, 2]),
            validation=st.sampled_from([6, 4, 1]),
            batch=st.sampled_from([2, 4, 5]),
            accumulation=st.sampled_from([1, 2]),
            loss=st.sampled_from(losses[task]),
            weights=st.booleans() if task in ("classification", "segmentation") else st.just(False),
            void=st.booleans() if task == "segmentation" else st.just(False),
            norm=st.sampled_from(sorted(NORMS)),
            own=st.booleans() if task == "classification" else st.just(False),
        )
    )


def dataset_of(case: Case, folder: Path) -> Path:
    rng = np.random.default_rng(case.records)
    count = case.records + case.validation
    features = rng.integers(0, 255, (count, 2, 6, 6)).astype(np.uint8)
    names = ("a", "b", "c")
    if case.task == "classification":
        return make_dataset(folder, features, rng.integers(0, 3, count), class_labels=names, validation=case.validation)
    if case.task == "segmentation":
        labels = rng.integers(0, 3, (count, 1, 6, 6)).astype(np.uint8)
        if case.void:
            labels[rng.random(labels.shape) < 0.4] = IGNORED
            labels[::3] = IGNORED
        return make_dataset(
            folder, features, labels, task=case.task, label_kind="map", class_labels=names, validation=case.validation
        )
    if case.task == "multi_label":
        marks = (rng.random((count, 3)) < 0.5).astype(np.float32)
        return make_dataset(
            folder, features, marks, task=case.task, label_kind="vector", class_labels=names, validation=case.validation
        )
    if case.task == "regression":
        numbers = rng.normal(size=(count, 2)).astype(np.float32)
        return make_dataset(folder, features, numbers, task=case.task, label_kind="vector", validation=case.validation)
    return make_dataset(folder, features, None, task=case.task, label_kind="none", validation=case.validation)


def spec_of(case: Case) -> TrainingSpec:
    pixels = case.task in ("segmentation", "image_to_image")
    outputs = {"regression": "2", "image_to_image": "c"}.get(case.task, "context.num_classes")
    smallest = min(case.records, case.batch, case.records % case.batch or case.batch)
    vector = case.norm == "batch" and smallest > 2  # that of two vectors multiplies the rounding of sums by a thousand
    head = MAP if pixels else FLAT.format(vector=vector)
    text = BODY.format(norm=NORMS[case.norm], head=head, outputs=outputs)
    return TrainingSpec(
        "d",
        case.task,
        network=text + (OWN if case.own else ""),
        epochs=2,
        batch_size=case.batch,
        batch_accumulation=case.accumulation,
        seed=3,
        use_mean="pixel",
        solver=Solver("SGD", 0.9, 0.01),
        learning_rate=LearningRate(0.02, "fixed"),
        loss="" if case.own else case.loss,
        options=TaskOptions(class_weights=(0.2, 1.0, 3.0) if case.weights else ""),
    )


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    found = Ranks(3)
    yield found
    found.close()


def same(case: Case, spec: TrainingSpec, ranks: Ranks, folder: Path) -> None:
    data = dataset_of(case, folder / "data")
    one = train(data, folder / "one", spec)
    several = ranks.train(data, folder / "several", spec, case.world)
    lines = [[(e.step, e.phase, e.values) for e in events if isinstance(e, MetricEvent)] for events in (one, several)]
    assert [line[:2] for line in lines[0]] == [line[:2] for line in lines[1]]
    for (step, phase, expected), (_, _, found) in zip(*lines, strict=True):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5, nan_ok=True), (step, phase)
        assert found.get("accuracy", 0) <= 1
    weights = [load_file(folder / name / "snapshots" / "epoch_2.safetensors") for name in ("one", "several")]
    for name, expected in weights[0].items():
        np.testing.assert_allclose(weights[1][name], expected, rtol=1e-5, atol=1e-5, err_msg=name)


BASE = Case("segmentation", 3, 11, 4, 5, 2, "cross_entropy_dice", True, True, "batch", False)


@settings(max_examples=22, phases=(Phase.explicit, Phase.generate), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
@example(case=BASE)
@example(case=replace(BASE, records=2, validation=1, batch=4, accumulation=1))
@example(case=Case("classification", 3, 7, 1, 4, 1, "", True, False, "batch", True))
@example(case=Case("regression", 2, 7, 4, 4, 1, "mse", False, False, "of each picture", False))
def test_several_ranks_have_the_numbers_of_one(case: Case, ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> None:
    same(case, spec_of(case), ranks, tmp_path_factory.mktemp("case"))


def test_each_normalises_its_own_share_and_validates_what_is_saved(ranks: Ranks, tmp_path: Path) -> None:
    case = Case("classification", 3, 12, 6, 6, 1, "", False, False, "batch", False)
    spec = replace(spec_of(case), batch_norm=AVERAGED)
    events = ranks.train(dataset_of(case, tmp_path / "data"), tmp_path / "several", spec, 3)
    last = [event.values for event in events if isinstance(event, MetricEvent) and event.phase == "val"][-1]
    start = replace(spec, epochs=1, learning_rate=LearningRate(0.0, "fixed"))
    snapshot = tmp_path / "several" / "snapshots" / "epoch_2.safetensors"
    again = train(tmp_path / "data", tmp_path / "again", start, start_weights=snapshot)
    first = next(event.values for event in again if isinstance(event, MetricEvent) and event.phase == "val")
    assert first["loss"] == pytest.approx(last["loss"], rel=1e-5)
