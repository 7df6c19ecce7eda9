"""Rows made again from the folders equal the rows that were lost; what cannot be read is named and left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import pytest

from digits.domain.jobs import Kind
from digits.errors import StorageError
from digits.service import jobs as actions
from digits.storage.folders import JobFolder
from digits.storage.jobs.reindex import index_folder, reindex
from digits.storage.jobs.store import JobQuery, JobStore
from digits.storage.lock import ServerLock
from digits.supervisor.housekeeping import scan
from tests.supervisor.conftest import World

NOT_KEPT = {"seq", "pid", "pid_start", "disk_bytes", "requested_action"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "jobs")
    yield world
    world.close()


def rows(store: JobStore) -> list[dict]:
    """Everything in the database that should survive, outputs and dependencies too."""
    jobs = store.query(JobQuery(sort="id")).jobs
    outputs = store.outputs([job.id for job in jobs])
    return [
        {
            **{name: value for name, value in asdict(job).items() if name not in NOT_KEPT},
            "outputs": [asdict(output) for output in outputs.get(job.id, [])],
            "parents": store.parents(job.id),
        }
        for job in jobs
    ]


def test_nothing_is_lost_with_the_database(world: World) -> None:
    dataset = world.job(Kind.DATASET, steps=3)
    model = world.job(parents=(dataset.id,), steps=6, checkpoint_every=2, die_at={"1": 3}, best_metric="loss")
    failed = world.job(raises="digits")
    orphan = world.job(parents=(failed.id,))
    waiting = world.job(parents=(dataset.id,), steps=1)
    world.supervise(only={dataset.id, model.id, failed.id, orphan.id})
    world.until_ended(dataset, model, failed, orphan)
    actions.edit(world.service, world.get(model), name="renamed ✓", notes="a note\nof two lines", group="g")
    before = rows(world.service.store)
    assert {row["status"] for row in before} == {"D", "E", "A", "I"}

    for suffix in ("", "-wal", "-shm"):
        Path(f"{world.service.jobs_dir.database_file}{suffix}").unlink(missing_ok=True)
    world.service.store.close()
    store = JobStore.open("", world.service.jobs_dir.database_file)
    report = reindex(world.service.jobs_dir, store)
    assert report.found == 5
    assert report.problems == []
    assert rows(store) == before
    assert store.find(waiting.id) is not None
    reindex(world.service.jobs_dir, store)
    assert rows(store) == before, "doing it again changes nothing"
    store.close()


@pytest.mark.parametrize("way", ["scan", "reindex"])
def test_ended_in_the_middle_of_a_row_it_leaves_none_without_its_outputs(world: World, way: str) -> None:
    model = world.job(steps=2, best_metric="loss")
    world.supervise(only={model.id})
    world.until_ended(model)
    store, directory = world.service.store, world.service.jobs_dir
    before = rows(store)
    assert before[0]["outputs"]
    if way == "scan":
        store.purge(model.id)
    with mock.patch("digits.storage.jobs.store._put", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        scan(directory, store, settled=0.0) if way == "scan" else reindex(directory, store)
    assert rows(store) == ([] if way == "scan" else before)
    scan(directory, store, settled=0.0)
    assert rows(store) == before


def test_jobs_of_an_older_version_are_read_for_queries_from_their_folders(world: World) -> None:
    model = world.job(steps=2, best_metric="loss")
    world.supervise(only={model.id})
    world.until_ended(model)
    store = world.service.store
    found = store.outputs([model.id])
    with store.engine.begin() as connection:
        for statement in (
            "UPDATE jobs SET index_version = 0, words = ''",
            "DELETE FROM settings",
            "UPDATE outputs SET best = NULL",
        ):
            connection.exec_driver_sql(statement)
    assert store.unindexed() == [model.id]
    index_folder(world.service.folder(model.id), store)
    assert (store.unindexed(), store.outputs([model.id])) == ([], found)
    assert any(output.best is not None for output in found[model.id])


def test_folders_that_are_not_ours_are_named_and_left(world: World) -> None:
    path = world.service.jobs_dir.path
    original, newer, broken = path / "20150101-000000-aaaa", world.job(), world.job()
    original.mkdir()
    (original / "status.pickle").write_bytes(b"\x80\x02old")
    file = JobFolder(path / newer.id).request_file
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    JobFolder(path / broken.id).request_file.write_text("{")
    report = reindex(world.service.jobs_dir, world.service.store)
    reasons = {problem.name: reason for problem, reason in report.problems}
    assert "original DIGITS" in reasons[original.name]
    assert "newer version of digits (schema 99" in reasons[newer.id]
    assert "cannot be read" in reasons[broken.id]
    assert (original / "status.pickle").read_bytes() == b"\x80\x02old"


def test_it_waits_for_no_server(world: World) -> None:
    with ServerLock(world.service.jobs_dir, "http://here"), pytest.raises(StorageError, match="already in use"):
        reindex(world.service.jobs_dir, world.service.store)


def test_a_scan_finds_folders_that_came_and_forgets_rows_whose_folders_went(world: World) -> None:
    stays, goes, comes = world.job(), world.job(), world.job()
    world.service.store.purge(comes.id)
    folder = world.service.folder(goes.id).path
    folder.rename(folder.with_name("elsewhere"))
    assert scan(world.service.jobs_dir, world.service.store).restored == [], "a young folder is just being made"
    assert scan(world.service.jobs_dir, world.service.store, settled=0.0).restored == [comes.id]
    assert sorted(world.service.store.ids()) == sorted([stays.id, comes.id])
