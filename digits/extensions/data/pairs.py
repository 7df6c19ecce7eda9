"""Checks what a data source hands over: entries and `(feature, label)` pairs. A refusal names source, entry and remedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.domain.datasets import STAGES
from digits.domain.jobs import Task
from digits.errors import PluginError
from digits.extensions.data.interface import DataIngestionInterface
from digits.storage.records import BOX_DTYPE

CheckedPair = tuple[NDArray[Any], NDArray[Any] | None]


def entries_of(instance: DataIngestionInterface, stage: str) -> list[Any]:
    """The entries of a stage as a list. Raises PluginError when the source gives none of the kinds that can be listed."""
    entries = instance.itemize_entries(stage)
    if entries is None or isinstance(entries, str | bytes | dict) or not isinstance(entries, Iterable):
        raise PluginError(
            f"itemize_entries({stage!r}) of {name_of(instance)} gave {type(entries).__name__}.",
            advice=f"Return a list for each of {', '.join(STAGES)}; an empty list means no such split.",
        )
    return list(entries)


def encoded(instance: DataIngestionInterface, entry: Any) -> list[CheckedPair]:
    """What `encode_entry` makes of one entry, as a list: features (C, H, W), labels (C, H, W), (), None, or
    boxes (n,) of `BOX_DTYPE`; in regression also (K,).

    An empty list means that the source skips the entry. Raises PluginError for anything that cannot be a record, and
    lets what `encode_entry` itself raises through.
    """
    result = instance.encode_entry(entry)
    pairs = [result] if isinstance(result, tuple) else result
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        raise PluginError(
            f"encode_entry({entry!r:.100}) of {name_of(instance)} gave {_describe(result)}.",
            advice="Return (feature, label), a list of such pairs, or an empty list to skip the entry.",
        )
    return [(_feature(instance, entry, feature), _label(instance, entry, label)) for feature, label in pairs]


def name_of(instance: DataIngestionInterface) -> str:
    """How messages name a source."""
    return f"the plugin {instance.get_id()}"


def _feature(instance: DataIngestionInterface, entry: Any, value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    if array.ndim != 3 or array.dtype.kind not in "biuf" or array.size == 0:
        raise PluginError(
            f"The feature of entry {entry!r:.100} of {name_of(instance)} has shape {array.shape} and type {array.dtype}.",
            advice="A feature is an array of numbers of shape (C, H, W); add an axis to a grey picture with feature[np.newaxis].",
        )
    return _finite(instance, entry, array, "feature")


def _label(instance: DataIngestionInterface, entry: Any, value: Any) -> NDArray[Any] | None:
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype == BOX_DTYPE and array.ndim == 1:
        return array
    if array.ndim == 1 and array.size and array.dtype.kind in "biuf" and instance.get_task() == Task.REGRESSION:
        return _finite(instance, entry, array, "label")
    if array.dtype.kind not in "biuf" or array.size == 0 or (array.ndim != 3 and array.size != 1):
        raise PluginError(
            f"The label of entry {entry!r:.100} of {name_of(instance)} has shape {array.shape} and type {array.dtype}.",
            advice="A label is a number, an array of size 1, or an array of numbers of shape (C, H, W).",
        )
    return _finite(instance, entry, array if array.ndim == 3 else array.reshape(()), "label")


def _finite(instance: DataIngestionInterface, entry: Any, array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise PluginError(
            f"The {what} of entry {entry!r:.100} of {name_of(instance)} holds values that are not finite (NaN or infinity).",
            advice="Replace them in encode_entry, or return an empty list to skip the entry.",
        )
    return array


def _describe(result: Any) -> str:
    if isinstance(result, list) and result:
        return f"a list with {type(result[0]).__name__} in it"
    return type(result).__name__
