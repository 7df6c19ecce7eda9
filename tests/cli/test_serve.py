"""What `digits serve` checks and says before anything is started."""

from __future__ import annotations

import socket

import pytest

from digits.cli import serve
from digits.config import Settings
from digits.errors import ConfigError
from digits.service import Service
from tests.builders import make_job

pytestmark = pytest.mark.usefixtures("root_logger")


def test_a_port_that_browsers_refuse_is_warned_about(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "free_port", lambda settings: settings.port)
    monkeypatch.setattr(serve, "run", lambda *arguments, **options: None)
    for port in (5060, 5061):
        serve.start(Settings(jobs_dir=f"{tmp_path}/jobs", port=port))
    assert capsys.readouterr().err.count("Browsers refuse to open port") == 2
    serve.start(Settings(jobs_dir=f"{tmp_path}/jobs", port=5062))
    assert capsys.readouterr().err == ""


def test_a_port_in_use_is_named(tmp_path: object) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=f"Port {taken.getsockname()[1]} of 127.0.0.1 cannot be used"):
            serve.start(Settings(jobs_dir=f"{tmp_path}/jobs", port=taken.getsockname()[1]))


def test_an_empty_database_is_made_again_and_the_log_says_so(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "run", lambda *arguments, **options: None)
    make_job(service)
    service.close()
    service.jobs_dir.database_file.write_bytes(b"")
    for beside in service.jobs_dir.hidden.glob("digits.sqlite-*"):
        beside.unlink()
    serve.start(Settings(jobs_dir=str(service.jobs_dir.path), port=0))
    log = (service.jobs_dir.hidden / "digits.log").read_text()
    assert "The database had no tables. They are made again; the server, or `digits jobs reindex`, reads 1 jobs" in log
    assert "make them again with `digits user add`" in log
