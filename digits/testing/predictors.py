"""Predictors of the networks of the catalogue with random weights: what exporters are tried on without a training."""

from __future__ import annotations

from typing import Any

import numpy as np

from digits.engines.base import NetworkContext
from digits.engines.network.checks import PROBABILITIES
from digits.engines.training.preprocessing import Preprocessing
from digits.networks import catalog

CLASSES = ("a", "b", "c")
SIDES = {"alexnet": 67, "googlenet": 64, "vgg16": 32, "segmenter": 64, "detector": 64}  # others take 32
BOX_SIZES = (8.0, 10.0, 12.0, 14.0, 16.0)


def random_predictor(name: str, *, side: int = 0, mean_kind: str = "image", **changes: Any) -> Any:
    """The `TorchPredictor` of a network of the catalogue for pictures of `side` pixels (0: small ones that it takes) cut out of
    slightly larger ones, with random weights, and running statistics that are not those of the start; always the same ones.
    `changes` go into its metadata."""
    import torch

    from digits.engines.pytorch.build import build
    from digits.engines.pytorch.predictor import TorchPredictor

    card = catalog.network_info(name)
    task = card.tasks[0]
    side = side or SIDES.get(name, 32)
    channels = card.channels if "/" not in name else 3
    shape = (channels, side, side)
    label_shape: tuple[int, ...] | None
    label_shape, kind, classes = {
        "classification": ((), "index", CLASSES[:2] if name == "siamese" else CLASSES),
        "segmentation": ((1, side, side), "map", CLASSES),
        "detection": (None, "boxes", CLASSES),
        "regression": ((2,), "vector", ()),
        "processing": (shape, "array", ()) if name != "autoencoder" else (shape, "none", ()),
    }[task]
    stored = (channels, side + 6, side + 2)
    preprocessing = Preprocessing(
        stored, shape, mean_kind, (100.0,) * channels, 60.0, label_scale=255.0 if kind == "array" else 1.0
    )
    context = NetworkContext(task, shape, len(classes), label_shape, classes, kind, box_sizes=BOX_SIZES)
    torch.manual_seed(0)
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
        "label_shape": None if label_shape is None else list(label_shape),
        "input_shape": list(shape),
        "stored_shape": list(stored),
        "preparation": preprocessing.to_json(),
        PROBABILITIES: False,
        **changes,
    }
    mean = np.random.default_rng(2).uniform(80, 120, stored).astype(np.float32) if mean_kind == "image" else None
    return TorchPredictor(module, meta, mean, torch.device("cpu"))
