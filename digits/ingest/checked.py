"""Entries encoded one by one, outside a data set: for testing a model with them, and for the tests of plugins' authors.

Holds: the checks and the words are those of the ingest (`digits.ingest.record_schema`), so what passes here can become a record.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from digits.extensions.data.interface import DataIngestionInterface
from digits.ingest.encode import named, samples_of
from digits.ingest.record_schema import check_finite, feature_array, label_array

CheckedPair = tuple[NDArray[Any], NDArray[Any] | None]


def encoded(source: DataIngestionInterface, entry: Any, plugin: str) -> list[CheckedPair]:
    """What a source makes of one entry: features (C, H, W); labels (), (C, H, W), boxes (n,) of `BOX_DTYPE`, (K,) in
    regression, or None. An empty list means that the source skips the entry.

    Raises DataError where `encode_entry` fails and PluginError for what cannot be a record; `plugin` is its name in messages.
    """
    found = samples_of(source, entry, plugin)
    pairs = found if isinstance(found, list) else [found]
    return [_checked(source, pair, plugin, named(entry)) for pair in pairs]


def _checked(source: DataIngestionInterface, pair: Any, plugin: str, entry: str) -> CheckedPair:
    feature = feature_array(pair[0], plugin, entry)
    kind, label = label_array(pair[1], plugin, entry, str(source.get_task() or ""))
    for what, array in (("feature", feature), ("label", label)):
        check_finite(array, what, plugin, entry)
    if kind == "none":
        return feature, None
    return feature, label.reshape(()) if kind == "scalar" else label
