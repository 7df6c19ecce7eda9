"""The records of a data set, for pages, JSON and commands. Ours are read here; of a database of others that is used in place the
plugin host reads pictures and labels, within its deadline and memory limit, so that no file of a stranger ends or holds up who
answers pages."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.domain.datasets import DatasetInfo
from digits.service import Service

if TYPE_CHECKING:
    from digits.storage.records.reader import RecordReader


def open_split(service: Service, dataset_id: str, name: str, info: DatasetInfo | None = None) -> RecordReader:
    """As `storage.records.open.open_split`, of a data set's id."""
    from digits.storage.records.open import open_split

    return open_split(service.folder(dataset_id), name, info, partial(_in_place, service, dataset_id))


def find_split(service: Service, dataset_id: str, name: str) -> RecordReader | None:
    """As `open_split`; None where the data set has no such split."""
    from digits.storage.records.open import find_split

    return find_split(service.folder(dataset_id), name, in_place=partial(_in_place, service, dataset_id))


def _in_place(service: Service, dataset_id: str, split_dir: Path) -> RecordReader:
    from digits.service.plugins.host import read_foreign
    from digits.storage.records.lmdb_reader import InPlaceReader

    class Hosted(InPlaceReader):
        """Whose databases the plugin host reads."""

        def _read(self, index: int, what: str) -> Any:
            header = {"job_id": dataset_id, "split": self.path.name, "row": index, "what": what}
            path = str(self.external["images" if what == "feature" else "labels"])
            return read_foreign(service, "dataset-record", {**header, "path": path}).arrays[what]

        def _picture(self, index: int) -> Any:
            return self._read(index, "feature")

        def _label(self, index: int) -> Any:
            return self._read(index, "label")

    return Hosted(split_dir)
