"""The encoding half of ingest: entries become columns of records, a chunk at a time. Runs in pool processes (spawned),
threads, or in place; nothing here writes files. `encoded` does the same to one entry outside a data set."""

from __future__ import annotations

import hashlib
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError, DigitsError, Misfit, complaint_of
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import Sample, reading_for
from digits.ingest.problems import CONVERTED
from digits.ingest.record_schema import RecordSchema, check_finite, feature_array
from digits.ingest.split_statistics import LabelStatistics, Sums
from digits.storage.records.codec import encode
from digits.storage.records.reader import HASH_BYTES, RecordChunk
from digits.tasks import get
from digits.tasks.label_forms import as_given, label_array, label_column, label_shapes, misfit
from digits.utils.compatibility import advice_for

ENTRY_TEXT = 300  # characters of an entry that messages show
MOST_PARTS = 20  # numbers of an array in an entry that are written out
TRACE_FRAMES = 5
TRACE_TEXT = 2000
CheckedPair = tuple[NDArray[Any], NDArray[Any] | None]
Allocate = Callable[[tuple[int, ...], np.dtype], np.ndarray | None]
NO_SAMPLE = "The source gave no sample for this entry."
SAMPLE_ADVICE = "Give `source` and `group` as text, `original_size` as (width, height), `digest` as 16 bytes or none."


@dataclass(frozen=True)
class LostEntry:
    """Stands for an entry that the source's list of them did not give."""

    number: int
    reason: str

    def __str__(self) -> str:
        return f"number {self.number}"


@dataclass
class EncodedChunk:
    """Records of consecutive entries, what was left out among them as (entry, reason), entries of which the source gave no
    sample, what was noted without leaving anything out as (entry, kind, reason), and what it took.

    `lost` is the number of entries that were left out; of one that gave several samples, the share of them.
    """

    records: RecordChunk
    entries: int
    skipped: list[tuple[str, str]] = field(default_factory=list)
    without_sample: list[str] = field(default_factory=list)
    lost: float = 0.0
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)
    statistics: LabelStatistics = field(default_factory=LabelStatistics)
    seconds: float = 0.0
    in_shared_memory: bool = False  # whether the features lie in memory that the caller allocated


