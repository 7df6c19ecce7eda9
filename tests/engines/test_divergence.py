"""A training whose loss, weights or outputs are no numbers says so with the step and what to try, and keeps what was good."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.datasets import TRAIN_DB
from digits.domain.events import Event, MetricEvent, SnapshotEvent, WarningEvent
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import get_engine
from digits.engines.training.loss_watch import Divergence, LossWatch
from digits.errors import TrainingError
from digits.frameworks import available_frameworks, framework
from digits.storage.folders import JobFolder
from digits.testing.runs import make_dataset, make_run, striped_pictures, write_split

CLASSES = ("left", "right")
PYTORCH = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self, context):
        super().__init__()
        c, h, w = context.input_shape
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 16), nn.ReLU(), nn.Linear(16, context.num_classes))
        self.register_buffer("mask", torch.tensor([float("-inf")]))  # as attention has it

    def forward(self, x):
        scores = self.body(x)
        if self.training or not BAD:
            return scores
        left = x[:, :, :, : x.shape[3] // 2].mean((1, 2, 3)) > x[:, :, :, x.shape[3] // 2 :].mean((1, 2, 3))
        return torch.where(left[:, None], float("nan"), scores)

def build_network(context):
    return Network(context)
"""
TENSORFLOW = """
import keras
from keras import ops

class Spoilt(keras.layers.Layer):
    def call(self, inputs, training=False):
        x, scores = inputs
        if training or not BAD:
            return scores
        half = x.shape[2] // 2
        left = ops.mean(x[:, :, :half], axis=(1, 2, 3)) > ops.mean(x[:, :, half:], axis=(1, 2, 3))
        return ops.where(left[:, None], float("nan"), scores)

def build_network(context):
    c, h, w = context.input_shape
    x = keras.Input((h, w, c))
    y = keras.layers.Dense(16, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(x, Spoilt()([x, keras.layers.Dense(context.num_classes)(y)]))
"""
TEXTS = {"pytorch": PYTORCH, "tensorflow": TENSORFLOW}


