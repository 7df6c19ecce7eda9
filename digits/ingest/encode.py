"""The encoding half of ingest: entries become columns of records, a chunk at a time. Runs in pool processes (spawned),
threads, or in place; nothing here writes files. `encoded` does the same to one entry outside a data set."""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError, DigitsError, PluginError
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import Sample
from digits.ingest.record_schema import RecordSchema, check_finite, feature_array
from digits.ingest.split_statistics import LabelStatistics, Sums
from digits.storage.records.codec import encode
from digits.storage.records.reader import HASH_BYTES, RecordChunk
from digits.tasks import get
from digits.tasks.label_forms import as_given, label_array, label_column, label_shapes
from digits.utils.compatibility import advice_for

ENTRY_TEXT = 300  # characters of an entry that messages show
TRACE_FRAMES = 5
TRACE_TEXT = 2000
CheckedPair = tuple[NDArray[Any], NDArray[Any] | None]
Allocate = Callable[[tuple[int, ...], np.dtype], np.ndarray | None]
_NONE_SKIPPED: tuple[str, str] = ("", "The source gave no sample for this entry.")


@dataclass
class EncodedChunk:
    """Records of consecutive entries, what was skipped among them as (entry, reason), what was noted without skipping as
    (entry, kind, reason), and what it took."""

    records: RecordChunk
    entries: int
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)
    statistics: LabelStatistics = field(default_factory=LabelStatistics)
    seconds: float = 0.0
    in_shared_memory: bool = False  # whether the features lie in memory that the caller allocated


class Encoder:
    """Turns entries into records of one schema."""

    def __init__(self, source: DataIngestionInterface, schema: RecordSchema) -> None:
        self.source, self.schema = source, schema

    def encode(self, start: int, entries: Sequence[Any], with_picture: bool, allocate: Allocate | None = None) -> EncodedChunk:
        """Encode entries `start`, `start` + 1, … Raises PluginError naming plugin and entry.

        `allocate(shape, dtype)` may offer an array that unencoded features are put into.
        """
        began = time.perf_counter()
        rows = _Rows()
        skipped: list[tuple[str, str]] = []
        for number, entry in enumerate(entries, start):
            try:
                samples = samples_of(self.source, entry, self.schema.plugin)
            except DataError as error:
                skipped.append((entry_text(entry), str(error)))
                continue
            if not samples:
                skipped.append((entry_text(entry), _NONE_SKIPPED[1]))
            elif isinstance(samples, list):
                for part, sample in enumerate(samples):
                    self._add(rows, f"{number:09d}/{part}", sample, entry)
            else:
                self._add(rows, f"{number:09d}", samples, entry)
        chunk = EncodedChunk(RecordChunk([], []), len(entries), skipped)
        if rows.keys:
            features, chunk.in_shared_memory = self._stacked(rows.features, allocate)
            chunk.records, chunk.sums = self._columns(rows, features, with_picture)
            chunk.statistics.add(self.schema.meta, rows.labels, chunk.records.shapes, self.schema.ignored)
            chunk.notes = rows.notes
        chunk.seconds = time.perf_counter() - began
        return chunk

    def _add(self, rows: _Rows, key: str, sample: Any, entry: Any) -> None:
        text = named(entry)
        feature, label = sample
        rows.features.append(self.schema.feature(feature, text))
        rows.labels.append(self.schema.label(label, text))
        rows.keys.append(key)
        rows.entries.append(text)
        known = isinstance(sample, Sample)
        rows.sources.append(sample.source if known else "")
        rows.groups.append(sample.group if known else "")
        rows.sizes.append(sample.original_size if known else (0, 0))
        rows.digests.append(sample.digest if known else b"")
        rows.notes += [(entry_text(entry), kind, reason) for kind, reason in sample.notes] if known else []

    def _stacked(self, features: list[np.ndarray], allocate: Allocate | None) -> tuple[np.ndarray | None, bool]:
        """All features as one array where they are of one shape, and whether it is the one that `allocate` offered."""
        meta = self.schema.meta
        if meta.feature_shape is None:
            return None, False
        shape, dtype = (len(features), *features[0].shape), features[0].dtype
        offered = allocate(shape, dtype) if allocate is not None and meta.feature_encoding == "none" else None
        if offered is None:
            return np.stack(features), False
        return np.stack(features, out=offered), True

    def _columns(self, rows: _Rows, features: np.ndarray | None, with_picture: bool) -> tuple[RecordChunk, Sums]:
        meta = self.schema.meta
        self._check_finite(rows, features)
        chunk = RecordChunk(
            keys=rows.keys,
            features=features if features is not None and meta.feature_encoding == "none" else self._encoded(rows.features),
            labels=label_column(rows.labels, meta, self._picture),
            shapes=np.array([f.shape for f in rows.features], np.int32),
            sources=rows.sources,
            original_sizes=np.array(rows.sizes, np.int32),
            groups=rows.groups,
            hashes=[d or _digest(f) for d, f in zip(rows.digests, rows.features, strict=True)],
        )
        chunk.label_shapes = label_shapes(rows.labels, meta)
        return chunk, _sums(features, rows.features, with_picture)

    def _encoded(self, features: list[np.ndarray]) -> list[bytes]:
        encoding = self.schema.meta.feature_encoding
        if encoding == "raw":
            return [feature.tobytes() for feature in features]
        return [self._picture(feature, encoding) for feature in features]

    def _picture(self, feature: np.ndarray, encoding: str) -> bytes:
        try:
            return encode(feature, encoding, self.schema.quality)
        except DigitsError as error:
            raise PluginError(f"{self.schema.plugin}: {error.message}", advice="Choose the encoding `auto` or `none`.") from error

    def _check_finite(self, rows: _Rows, features: np.ndarray | None) -> None:
        fine = features is not None and (features.dtype.kind != "f" or bool(np.isfinite(features).all()))
        for feature, label, text in zip(rows.features, rows.labels, rows.entries, strict=True):
            if not fine:
                check_finite(feature, "feature", self.schema.plugin, text)
            if isinstance(label, np.ndarray) and label.dtype.kind in "fV":
                check_finite(label, "label", self.schema.plugin, text)


