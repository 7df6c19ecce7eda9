"""Commands that take several jobs: what is refused is told, the others are done, and a "no" is waited for by nobody."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from digits.cli import group
from digits.cli.follow import follow
from digits.domain.jobs import Kind, Status
from digits.errors import BadRequest
from digits.service import Service
from digits.service.datasets.classification import create_classification_dataset
from digits.storage.jobs.store import JobQuery
from digits.storage.lock import ServerLock
from tests.builders import make_job
from tests.service.finished_dataset import class_folder


def run(service: Service, *arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(group, [*arguments, "--jobs-dir", str(service.jobs_dir.path)], input=answers)


def test_abort_goes_on_after_a_refusal(service: Service) -> None:
    ended = make_job(service, name="ended", status=Status.DONE)
    waiting = make_job(service, name="waiting", status=Status.WAIT)
    result = run(service, "jobs", "abort", ended.id, waiting.id)
    assert isinstance(result.exception, BadRequest)
    assert "ended: Job not aborted" in str(result.exception)
    assert "waiting is requested to stop." in result.output
    assert service.store.get(waiting.id).requested_action == "abort"


def test_delete_keeps_what_is_needed_or_not_agreed_to(service: Service) -> None:
    needed, kept, gone = (make_job(service, Kind.DATASET, name, status=Status.DONE) for name in ("needed", "kept", "gone"))
    make_job(service, name="model", parents=(needed.id,))
    result = run(service, "dataset", "delete", needed.id, kept.id, gone.id, answers="y\nn\ny\n")
    assert isinstance(result.exception, BadRequest)
    assert "needed is used by 1 model(s)" in str(result.exception)
    assert "1 job in the trash for 30 days: `digits jobs restore ID`" in result.output
    assert [service.store.find(job.id) is not None for job in (needed, kept, gone)] == [True, True, False]
    assert [job.id for job in service.store.trash()] == [gone.id]


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


def test_a_model_goes_with_its_evaluations_and_waits_for_them(service: Service) -> None:
    model = make_job(service, name="model", status=Status.DONE)
    evaluation = make_job(service, Kind.EVALUATION, "evaluation", status=Status.DONE, summary={"model_id": model.id})
    assert run(service, "model", "delete", model.id, "--yes").exit_code == 0
    assert service.store.query(JobQuery()).jobs == []
    listed = run(service, "jobs", "trash")
    assert all(text in listed.output for text in (model.id, evaluation.id, "2 jobs, "))
    back = run(service, "jobs", "restore", "model")
    assert [line.split()[0] for line in back.output.splitlines()] == [model.id, evaluation.id]
    assert (service.store.trash(), service.folder(model.id).state()["deleted"]) == ([], None)
    assert run(service, "model", "delete", model.id, "--yes").exit_code == 0
    assert run(service, "jobs", "purge").exit_code == 1
    assert run(service, "jobs", "purge", "--all", "--yes").exit_code == 0
    assert [service.folder(job.id).path.exists() for job in (model, evaluation)] == [False, False]
    assert service.store.ids() == []


def test_names_that_look_like_markup_are_printed_as_they_are(service: Service) -> None:
    make_job(service, Kind.DATASET, "[/b] [red]x", status=Status.DONE)
    assert "[/b] [red]x" in run(service, "dataset", "list").output


def test_who_follows_a_job_does_it_when_the_other_command_ends(service: Service, tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "pictures", 3)
    job = create_classification_dataset(service, {"dataset_name": "d", "folder_train": str(folder), "resize_width": "8"})
    lock = ServerLock(service.jobs_dir)
    lock.__enter__()
    other = threading.Timer(0.5, lock.__exit__, (None, None, None))
    other.start()
    assert follow(service, [job.id], quiet=True)
    other.join()
    assert service.store.get(job.id).status == Status.DONE
