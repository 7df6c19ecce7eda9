"""What a source's label is and how records store it, shown and put into words: the one place that knows the kinds of labels.

The kinds are those of `RecordMeta.label_kind`: `index` int64, `vector` (K,) float32, `map` class indices and `array` numbers
(C, H, W), `boxes` a structured array of `BOX_DTYPE`, `none`. Every message names the plugin, the entry, what was found and what
to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from digits.domain.datasets import DatasetSpec, RecordMeta
from digits.errors import PluginError
from digits.images.palette import class_colours, object_colours
from digits.storage.records.codec import can_encode
from digits.storage.records.reader import BOX_DTYPE, BOX_IGNORED
from digits.tasks.base import Task

SHOWN = 8  # numbers or names of a label that are put into words


def label_array(value: Any, plugin: str, entry: str, task: Task | None = None) -> tuple[str, np.ndarray]:
    """What a label is, in the words of the records, and its array: `none`, `boxes` (n,) of `BOX_DTYPE`, `index` (one number of
    any shape), `array` (C, H, W), maps too. Raises PluginError.

    A task may read a label in its own way (`Task.label_of`).
    """
    if value is None:
        return "none", np.zeros(0)
    array = array_of(value, "label", plugin, entry)
    if array.dtype == BOX_DTYPE and array.ndim == 1:
        return "boxes", array
    array = numeric(array, "label", plugin, entry)
    own = task.label_of(array) if task is not None else None
    if own is not None:
        return own
    if array.size == 1:
        return "index", array
    if array.ndim != 3 or 0 in array.shape:
        raise misfit(plugin, entry, f"the label has the shape {array.shape}", "A scalar or a 3-D array is expected.")
    return "array", array


def as_given(kind: str, array: np.ndarray) -> np.ndarray | None:
    """What `label_array` gave, as a source may give it: None without a label, a single number as a scalar, else (n,) or (C, H,
    W)."""
    if kind == "none":
        return None
    return array.reshape(()) if kind in ("index", "vector") and array.size == 1 else array


def stored_label(value: Any, meta: RecordMeta, task: Task, plugin: str, entry: str) -> Any:
    """A label as the records store it: int, (K,) or (C,H,W) array, boxes, or None. Raises PluginError."""
    kind, array = label_array(value, plugin, entry, task)
    stored, kinds = _STORED[meta.label_kind]
    if kind in kinds:
        return stored(array, meta, plugin, entry)
    found = f"the label is {_describe(value)}, the first was {_WORDS[meta.label_kind]}"
    raise misfit(plugin, entry, found, "Give all labels one form.")


def label_fields(
    labels: Sequence[tuple[str, np.ndarray]], feature_shape: tuple[int, ...], spec: DatasetSpec, class_labels: Sequence[str]
) -> dict[str, Any]:
    """The fields of `RecordMeta` that tell how labels such as these, at least one, are stored: each a kind with its array, (C,
    H, W), (n,) or a scalar, as `label_array` gives them."""
    kind, first = labels[0]
    if kind in ("none", "boxes"):
        return {"label_kind": kind, "label_shape": (), "label_dtype": "int64", "label_encoding": "none"}
    if kind == "vector":
        return {"label_kind": kind, "label_shape": (first.size,), "label_dtype": "float32", "label_encoding": "none"}
    if kind == "index":
        if all(_is_whole(array, bool(class_labels)) for _, array in labels):
            return {"label_kind": "index", "label_shape": (), "label_dtype": "int64"}
        return {"label_kind": "vector", "label_shape": (1,), "label_dtype": "float32"}
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
    """Whether a label of one number, of any shape, is a whole one; classes may come as floats."""
    return array.dtype.kind in "ui" or (has_classes and float(array.reshape(-1)[0]).is_integer())


def _describe(value: Any) -> str:
    if value is None:
        return "None"
    array = np.asarray(value)
    return f"{array.reshape(-1)[0]}" if array.size == 1 else f"an array of shape {array.shape}"


def _index(array: np.ndarray, meta: RecordMeta, plugin: str, entry: str) -> int:
    """The class number that an array of one number, of any shape, is."""
    number = array.reshape(-1)[0]
    index = int(number)
    labels = len(meta.class_labels)
    if index != number:
        raise misfit(plugin, entry, f"the label is {number}, the first was a whole number", "Give all labels one type.")
    if labels and not 0 <= index < labels:
        raise misfit(
            plugin,
            entry,
            f"the label is {index}, but there are {labels} class labels",
            "Use 0 to their number less one.",
        )
    return index


def _vector(array: np.ndarray, meta: RecordMeta, plugin: str, entry: str) -> np.ndarray:
    """An array of any shape as (K,) float32."""
    array = array.astype(np.float32).reshape(-1)
    if array.shape != meta.label_shape:
        wanted = math.prod(meta.label_shape or ())
        raise misfit(plugin, entry, f"the label has {array.size} numbers, the first had {wanted}", "Give all equally many.")
    return array


def _boxes(boxes: np.ndarray, meta: RecordMeta, plugin: str, entry: str) -> np.ndarray:
    """Boxes (n,) whose classes exist; -1, for none of them, is for boxes that do not count."""
    labels = len(meta.class_labels)
    wrong = boxes["class"][(boxes["class"] >= labels) | ((boxes["class"] < 0) & (boxes["flags"] & BOX_IGNORED == 0))]
    if labels and len(wrong):
        raise misfit(
            plugin,
            entry,
            f"a box has the class {wrong[0]}, but there are {labels} class labels",
            "Use 0 to their number less one.",
        )
    return boxes


def _array(array: np.ndarray, meta: RecordMeta, plugin: str, entry: str) -> np.ndarray:
    """(C, H, W) in the type of the records."""
    shape = meta.label_shape
    if shape is not None and array.shape != tuple(shape):
        raise misfit(
            plugin,
            entry,
            f"the label has the shape {array.shape}, the first had {tuple(shape)}",
            "Give all labels one shape, or switch off `force same shape`.",
        )
    return as_dtype(array, np.dtype(meta.label_dtype), "label", plugin, entry)


def label_column(labels: list[Any], meta: RecordMeta, picture: Callable[[np.ndarray, str], bytes]) -> Any:
    """The stored labels of some records as `RecordChunk` takes them: int64 (n,), float32 (n, K), (n, C, H, W), or lists;
    `picture` encodes one array (C, H, W)."""
    if meta.label_kind == "none":
        return None
    if meta.label_kind == "index":
        return np.array(labels, np.int64)
    if meta.label_kind == "boxes":
        return labels
    if meta.label_encoding != "none":
        return [picture(label, meta.label_encoding) for label in labels]
    return np.stack(labels) if meta.label_shape is not None else [label.tobytes() for label in labels]


def label_shapes(labels: list[Any], meta: RecordMeta) -> np.ndarray | None:
    """The shape of each label, int32 (n, 3), where they differ."""
    differ = meta.label_kind in ("map", "array") and meta.label_shape is None
    return np.array([label.shape for label in labels], np.int32) if differ else None


def array_fields(shape: tuple[int, ...] | None, dtype: str, feature_shape: tuple[int, ...] | None) -> dict[str, Any]:
    """The fields of `RecordMeta` of labels that lie as arrays in a database: bytes that are one class a pixel are a map."""
    is_map = feature_shape is not None and shape == (1, *feature_shape[1:]) and dtype == "uint8"
    return {"label_kind": "map" if is_map else "array", "label_shape": shape, "label_dtype": dtype, "label_encoding": "raw"}


def without_labels() -> dict[str, Any]:
    """The fields of `RecordMeta` of records whose labels are left out."""
    return {"label_kind": "none", "label_shape": (), "label_dtype": "int64", "label_encoding": "none", "class_labels": ()}


def words(kind: str, label: np.ndarray, names: Sequence[str]) -> str:
    """A label in words: a number, (K,), (C, H, W), or boxes (n,), as `kind` says."""
    if kind == "none":
        return "no label"
    if kind == "boxes":
        return "no object" if not len(label) else f"{len(label)} box{'es' if len(label) > 1 else ''}"
    if kind in ("index", "vector"):
        return _number_words(kind, label.reshape(-1), names)
    if names and label.shape[0] == 1:
        return ", ".join([names[int(number)] for number in np.unique(label) if number < len(names)][:SHOWN])
    return "×".join(map(str, label.shape[::-1]))


def class_words(kind: str, labels: Any, names: Sequence[str]) -> str:
    """The first of some labels (n, …) in words where it is a class; empty for all others."""
    return words(kind, np.asarray(labels)[0], names) if kind == "index" and labels is not None else ""


def table_label(kind: str, label: Any, names: Sequence[str]) -> tuple[int | None, str]:
    """(class index or None, words) of a label in a table; no words for what is shown as a picture."""
    if kind == "index":
        number = int(label)
        return number, names[number] if number < len(names) else ""
    return None, _number_words(kind, label, ()) if kind == "vector" else ""


def drawn(kind: str, label: np.ndarray, shape: tuple[int, ...], names: Sequence[str]) -> str:
    """How a label, (C, H, W) or boxes (n,), is shown with a feature of `shape` (C, H, W): `boxes` or `map` over it, `picture`
    beside it, or not at all (empty)."""
    if kind == "boxes":
        return kind
    if kind not in ("array", "map"):
        return ""
    if label.shape[0] == 1 and label.shape[1:] == shape[1:] and names:
        return "map"
    return "picture" if min(label.shape[1:]) > 1 else ""


def colours(kinds: set[str], palette: Sequence[int], names: Sequence[str]) -> list[list[int]]:
    """RGB of the classes where labels of these kinds show them; black is not drawn."""
    if "boxes" in kinds:
        return object_colours(len(names), palette)
    return class_colours(len(names), palette, names) if kinds & {"array", "map"} else []


def _number_words(kind: str, numbers: np.ndarray, names: Sequence[str]) -> str:
    """The first of some numbers (K,), or the name of the class that one is."""
    if kind == "index" and names and 0 <= int(numbers[0]) < len(names):
        return names[int(numbers[0])]
    return ", ".join(f"{number:g}" for number in numbers[:SHOWN]) + (", …" if len(numbers) > SHOWN else "")


def misfit(plugin: str, entry: str, found: str, remedy: str) -> PluginError:
    return PluginError(f"{plugin}, {entry}: {found}.", advice=remedy)


def array_of(value: Any, what: str, plugin: str, entry: str) -> np.ndarray:
    """A value of a source as an array of whatever shape and dtype it has, e.g. (C, H, W). Raises PluginError where it makes
    none."""
    try:
        return np.asarray(value)
    except Exception as error:  # lists of several lengths, or whatever an object's own __array__ raises
        found = f"the {what}, a {type(value).__name__}, makes no array ({error})"
        raise misfit(plugin, entry, found, "Return a NumPy array; it cannot have rows of several lengths.") from error


def numeric(array: np.ndarray, what: str, plugin: str, entry: str) -> np.ndarray:
    """An array (any shape) of numbers in the machine's byte order, bool as uint8. Raises PluginError for anything but numbers."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind not in "uif":
        found = f"the {what} has the type {array.dtype}, not numbers"
        raise misfit(plugin, entry, found, "Return a NumPy array of numbers; rows of one length make no object array.")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def as_dtype(array: np.ndarray, dtype: np.dtype, what: str, plugin: str, entry: str) -> np.ndarray:
    """An array (any shape) as `dtype`, without loss. Raises PluginError where values would change."""
    if array.dtype == dtype:
        return array
    if np.can_cast(array.dtype, dtype, "safe"):
        return array.astype(dtype)
    raise misfit(plugin, entry, f"the {what} has the type {array.dtype}, the first had {dtype}", f"Convert all to {array.dtype}.")


def _nothing(array: np.ndarray, meta: RecordMeta, plugin: str, entry: str) -> None:
    return None


_STORED: dict[str, tuple[Callable[[np.ndarray, RecordMeta, str, str], Any], tuple[str, ...]]] = {
    "none": (_nothing, ("none",)),
    "index": (_index, ("index",)),
    "vector": (_vector, ("index", "vector")),
    "boxes": (_boxes, ("boxes",)),
    "map": (_array, ("array",)),
    "array": (_array, ("array",)),
}
_WORDS = {
    "index": "a whole number",
    "vector": "a number",
    "map": "a map of classes",
    "array": "an array",
    "boxes": "a list of boxes",
    "none": "None",
}
