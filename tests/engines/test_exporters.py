"""Exported models: what is written computes what the predictor computes, on every standard network and on libraries' ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from digits.engines import exporters
from digits.engines.base import NetworkContext
from digits.engines.network.checks import PROBABILITIES
from digits.engines.parity import CLOSE, noise_features, parity
from digits.engines.pytorch.build import build
from digits.engines.pytorch.predictor import TorchPredictor
from digits.engines.training.preprocessing import Preparation
from digits.networks import catalog

CLASSES = ("a", "b", "c")
SIZES = {"alexnet": 67, "googlenet": 64, "vgg16": 32, "segmenter": 64, "detector": 64}
CHANNELS = {"siamese": 2}
LIBRARY = ("torchvision/squeezenet1_1", "timm/mobilenetv3_small_050", "smp/fpn/mobilenet_v2")


def predictor_of(name: str, **changes: object) -> TorchPredictor:
    """A predictor of a network of the catalogue with random weights (and running statistics that are not those of the start)."""
    card = catalog.card(name)
    task = card.tasks[0]
    side, channels = SIZES.get(name, 32), CHANNELS.get(name, card.channels if "/" not in name else 3)
    shape = (channels, side, side)
    label_shape, kind, classes = {
        "classification": ((), "index", CLASSES),
        "segmentation": ((1, side, side), "map", CLASSES),
        "detection": (None, "boxes", CLASSES),
        "regression": ((2,), "vector", ()),
        "processing": (shape, "array", ()) if name != "autoencoder" else (shape, "none", ()),
    }[task]
    stored = (channels, side + 6, side + 2)
    preparation = Preparation(stored, shape, "image", (100.0,) * channels, 60.0, label_scale=255.0 if kind == "array" else 1.0)
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
        "preparation": preparation.to_json(),
        PROBABILITIES: False,
        **changes,
    }
    mean = np.random.default_rng(2).uniform(80, 120, stored).astype(np.float32)
    return TorchPredictor(module, meta, mean, torch.device("cpu"))


@pytest.mark.parametrize("name", [*(card.name for card in catalog.standard_networks()), *LIBRARY])
@pytest.mark.parametrize("format_name", ["onnx", "torch_export"])
def test_every_standard_network_is_written_as_it_is(name: str, format_name: str, tmp_path: Path, record_property) -> None:
    predictor, exporter = predictor_of(name), exporters.get_exporter(format_name)
    assert exporter.check(predictor) == []
    files = exporter.write(predictor, tmp_path, {})
    assert files
    assert all(file.is_file() for file in files)
    features = noise_features(predictor.meta, 5)  # another number of pictures than it was written with
    found = parity(predictor, exporter.run(tmp_path), features)
    record_property("parity", found)
    print(f"{name} {format_name} parity {found:.2g}")
    assert found <= CLOSE
