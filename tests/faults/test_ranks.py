"""Trainings of several processes whose ranks die, hang, fail or are slow: real workers, a real supervisor."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from digits.domain.events import ErrorEvent, ProgressEvent, StatusEvent
from digits.domain.jobs import Kind, Status
from digits.domain.training import LearningRate, TrainingSpec
from digits.service import jobs as actions
from digits.storage.events import read_events
from digits.storage.jobs.store import Job
from digits.supervisor.executor import Ladder
from digits.testing.runs import make_dataset, metric_lines, striped_pictures, train_logged
from digits.utils.processes import group_members
from tests.supervisor.conftest import World

WORKER = (sys.executable, "-P", "-m", "digits.worker")
DATASET = "20260101-000000-aaaa"
# What each rank does in the n-th training step (or while it builds, or validates) of each attempt stands in the file `plan`.
NETWORK = """
import json, os, signal, time
from pathlib import Path
import torch
from torch import nn

PLAN, DONE = Path({plan!r}), []

def act(moment):
    rank = os.environ.get("LOCAL_RANK", "0")
    for n, (who, when, what) in enumerate(json.loads(PLAN.read_text()) if PLAN.exists() else []):
        mark = PLAN.with_name(f"done-{{n}}")
        if who == rank and when == moment and not mark.exists():
            if what != "sleep":
                mark.touch()
            {{"kill": lambda: os.kill(os.getpid(), 9), "stop": lambda: os.kill(os.getpid(), 19), "sleep": lambda: time.sleep(1.5),
             "exit": lambda: os._exit(0), "raise": lambda: fail()}}[what]()
            return

def fail():
    raise ValueError("this rank has found something")

def build_network(context):
    act("build")
    c, h, w = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, context.num_classes))

def loss(outputs, targets):
    moment = "step" if outputs.requires_grad else "validation"
    time.sleep(0.15)
    DONE.append(moment)
    act(moment)
    act(f"{{moment}} {{DONE.count(moment)}}")
    return nn.functional.cross_entropy(outputs, targets)
"""


def a_training(world: World, plan: list[tuple[str, str, str]], **values: Any) -> Job:
    """A job that trains in two processes on the CPU and acts as planned: (rank, moment, what it does), once each."""

    folder = world.service.folder(DATASET).path
    make_dataset(folder, *striped_pictures(40, 8, 1), class_labels=("left", "right"))
    file = folder.parent / "plan"
    file.write_text(json.dumps(plan))
    spec = TrainingSpec(
        DATASET,
        "classification",
        network=NETWORK.format(plan=str(file)),
        **{
            "epochs": 6,
            "batch_size": 8,
            "seed": 1,
            "threads": 1,
            "cpu_processes": 2,
            "learning_rate": LearningRate(0.05, "fixed"),
            **values,
        },
    )
    return world.job(Kind.MODEL, **spec.to_json())


def errors_of(world: World, job: Job) -> list[ErrorEvent]:
    return [event for _, event in read_events(world.service.folder(job.id).events_file) if isinstance(event, ErrorEvent)]


def test_whichever_rank_dies_or_hangs_wherever_the_training_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    world = World(tmp_path / "jobs", heartbeat_seconds=10)
    job = a_training(world, [("1", "build", "kill"), ("1", "step 9", "stop"), ("1", "validation 2", "kill")])
    try:
        world.supervise(command=WORKER)
        (row,) = world.until_ended(job, seconds=400)
        assert (row.status, row.error) == (Status.DONE, ""), row.error
        assert row.attempt == 4
        assert "after: rank 1 of 2 showed no sign of life for 10 s and was ended" in row.message
        folder = world.service.folder(job.id)
        words = [event for _, event in read_events(folder.events_file) if isinstance(event, StatusEvent) and event.lost]
        assert [event.message.split(" (")[0] for event in words] == ["rank 1 of 2 was killed by signal 9"] * 2
        spec = TrainingSpec.from_json(folder.request().spec)
        train_logged(world.service.folder(DATASET).path, tmp_path / "whole", replace(spec, cpu_processes=1))
        lines, whole = metric_lines(folder.path), metric_lines(tmp_path / "whole")
        assert [line[:2] for line in lines] == [line[:2] for line in whole]
        for (*_, found), (*_, expected) in zip(lines, whole, strict=True):
            assert found == pytest.approx(expected, abs=1e-5)
    finally:
        world.close()


def test_what_another_rank_raised_is_what_the_job_says(world: World) -> None:
    job = a_training(world, [("1", "step 3", "raise")])
    world.supervise(command=WORKER)
    (row,) = world.until_ended(job, seconds=150)
    assert row.status == Status.ERROR
    assert row.attempt == 1
    assert "this rank has found something" in row.error
    assert "Correct the network text." in row.error
    (error,) = errors_of(world, job)
    assert "in fail" in error.trace


def test_abort_is_heard_at_the_next_step_and_loses_none(world: World) -> None:
    job = a_training(world, [("1", "step", "sleep")], epochs=50)
    world.supervise(Ladder(20.0, 5.0), command=WORKER)
    world.until(lambda: world.get(job).progress > 0, 60)
    members = group_members(world.get(job).pid)
    assert len(members) >= 2
    asked = time.monotonic()
    actions.abort(world.service, world.get(job))
    (row,) = world.until_ended(job, seconds=60)
    assert time.monotonic() - asked < 10
    assert (row.status, row.error) == (Status.ABORT, "")
    folder = world.service.folder(job.id)
    steps = [event.step for _, event in read_events(folder.events_file) if isinstance(event, ProgressEvent)]
    assert (folder.checkpoint / "checkpoint.json").exists()

    assert json.loads((folder.checkpoint / "checkpoint.json").read_text())["step"] >= max(steps)
    world.until(lambda: not any(psutil.pid_exists(pid) for pid in members))
