"""SavedModel and what is made of it: what is written computes what the predictor computes."""

import importlib.util

import pytest

if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed", allow_module_level=True)

import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.engines.tensorflow.export_onnx import OnnxExporter
from digits.engines.tensorflow.export_openvino import OpenVinoExporter
from digits.engines.tensorflow.export_saved_model import SavedModelExporter
from digits.engines.tensorflow.export_tflite import Int8TfliteExporter, TfliteExporter
from digits.testing.exporters import ExporterContract

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


class TestSavedModel(ExporterContract):
    exporter = SavedModelExporter
    framework = "tensorflow"


class TestTflite(ExporterContract):
    exporter = TfliteExporter
    framework = "tensorflow"


@pytest.mark.long
class TestTfliteIn8Bits(ExporterContract):
    exporter = Int8TfliteExporter
    framework = "tensorflow"
    tolerance = 0.05


@pytest.mark.skipif(importlib.util.find_spec("tf2onnx") is None, reason="tf2onnx is not installed")
class TestOnnx(ExporterContract):
    exporter = OnnxExporter
    framework = "tensorflow"


@pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="OpenVINO is not installed")
class TestOpenVino(ExporterContract):
    exporter = OpenVinoExporter
    framework = "tensorflow"
