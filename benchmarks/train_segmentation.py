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
from _training import Batches, arguments, compare
from torch import Tensor, nn

from digits.engines.base import NetworkContext
from digits.engines.pytorch.losses import make_loss
from digits.testing.runs import make_dataset

COUNT, HEIGHT, WIDTH, BATCH = 160, 120, 160, 8
CLASSES = tuple("abcdefgh")
CONTEXT = NetworkContext("segmentation", (3, HEIGHT, WIDTH), len(CLASSES), (1, HEIGHT, WIDTH), CLASSES, "map")


def main() -> None:
    options = arguments(__doc__ or "")
    pictures, maps = data()
    criterion = make_loss("cross_entropy_dice", None, ignored=255)

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
        return criterion(model(x), y)["loss"]

    compare(options, "unet", CONTEXT, BATCH, make, batches, loss)


def data() -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (N, 3, H, W) of stripes and their maps uint8 (N, 1, H, W)."""
    rng = np.random.default_rng(0)
    stripes = (np.arange(WIDTH) // (WIDTH // len(CLASSES))).clip(max=len(CLASSES) - 1)
    maps = np.stack([np.broadcast_to(np.roll(stripes, shift), (1, HEIGHT, WIDTH)) for shift in rng.integers(0, WIDTH, COUNT)])
    noise = rng.integers(0, 60, (COUNT, 3, HEIGHT, WIDTH))
    return (maps * 20 + noise).astype(np.uint8), maps.astype(np.uint8)


if __name__ == "__main__":
    main()
