"""What the records of a data set look like, decided by its first samples; and the check that every other sample fits.

Every message names the plugin, the entry, what was found and what to do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.domain.datasets import DatasetSpec, RecordMeta
from digits.domain.jobs import Task
from digits.errors import PluginError
from digits.extensions.data.digits_boxes import boxes_of_rows, is_rows
from digits.storage.records.codec import can_encode
from digits.storage.records.reader import BOX_DTYPE, BOX_IGNORED

# `auto` leaves features up to this size unencoded (256×256 colour): PNG would save about a third of the disk, but cost more
# than all the rest of making the data set, and its decoding would cost more than reading in each epoch.
SMALL_FEATURE_BYTES = 256 * 1024
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Layout:
    """The shapes, types and encodings that all records share, and the names for messages. Sent to every encoder."""

    meta: RecordMeta
    plugin: str
    quality: int = 90

    def feature(self, value: Any, entry: str) -> np.ndarray:
        """A feature as an array of the layout's type. Raises PluginError."""
        array = feature_array(value, self.plugin, entry)
        shape, dtype = self.meta.feature_shape, np.dtype(self.meta.feature_dtype)
        if shape is not None and array.shape != shape:
            raise _error(
                self.plugin,
                entry,
                f"the feature has the shape {array.shape}, the first had {shape}",
                "Give a width and height to resize to, or switch off `force same shape`.",
            )
        return _as_dtype(array, dtype, "feature", self.plugin, entry)

    def label(self, value: Any, entry: str) -> Any:
        """A label as the layout's kind stores it: int, (K,) or (C,H,W) array, boxes, or None. Raises PluginError."""
        meta = self.meta
        kind, array = label_array(value, self.plugin, entry, meta.task)
        if meta.label_kind == "none" and kind == "none":
            return None
        if meta.label_kind == "index" and kind == "scalar":
            return self._index(array, entry)
        if meta.label_kind == "vector" and kind in ("scalar", "vector"):
            return self._vector(array.astype(np.float32).reshape(-1), entry)
        if meta.label_kind == "boxes" and kind == "boxes":
            return self._boxes(array, entry)
        if meta.label_kind in ("map", "array") and kind == "array":
            return self._array(array, entry)
        expected = _LABEL_WORDS[meta.label_kind]
        raise _error(
            self.plugin, entry, f"the label is {_describe(value)}, the first was {expected}", "Give all labels one form."
        )

    def _index(self, array: np.ndarray, entry: str) -> int:
        number = array.reshape(-1)[0]
        index = int(number)
        labels = len(self.meta.class_labels)
        if index != number:
            raise _error(self.plugin, entry, f"the label is {number}, the first was a whole number", "Give all labels one type.")
        if labels and not 0 <= index < labels:
            raise _error(
                self.plugin,
                entry,
                f"the label is {index}, but there are {labels} class labels",
                "Use 0 to their number less one.",
            )
        return index

    def _vector(self, array: np.ndarray, entry: str) -> np.ndarray:
        if array.shape != self.meta.label_shape:
            wanted = math.prod(self.meta.label_shape or ())
            raise _error(
                self.plugin, entry, f"the label has {array.size} numbers, the first had {wanted}", "Give all equally many."
            )
        return array

    def _boxes(self, boxes: np.ndarray, entry: str) -> np.ndarray:
        """Boxes whose classes exist; -1, for none of them, is for boxes that do not count."""
        labels = len(self.meta.class_labels)
        wrong = boxes["class"][(boxes["class"] >= labels) | ((boxes["class"] < 0) & (boxes["flags"] & BOX_IGNORED == 0))]
        if labels and len(wrong):
            raise _error(
                self.plugin,
                entry,
                f"a box has the class {wrong[0]}, but there are {labels} class labels",
                "Use 0 to their number less one.",
            )
        return boxes

    def _array(self, array: np.ndarray, entry: str) -> np.ndarray:
        shape = self.meta.label_shape
        if shape is not None and array.shape != tuple(shape):
            raise _error(
                self.plugin,
                entry,
                f"the label has the shape {array.shape}, the first had {tuple(shape)}",
                "Give all labels one shape, or switch off `force same shape`.",
            )
        return _as_dtype(array, np.dtype(self.meta.label_dtype), "label", self.plugin, entry)


def decide(
    pairs: Sequence[tuple[str, Pair]], spec: DatasetSpec, class_labels: Sequence[str], plugin: str, task: str | None
) -> Layout:
    """The layout from some samples (at least one), each with the name of its entry.

    Raises PluginError for samples of no possible form and for data that the wanted encoding cannot hold.
    """
    features = [feature_array(feature, plugin, entry) for entry, (feature, _) in pairs]
    dtype = np.result_type(*{f.dtype for f in features})
    same = spec.force_same_shape
    shape = features[0].shape if same else None
    encoding = _feature_encoding(spec.feature_encoding, features[0].shape, dtype, same, plugin)
    labels = [label_array(value, plugin, entry, task or "") for entry, (_, value) in pairs]
    label = _label_layout(labels, features[0].shape, spec, class_labels, task or "")
    meta = RecordMeta(
        task=task or _task(label["label_kind"], bool(class_labels)),
        feature_shape=shape,
        feature_dtype=str(dtype),
        feature_encoding=encoding,
        class_labels=tuple(class_labels),
        **label,
    )
    return Layout(meta, plugin, spec.jpeg_quality)


