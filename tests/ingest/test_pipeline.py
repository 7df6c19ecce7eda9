"""The whole job in its own process: events, abort, and a restart after kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from digits.domain.events import LogEvent, ProgressEvent, StatusEvent
from digits.ingest.apart import MARKER
from digits.storage.events import read_events
from digits.storage.folders import JobFolder
from digits.storage.records.open import open_records
from digits.utils.processes import group_members
from tests.ingest.making import FOLDER, Run, class_folder, make_job, run_job
from tests.waiting import PATIENCE_SECONDS, wait_for


@contextmanager
def worker(folder: JobFolder, site: Path | None = None, attempt: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(folder.path.parent), "--attempt", str(attempt)]
    paths = [str(site)] if site else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, os.getcwd()])}
    process = subprocess.Popen([*command, "--cpus", "2", folder.id], env=environment, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)


def done(folder: JobFolder) -> int:
    events = [event for _, event in read_events(folder.events_file) if isinstance(event, ProgressEvent)]
    return events[-1].done if events else 0


def test_a_job_tells_its_progress_and_leaves_a_whole_data_set(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 40, "b": 40})
    folder = make_job(tmp_path / "jobs", FOLDER, {"folder_train": str(root), "resize_width": 10, "resize_height": 8})
    with worker(folder) as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    events = [event for _, event in read_events(folder.events_file)]
    progress = [event for event in events if isinstance(event, ProgressEvent)]
    assert (progress[-1].done, progress[-1].total, progress[-1].fraction, progress[-1].unit) == (80, 80, 1.0, "images")
    assert isinstance(events[-1], StatusEvent)
    assert events[-1].status == "D"
    info = folder.dataset_info()
    assert {name: split.entries for name, split in info.splits.items()} == {"train_db": 60, "val_db": 20}
    assert len(open_records(folder.path / "train_db")) == 60


def test_abort_leaves_nothing_that_looks_whole(tmp_path: Path, plugin_site: Path) -> None:
    folder = make_job(tmp_path / "jobs", "test-source", {"case": "slow", "count": 5000})
    with worker(folder, plugin_site) as process:
        wait_for(lambda: done(folder) > 0)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 4
        wait_for(lambda: not group_members(process.pid))
    assert [event.status for _, event in read_events(folder.events_file) if isinstance(event, StatusEvent)][-1] == "A"
    assert not folder.dataset_file.exists()
    assert not (folder.path / "train_db").exists()


def test_an_entry_that_ends_the_worker_is_named_by_the_next_attempt(tmp_path: Path, plugin_site: Path) -> None:
    """One that is encoded in a thread of the worker; the supervisor starts such a job again."""
    folder = make_job(tmp_path / "jobs", "test-source", {"case": "dies at some", "count": 40, "mode": "threads"})
    with worker(folder, plugin_site) as process:
        assert process.wait(PATIENCE_SECONDS) == 7
    with worker(folder, plugin_site, attempt=2) as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    reader = open_records(folder.path / "train_db")
    assert reader.column("key", range(len(reader))) == [f"{i:09d}" for i in range(40) if i not in (7, 14)]
    problems = [json.loads(line)["entry"] for line in folder.problems_file.read_text().splitlines()]
    assert problems == ["7", "14"]


def test_a_killed_job_starts_again_without_doubles(tmp_path: Path, plugin_site: Path) -> None:
    folder = make_job(tmp_path / "jobs", "test-source", {"case": "slow, some bad", "count": 120, "val_count": 30})
    with worker(folder, plugin_site) as process:
        wait_for(lambda: done(folder) > 0)
        process.kill()
        process.wait(PATIENCE_SECONDS)
        wait_for(lambda: not group_members(process.pid))  # the pool dies with its worker
    assert not folder.dataset_file.exists()
    with pytest.raises(Exception, match="no finished records"):
        open_records(folder.path / "val_db")
    with worker(folder, plugin_site, attempt=2) as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    splits = (("train_db", range(120)), ("val_db", range(120, 150)))
    for name, entries in splits:
        reader = open_records(folder.path / name)
        assert reader.column("key", range(len(reader))) == [f"{i:09d}" for i, x in enumerate(entries) if x % 9 != 4]
    problems = [json.loads(line) for line in folder.problems_file.read_text().splitlines()]
    left_out = [(one["stage"], int(one["entry"])) for one in problems if one["kind"] == "skipped"]
    assert left_out == [(name, x) for name, entries in splits for x in entries if x % 9 == 4]


@pytest.mark.usefixtures("plugin_site")
@pytest.mark.parametrize("case", ["shuffled", "shuffled in userdata"])
@pytest.mark.parametrize("mode", ["processes", "threads", "serial"])
def test_a_shuffle_in_place_gives_each_entry_to_one_split(tmp_path: Path, case: str, mode: str) -> None:
    """A list that was shuffled for one split was shuffled again for the next, so that entries came into both and into none."""
    run = run_job(make_job(tmp_path / "jobs", "test-source", {"case": case, "count": 60, "val_count": 20, "mode": mode}))
    found = [run.reader(split).features(range(len(run.reader(split))))[:, 0, 0, 0].tolist() for split in ("train", "val")]
    assert sorted(found[0] + found[1]) == list(range(80))
    assert (len(found[0]), len(found[1])) == (60, 20)


@pytest.mark.usefixtures("plugin_site")
def test_a_plugin_that_counts_in_its_entries_is_not_split_into_processes(tmp_path: Path) -> None:
    run = run_job(make_job(tmp_path / "a", "test-source", {"case": "in turn, slowly", "count": 300, "mode": "unsaid"}), workers=3)
    np.testing.assert_array_equal(run.reader().labels(range(300)), np.arange(300))
    (said,) = (text for text in logged(run) if "one after the other" in text)
    assert "(seen)" in said
    run = run_job(make_job(tmp_path / "b", "test-source", {"case": "each once", "count": 300, "mode": "unsaid"}), workers=3)
    np.testing.assert_array_equal(run.reader().labels(range(len(run.reader()))), np.arange(20))
    run = run_job(make_job(tmp_path / "c", "test-source", {"case": "where", "count": 300, "mode": "unsaid"}), workers=3)
    assert os.getpid() not in run.reader().features(range(300)), "one that keeps nothing is encoded in processes"
    assert not any("one after the other" in text for text in logged(run))


@pytest.mark.usefixtures("plugin_site")
def test_nor_is_it_after_the_worker_has_died(tmp_path: Path) -> None:
    folder = make_job(tmp_path / "a", "test-source", {"case": "in turn, slowly", "count": 300, "mode": "unsaid"})
    (folder.path / MARKER).touch()
    run = run_job(folder, workers=3)
    np.testing.assert_array_equal(run.reader().labels(range(300)), np.arange(300))


def logged(run: Run) -> list[str]:
    return [event.message for event in run.events if isinstance(event, LogEvent)]


@pytest.mark.usefixtures("plugin_site")
def test_entries_that_no_process_can_be_given_name_the_setting(tmp_path: Path) -> None:
    run = run_job(make_job(tmp_path / "jobs", "test-source", {"case": "unsendable"}), workers=2)
    (problem,) = (json.loads(line) for line in run.folder.problems_file.read_text().splitlines())
    assert 'encode_mode = "threads"' in problem["reason"]


@pytest.mark.usefixtures("plugin_site")
@pytest.mark.parametrize("mode", ["serial", "threads"])
def test_the_look_at_entries_leaves_no_mark_in_the_plugin(tmp_path: Path, mode: str) -> None:
    """What it remembers of entries begins with the first that is written."""
    run = run_job(make_job(tmp_path / "a", "test-source", {"case": "in turn", "count": 60, "mode": mode}), workers=1)
    np.testing.assert_array_equal(run.reader().labels(range(60)), np.arange(60))
    run = run_job(make_job(tmp_path / "b", "test-source", {"case": "each once", "count": 200, "mode": mode}), workers=1)
    np.testing.assert_array_equal(run.reader().labels(range(len(run.reader()))), np.arange(20))
