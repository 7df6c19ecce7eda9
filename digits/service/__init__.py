"""What can be done, whichever door it came through: page, JSON and command all call the functions of this package."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import from_json

from digits.config import Settings
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.jobs.ownership import open_store
from digits.storage.jobs.store import JobStore


class ReadModel(NamedTuple):
    """What was read in the folder of a model (see `service.models.read_models`); `stamp` says whether that is still so."""

    stamp: tuple[int, ...]
    framework: str
    version: str
    use_mean: str
    layers: str
    start: str
    newest: str  # snapshot: the name of its file


def read_json(text: str | bytes) -> Any:
    """As `json.loads`, several times faster."""
    try:
        return from_json(text)
    except ValueError:  # half a surrogate pair, which Python's own reader takes
        return json.loads(text)


@dataclass(frozen=True)
class Service:
    """What every action needs: the settings, the jobs directory and the table of jobs. Safe to share between threads."""

    settings: Settings
    jobs_dir: JobsDir
    store: JobStore
    read_models: dict[str, ReadModel] = field(default_factory=dict, repr=False, compare=False)  # by id

    @classmethod
    def open(cls, settings: Settings, *, take_over: bool = False) -> Service:
        """Prepare the jobs directory and open the database, with `take_over` also one that belonged to another directory. Raises
        StorageError when the directory cannot be written, or the database belongs to another."""
        jobs_dir = JobsDir(settings.jobs_path, settings.folder_mode)
        jobs_dir.prepare()
        store = open_store(settings.database_url, jobs_dir, take_over=take_over, read_json=read_json)
        return cls(settings, jobs_dir, store)

    def folder(self, job_id: str) -> JobFolder:
        return self.jobs_dir.folder(job_id)

    def close(self) -> None:
        self.store.close()
