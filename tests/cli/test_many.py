"""Commands that take several jobs: what is refused is told, the others are done, and a "no" is waited for by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from digits.cli import group
from digits.domain.jobs import Kind
from digits.domain.status import Status
from digits.errors import BadRequest
from digits.service import Service
from tests.builders import make_job


def run(service: Service, *arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(group, [*arguments, "--jobs-dir", str(service.jobs_dir.path)], input=answers)


def test_abort_goes_on_after_a_refusal(service: Service) -> None:
    ended = make_job(service, name="ended", status=Status.DONE)
    waiting = make_job(service, name="waiting", status=Status.WAIT)
    result = run(service, "jobs", "abort", ended.id, waiting.id)
    assert isinstance(result.exception, BadRequest)
    assert "ended: Job not aborted" in str(result.exception)
    assert "waiting is asked to stop." in result.output
    assert service.store.get(waiting.id).requested_action == "abort"


def test_delete_keeps_what_is_needed_or_not_agreed_to(service: Service) -> None:
    needed, kept, gone = (make_job(service, Kind.DATASET, name, status=Status.DONE) for name in ("needed", "kept", "gone"))
    make_job(service, name="model", parents=(needed.id,))
    result = run(service, "dataset", "delete", needed.id, kept.id, gone.id, answers="y\nn\ny\n")
    assert isinstance(result.exception, BadRequest)
    assert "needed is used by 1 model(s)" in str(result.exception)
    assert [service.folder(job.id).path.exists() for job in (needed, kept, gone)] == [True, True, False]


@pytest.mark.parametrize("kind", ["dataset", "model"])
def test_nothing_is_waited_for_when_nothing_is_deleted(service: Service, kind: str) -> None:
    job = make_job(service, Kind(kind), status=Status.DONE)
    assert run(service, kind, "delete", job.id, answers="n\n").exit_code == 0
    assert service.folder(job.id).exists()


def test_reindex_names_what_it_leaves_out(service: Service) -> None:
    folder: Path = service.jobs_dir.path / "20160101-000000-abcd"
    folder.mkdir()
    (folder / "status.pickle").write_bytes(b"old")
    result = run(service, "jobs", "reindex")
    assert result.exit_code == 0
    assert f"left out: {folder}: A job of the original" in result.output
