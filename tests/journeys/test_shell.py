"""The whole way in the shell: pictures, data set, model, classes of a picture, archive; no server runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from digits.service.demo import write_pictures

PER_CLASS = 40


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `jobs` and a part of the handwritten digits."""
    home = tmp_path_factory.mktemp("shell")
    for label in write_pictures(home / "digits").iterdir():
        for path in sorted(label.iterdir())[PER_CLASS:]:
            path.unlink()
    return home


def digits(home: Path, *arguments: str, code: int = 0) -> str:
    """Run the command; its standard output."""
    environment = {**os.environ, "DIGITS_JOBS_DIR": str(home / "jobs")}
    command = [sys.executable, "-P", "-m", "digits", *arguments]
    run = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=240)
    assert run.returncode == code, run.stderr
    return run.stdout if code == 0 else run.stderr


@pytest.mark.slow
def test_from_a_folder_to_an_archive(home: Path) -> None:
    size = ("--resize-width", "28", "--resize-height", "28", "--resize-channels", "1")
    made = json.loads(digits(home, "dataset", "create", "digits/pictures", "--name", "numbers", *size, "--json"))
    assert made["status"] == "Done"
    assert made["ParseFolderTasks"][0]["label_count"] == 10
    assert sum(task["entries"] for task in made["CreateDbTasks"]) == 10 * PER_CLASS

    chosen = ("--name", "lenet", "--network", "lenet", "--epochs", "4", "--seed", "3")
    trained = json.loads(digits(home, "model", "train", "numbers", *chosen, "--json"))
    assert trained[0]["status"] == "Done"
    assert trained[0]["snapshots"][-1] == 4

    picture = sorted((home / "digits/pictures/0").iterdir())[0]
    answer = json.loads(digits(home, "classify", "lenet", str(picture), "--json"))
    classes = answer["classifications"][str(picture)]
    assert len(classes) == 5
    assert classes[0][0] == "0"
    assert sum(percent for _, percent in classes) <= 100.05

    rated = json.loads(digits(home, "model", "evaluate", "lenet", "digits/pictures", "--json"))
    assert (rated["count"], rated["labelled"]) == (10 * PER_CLASS, 10 * PER_CLASS)
    printed = digits(home, "model", "evaluate", "lenet", "digits/pictures")
    assert f"Accuracy (top 1): {100 * rated['top1']:.2f} %" in printed
    assert [line.split()[:2] for line in printed.splitlines()[-10:]] == [[str(n), str(PER_CLASS)] for n in range(10)], (
        "a row a class"
    )
    assert "(baseline " in digits(home, "model", "evaluate", "lenet", "--split", "val")

    target = digits(home, "model", "download", "lenet", "-o", "taken.zip").strip()
    assert {"predict.py", "info.json", "labels.txt"} <= set(zipfile.ZipFile(home / target).namelist())

    listed = json.loads(digits(home, "model", "list", "--json"))
    assert [job["name"] for job in listed] == ["lenet"]
    assert "used by 1 model" in digits(home, "dataset", "delete", "numbers", "--yes", code=1)
    digits(home, "model", "delete", "lenet", "--yes")
    digits(home, "dataset", "delete", "numbers", "--yes")
    assert json.loads(digits(home, "jobs", "list", "--all", "--json")) == []


def test_errors_name_the_option(home: Path) -> None:
    assert "nowhere does not exist" in digits(home, "dataset", "create", "nowhere", "--name", "x", code=1)
    assert "There is no dataset 'nothing'" in digits(home, "model", "train", "nothing", code=1)
    error = digits(home, "dataset", "create", "digits/pictures", "--name", "x", "--val", "80", "--test", "30", code=1)
    assert "error: --val: " in error or "error: --test: " in error
