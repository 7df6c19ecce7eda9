"""`digits jobs`: what a user may change of a job, from the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from digits.cli import group
from digits.domain.jobs import Kind, Status
from digits.errors import BadRequest
from digits.service import Service
from tests.builders import make_job


def run(service: Service, *arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(group, [*arguments, "--jobs-dir", str(service.jobs_dir.path)], **options)


def test_tags_names_groups_and_notes(service: Service) -> None:
    one, two = (make_job(service, Kind.DATASET, name, status=Status.DONE) for name in ("one", "two"))
    assert run(service, "jobs", "edit", "one", two.id, "--tags", "a, b", "--group", "g").exit_code == 0
    assert (
        run(service, "jobs", "edit", "one", "--add-tag", "c", "--remove-tag", "a", "--name", "first", "--notes", "n").exit_code
        == 0
    )
    first, second = service.store.get(one.id), service.store.get(two.id)
    assert (first.tags, first.name, first.notes, first.group) == (["b", "c"], "first", "n", "g")
    assert (second.tags, second.name, second.group) == (["a", "b"], "two", "g")
    rows = json.loads(run(service, "jobs", "show", "first").stdout)
    assert rows[0]["tags"] == ["b", "c"]
    found = json.loads(run(service, "jobs", "list", "--all", "--tag", "c", "--json").stdout)
    assert [job["id"] for job in found] == [one.id]
    assert run(service, "jobs", "edit", "first", "--tags", "").exit_code == 0
    assert service.store.get(one.id).tags == []


@pytest.mark.parametrize("more", [(), ("--sort", "-best"), ("--json",)])
def test_a_metric_that_there_is_not_is_refused(service: Service, more: tuple[str, ...]) -> None:
    assert "There is no metric 'nope'" in str(run(service, "jobs", "list", "--metric", "nope", *more).exception)


@pytest.mark.parametrize("given", [(), ("--tags", "x" * 10_000), ("--add-tag", "a,b"), ("--name", " ")])
def test_what_cannot_be_changed_is_said(service: Service, given: tuple[str, ...]) -> None:
    job = make_job(service, name="same", status=Status.DONE)
    assert isinstance(run(service, "jobs", "edit", job.id, *given).exception, BadRequest)
    assert service.store.get(job.id).name == "same"


def test_one_name_is_not_for_several_jobs(service: Service) -> None:
    ids = [make_job(service, status=Status.DONE).id for _ in range(2)]
    assert "--name names one job" in str(run(service, "jobs", "edit", *ids, "--name", "x").exception)


def test_the_queue_from_the_command_line(service: Service) -> None:
    first, second = (make_job(service, name=name, status=Status.WAIT) for name in ("first", "second"))
    assert run(service, "jobs", "move", "second", "top").exit_code == 0
    assert [job.id for job in service.store.active()] == [second.id, first.id]
    ended = make_job(service, name="ended", status=Status.DONE)
    assert "only an aborted or failed job can go on" in str(run(service, "jobs", "resume", ended.id).exception)
    assert run(service, "jobs", "delete", ended.id, "--yes", "--purge").exit_code == 0
    assert not service.folder(ended.id).path.exists()
