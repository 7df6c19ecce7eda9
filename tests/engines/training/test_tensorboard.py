"""Summaries for TensorBoard are read by TensorFlow's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.domain.events import LogEvent, MetricEvent
from digits.domain.training import TrainingSpec
from digits.engines.training.tensorboard import Summaries, masked_crc
from digits.frameworks import available_frameworks
from digits.testing.runs import make_dataset, make_run, striped_pictures, train

TEXT = """
from torch import nn
def build_network(context):
    return nn.Conv2d(1, context.num_classes, 1)
"""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    """As many threads as the contract's trainings have: a process cannot change them later."""
    if "tensorflow" in available_frameworks():
        from digits.engines.tensorflow.start import start

        start(1)


def read(folder: Path) -> list[Any]:
    pytest.importorskip("tensorflow", reason="TensorFlow reads the files")
    from tensorflow.core.util import event_pb2  # type: ignore[import-not-found]

    from digits.engines.tensorflow.start import tf

    (file,) = (folder / "tb").iterdir()
    return [event_pb2.Event.FromString(one.numpy()) for one in tf.data.TFRecordDataset(str(file))]


def test_the_checksum_is_that_of_the_standard() -> None:
    crc = 0xE3069283  # of "123456789", RFC 3720's CRC-32C
    assert masked_crc(b"123456789") == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_value_beyond_32_bits_is_infinite(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", *striped_pictures(4, 8, seed=1), class_labels=("a", "b"), validation=2)
    run = make_run(data, tmp_path / "model", TrainingSpec("x", "classification"), lambda event: 0)
    Summaries(run, 0).scalars("val", 1, {"r2": -1e50, "mae": 1.5})
    values = [v for e in read(tmp_path / "model") for v in e.summary.value]
    assert [(v.tag, v.simple_value) for v in values] == [("val/r2", -np.inf), ("val/mae", 1.5)]


def test_a_training_writes_scalars_and_sample_pictures(tmp_path: Path) -> None:
    features, _ = striped_pictures(24, 16, seed=1)
    kinds = {"task": "segmentation", "label_kind": "map", "class_labels": ("dark", "bright")}
    data = make_dataset(tmp_path / "data", features, (features > 99).astype(np.uint8), **kinds)
    train(data, tmp_path / "model", TrainingSpec("x", "segmentation", network=TEXT, epochs=2, batch_size=8, seed=1))
    events = read(tmp_path / "model")
    assert events[0].file_version == "brain.Event:2"
    scalars = {(e.step, v.tag): v.simple_value for e in events for v in e.summary.value if v.HasField("simple_value")}
    assert {step for step, tag in scalars if tag == "val/loss"} == {0, 2, 4}
    assert scalars[0, "val/loss"] > scalars[4, "val/loss"]
    for tag in ("train/epoch_loss", "lr/learning_rate"):
        assert {2, 4} <= {step for step, other in scalars if other == tag}, "each epoch has its last point"
    pictures = {v.tag: v.image for e in events for v in e.summary.value if v.HasField("image")}
    assert {"samples/0/feature", "samples/0/output"} <= set(pictures)
    assert (pictures["samples/0/feature"].height, pictures["samples/0/feature"].width) == (16, 16)
    assert pictures["samples/0/output"].encoded_image_string.startswith(b"\x89PNG")


KERAS_TEXT = """
import keras
def build_network(context):
    return keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Conv2D(context.num_classes, 1)])
"""


@pytest.mark.parametrize(("framework", "text", "kind"), [("pytorch", TEXT, "conv2d"), ("tensorflow", KERAS_TEXT, "Conv2D")])
def test_a_training_writes_the_graph_of_its_network_once(tmp_path: Path, framework: str, text: str, kind: str) -> None:
    features, _ = striped_pictures(24, 16, seed=1)
    kinds = {"task": "segmentation", "label_kind": "map", "class_labels": ("dark", "bright")}
    data = make_dataset(tmp_path / "data", features, (features > 99).astype(np.uint8), **kinds)
    spec = TrainingSpec("x", "segmentation", framework=framework, network=text, epochs=2, batch_size=8, seed=1)
    train(data, tmp_path / "model", spec)
    (graph,) = [e.graph_def for e in read(tmp_path / "model") if e.HasField("graph_def")]
    from tensorflow.core.framework import graph_pb2  # type: ignore[import-not-found]

    nodes = {node.name: node for node in graph_pb2.GraphDef.FromString(graph).node}
    assert kind in {node.op for node in nodes.values()}
    sources = {name.partition(":")[0].lstrip("^") for node in nodes.values() for name in node.input}
    assert sources <= set(nodes)


def test_the_graph_of_pytorch_follows_tensors_through_modules_and_functions() -> None:
    from torch import nn

    from digits.engines.pytorch.graph import graph_of

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.ReLU(inplace=True))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            once = self.parts(x)
            return torch.cat([once, self.parts(x) + once], 1)

    nodes = {node.name: node for node in graph_of(Twice(), torch.zeros(1, 1, 4, 4))}
    first, second = "parts/Conv2d_0/conv2d", "parts/Conv2d_0/conv2d_1"
    assert nodes[first].inputs == nodes[second].inputs == ("input", "parts/Conv2d_0/weight")
    assert nodes["add"].inputs == ("parts/ReLU_1/relu_1", "parts/ReLU_1/relu")
    assert nodes["cat"].inputs == ("parts/ReLU_1/relu", "add")
    assert (nodes["cat"].kind, nodes["cat"].shapes) == ("cat", [(1, 4, 4, 4)])


