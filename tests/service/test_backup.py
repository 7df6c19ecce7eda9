"""A backup is made while jobs run, and opens as a jobs directory."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copyfile

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from digits.cli import group
from digits.config import Settings
from digits.domain.events import MetricEvent
from digits.domain.jobs import Status
from digits.errors import BadRequest, ConfigError, DiskFull
from digits.service import Service, accounts, views
from digits.service.backup import ABOUT, back_up, dump_postgresql
from digits.service.files import uploads
from digits.service.serving import Serving, names
from digits.storage.events import valid_events
from digits.storage.publications import Publication, Version
from tests.builders import make_job
from tests.conftest import USER
from tests.faults.test_workers import steps_of
from tests.postgresql import postgresql
from tests.supervisor.conftest import World, world  # noqa: F401


def test_a_job_goes_on_in_a_backup_that_was_made_while_it_ran(world: World, tmp_path: Path) -> None:  # noqa: F811
    accounts.add_user(world.service, "ada", "correct horse")
    token = uploads.begin(world.service, "pictures", "ada")
    uploads.add_file(world.service, token, "a.png", io.BytesIO(b"x"), "ada")
    uploads.finish(world.service, token, "ada")
    uploads.begin(world.service, "half", "ada")
    views.save(world.service, "ada", "model", "mine", "query=a")
    gone, job = make_job(world.service), world.job(steps=40, seconds=0.05)
    target = tmp_path / "backup"
    world.supervise()
    world.until(lambda: world.get(job).progress > 0.05)
    first = back_up(world.service, target)
    assert (first.jobs, first.removed) == (2, 0)
    world.until(lambda: world.get(job).progress > 0.1)
    shutil.rmtree(world.service.folder(gone.id))
    second = back_up(world.service, target)
    assert second.jobs == 1
    assert second.removed >= 1
    assert second.unchanged >= 4, "what is as it was is not copied again"
    checkpoint = json.loads((target / job.id / "checkpoint" / "state.json").read_text())
    assert (target / job.id / "events.jsonl").stat().st_size >= checkpoint["offset"]
    assert checkpoint["step"] > 3

    subprocess.run(["cp", "-a", target, tmp_path / "restored"], check=True)
    restored = World(tmp_path / "restored")
    try:
        assert list(accounts.list_users(restored.service)) == ["ada"]
        assert [(one.name, one.owner) for one in uploads.list_uploads(restored.service)] == [("pictures", "ada")]
        assert uploads.list_partial(restored.service) == []
        assert [view["name"] for view in views.saved(restored.service, "ada")] == ["mine"]
        restored.supervise()
        twin = restored.service.store.get(job.id)
        assert twin.message.startswith("Starts anew")
        assert restored.until_ended(twin)[0].status == Status.DONE
        assert steps_of(restored, job.id) == list(range(1, 41))
        events = [event for _, event in valid_events(restored.service.folder(job.id).events_file)]
        anew = [event.step for event in events if isinstance(event, MetricEvent) and event.attempt == 2]
        assert min(anew) == checkpoint["step"] + 1
        with pytest.raises(BadRequest, match="opened as a jobs directory"):
            back_up(world.service, tmp_path / "restored")
    finally:
        restored.close()
    (row,) = world.until_ended(job)
    assert (row.status, row.attempt) == (Status.DONE, 1)


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


def test_a_folder_that_is_no_backup_is_left_alone(service: Service, elsewhere: Path) -> None:
    job = make_job(service)
    os.symlink("/etc/hostname", service.folder(job.id).path / "link")
    (service.folder(job.id).path / "tb").mkdir(mode=0o700)
    (elsewhere / "mine").write_text("x")
    for folder, words in (
        (elsewhere, "neither empty nor a backup"),
        (elsewhere / "mine", "is a file"),
        (service.jobs_dir.path / "backup", "one in the other"),
        (service.jobs_dir.path.parent, "one in the other"),
    ):
        with pytest.raises(BadRequest, match=words):
            back_up(service, folder)
    assert [path.name for path in elsewhere.iterdir()] == ["mine"]
    arguments = ["backup", str(elsewhere / "new"), "--jobs-dir", str(service.jobs_dir.path)]
    said = CliRunner().invoke(group, arguments, catch_exceptions=False)
    assert "holds 1 jobs" in said.output
    copy = elsewhere / "new" / job.id
    assert os.readlink(copy / "link") == "/etc/hostname", "a link stays one"
    assert oct((copy / "tb").stat().st_mode & 0o777) == oct(0o700)
    (service.folder(job.id).path / "link").unlink()
    (service.folder(job.id).path / "link").mkdir()
    (service.folder(job.id).path / "tb").rmdir()
    (service.folder(job.id).path / "tb").write_text("a file now")
    again = json.loads(CliRunner().invoke(group, [*arguments, "--json"], catch_exceptions=False).output)
    assert again["jobs"] == 1
    assert (copy / "link").is_dir()
    assert (copy / "tb").read_text() == "a file now"
    for path in (copy, *(elsewhere / "new" / ".digits").iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path
    about = json.loads((elsewhere / "new" / ".digits" / ABOUT).read_text())
    assert about["of"] == str(service.jobs_dir.path)
    opened = Service.open(Settings(jobs_dir=str(elsewhere / "new"), auth=False))
    assert list(opened.store.ids()) == [job.id]
    opened.close()


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the jobs of a folder."""
    files = [path for job in folder.glob("20*") for path in job.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_full_disk_ends_a_backup_with_a_message_and_the_next_one_goes_on(
    service: Service, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        (service.folder(make_job(service).id).path / "snapshots").mkdir()
    for folder in service.jobs_dir.folders():
        (folder.snapshots / "epoch_1").write_bytes(folder.id.encode() * 1000)
    target, copied, room = elsewhere / "backup", list[Path](), [5]

    def copy_while_there_is_room(path: Path, copy: Path) -> None:
        if len(copied) == room[0]:
            Path(copy).write_bytes(path.read_bytes()[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(copy))
        copied.append(path)
        copyfile(path, copy)

    def is_finished() -> bool:
        about = json.loads((target / ".digits" / ABOUT).read_text())
        assert about["of"] == str(service.jobs_dir.path)
        return "finished" in about

    monkeypatch.setattr(shutil, "copyfile", copy_while_there_is_room)
    for _ in ("a new one", "one that was whole"):
        copied.clear()
        room[0] = 5
        with pytest.raises(DiskFull, match="No space left on the disk of"):
            back_up(service, target)
        assert not is_finished()
        room[0] = 1000
        back_up(service, target)
        assert is_finished()
        assert len(copied) == len(set(copied)), "what was copied is not copied again"
        assert tree(target) == tree(service.jobs_dir.path)
        for file in tree(service.jobs_dir.path):
            (service.jobs_dir.path / file).touch()  # so that all of it is copied once more
    opened = Service.open(Settings(jobs_dir=str(target), auth=False))
    assert set(opened.store.ids()) == set(service.store.ids())
    opened.close()


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(elsewhere: Path) -> Iterator[str]:
    """The address of a real PostgreSQL."""
    with postgresql(elsewhere) as address:
        yield address


def test_a_postgresql_is_dumped_and_restored(cluster: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = cluster.replace("+psycopg", "")

    def ask(text: str, name: str = "postgres") -> str:
        command = ["psql", "-qAtX", plain.replace("/postgres?", f"/{name}?"), "-c", text]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    ask("create table users (name text); insert into users values ('ada')")
    ask("create database again")
    dump_postgresql(make_url(cluster), elsewhere / "database.dump")
    assert (elsewhere / "database.dump").stat().st_mode & 0o077 == 0
    restore = ["pg_restore", "--no-owner", f"--dbname={plain.replace('/postgres?', '/again?')}", elsewhere / "database.dump"]
    subprocess.run(restore, check=True, capture_output=True)
    assert ask("select name from users", "again") == "ada"
    with pytest.raises(ConfigError, match=r"pg_dump failed.*password") as failed:
        dump_postgresql(make_url(cluster.replace("s3cret", "wr0ng")), elsewhere / "database.dump")
    assert "wr0ng" not in str(failed.value)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="Install postgresql-client"):
        dump_postgresql(make_url(cluster), elsewhere / "database.dump")


# -- published names ----------------------------------------------------------------------------------------------


def test_published_names_are_part_of_a_backup_with_their_versions_and_tokens(service: Service, elsewhere: Path) -> None:
    model = make_job(service, status=Status.DONE)
    version = Version(1, model.id, model.name, "snapshot", 1.0, "classification", "pytorch", 0.0)
    made = Publication("digits", USER, 0.0, active=2, previous=1, versions=(version, replace(version, number=2)))
    serving = Serving.open(service)
    for name in ("digits", "gone"):
        serving.publications.change(name, lambda _, name=name: replace(made, name=name))
    token, published = names.add_token(serving, "digits", USER)
    back_up(service, elsewhere / "new")
    names.unpublish(serving, "gone", USER)
    back_up(service, elsewhere / "new")
    opened = Service.open(Settings(jobs_dir=str(elsewhere / "new"), auth=False))
    kept = Serving.open(opened)
    assert kept.publications.names() == ["digits"], "what was taken back does not come back"
    assert names.find(kept, "digits") == published
    assert names.opens(names.find(kept, "digits"), token) is not None
    assert token not in "".join(path.read_text() for path in (elsewhere / "new" / ".digits" / "serve").iterdir())
    opened.close()
