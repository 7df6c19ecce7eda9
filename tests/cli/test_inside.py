"""`digits inside` where the predictor runs in this process: layers, one drawn, why, and vectors that are refused at once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from digits.cli import group
from digits.cli import inside as command
from digits.errors import BadRequest
from digits.storage.jobs.store import Job
from tests.inside_world import SIDE, World, opened

TEXT = """
from torch import nn


def build_network(context):
    maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    return nn.Sequential(maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, context.num_classes))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Job]]:
    with opened(tmp_path_factory.mktemp("looked")) as found, pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "answering", lambda *_, **__: contextlib.nullcontext())  # there is one: the world's
        torch.manual_seed(3)
        weights = {"0.0.weight": torch.rand(4, 3, 3, 3), "3.weight": torch.rand(2, 4)}
        weights |= {"0.0.bias": torch.zeros(4), "3.bias": torch.zeros(2)}
        yield found, found.pretrained("looked into", TEXT, weights)


def run(world: tuple[World, Job], name: str, *arguments: Any) -> Result:
    made, job = world
    words = ["inside", name, job.id, *map(str, arguments), "--jobs-dir", str(made.service.jobs_dir.path)]
    return CliRunner().invoke(group, words)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.effect_noise((20, 16), 90).convert("RGB").save(path)
    return path


def test_layers_are_listed_and_searched(world: tuple[World, Job], picture: Path) -> None:
    found = run(world, "layers", "--picture", picture, "--search", "0. conv", "--json")
    assert found.exit_code == 0, (found.output, found.exception)
    (row,) = json.loads(found.stdout)["layers"]
    assert (row["name"], row["parameters"]) == ("0.0", 4 * 27 + 4)
    assert [one["shape"] for one in row["activations"]] == [[4, SIDE - 2, SIDE - 2]]
    table = run(world, "layers").stdout
    assert "Conv2d" in table
    assert "4×3×3×3" in table


def test_one_layer_is_drawn_and_its_numbers_are_written(world: tuple[World, Job], tmp_path: Path) -> None:
    for name in ("layer.png", "layer.npy"):
        assert run(world, "draw", "0.0", "-o", tmp_path / name).exit_code == 0
    with Image.open(tmp_path / "layer.png") as drawn:
        assert drawn.size[0] > 3
    assert np.load(tmp_path / "layer.npy").shape == (4, 3, 3, 3)


def test_why_says_how_far_the_map_can_be_believed(world: tuple[World, Job], picture: Path, tmp_path: Path) -> None:
    found = run(world, "why", picture, "--method", "grad_cam", "--target", "something else", "-o", tmp_path / "why.png")
    assert found.exit_code == 0, (found.output, found.exception)
    assert "Grad-CAM of something else, score" in found.stdout
    assert "With random weights the map is" in found.stdout
    with Image.open(tmp_path / "why.png") as drawn:
        assert drawn.size == (SIDE, SIDE)


def test_what_is_refused_is_said_at_once(world: tuple[World, Job], picture: Path) -> None:
    dataset = world[0].dataset.id
    vectors = run(world, "vectors", "--layer", "0.9", "--dataset", dataset).exception
    assert isinstance(vectors, BadRequest)
    assert "0.0" in vectors.advice
    drawn = run(world, "draw", "7.7", "-o", picture.parent / "x.png").exception
    assert isinstance(drawn, BadRequest)
    assert not (picture.parent / "x.png").exists()
    nothing = run(world, "why", "no such.png").exception
    assert isinstance(nothing, BadRequest)
    assert "val:0" in nothing.advice