RANDOM_TEXT = """
import torch
from torch import nn
class Noisy(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.layer = nn.Linear(64, classes)
    def forward(self, x):
        return self.layer(x.flatten(1) + torch.rand(64))
def build_network(context):
    return Noisy(context.num_classes)
"""


def test_drawing_the_graph_changes_no_number_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = striped_pictures(24, 8, seed=1)
    data = make_dataset(tmp_path / "data", features, labels, class_labels=("a", "b"))
    spec = TrainingSpec("x", "classification", network=RANDOM_TEXT, epochs=1, batch_size=8, seed=1)
    with_graph = [e.values for e in train(data, tmp_path / "one", spec) if isinstance(e, MetricEvent)]
    monkeypatch.setattr("digits.engines.pytorch.step.TorchStep.graph", lambda self: b"")
    assert with_graph == [e.values for e in train(data, tmp_path / "two", spec) if isinstance(e, MetricEvent)]


def test_a_network_that_cannot_be_drawn_trains_all_the_same(tmp_path: Path) -> None:
    features, labels = striped_pictures(24, 8, seed=1)
    data = make_dataset(tmp_path / "data", features, labels, class_labels=("a", "b"))
    text = RANDOM_TEXT.replace("x.flatten(1)", "(x if len(x) > 1 else 1 / 0).flatten(1)")
    events = train(data, tmp_path / "m", TrainingSpec("x", "classification", network=text, epochs=1, batch_size=8, seed=1))
    reported = [e.message for e in events if isinstance(e, LogEvent) and "no graph" in e.message]
    assert len(reported) == 1
    assert "ZeroDivisionError" in reported[0]


def test_a_resumed_training_voids_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    features, labels = striped_pictures(8, 8, seed=1)
    data = make_dataset(tmp_path / "data", features, labels, class_labels=("a", "b"), validation=0)
    summaries = Summaries(make_run(data, tmp_path / "m", TrainingSpec("x", "classification"), lambda event: 0), step=300)
    summaries.scalars("val", 301, {"loss": 0.5})
    events = read(tmp_path / "m")
    assert [(e.step, e.session_log.status) for e in events[1:]] == [(300, 1), (301, 0)]


def test_a_disk_that_cannot_be_written_ends_them_with_a_line(tmp_path: Path) -> None:
    features, labels = striped_pictures(8, 8, seed=1)
    data = make_dataset(tmp_path / "data", features, labels, class_labels=("a", "b"), validation=0)
    reported: list[Any] = []
    run = make_run(data, tmp_path / "m", TrainingSpec("x", "classification"), lambda event: reported.append(event) or 0)
    (tmp_path / "m" / "tb").write_text("in the way")
    summaries = Summaries(run, step=0)
    summaries.scalars("val", 1, {"loss": 0.5})
    assert [type(event) for event in reported] == [LogEvent]
