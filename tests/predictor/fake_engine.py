"""An engine small enough to compute by hand: class probabilities from the mean of the picture, on no framework at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from digits.engines.base import LayerReport, Predictor, array_report

LABELS = ("dark", "middle", "bright")


class FakePredictor(Predictor):
    """`output` is 1 for the third of the range that the picture's mean lies in; grey 8 × 8 pictures."""

    def __init__(self, meta: dict) -> None:
        self.meta = meta
        self.closed = False

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        level = np.minimum(batch.reshape(len(batch), -1).mean(axis=1) // 85, 2).astype(int)
        return {"output": (np.eye(3, dtype=np.float32)[level] * 0.9 + 0.05) / 1.05}

    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        weights = np.arange(5 * 1 * 3 * 3, dtype=np.float32).reshape(5, 1, 3, 3)
        activations = np.tile(feature.astype(np.float32), (5, 1, 1))
        return [LayerReport("conv", "Conv2d", 45, array_report(weights), array_report(activations))]

    def close(self) -> None:
        self.closed = True


class FakeEngine:
    """Loads a JSON file as a snapshot; a device other than the CPU has no memory."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load(self, snapshot: Path, device: str = "cpu") -> Predictor:
        self.loaded.append(device)
        if device == "cuda:7":
            raise RuntimeError("CUDA error: out of memory")
        return FakePredictor(json.loads(snapshot.read_text()))


META = {
    "task": "classification",
    "class_labels": list(LABELS),
    "input_shape": [1, 8, 8],
    "stored_shape": [1, 8, 8],
    "image": {"channels": 1, "width": 8, "height": 8, "resize_mode": "squash", "keep_size": False},
    "preparation": {"dtype": "uint8"},
    "outputs": ["output"],
    "epoch": 1.0,
}


def write_snapshot(path: Path, **changes: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**META, **changes}))
    return path
