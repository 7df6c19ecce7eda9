"""The recipes of docs/examples on a few real files each, over HTTP: the folder is recognised or named, a model is trained for one
epoch with the standard network, and its numbers stand beside those of the trivial answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.journeys.client import GENERIC, Client
from tests.journeys.test_plugin_recipes import mnist

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
TRAINING = {"method": "standard", "framework": "pytorch", "train_epochs": 1, "batch_size": 4, "use_mean": "pixel"}
SOLVER = {"solver_type": "ADAMW", "learning_rate": 0.002, "lr_policy": "cosine", "lr_warmup": 10}
SMALL_BOXES = {"resize_image_width": 96, "resize_image_height": 64, "val_min_box_size": 0}
METRICS = {"segmenter": "mean_iou", "detector": "map50", "denoiser": "psnr", "regressor": "mae", "siamese": "accuracy"}

pytestmark = pytest.mark.slow


def take(folder: Path, target: Path, count: int) -> Path:
    """Copies of the first files."""
    target.mkdir(parents=True)
    for file in sorted(folder.iterdir())[:count]:
        shutil.copy(file, target / file.name)
    return target


def streets(shared_data: Path, root: Path) -> tuple[str, dict[str, Any]]:
    source, place = shared_data / "camvid" / "val", root / "camvid"
    values = {
        "feature_folder": take(source / "images", place / "images", 8),
        "label_folder": take(source / "labels", place / "labels", 8),
        "folder_pct_val": 25,
        "label_set": "camvid",
        "resize_width": 96,
        "resize_height": 64,
    }
    return "image-segmentation", values


def kitti(shared_data: Path, root: Path) -> tuple[str, dict[str, Any]]:
    source, place = shared_data / "kitti", root / "kitti"
    values = {
        "train_image_folder": take(source / "image_2", place / "image_2", 8),
        "train_label_folder": take(source / "label_2", place / "label_2", 8),
        "folder_pct_val": 25,
        "custom_classes": "car, van=car, truck=car, pedestrian, cyclist",
    }
    return "image-object-detection", values | SMALL_BOXES


def cells(shared_data: Path, root: Path) -> tuple[str, dict[str, Any]]:
    source, place, values = shared_data / "bccd" / "coco", root / "bccd", dict(SMALL_BOXES)
    for split in ("train", "val"):
        values[f"{split}_image_folder"] = take(source / split, place / split, 8)
        boxes = source / "annotations" / f"instances_{split}.json"
        values[f"{split}_label_folder"] = shutil.copy(boxes, place)  # the server reads below its own folder
    return "image-object-detection", values


def noise(shared_data: Path, root: Path) -> tuple[str, dict[str, Any]]:
    subprocess.run(
        [sys.executable, EXAMPLES / "noisy_pairs.py", shared_data / "photos" / "Set12", root / "pairs", "16"], check=True
    )
    return "image-processing", {
        "feature_folder": root / "pairs" / "noisy",
        "label_folder": root / "pairs" / "clean",
        "folder_pct_val": 25,
    }


def angles(shared_data: Path, root: Path) -> tuple[str, dict[str, Any]]:
    (root / "digits").mkdir()
    for number, picture in enumerate(mnist(shared_data / "mnist", 40)[0]):
        Image.fromarray(picture).save(root / "digits" / f"{number}.png")
    subprocess.run([sys.executable, EXAMPLES / "turned_digits.py", root / "digits", root / "turned", "40"], check=True)
    place = root / "turned"
    return "image-regression", {
        "image_folder": place / "images",
        "values_file": place / "angles.csv",
        "folder_pct_val": 25,
    }


def pairs(shared_data: Path, root: Path) -> tuple[str, dict[str, Any]]:
    for number, (picture, digit) in enumerate(zip(*mnist(shared_data / "mnist", 60), strict=True)):
        (root / "by_class" / str(digit)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / "by_class" / str(digit) / f"{number}.png")
    return "image-pairs", {"image_folder": root / "by_class", "folder_pct_val": 25}


RECIPES = {
    "streets": (streets, "segmenter"),
    "kitti": (kitti, "detector"),
    "cells": (cells, "detector"),
    "noise": (noise, "denoiser"),
    "angles": (angles, "regressor"),
    "pairs": (pairs, "siamese"),
}


@pytest.fixture(scope="module")
def models(client: Client, root: Path, shared_data: Path) -> dict[str, str]:
    """All data sets and models are asked for at once: models wait for their data sets."""
    found = {}
    for name, (recipe, network) in RECIPES.items():
        extension, values = recipe(shared_data, root)
        made = client.json(f"/datasets/generic/create/{extension}.json", dataset_name=name, **values)
        chosen = {"model_name": name, "dataset": client.done(made["id"]), "standard_networks": network}
        found[name] = client.json(f"{GENERIC}.json", **chosen, **TRAINING, **SOLVER)["id"]
    return {name: client.done(job_id) for name, job_id in found.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_a_model_stands_beside_the_trivial_answer(client: Client, models: dict[str, str], name: str) -> None:
    curves = client.json(f"/models/{models[name]}/curves.json")
    metric = METRICS[RECIPES[name][1]]
    values = [value for value in curves["curves"]["val"]["values"][metric] if value is not None]
    assert len(values) == 2  # before and after
    assert np.isfinite(values).all()
    assert metric in curves["baseline"]["values"]
    assert curves["baseline"]["description"]


def test_classes_of_kitti_are_mapped(client: Client, models: dict[str, str]) -> None:
    curves = client.json(f"/models/{models['kitti']}/curves.json")
    assert {"ap50/car", "ap50/pedestrian", "ap50/cyclist"} <= set(curves["curves"]["val"]["values"])


def test_two_digits_are_compared(client: Client, models: dict[str, str], root: Path) -> None:
    first, second = (sorted((root / "by_class" / digit).iterdir())[0] for digit in "07")
    form = client.page(f"/models/{models['pairs']}")
    assert 'name="first_picture"' in form
    for other in (first, second):
        asked = {"job_id": models["pairs"], "first_picture": first, "second_picture": other}
        (outputs,) = client.json(f"{GENERIC}/infer_extension.json", **asked)["outputs"].values()
        assert set(outputs) == {"output", "distance", "first", "second"}
        places = np.array([np.ravel(outputs[name]) for name in ("first", "second")])
        distance = float(np.ravel(outputs["distance"])[0])
        assert distance == pytest.approx(float(np.linalg.norm(places[0] - places[1])), abs=2e-3)
        assert (int(np.argmax(outputs["output"])) == 1) == (distance < 0.5)
        assert (distance == pytest.approx(0, abs=1e-6)) == (other == first)


@pytest.mark.parametrize(("name", "picture"), [("streets", "camvid/images"), ("kitti", "kitti/image_2"), ("cells", "bccd/val")])
def test_a_picture_of_any_size_is_predicted(client: Client, models: dict[str, str], root: Path, name: str, picture: str) -> None:
    path = sorted((root / picture).iterdir())[0]
    answer = client.json(f"{GENERIC}/infer_one.json", job_id=models[name], image_path=path)
    output = np.asarray(next(iter(answer["outputs"].values())))
    assert output.shape[-1] == 6 if name != "streets" else output.shape[-3:] == (11, 64, 96)
