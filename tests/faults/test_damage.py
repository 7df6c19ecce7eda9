"""Files of finished jobs that were cut, overwritten, deleted or replaced: no answer is 500, nothing looks healthy."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from digits.cli.doctor import damaged_jobs
from digits.domain.jobs import Kind, Status
from digits.engines.training import checkpoint
from digits.errors import FormErrors
from digits.predictor.model import LoadedModel
from digits.service import jobs as actions
from digits.service import trash
from digits.service.damage import Damaged, damage_of
from digits.service.models.create import create_models
from digits.service.models.snapshots import find_snapshot
from digits.service.repair import _checkpoint, repair
from digits.storage.damage import Row, examine
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job, JobStore
from digits.storage.seals import sealed
from digits.supervisor.loop import Supervisor
from digits.supervisor.server import executor_for
from digits.web.app import create_app
from tests.faults.finished import Finished
from tests.faults.test_server import Servers
from tests.supervisor.conftest import World
from tests.waiting import PATIENCE_SECONDS, wait_for

SEED = 14
LOGS = {"worker.log", "heartbeat", "worker.lock", "worker.json", "tb"}  # nothing of a job depends on them


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def scribble(path: Path) -> None:
    """Random bytes in the middle; the length stays."""
    data = bytearray(path.read_bytes())
    start = len(data) // 3
    data[start : start + 300] = random.Random(SEED).randbytes(len(data[start : start + 300]))
    path.write_bytes(data)


def replace(path: Path) -> None:
    path.write_bytes(random.Random(SEED).randbytes(3000))


def flip(path: Path) -> None:
    """One digit, or one byte where there is none, so that the file is well-formed still."""
    data = bytearray(path.read_bytes())
    digits = [at for at, byte in enumerate(data) if 0x31 <= byte <= 0x38]
    at = digits[len(digits) // 2] if digits else len(data) // 2
    data[at] = data[at] + 1 if digits else data[at] ^ 1
    path.write_bytes(data)


def lose(path: Path) -> None:
    path.unlink()


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: tuple[Callable[[Path], None], ...] = (cut, empty, scribble, replace, flip, lose, become_a_folder)


@pytest.fixture(scope="module")
def pages(jobs: Finished) -> FlaskClient:
    client = create_app(jobs.service).test_client()
    client.post("/login", data={"username": "me"})
    return client


def files(folder: JobFolder) -> list[str]:
    found = (str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file())
    return sorted(name for name in found if name.split("/")[0] not in LOGS and not name.startswith("."))


def addresses(jobs: Finished, job: Job) -> list[str]:
    dataset, model = jobs.dataset.id, jobs.model.id
    if job.kind == "model":
        own = ["", ".json", "/curves.json", "/metrics.csv", "/download.zip", "/exports.json", "/events.json"]
        return [
            *(f"/models/{model}{tail}" for tail in own[:-1]),
            "/models.json",
            f"/models/images/classification/new?clone={model}",
        ]
    explore = f"/datasets/images/classification/explore?job_id={dataset}&db=train"
    own = ["", ".json", "/statistics.json", "/problems.json", "/picture?db=train&index=1"]
    form = f"/models/images/classification/new?dataset={dataset}"
    return [*(f"/datasets/{dataset}{tail}" for tail in own), explore, f"{explore}&format=json", form, f"/models/{model}"]


def restored(path: Path, kept: bytes) -> None:
    if path.is_dir():
        path.rmdir()
    path.write_bytes(kept)


def test_finished_jobs_are_whole_and_every_file_has_a_seal(jobs: Finished) -> None:
    for job in (jobs.dataset, jobs.model):
        folder = jobs.service.folder(job.id)
        assert damage_of(jobs.service, job, deep=True) == []
        assert {"events.jsonl", "user.json", "state.json"} == set(files(folder)) - set(sealed(folder))


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_whatever_happens_to_a_file_is_said_and_nothing_answers_500(jobs: Finished, pages: FlaskClient, kind: str) -> None:
    job = jobs.dataset if kind == "dataset" else jobs.model
    folder, rng = jobs.service.folder(job.id), random.Random(SEED)
    for name in files(folder):
        path = folder.path / name
        kept = path.read_bytes()
        asked = rng.choice(DAMAGES)
        for damage in DAMAGES if kept else (replace, lose, become_a_folder):
            damage(path)
            found = [one for one in damage_of(jobs.service, job) if one.file == name]
            harmless = name in ("user.json", "state.json") and damage in (lose, flip)  # the row has what they say
            assert found or harmless, (name, damage.__name__)
            assert all(one.since and one.works and one.advice for one in found)
            for address in addresses(jobs, job) if damage is asked else ():
                answer = pages.get(address)
                assert answer.status_code < 500, (name, damage.__name__, address, answer.text[-2000:])
            if damage is asked and found:
                shown = pages.get(addresses(jobs, job)[0])
                assert shown.status_code == 200
                assert name in shown.text
                said = pages.get(addresses(jobs, job)[1]).json["damage"]
                assert name in [one["file"] for one in said]
            restored(path, kept)
        assert damage_of(jobs.service, job) == [], name


def test_a_damaged_data_set_trains_nothing_and_a_damaged_snapshot_predicts_nothing(jobs: Finished) -> None:
    shard = jobs.service.folder(jobs.dataset.id).path / "train_db" / "shard-00000.arrow"
    kept = shard.read_bytes()
    scribble(shard)
    values = {"model_name": "next", "dataset": jobs.dataset.id, "standard_networks": "lenet", "method": "standard"}
    with pytest.raises(FormErrors, match=r"shard-00000.arrow is not what was written.*No model can be trained"):
        create_models(jobs.service, "classification", values)
    restored(shard, kept)
    snapshot = find_snapshot(jobs.service, jobs.model)
    path = jobs.service.folder(jobs.model.id).path / snapshot.path
    kept = path.read_bytes()
    flip(path)
    with pytest.raises(Damaged, match="checksum"):
        find_snapshot(jobs.service, jobs.model)
    restored(path, kept)
    assert find_snapshot(jobs.service, jobs.model) == snapshot


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_a_folder_that_is_gone_has_a_clear_page_at_once(jobs: Finished, pages: FlaskClient, kind: str, tmp_path: Path) -> None:
    job = jobs.dataset if kind == "dataset" else jobs.model
    folder = jobs.service.folder(job.id).path
    shutil.move(folder, tmp_path / "moved")
    try:
        for address in addresses(jobs, job):
            assert pages.get(address).status_code < 500, address
        page = pages.get(addresses(jobs, job)[0])
        assert page.status_code == 200
        assert "is gone: somebody deleted or moved it" in page.text
        assert pages.get(addresses(jobs, job)[1]).json["damage"][0]["vital"]
        rows = {row["id"]: row for row in pages.get("/jobs.json").json["rows"]}
        assert "is gone" in rows[job.id]["damage"]["words"]
        form = {"model_name": "next", "dataset": jobs.dataset.id, "method": "standard", "standard_networks": "lenet"}
        refused = pages.post("/models/images/classification.json", data=form)
        assert (refused.status_code == 400) == (kind == "dataset"), refused.text
        if kind == "dataset":
            assert "is gone" in refused.json["errors"]["dataset"][0]
            assert job.id not in pages.get("/models/images/classification/new").text
        else:
            jobs.service.store.purge(refused.json["id"])
        one = pages.post(f"/models/images/classification/classify_one.json?job_id={jobs.model.id}", data={})
        assert one.status_code < 500
    finally:
        shutil.move(tmp_path / "moved", folder)
    assert damage_of(jobs.service, job) == []


def test_row_log_and_doctor_say_what_is_damaged(jobs: Finished, caplog: pytest.LogCaptureFixture) -> None:
    service = jobs.service
    watch = Supervisor(
        service.settings, service.jobs_dir, service.store, executor=executor_for(service.settings, service.jobs_dir)
    )
    file = service.folder(jobs.dataset.id).dataset_file
    kept = file.read_bytes()
    cut(file)
    watch.health.look_at(jobs.dataset.id)
    _until_reported(watch, jobs.dataset.id, damaged=True)
    row = service.store.get(jobs.dataset.id)
    assert row.status_words == "Done, damaged"
    assert "dataset.json was cut" in row.damage["words"]
    assert "Damaged: dataset.json was cut" in caplog.text
    wrong, whole = damaged_jobs(service.settings)
    assert (wrong.state, whole.state) == ("wrong", "ok")
    assert "dataset.json was cut" in wrong.found
    assert "Since 20" in wrong.found
    assert "Still usable: Models that were trained on it" in wrong.advice
    restored(file, kept)
    watch.health.look_at(jobs.dataset.id)
    _until_reported(watch, jobs.dataset.id, damaged=False)
    assert service.store.get(jobs.dataset.id).status_words == "Done"
    watch.close()


def _until_reported(supervisor: Supervisor, job_id: str, damaged: bool) -> None:
    for _ in range(500):
        supervisor._report_damage()
        if bool(supervisor.store.get(job_id).damage) == damaged:
            return
        supervisor.health._stopped.wait(0.02)
    raise AssertionError("nothing was reported")


def test_a_running_worker_and_a_copied_folder_are_not_called_damaged(jobs: Finished, tmp_path: Path) -> None:
    for job in (jobs.dataset, jobs.model):
        copy = shutil.copytree(jobs.service.folder(job.id).path, tmp_path / job.id, copy_function=shutil.copy)
        assert examine(JobFolder(copy), Row(job.kind, job.status, job.attempt, job.event_offset)) == []  # type: ignore[arg-type]


def test_lines_of_events_that_are_damaged_are_counted_and_the_others_shown(jobs: Finished, pages: FlaskClient) -> None:
    events = jobs.service.folder(jobs.model.id).events_file
    kept = events.read_bytes()
    lines = kept.splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"', b"x", 3)
    events.write_bytes(b"".join(lines))
    (found,) = damage_of(jobs.service, jobs.model)
    assert f"holds 1 damaged line; {len(lines) - 1} lines can be read and are shown" in found.found
    curves = pages.get(f"/models/{jobs.model.id}/curves.json").json
    assert curves["curves"]["val"]["epoch"]
    assert len(curves["log"]) > 1
    restored(events, kept)


def test_a_damaged_checkpoint_is_put_aside_for_the_one_before_it(tmp_path: Path) -> None:
    world = World(tmp_path / "jobs")
    job = world.job(steps=1)
    folder = world.service.folder(job.id)
    for step in (5, 9):
        checkpoint.write(folder.checkpoint, step, 0, 1, b"abcdef")
    cut(folder.checkpoint / "state_9.bin")
    row = Row(Kind.MODEL, Status.ABORT, 1, 0)
    (found,) = [damage for damage in examine(folder, row) if "checkpoint" in damage.file]
    assert found.advice == "Resume goes on from the checkpoint before it, of step 5, and says so."
    assert [f"{folder.id}: " in line and "of step 5" in line for line in _checkpoint(folder, {found.file: found})] == [True]
    assert (checkpoint.read(folder.checkpoint) or {})["step"] == 5
    assert checkpoint.damaged(folder.checkpoint) == ""
    assert list(folder.checkpoint.glob("checkpoint.json.damaged-*"))
    world.close()


def test_what_lies_beside_a_row_is_repaired_and_the_damaged_file_kept(tmp_path: Path) -> None:
    world = World(tmp_path / "jobs")
    job = world.job(steps=3)
    world.supervise()
    world.until_ended(job)
    folder, name = world.service.folder(job.id), world.get(job).name
    world.close()
    folder.user_file.write_text("{")
    folder.state_file.write_bytes(b"")
    events = folder.events_file.read_bytes().splitlines(keepends=True)
    folder.events_file.write_bytes(b"".join([*events[:2], b"\xff" * 40 + b"\n", *events[2:]]))
    done = "\n".join(repair(world.settings))
    for words in ("user.json is damaged", "state.json is damaged", "1 line of events.jsonl was damaged"):
        assert words in done
    assert folder.user().name == name
    assert folder.state()["status"] == "D"
    aside = sorted(path.name.partition(".damaged-")[0] for path in folder.path.glob("*.damaged-*"))
    assert aside == ["events.jsonl", "state.json", "user.json"]
    assert examine(folder, Row(world.get(job).kind, Status.DONE, 1, 0)) == []  # type: ignore[arg-type]
    assert list(repair(world.settings)) == []


def database_of(world: World) -> Path:
    """The file of its database, which nobody has open any more."""
    world.close()
    database = world.service.jobs_dir.database_file
    for beside in database.parent.glob("digits.sqlite-*"):
        beside.unlink()
    return database


@pytest.mark.parametrize("damage", [replace, empty])
def test_a_damaged_database_is_made_again_from_the_folders(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    world = World(tmp_path / "jobs")
    jobs = [world.job(steps=1), world.job(steps=1)]
    world.supervise()
    world.until_ended(*jobs)
    database = database_of(world)
    damage(database)
    assert "2 jobs got a row again from their folders." in list(repair(world.settings))
    assert bool(list(database.parent.glob("digits.sqlite.damaged-*"))) == (damage is replace)
    again = World(tmp_path / "jobs")
    assert {job.id for job in again.jobs()} == {job.id for job in jobs}
    again.close()


@pytest.mark.parametrize("table", ["jobs", "users"])
def test_no_server_starts_on_a_database_that_opens_and_is_damaged_inside(tmp_path: Path, table: str) -> None:
    world = World(tmp_path / "jobs")
    jobs = [world.job(steps=1) for _ in range(3)]
    database = database_of(world)
    scribble_over_table(database, table)
    JobStore.open("", database).close()
    command = [sys.executable, "-m", "digits", "serve", "--port", "0", "--jobs-dir", world.settings.jobs_dir]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert refused.returncode == 1
    assert f"The database {database} is damaged: " in refused.stderr
    assert "`digits doctor --repair` puts the damaged file aside and reads the jobs from their folders" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "3 jobs got a row again from their folders." in list(repair(world.settings))
    again = World(tmp_path / "jobs")
    assert {job.id for job in again.jobs()} == {job.id for job in jobs}
    again.close()


def scribble_over_table(database: Path, table: str) -> None:
    """Its first page, and those of its indices, become 0xff: nothing notices before something is read there."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        pages = [page for (page,) in connection.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = ?", [table])]
        ((size,),) = connection.execute("PRAGMA page_size")
    with open(database, "r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)


def test_a_server_makes_an_empty_database_again_and_reads_the_jobs_from_their_folders(tmp_path: Path) -> None:
    world = World(tmp_path / "jobs")
    jobs = [world.job(steps=1), world.job(steps=1)]
    world.supervise()
    jobs = world.until_ended(*jobs)
    for job in jobs:  # a younger one might be in the making
        os.utime(world.service.folder(job.id).request_file, times=(time.time() - 60,) * 2)
    empty(database_of(world))
    servers = Servers(world.settings.jobs_dir)
    try:
        servers.start()
        again = World(tmp_path / "jobs")
        assert {job.id: (job.status, job.history) for job in again.jobs()} == {job.id: (job.status, job.history) for job in jobs}
        again.close()
    finally:
        servers.close()
    log = (world.service.jobs_dir.hidden / "digits.log").read_text()
    assert "The database had no tables. They are made again; the server, or `digits jobs reindex`, reads 2 jobs" in log


def test_a_job_whose_request_is_damaged_ends_with_a_sentence(tmp_path: Path) -> None:
    world = World(tmp_path / "jobs")
    waits, runs = world.job(steps=1), world.job(steps=30, seconds=0.1)
    world.service.folder(waits.id).request_file.write_text("[]")
    world.supervise()
    world.until(lambda: world.get(runs).progress > 0)
    world.service.folder(runs.id).request_file.unlink()
    failed, done = world.until_ended(waits, runs)
    assert failed.status == Status.ERROR
    assert "is not a job of digits" in failed.error
    assert done.status == Status.DONE
    world.close()


def test_the_owner_of_a_data_set_sees_whose_models_need_it_and_may_delete_its_records(jobs: Finished, pages: FlaskClient) -> None:
    """Last here: the data set goes."""
    service, dataset, model = jobs.service, jobs.dataset, jobs.model
    service.store.update(model.id, owner="bob")
    said = pages.get(f"/datasets/{dataset.id}.json").json
    assert said["models"] == [{"id": model.id, "name": "linear", "owner": "bob", "status": "Done"}]
    page = pages.get(f"/datasets/{dataset.id}").text
    assert "of bob" in page
    assert "data-delete-records" in page
    refused = pages.delete(f"/datasets/{dataset.id}", headers={"Accept": "application/json"})
    assert refused.status_code == 403
    assert "must be deleted first: linear (of bob)" in refused.json["error"]["message"]
    assert "keep_models=1" in refused.json["error"]["description"]
    assert refused.json["error"]["models"] == said["models"]
    assert pages.delete(f"/datasets/{dataset.id}?keep_models=1").status_code == 200
    wait_for(lambda: not (service.folder(dataset.id).path / "train_db").exists())
    wait_for(lambda: service.store.get(dataset.id).status_words == "Done, records deleted")
    assert "The records were deleted" in pages.get(f"/datasets/{dataset.id}").text
    gallery = pages.get(f"/datasets/images/classification/explore.json?job_id={dataset.id}&db=train")
    assert gallery.status_code == 409
    form = {"model_name": "next", "dataset": dataset.id, "method": "standard", "standard_networks": "lenet"}
    assert "records were deleted" in pages.post("/models/images/classification.json", data=form).json["errors"]["dataset"][0]
    assert damage_of(service, model) == []
    assert pages.get(f"/models/{model.id}").status_code == 200
    assert pages.get(f"/models/{model.id}/download.zip").status_code == 200
    loaded = LoadedModel.open(service.folder(model.id), find_snapshot(service, model).path, "cpu")
    loaded.close()
    actions.delete(service, service.store.get(model.id))
    wait_for(lambda: service.store.trash() and not service.store.trash()[0].requested_action)
    assert service.store.get(dataset.id), "the model may come back"
    assert trash.purge(service, service.store.trash()) == ([model.id], [])
    wait_for(lambda: not service.store.ids())
    assert not service.folder(dataset.id).path.exists()
