"""Records: what is written comes back, pyarrow alone can read it, and nothing unfinished looks whole."""

from __future__ import annotations

import errno
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from digits.domain.datasets import DatasetInfo, RecordMeta, SplitInfo
from digits.errors import DiskFull, StorageError
from digits.storage.files import write_json
from digits.storage.records import codec
from digits.storage.records.open import find_split, open_records, open_split
from digits.storage.records.reader import BOX_DTYPE, RecordChunk, RecordReader, RecordWriter, is_complete

LABELS = ("cat", "dog", "owl")


def keys(count: int, start: int = 0) -> list[str]:
    return [f"{i:09d}" for i in range(start, start + count)]


def write(path: Path, meta: RecordMeta, *chunks: RecordChunk, **options: object) -> RecordReader:
    writer = RecordWriter(path, meta, **options)  # type: ignore[arg-type]
    for chunk in chunks:
        writer.append(chunk)
    writer.finish()
    return RecordReader(path)


def indexed(shape: tuple[int, int, int] = (1, 4, 5), dtype: str = "uint8") -> RecordMeta:
    return RecordMeta(task="classification", feature_shape=shape, feature_dtype=dtype, class_labels=LABELS)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int64", "float16", "float32", "float64"])
def test_unencoded_features_are_one_read_only_array(tmp_path: Path, dtype: str) -> None:
    features = (np.random.default_rng(0).random((20, 3, 4, 5)) * 200).astype(dtype)
    labels = np.arange(20) % 3
    reader = write(tmp_path / "s", indexed((3, 4, 5), dtype), RecordChunk(keys(20), features, labels))
    array = reader.array()
    assert array is not None
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, features)
    assert not array.flags.writeable
    batch = reader.features([7, 0, 7])
    np.testing.assert_array_equal(batch, features[[7, 0, 7]])
    batch[:] = 0  # a batch is a copy
    np.testing.assert_array_equal(reader.feature(7), features[7])
    np.testing.assert_array_equal(reader.labels([4, 2]), [1, 2])


def test_shards_read_as_one(tmp_path: Path) -> None:
    features = np.random.default_rng(1).integers(0, 255, (30, 1, 4, 5), np.uint8)
    labels = np.arange(30) % 3
    chunks = [RecordChunk(keys(5, i), features[i : i + 5], labels[i : i + 5]) for i in range(0, 30, 5)]
    reader = write(tmp_path / "s", indexed(), *chunks, shard_bytes=300)
    assert len(list((tmp_path / "s").glob("*.arrow"))) > 2
    assert reader.array() is None
    order = np.random.default_rng(2).permutation(30)
    np.testing.assert_array_equal(reader.features(order), features[order])
    np.testing.assert_array_equal(reader.labels(order), labels[order])
    np.testing.assert_array_equal(reader.find_class(2), np.flatnonzero(labels == 2))
    assert reader.column("key", [0, 29]) == ["000000000", "000000029"]
    np.testing.assert_array_equal(reader.class_counts(3), [10, 10, 10])


