"""From a stored feature to what the network sees: crop, mean, scale. It is part of every snapshot.

The network sees `(feature − mean) / std` as float32. `mean` is the training mean (per pixel of the picture, per channel, or 0),
`std` one number, the standard deviation of the training features, so that inputs have about unit variance whatever their units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from digits.domain.datasets import RecordMeta
from digits.domain.training import TrainingSpec
from digits.engines.base import Records
from digits.tasks import Labels, Task, of
from digits.utils.resizing import centre_part

MEAN_SAMPLES = 10_000  # of larger sets the mean picture is taken of so many, evenly spaced
CHUNK = 256


@dataclass(frozen=True)
class Preprocessing:
    """How features become inputs, and labels targets.

    `unit` is the value of full intensity (255 for 8 bits) in which augmentations count. Targets that are pictures of integers
    are divided by `label_scale`; predictions are multiplied by it. `mean_kind` is `none`, `image` or `pixel`; for `image` the
    picture itself travels with the weights as a tensor (C, H, W of the stored size) and `pixel_mean` serves other sizes.
    """

    stored_shape: tuple[int, int, int]
    input_shape: tuple[int, int, int]
    mean_kind: str = "none"
    pixel_mean: tuple[float, ...] = ()
    std: float = 1.0
    unit: float = 255.0
    whitening: bool = False
    label_scale: float = 1.0
    dtype: str = "uint8"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        shapes = {name: tuple(value[name]) for name in ("stored_shape", "input_shape", "pixel_mean")}
        return cls(**{**value, **shapes})

    @property
    def crops(self) -> bool:
        return self.stored_shape[1:] != self.input_shape[1:]


def preprocessing_for(spec: TrainingSpec, meta: RecordMeta, stored_shape: tuple[int, int, int]) -> Preprocessing:
    """The preprocessing of a training; a mean picture is not possible for features of several sizes: the pixel mean serves."""
    channels, height, width = stored_shape
    kind = spec.use_mean if meta.feature_shape is not None or spec.use_mean == "none" else "pixel"
    size = (spec.crop_size, spec.crop_size) if spec.crop_size else (height, width)
    return Preprocessing(
        stored_shape=stored_shape,
        input_shape=(channels, *size),
        mean_kind=kind,
        pixel_mean=tuple(float(m) for m in meta.mean) if kind != "none" else (),
        std=_one_std(meta),
        unit=_unit(meta),
        whitening=spec.augmentation.whitening,
        label_scale=_label_scale(spec, meta),
        dtype=meta.feature_dtype,
    )


def with_measured(preprocessing: Preprocessing, records: Records) -> tuple[Preprocessing, np.ndarray | None]:
    """The preprocessing with missing statistics measured, and the mean picture, float32 (C, H, W) in stored units, if it needs
    one."""
    needs_picture = preprocessing.mean_kind == "image"
    needs_numbers = preprocessing.mean_kind != "none" and not preprocessing.pixel_mean
    if not needs_picture and not needs_numbers:
        return preprocessing, None
    picture = mean_picture(records)
    per_channel = tuple(float(m) for m in picture.mean(axis=(1, 2)))
    kept = preprocessing.pixel_mean or per_channel
    return replace(preprocessing, pixel_mean=kept), picture.astype(np.float32) if needs_picture else None


def _label_scale(spec: TrainingSpec, meta: RecordMeta) -> float:
    labels = Labels.of_records(meta)
    return of(spec.task, labels).label_scale(labels)


def in_stored_units(
    outputs: Mapping[str, np.ndarray], task: Task, labels: Labels, preprocessing: Preprocessing, mean_image: Any
) -> dict[str, np.ndarray]:
    """Outputs, float32 (N, …), of a network that learnt the picture itself (image to image without labels) as `(x − mean) / std`
    undone.

    Other outputs, those of whitened pictures and those that are no pictures (N, C, H, W) of the input's channels stay.
    """
    if not learns_its_input(task, labels, preprocessing):
        return dict(outputs)
    return {name: _restored(value, preprocessing, mean_image) for name, value in outputs.items()}


def learns_its_input(task: Task, labels: Labels, preprocessing: Preprocessing) -> bool:
    """Whether a network learnt the prepared picture itself, which can be brought back to stored units."""
    return task.restores_input and not task.has_labels(labels) and not preprocessing.whitening


def _restored(value: np.ndarray, preprocessing: Preprocessing, mean_image: Any) -> np.ndarray:
    if value.ndim != 4 or value.shape[1] != preprocessing.stored_shape[0]:
        return value
    scaled = value * np.float32(preprocessing.std)
    return scaled if preprocessing.mean_kind == "none" else scaled + _mean_for(value.shape[2:], preprocessing, mean_image)


def _mean_for(size: tuple[int, ...], preprocessing: Preprocessing, mean_image: Any) -> np.ndarray:
    """What is subtracted from pictures of a size (H, W): the middle of the mean picture, or a number per channel."""
    if preprocessing.mean_kind == "image" and mean_image is not None:
        middle = centre_part(np.asarray(mean_image, np.float32), (size[0], size[1]))
        if middle is not None:
            return np.asarray(middle)
    return np.array(preprocessing.pixel_mean, np.float32).reshape(-1, 1, 1)


def mean_picture(records: Records) -> np.ndarray:
    """Mean of the features in stored units, float64 (C, H, W); for features of several sizes the mean per channel as (C, 1,
    1)."""
    indices = np.unique(np.linspace(0, len(records) - 1, min(len(records), MEAN_SAMPLES)).astype(np.int64))
    if records.meta.feature_shape is None:
        means = [records.feature(int(i)).mean(axis=(1, 2), dtype=np.float64) for i in indices]
        return np.mean(means, axis=0)[:, None, None]
    total = np.zeros(records.meta.feature_shape, dtype=np.float64)
    for start in range(0, len(indices), CHUNK):
        total += records.features(indices[start : start + CHUNK]).sum(axis=0, dtype=np.float64)
    return total / len(indices)


def _one_std(meta: RecordMeta) -> float:
    std = float(np.sqrt(np.mean(np.square(meta.std)))) if meta.std else 0.0
    return std if np.isfinite(std) and std > 1e-12 else 1.0


def _unit(meta: RecordMeta) -> float:
    if meta.feature_dtype == "uint8":
        return 255.0
    return 4.0 * _one_std(meta)  # the range of data of unknown units: about four standard deviations
