"""Whole pictures for networks that were trained on crops of pictures of several sizes: padded, by mirroring at the right and the
bottom, so that the network can halve them as often as its crops, and what comes out cut back.

`stride` of a snapshot's metadata says to what both sides are padded; without one a network gets pictures as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from digits.domain.datasets import RecordMeta
from digits.domain.training import TrainingSpec
from digits.tasks import Labels, of

STRIDE = "stride"
LARGEST = 64  # no network halves its input more often than six times


def stride_of(spec: TrainingSpec, meta: RecordMeta) -> int:
    """The largest power of two that divides the crops of a training on such records; 0 where its model gets pictures of one size,
    or is not about their places."""
    task = of(spec.task, Labels.of_records(meta))
    lies_over = task.of_places and task.moves != "boxes"
    if not lies_over or meta.feature_shape is not None or not spec.crop_size:
        return 0
    return min(LARGEST, spec.crop_size & -spec.crop_size)


def padded(batch: np.ndarray, meta: Mapping[str, Any]) -> np.ndarray:
    """Pictures (N, C, H, W), at least as large as a crop and multiples of the stride, dtype kept."""
    stride, sides = int(meta.get(STRIDE, 0)), batch.shape[2:]
    if not stride:
        return batch
    wanted = [max(-(-side // stride) * stride, least) for side, least in zip(sides, meta["input_shape"][1:], strict=True)]
    missing = [(0, want - side) for want, side in zip(wanted, sides, strict=True)]
    return np.pad(batch, ((0, 0), (0, 0), *missing), "symmetric") if any(map(any, missing)) else batch


def cut_back(output: np.ndarray, given: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """An output (N, …) for the padded pictures `seen` (N, C, h, w), cut to the size of the `given` (N, C, H, W)."""
    over = output.ndim == 4 and output.shape[2:] == seen.shape[2:]
    return output[..., : given.shape[2], : given.shape[3]] if over else output
