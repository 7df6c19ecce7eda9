"""Records that stay where they are: an LMDB of Datum messages (and one of labels) behind the interface of `RecordReader`.

A split's folder then holds `records.json` (with `external`, the folders' paths), `keys.npy`, `labels.npy` and `shapes.npy`, which
are ours; who has them needs the databases of others for pictures alone, and for labels that are no numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.datasets import RecordMeta
from digits.errors import DataError, StorageError
from digits.storage.files import read_json
from digits.storage.records import KEYS_FILE
from digits.storage.records.caffe_datum import DatumDatabase
from digits.storage.records.reader import RecordReader
from digits.storage.records.writer import MARKER
from digits.utils.confinement import EVERYWHERE, Confinement

ROOTS = "roots"  # where its databases may lie


class InPlaceReader(RecordReader):
    """What is known of one split in place; `_picture` and `_label` of who reads its databases give the rest."""

    def __init__(self, split_dir: Path) -> None:
        self.path = Path(split_dir)
        marker = read_json(self.path / MARKER)
        self.meta = RecordMeta.from_json(marker["meta"])
        self.external = marker["external"]
        self._keys = np.load(self.path / KEYS_FILE, allow_pickle=False)
        self._scalars = np.load(self.path / "labels.npy", allow_pickle=False)
        self._shapes = np.load(self.path / "shapes.npy", allow_pickle=False)

    def _picture(self, index: int) -> np.ndarray:
        """A picture as its database has it, (C, H, W), RGB."""
        raise NotImplementedError

    def _label(self, index: int) -> np.ndarray:
        """A label as its database has it, (C, H, W)."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def columns(self) -> list[str]:
        return ["key", "feature", "label", "shape", "source", "original_size", "group", "hash"]

    def array(self) -> np.ndarray | None:
        """As `RecordReader.array`: None, for the records lie one by one."""
        return None

    def features(self, indices: Any) -> np.ndarray:
        """As `RecordReader.features`: (n, C, H, W)."""
        if self.meta.feature_shape is None:
            raise StorageError("These records differ in shape; read them one by one.")
        return np.stack([self.feature(int(row)) for row in np.asarray(indices, np.int64)])

    def feature(self, index: int) -> np.ndarray:
        """As `RecordReader.feature`: (C, H, W), RGB, of the type of most."""
        return np.ascontiguousarray(self._picture(index), np.dtype(self.meta.feature_dtype))

    def encoded(self, index: int) -> bytes | None:
        return None

    def labels(self, indices: Any) -> Any:
        rows = np.asarray(indices, np.int64)
        if self.meta.label_kind == "none":
            return None
        if not self.external.get("labels"):
            return self._scalars[rows]
        dtype = np.dtype(self.meta.label_dtype)
        found = [self._label(int(row)).astype(dtype, copy=False) for row in rows]
        if self.meta.label_shape is None:
            return found
        return np.stack(found) if found else np.empty((0, *self.meta.label_shape), self.meta.label_dtype)

    def find_class(self, class_index: int) -> np.ndarray:
        """As `RecordReader.find_class`: int64 (n,). StorageError for labels that are no class indices."""
        if self.meta.label_kind != "index":
            raise StorageError(f"Records with labels of kind {self.meta.label_kind} cannot be searched by class.")
        return np.flatnonzero(self._scalars == class_index).astype(np.int64)

    def class_counts(self, classes: int) -> np.ndarray:
        """As `RecordReader.class_counts`: int64 (classes,)."""
        return np.bincount(self._scalars.clip(0), minlength=classes)[:classes].astype(np.int64)

    def column(self, name: str, indices: Any) -> list[Any]:
        rows = [int(row) for row in np.asarray(indices, np.int64)]
        if name == "key":
            return [self._key(row).decode("utf-8", "replace") for row in rows]
        if name == "shape":
            return [[int(side) for side in self._shapes[row]] for row in rows]
        if name == "original_size":
            return [[int(self._shapes[row][2]), int(self._shapes[row][1])] for row in rows]
        if name == "label" and self.meta.label_kind == "index":
            return [int(self._scalars[row]) for row in rows]
        if name in ("source", "group"):
            return [str(self.external["images"]) if name == "source" else ""] * len(rows)
        raise StorageError(f"Records used in place have no column {name!r}.")

    def numbers(self, name: str) -> np.ndarray:
        """As `RecordReader.numbers`, without `hash`: (N, 3), (N, 2) or (N,). StorageError for other columns."""
        if name == "shape":
            return self._shapes
        if name == "original_size":
            return self._shapes[:, [2, 1]]
        if name == "label":
            return self._scalars
        raise StorageError(f"Records used in place have no column of numbers {name!r}.")

    def _key(self, index: int) -> bytes:
        if not 0 <= index < len(self._keys):
            raise IndexError(f"record {index} of {len(self._keys)}")
        return bytes(self._keys[index])


class LmdbRecordReader(InPlaceReader):
    """Reads one split in place. Raises StorageError when a database is gone."""

    def __init__(self, split_dir: Path) -> None:
        super().__init__(split_dir)
        external = self.external
        allowed = Confinement(external.get(ROOTS) or EVERYWHERE)  # older versions did not keep them
        try:
            self._images = DatumDatabase(Path(external["images"]), allowed)
            self._label_database = DatumDatabase(Path(external["labels"]), allowed) if external.get("labels") else None
        except DataError as error:
            raise StorageError(f"A database that the data set uses in place is gone: {error}", advice="Put it back.") from error

    def _picture(self, index: int) -> np.ndarray:
        return self._images.get(self._key(index)).in_type(self.meta.feature_dtype)

    def _label(self, index: int) -> np.ndarray:
        assert self._label_database is not None
        return self._label_database.get(self._key(index)).in_type(self.meta.label_dtype)
