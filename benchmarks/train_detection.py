"""Training our detector on pictures of 192×192, batch 8, CPU: images per second through digits and in bare loops.

    python benchmarks/train_detection.py [--rounds 20] [--block 4] [--threads 0]

Same network, solver, batches and threads, in one process and in turns; the bare loops have all data in memory as tensors. digits
reads records and writes metrics and events meanwhile. Promised: 0.95 of a bare loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from _training import Batches, arguments, compare
from torch import Tensor, nn

from digits.engines.base import NetworkContext
from digits.engines.pytorch.boxes import targets_of
from digits.testing.runs import make_dataset, squared_pictures

COUNT, SIDE, BATCH = 160, 192, 8
CLASSES = ("red", "blue")
CONTEXT = NetworkContext("detection", (3, SIDE, SIDE), 2, None, CLASSES, "boxes", box_sizes=(32.0, 36.0, 40.0, 44.0, 47.0))


def main() -> None:
    options = arguments(__doc__ or "")
    pictures, boxes = squared_pictures(COUNT, SIDE, seed=0)

    def make(folder: Path) -> Path:
        kinds = {"task": "detection", "label_kind": "boxes", "class_labels": CLASSES}
        return make_dataset(folder, pictures, boxes, validation=0, **kinds)  # type: ignore[arg-type]

    def batches() -> Batches:
        x = torch.from_numpy(pictures / pictures.std()).float()
        targets = targets_of(boxes, torch.device("cpu"))
        while True:
            for chosen in torch.randperm(COUNT).split(BATCH):
                yield x[chosen], [targets[i] for i in chosen.tolist()]

    def loss(model: nn.Module, x: Tensor, y: Any) -> Tensor:
        return torch.stack(list(model(x, y).values())).sum()

    compare(options, "detector", CONTEXT, BATCH, make, batches, loss)


if __name__ == "__main__":
    main()
