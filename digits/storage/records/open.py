"""The one way to open finished records: ours, or an LMDB of others that is used in place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from digits.domain.datasets import DatasetInfo
from digits.errors import StorageError
from digits.storage.files import read_json
from digits.storage.folders import JobFolder
from digits.storage.records import KEYS_FILE
from digits.storage.records.caffe_datum import DATA
from digits.storage.records.lmdb_reader import LmdbRecordReader
from digits.storage.records.reader import RecordReader
from digits.storage.records.writer import MARKER, is_complete
from digits.utils.confinement import Confinement

InPlace = Callable[[Path], RecordReader]


def open_records(split_dir: Path, allowed: Confinement | None = None, in_place: InPlace = LmdbRecordReader) -> RecordReader:
    """The records in a folder, whoever made them. One that somebody named, and no job of ours holds, is opened with what may be
    read (`allowed`); `in_place` opens those that lie in a database of others. Raises StorageError when the split is missing or
    not whole, Forbidden."""
    split_dir = Path(split_dir)
    if allowed is not None:
        _check_named(split_dir, allowed)
    if not is_complete(split_dir):
        raise StorageError(f"{split_dir} holds no finished records.", advice="Create the data set again.")
    return in_place(split_dir) if (split_dir / KEYS_FILE).is_file() else RecordReader(split_dir)


def _check_named(split_dir: Path, allowed: Confinement) -> None:
    """Everything in the folder, and the databases that it names, may be read. Raises Forbidden, StorageError."""
    for name in os.listdir(split_dir):
        allowed.resolve(split_dir / name)
    marker = read_json(split_dir / MARKER) if is_complete(split_dir) else {}
    external = marker.get("external") if isinstance(marker, dict) else None
    for path in (external.get("images"), external.get("labels")) if isinstance(external, dict) else ():
        if path:
            allowed.resolve(Path(str(path)) / DATA)


def open_split(
    folder: Path | JobFolder, name: str, info: DatasetInfo | None = None, in_place: InPlace = LmdbRecordReader
) -> RecordReader:
    """The records of a split (`train_db`, …) of the data set in `folder`; without their labels where it leaves labels out.

    `info` is the data set's, where it was read already; `in_place` as of `open_records`. Raises StorageError when the data set or
    the split is not whole.
    """
    folder = folder if isinstance(folder, JobFolder) else JobFolder(Path(folder))
    split = (info or folder.dataset_info()).splits.get(name)
    reader = open_records(folder.path / name, in_place=in_place)
    if split is not None and split.meta.label_kind == "none" != reader.meta.label_kind:
        reader.meta = split.meta
    return reader


def find_split(
    folder: Path | JobFolder, name: str, info: DatasetInfo | None = None, in_place: InPlace = LmdbRecordReader
) -> RecordReader | None:
    """As `open_split`; None where the data set has no such split."""
    path = folder.path if isinstance(folder, JobFolder) else Path(folder)
    return open_split(folder, name, info, in_place) if is_complete(path / name) else None
