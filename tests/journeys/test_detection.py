"""A detector on a whole server: boxes of YOLO files become a model, whose boxes come back as JSON; the docs' examples run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.domain.events import BaselineEvent, MetricEvent
from digits.storage.events import valid_events
from digits.testing.runs import squared_pictures
from tests.journeys.client import GENERIC, Client

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
SIDE = 64
TRAINING = {
    "method": "standard",
    "framework": "pytorch",
    "standard_networks": "detector",
    "train_epochs": 12,
    "batch_size": 8,
    "solver_type": "ADAMW",
    "learning_rate": 0.004,
    "lr_policy": "poly",
    "lr_poly_power": 1,
    "use_mean": "pixel",
    "random_seed": 1,
    "score_threshold": 0.3,
}


def write_yolo(folder: Path, count: int, seed: int, larger: int = 1) -> None:
    """Pictures with squares, enlarged, and a text file of boxes for each."""
    pictures, boxes = squared_pictures(count, SIDE, seed)
    pictures = pictures.repeat(larger, axis=2).repeat(larger, axis=3)
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for i, (picture, found) in enumerate(zip(pictures, boxes, strict=True)):
        Image.fromarray(picture.transpose(1, 2, 0)).save(folder / "images" / f"{i}.png")
        rows = [
            f"{b['class']} {(b['x0'] + b['x1']) / 2 / SIDE} {(b['y0'] + b['y1']) / 2 / SIDE} "
            f"{(b['x1'] - b['x0']) / SIDE} {(b['y1'] - b['y0']) / SIDE}"
            for b in found
        ]
        (folder / "labels" / f"{i}.txt").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def dataset(client: Client, root: Path) -> str:
    write_yolo(root / "train", 80, seed=2)
    write_yolo(root / "val", 16, seed=3)
    (root / "names.txt").write_text("red\nblue\n")
    values = {"class_names_file": root / "names.txt", "annotation_format": "yolo", "val_min_box_size": 0}
    for split in ("train", "val"):
        values |= {f"{split}_image_folder": root / split / "images", f"{split}_label_folder": root / split / "labels"}
    return client.done(
        client.json("/datasets/generic/create/image-object-detection.json", dataset_name="squares", **values)["id"]
    )


@pytest.fixture(scope="module")
def model(client: Client, dataset: str) -> str:
    return client.done(client.json(f"{GENERIC}.json", model_name="finder", dataset=dataset, **TRAINING)["id"])


def test_the_training_tells_precision_beside_the_baseline(client: Client, model: str) -> None:
    events = [event for _, event in valid_events(client.server.jobs_dir / model / "events.jsonl")]
    values = [event.values for event in events if isinstance(event, MetricEvent) and event.phase == "val"]
    assert values[-1]["map50"] > 0.7 > values[0]["map50"]
    baseline = next(event for event in events if isinstance(event, BaselineEvent))
    assert baseline.values["map50"] == 0


def test_boxes_of_a_picture_as_json(client: Client, model: str, root: Path) -> None:
    _, boxes = squared_pictures(16, SIDE, seed=3)
    number = next(i for i, one in enumerate(boxes) if len(one) == 1)
    answer = client.json(f"{GENERIC}/infer_one.json", job_id=model, image_path=root / "val" / "images" / f"{number}.png")
    found = np.asarray(answer["outputs"]["boxes"]).reshape(-1, 6)[0]
    wanted = boxes[number][0]
    assert found[:4] == pytest.approx([wanted[name] for name in ("x0", "y0", "x1", "y1")], abs=4)
    assert found[5] == wanted["class"]
    Image.new("RGB", (SIDE, SIDE)).save(root / "empty.png")
    answer = client.json(f"{GENERIC}/infer_one.json", job_id=model, image_path=root / "empty.png", show_visualizations="y")
    assert {row["vis_type"] for row in answer["visualizations"]} == {"Weights", "Activation"}, "also where nothing is found"


def test_another_data_set_of_larger_pictures_is_evaluated(client: Client, dataset: str, model: str, root: Path) -> None:
    write_yolo(root / "larger", 16, seed=3, larger=2)
    values = {"class_names_file": root / "names.txt", "annotation_format": "yolo"}
    folders = {"train_image_folder": root / "larger" / "images", "train_label_folder": root / "larger" / "labels"}
    made = client.json("/datasets/generic/create/image-object-detection.json", dataset_name="larger", **values, **folders)
    results = []
    for other in (f"{client.done(made['id'])}/train_db", f"{dataset}/val_db"):
        job = client.done(client.json(f"/models/{model}/evaluate.json", other=other)["id"])
        results.append(client.json(f"/evaluations/{job}.json")["result"])
        samples = client.json(f"/evaluations/{job}/samples.json")["samples"]
        sizes = {tuple(sample["size"]) for sample in samples}
    assert sizes == {(SIDE, SIDE)}
    assert results[0]["metrics"]["map50"] == pytest.approx(results[1]["metrics"]["map50"], abs=0.1)
    assert results[0]["count"] == 16
    assert results[1]["options"] == {"score_threshold": TRAINING["score_threshold"]}
    last = [event for _, event in valid_events(client.server.jobs_dir / model / "events.jsonl") if isinstance(event, MetricEvent)]
    validated = next(event.values for event in reversed(last) if event.phase == "val")
    for name in ("precision", "recall"):
        assert results[1]["metrics"][name] == pytest.approx(validated[name], abs=1e-3), "the boxes that counted for the training"


def test_a_network_for_other_data_is_refused(client: Client, dataset: str) -> None:
    values = {**TRAINING, "standard_networks": "unet"}
    status, answer = client.request(f"{GENERIC}.json", model_name="x", dataset=dataset, **values)
    assert status == 400
    assert "Choose detector" in json.dumps(json.loads(answer))


@pytest.mark.parametrize("script", ["noisy_pairs.py", "turned_digits.py"])
def test_the_examples_of_the_docs_write_what_they_say(script: str, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    for i in range(3):
        Image.fromarray(np.full((80, 90), 40 * i, np.uint8)).save(tmp_path / "pictures" / f"{i}.png")
    subprocess.run([sys.executable, EXAMPLES / script, tmp_path / "pictures", tmp_path / "out", "3"], check=True)
    written = sorted(path.relative_to(tmp_path / "out").parts[0] for path in (tmp_path / "out").rglob("*.*"))
    assert written == (["clean"] * 3 + ["noisy"] * 3 if script == "noisy_pairs.py" else ["angles.csv"] + ["images"] * 3)
