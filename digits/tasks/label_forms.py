"""What a source's label is and how records store it, shown and put into words: the one place that knows the kinds of labels.

The kinds are those of `RecordMeta.label_kind`: `index` int64, `vector` (K,) float32, `map` class indices and `array` numbers
(C, H, W), `boxes` a structured array of `BOX_DTYPE`, `none`. Every message names the plugin, the entry, what was found and what
to do.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from digits.domain.datasets import DatasetSpec, RecordMeta
from digits.errors import Misfit
from digits.images.arrays import becomes
from digits.images.palette import class_colours, object_colours
from digits.storage.records.codec import can_encode
from digits.storage.records.reader import BOX_DTYPE, BOX_IGNORED
from digits.tasks.base import Task
from digits.tasks.multi_label import names_in

SHOWN = 8  # numbers or names of a label that are put into words
LARGEST_INDEX = 2**63 - 1
LONGEST = 8  # bytes of a number in records
T = TypeVar("T")


def label_array(value: Any, plugin: str, entry: str, task: Task | None = None) -> tuple[str, np.ndarray]:
    """What a label is, in the words of the records, and its array: `none`, `boxes` (n,) of `BOX_DTYPE`, `index` (one number of
    any shape), `array` (C, H, W), maps too. Raises Misfit.

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


def stored_label(kind: str, array: np.ndarray, meta: RecordMeta, plugin: str, entry: str) -> Any:
    """What `label_array` gave as the records store it: int, (K,) or (C, H, W) array, boxes (n,), or None. Raises Misfit."""
    stored, kinds = _STORED[meta.label_kind]
    if kind in kinds:
        return stored(array, meta, plugin, entry)
    found = f"the label is {_describe(kind, array)}, those of most are {_WORDS[meta.label_kind]}"
    raise misfit(plugin, entry, found, "Give all labels one form.")


class LabelFacts(NamedTuple):
    """What tells how a label is stored: its kind, as `label_array` gives it, shape and type; whether it is one whole number, and
    whether it is an array with one number for each pixel of its feature."""

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype
    is_whole: bool
    lies_over: bool

    @property
    def is_array(self) -> bool:
        return is_array(self.kind)

    def form(self, same_shape: bool) -> tuple[Any, ...]:
        """What is the same for labels that are stored alike."""
        return (self.kind, self.dtype if self.is_array else None, self.shape if self.is_array and same_shape else None)


def is_vector(kind: str) -> bool:
    """Whether labels of a kind are numbers (K,), stored as float32."""
    return kind == "vector"


def is_array(kind: str) -> bool:
    """Whether labels of a kind are numbers (C, H, W) that mean no classes."""
    return kind == "array"


def facts_of(kind: str, array: np.ndarray, feature_shape: tuple[int, ...], has_classes: bool) -> LabelFacts:
    """Of what `label_array` gave: boxes (n,), one number of any shape, or (C, H, W); `feature_shape` is (C, H, W)."""
    is_whole = kind == "index" and _is_whole(array, has_classes)
    shape = (array.size,) if kind == "vector" else tuple(array.shape)
    return LabelFacts(kind, shape, array.dtype, is_whole, kind == "array" and shape == (1, *feature_shape[-2:]))


def label_fields(samples: Sequence[LabelFacts], spec: DatasetSpec, same_shape: bool, has_classes: bool) -> dict[str, Any]:
    """The fields of `RecordMeta` that tell how labels such as these, at least one, are stored: as most of them are."""
    kind = most(one.kind for one in samples)
    alike = [one for one in samples if one.kind == kind]
    if kind in ("none", "boxes"):
        return {"label_kind": kind, "label_shape": (), "label_dtype": "int64", "label_encoding": "none"}
    if kind == "vector":
        shape = most(one.shape for one in alike)
        return {"label_kind": kind, "label_shape": shape, "label_dtype": "float32", "label_encoding": "none"}
    if kind == "index":
        if most(one.is_whole for one in alike) if has_classes else all(one.is_whole for one in alike):
            return {"label_kind": "index", "label_shape": (), "label_dtype": "int64"}
        return {"label_kind": "vector", "label_shape": (1,), "label_dtype": "float32"}
    shape, dtype = most((one.shape, one.dtype) for one in alike)
    is_map = has_classes and dtype.kind in "ui" and most(one.lies_over for one in alike)
    wanted = "png" if is_map and spec.label_encoding == "jpg" else spec.label_encoding  # jpg would change class numbers
    encoded = wanted in ("png", "jpg") and can_encode(dtype, shape[0], wanted)
    return {
        "label_kind": "map" if is_map else "array",
        "label_shape": shape if same_shape else None,
        "label_dtype": str(dtype),
        "label_encoding": wanted if encoded else "none",
    }


def most(values: Iterable[T]) -> T:
    """The most frequent of some values, at least one; of several the one that comes first."""
    return Counter(values).most_common(1)[0][0]


def _is_whole(array: np.ndarray, has_classes: bool) -> bool:
    """Whether a label of one number, of any shape, is a whole one; classes may come as floats."""
    return array.dtype.kind in "ui" or (has_classes and float(array.reshape(-1)[0]).is_integer())


