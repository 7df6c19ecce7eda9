"""SavedModel: what is written computes what the predictor computes."""

import importlib.util

import pytest

if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("TensorFlow is not installed", allow_module_level=True)

import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.engines.tensorflow.export_saved_model import SavedModelExporter
from digits.testing.exporters import ExporterContract

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


class TestSavedModel(ExporterContract):
    exporter = SavedModelExporter
    framework = "tensorflow"
