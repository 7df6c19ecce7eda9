"""Exported models: what is written computes what the predictor computes, on every standard network and on libraries' ones."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from digits.engines import exporters
from digits.engines.base import NetworkContext
from digits.engines.parity import CLOSE, check_parity, difference, noise_features, parity, worst
from digits.engines.pytorch.build import build
from digits.engines.pytorch.export_onnx import OnnxExporter
from digits.engines.pytorch.export_openvino import Int8OpenVinoExporter
from digits.engines.pytorch.export_program import ProgramExporter
from digits.engines.pytorch.export_safetensors import SafetensorsExporter
from digits.engines.pytorch.export_torchscript import TorchScriptExporter
from digits.engines.pytorch.predictor import TorchPredictor
from digits.engines.training.preprocessing import Preprocessing
from digits.errors import BadRequest, ExportError
from digits.images.arrays import resize_array
from digits.images.place import FILLS, NOISE, Fit
from digits.images.prepare import Preparation
from digits.networks import catalog
from digits.testing.exporters import ExporterContract
from digits.testing.predictors import random_predictor
from digits.utils.resizing import scaled, scaled_size

POOLED = "nn.Conv2d(channels, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()"
LIBRARY = ("torchvision/squeezenet1_1", "timm/mobilenetv3_small_050", "smp/fpn/mobilenet_v2")


def check(name: str, exporter_name: str, folder: Path) -> None:
    predictor, exporter = random_predictor(name), exporters.get_exporter(exporter_name)
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


class TestTorchScript(ExporterContract):
    exporter = TorchScriptExporter


class TestSafetensors(ExporterContract):
    exporter = SafetensorsExporter


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")
class TestOpenVinoIn8Bits(ExporterContract):
    """The way of it goes through the ONNX file in 8 bits."""

    exporter = Int8OpenVinoExporter
    tolerance = 0.05


BRANCHES = """
import torch
from torch import nn

class Gate(nn.Module):
    def forward(self, x):
        return x if x.mean() > 0 else -x

class Odd(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j1(x)

def build_network(context):
    channels, height, width = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, context.num_classes), LAYER())