def feature_array(value: Any, plugin: str, entry: str) -> np.ndarray:
    """A feature as a numeric (C,H,W) array. Raises PluginError."""
    if value is None:
        raise _error(plugin, entry, "the feature is None", "Return an array, or an empty list to skip the entry.")
    array = _numeric(_array_of(value, "feature", plugin, entry), "feature", plugin, entry)
    if array.ndim != 3 or 0 in array.shape:
        raise _error(
            plugin, entry, f"the feature has the shape {array.shape}", "Return three dimensions: channels, height, width."
        )
    return array


def label_array(value: Any, plugin: str, entry: str, task: str = "") -> tuple[str, np.ndarray]:
    """What a label is: (`none`, `scalar`, `vector`, `boxes` or `array`; the array). Raises PluginError.

    In detection an array 1×N×16 is the original's form of boxes; in regression any array with one axis longer than 1 is a vector.
    """
    if value is None:
        return "none", np.zeros(0)
    array = _array_of(value, "label", plugin, entry)
    if array.dtype == BOX_DTYPE and array.ndim == 1:
        return "boxes", array
    array = _numeric(array, "label", plugin, entry)
    if task == Task.DETECTION and is_rows(array):
        return "boxes", boxes_of_rows(array)
    if array.size == 1:
        return "scalar", array
    if task == Task.REGRESSION and array.size and array.size == max(array.shape):
        return "vector", array
    if array.ndim != 3 or 0 in array.shape:
        raise _error(plugin, entry, f"the label has the shape {array.shape}", "A scalar or a 3-D array is expected.")
    return "array", array


def check_finite(array: np.ndarray, what: str, plugin: str, entry: str) -> None:
    """Raises PluginError for NaN or infinity."""
    if array.dtype == BOX_DTYPE:
        array = np.stack([array[name] for name in ("x0", "y0", "x1", "y1")])
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int(np.count_nonzero(~np.isfinite(array)))
        raise _error(plugin, entry, f"the {what} has {count} values that are NaN or infinite", "Replace them or skip the entry.")


def _error(plugin: str, entry: str, found: str, remedy: str) -> PluginError:
    return PluginError(f"{plugin}, {entry}: {found}.", advice=remedy)


def _array_of(value: Any, what: str, plugin: str, entry: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except Exception as error:  # lists of several lengths, or whatever an object's own __array__ raises
        found = f"the {what}, a {type(value).__name__}, makes no array ({error})"
        raise _error(plugin, entry, found, "Return a NumPy array; it cannot have rows of several lengths.") from error


def _numeric(array: np.ndarray, what: str, plugin: str, entry: str) -> np.ndarray:
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind not in "uif":
        found = f"the {what} has the type {array.dtype}, not numbers"
        raise _error(plugin, entry, found, "Return a NumPy array of numbers; rows of one length make no object array.")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _as_dtype(array: np.ndarray, dtype: np.dtype, what: str, plugin: str, entry: str) -> np.ndarray:
    if array.dtype == dtype:
        return array
    if np.can_cast(array.dtype, dtype, "safe"):
        return array.astype(dtype)
    raise _error(plugin, entry, f"the {what} has the type {array.dtype}, the first had {dtype}", f"Convert all to {array.dtype}.")


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


def _label_layout(
    labels: Sequence[tuple[str, np.ndarray]],
    feature_shape: tuple[int, ...],
    spec: DatasetSpec,
    class_labels: Sequence[str],
    task: str,
) -> dict[str, Any]:
    kind, first = labels[0]
    if kind in ("none", "boxes"):
        return {"label_kind": kind, "label_shape": (), "label_dtype": "int64", "label_encoding": "none"}
    if kind == "vector":
        return {"label_kind": kind, "label_shape": (first.size,), "label_dtype": "float32", "label_encoding": "none"}
    if kind == "scalar":
        whole = all(_is_whole(array, bool(class_labels)) for _, array in labels)
        index = {"label_kind": "index", "label_shape": (), "label_dtype": "int64"}
        return (
            index
            if whole and task != Task.REGRESSION
            else {"label_kind": "vector", "label_shape": (1,), "label_dtype": "float32"}
        )
    dtype = np.result_type(*{array.dtype for _, array in labels})
    is_map = bool(class_labels) and dtype.kind in "ui" and first.shape[-2:] == tuple(feature_shape[-2:])
    wanted = "png" if is_map and spec.label_encoding == "jpg" else spec.label_encoding  # jpg would change class numbers
    encoded = wanted in ("png", "jpg") and can_encode(dtype, first.shape[0], wanted)
    return {
        "label_kind": "map" if is_map else "array",
        "label_shape": tuple(first.shape) if spec.force_same_shape else None,
        "label_dtype": str(dtype),
        "label_encoding": wanted if encoded else "none",
    }


def _is_whole(array: np.ndarray, has_classes: bool) -> bool:
    return array.dtype.kind in "ui" or (has_classes and float(array.reshape(-1)[0]).is_integer())


def _task(label_kind: str, has_classes: bool) -> str:
    if label_kind == "index":
        return str(Task.CLASSIFICATION if has_classes else Task.GENERIC)
    return str({"map": Task.SEGMENTATION, "boxes": Task.DETECTION, "vector": Task.REGRESSION}.get(label_kind, Task.GENERIC))


def _describe(value: Any) -> str:
    if value is None:
        return "None"
    array = np.asarray(value)
    return f"{array.reshape(-1)[0]}" if array.size == 1 else f"an array of shape {array.shape}"


_LABEL_WORDS = {
    "index": "a whole number",
    "vector": "a number",
    "map": "a map of classes",
    "array": "an array",
    "boxes": "a list of boxes",
    "none": "None",
}
