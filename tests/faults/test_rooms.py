"""Seeded kills (`make faults`) of what is made of a model: exports, evaluations, vectors, trainings done again, pretrained
models, models of a store, published names.

Each case is done undisturbed once, and then with a kill (SIGKILL) of one process at a random moment. It ends as it would have,
or as an error with words; nothing half is handed out, and no temporary file stays. `FAULTS_REPORT` names a file to which each
kill is appended, a line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from digits.domain.jobs import FINISHED, Kind, Status
from digits.service.models.store_building import build_store
from digits.storage.exports import exports_of
from digits.storage.files import read_json
from digits.storage.jobs.store import JobQuery
from digits.supervisor.loop import DISK_FULL
from digits.testing.runs import metric_lines
from digits.utils.processes import ProcessIdentity, signal_process
from tests.faults.test_campaign import Campaign, Case
from tests.faults.test_full_disk import fill, read_only
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]

CASE = Case(0, "pytorch", "folder", 1)
SEEDS = 3
VICTIMS = ["worker", "worker", "worker", "server", "web"]


class Rooms(Campaign):
    """A whole server with a model that is done, and a store of it."""

    def __init__(self, folder: Path) -> None:
        self.shop = folder / "shop"
        super().__init__(folder)
        self.dataset_id = self.dataset(CASE, "pictures")
        self.ended(self.dataset_id)
        self.model_id = self.model(CASE, self.dataset_id, "model")
        self.ended(self.model_id)
        build_store(self.service, self.shop, [self.service.store.get(self.model_id)])

    def start(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DIGITS_MODEL_STORE_URL", str(self.shop))
            super().start()

    # each starts a job and gives its id; the result of one that is done can be compared

    def export(self) -> str:
        self.client.json(f"/models/{self.model_id}/exports.json", format="onnx", username="me")
        return max(job.id for job in self.service.store.query(JobQuery(kind=Kind.EXPORT)).jobs)

    def exported(self, job_id: str) -> Any:
        (entry,) = [one for one in exports_of(self.service.folder(self.model_id)) if one.job_id == job_id]
        folder = self.service.folder(self.model_id).exports / f"onnx-epoch_{entry.epoch:g}"
        assert all((folder / name).stat().st_size == size for name, size in entry.files)
        return sorted(name for name, _ in entry.files), round(entry.parity, 5), entry.quality.get("pictures")

    def evaluate(self) -> str:
        return str(self.client.json(f"/models/{self.model_id}/evaluate.json", split="train", username="me")["id"])

    def evaluated(self, job_id: str) -> Any:
        result = dict(read_json(self.service.folder(job_id).result_file))
        return {key: value for key, value in result.items() if key != "seconds"}

    def embed(self) -> str:
        return str(self.client.json(f"/models/{self.model_id}/embeddings.json", split="train", username="me")["id"])

    def embedded(self, job_id: str) -> Any:
        table = pq.read_table(self.service.folder(job_id).path / "vectors.parquet")
        return np.stack(table["vector"].to_numpy()).tolist(), table["record"].to_pylist()

    def reproduce(self) -> str:
        return str(self.client.json(f"/models/{self.model_id}/reproduce.json", username="me")["id"])

    def reproduced(self, job_id: str) -> Any:
        verdict = read_json(self.service.folder(job_id).reproduction_file)["verdict"]
        return verdict, metric_lines(self.service.folder(job_id).path)

    def adopt(self) -> str:
        return str(self.client.json(f"/models/{self.model_id}/to_pretrained.json", username="me")["id"])

    def install(self) -> str:
        (store,) = self.client.json("/store/models.json?refresh=1").values()
        (offered,) = store["model_list"]
        return str(self.client.json("/store/push.json", id=offered["id"], username="me")["id"])

    def adopted(self, job_id: str) -> Any:
        folder = self.service.folder(job_id)
        assert not (folder.path / "given").exists()
        return [path.read_bytes() for path in sorted(folder.snapshots.iterdir())], sorted(os.listdir(folder.path / "snapshots"))

    def kill_one(self, kind: str, seed: int, chance: random.Random, job_id: str) -> str:
        """End one process; which."""
        victim = chance.choice(VICTIMS)
        pids = self._pids(victim, job_id)
        if not any(pids):
            victim, pids = "server", self._pids("server", job_id)
        killed = signal_process(ProcessIdentity.of(pids[0]), signal.SIGKILL)
        row = self.job(job_id) if job_id else None
        at = {"status": str(row.status), "progress": row.progress} if row else {}
        self._report({"kind": kind, "seed": seed, "victim": victim, "killed": killed, **at})
        if victim == "server":
            assert self.process is not None
            self.process.wait(PATIENCE_SECONDS)
            self.start()
        elif victim == "web":
            time.sleep(0.5)
            self.await_answer()
        return victim

    def left(self) -> list[str]:
        """What is half written, of processes that have ended, once nothing is under way."""
        root = self.service.jobs_dir.path
        found = [path for path in root.rglob(".*") if path.suffix in (".tmp", ".part", ".old", ".gone")]
        return [str(path.relative_to(root)) for path in found if str(os.getpid()) not in path.name]


ROOMS: dict[str, tuple[Callable[[Rooms], str], Callable[[Rooms, str], Any]]] = {
    "export": (Rooms.export, Rooms.exported),
    "evaluation": (Rooms.evaluate, Rooms.evaluated),
    "vectors": (Rooms.embed, Rooms.embedded),
    "done again": (Rooms.reproduce, Rooms.reproduced),
    "pretrained": (Rooms.adopt, Rooms.adopted),
    "store": (Rooms.install, Rooms.adopted),
}


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    found = Rooms(tmp_path_factory.mktemp("rooms"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def small_rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rooms]:
    """The same on a file system of 300 MiB."""
    folder = tmp_path_factory.mktemp("small")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(folder)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIGITS_MIN_FREE_MB", "1")
        found = Rooms(folder)
        yield found
        found.close()
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("kind", ROOMS)
def test_what_is_made_of_a_model_is_whole_or_not_there(rooms: Rooms, kind: str) -> None:
    start, result = ROOMS[kind]
    began = time.monotonic()
    whole = start(rooms)
    rooms.ended(whole)
    seconds, expected = time.monotonic() - began, result(rooms, whole)
    for seed in range(SEEDS):
        chance = random.Random(f"{kind} {seed}")
        job_id = start(rooms)
        time.sleep(chance.uniform(0.0, seconds))
        rooms.kill_one(kind, seed, chance, job_id)
        deadline = time.monotonic() + 300
        while (row := rooms.job(job_id)).status not in FINISHED:
            assert time.monotonic() < deadline, (row.status, row.message)
            time.sleep(0.2)
        assert row.status == Status.DONE, row.error
        assert result(rooms, job_id) == expected
        rooms.asked(lambda: rooms.client.json("/index.json"))
        wait_for(lambda: rooms.left() == [])


@pytest.mark.parametrize("kind", [kind for kind in ROOMS if kind != "done again"])
def test_a_full_disk_in_the_middle_is_waited_for(small_rooms: Rooms, kind: str) -> None:
    """Whenever it fills up: the job pauses, says so, and ends as it would have when there is room."""
    start, result = ROOMS[kind]
    began = time.monotonic()
    whole = start(small_rooms)
    small_rooms.ended(whole)
    seconds, expected, pauses = time.monotonic() - began, result(small_rooms, whole), 0
    for seed in range(SEEDS):
        job_id = start(small_rooms)
        time.sleep(random.Random(f"{kind} {seed}").uniform(0.0, seconds))
        ballast, full = fill(small_rooms.folder), time.monotonic()
        try:
            while small_rooms.job(job_id).status not in FINISHED and time.monotonic() - full < 15:
                time.sleep(0.2)
                pauses += small_rooms.job(job_id).message == DISK_FULL
        finally:
            ballast.unlink()
        row = small_rooms.ended(job_id)
        assert result(small_rooms, job_id) == expected
        wait_for(lambda: small_rooms.left() == [])
        small_rooms._report({"kind": kind, "seed": seed, "disk": "full", "attempt": row.attempt, "said": bool(pauses)})


def test_a_name_that_cannot_be_published_for_want_of_space_serves_what_it_served(small_rooms: Rooms) -> None:
    found = small_rooms.asked(lambda: put(small_rooms, "here"))
    ballast = fill(small_rooms.folder)
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            put(small_rooms, "here")
        assert refused.value.code == 507
        assert "No space left" in refused.value.read().decode()
    finally:
        ballast.unlink()
    assert small_rooms.client.json("/serve/here.json")["version"] == found["version"]
    assert infer(small_rooms, "here", found["token"])
    wait_for(lambda: small_rooms.left() == [])


@pytest.mark.parametrize("kind", ["export", "evaluation", "store"])
def test_a_jobs_directory_that_becomes_read_only_is_waited_for(rooms: Rooms, kind: str) -> None:
    start, result = ROOMS[kind]
    whole = start(rooms)
    rooms.ended(whole)
    expected, job_id = result(rooms, whole), start(rooms)
    with read_only(rooms.service.jobs_dir.path):
        time.sleep(8)
        assert rooms.job(job_id).status != Status.ERROR, rooms.job(job_id).error
        assert rooms.client.request("/index.json")[0] in (200, 503)
        assert rooms.client.request(f"/models/{rooms.model_id}/evaluate.json", split="val")[0] in (200, 503)
    rooms.ended(job_id)
    assert result(rooms, job_id) == expected
    rooms._report({"kind": kind, "directory": "read-only", "attempt": rooms.job(job_id).attempt})
    wait_for(lambda: rooms.left() == [])


def infer(rooms: Rooms, name: str, token: str) -> Any:
    """What is answered to a picture."""
    path = next((rooms.folder / "sources").rglob("*.png"))
    head = 'Content-Disposition: form-data; name="image_file"; filename="a.png"'
    body = f"--X\r\n{head}\r\n\r\n".encode() + path.read_bytes() + b"\r\n--X--\r\n"
    request = urllib.request.Request(f"http://127.0.0.1:{rooms.port}/serve/{name}/infer.json", body)
    request.add_header("Content-Type", "multipart/form-data; boundary=X")
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


def put(rooms: Rooms, name: str, **values: Any) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{rooms.port}/serve/{name}.json",
        json.dumps({"model_id": rooms.model_id, "username": "me", **values}).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def test_a_name_serves_one_of_its_versions_whatever_is_killed(rooms: Rooms) -> None:
    """While a canary is published: either it is there, or it is not."""
    chance = random.Random(7)
    token, versions = put(rooms, "here")["token"], 1
    expected = infer(rooms, "here", token)
    assert expected
    for seed in range(SEEDS):
        victim = chance.choice(["web", "predictor", "server"])
        pid = next(iter(rooms._pids(victim, "")), 0)
        identity = ProcessIdentity.of(pid) if pid else None
        timer = threading.Timer(chance.uniform(0.0, 0.3), lambda one=identity: one and signal_process(one, signal.SIGKILL))
        timer.start()
        try:
            put(rooms, "here", canary=30)
            done = True
        except (OSError, urllib.error.URLError, ConnectionError):
            done = False
        timer.join()
        rooms._report({"kind": "publish", "seed": seed, "victim": victim, "killed": bool(pid), "answered": done})
        if victim == "server":
            assert rooms.process is not None
            rooms.process.wait(PATIENCE_SECONDS)
            rooms.start()
        time.sleep(0.5)
        rooms.await_answer()
        found = rooms.asked(lambda: rooms.client.json("/serve/here.json"))
        assert found["version"] == 1
        assert len(found["versions"]) in ((versions + 1,) if done else (versions, versions + 1))
        versions = len(found["versions"])
        assert rooms.asked(lambda: infer(rooms, "here", token)) == expected
        wait_for(lambda: rooms.left() == [])
