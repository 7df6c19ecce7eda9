"""Who else on the machine may read what the server keeps."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.config import Settings, load
from digits.errors import ConfigError
from digits.service import Service
from digits.service.files import uploads
from digits.storage.folders import JobsDir
from digits.storage.modes import limit_process, of_the_user, release_process, settle_tree
from tests.builders import make_job


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """The umask of most accounts: others read what nobody takes care of."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def service_on(folder: Path, **settings: str) -> Service:
    return Service.open(Settings(jobs_dir=str(folder), auth=False, **settings))


def test_a_new_directory_is_the_owners_alone(tmp_path: Path) -> None:
    service = service_on(tmp_path / "jobs")
    job = make_job(service)
    token = uploads.begin(service, "pictures", "anna")
    hidden = service.jobs_dir.hidden
    for folder in (tmp_path / "jobs", hidden, service.folder(job.id).path, hidden / "uploads" / ".partial" / token):
        assert mode(folder) == 0o700, folder
    service.store.sequence()
    databases = list(hidden.glob("digits.sqlite*"))
    assert {mode(path) for path in databases} <= {0o600, 0o644}
    assert {path.name: mode(path) for path in databases if "lock" not in path.name and mode(path) != 0o600} == {}
    service.close()


def test_a_directory_of_an_earlier_version_is_closed_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    service = service_on(folder)
    job = make_job(service)
    service.close()
    kept = service.folder(job.id).path / "userdata.pkl"
    kept.write_bytes(b"")
    upload = service.jobs_dir.uploads / "pictures"
    upload.mkdir()
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    JobsDir(folder).prepare()
    JobsDir(folder).settle_modes()
    closed = [service.jobs_dir.hidden, service.folder(job.id).path, upload]
    assert [mode(path) for path in closed] == [0o700] * 3
    inside = [*service.folder(job.id).path.iterdir(), service.jobs_dir.database_file]
    assert {mode(path) for path in inside} == {0o600}


def test_a_group_may_read_jobs_but_neither_the_database_nor_what_python_would_run(tmp_path: Path) -> None:
    service = service_on(tmp_path / "jobs", jobs_mode="0750")
    job = make_job(service)
    folder = service.folder(job.id).path
    (folder / "userdata.pkl").write_bytes(b"")
    os.chmod(folder, 0o2700)
    settle_tree(folder, 0o750)
    assert mode(folder) == 0o2750  # files stay the group's
    assert mode(folder / "job.json") == 0o640
    assert mode(folder / "userdata.pkl") == 0o600
    assert mode(service.jobs_dir.hidden) == 0o700
    assert mode(service.jobs_dir.database_file) == 0o600
    service.close()


def test_what_a_command_writes_for_its_user_has_the_users_own_mode(tmp_path: Path) -> None:
    limit_process(0o700)
    try:
        (tmp_path / "ours").write_text("")
        with of_the_user():
            (tmp_path / "theirs").write_text("")
        (tmp_path / "ours again").write_text("")
    finally:
        release_process()
    (tmp_path / "later").write_text("")
    assert {path.name: mode(path) for path in tmp_path.iterdir()} == {
        "ours": 0o600,
        "theirs": 0o644,
        "ours again": 0o600,
        "later": 0o644,
    }


@pytest.mark.parametrize("text", ["0777", "0707", "770x", "rwx", "488", "0600", ""])
def test_a_mode_that_lets_others_write_or_the_owner_not_in_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"DIGITS_JOBS_MODE.*0750 \(the"):
        load(environ={"DIGITS_JOBS_MODE": text})


@pytest.mark.parametrize(("text", "number"), [("0700", 0o700), ("750", 0o750), ("0o770", 0o770), ("0755", 0o755)])
def test_modes_are_octal(text: str, number: int) -> None:
    assert load(environ={"DIGITS_JOBS_MODE": text}).settings.folder_mode == number
