"""Hundreds of jobs at once: the order of the queue, aborted and deleted together."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from digits.domain.jobs import Kind, Status, UserColumns
from digits.service import Service
from digits.service import jobs as actions
from digits.storage.folders import JobFolder
from tests.builders import make_job


def test_however_jobs_are_moved_the_queue_has_the_order_that_was_wished(service: Service) -> None:
    order = [make_job(service, name=str(number)).id for number in range(7)]
    chance = random.Random(1)
    for _ in range(60):
        job_id, move = chance.choice(order), chance.choice(["top", "up", "down", "bottom"])
        at = order.index(job_id)
        to = {"top": 0, "bottom": 6, "up": max(0, at - 1), "down": min(6, at + 1)}[move]
        order.insert(to, order.pop(at))
        actions.reprioritize(service, service.store.get(job_id), move)
        assert [job.id for job in service.store.active()] == order
    kept = [service.folder(job_id).user().priority for job_id in order]
    assert kept == [service.store.get(job_id).priority for job_id in order]


def test_a_job_that_goes_to_an_end_of_the_queue_changes_no_other(service: Service) -> None:
    jobs = [make_job(service, name=str(number)) for number in range(4)]
    actions.reprioritize(service, jobs[3], "top")
    actions.reprioritize(service, jobs[0], "bottom")
    assert [service.store.get(job.id).priority for job in jobs] == [-1, 0, 0, 1]


def test_a_data_set_is_deleted_together_with_its_models_and_else_kept(service: Service) -> None:
    dataset = make_job(service, Kind.DATASET, "data", status=Status.DONE)
    model = make_job(service, name="model", parents=(dataset.id,))
    evaluation = make_job(service, Kind.EVALUATION, "evaluation", summary={"model_id": model.id})
    gone, problems = actions.delete_many(service, [dataset])
    assert gone == []
    (problem,) = problems
    assert problem.startswith("data is used by 1 model(s), which must be deleted first: model.")
    assert "keep_models=1" in problem
    gone, problems = actions.delete_many(service, [dataset, model])
    assert (set(gone), problems) == ({dataset.id, model.id, evaluation.id}, [])


def test_those_that_ended_are_counted_and_the_others_aborted(service: Service) -> None:
    waits, ended = make_job(service, name="waits"), make_job(service, name="ended", status=Status.DONE)
    assert actions.abort_many(service, [waits, ended]) == ["ended: Job not aborted"]
    assert service.store.get(waits.id).requested_action == "abort"
    assert service.store.get(ended.id).requested_action == ""


@pytest.mark.parametrize("way", ["a group of many", "a place in the queue", "a name, by another process"])
def test_what_two_change_of_a_job_at_once_is_both_kept(service: Service, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    job, other = make_job(service, name="job"), Service.open(service.settings)
    write, writing = JobFolder.write_user, Event()

    def write_slowly(folder: JobFolder, user: UserColumns) -> None:
        if not writing.is_set():  # the first one
            writing.set()
            time.sleep(0.5)
        write(folder, user)

    monkeypatch.setattr(JobFolder, "write_user", write_slowly)
    with ThreadPoolExecutor(1) as threads:
        match way:
            case "a group of many":
                first = threads.submit(actions.regroup_many, service, [job], "new")
            case "a place in the queue":
                first = threads.submit(actions.reprioritize, service, job, "7")
            case _:
                first = threads.submit(actions.edit, other, job, name="new")
        writing.wait()
        actions.edit(service, job, notes="of the other tab")
        first.result()
    other.close()
    kept, row = service.folder(job.id).user(), service.store.get(job.id)
    changed = (kept.group, kept.priority, kept.name)
    assert changed == (row.group, row.priority, row.name)
    assert changed == {"a group of many": ("new", 0, "job"), "a place in the queue": ("", 7, "job")}.get(way, ("", 0, "new"))
    assert kept.notes == row.notes == "of the other tab"
