"""What the records of a data set look like, decided by most of the samples that were looked at; and the check that every sample
fits, or is converted to it.

Every message names the plugin, the entry, what was found and what to do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from digits.domain.datasets import IGNORED, PNG_OR_NONE, DatasetSpec, RecordMeta
from digits.errors import PluginError
from digits.images.arrays import FLOAT_BYTES
from digits.ingest.conversion import ArrayForm
from digits.storage.records.codec import can_encode
from digits.storage.records.reader import BOX_DTYPE
from digits.tasks import get, infer
from digits.tasks.label_forms import (
    LabelFacts,
    array_of,
    check_classes,
    facts_of,
    is_array,
    is_vector,
    label_array,
    label_fields,
    misfit,
    most,
    numeric,
    stored_label,
)
from digits.utils.values import counted

# `auto` leaves features up to this size unencoded (256×256 colour): PNG would save about a third of the disk, but cost more
# than all the rest of making the data set, and its decoding would cost more than reading in each epoch.
SMALL_FEATURE_BYTES = 256 * 1024
LARGEST_WHOLE, SURELY_MEANT = 2**24, 2**53  # up to which float32, and float64, hold every whole number
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class RecordSchema:
    """The shapes, types and encodings that all records share, the value of pixels that do not count, and the names for messages.
    Sent to every encoder.

    `channels` and `label_channels` are those of most where shapes differ. `are_pictures`: arrays of any type are grey or RGB, not
    only 8 bits.
    """

    meta: RecordMeta
    plugin: str
    quality: int = 90
    ignored: int = IGNORED
    channels: int = 0
    label_channels: int = 0
    are_pictures: bool = False

    def feature(self, value: Any, entry: str) -> tuple[np.ndarray, str]:
        """A feature as an array (C, H, W) of the schema's shape and type, and what was converted in words (empty: nothing).
        Raises Misfit."""
        array, done = self.feature_form.converted(feature_array(value, self.plugin, entry), "feature", self.plugin, entry)
        check_finite(array, "feature", self.plugin, entry)
        return array, done

    def label(self, value: Any, entry: str) -> tuple[Any, str]:
        """A label as the records store it: int, (K,) or (C, H, W) array, boxes (n,), or None; and what was converted in words.
        Raises Misfit."""
        kind, array = label_array(value, self.plugin, entry, self._task)
        check_finite(array, "label", self.plugin, entry)
        done = ""
        if is_array(kind) and self.label_form is not None:
            array, done = self.label_form.converted(array, "label", self.plugin, entry)
        stored = stored_label(kind, array, self.meta, self.plugin, entry)
        if is_array(kind):
            check_classes(stored, self.meta, self.ignored, self.plugin, entry)
        if is_vector(self.meta.label_kind) and isinstance(stored, np.ndarray):
            done = rounded_words(array, stored)
        return stored, done

    @cached_property
    def feature_form(self) -> ArrayForm:
        """What the features have in common."""
        return self._form(self.meta.feature_shape, self.channels, self.meta.feature_dtype)

    @cached_property
    def label_form(self) -> ArrayForm | None:
        """What labels that are pictures have in common; None for all others, which are stored as they are."""
        if self._task.moves != "picture" or not is_array(self.meta.label_kind):
            return None
        return self._form(self.meta.label_shape, self.label_channels, self.meta.label_dtype)

    def _form(self, shape: tuple[int, ...] | None, channels: int, dtype: str) -> ArrayForm:
        c, h, w = shape or (channels, 0, 0)
        return ArrayForm((c, h, w), np.dtype(dtype), self.are_pictures, strict=shape is not None)

    @cached_property
    def _task(self) -> Any:
        return get(self.meta.task)


@dataclass(frozen=True)
class SampleFacts:
    """What tells how a sample is stored: shape (C, H, W) and type of its feature, and what its label is."""

    shape: tuple[int, int, int]
    dtype: np.dtype
    label: LabelFacts


def sample_facts(pair: Pair, entry: str, plugin: str, task: str, has_classes: bool) -> SampleFacts:
    """Of what a source gave. Raises Misfit for what can be no record."""
    feature = feature_array(pair[0], plugin, entry)
    kind, label = label_array(pair[1], plugin, entry, get(task) if task else None)
    for what, array in (("feature", feature), ("label", label)):
        check_finite(array, what, plugin, entry)
    channels, height, width = feature.shape
    return SampleFacts((channels, height, width), feature.dtype, facts_of(kind, label, feature.shape, has_classes))


def infer_schema(
    samples: Sequence[SampleFacts],
    spec: DatasetSpec,
    class_labels: Sequence[str],
    plugin: str,
    task: str,
    *,
    same_shape: bool,
    are_pictures: bool,
) -> RecordSchema:
    """The schema of most of some samples, at least one. Raises PluginError for data that the wanted encoding cannot hold."""
    channels, dtype = _channels_and_type(samples, are_pictures)
    height, width = most(one.shape[1:] for one in samples)
    shape = (channels, height, width) if same_shape else None
    encoding = _feature_encoding(spec.feature_encoding, shape or (channels, 1, 1), dtype, same_shape, plugin)
    label = label_fields([one.label for one in samples], spec, same_shape, bool(class_labels))
    meta = RecordMeta(
        task=(get(task) if task else infer(label["label_kind"], bool(class_labels))).name,
        feature_shape=shape,
        feature_dtype=str(dtype),
        feature_encoding=encoding,
        class_labels=tuple(class_labels),
        **label,
    )
    pictures = [one.label.shape[0] for one in samples if one.label.is_array]
    return RecordSchema(
        meta,
        plugin,
        spec.jpeg_quality,
        channels=channels,
        label_channels=most(pictures) if pictures else 0,
        are_pictures=are_pictures,
    )


def _channels_and_type(samples: Sequence[SampleFacts], are_pictures: bool) -> tuple[int, np.dtype]:
    """Those of most samples; of several the ones that the others can be converted to, then those with more channels."""
    counts = Counter((one.shape[0], one.dtype) for one in samples)

    def rank(one: tuple[int, np.dtype]) -> tuple[int, int, int]:
        form = ArrayForm((one[0], 0, 0), one[1], are_pictures)
        fitting = sum(n for (c, dtype), n in counts.items() if not form.differing((c, 1, 1), dtype))
        return counts[one], fitting, one[0] if fitting > counts[one] else 0

    return max(counts, key=rank)


def feature_array(value: Any, plugin: str, entry: str) -> np.ndarray:
    """A feature as an array of numbers (C, H, W). Raises Misfit."""
    if value is None:
        raise misfit(plugin, entry, "the feature is None", "Return an array, or an empty list to skip the entry.")
    array = numeric(array_of(value, "feature", plugin, entry), "feature", plugin, entry)
    if array.ndim != 3 or 0 in array.shape:
        raise misfit(
            plugin, entry, f"the feature has the shape {array.shape}", "Return three dimensions: channels, height, width."
        )
    return array


def rounded_words(array: np.ndarray, stored: np.ndarray) -> str:
    """What is to be said of whole numbers (of any shape) that the stored float32 (K,) do not hold; empty where there are none."""
    given = array.reshape(-1)
    large = np.flatnonzero((np.abs(stored) >= LARGEST_WHOLE) & (np.abs(stored) < SURELY_MEANT))
    for place in large.tolist():
        number = float(given[place])
        if number.is_integer() and int(given[place]) != int(stored[place]):
            kept = f"The label {int(given[place])} is kept as {int(stored[place])}"
            why = f"float32, in which networks compute, holds all whole numbers only up to {LARGEST_WHOLE:,}"
            return f"{kept}: {why}. Give it in a larger unit, or less an offset."
    return ""


def check_finite(array: np.ndarray, what: str, plugin: str, entry: str) -> None:
    """Raises Misfit for NaN or infinity in a feature or label of any shape, or in the coordinates of boxes (n,); and for values
    beyond 32 bits, in which networks compute."""
    if array.dtype.kind not in "fV":
        return
    if array.dtype == BOX_DTYPE:
        array = np.stack([array[name] for name in ("x0", "y0", "x1", "y1")])
    if array.dtype.kind == "f" and not (sound := _sound(array)).all():
        count = int(np.count_nonzero(~sound))
        found = f"the {what} has {counted(count, 'value')} of NaN or infinity"
        if np.isfinite(array).all():
            found = f"the {what} has {counted(count, 'value')} beyond the range of float32"
        raise misfit(plugin, entry, found, "Replace them, or leave the entry out.")


def _sound(array: np.ndarray) -> np.ndarray:
    """Which floating-point numbers (any shape) are finite with 32 bits."""
    return np.isfinite(array) if array.dtype.itemsize <= FLOAT_BYTES else np.abs(array) <= np.finfo(np.float32).max


def _feature_encoding(wanted: str, shape: tuple[int, ...], dtype: np.dtype, same: bool, plugin: str) -> str:
    plain = "none" if same else "raw"
    if wanted == "none":
        return plain
    if wanted == PNG_OR_NONE:
        return "png" if can_encode(dtype, shape[0], "png") else plain
    if wanted in ("png", "jpg"):
        if not can_encode(dtype, shape[0], wanted):
            raise PluginError(
                f"{plugin}: features of type {dtype} with {shape[0]} channels do not fit into {wanted}.",
                advice="Choose the encoding `auto` or `none`, which keep every value; png and jpg hold 8 bits of grey or RGB.",
            )
        return wanted
    if dtype == np.uint8 and shape[0] in (1, 3) and (not same or math.prod(shape) > SMALL_FEATURE_BYTES):
        return "png"
    return plain