def test_pyarrow_alone_reads_a_shard_as_one_batch_without_nulls(tmp_path: Path) -> None:
    features = np.arange(60, dtype=np.uint8).reshape(3, 1, 4, 5)
    chunk = RecordChunk(
        keys(3),
        features,
        np.array([2, 0, 1]),
        sources=["a.png", "b.png", "ü.png"],
        original_sizes=np.array([[7, 8], [9, 10], [11, 12]]),
        groups=["g", "", "h"],
        hashes=[bytes([i] * 16) for i in range(3)],
    )
    write(tmp_path / "s", indexed(), chunk)
    with pa.memory_map(str(tmp_path / "s" / "shard-00000.arrow")) as source, pa.ipc.open_file(source) as file:
        assert file.num_record_batches == 1
        table = file.read_all()
    assert table.column_names == ["feature", "key", "label", "shape", "source", "original_size", "group", "hash"]
    assert not any(field.nullable for field in table.schema)
    assert all(column.null_count == 0 for column in table.columns)
    rows = table.to_pylist()
    assert rows[2]["source"] == "ü.png"
    assert rows[1]["feature"] == list(range(20, 40))
    assert rows[0]["original_size"] == [7, 8]
    assert rows[0]["shape"] == [1, 4, 5]
    assert json.loads(table.schema.metadata[b"digits"])["class_labels"] == list(LABELS)


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"), [("png", "uint8", 1), ("png", "uint8", 3), ("png", "uint16", 1), ("raw", "float32", 5)]
)
def test_lossless_encodings_and_shapes_that_differ(tmp_path: Path, encoding: str, dtype: str, channels: int) -> None:
    rng = np.random.default_rng(3)
    features = [(rng.random((channels, 3 + i, 9 - i)) * 255).astype(dtype) for i in range(5)]
    data = [f.tobytes() if encoding == "raw" else codec.encode(f, encoding) for f in features]
    meta = RecordMeta("generic", None, dtype, encoding, label_kind="none")
    reader = write(tmp_path / "s", meta, RecordChunk(keys(5), data, shapes=np.array([f.shape for f in features])))
    for i, feature in enumerate(features):
        found = reader.feature(i)
        assert found.dtype == feature.dtype
        np.testing.assert_array_equal(found, feature)
    assert reader.labels([0]) is None
    assert reader.array() is None
    assert (reader.encoded(1) == data[1]) == (encoding == "png")
    with pytest.raises(StorageError, match="differ in shape"):
        reader.features([0, 1])


def test_labels_of_every_kind(tmp_path: Path) -> None:
    features = np.zeros((3, 1, 4, 5), np.uint8)

    def meta(kind: str, shape: tuple[int, ...] | None, dtype: str, encoding: str = "none") -> RecordMeta:
        return RecordMeta("generic", (1, 4, 5), label_kind=kind, label_shape=shape, label_dtype=dtype, label_encoding=encoding)

    vector = np.random.default_rng(0).random((3, 7)).astype(np.float32)
    reader = write(tmp_path / "vector", meta("vector", (7,), "float32"), RecordChunk(keys(3), features, vector))
    np.testing.assert_array_equal(reader.labels([2, 0]), vector[[2, 0]])

    maps = np.random.default_rng(0).integers(0, 3, (3, 1, 4, 5), np.uint8)
    plain = write(tmp_path / "map", meta("map", (1, 4, 5), "uint8"), RecordChunk(keys(3), features, maps))
    np.testing.assert_array_equal(plain.labels([1]), maps[[1]])
    encoded = [codec.encode(m, "png") for m in maps]
    packed = write(tmp_path / "png", meta("map", (1, 4, 5), "uint8", "png"), RecordChunk(keys(3), features, encoded))
    np.testing.assert_array_equal(packed.labels([0, 1, 2]), maps)

    arrays = [np.full((1, i + 1, 2), i, np.float64) for i in range(3)]
    chunk = RecordChunk(keys(3), features, [a.tobytes() for a in arrays], label_shapes=np.array([a.shape for a in arrays]))
    differing = write(tmp_path / "array", meta("array", None, "float64"), chunk)
    for found, expected in zip(differing.labels([0, 1, 2]), arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_boxes_also_empty_ones(tmp_path: Path) -> None:
    rows = [np.zeros(0, BOX_DTYPE), np.array([(1, 2, 3, 4, 2, 0), (5, 6, 7, 8, 1, 1)], BOX_DTYPE), np.zeros(1, BOX_DTYPE)]
    meta = RecordMeta("detection", (1, 4, 5), label_kind="boxes")
    chunk = RecordChunk(keys(3), np.zeros((3, 1, 4, 5), np.uint8), rows)
    reader = write(tmp_path / "s", meta, chunk, RecordChunk(keys(3, 3), chunk.features, rows))
    for found, expected in zip(reader.labels(range(6)), rows * 2, strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(reader.find_class(1), [1, 4])
    np.testing.assert_array_equal(reader.find_class(0), [2, 5])
    assert reader.column("label", [1])[0][0]["x1"] == 3.0


def test_an_unfinished_split_cannot_be_read(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "s", indexed())
    writer.append(RecordChunk(keys(2), np.zeros((2, 1, 4, 5), np.uint8), np.zeros(2)))
    assert not is_complete(tmp_path / "s")
    with pytest.raises(StorageError, match="no finished records"):
        RecordReader(tmp_path / "s")
    writer.abort()
    assert not (tmp_path / "s").exists()


def test_writing_anew_takes_the_old_split_away(tmp_path: Path) -> None:
    chunk = RecordChunk(keys(2), np.zeros((2, 1, 4, 5), np.uint8), np.zeros(2))
    write(tmp_path / "s", indexed(), chunk)
    writer = RecordWriter(tmp_path / "s", indexed())
    assert not is_complete(tmp_path / "s")
    writer.abort()


def test_a_full_disk_neither_loses_nor_doubles_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from digits.storage.records.shards import ColumnFile

    features = np.random.default_rng(0).integers(0, 255, (9, 1, 4, 5), np.uint8)
    writer = RecordWriter(tmp_path / "s", indexed())
    whole, calls = ColumnFile.write, [0]

    def short(self: ColumnFile, data: object) -> None:
        calls[0] += 1
        if calls[0] in (12, 17, 40):  # while a shard is opened and in the middle of appends
            whole(self, bytes(data)[:3])  # type: ignore[call-overload]
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, data)

    monkeypatch.setattr(ColumnFile, "write", short)
    failures = 0
    for start in range(0, 9, 3):
        chunk = RecordChunk(keys(3, start), features[start : start + 3], np.arange(start, start + 3) % 3)
        while True:
            try:
                writer.append(chunk)
                break
            except DiskFull:
                failures += 1
    monkeypatch.undo()
    assert failures == 3
    writer.finish()
    reader = RecordReader(tmp_path / "s")
    np.testing.assert_array_equal(reader.array(), features)
    assert reader.column("key", range(9)) == keys(9)


def test_chunks_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "s", indexed(), shard_bytes=100)
    with pytest.raises(StorageError, match="label"):
        writer.append(RecordChunk(keys(2), np.zeros((2, 1, 4, 5), np.uint8), np.zeros(1)))
    with pytest.raises(StorageError, match="more than a shard holds"):
        writer.append(RecordChunk(keys(9), np.zeros((9, 1, 4, 5), np.uint8), np.zeros(9)))
    writer.abort()


