"""A hundred seeded kills (`make faults`), left out of ordinary runs: every process of a whole server, both engines, all tasks.

Each case makes a data set, trains on it and asks the model, undisturbed and with four kills (SIGKILL) at random moments, one
while pictures are read, two in the training, one while nothing or an answer is under way. Records, curves and answers
must be equal. `FAULTS_REPORT` names a file to which each kill is appended, a line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from digits.config import Settings
from digits.domain.jobs import FINISHED, Status
from digits.frameworks import frameworks
from digits.service import Service
from digits.storage.jobs.store import Job
from digits.storage.records.open import open_split
from digits.testing.runs import metric_lines
from digits.utils.processes import ProcessIdentity, group_members, signal_process
from tests.conftest import RunningServer, free_port, wait_until_it_answers
from tests.journeys.client import Client
from tests.journeys.forms import form_of
from tests.sources import SOURCES

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

KILLS = 4  # of a case
CASES = 25
PATIENCE = 900.0
VICTIMS = {  # by phase; the worker oftener than others, for it has the most to lose
    "reading": ["worker", "worker", "a child of the worker", "server"],
    "training": ["worker", "worker", "worker", "a child of the worker", "server", "web", "plugin host"],
    "asking": ["predictor", "web", "plugin host", "server"],
}


TASKS: dict[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    **{name: SOURCES[name][:2] for name in ("folder", "masks", "boxes", "numbers", "itself", "labels")},
}
COMBINATIONS = [
    *[("pytorch", task, 1) for task in TASKS],
    *[("tensorflow", task, 1) for task in TASKS if task != "boxes"],
    *[("pytorch", task, 2) for task in ("folder", "masks", "numbers")],
]


@dataclass
class Case:
    """What is made, on how many processes, and how the kills fall."""

    number: int
    engine: str
    task: str
    processes: int
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.number)

    @property
    def epochs(self) -> int:
        return 60 if self.task in ("boxes", "masks") else 120


CASE_LIST = [Case(number, *COMBINATIONS[number % len(COMBINATIONS)]) for number in range(CASES)]


class Campaign:
    """A whole server, which is started again when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.settings = Settings(jobs_dir=str(folder / "jobs"), auth=False, data_dirs=str(folder), port=self.port)
        self.service = Service.open(self.settings)
        self.process: subprocess.Popen[bytes] | None = None
        self.start()
        self.references: dict[tuple[str, str, int], Result] = {}
        self.sources: dict[str, dict[str, Any]] = {}  # form values by task: how records are divided depends on their paths

    def start(self) -> None:
        values = {"jobs_dir": self.settings.jobs_dir, "port": str(self.port), "auth": "false", "data_dirs": str(self.folder)}
        environment = {**os.environ, **{f"DIGITS_{name.upper()}": value for name, value in values.items()}}
        environment["DIGITS_CHECKPOINT_SECONDS"] = "1"
        with (self.folder / "server.log").open("ab") as log:
            command = [sys.executable, "-m", "digits", "serve"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
        self.await_answer()

    def await_answer(self) -> None:
        assert self.process is not None
        wait_until_it_answers(f"http://127.0.0.1:{self.port}/health", self.process, self.folder / "server.log")

    @property
    def client(self) -> Client:
        assert self.process is not None
        return Client(RunningServer(f"http://127.0.0.1:{self.port}", self.service, self.process))

    def job(self, job_id: str) -> Job:
        found = self.service.store.find(job_id)
        assert found is not None
        return found

    def close(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)
        self.service.close()

    # -- kills ----------------------------------------------------------------------------------------------------------

    def kill(self, case: Case, phase: str, job_id: str = "") -> None:
        """End one process by chance, whichever of those that live; a killed server is started again."""
        victim = case.chance.choice(VICTIMS[phase])
        found = self._pids(victim, job_id)
        if not found and victim == "a child of the worker":
            victim, found = "worker", self._pids("worker", job_id)
        pid = case.chance.choice(found) if found else 0
        killed = bool(pid) and signal_process(ProcessIdentity.of(pid), signal.SIGKILL)
        row = self.job(job_id) if job_id else None
        said = {"case": case.number, "engine": case.engine, "task": case.task, "processes": case.processes, "phase": phase}
        self._report({**said, "victim": victim, "killed": killed, "progress": row.progress if row else None})
        if killed and victim == "server":
            assert self.process is not None
            self.process.wait(20)
            self.start()
        elif victim in ("web", "plugin host"):
            self.await_answer()

    def _pids(self, victim: str, job_id: str) -> list[int]:
        assert self.process is not None
        if victim == "server":
            return [self.process.pid]
        if victim in ("worker", "a child of the worker"):
            leader = self.job(job_id).pid
            return [leader] if victim == "worker" and leader else [pid for pid in group_members(leader) if pid != leader]
        module = {"web": "digits.web", "plugin host": "digits.plugin_host", "predictor": "digits.predictor"}[victim]
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child.pid for child in children if module in " ".join(child.cmdline())]

    def _report(self, line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)
        if os.environ.get("FAULTS_REPORT"):
            with open(os.environ["FAULTS_REPORT"], "a") as report:
                report.write(json.dumps(line) + "\n")

    # -- work -----------------------------------------------------------------------------------------------------------

    def asked(self, work: Callable[[], Any]) -> Any:
        """What the pages answer, as soon as they do: whoever asks while a process is away asks again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return work()
            except (AssertionError, OSError, urllib.error.URLError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def dataset(self, case: Case, name: str) -> str:
        address, prepare = TASKS[case.task]
        if case.task not in self.sources:
            self.sources[case.task] = prepare(root=self.folder / "sources" / case.task)
        values = self.sources[case.task]
        form = form_of(self.client.page(f"{address}?username=me"), "dataset_name")
        if "seed" in dict(form.fields):  # else each data set is divided otherwise
            values = {**values, "seed": 5}
        return str(self.client.json(f"{form.action}.json", **form.sent(dataset_name=name, **values))["id"])

    def model(self, case: Case, dataset: str, name: str) -> str:
        page = self.client.page(f"/datasets/{dataset}?username=me")
        train = page.split('class="btn btn-primary" href="')[1].split('"')[0]
        form = form_of(self.client.page(f"{train}&username=me"), "model_name")
        wishes = {"train_epochs": case.epochs, "batch_size": 3, "val_interval": 20, "snapshot_interval": 40}
        wishes |= {"random_seed": 7, "framework": case.engine, "cpu_processes": case.processes}
        return str(self.client.json(f"{form.action}.json", **form.sent(model_name=name, **wishes))["id"])

    def ended(self, job_id: str) -> Job:
        deadline = time.monotonic() + PATIENCE
        while (row := self.job(job_id)).status not in FINISHED:
            assert time.monotonic() < deadline, (row.status, row.message)
            time.sleep(0.2)
        assert row.status == Status.DONE, row.error
        return row

    def until(self, job_id: str, progress: float) -> None:
        """Until a job has come so far, or has ended."""
        while (row := self.job(job_id)).status not in FINISHED and row.progress < progress:
            time.sleep(0.02)

    def result(self, dataset: str, model: str) -> Result:
        answer = self.asked(lambda: self.client.json(f"/models/{model}/answer.json", record="val:0"))
        lines = metric_lines(self.service.folder(model).path)
        return Result(self.records(dataset), lines, {"samples": answer["samples"], "predictions": answer["predictions"]})

    def records(self, dataset: str) -> dict[str, Any]:
        folder = self.service.folder(dataset)
        info, found = folder.dataset_info(), {}
        for name in info.splits:
            reader = open_split(folder, name, info)
            rows = np.arange(len(reader))
            pictures = [np.asarray(reader.feature(i)).tobytes() for i in rows]
            found[name] = (reader.column("key", rows), pictures, str(reader.labels(rows)))
        assert not list(folder.path.glob(".*")), "no file of a start that was interrupted may stay"
        return found


@dataclass
class Result:
    """What must be equal."""

    records: dict[str, Any]
    curves: list[Any]
    answer: dict[str, Any]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    found = Campaign(tmp_path_factory.mktemp("campaign"))
    yield found
    found.close()


def undisturbed(campaign: Campaign, case: Case) -> Result:
    key = (case.engine, case.task, case.processes)
    if key not in campaign.references:
        name = f"whole-{'-'.join(map(str, key))}"
        dataset = campaign.dataset(case, name)
        campaign.ended(dataset)
        model = campaign.model(case, dataset, name)
        campaign.ended(model)
        campaign.references[key] = campaign.result(dataset, model)
    return campaign.references[key]


@pytest.mark.parametrize("case", CASE_LIST, ids=lambda case: f"{case.number}-{case.engine}-{case.task}-{case.processes}")
def test_whoever_is_killed_whenever_the_end_is_the_same(campaign: Campaign, case: Case) -> None:
    if case.engine not in frameworks() or not frameworks()[case.engine].is_installed:
        pytest.skip(f"{case.engine} is not installed")
    expected, name = undisturbed(campaign, case), f"killed-{case.number}"
    dataset = campaign.dataset(case, name)
    time.sleep(case.chance.uniform(0.1, 4.0))
    campaign.kill(case, "reading", dataset)
    campaign.ended(dataset)
    model = campaign.asked(lambda: campaign.model(case, dataset, name))
    first, second = sorted(case.chance.uniform(0.0, 0.95) for _ in range(2))
    for moment in (first, second):
        campaign.until(model, moment)
        campaign.kill(case, "training", model)
    row = campaign.ended(model)
    campaign.result(dataset, model)
    campaign.kill(case, "asking")
    found = campaign.result(dataset, model)
    assert found.records == expected.records
    assert found.curves == expected.curves
    assert found.answer == expected.answer
    assert row.failures <= 3
