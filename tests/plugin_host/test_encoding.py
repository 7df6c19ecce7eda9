"""Encoding through a plugin in several processes: state, order, refusals, as a worker does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digits.domain.datasets import DatasetInfo
from digits.service import Service
from digits.storage.records.open import open_records
from tests.plugin_host.hosts import make_dataset, running_host
from tests.plugin_host.packages import add_package, data_source

MARKED = """
def itemize_entries(self, stage):
    if stage == constants.TRAIN_DB:
        self.userdata["offset"] = 100
        return list(range(self.count))
    return []

def encode_entry(self, entry):
    import os
    return np.full((1, 1, 1), self.userdata["offset"] + entry, np.uint8), np.array([entry], np.int64)
"""
SOME_FAIL = """
def encode_entry(self, entry):
    if entry % 10 == 3:
        raise RuntimeError("entry {} is bad".format(entry))
    if entry % 10 == 4:
        return []
    return [(np.full((1, 2, 2), entry, np.uint8), entry), (np.full((1, 2, 2), entry, np.uint8), entry)]
"""
ALL_FAIL = """
def encode_entry(self, entry):
    raise RuntimeError("nothing works")
"""


def ingest(service: Service, folder: Path, source: str, count: int) -> tuple[int, str]:
    """Make a data set with a plugin of its own; the worker's exit code and the job's id."""
    site = folder / "site"
    add_package(site, "encoder", source, data="Data")
    with running_host(service, folder, site):
        job = make_dataset(service, "encoder", {"dataset_name": "d", "count": count})
    command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(service.jobs_dir.path), "--attempt", "1", job.id]
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(site)}, check=False)
    return run.returncode, job.id


def info(service: Service, job_id: str) -> DatasetInfo:
    return service.folder(job_id).dataset_info()


def test_marks_left_while_listing_reach_the_encoding_processes_and_order_stays(service: Service, tmp_path: Path) -> None:
    code, job_id = ingest(service, tmp_path, data_source("encoder", MARKED), 120)
    assert code == 0
    reader = open_records(service.folder(job_id).path / "train_db")
    values = reader.features(np.arange(120)).ravel()
    assert values.tolist() == [100 + i for i in range(120)]


def test_failing_entries_are_listed_with_their_traceback_and_lists_give_several_records(service: Service, tmp_path: Path) -> None:
    code, job_id = ingest(service, tmp_path, data_source("encoder", SOME_FAIL), 20)
    assert code == 0
    split = info(service, job_id).splits["train_db"]
    assert split.entries == 2 * 16  # 2 of 20 raise, 2 are skipped, the others give two records each
    problems = [json.loads(line) for line in service.folder(job_id).problems_file.read_text().splitlines()]
    assert any("entry 13 is bad" in json.dumps(problem) for problem in problems)
    keys = open_records(service.folder(job_id).path / "train_db").column("key", [0, 1])
    assert [str(key).split("/")[-1] for key in keys] == ["0", "1"]


@pytest.mark.parametrize("count", [3])
def test_when_all_fail_the_job_says_why(service: Service, tmp_path: Path, count: int) -> None:
    code, job_id = ingest(service, tmp_path, data_source("encoder", ALL_FAIL), count)
    assert code != 0
    assert "nothing works" in service.folder(job_id).events_file.read_text()
    assert not service.folder(job_id).dataset_file.exists()