class Encoder:
    """Turns entries into records of one schema. What cannot be one is left out with its reason; it never ends the job."""

    def __init__(self, source: DataIngestionInterface, schema: RecordSchema) -> None:
        self.source, self.schema = source, schema

    def encode(self, start: int, entries: Sequence[Any], with_picture: bool, allocate: Allocate | None = None) -> EncodedChunk:
        """Encode entries `start`, `start` + 1, …

        `allocate(shape, dtype)` may offer an array that unencoded features are put into.
        """
        began = time.perf_counter()
        rows = _Rows()
        chunk = EncodedChunk(RecordChunk([], []), len(entries))
        with reading_for(self.source):  # once, not for each entry: a picture of 28×28 takes hardly longer
            self._add_entries(rows, chunk, start, entries)
        if rows.keys:
            features, chunk.in_shared_memory = self._stacked(rows.features, allocate)
            chunk.records, chunk.sums = self._columns(rows, features, with_picture)
            chunk.statistics.mark(chunk.records.hashes or (), rows.labels)
            chunk.statistics.add(self.schema.meta, rows.labels, chunk.records.shapes, self.schema.ignored)
            chunk.notes = rows.notes
        chunk.seconds = time.perf_counter() - began
        return chunk

    def _add_entries(self, rows: _Rows, chunk: EncodedChunk, start: int, entries: Sequence[Any]) -> None:
        for number, entry in enumerate(entries, start):
            try:
                samples = _samples(self.source, entry, self.schema.plugin)
            except (DataError, Misfit) as error:
                chunk.skipped.append((entry_text(entry), reason_of(error)))
                chunk.lost += 1
                continue
            if isinstance(samples, list):
                self._add_all(rows, chunk, number, samples, entry)
            elif fault := self._add(rows, f"{number:09d}", samples, entry):
                chunk.skipped.append((entry_text(entry), fault))
                chunk.lost += 1

    def _add_all(self, rows: _Rows, chunk: EncodedChunk, number: int, samples: list[Any], entry: Any) -> None:
        if not samples:
            chunk.without_sample.append(entry_text(entry))
        for part, sample in enumerate(samples):
            if fault := self._add(rows, f"{number:09d}/{part}", sample, entry):
                chunk.skipped.append((f"{entry_text(entry)}, sample {part + 1} of {len(samples)}", fault))
                chunk.lost += 1 / len(samples)

    def _add(self, rows: _Rows, key: str, sample: Any, entry: Any) -> str:
        """Take in one sample whole; where it cannot be a record nothing of it, and why."""
        text = named(entry)
        try:
            feature, converted = self.schema.feature(sample[0], text)
            label, changed = self.schema.label(sample[1], text)
            encoded, picture = self._encoded(feature), self._label_picture(label)
            about = _About.of(sample, self.schema.plugin, text)
        except Misfit as error:
            return reason_of(error)
        except Exception as error:  # what a source gives may fail wherever it is used
            return f"{self.schema.plugin}, {text}: it cannot be stored ({type(error).__name__}: {error})."
        rows.features.append(feature)
        rows.encoded.append(encoded)
        rows.labels.append(label)
        rows.pictures.append(picture)
        rows.keys.append(key)
        rows.about.append(about)
        notes = [*about.notes, *((CONVERTED, done) for done in (converted, changed) if done)]
        rows.notes += [(entry_text(entry), kind, reason) for kind, reason in notes]
        return ""

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
        chunk = RecordChunk(
            keys=rows.keys,
            features=features if features is not None and meta.feature_encoding == "none" else rows.encoded,
            labels=label_column(rows.labels, meta, rows.pictures),
            shapes=np.array([f.shape for f in rows.features], np.int32),
            sources=[one.source for one in rows.about],
            original_sizes=np.array([one.original_size for one in rows.about], np.int32),
            groups=[one.group for one in rows.about],
            hashes=[one.digest or digest_of(f) for one, f in zip(rows.about, rows.features, strict=True)],
        )
        chunk.label_shapes = label_shapes(rows.labels, meta)
        return chunk, _sums(features, rows.features, with_picture)

    def _encoded(self, feature: np.ndarray) -> bytes:
        """A feature (C, H, W) as bytes of the records' encoding; empty where they hold the numbers themselves. Raises Misfit."""
        encoding = self.schema.meta.feature_encoding
        if encoding == "none":
            return b""
        return feature.tobytes() if encoding == "raw" else self._picture(feature, encoding)

    def _label_picture(self, label: Any) -> bytes:
        """An encoded label (C, H, W); empty where labels are stored otherwise. Raises Misfit."""
        encoding = self.schema.meta.label_encoding
        return self._picture(label, encoding) if encoding != "none" and isinstance(label, np.ndarray) else b""

    def _picture(self, array: np.ndarray, encoding: str) -> bytes:
        try:
            return encode(array, encoding, self.schema.quality)
        except (DigitsError, OSError, ValueError) as error:  # what the format, or its library, cannot hold
            raise Misfit(f"{self.schema.plugin}: {error}", advice="Choose the encoding `auto` or `none`.") from error


@dataclass(frozen=True)
class _About:
    """What a sample says of itself beside feature and label, in the types that records hold."""

    source: str = ""
    original_size: tuple[int, int] = (0, 0)
    group: str = ""
    digest: bytes = b""
    notes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, sample: Any, plugin: str, entry: str) -> _About:
        """Raises Misfit for what records cannot hold."""
        if not isinstance(sample, Sample):
            return _NOTHING
        try:
            width, height = sample.original_size
            digest, notes = bytes(sample.digest), tuple((str(kind), str(reason)) for kind, reason in sample.notes)
            if len(digest) not in (0, HASH_BYTES):
                raise ValueError(f"a digest of {len(digest)} bytes, not {HASH_BYTES}")
            return cls(str(sample.source), (int(width), int(height)), str(sample.group), digest, notes)
        except (TypeError, ValueError) as error:
            raise misfit(plugin, entry, f"what the sample says of itself cannot be stored ({error})", SAMPLE_ADVICE) from error


_NOTHING = _About()


@dataclass
class _Rows:
    """Samples of a chunk before they become columns."""

    keys: list[str] = field(default_factory=list)
    features: list[np.ndarray] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)  # labels that are encoded
    about: list[_About] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)


def entry_at(entries: Sequence[Any], number: int, plugin: str) -> Any:
    """An entry of a source's list, which may be made as it is asked for: a `LostEntry` where that fails."""
    try:
        return entries[number]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the list is a plugin's own
        return LostEntry(number, f"{plugin}: entries[{number}] failed with {type(error).__name__}: {error}")


