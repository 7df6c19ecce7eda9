"""A classifier is trained with TensorFlow over HTTP, then used, looked into, evaluated and taken away; real processes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import RunningServer
from tests.journeys.test_inference import CLASSES, COLOURS, IMAGES, Studio, unpack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
]
TOWER = "class UserModel(Tower):\n    @model_property\n    def inference(self):\n        return 1\n"


@pytest.fixture(scope="module")
def studio(live_server: RunningServer) -> Studio:
    studio = Studio(live_server, live_server.jobs_dir.parent / "pictures")
    random = np.random.default_rng(1)
    for name, colour in zip(CLASSES, COLOURS, strict=True):
        folder = studio.pictures / name.replace(" ", "_")
        folder.mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(np.array(colour) + random.normal(0, 12, (24, 36, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
        studio.paths[name] = folder / "0.png"
    form = {"dataset_name": "colours", "method": "folder", "folder_train": studio.pictures, "folder_pct_test": 10}
    form |= {"resize_width": 28, "resize_height": 28, "resize_channels": 3}
    studio.dataset = studio.post("/datasets/images/classification.json", **form).json["id"]
    form = {"model_name": "keras", "dataset": studio.dataset, "framework": "tensorflow", "standard_networks": "lenet"}
    form |= {"train_epochs": 4, "snapshot_interval": 2, "batch_size": 6, "learning_rate": 0.005, "random_seed": 1}
    answer = studio.post(f"{IMAGES}.json", **form)
    assert answer.status == 200, answer.text
    studio.model = answer.json["id"]
    studio.until_done("models", studio.model)
    return studio


def test_the_model_says_what_it_is(studio: Studio) -> None:
    model = studio.get(f"/models/{studio.model}.json").json
    assert (model["framework"], model["snapshots"], model["snapshot file"]) == ("tensorflow", [2, 4], "epoch_4.keras")
    assert zipfile.is_zipfile(studio.server.jobs_dir / studio.model / "snapshots" / "epoch_4.keras")
    curves = studio.get(f"/models/{studio.model}/curves.json").json["curves"]
    assert curves["val"]["values"]["accuracy"][-1] == 1.0


def test_the_log_has_no_chatter_of_tensorflow(studio: Studio) -> None:
    log = (studio.server.jobs_dir / studio.model / "worker.log").read_text()
    assert "oneDNN" not in log, log
    assert "WARNING: All log" not in log


def test_pictures_are_recognised_and_layers_shown(studio: Studio) -> None:
    for name, path in studio.paths.items():
        answer = studio.post(f"{IMAGES}/classify_one.json", {"image_file": ("x.png", path.read_bytes())}, job_id=studio.model)
        assert answer.status == 200, answer.text
        assert answer.json["predictions"][0][0] == name
    page = studio.post(f"{IMAGES}/classify_one", job_id=studio.model, image_path=path, show_visualizations="y")
    assert page.status == 200
    assert "Conv2D" in page.text


def test_the_archive_classifies_without_digits_and_gives_the_same_numbers(studio: Studio, tmp_path: Path) -> None:
    names = unpack(studio.get(f"/models/{studio.model}/download.zip").body, tmp_path)
    assert {"info.json", "network.py", "preprocessing.json", "labels.txt", "predict.py", "README.md", "epoch_4.keras"} <= names
    path = studio.paths["green grass"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DIGITS"))}
    command = [sys.executable, "-I", "-c", STRANGER, str(tmp_path / "predict.py"), "--json", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert run.returncode == 0, run.stderr
    scores = json.loads(run.stdout)[str(path)]
    answer = studio.post(f"{IMAGES}/classify_one.json", {"image_file": ("x.png", path.read_bytes())}, job_id=studio.model)
    for name, percent in answer.json["predictions"]:
        assert scores[name] * 100 == pytest.approx(percent, abs=0.006)


# Runs a script in an interpreter without what predict.py must not need.
STRANGER = """
import runpy, sys
for name in ("digits", "cv2", "pyarrow"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_it_is_evaluated_on_its_validation_set(studio: Studio) -> None:
    answer = studio.post(f"/models/{studio.model}/evaluate.json", split="val", wait=1)
    assert answer.status == 200, answer.text
    assert answer.json["result"]["top1"] == 1.0


def test_what_is_wrong_is_said_beside_the_field(studio: Studio) -> None:
    def errors(**values: object) -> dict[str, list[str]]:
        form = {"model_name": "x", "dataset": studio.dataset, "framework": "tensorflow", **values}
        answer = studio.post(f"{IMAGES}.json", **form)
        assert answer.status == 400, answer.text
        return answer.json["errors"]

    torch_text = "from torch import nn\ndef build_network(context):\n    return nn.Flatten()\n"
    assert "tab" in errors(method="custom", custom_network=torch_text)["custom_network"][0]
    assert "keras.Input" in errors(method="custom", custom_network=TOWER)["custom_network"][0]
    assert "network for pytorch" in errors(standard_networks="timm/resnet18")["standard_networks"][0]