@dataclass
class _Rows:
    """Samples of a chunk before they become columns."""

    keys: list[str] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)


def samples_of(source: DataIngestionInterface, entry: Any, plugin: str) -> Any:
    """What `encode_entry` gives: a pair, or a list of pairs.

    Raises DataError for an entry that cannot be encoded (it is skipped), with the traceback where the source raised something
    unforeseen; PluginError when what it gives is nothing that can be a record.
    """
    try:
        result = source.encode_entry(entry)
    except DataError:
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything: the entry is skipped, the reason says where
        where = "".join(traceback.format_exception(error, limit=-TRACE_FRAMES)).rstrip()
        text = f"{plugin}: encode_entry failed with {type(error).__name__}: {error}\n{where[-TRACE_TEXT:]}"
        raise DataError("\n".join(filter(None, (text, advice_for(error))))) from error
    if isinstance(result, tuple) and len(result) == 2:
        return result
    if isinstance(result, list) and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in result):
        return result
    raise PluginError(
        f"{plugin}, {named(entry)}: encode_entry returned {_shape_of(result)}.",
        advice="It must return (feature, label), a list of such pairs, or an empty list to skip the entry.",
    )


def entry_text(entry: Any) -> str:
    """An entry as messages show it."""
    text = entry[0] if isinstance(entry, tuple) and entry and isinstance(entry[0], str) else str(entry)
    return text if len(text) <= ENTRY_TEXT else text[:ENTRY_TEXT] + "…"


def named(entry: Any) -> str:
    """An entry in the middle of a message."""
    return f"entry {entry_text(entry)}"


def _shape_of(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"a {type(result).__name__} of {len(result)} values"
    return "None" if result is None else f"a value of type {type(result).__name__}"


def _digest(feature: np.ndarray) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(feature).data, digest_size=HASH_BYTES).digest()


def _sums(stacked: np.ndarray | None, features: list[np.ndarray], with_picture: bool) -> Sums:
    sums = Sums()
    if stacked is not None:
        sums.add(stacked, with_picture)
        return sums
    for feature in features:
        one = Sums()
        one.add(feature[np.newaxis], False)
        sums.merge(one)
    return sums


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
    kind, label = label_array(pair[1], plugin, entry, get(source.get_task() or ""))
    for what, array in (("feature", feature), ("label", label)):
        check_finite(array, what, plugin, entry)
    return feature, as_given(kind, label)