def _describe(kind: str, array: np.ndarray) -> str:
    if kind in ("none", "boxes"):
        return _WORDS[kind]
    return f"{array.reshape(-1)[0]}" if array.size == 1 else f"an array of shape {array.shape}"


def _index(array: np.ndarray, meta: RecordMeta, plugin: str, entry: str) -> int:
    """The class number that an array of one number, of any shape, is."""
    number = array.reshape(-1)[0]
    index = int(number)
    labels = len(meta.class_labels)
    if index != number:
        raise misfit(plugin, entry, f"the label is {number}, those of most are whole numbers", "Give all labels one type.")
    if not -LARGEST_INDEX <= index <= LARGEST_INDEX:
        raise misfit(plugin, entry, f"the label is {index}, which 64 bits cannot hold", "Use smaller numbers.")
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
    if (array.size,) != meta.label_shape:
        wanted = math.prod(meta.label_shape or ())
        raise misfit(plugin, entry, f"the label has {array.size} numbers, those of most {wanted}", "Give all equally many.")
    return _in_range(array, np.dtype(np.float32), "label", plugin, entry).reshape(-1)


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
            f"the label has the shape {array.shape}, those of most {tuple(shape)}",
            "Give a width and height to resize to, or switch off `Enforce same shape`.",
        )
    if meta.label_encoding != "none" and not can_encode(np.dtype(meta.label_dtype), array.shape[0], meta.label_encoding):
        found = f"the label has {array.shape[0]} channels, which {meta.label_encoding} cannot hold"
        raise misfit(plugin, entry, found, "Choose the label encoding `None`.")
    return as_dtype(array, np.dtype(meta.label_dtype), "label", plugin, entry)


def check_classes(array: np.ndarray, meta: RecordMeta, ignored: int, plugin: str, entry: str) -> None:
    """Raises Misfit for a map (C, H, W) with pixels of a class that does not exist; those of the value `ignored` do not count."""
    classes = len(meta.class_labels)
    if meta.label_kind != "map" or not classes or array.max() < classes:
        return
    wrong = array[(array >= classes) & (array != ignored)]
    if len(wrong):
        found = f"the label has {len(wrong)} pixels of classes from {wrong.min()} on, but there are {classes} class labels"
        raise misfit(plugin, entry, found, f"Use 0 to their number less one, {ignored} for pixels that do not count.")


def label_column(labels: list[Any], meta: RecordMeta, pictures: list[bytes]) -> Any:
    """The stored labels of some records as `RecordChunk` takes them: int64 (n,), float32 (n, K), (n, C, H, W), or lists;
    `pictures` are those that are encoded."""
    if meta.label_kind == "none":
        return None
    if meta.label_kind == "index":
        return np.array(labels, np.int64)
    if meta.label_kind == "boxes":
        return labels
    if meta.label_encoding != "none":
        return pictures
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
    if kind == "vector" and names:
        return names_in(label, names)
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


def misfit(plugin: str, entry: str, found: str, remedy: str) -> Misfit:
    error = Misfit(f"{plugin}, {entry}: {found}.", advice=remedy)
    error.found = found
    return error


def array_of(value: Any, what: str, plugin: str, entry: str) -> np.ndarray:
    """A value of a source as an array of whatever shape and dtype it has, e.g. (C, H, W). Raises Misfit where it makes
    none."""
    try:
        return np.asarray(value)
    except Exception as error:  # lists of several lengths, or whatever an object's own __array__ raises
        found = f"the {what}, a {type(value).__name__}, makes no array ({error})"
        raise misfit(plugin, entry, found, "Return a NumPy array; it cannot have rows of several lengths.") from error


def numeric(array: np.ndarray, what: str, plugin: str, entry: str) -> np.ndarray:
    """An array (any shape) of numbers in the machine's byte order, bool as uint8, more than 64 bits as 64. Raises Misfit for
    anything but numbers."""
    if array.dtype == bool:
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and array.dtype.itemsize > LONGEST:
        with np.errstate(over="ignore"):
            return array.astype(np.float64)
    if array.dtype.kind not in "uif":
        found = f"the {what} has the type {array.dtype}, not numbers"
        raise misfit(plugin, entry, found, "Return a NumPy array of numbers; rows of one length make no object array.")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def as_dtype(array: np.ndarray, dtype: np.dtype, what: str, plugin: str, entry: str) -> np.ndarray:
    """An array (any shape) as `dtype`. Raises Misfit where values would change by more than the precision of its numbers."""
    if array.dtype == dtype:
        return array
    if not becomes(array.dtype, dtype):
        found = f"the {what} has the type {array.dtype}, those of most {dtype}"
        raise misfit(plugin, entry, found, f"Encode all alike, as {dtype}.")
    return _in_range(array, dtype, what, plugin, entry)


def _in_range(array: np.ndarray, dtype: np.dtype, what: str, plugin: str, entry: str) -> np.ndarray:
    """An array (any shape) cast to `dtype`. Raises Misfit where a finite value lies beyond it."""
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if array.dtype.kind == "f" and dtype.itemsize < array.dtype.itemsize:
        beyond = int(np.count_nonzero(np.isfinite(array) & ~np.isfinite(cast)))
        if beyond:
            found = f"the {what} has {beyond} values beyond the range of {dtype}"
            raise misfit(plugin, entry, found, "Give them in a smaller unit, or leave the entry out.")
    return cast


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
