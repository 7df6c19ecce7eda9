"""What training batches gave since the last report: sums and weights of each value, and how many pictures were hit.

Holds: on a GPU nothing waits for a number before somebody asks. On a CPU hits are counted some batches at a time, since that
costs as much for one as for many.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from digits.engines.training.step import HITS
from digits.engines.training.totals import LossValue, Totals, one_part

WAITING_BYTES = 1 << 18  # of outputs that wait to be counted, on a CPU


class Window:
    """Empty, or with what a checkpoint kept."""

    def __init__(self, on_gpu: bool, kept: Totals | None = None) -> None:
        self.on_gpu = on_gpu
        self.entries: dict[str, list[list[Any]]] = {}  # [sum, weight] of each part of a value, by name
        self.waiting: list[tuple[Tensor, Tensor]] = []  # scores (N, K) and labels (N,) whose hits are not counted
        self.waiting_bytes = 0
        for name, total in (kept.sums if kept else {}).items():
            pairs = zip(np.atleast_1d(total), np.atleast_1d(kept.weights[name] if kept else 0), strict=True)
            self.entries[name] = [[float(part), float(weight)] for part, weight in pairs]

    def add(self, name: str, value: LossValue) -> None:
        """Of one batch, as `noted`."""
        kept = self.entries.setdefault(name, [])
        if len(kept) < len(value.parts):
            kept += [[0.0, 0.0] for _ in range(len(value.parts) - len(kept))]
        for entry, part in zip(kept, value.parts, strict=False):
            part = part.noted(_double) if self.on_gpu else part
            entry[0] += part.sum
            entry[1] += part.weight

    def add_hits(self, scores: Tensor, labels: Tensor) -> None:
        """Of a batch: scores (N, K) and classes int64 (N,). A hit is one of rank 0 (see `metrics.accuracy.rank`)."""
        if self.on_gpu:
            self.add(HITS, one_part(_hits(scores, labels), len(labels)))
            return
        labels = torch.from_numpy(labels.numpy().copy())  # they may lie in memory that a reader fills again
        self.waiting.append((scores.float(), labels))
        self.waiting_bytes += scores.untyped_storage().nbytes()
        if self.waiting_bytes >= WAITING_BYTES:
            self._count()

    def _count(self) -> None:
        if self.waiting:
            scores, labels = map(torch.cat, zip(*self.waiting, strict=True))
            self.waiting, self.waiting_bytes = [], 0
            self.add(HITS, one_part(_hits(scores, labels).item(), len(labels)))

    @property
    def totals(self) -> Totals:
        self._count()
        columns = [{name: [float(e[i]) for e in entries] for name, entries in self.entries.items()} for i in (0, 1)]
        return Totals(*columns)

    @property
    def is_finite(self) -> bool:
        """Whether all sums are numbers."""
        return all(math.isfinite(float(total)) for entries in self.entries.values() for total, _ in entries)

    def copy(self) -> Window:
        """As it is now, whatever is added later."""
        self._count()
        found = Window(self.on_gpu)
        found.entries = {
            name: [[n.clone() if isinstance(n, Tensor) else n for n in entry] for entry in entries]
            for name, entries in self.entries.items()
        }
        return found


def _hits(scores: Tensor, labels: Tensor) -> Tensor:
    """Of how many scores (N, K) all others are below that of the class; NaN is below nothing, and nothing below it. int64 ()."""
    own = scores.gather(1, labels[:, None])  # (N, 1)
    return (((scores < own).sum(1) == scores.shape[1] - 1) & (own[:, 0] < torch.inf)).sum()


def detached(number: Any) -> Any:
    return number.detach() if isinstance(number, Tensor) else number


def number_of(number: Any) -> float:
    return number.item() if isinstance(number, Tensor) else float(number)


def _double(number: Any) -> Any:
    return number.double() if isinstance(number, Tensor) else number
