"""From records to batches of one shape: crops, and reading ahead where records must be decoded.

Fast path: unencoded records of one shape are a memory map; a batch is one fancy index in the caller's thread, no workers,
no queues. Everything else is decoded by a few threads some batches ahead, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from digits.engines.base import Records
from digits.engines.training.augmentation import crop_offsets, permutation
from digits.engines.training.boxes import cropped
from digits.engines.training.calendar import batch_count
from digits.errors import TrainingError
from digits.storage.records.boxes import BOX_DTYPE
from digits.utils.cores import usable_cores
from digits.utils.read_ahead import read_ahead
from digits.utils.resizing import centre_start

AHEAD = 4  # batches read ahead when decoding
MAX_THREADS = 8


@dataclass(frozen=True)
class Batch:
    """Some records: `indices` int64 (n,), `features` (n, C, H, W) of the stored dtype, labels as the reader gives them."""

    indices: np.ndarray
    features: np.ndarray
    labels: Any

    def __len__(self) -> int:
        return len(self.indices)


class BatchSource:
    """Batches of `records` at `size` (H, W; None: as they are, in batches of one). Use as a context manager: it owns threads."""

    def __init__(self, records: Records, size: tuple[int, int] | None, *, crop_labels: bool = False, threads: int = 0) -> None:
        self.records = records
        self.size = size
        self.crop_labels = crop_labels
        self.direct = records.array() is not None and records.meta.label_encoding == "none"
        shape = records.meta.feature_shape
        self.crops = size is not None and (shape is None or tuple(shape[1:]) != tuple(size))
        workers = min(MAX_THREADS, threads or usable_cores())
        self._pool = None if self.direct else ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def __enter__(self) -> BatchSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def stream(self, parts: Sequence[np.ndarray], seed: int = 0, epoch: int | None = None) -> Iterator[Batch]:
        """A batch for each array (n,) of indices. With an `epoch` crops are random (by seed, epoch and sample), else central."""

        if self._pool is None:
            yield from (self.load(indices, seed, epoch) for indices in parts)
        else:
            yield from read_ahead(self._pool, (partial(self.load, indices, seed, epoch) for indices in parts), AHEAD)

    def load(self, indices: np.ndarray, seed: int = 0, epoch: int | None = None) -> Batch:
        """One batch, now, of the records `indices` int64 (n,): features (n, C, H, W) at `size`. TrainingError where a record
        is smaller than that."""
        labels = self.records.labels(indices)
        if self.size is None:
            return Batch(indices, np.stack([self.records.feature(int(i)) for i in indices]), labels)
        if not self.crops:
            return Batch(indices, self.records.features(indices), labels)
        return self._cropped(indices, labels, self.size, None if epoch is None else (seed, epoch))

    def _cropped(self, indices: np.ndarray, labels: Any, size: tuple[int, int], moment: tuple[int, int] | None) -> Batch:
        features = [self.records.feature(int(i)) for i in indices]
        room = np.array([(f.shape[1] - size[0], f.shape[2] - size[1]) for f in features])  # (n, 2)
        self._check_room(room, indices, size)
        corners = centre_start(room) if moment is None else crop_offsets(*moment, indices, room)  # (n, 2) as (y, x)
        pieces = np.stack([_cut(f, corner, size) for f, corner in zip(features, corners, strict=True)])
        if isinstance(labels, list) and labels and labels[0].dtype == BOX_DTYPE:
            labels = [cropped(one, (int(y), int(x)), size) for one, (y, x) in zip(labels, corners, strict=True)]
        elif self.crop_labels and labels is not None:
            self._check_labels(labels, features, indices)
            labels = np.stack([_cut(np.asarray(m), corner, size) for m, corner in zip(labels, corners, strict=True)])
        return Batch(indices, pieces, labels)

    def _check_labels(self, labels: Any, features: list[np.ndarray], indices: np.ndarray) -> None:
        """TrainingError where a label (…, H, W) has another size than its feature (C, H, W)."""
        for label, feature, index in zip(labels, features, indices, strict=True):
            have, want = (f"{array.shape[-1]}×{array.shape[-2]}" for array in (label, feature))
            if have != want:
                key = self.records.column("key", np.array([index]))[0]
                raise TrainingError(
                    f"Record {key} has a picture of {want} and a label of {have}: no crop of both shows the same.",
                    advice="Bring pictures and labels to one size in the data set.",
                    code="data",
                )

    def _check_room(self, room: np.ndarray, indices: np.ndarray, size: tuple[int, int]) -> None:
        if (room < 0).any():
            worst = int(indices[int(np.argmin(room.min(axis=1)))])
            key = self.records.column("key", np.array([worst]))[0]
            raise TrainingError(
                f"Record {key} is smaller than the network's input of {size[0]}×{size[1]}.",
                advice="Choose a smaller crop, a batch size of 1, or resize the pictures in the data set.",
            )


def epoch_order(length: int, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
    """The order in which an epoch (0, 1, …) visits the records: int64 (length,)."""
    return permutation(seed, epoch, length) if shuffle else np.arange(length, dtype=np.int64)


def split_batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Consecutive pieces (batch_size,) of `order` (N,); the last may be smaller."""
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def training_batches(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """As `split_batches`, but for the last, which may also have one record more (see `calendar.batch_count`)."""
    starts = [batch_size * number for number in range(batch_count(len(order), batch_size))]
    return [order[start : None if start == starts[-1] else start + batch_size] for start in starts]


def share(indices: np.ndarray, rank: int, world: int) -> tuple[np.ndarray, float]:
    """The part (m,) of a batch's `indices` (n,) that a process takes, and the weight of its mean loss so that the mean over
    processes is the batch's.

    A process without any sample takes the first one with weight 0, because all must take part in the exchange of gradients.
    """
    if world == 1:
        return indices, 1.0
    own = indices[rank::world]
    if len(own) == 0:
        return indices[:1], 0.0
    return own, len(own) * world / len(indices)


def _cut(array: np.ndarray, corner: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    y, x = int(corner[0]), int(corner[1])
    return array[..., y : y + size[0], x : x + size[1]]
