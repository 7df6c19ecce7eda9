"""From a stored feature to what the network sees: crop, mean, scale. It is part of every snapshot.

The network sees `(feature − mean) / std` as float32. `mean` is the training mean (per pixel of the picture, per channel, or 0),
`std` one number, the standard deviation of the training features, so that inputs have about unit variance whatever their units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from digits.domain.datasets import RecordMeta
from digits.domain.training import Augmentation, TrainingSpec
from digits.engines.base import Records
from digits.engines.whole_pictures import stride_of
from digits.images.arrays import over_pictures
from digits.tasks import Labels, Task, of
from digits.tasks.base import PICTURES
from digits.utils.resizing import centre_part

MEAN_SAMPLES = 10_000  # of larger sets the mean picture is taken of so many, evenly spaced
CHUNK = 256
FULL_SCALES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # of the depths that pictures have: 8, 10, 12, 14 and 16 bits


@dataclass(frozen=True)
class Preprocessing:
    """How features become inputs, and labels targets.

    Augmentations count in full intensity: black is `floor`, white `floor + unit` (0 and 255 for 8 bits). Targets that are
    pictures of integers are divided by `label_scale`; predictions are multiplied by it. `mean_kind` is `none`, `image` or
    `pixel`; for `image` the picture itself travels with the weights as a tensor (C, H, W of the stored size) and `pixel_mean`
    serves other sizes.
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
    floor: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        shapes = {name: tuple(value[name]) for name in ("stored_shape", "input_shape", "pixel_mean")}
        return cls(**{**value, **shapes})

    @property
    def crops(self) -> bool:
        return self.stored_shape[1:] != self.input_shape[1:]

    def is_for(self, features: np.ndarray) -> bool:
        """Whether mean and scale mean something for features (N, C, H, W): not for those of other channels than the training's,
        nor for fractions of another size where those were whole numbers, as what a generator starts from."""
        fractions = features.dtype.kind == "f" and np.dtype(self.dtype).kind in "ui"
        other_size = tuple(features.shape[1:]) not in (self.stored_shape, self.input_shape)
        return features.shape[1] == self.stored_shape[0] and not (fractions and other_size)


def preprocessing_for(spec: TrainingSpec, meta: RecordMeta, stored_shape: tuple[int, int, int]) -> Preprocessing:
    """The preprocessing of a training; a mean picture is not possible for features of several sizes: the pixel mean serves."""
    channels, height, width = stored_shape
    kind = spec.use_mean if meta.feature_shape is not None or spec.use_mean == "none" else "pixel"
    size = (spec.crop_size, spec.crop_size) if spec.crop_size else (height, width)
    return Preprocessing(
        stored_shape=(channels, *size) if stride_of(spec, meta) else stored_shape,  # then no size is the data set's
        input_shape=(channels, *size),
        mean_kind=kind,
        pixel_mean=tuple(float(m) for m in meta.mean) if kind != "none" else (),
        std=_one_std(meta),
        whitening=spec.augmentation.whitening,
        label_scale=_label_scale(spec, meta),
        dtype=meta.feature_dtype,
    )


def with_measured(
    preprocessing: Preprocessing, records: Records, augmentation: Augmentation
) -> tuple[Preprocessing, np.ndarray | None]:
    """The preprocessing with missing statistics measured, and the mean picture, float32 (C, H, W) in stored units, if it needs
    one. The range of values is measured where `augmentation` counts in it and the data are wider than 8 bits."""
    if preprocessing.dtype != "uint8" and (augmentation.noise or augmentation.shifts_colours):
        floor, unit = full_intensity(*value_range(records), np.dtype(preprocessing.dtype))
        preprocessing = replace(preprocessing, floor=floor, unit=unit)
    needs_picture = preprocessing.mean_kind == "image"
    needs_numbers = preprocessing.mean_kind != "none" and not preprocessing.pixel_mean
    if not needs_picture and not needs_numbers:
        return preprocessing, None
    picture = mean_picture(records)
    per_channel = tuple(float(m) for m in picture.mean(axis=(1, 2)))
    kept = preprocessing.pixel_mean or per_channel
    return replace(preprocessing, pixel_mean=kept), picture.astype(np.float32) if needs_picture else None


def full_intensity(low: float, high: float, dtype: np.dtype) -> tuple[float, float]:
    """Black, and how far white is from it, of data whose values of type `dtype` lie between `low` and `high`.

    Whole numbers from 0 on have the full scale of the bits that they use: 12 bits in uint16 are 0 to 4095. Everything else
    has its own range, from 0 or the lowest value if that is below.
    """
    floor = min(low, 0.0)
    if dtype.kind in "ui" and floor == 0.0:
        high = next((scale for scale in FULL_SCALES if high <= scale), high)
    return floor, high - floor or 1.0


def value_range(records: Records) -> tuple[float, float]:
    """The lowest and the highest value of the features in stored units; of large sets of those that `mean_picture` looks at."""
    ends = [(float(part.min()), float(part.max())) for part in _parts(records)]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _label_scale(spec: TrainingSpec, meta: RecordMeta) -> float:
    labels = Labels.of_records(meta)
    return of(spec.task, labels).label_scale(labels)