def test_readers_can_be_pickled_and_know_their_bounds(tmp_path: Path) -> None:
    chunk = RecordChunk(keys(2), np.ones((2, 1, 4, 5), np.uint8), np.zeros(2))
    reader = pickle.loads(pickle.dumps(write(tmp_path / "s", indexed(), chunk)))
    assert len(reader) == 2
    with pytest.raises(IndexError):
        reader.feature(2)


def test_jpeg_is_close_and_refuses_what_it_cannot_hold() -> None:
    ramp = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (3, 32, 1))
    assert np.abs(codec.decode(codec.encode(ramp, "jpg")).astype(int) - ramp).max() < 8
    with pytest.raises(StorageError, match="uint16"):
        codec.encode(np.zeros((3, 2, 2), np.uint16), "jpg")


def test_a_data_set_that_leaves_labels_out_is_opened_without_them_by_everyone(tmp_path: Path) -> None:
    """One function opens the split of a data set: for training, its ranks, evaluations and pages alike."""
    meta = RecordMeta(task="classification", feature_shape=(1, 2, 2), class_labels=("a", "b"))
    writer = RecordWriter(tmp_path / "train_db", meta)
    writer.append(RecordChunk(["0", "1"], np.zeros((2, 1, 2, 2), np.uint8), np.array([0, 1])))
    writer.finish()
    unlabelled = replace(meta, label_kind="none", label_shape=(), class_labels=())
    info = DatasetInfo("processing", (), {"train_db": SplitInfo("train_db", 2, unlabelled)}, (1, 2, 2))
    with pytest.raises(StorageError, match="not there or not finished"):
        open_split(tmp_path, "train_db")
    write_json(tmp_path / "dataset.json", info.to_json())
    assert open_split(tmp_path, "train_db").labels([0]) is None
    assert open_records(tmp_path / "train_db").labels([1]).tolist() == [1]
    assert find_split(tmp_path, "val_db") is None
    (tmp_path / "dataset.json").write_text('{"splits": 3}')
    with pytest.raises(StorageError, match="cannot be understood"):
        open_split(tmp_path, "train_db")
