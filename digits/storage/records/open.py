"""The one way to open finished records: ours, or an LMDB of others that is used in place."""

from __future__ import annotations

from pathlib import Path

from digits.domain.datasets import DatasetInfo
from digits.errors import StorageError
from digits.storage.folders import JobFolder
from digits.storage.records.lmdb_reader import KEYS_FILE, LmdbRecordReader
from digits.storage.records.reader import RecordReader
from digits.storage.records.writer import is_complete


def open_records(split_dir: Path) -> RecordReader:
    """The records in a folder, whoever made them. Raises StorageError when the split is missing or not whole."""
    split_dir = Path(split_dir)
    if not is_complete(split_dir):
        raise StorageError(f"{split_dir} holds no finished records.", advice="Create the data set again.")
    return LmdbRecordReader(split_dir) if (split_dir / KEYS_FILE).is_file() else RecordReader(split_dir)


def open_split(folder: Path | JobFolder, name: str, info: DatasetInfo | None = None) -> RecordReader:
    """The records of a split (`train_db`, …) of the data set in `folder`; without their labels where it leaves labels out.

    `info` is the data set's, where it was read already. Raises StorageError when the data set or the split is not whole.
    """
    folder = folder if isinstance(folder, JobFolder) else JobFolder(Path(folder))
    split = (info or folder.dataset_info()).splits.get(name)
    reader = open_records(folder.path / name)
    if split is not None and split.meta.label_kind == "none" != reader.meta.label_kind:
        reader.meta = split.meta
    return reader


def find_split(folder: Path | JobFolder, name: str, info: DatasetInfo | None = None) -> RecordReader | None:
    """As `open_split`; None where the data set has no such split."""
    path = folder.path if isinstance(folder, JobFolder) else Path(folder)
    return open_split(folder, name, info) if is_complete(path / name) else None