"""


def predictor_of(text: str, mean_kind: str = "pixel") -> TorchPredictor:
    shape = (1, 8, 8)
    module = build(text, NetworkContext("classification", shape, 2, (), ("a", "b"))).module
    preparation = Preprocessing((1, 10, 10), shape, mean_kind, (100.0,), 50.0).to_json()
    meta = {"task": "classification", "class_labels": ["a", "b"], "input_shape": list(shape), "stored_shape": [1, 10, 10]}
    return TorchPredictor(module, {**meta, "preparation": preparation}, None, torch.device("cpu"))


@pytest.mark.parametrize(
    ("layer", "format_name", "said"),
    [("Gate", "torch_export", r"layer 2 \(Gate\)"), ("Odd", "onnx", r"bessel_j1.* in layer 2 \(Odd\)")],
)
def test_what_cannot_be_written_is_named_with_its_layer(layer: str, format_name: str, said: str, tmp_path: Path) -> None:
    predictor = predictor_of(BRANCHES.replace("LAYER", layer))
    with pytest.raises(ExportError, match=said):
        exporters.get_exporter(format_name).write(predictor, tmp_path, {})


def test_an_onnx_file_says_what_it_takes_and_takes_other_sizes_where_the_network_does(tmp_path: Path) -> None:
    text = BRANCHES.replace("nn.Flatten(), nn.Linear(channels * height * width, context.num_classes), LAYER()", POOLED)
    predictor = predictor_of(text)
    OnnxExporter().write(predictor, tmp_path, {})
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    said = session.get_modelmeta().custom_metadata_map
    assert json.loads(said["class_names"]) == ["a", "b"]
    assert (said["input_name"], json.loads(said["input_shape"])) == ("input", ["batch", 1, "height", "width"])
    how = json.loads(said["preprocessing"])
    assert (how["mean"], how["std"], how["size"], how["resize"], how["channels"]) == ([100.0], [50.0], [8, 8], "squash", 1)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 1, 17, 12)).astype(np.uint8)
    mean, std = (np.array(how[name], np.float32).reshape(-1, 1, 1) for name in ("mean", "std"))
    (found,) = session.run(None, {"input": ((pixels - mean) / std).astype(np.float32)})
    np.testing.assert_allclose(found, predictor.predict(pixels)["output"], atol=1e-5)
    plain = onnxruntime.InferenceSession(tmp_path / "model_plain.onnx")
    assert json.loads(plain.get_modelmeta().custom_metadata_map["preprocessing"])["mean"] == [0.0]
    stored = pixels[:, :, :10, :10]
    (found,) = plain.run(None, {"features": stored.astype(np.float32)})
    np.testing.assert_allclose(found, predictor.predict(stored)["output"], atol=1e-5)


@pytest.mark.parametrize("sides", [(7, 11), (30, 25)])
@pytest.mark.parametrize("mode", ["fill", "half_crop", "squash", "none"])
def test_who_follows_the_metadata_of_an_onnx_file_prepares_as_the_data_set_does(
    mode: str, sides: tuple[int, int], tmp_path: Path
) -> None:
    """A data set that pads to 20x14 (width, height) before it resizes, or that only pads, to 10x10."""
    predictor = predictor_of(BRANCHES.replace("LAYER", "nn.Identity"))
    fit = Fit(pad_width=10, pad_height=10) if mode == "none" else Fit(10, 10, mode, 20, 14, NOISE)
    predictor.meta["image"] = fit.to_json() | {"channels": 1}
    OnnxExporter().write(predictor, tmp_path, {})
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    how = json.loads(session.get_modelmeta().custom_metadata_map["preprocessing"])
    pixels = np.random.default_rng(2).integers(0, 256, (*sides, 1), np.uint8)
    height, width = how["padding"]
    if sides[0] > height or sides[1] > width:
        pixels = scaled(pixels, scaled_size(sides[::-1], (width, height), "fill"))
    canvas = np.zeros((height, width, 1), np.uint8)
    canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
    if how["resize"] != "none":
        rows, columns = how["resize_to"]
        canvas = resize_array(canvas, rows, columns, how["resize"], FILLS[how["fill"]] if "fill" in how else 0)
    wanted = Preparation.from_json(predictor.meta["image"]).feature(
        np.random.default_rng(2).integers(0, 256, (*sides, 1), np.uint8)
    )
    np.testing.assert_array_equal(canvas.transpose(2, 0, 1), wanted)


def test_a_difference_that_is_no_number_is_the_worst() -> None:
    assert np.isnan(worst([0.1, float("nan"), 0.2]))
    with pytest.raises(ExportError, match="no numbers"):
        check_parity(float("nan"), lossy=True)
    check_parity(float("inf"), lossy=True)  # 8 bits may find other boxes


def test_boxes_are_there_to_be_compared() -> None:
    predictor = random_predictor("detector")
    boxes = predictor.predict(noise_features(predictor.meta, 2))["boxes"]
    assert (boxes[..., 4] > 0).sum() > 20


@pytest.mark.parametrize("column", [0, 4], ids=["a coordinate", "a score"])
def test_a_box_that_is_no_number_is_found_in_any_picture(column: int) -> None:
    boxes = np.zeros((3, 4, 6), np.float32)
    boxes[:, 0] = [1, 2, 9, 8, 0.5, 0]
    wrong = boxes.copy()
    wrong[1, 0, column] = np.nan
    for ours, theirs in ((boxes, wrong), (wrong, boxes), (wrong, wrong)):
        found = difference({"boxes": ours}, {"boxes": theirs})
        assert np.isnan(found)
        for lossy in (False, True):
            with pytest.raises(ExportError, match="no numbers"):
                check_parity(found, lossy=lossy)
    assert difference({"boxes": boxes}, {"boxes": boxes}) == 0


def test_a_detector_that_suppresses_by_itself_is_refused_in_words() -> None:
    predictor = random_predictor("detector")
    type(predictor.module).candidates = None
    (reason,) = exporters.get_exporter("onnx").check(predictor)
    assert "candidates(images)" in reason


def test_a_program_that_computes_something_else_is_found_out() -> None:
    predictor = random_predictor("lenet")
    features = noise_features(predictor.meta)
    wrong = parity(predictor, lambda batch: {"output": predictor.predict(batch + 9)["output"][:, ::-1]}, features)
    assert wrong > CLOSE
    assert parity(predictor, lambda batch: {"other": predictor.predict(batch)["output"]}, features) == float("inf")
    assert parity(predictor, lambda batch: {"output": predictor.predict(features)["output"]}, features) == float("inf")
    with pytest.raises(ExportError, match="does not compute"):
        check_parity(0.5)


def test_formats_are_told_without_a_framework() -> None:
    assert {"onnx", "onnx_int8", "torch_export", "torchscript", "safetensors"} <= {
        row.name for row in exporters.formats("pytorch")
    }
    assert {"saved_model", "tflite", "tflite_int8"} <= {row.name for row in exporters.formats("tensorflow")}
    with pytest.raises(BadRequest, match="Models of tensorflow are not written as torchscript"):
        exporters.check_format("torchscript", "tensorflow")
    if importlib.util.find_spec("tf2onnx") is None:
        with pytest.raises(BadRequest, match="ONNX needs tf2onnx, which is not installed"):
            exporters.check_format("onnx", "tensorflow")
    with pytest.raises(BadRequest, match="expected one of onnx, onnx_int8"):
        exporters.check_format("../x", "pytorch")
