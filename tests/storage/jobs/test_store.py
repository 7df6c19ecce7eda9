"""The table of jobs in SQLite keeps the contract of stores."""

from __future__ import annotations

from pathlib import Path

from digits.storage.jobs.store import JobStore
from digits.testing import JobStoreContract


class TestSqlite(JobStoreContract):
    def make_store(self, tmp_path: Path) -> JobStore:
        return JobStore.open("", tmp_path / "jobs.sqlite")
