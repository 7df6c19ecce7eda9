"""The lines of docs/getting-started.md, run as they stand there: both ways lead to the same pictures and the same training."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from digits.config import Settings
from digits.domain.jobs import FINISHED, Kind, Status
from digits.service import Service
from tests.conftest import start_server
from tests.waiting import wait_for

GUIDE = Path(__file__).parents[2] / "docs" / "getting-started.md"
ALIKE = (
    *("folder_train", "folder_test", "folder_pct_val", "folder_pct_test", "resize_width", "resize_height", "resize_channels"),
    *("network_name", "network", "epochs", "learning_rate", "solver"),
)
SMALL = {"train_epochs=5": "train_epochs=1", "--epochs 5": "--epochs 1"}


def lines_of(title: str) -> list[str]:
    """The commands below a heading, each with its continuations; trainings are short."""
    part = GUIDE.read_text().split(f"\n## {title}\n", 1)[1].split("\n## ")[0]
    text = re.findall(r"```\n(.*?)```", part, re.DOTALL)[0].replace("\\\n", " ")
    for long, short in SMALL.items():
        text = text.replace(long, short)
    return [line for line in text.splitlines() if line]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with `mnist`: a few pictures of each class, named as `digits download-data` names them."""
    for split, numbers in (("train", range(20)), ("test", range(16, 19))):
        for digit in range(10):
            folder = tmp_path / "home" / "mnist" / split / str(digit)
            folder.mkdir(parents=True)
            for number in numbers:
                picture = Image.new("L", (28, 28), number)
                picture.paste(255, (2 * digit + 2, 4, 2 * digit + 8, 24))
                picture.save(folder / f"{number + 1:05}.png")
    picture.save(tmp_path / "home" / "seven.png")
    return tmp_path / "home"


def run(line: str, home: Path, **variables: str) -> str:
    """What a line prints, in a shell that knows `digits`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "HOME": str(home), "PATH": path, **variables}
    done = subprocess.run(["bash", "-c", line], cwd=home, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.slow
def test_both_ways_lead_to_the_same(home: Path, tmp_path: Path) -> None:
    printed = {}
    with start_server(tmp_path, "-m", "digits", "serve", "--stop-jobs", data_dirs=str(home)) as server:
        ids: dict[str, str] = {}
        for line in lines_of("The same with a script"):
            line = line.replace("DATASET_ID", ids.get("datasets", "")).replace("MODEL_ID", ids.get("models", ""))
            if line.startswith("URL="):
                continue
            answer = printed[line.split()[2].rpartition("/")[2]] = run(line, home, URL=server.url)
            if made := re.search(r"/(datasets|models)/images/classification.json", line):
                ids[made[1]] = job = re.search(r'"id": ?"([^"]+)"', answer)[1]  # type: ignore[index]
                wait_for(lambda job=job: server.service.store.get(job).status in FINISHED, 240)  # type: ignore[misc]
        assert '"predictions"' in printed["classify_one.json"]
        assert (home / "model.zip").stat().st_size > 1000
        scripted = requests(server.service)
    jobs_dir = str(tmp_path / "shell")
    printed = {line.split()[1]: run(line, home, DIGITS_JOBS_DIR=jobs_dir) for line in lines_of("The same in the shell")}
    service = Service.open(Settings(jobs_dir=jobs_dir, auth=False))
    try:
        for kind, spec in requests(service).items():
            assert {name: (value, scripted[kind][name]) for name, value in spec.items() if value != scripted[kind][name]} == {}
    finally:
        service.close()
    assert "7" in printed["classify"]


def requests(service: Service) -> dict[str, dict[str, Any]]:
    """What was asked for of the data set and of the model, without what each way has of its own."""
    found: dict[str, dict[str, Any]] = {}
    for kind in (Kind.DATASET, Kind.MODEL):
        (job,) = [job for job in map(service.store.get, service.store.ids()) if job.kind == kind]
        assert job.status == Status.DONE, job.error
        spec = service.folder(job.id).request().spec
        asked = spec if kind == Kind.MODEL else spec["extension_data"]
        found[kind] = {name: asked[name] for name in ALIKE if name in asked}
    return found
