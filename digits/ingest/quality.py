"""What is said of finished splits: copies across splits, sizes of the sources, a hash of everything, the mean picture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits.ingest.encode import Sums
from digits.ingest.problems import DUPLICATE
from digits.storage.files import atomic
from digits.storage.records.reader import RecordReader
from digits.utils.constants import MEAN_FILE_IMAGE

MEAN_ARRAY_FILE = "mean.npy"
LISTED_SIZES = 1000


def content_hash(readers: Mapping[str, RecordReader]) -> str:
    """SHA-256 over the hash columns of all splits in order, hexadecimal."""
    digest = hashlib.sha256()
    for name, reader in readers.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(reader.numbers("hash")).data)
    return digest.hexdigest()


def size_histogram(readers: Mapping[str, RecordReader]) -> tuple[tuple[int, int, int], ...]:
    """`(width, height, count)` of the original sizes that are known, most frequent first, at most 1,000 rows."""
    parts = [_packed_sizes(reader) for reader in readers.values()]
    values, counts = np.unique(np.concatenate(parts) if parts else np.zeros(0, np.int64), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:LISTED_SIZES]
    return tuple((int(v >> 32), int(v & 0xFFFFFFFF), int(c)) for v, c in zip(values[order], counts[order], strict=True))


def duplicates(readers: Mapping[str, RecordReader]) -> Iterator[dict[str, Any]]:
    """One problem for each record of a later split that is an exact copy of one in an earlier split."""
    names = list(readers)
    for position, later in enumerate(names):
        found: set[int] = set()
        for earlier in names[:position]:
            for row, original in _copies(readers[earlier], readers[later]):
                if row not in found:
                    found.add(row)
                    yield _duplicate(readers, later, row, earlier, original)


def write_mean(folder: Path, sums: Sums, count: int) -> str:
    """Write `mean.npy` (float32 C,H,W) and, to look at, `mean.jpg`; the latter's name, empty where there is no mean picture."""
    if sums.picture is None or not count:
        return ""
    mean = sums.picture / count
    with atomic(folder / MEAN_ARRAY_FILE) as handle:
        np.save(handle, mean.astype(np.float32))
    shown = mean if mean.shape[0] in (1, 3) else mean[:1]
    if shown.max() > 255 or shown.min() < 0 or shown.max() <= 1:
        low, high = float(shown.min()), float(shown.max())
        shown = (shown - low) * (255.0 / (high - low)) if high > low else np.zeros_like(shown)
    pixels = np.clip(np.rint(shown), 0, 255).astype(np.uint8)
    with atomic(folder / MEAN_FILE_IMAGE) as handle:
        Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(handle, "JPEG", quality=95)
    return MEAN_FILE_IMAGE


def _packed_sizes(reader: RecordReader) -> np.ndarray:
    sizes = reader.numbers("original_size").astype(np.int64)
    packed = (sizes[:, 0] << 32) | sizes[:, 1]
    return packed[packed > 0]


def _copies(first: RecordReader, second: RecordReader) -> Iterator[tuple[int, int]]:
    """(row of `second`, row of `first`) with equal hashes."""
    ours, theirs = _hash_keys(first), _hash_keys(second)
    order = np.argsort(ours, kind="stable")
    places = np.searchsorted(ours, theirs, sorter=order)
    candidates = np.flatnonzero(places < len(ours))
    hits = candidates[ours[order[places[candidates]]] == theirs[candidates]]
    all_first, all_second = first.numbers("hash"), second.numbers("hash")
    for row in hits:
        original = order[places[row]]
        if (all_first[original] == all_second[row]).all():
            yield int(row), int(original)


def _hash_keys(reader: RecordReader) -> np.ndarray:
    """The first eight bytes of each hash as a number."""
    return np.ascontiguousarray(reader.numbers("hash")[:, :8]).view(np.uint64).reshape(-1)


def _duplicate(readers: Mapping[str, RecordReader], later: str, row: int, earlier: str, original: int) -> dict[str, Any]:
    entry, copy_of = _name(readers[later], row), _name(readers[earlier], original)
    return {
        "kind": DUPLICATE,
        "stage": later,
        "entry": entry,
        "copy_of": copy_of,
        "copy_stage": earlier,
        "reason": f"An exact copy of {copy_of} in {earlier}: results on {later} will look better than they are.",
    }


def _name(reader: RecordReader, row: int) -> str:
    return reader.column("source", [row])[0] or reader.column("key", [row])[0]
