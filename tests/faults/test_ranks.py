"""Trainings of several processes whose ranks die, hang, fail or are slow: real workers, a real supervisor."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from digits.domain.events import ProgressEvent, StatusEvent
from digits.domain.jobs import FINISHED, Kind, Status
from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.pytorch import ranks
from digits.engines.training import checkpoint
from digits.errors import NetworkError, ProcessLost
from digits.service import jobs as actions
from digits.storage.events import read_events
from digits.storage.jobs.store import Job
from digits.supervisor.executor import Ladder
from digits.testing.runs import make_dataset, metric_lines, striped_pictures, train_logged
from digits.utils import memory
from digits.utils.processes import group_members
from digits.worker.failures import error_event
from tests.faults.test_server import Servers
from tests.supervisor.conftest import World
from tests.waiting import wait_for

WORKER = (sys.executable, "-P", "-m", "digits.worker")
DATASET = "20260101-000000-aaaa"
SEED = 47  # of what happens to whom and when
CAME = {"kill": "killed by signal 9", "stop": "shows no sign of life; after 10 s it was ended"}
ALONE = "it showed no sign of life for 10 s and was ended"
# What each rank does at a moment, such as its n-th training step of an attempt, stands in the file `plan`.
NETWORK = """
import json, os, time
from pathlib import Path
import torch
from torch import nn
from digits.engines.pytorch import step

PLAN, DONE, gather = Path({plan!r}), [], step.gather

def act(moment):
    DONE.append(moment)
    rank, moment = os.environ.get("LOCAL_RANK", "0"), f"{{moment}} {{DONE.count(moment)}}"
    for n, (who, when, what) in enumerate(json.loads(PLAN.read_text()) if PLAN.exists() else []):
        mark = PLAN.with_name(f"done-{{n}}")
        if who == rank and moment.startswith(when) and not mark.exists():
            if what != "sleep":
                mark.touch()
            {{"kill": lambda: os.kill(os.getpid(), 9), "stop": lambda: os.kill(os.getpid(), 19), "sleep": lambda: time.sleep(1.5),
             "raise": lambda: fail(), "hang": lambda: time.sleep(5)}}[what]()
            return

def fail():
    raise ValueError("this rank has found something")

def gather_state(value):
    if isinstance(value, dict) and "random" in value:
        act("checkpoint")
    return gather(value)

def build_network(context):
    step.gather = gather_state
    act("start")
    c, h, w = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, context.num_classes))

def loss(outputs, targets):
    time.sleep(0.05)
    act("step" if outputs.requires_grad else "validation")
    return nn.functional.cross_entropy(outputs, targets)
