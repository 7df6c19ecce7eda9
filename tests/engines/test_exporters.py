"""Exported models: what is written computes what the predictor computes, on every standard network and on libraries' ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from digits.engines import exporters
from digits.engines.base import NetworkContext
from digits.engines.network.checks import PROBABILITIES
from digits.engines.parity import CLOSE, check_parity, noise_features, parity
from digits.engines.pytorch.build import build
from digits.engines.pytorch.export_onnx import OnnxExporter
from digits.engines.pytorch.export_program import ProgramExporter
from digits.engines.pytorch.predictor import TorchPredictor
from digits.engines.training.preprocessing import Preprocessing
from digits.errors import BadRequest, ExportError
from digits.networks import catalog
from digits.testing.exporters import ExporterContract

CLASSES = ("a", "b", "c")
SIZES = {"alexnet": 67, "googlenet": 64, "vgg16": 32, "segmenter": 64, "detector": 64}
LIBRARY = ("torchvision/squeezenet1_1", "timm/mobilenetv3_small_050", "smp/fpn/mobilenet_v2")


def predictor_of(name: str, **changes: object) -> TorchPredictor:
    """A predictor of a network of the catalogue with random weights (and running statistics that are not those of the start)."""
    card = catalog.network_info(name)
    task = card.tasks[0]
    side, channels = SIZES.get(name, 32), card.channels if "/" not in name else 3
    shape = (channels, side, side)
    label_shape, kind, classes = {
        "classification": ((), "index", CLASSES[:2] if name == "siamese" else CLASSES),
        "segmentation": ((1, side, side), "map", CLASSES),
        "detection": (None, "boxes", CLASSES),
        "regression": ((2,), "vector", ()),
        "processing": (shape, "array", ()) if name != "autoencoder" else (shape, "none", ()),
    }[task]
    stored = (channels, side + 6, side + 2)
    preprocessing = Preprocessing(
        stored, shape, "image", (100.0,) * channels, 60.0, label_scale=255.0 if kind == "array" else 1.0
    )
    context = NetworkContext(task, shape, len(classes), label_shape, classes, kind, box_sizes=(8.0, 10.0, 12.0, 14.0, 16.0))
    module = build(catalog.network_text(name), context).module
    generator = torch.Generator().manual_seed(1)
    for key, value in module.state_dict().items():
        if key.endswith("running_mean"):
            value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
        if key.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    meta = {
        "task": task,
        "class_labels": list(classes),
        "label_kind": kind,
        "input_shape": list(shape),
        "stored_shape": list(stored),
        "preparation": preprocessing.to_json(),
        PROBABILITIES: False,
        **changes,
    }
    mean = np.random.default_rng(2).uniform(80, 120, stored).astype(np.float32)
    return TorchPredictor(module, meta, mean, torch.device("cpu"))


def check(name: str, exporter_name: str, folder: Path) -> None:
    predictor, exporter = predictor_of(name), exporters.get_exporter(exporter_name)
    assert exporter.check(predictor) == []
    files = exporter.write(predictor, folder, {})
    assert files
    assert all(file.is_file() for file in files)
    found = parity(predictor, exporter.run(folder), noise_features(predictor.meta, 5))  # another number than at the writing
    print(f"{name} as {exporter_name}: differs by {found:.2g}")
    assert found <= CLOSE


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [*(card.name for card in catalog.standard_networks()), *LIBRARY[:-1], pytest.param(LIBRARY[-1], marks=pytest.mark.long)],
)
def test_every_standard_network_is_written_in_onnx(name: str, tmp_path: Path) -> None:
    check(name, "onnx", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detector", "segmenter", "autoencoder"])
def test_networks_are_written_as_programs(name: str, tmp_path: Path) -> None:
    check(name, "torch_export", tmp_path)


class TestOnnx(ExporterContract):
    exporter = OnnxExporter


class TestProgram(ExporterContract):
    exporter = ProgramExporter


def test_boxes_are_there_to_be_compared() -> None:
    predictor = predictor_of("detector")
    boxes = predictor.predict(noise_features(predictor.meta, 2))["boxes"]
    assert (boxes[..., 4] > 0).sum() > 20


def test_a_detector_that_suppresses_by_itself_is_refused_in_words() -> None:
    predictor = predictor_of("detector")
    type(predictor.module).candidates = None
    (reason,) = exporters.get_exporter("onnx").check(predictor)
    assert "candidates(images)" in reason


def test_a_program_that_computes_something_else_is_found_out() -> None:
    predictor = predictor_of("lenet")
    features = noise_features(predictor.meta)
    wrong = parity(predictor, lambda batch: {"output": predictor.predict(batch + 9)["output"][:, ::-1]}, features)
    assert wrong > CLOSE
    assert parity(predictor, lambda batch: {"other": predictor.predict(batch)["output"]}, features) == float("inf")
    assert parity(predictor, lambda batch: {"output": predictor.predict(features)["output"]}, features) == float("inf")
    with pytest.raises(ExportError, match="does not compute"):
        check_parity(float("nan"))


def test_formats_are_told_without_a_framework() -> None:
    assert [row.name for row in exporters.formats("pytorch")] == ["onnx", "torch_export"]
    assert [row.name for row in exporters.formats("tensorflow")] == ["saved_model"]
    with pytest.raises(BadRequest, match="Models of tensorflow are not written as onnx"):
        exporters.check_format("onnx", "tensorflow")
    with pytest.raises(BadRequest, match="expected one of onnx, torch_export"):
        exporters.check_format("../x", "pytorch")
