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
from digits.cli.processes import answering
from digits.cli.sources import command_for, fields_of, form_values, given_fields, source_of
from digits.domain.jobs import Status
from digits.errors import BadRequest, FormErrors, NotFound
from digits.service import Service
from digits.service.datasets.from_source import recognise
from digits.service.datasets.source import create_dataset, preview


def run(service: Service, *arguments: Any) -> Result:
    return CliRunner().invoke(group, [*map(str, arguments), "--jobs-dir", str(service.jobs_dir.path)])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    clean = random.integers(0, 200, (6, 8, 8, 3)).astype(np.uint8)
    for name, pictures in (("clean", clean), ("noisy", clean + random.integers(0, 8, clean.shape).astype(np.uint8))):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        for number, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(tmp_path / "pairs" / name / f"{number}.png")
    return tmp_path / "pairs"


def test_a_data_set_of_a_plugins_form(service: Service, pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    result = run(service, "dataset", "create-from", "image-processing", *given, "--dsopts-num-threads", 1, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    made = json.loads(result.stdout)
    assert (made["name"], made["status"], made["feature_dims"]) == ("pairs", "Done", [8, 8, 3])
    assert [task["entry_count"] for task in made["create_db_tasks"]] == [3, 3, 0]
    assert service.store.get(made["id"]).status == Status.DONE


NO_DATA_SETS = [
    (["image-processing", "--feature-folda", "x"], BadRequest, "no field --feature-folda"),
    (["image-processing", "--name", "x"], FormErrors, "feature_folder"),
    (["image-nothing", "--name", "x"], NotFound, "image-processing"),
    (["prebuilt", "--name", "x", "--prebuilt-train-images", "/nowhere"], FormErrors, "prebuilt_train_images"),
]


def make(service: Service, name: str, words: list[str]) -> None:
    chosen = source_of(service, name)
    create_dataset(service, chosen, form_values(service, chosen, given_fields(words)))


def test_what_a_source_takes_and_what_it_refuses(service: Service, pairs: Path) -> None:
    with answering(service):
        source = source_of(service, "image-processing")
        names = {field["name"] for field in fields_of(service, source)}
        assert {"feature_folder", "has_val_folder", "dataset_name", "dsopts_num_threads"} <= names
        proposals = recognise(service, str(pairs))["proposals"]
        assert any(
            command_for(one).startswith("digits dataset create-from image-processing --feature-folder") for one in proposals
        )
        folders = {"feature_folder": str(pairs / "noisy"), "label_folder": str(pairs / "clean")}
        looked = preview(service, source, form_values(service, source, folders))
        assert (looked["tried"], looked["failed"]) == (6, 0)
        for (name, *words), error, said in NO_DATA_SETS:
            with pytest.raises(error) as caught:
                make(service, name, words)
            assert said in f"{caught.value} {getattr(caught.value, 'errors', '')}"
    assert service.store.ids() == []


def test_options_that_click_does_not_know() -> None:
    words = ["--a-b", "c", "--box", "--d=e f", "--n", "-5", "--list", "1", "--list", "2", "--no-way"]
    assert given_fields(words) == {"a_b": "c", "box": True, "d": "e f", "n": "-5", "list": ["1", "2"], "no_way": True}
    with pytest.raises(BadRequest, match="belongs to no option"):
        given_fields(["--a", "b", "c"])