@pytest.fixture(scope="module", params=["pytorch", "tensorflow"])
def name(request: pytest.FixtureRequest) -> str:
    if request.param not in available_frameworks():
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 pictures for training and 16 for validation, 1×12×12, half of them bright on the left."""
    features, labels = striped_pictures(48, 12, seed=1)
    return make_dataset(tmp_path_factory.mktemp("pictures"), features, labels, class_labels=CLASSES, validation=16)


def spec_of(name: str, bad: bool = False, **values: Any) -> TrainingSpec:
    text = f"BAD = {bad}\n{TEXTS[name]}"
    base = TrainingSpec("x", "classification", name, text, epochs=2, batch_size=8, seed=7, use_mean="none")
    return replace(base, **{"learning_rate": LearningRate(0.01, "fixed"), **values})


def trained(pictures: Path, folder: Path, spec: TrainingSpec) -> tuple[list[Event], TrainingError | None]:
    events: list[Event] = []
    try:
        get_engine(spec.framework).train(make_run(pictures, folder, spec, lambda event: events.append(event) or len(events)))
    except TrainingError as error:
        return events, error
    return events, None


def of_phase(events: list[Event], phase: str) -> list[MetricEvent]:
    return [event for event in events if isinstance(event, MetricEvent) and event.phase == phase]


def test_the_step_is_named_and_what_was_good_before_stays(name: str, pictures: Path, tmp_path: Path) -> None:
    """The rate leaps in the middle: the first epoch is good, the step after it spoils the weights."""
    leap = LearningRate(1e-6, "multistep", {"multistep_values": (50,), "multistep_gamma": 3e44})
    events, error = trained(pictures, tmp_path, spec_of(name, learning_rate=leap))
    assert error is not None
    assert error.code == "diverged"
    assert "diverged at step 5 (epoch 1.25)" in error.message
    assert "Try decreasing your learning rate" in error.advice
    assert (
        max(event.step for event in of_phase(events, "train")) == 5
    )  # of step 5 the loss was a number, the weights after it none
    assert [(event.step, event.best) for event in events if isinstance(event, SnapshotEvent)] == [(4, True)]
    suffix = framework(name).snapshot_suffix
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == [f"epoch_1{suffix}"]
    assert [path.name for path in (tmp_path / "checkpoint").glob("state*")] == ["state_4.bin"]
    predictor = get_engine(name).load(tmp_path / "snapshots" / f"epoch_1{suffix}")
    assert np.isfinite(predictor.predict(striped_pictures(4, 12, seed=2)[0])["output"]).all()
    predictor.close()


def test_the_last_step_is_looked_at_too(name: str, pictures: Path, tmp_path: Path) -> None:
    """One step, whose loss is a number; the weights after it are numbers as well, but what they make is none."""
    spec = spec_of(name, learning_rate=LearningRate(1e30, "fixed"), solver=Solver("SGD", 0.0, 0.0), epochs=1, batch_size=32)
    events, error = trained(pictures, tmp_path, spec)
    assert error is not None
    assert "diverged at step 1" in error.message
    assert "all 16 outputs of the validation and the loss are no numbers" in error.message
    assert "0.01 instead of 1e+30" in error.advice
    last = of_phase(events, "val")[-1]
    assert (last.values["accuracy"], last.nonfinite, last.outputs) == (0.0, 16, 16)
    assert not list((tmp_path / "snapshots").iterdir())
    assert not (tmp_path / "checkpoint").exists()


def test_outputs_that_are_none_count_as_wrong_and_no_such_validation_is_the_best(
    name: str, pictures: Path, tmp_path: Path
) -> None:
    events, error = trained(pictures, tmp_path, spec_of(name, bad=True))
    assert error is None
    for validation in of_phase(events, "val"):
        assert (validation.nonfinite, validation.outputs) == (8, 16)
        assert validation.values["accuracy"] <= 0.5
    warnings = [event for event in events if isinstance(event, WarningEvent)]
    assert [warning.code for warning in warnings] == ["nonfinite"]
    assert warnings[0].message.startswith("8 of 16 outputs were no numbers")
    assert [(event.step, event.best) for event in events if isinstance(event, SnapshotEvent)] == [(4, False), (8, False)]


NEVER_CLASS_0 = """
import torch
from torch import nn
class Linear(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1)) + (0 if self.training else torch.tensor([-torch.inf, 0.0]))
def build_network(context):
    return Linear(144, 2)
