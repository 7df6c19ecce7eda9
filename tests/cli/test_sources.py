"""Data sets of any source from the command line, without a server: recognised, described, made by the fields of their forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from digits.cli import group
from digits.cli.sources import given_fields
from digits.domain.jobs import Status
from digits.errors import BadRequest, FormErrors, NotFound
from digits.service import Service


def run(service: Service, *arguments: Any) -> Result:
    return CliRunner().invoke(group, [*map(str, arguments), "--jobs-dir", str(service.jobs_dir.path)])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    for name in ("noisy", "clean"):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(random.integers(0, 255, (8, 8, 3)).astype(np.uint8)).save(tmp_path / "pairs" / name / f"{number}.png")
    return tmp_path / "pairs"


def test_a_data_set_of_a_plugins_form(service: Service, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = json.loads(run(service, "dataset", "form", "image-processing", "--json").stdout)
    assert {"feature_folder", "has_val_folder", "dataset_name", "dsopts_num_threads"} <= {field["name"] for field in fields}
    proposed = run(service, "dataset", "recognise", pairs)
    assert "digits dataset create-from image-processing --feature-folder" in proposed.output
    monkeypatch.chdir(pairs)
    given = [
        "--feature-folder",
        "noisy",
        "--label_folder=clean",
        "--folder-pct-val",
        "50",
        "--no-has-val-folder",
        "--name",
        "pairs",
    ]
    looked = run(service, "dataset", "preview", "image-processing", *given)
    assert looked.exit_code == 0, (looked.output, looked.exception)
    assert "6 entries tried, 0 of them cannot be read" in looked.output
    result = run(service, "dataset", "create-from", "image-processing", *given, "--dsopts-num-threads", 1, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    made = json.loads(result.stdout)
    assert (made["name"], made["status"], made["feature_dims"]) == ("pairs", "Done", [8, 8, 3])
    assert [task["entry_count"] for task in made["create_db_tasks"]] == [3, 3, 0]
    assert service.store.get(made["id"]).status == Status.DONE


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["image-processing", "--feature-folda", "x"], BadRequest, "no field --feature-folda"),
        (["image-processing", "--name", "x"], FormErrors, "feature_folder"),
        (["image-nothing", "--name", "x"], NotFound, "image-processing"),
        (["prebuilt", "--name", "x", "--prebuilt-train-images", "/nowhere"], FormErrors, "prebuilt_train_images"),
    ],
)
def test_what_makes_no_data_set_is_said(service: Service, words: list[str], error: type, said: str) -> None:
    found = run(service, "dataset", "create-from", *words).exception
    assert isinstance(found, error)
    assert said in f"{found} {getattr(found, 'errors', '')}"
    assert service.store.ids() == []


def test_options_that_click_does_not_know() -> None:
    words = ["--a-b", "c", "--box", "--d=e f", "--n", "-5", "--list", "1", "--list", "2", "--no-way"]
    assert given_fields(words) == {"a_b": "c", "box": True, "d": "e f", "n": "-5", "list": ["1", "2"], "no_way": True}
    with pytest.raises(BadRequest, match="belongs to no option"):
        given_fields(["--a", "b", "c"])
