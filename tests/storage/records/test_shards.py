"""Shards: the file of the largest column becomes the shard where it can, and a full disk at the end costs nothing."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from digits.domain.datasets import RecordMeta
from digits.errors import DiskFull
from digits.storage.records import shards
from digits.storage.records.reader import RecordChunk, RecordReader, RecordWriter

ROWS, SHAPE = 50, (3, 24, 20)
FEATURES = np.random.default_rng(0).integers(0, 255, (ROWS, *SHAPE), np.uint8)
META = RecordMeta(task="classification", feature_shape=SHAPE, class_labels=("cat", "dog"))


def filled(path: Path, meta: RecordMeta = META) -> RecordWriter:
    writer = RecordWriter(path, meta)
    for start in range(0, ROWS, 10):
        part = FEATURES[start : start + 10]
        keys = [f"{row:09d}" for row in range(start, start + 10)]
        writer.append(RecordChunk(keys, part, np.arange(10) % 2, sources=[f"{key}.png" for key in keys]))
    return writer


def check(path: Path, meta: RecordMeta) -> None:
    reader = RecordReader(path)
    np.testing.assert_array_equal(reader.array(), FEATURES)
    assert reader.column("source", [ROWS - 1]) == [f"{ROWS - 1:09d}.png"]
    assert reader.meta == meta
    assert sorted(file.name for file in path.iterdir()) == ["records.json", "shard-00000.arrow"]
    with pa.ipc.open_file(str(path / "shard-00000.arrow")) as file:
        batch = file.get_batch(0)
    batch.validate(full=True)


def test_the_file_of_the_features_is_not_copied(tmp_path: Path) -> None:
    writer = filled(tmp_path / "s")
    (column,) = (tmp_path / "s" / "columns" / "00000").glob("feature.data")
    inode = column.stat().st_ino
    meta = replace(META, mean=(0.1, 20.25, 3.0), std=(1 / 3, 2.0, 3.0))
    size = writer.finish(meta)
    shard = tmp_path / "s" / "shard-00000.arrow"
    assert shard.stat().st_ino == inode
    assert shard.stat().st_size == size
    check(tmp_path / "s", meta)


@pytest.mark.parametrize("labels", [3, 40, 41, 42, 43, 44, 45, 46, 47, 2000])
def test_metadata_of_any_length_fits_or_is_copied(tmp_path: Path, labels: int) -> None:
    """What is known at the end may be longer than the room that was left; then everything is copied into a new file."""
    writer = filled(tmp_path / "s")
    meta = replace(META, class_labels=tuple(f"a class with a long name {n}" for n in range(labels)))
    writer.finish(meta)
    check(tmp_path / "s", meta)


@pytest.mark.parametrize("room", [0, 200, 5000])
def test_a_disk_that_fills_up_while_finishing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    writer = filled(tmp_path / "s")
    whole, left = shards._Sink.write, [room]

    def short(self: shards._Sink, data: object) -> int:
        if self.out is not None:
            left[0] -= len(memoryview(data))  # type: ignore[arg-type]
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
        return whole(self, data)

    monkeypatch.setattr(shards._Sink, "write", short)
    with pytest.raises(DiskFull):
        writer.finish()
    assert not (tmp_path / "s" / "records.json").exists()
    monkeypatch.undo()
    writer.finish()
    check(tmp_path / "s", META)


def test_encoded_features_are_copied_as_before(tmp_path: Path) -> None:
    meta = replace(META, feature_encoding="raw")
    writer = RecordWriter(tmp_path / "s", meta)
    rows = [feature.tobytes() for feature in FEATURES]
    shapes = np.tile(np.array(SHAPE, np.int32), (ROWS, 1))
    writer.append(RecordChunk([f"{row:09d}" for row in range(ROWS)], rows, np.zeros(ROWS), shapes=shapes))
    writer.finish()
    reader = RecordReader(tmp_path / "s")
    np.testing.assert_array_equal(np.stack([reader.feature(row) for row in range(ROWS)]), FEATURES)