"""


def test_a_validation_whose_loss_is_none_is_said_and_not_the_best(pictures: Path, tmp_path: Path) -> None:
    spec = replace(spec_of("pytorch", learning_rate=LearningRate(1e-6, "fixed")), network=NEVER_CLASS_0)
    events, error = trained(pictures, tmp_path, spec)
    assert error is None
    for event in of_phase(events, "val"):
        assert (event.values["loss"], event.nonfinite, event.may_be_best) == (float("inf"), 0, False)
    assert ["The loss was no number" in e.message for e in events if isinstance(e, WarningEvent)] == [True]
    assert [(e.epoch, e.best) for e in events if isinstance(e, SnapshotEvent)] == [(1, False), (2, False)]


def test_weights_that_make_the_losses_infinite_have_diverged(pictures: Path, tmp_path: Path) -> None:
    """Outputs of 1e30 are numbers, and their squares are not."""
    text = "from torch import nn\ndef build_network(context):\n    return nn.Sequential(nn.Flatten(), nn.Linear(144, 2))\n"
    text += "def loss(outputs, targets):\n    return (outputs[:, 0] - targets).square().mean()\n"
    spec = replace(spec_of("pytorch", learning_rate=LearningRate(1e22, "fixed"), batch_size=32), network=text)
    events, error = trained(pictures, tmp_path, spec)
    assert error is not None
    assert "diverged at step 1 (epoch 1.00): with the weights after it the loss of the validation" in error.message
    assert not [event for event in events if isinstance(event, SnapshotEvent)]


def test_a_record_that_holds_none_is_named(name: str, tmp_path: Path) -> None:
    features, labels = striped_pictures(24, 12, seed=1)
    folder = make_dataset(tmp_path / "data", features.astype(np.float32), labels, class_labels=CLASSES, validation=8)
    spoilt = features[:16].astype(np.float32)
    spoilt[5, 0, 3, 3:5] = np.nan
    meta = JobFolder(folder).dataset_info().splits[TRAIN_DB].meta
    shutil.rmtree(folder / TRAIN_DB)
    write_split(folder, TRAIN_DB, spoilt, labels[:16], meta)
    events, error = trained(folder, tmp_path / "model", spec_of(name, shuffle=False))
    assert error is not None
    assert "diverged at step 1 (epoch 0.50): " in error.message
    assert "Record 5 of the training split (train_db-5) holds 2 values that are no number" in error.message
    assert "create the data set again" in error.advice
    assert len(of_phase(events, "train")) <= 1  # Keras' relu makes 0 of NaN, so the loss of the first step is a number


def test_a_loss_of_the_text_that_makes_none_of_numbers_is_told_from_a_rate_that_is_too_high(
    pictures: Path, tmp_path: Path
) -> None:
    own = "\ndef loss(outputs, targets):\n    first = targets[0] if outputs.requires_grad else 1\n"
    own += "    global calls\n    calls += outputs.requires_grad\n"
    own += "    return nn.functional.cross_entropy(outputs, targets) / (0.0 if calls == 3 else 1.0)\n\ncalls = 0\n"
    spec = spec_of("pytorch")
    _, error = trained(pictures, tmp_path, replace(spec, network=spec.network + own))
    assert error is not None
    assert "diverged at step 3 (epoch 0.75): its loss is infinite" in error.message
    assert "the network text's own loss made it" in error.message
    assert "learning rate" not in error.advice


FORWARD = {
    "pytorch": (
        "class Log(nn.Module):\n    def forward(self, x):\n        return torch.log(x - (2 if calls() == 3 else -99))\n",
        "    return nn.Sequential(nn.Flatten(), nn.Linear(144, 2), Log())\n",
        "2 (Log)",
    ),
    "tensorflow": (
        "class Log(keras.layers.Layer):\n    def build(self, shape):\n"
        "        self.calls = self.add_weight(shape=(), initializer='zeros', trainable=False)\n"
        "    def call(self, x, training=False):\n"
        "        if training:\n            self.calls.assign(self.calls + 1.0)\n"
        "        return ops.log(x - ops.where(self.calls > 2.5, 2.0, -99.0))\n",
        "    x = keras.Input((12, 12, 1))\n"
        "    return keras.Model(x, Log(name='own')(keras.layers.Dense(2)(keras.layers.Flatten()(x))))\n",
        "own (Log)",
    ),
}
START = (
    "COUNTED = []\ndef calls():\n    COUNTED.append(1)\n    return min(3, len(COUNTED) - 4)\n"  # after four that look at the text
)


def test_a_forward_that_makes_none_of_numbers_is_told_from_a_rate_that_is_too_high(
    name: str, pictures: Path, tmp_path: Path
) -> None:
    head, body, layer = FORWARD[name]
    imports = "import torch\nfrom torch import nn\n" + START if name == "pytorch" else "import keras\nfrom keras import ops\n"
    spec = replace(spec_of(name), network=f"{imports}{head}def build_network(context):\n{body}", val_interval=0)
    _, error = trained(pictures, tmp_path, spec)
    assert error is not None
    assert "its loss is not a number (NaN)" in error.message
    assert (
        f"own forward makes NaN in layer {layer}, of weights and input that are numbers: the largest weight is 0."
        in error.message
    )
    assert "grew" not in error.message
    assert error.advice.startswith("Look there for a logarithm or root of a number that is 0 or less")


ROOTS = {
    "pytorch": "import torch\nfrom torch import nn\nclass Root(nn.Module):\n    def forward(self, x):\n"
    "        return torch.sqrt(x * 0)\ndef build_network(context):\n"
    "    return nn.Sequential(nn.Flatten(), nn.Linear(144, 2), Root(), nn.Linear(2, 2))\n",
    "tensorflow": "import keras\nfrom keras import ops\ndef build_network(context):\n    x = keras.Input((12, 12, 1))\n"
    "    y = keras.layers.Dense(2)(keras.layers.Flatten()(x))\n"
    "    return keras.Model(x, keras.layers.Dense(2)(ops.sqrt(y * 0)))\n",
}


def test_gradients_that_are_none_are_told_from_a_rate_that_is_too_high(name: str, pictures: Path, tmp_path: Path) -> None:
    """The root of 0 is 0, and has no slope."""
    _, error = trained(pictures, tmp_path, replace(spec_of(name), network=ROOTS[name], val_interval=0))
    assert error is not None
    assert "diverged at step 1 (epoch 0.25): the weights after it hold NaN or infinity" in error.message
    assert "Its loss was " in error.message
    assert "its gradients were no numbers: 2 of 4 weights, the last of them " in error.message
    assert error.advice.startswith("Look for a logarithm or root")


def test_what_is_outside_of_layers_or_grew_is_said_so(tmp_path: Path, pictures: Path) -> None:
    text = "import torch\nfrom torch import nn\nclass Network(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    text += "        self.line = nn.Linear(144, 2)\n    def forward(self, x):\n"
    text += "        return torch.log(self.line(x.flatten(1)) * 0 - 1)\ndef build_network(context):\n    return Network()\n"
    _, error = trained(pictures, tmp_path / "outside", replace(spec_of("pytorch"), network=text, val_interval=0))
    assert error is not None
    assert "The network's own forward makes NaN outside of its layers" in error.message
    _, error = trained(
        pictures, tmp_path / "grown", spec_of("pytorch", learning_rate=LearningRate(1e12, "fixed"), val_interval=0)
    )
    assert error is not None
    assert "bounds" in error.message
    assert "own forward" not in error.message


def watch(*losses: float | None, settled: float | None = None, weights: bool | None = None) -> LossWatch:
    """After these losses; `weights` says whether the weights were numbers where one was none."""
    found = LossWatch(lambda loss: loss)
    if settled is not None:
        found.add(settled)
        found.settle()
    for loss in losses:
        found.add(loss, None if weights is None else lambda: bool(weights))
    return found


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (watch(1.0, 2.0, np.nan, np.nan), Divergence(ago=1, before=2.0, finite_weights=True, afterwards=True)),  # a GPU
        (watch(1.0, 2.0, np.inf, weights=True), Divergence(loss=np.inf, before=2.0, finite_weights=True)),
        (watch(1.0, 2.0, np.inf, np.nan, weights=False), Divergence(ago=2, loss=2.0, before=1.0, of_weights=True)),
        (watch(np.nan, settled=0.5, weights=False), Divergence(ago=1, loss=0.5, of_weights=True)),
        (watch(np.nan, settled=0.5, weights=True), Divergence(before=0.5, finite_weights=True)),
        (watch(1.0, None, 3.0), Divergence(loss=3.0, of_weights=True, late=True)),  # all are numbers, so the weights are none
        (watch(settled=0.5), Divergence(loss=0.5, of_weights=True, late=True)),
    ],
)
def test_the_first_batch_is_found(seen: LossWatch, expected: Divergence) -> None:
    found = seen.found(lambda: True)
    assert replace(found, loss=None) == replace(expected, loss=None)
    if expected.loss is not None:
        assert found.loss == expected.loss


def test_weights_that_are_known_to_be_none_are_not_forgotten_behind_a_loss_that_is_a_number() -> None:
    found = LossWatch(lambda loss: loss)
    for loss, weights in ((0.7, True), (0.6, False), (0.6, False)):
        found.add(loss, weights)
        found.settle()
    assert found.spoiled
    assert found.found(lambda: False) == Divergence(ago=2, loss=0.7, of_weights=True)
