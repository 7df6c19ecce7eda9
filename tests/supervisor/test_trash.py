"""The trash, with a real supervisor: what is deleted is stopped, kept, restored, and goes when old or the disk is full."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest

from digits.domain.jobs import Action, Kind, Status
from digits.errors import Forbidden, NotFound
from digits.service import jobs as actions
from digits.service import trash
from digits.storage.jobs.reindex import reindex
from digits.storage.jobs.store import Job
from digits.supervisor import trash as keeping
from tests.supervisor.conftest import World


def deleted_in_file(world: World, job_id: str) -> Any:
    return world.service.folder(job_id).state().get("deleted")


def test_a_running_job_is_stopped_and_comes_back_as_aborted(world: World) -> None:
    job = world.job(steps=1000, seconds=0.05)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0)
    actions.delete(world.service, world.get(job))
    world.until(lambda: not world.get(job).requested_action)
    row = world.get(job)
    assert (row.status, job.id in world.workers()) == (Status.ABORT, False)
    assert deleted_in_file(world, job.id) == row.deleted
    assert (world.jobs(), [one.job.id for one in trash.list_trash(world.service, "x")]) == ([], [job.id])
    world.until(lambda: world.get(job).disk_bytes)
    with pytest.raises(NotFound):
        world.service.store.request_action(job.id, Action.ABORT)
    world.supervise()  # as after a restart of the server
    trash.restore(world.service, [world.get(job)], "x")
    world.until(lambda: not world.get(job).requested_action)
    assert [found.id for found in world.jobs()] == [job.id]
    assert deleted_in_file(world, job.id) is None
    actions.resume(world.service, world.get(job))
    world.until(lambda: world.get(job).status == Status.RUN)


def test_undone_at_once_a_waiting_job_goes_on_waiting(world: World) -> None:
    job = world.job()
    actions.delete(world.service, job)
    trash.restore(world.service, [world.get(job)], "x")
    world.supervise()
    assert [row.status for row in world.until_ended(job)] == [Status.DONE]


def test_a_directory_with_trash_is_reindexed(world: World) -> None:
    kept, gone = world.job(steps=1), world.job(steps=1)
    world.supervise()
    world.until_ended(kept, gone)
    actions.delete(world.service, world.get(gone))
    world.until(lambda: not world.get(gone).requested_action)
    deleted = world.get(gone).deleted
    state = world.service.folder(kept.id).state_file
    state.write_text(json.dumps({**json.loads(state.read_text()), "deleted": "<b>"}))  # by hand
    reindex(world.service.jobs_dir, world.service.store)
    assert [job.id for job in world.jobs()] == [kept.id]
    assert [(job.id, job.deleted) for job in world.service.store.trash()] == [(gone.id, deleted)]


def test_killed_between_row_and_file_the_folder_is_told_at_the_next_start(world: World) -> None:
    job = world.job(steps=1)
    world.supervise()
    world.until_ended(job)
    actions.delete(world.service, world.get(job))
    world.service.store.settle_deletions([job.id])  # and then kill -9
    assert deleted_in_file(world, job.id) is None
    world.supervise()
    assert deleted_in_file(world, job.id) == world.get(job).deleted
    trash.restore(world.service, [world.get(job)], "x")  # and then kill -9
    world.supervise()
    world.until(lambda: not world.get(job).requested_action)
    assert deleted_in_file(world, job.id) is None


def test_a_model_comes_back_with_its_data_set_and_its_evaluations(world: World) -> None:
    service = world.service
    dataset = world.job(Kind.DATASET, steps=1)
    model = world.job(parents=(dataset.id,), steps=1)
    evaluations = [world.job(Kind.EVALUATION, parents=(model.id,), steps=1) for _ in range(2)]
    for one in evaluations:
        service.store.update(one.id, summary={"model_id": model.id}, dataset_id=dataset.id)
    actions.delete(service, evaluations[0])
    actions.delete(service, model)
    actions.delete(service, world.get(dataset))
    assert trash.purge(service, [world.get(dataset)])[0] == [], "its model lies in the trash"
    assert "in the trash, which must be purged first" in trash.purge(service, [world.get(dataset)])[1][0]
    back = trash.restore(service, [world.get(model)], "x")
    assert [job.id for job in back] == [dataset.id, model.id, evaluations[1].id]
    assert [job.id for job in service.store.trash()] == [evaluations[0].id]
    actions.delete(service, world.get(model))
    actions.delete(service, world.get(dataset))
    service.store.update(dataset.id, owner="anna")
    with pytest.raises(Forbidden, match=r"lies in the trash too and belongs to anna. Ask anna"):
        trash.restore(service, [world.get(model)], "x")
    gone, problems = trash.empty(service, "anna")
    assert (len(gone), problems) == (4, [])
    world.supervise()
    world.until(lambda: not service.store.ids())


def test_what_is_old_goes_models_before_their_data_sets(world: World) -> None:
    service = world.service
    dataset = world.job(Kind.DATASET)
    model = world.job(parents=(dataset.id,))
    young = world.job()
    now = time.time()
    for job, days in ((dataset, 40), (model, 20), (young, 1)):
        service.store.update(job.id, deleted=now - days * keeping.DAY)
    supervisor = world.supervise()
    assert len(service.store.trash()) == 3, "the model still needs the data set"
    supervisor.trash.purge_old(now + 10 * keeping.DAY)
    world.until(lambda: service.store.ids() == [young.id])


def test_a_full_disk_takes_the_oldest_from_the_trash(world: World) -> None:
    jobs = [world.job(steps=1) for _ in range(3)]
    for age, job in enumerate(jobs):
        world.service.store.update(job.id, status="D", deleted=time.time() - age)
    supervisor = world.supervise()
    supervisor.trash.min_free = 2**60
    supervisor.trash.make_room()
    world.until(lambda: jobs[2].id not in world.service.store.ids() and supervisor.remover.is_idle)
    assert not world.service.folder(jobs[2].id).path.exists()
    assert len(world.service.store.ids()) >= 1


@pytest.mark.parametrize("way", ["its days are over", "the disk is full", "it is emptied", "it is purged"])
def test_what_is_restored_while_the_trash_is_emptied_stays(world: World, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    supervisor, store = world.supervise(), world.service.store
    job, other = world.job(steps=1), world.job(steps=1)
    for one, days in ((job, 50), (other, 40)):
        store.update(one.id, status="D", deleted=time.time() - days * keeping.DAY)
    listed = store.trash

    def restored_after() -> list[Job]:
        """What lies in the trash; its user restores one of it a moment later."""
        found = listed()
        store.request_action_many([job.id], Action.RESTORE)
        return found

    monkeypatch.setattr(store, "trash", restored_after)
    match way:
        case "its days are over":
            supervisor.trash.purge_old()
        case "the disk is full":
            supervisor.trash.min_free = 2**60
            supervisor.trash.make_room()
        case "it is emptied":
            assert trash.empty(world.service, "x") == ([other.id], [])
        case _:
            assert trash.purge(world.service, store.trash()) == ([other.id], [])
    assert (world.get(job).deleted, world.get(job).requested_action) == (None, Action.RESTORE)
    assert world.get(other).requested_action == ("" if way == "the disk is full" else Action.PURGE)


def test_without_a_trash_deleting_is_for_good(world: World) -> None:
    world.settings = dataclasses.replace(world.settings, trash_days=0)
    job = world.job(steps=1)
    actions.delete(world.service, job)
    world.supervise()
    world.until(lambda: not world.service.store.ids())


def test_many_are_deleted_and_restored_at_once(world: World) -> None:
    jobs = [world.job() for _ in range(60)]
    gone, _ = actions.delete_many(world.service, jobs)
    before = world.service.store.sequence()
    world.supervise()
    world.until(lambda: not any(world.get(job).requested_action for job in jobs))
    states = [json.loads(Path(world.service.folder(job_id).state_file).read_text()) for job_id in gone]
    assert {(state["status"], state["deleted"] is not None) for state in states} == {("A", True)}
    assert len({job.seq for job in world.service.store.changes(before)}) == 60
    assert len(trash.restore(world.service, world.service.store.trash(), "x")) == 60
