"""The audit log: whole lines from several processes, files that take turns, nothing secret, and work goes on without it."""

from __future__ import annotations

import json
import multiprocessing
import stat

import pytest

from digits.config import Settings
from digits.service import Service, audit


def _write(jobs_dir: str, worker: int, count: int) -> None:
    service = Service.open(Settings(jobs_dir=jobs_dir))
    audit.FILE_BYTES = 20_000
    for number in range(count):
        audit.record(service, "test", who=f"w{worker}", by="test", number=number)
    service.close()


def test_processes_write_whole_lines_into_files_that_take_turns(service: Service) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_write, args=(str(service.jobs_dir.path), worker, 300)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    path = audit.audit_file(service)
    files = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, audit.FILE_COUNT + 1))]
    lines = [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]
    assert len(lines) == 900
    assert len({(line["who"], line["number"]) for line in lines}) == 900
    assert max(file.stat().st_size for file in files if file.exists()) <= 20_000
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_old_files_go(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "FILE_BYTES", 200)
    for number in range(40):
        audit.record(service, "test", who="ada", by="test", number=number)
    found = sorted(path.name for path in service.jobs_dir.hidden.glob("audit.log*"))
    assert len(found) == audit.FILE_COUNT + 1


def test_a_line_cannot_be_forged_and_shows_no_password(service: Service) -> None:
    audit.record(service, "log-in failed", who='x"\n{"who": "ada"}', by="password", url="http://a:s3cret@b", long="x" * 10_000)
    text = audit.audit_file(service).read_text()
    assert text.count("\n") == 1
    line = json.loads(text)
    assert (line["who"], line["url"], len(line["long"])) == ('x"\n{"who": "ada"}', "http://a:***@b", audit.LONGEST_TEXT)
    for before in range(470, 500):  # wherever a text is cut
        audit.record(service, "log in", who="ada", by="password", url="x" * before + " http://a:s3cret@b")
    assert "s3" not in audit.audit_file(service).read_text()


def test_work_goes_on_where_it_cannot_be_written(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    audit.audit_file(service).mkdir()
    audit.record(service, "log in", who="ada", by="password")
    assert "cannot be written" in caplog.text
    assert '"who": "ada"' in caplog.text