def gives_pictures(task: Task, labels: Labels) -> bool:
    """Whether outputs are pictures: one of as many numbers as a picture is one too, whatever its axes, as losses compare it."""
    return task.output_kind == PICTURES and task.fits(labels)


def picture_shape(task: Task, labels: Labels, preprocessing: Preprocessing) -> tuple[int, ...] | None:
    """(C, H, W) of the pictures that a network gives; None where it gives none, or of several sizes."""
    if not gives_pictures(task, labels):
        return None
    if not task.has_labels(labels):
        return preprocessing.input_shape
    follows = labels.shape is not None and task.follows_picture(labels)
    return (labels.shape[0], *preprocessing.input_shape[1:]) if follows and labels.shape else labels.shape


def in_stored_units(
    outputs: Mapping[str, np.ndarray], task: Task, labels: Labels, preprocessing: Preprocessing, mean_image: Any
) -> dict[str, np.ndarray]:
    """Outputs, float32 (N, …), of a network that learnt the picture itself (image to image without labels) as `(x − mean) / std`
    undone.

    Other outputs, those of whitened pictures and those that are no pictures (N, C, H, W) of the input's channels stay.
    """
    if not learns_its_input(task, labels, preprocessing.whitening):
        return dict(outputs)
    return {name: _restored(value, preprocessing, mean_image) for name, value in outputs.items()}


def learns_its_input(task: Task, labels: Labels, whitening: bool) -> bool:
    """Whether a network learnt the prepared picture itself, which can be brought back to stored units."""
    return task.restores_input and not task.has_labels(labels) and not whitening


def can_be_compared(task: Task, labels: Labels, whitening: bool) -> bool:
    """Whether outputs are in the units of the labels, or of the pictures as they are stored: those of a network that learnt
    something of its input that is not brought back are in units of its own."""
    return task.has_labels(labels) or learns_its_input(task, labels, whitening)


def in_units_of_loss(
    outputs: np.ndarray, targets: np.ndarray, task: Task, labels: Labels, preprocessing: Preprocessing
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, …) as float32 and targets (N, …), from the units of labels or stored pictures to those of the loss. The mean of
    prepared pictures stays in both, for named losses of numbers are of the difference."""
    unit = preprocessing.std if learns_its_input(task, labels, preprocessing.whitening) else preprocessing.label_scale
    return (outputs / unit).astype(np.float32), targets if unit == 1.0 else (targets / unit).astype(np.float32)


def beside_features(
    output: np.ndarray, features: np.ndarray, preprocessing: Preprocessing, mean_image: Any, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """A main output (N, …) of a network that learnt the picture itself, and the pictures (N, C, H, W) of any type that it was
    given, as metrics take them: float32, in stored units, divided by `scale`."""
    return _restored(output, preprocessing, mean_image) / np.float32(scale), features.astype(np.float32) / np.float32(scale)


def _restored(value: np.ndarray, preprocessing: Preprocessing, mean_image: Any) -> np.ndarray:
    if value.ndim != 4 or value.shape[1] != preprocessing.stored_shape[0]:
        return value
    scaled = value * np.float32(preprocessing.std)
    mean = mean_for(value.shape[2:], preprocessing, mean_image)
    return scaled if mean is None else scaled + mean


def mean_for(size: Sequence[int | None], preprocessing: Preprocessing, mean_image: np.ndarray | None) -> np.ndarray | None:
    """What is subtracted from pictures of a `size` (H, W), float32 in stored units: the middle (C, H, W) of the mean picture, or
    a number per channel (C, 1, 1) where there is none or it is smaller; None: nothing. Sides that are not known yet are None."""
    if preprocessing.mean_kind == "none":
        return None
    height, width = size
    if preprocessing.mean_kind == "image" and mean_image is not None and height is not None and width is not None:
        middle = centre_part(np.asarray(mean_image, np.float32), (height, width))
        if middle is not None:
            return np.ascontiguousarray(middle)
    return np.array(preprocessing.pixel_mean, np.float32).reshape(-1, 1, 1)


def mean_picture(records: Records) -> np.ndarray:
    """Mean of the features in stored units, float64 (C, H, W), one for all pictures of a record; for features of several sizes
    the mean of each channel over all their pixels as (C, 1, 1)."""
    varied = records.meta.feature_shape is None
    axes = (0, 2, 3) if varied else (0,)
    total: Any = 0.0
    count = 0
    for part in _parts(records):
        total = total + part.sum(axis=axes, dtype=np.float64, keepdims=True)[0]
        count += len(part) * (part.shape[2] * part.shape[3] if varied else 1)
    return over_pictures(total / count, records.meta.pictures)


def _parts(records: Records) -> Iterator[np.ndarray]:
    """Features (n, C, H, W) of all records, or of `MEAN_SAMPLES`, evenly spaced; one by one where they differ in size."""
    indices = np.unique(np.linspace(0, len(records) - 1, min(len(records), MEAN_SAMPLES)).astype(np.int64))
    if records.meta.feature_shape is None:
        yield from (records.feature(int(i))[np.newaxis] for i in indices)
    else:
        yield from (records.features(indices[start : start + CHUNK]) for start in range(0, len(indices), CHUNK))


def _one_std(meta: RecordMeta) -> float:
    std = float(np.sqrt(np.mean(np.square(meta.std)))) if meta.std else 0.0
    return std if np.isfinite(std) and std > 1e-12 else 1.0