def samples_of(source: DataIngestionInterface, entry: Any, plugin: str) -> Any:
    """What `encode_entry` gives: a pair, or a list of pairs.

    Raises DataError for an entry that cannot be encoded, with the traceback where the source raised something unforeseen; Misfit
    when what it gives is nothing that can be a record. Either way it is left out.
    """
    with reading_for(source):
        return _samples(source, entry, plugin)


def _samples(source: DataIngestionInterface, entry: Any, plugin: str) -> Any:
    """`samples_of` for a caller that reads for the source already."""
    if isinstance(entry, LostEntry):
        raise DataError(entry.reason)
    try:
        result = source.encode_entry(entry)
    except (DataError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a plugin may raise anything: the entry is skipped, the reason says where
        where = "".join(traceback.format_exception(error, limit=-TRACE_FRAMES)).rstrip()
        text = f"{plugin}: encode_entry failed with {type(error).__name__}: {error}\n{where[-TRACE_TEXT:]}"
        failed = DataError("\n".join(filter(None, (text, advice_for(error)))))
        failed.complaint = complaint_of(error)
        raise failed from error
    if isinstance(result, tuple) and len(result) == 2:
        return result
    if isinstance(result, list) and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in result):
        return result
    raise misfit(
        plugin,
        named(entry),
        f"encode_entry returned {_shape_of(result)}",
        "It must return (feature, label), a list of such pairs, or an empty list to skip the entry.",
    )


def reason_of(error: DigitsError) -> str:
    """Why an entry is left out, for a list that names it anyway."""
    if not isinstance(error, Misfit) or not error.found:
        return str(error)
    return f"{error.found[0].upper()}{error.found[1:]}. {error.advice}".strip()


def entry_text(entry: Any) -> str:
    """An entry as messages and keys show it: a tuple that begins with a text by that text, others by all their parts."""
    try:
        text = entry[0] if isinstance(entry, tuple) and entry and isinstance(entry[0], str) else _readable(entry)
    except Exception:  # an object of a plugin that cannot say what it is
        text = f"a {type(entry).__name__}"
    return text if len(text) <= ENTRY_TEXT else text[:ENTRY_TEXT] + "…"


def _readable(part: Any, inside: bool = False) -> str:
    """`0.5, left` for `(np.float32(0.5), "left")`: without quotes, types of NumPy and addresses of objects."""
    if isinstance(part, str):
        return part
    if isinstance(part, bytes):
        return part.decode(errors="backslashreplace")
    if isinstance(part, np.ndarray):
        small = part.size <= MOST_PARTS
        return _readable(tuple(part) if part.ndim else part[()], inside) if small else f"array of shape {part.shape}"
    if isinstance(part, os.PathLike):
        return str(os.fspath(part))
    if isinstance(part, dict):
        return ", ".join(f"{_readable(name)}={_readable(value, True)}" for name, value in part.items())
    if isinstance(part, tuple | list):
        text = ", ".join(_readable(one, True) for one in part)
        return f"({text})" if inside else text
    says = type(part).__str__ is not object.__str__ or type(part).__repr__ is not object.__repr__
    return str(part) if says else type(part).__name__


def named(entry: Any) -> str:
    """An entry in the middle of a message."""
    return f"entry {entry_text(entry)}"


def _shape_of(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"a {type(result).__name__} of {len(result)} values"
    return "None" if result is None else f"a value of type {type(result).__name__}"


def digest_of(feature: np.ndarray) -> bytes:
    """The hash, 16 bytes, of a record that brings none of its own: of the bytes of its feature (C, H, W), of any type."""
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

    Raises DataError where `encode_entry` fails and Misfit for what cannot be a record; `plugin` is its name in messages.
    """
    return [pair for pair, _ in encoded_with_notes(source, entry, plugin)]


def encoded_with_notes(source: DataIngestionInterface, entry: Any, plugin: str) -> list[tuple[CheckedPair, list[str]]]:
    """The same, each with what the source notes on it."""
    found = samples_of(source, entry, plugin)
    pairs, text = found if isinstance(found, list) else [found], named(entry)
    return [
        (_checked(source, pair, plugin, text), [reason for _, reason in _About.of(pair, plugin, text).notes]) for pair in pairs
    ]


def _checked(source: DataIngestionInterface, pair: Any, plugin: str, entry: str) -> CheckedPair:
    feature = feature_array(pair[0], plugin, entry)
    kind, label = label_array(pair[1], plugin, entry, get(source.get_task() or ""))
    for what, array in (("feature", feature), ("label", label)):
        check_finite(array, what, plugin, entry)
    return feature, as_given(kind, label)
