"""What the records of a data set look like, decided by its first samples; and the check that every other sample fits.

Every message names the plugin, the entry, what was found and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.domain.datasets import IGNORED, DatasetSpec, RecordMeta
from digits.errors import PluginError
from digits.storage.records.codec import can_encode
from digits.storage.records.reader import BOX_DTYPE
from digits.tasks import get, infer
from digits.tasks.label_forms import array_of, as_dtype, label_array, label_fields, misfit, numeric, stored_label

# `auto` leaves features up to this size unencoded (256×256 colour): PNG would save about a third of the disk, but cost more
# than all the rest of making the data set, and its decoding would cost more than reading in each epoch.
SMALL_FEATURE_BYTES = 256 * 1024
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class RecordSchema:
    """The shapes, types and encodings that all records share, the value of pixels that do not count, and the names for messages.
    Sent to every encoder."""

    meta: RecordMeta
    plugin: str
    quality: int = 90
    ignored: int = IGNORED

    def feature(self, value: Any, entry: str) -> np.ndarray:
        """A feature as an array (C, H, W) of the schema's shape and type. Raises PluginError."""
        array = feature_array(value, self.plugin, entry)
        shape, dtype = self.meta.feature_shape, np.dtype(self.meta.feature_dtype)
        if shape is not None and array.shape != shape:
            raise misfit(
                self.plugin,
                entry,
                f"the feature has the shape {array.shape}, the first had {shape}",
                "Give a width and height to resize to, or switch off `force same shape`.",
            )
        return as_dtype(array, dtype, "feature", self.plugin, entry)

    def label(self, value: Any, entry: str) -> Any:
        """A label as the records store it. Raises PluginError."""
        return stored_label(value, self.meta, get(self.meta.task), self.plugin, entry)


def infer_schema(
    pairs: Sequence[tuple[str, Pair]], spec: DatasetSpec, class_labels: Sequence[str], plugin: str, task: str | None
) -> RecordSchema:
    """The schema from some samples (at least one), each with the name of its entry.

    Raises PluginError for samples of no possible form and for data that the wanted encoding cannot hold.
    """
    features = [feature_array(feature, plugin, entry) for entry, (feature, _) in pairs]
    dtype = np.result_type(*{f.dtype for f in features})
    same = spec.force_same_shape
    shape = features[0].shape if same else None
    encoding = _feature_encoding(spec.feature_encoding, features[0].shape, dtype, same, plugin)
    named = get(task) if task else None
    labels = [label_array(value, plugin, entry, named) for entry, (_, value) in pairs]
    label = label_fields(labels, features[0].shape, spec, class_labels)
    meta = RecordMeta(
        task=(named or infer(label["label_kind"], bool(class_labels))).name,
        feature_shape=shape,
        feature_dtype=str(dtype),
        feature_encoding=encoding,
        class_labels=tuple(class_labels),
        **label,
    )
    return RecordSchema(meta, plugin, spec.jpeg_quality)


def feature_array(value: Any, plugin: str, entry: str) -> np.ndarray:
    """A feature as an array of numbers (C, H, W). Raises PluginError."""
    if value is None:
        raise misfit(plugin, entry, "the feature is None", "Return an array, or an empty list to skip the entry.")
    array = numeric(array_of(value, "feature", plugin, entry), "feature", plugin, entry)
    if array.ndim != 3 or 0 in array.shape:
        raise misfit(
            plugin, entry, f"the feature has the shape {array.shape}", "Return three dimensions: channels, height, width."
        )
    return array


def check_finite(array: np.ndarray, what: str, plugin: str, entry: str) -> None:
    """Raises PluginError for NaN or infinity in a feature or label of any shape, or in the coordinates of boxes (n,)."""
    if array.dtype == BOX_DTYPE:
        array = np.stack([array[name] for name in ("x0", "y0", "x1", "y1")])
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int(np.count_nonzero(~np.isfinite(array)))
        raise misfit(plugin, entry, f"the {what} has {count} values that are NaN or infinite", "Replace them or skip the entry.")


def _feature_encoding(wanted: str, shape: tuple[int, ...], dtype: np.dtype, same: bool, plugin: str) -> str:
    plain = "none" if same else "raw"
    if wanted == "none":
        return plain
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
