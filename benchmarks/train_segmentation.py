"""Training the small U-Net on pictures of 160×120 with 8 classes, batch 8, CPU: images a second through digits and in bare loops.

    python benchmarks/train_segmentation.py [--rounds 20] [--block 4] [--threads 0]

Same network, loss (cross-entropy + Dice), solver, batches and threads, in one process and in turns; the bare loops have all data
in memory as tensors. digits reads records and writes metrics and events meanwhile. Promised: 0.95 of a bare loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _training import Batches, arguments, compare
from torch import Tensor, nn

from digits.engines.base import NetworkContext
from digits.testing.runs import make_dataset

COUNT, HEIGHT, WIDTH, BATCH = 160, 120, 160, 8
IGNORED = 255
CLASSES = tuple("abcdefgh")
CONTEXT = NetworkContext("segmentation", (3, HEIGHT, WIDTH), len(CLASSES), (1, HEIGHT, WIDTH), CLASSES, "map")


def main() -> None:
    options = arguments(__doc__ or "")
    pictures, maps = data()

    def make(folder: Path) -> Path:
        kinds = {"task": "segmentation", "label_kind": "map", "class_labels": CLASSES}
        return make_dataset(folder, pictures, maps, validation=0, **kinds)  # type: ignore[arg-type]

    def batches() -> Batches:
        x = torch.from_numpy(pictures / pictures.std()).float()
        y = torch.from_numpy(maps[:, 0].astype(np.int64))
        while True:
            for chosen in torch.randperm(COUNT).split(BATCH):
                yield x[chosen], y[chosen]

    def loss(model: nn.Module, x: Tensor, y: Any) -> Tensor:
        scores = model(x)  # (N, K, H, W)
        return F.cross_entropy(scores, y, ignore_index=IGNORED) + dice(scores, y)

    compare(options, "unet", CONTEXT, BATCH, make, batches, loss)


def dice(scores: Tensor, truth: Tensor) -> Tensor:
    """1 − soft Dice of scores (N, K, H, W) and classes int64 (N, H, W), the mean over the classes in a picture, over pictures."""
    kept = (truth != IGNORED)[:, None]  # (N, 1, H, W)
    shares = scores.softmax(1) * kept
    is_class = (truth[:, None] == torch.arange(scores.shape[1])[:, None, None]) & kept
    sizes = is_class.sum((2, 3))  # (N, K)
    found = (2 * (shares * is_class).sum((2, 3)) + 1) / (shares.sum((2, 3)) + sizes + 1)
    present = sizes > 0
    return (1 - (found * present).sum(1) / present.sum(1).clamp(min=1)).mean()


def data() -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (N, 3, H, W) of stripes and their maps uint8 (N, 1, H, W)."""
    rng = np.random.default_rng(0)
    stripes = (np.arange(WIDTH) // (WIDTH // len(CLASSES))).clip(max=len(CLASSES) - 1)
    maps = np.stack([np.broadcast_to(np.roll(stripes, shift), (1, HEIGHT, WIDTH)) for shift in rng.integers(0, WIDTH, COUNT)])
    noise = rng.integers(0, 60, (COUNT, 3, HEIGHT, WIDTH))
    return (maps * 20 + noise).astype(np.uint8), maps.astype(np.uint8)


if __name__ == "__main__":
    main()
