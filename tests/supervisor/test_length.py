"""Trainings that are finished early and extended, with a real supervisor and workers that count."""

from __future__ import annotations

from digits.domain.jobs import Action, Status
from digits.service.damage import damage_of
from digits.storage.jobs.store import JobQuery
from tests.supervisor.conftest import World


def test_finished_early_it_is_done_and_says_so(world: World) -> None:
    job = world.job(steps=1000, seconds=0.02, epochs=1)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0)
    world.service.store.request_action(job.id, Action.FINISH)
    (row,) = world.until_ended(job)
    assert (row.status, row.requested_action, row.progress) == (Status.DONE, "", 1.0)
    assert row.message.startswith("Ended early, at epoch 0.0")
    assert row.message.endswith("of 1, as its user requested. The best snapshot is kept.")
    assert not world.service.folder(job.id).finish_file.exists()
    assert damage_of(world.service, row) == []


def test_killed_before_it_finished_it_finishes_at_the_next_start(world: World) -> None:
    job = world.job(steps=1000, epochs=1, die_at={"1": 5}, finishes_in=2)
    world.service.folder(job.id).request_finish()
    world.supervise()
    (row,) = world.until_ended(job)
    assert (row.status, row.attempt) == (Status.DONE, 2)
    assert row.message.startswith("Ended early, at epoch 0.005 of 1")


def test_an_aborted_training_that_was_to_finish_goes_on_when_resumed(world: World) -> None:
    job = world.job(steps=60, seconds=0.03, epochs=1)
    world.supervise()
    world.until(lambda: world.get(job).progress > 0)
    world.service.store.request_action(job.id, Action.ABORT)
    world.until_ended(job)
    world.service.folder(job.id).request_finish()
    world.service.store.request_action(job.id, Action.RESUME)
    world.until(lambda: world.get(job).status == Status.DONE)
    assert world.get(job).message.startswith("Resumed from checkpoint")


def test_extended_it_goes_on_under_its_id_and_a_kill_changes_nothing(world: World) -> None:
    job = world.job(steps=3, epochs=3, form={"train_epochs": "3"})
    world.supervise()
    world.until_ended(job)
    folder = world.service.folder(job.id)
    folder.request_extension(5, 3)
    folder.lengthen(5)  # and then kill -9: the row says nothing of it yet
    world.service.store.request_action(job.id, Action.EXTEND)
    world.supervise()
    world.until(lambda: world.get(job).attempt == 2 and world.get(job).status == Status.DONE)
    assert (folder.request().spec["epochs"], folder.request().form["train_epochs"]) == (5, "5")
    assert [found.id for found in world.service.store.query(JobQuery(query="train_epochs=5")).jobs] == [job.id]
    assert not folder.extend_file.exists()
    assert "it was extended from 3 to 5 epochs by the user" in world.get(job).message
    world.service.store.request_action(job.id, Action.EXTEND)  # nobody says for how long
    world.until(lambda: not world.get(job).requested_action)
    assert world.get(job).attempt == 2