"""
Plan = list[tuple[str, str, str]]  # rank, (the beginning of) the moment, what it does; once each


def a_spec(dataset: Path, plan: Plan, **values: Any) -> TrainingSpec:
    """A training of two processes on the CPU, which act as planned. The data set is made."""
    make_dataset(dataset, *striped_pictures(40, 8, 1), class_labels=("left", "right"))
    file = dataset.parent / "plan"
    file.write_text(json.dumps(plan))
    fixed = TrainingSpec(DATASET, "classification", network=NETWORK.format(plan=str(file)), batch_size=8, seed=1)
    rate = LearningRate(0.05, "fixed")
    return replace(fixed, threads=1, cpu_processes=2, learning_rate=rate, **{"epochs": 6, **values})


def a_training(world: World, plan: Plan, **values: Any) -> Job:
    return world.job(Kind.MODEL, **a_spec(world.service.folder(DATASET).path, plan, **values).to_json())


def at_random(seed: int) -> Plan:
    """Two kills and one stop of either rank, each at another moment of a training."""
    chance = random.Random(seed)
    moments = [
        "start 1",
        f"step {chance.randint(1, 9)}",
        f"validation {chance.randint(1, 3)}",
        f"checkpoint {chance.randint(1, 2)}",
    ]
    ranks, acts = ["0", "1", chance.choice("01")], ["kill", "kill", "stop"]
    chance.shuffle(ranks)
    chance.shuffle(acts)
    return list(zip(ranks, chance.sample(moments, 3), acts, strict=True))


@pytest.mark.long
def test_whichever_rank_dies_or_hangs_whenever_the_training_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    world, plan = World(tmp_path / "jobs", heartbeat_seconds=10), at_random(SEED)
    job = a_training(world, plan)
    try:
        world.supervise(command=WORKER)
        words: set[str] = set()
        world.until(lambda: words.add(world.get(job).message) or world.get(job).status in FINISHED, 400)
        row = world.get(job)
        assert (row.status, row.error) == (Status.DONE, ""), (row.error, plan)
        assert row.attempt == 1 + len(plan), plan
        for rank, _, what in plan:
            who, came = ("rank 1 of 2", CAME[what]) if rank == "1" else ("", ALONE if what == "stop" else CAME[what])
            assert any(who in one and came in one for one in words), (who, came, words)
        folder = world.service.folder(job.id)
        lost = [event for _, event in read_events(folder.events_file) if isinstance(event, StatusEvent) and event.lost]
        killed = [rank for rank, _, what in plan if (rank, what) == ("1", "kill")]
        assert [event.message.split(" (")[0] for event in lost] == ["rank 1 of 2 was killed by signal 9"] * len(killed)
        spec = TrainingSpec.from_json(folder.request().spec)
        train_logged(world.service.folder(DATASET).path, tmp_path / "whole", replace(spec, cpu_processes=1))
        assert_same_numbers(folder.path, tmp_path / "whole")
    finally:
        world.close()


def assert_same_numbers(folder: Path, whole: Path) -> None:
    """Of every line of metrics, up to the rounding of sums."""
    lines, others = metric_lines(folder), metric_lines(whole)
    assert [line[:2] for line in lines] == [line[:2] for line in others]
    for (*_, found), (*_, expected) in zip(lines, others, strict=True):
        assert found == pytest.approx(expected, abs=1e-5)


def test_what_another_rank_raised_is_what_the_job_says(tmp_path: Path) -> None:
    spec = a_spec(tmp_path / "data", [("1", "step 3", "raise")])
    with pytest.raises(NetworkError) as caught:
        train_logged(tmp_path / "data", tmp_path / "job", spec)
    event = error_event(caught.value)
    assert "this rank has found something" in event.message
    assert event.advice == "Correct the network text."
    assert "in fail" in event.trace


def test_a_rank_that_is_killed_is_the_reason_and_the_training_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "oom_kills", lambda: 0)  # of other tests on this machine
    spec = a_spec(tmp_path / "data", [("1", "step 3", "kill")], epochs=1)
    with pytest.raises(ProcessLost, match=r"^rank 1 of 2 was killed by signal 9 \(SIGKILL"):
        train_logged(tmp_path / "data", tmp_path / "job", spec, checkpoint_seconds=0)
    assert (checkpoint.read(tmp_path / "job" / "checkpoint") or {})["step"] == 2
    train_logged(tmp_path / "data", tmp_path / "job", spec, checkpoint_seconds=0)
    train_logged(tmp_path / "data", tmp_path / "whole", replace(spec, cpu_processes=1))
    assert_same_numbers(tmp_path / "job", tmp_path / "whole")


def test_a_rank_that_hangs_in_python_while_the_others_wait_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "STILL_SECONDS", 2.0)
    spec, said = a_spec(tmp_path / "data", [("1", "step 3", "hang")], epochs=1), []
    train_logged(tmp_path / "data", tmp_path / "job", spec, report_silence=lambda words: said.append(words))
    (words,) = {words for words in said if "rank 1" in words}  # a busy machine may say more of its start
    assert words.startswith("rank 1 of 2 in step 3 (network.py, line 19: ")
    assert words.endswith(") has not moved for 2 s, and the others wait for it")
    assert said[-1] == ""  # it went on


def test_trainings_outlive_a_server_that_is_killed_with_all_their_processes(world: World, tmp_path: Path) -> None:
    job = a_training(world, [("1", "step 3", "sleep")], epochs=10)
    servers = Servers(world.settings.jobs_dir, "real")
    try:
        first = servers.start()
        wait_for(lambda: world.get(job).progress > 0, 60)
        members = group_members(world.get(job).pid)
        first.kill()
        first.wait()
        assert len(members) >= 2
        servers.start()
        wait_for(lambda: world.get(job).status in FINISHED, 60)
    finally:
        servers.close()
    row = world.get(job)
    assert (row.status, row.error, row.attempt) == (Status.DONE, "", 1)
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in members))
    folder = world.service.folder(job.id)
    whole = replace(TrainingSpec.from_json(folder.request().spec), cpu_processes=1)
    train_logged(world.service.folder(DATASET).path, tmp_path / "whole", whole)
    assert_same_numbers(folder.path, tmp_path / "whole")


def test_abort_is_heard_at_the_next_batch_and_loses_no_step(world: World) -> None:
    """Of the second of groups of 8 batches, which take 1.5 s each from the tenth on."""
    plan: Plan = [("1", "step 1", "sleep")]
    job = a_training(world, plan, epochs=50, batch_size=4, batch_accumulation=8)
    world.supervise(Ladder(20.0, 5.0), command=WORKER)
    world.until(lambda: world.get(job).progress > 9 / 400, 60)
    members = group_members(world.get(job).pid)
    assert len(members) >= 2
    actions.abort(world.service, world.get(job))
    (row,) = world.until_ended(job, seconds=60)
    assert (row.status, row.error) == (Status.ABORT, "")
    folder = world.service.folder(job.id)
    steps = [event.step for _, event in read_events(folder.events_file) if isinstance(event, ProgressEvent)]
    assert json.loads((folder.checkpoint / "checkpoint.json").read_text())["step"] == max(steps) // 8 * 8 == 8
    world.until(lambda: not any(psutil.pid_exists(pid) for pid in members))
