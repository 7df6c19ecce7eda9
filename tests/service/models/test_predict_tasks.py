"""`predict.py` of an archive gives the numbers of the engine that trained the model, for every task and both engines."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's
from PIL import Image

from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import get_engine
from digits.frameworks import available_frameworks
from digits.networks import catalog
from digits.service.models.archives import script_files
from digits.storage.snapshots import snapshot_metadata
from digits.testing.runs import make_dataset, squared_pictures, striped_pictures, train

SIDE = 16
TORCH = """
from torch import nn

class Two(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        made = self.net(x)
        return {"output": made, "twice": made * 2} if SEVERAL else made

SEVERAL = False

def build_network(context):
    channels, height, width = context.input_shape
    return Two(NET)
"""
KERAS = """
import keras
from keras import layers

SEVERAL = False

def build_network(context):
    channels, height, width = context.input_shape
    start = keras.Input((height, width, channels))
    made = NET
    outputs = {"output": made, "twice": made * 2, "auxiliary_x": made} if SEVERAL else made
    return keras.Model(start, outputs)
"""
NETS = {
    "pytorch": (
        TORCH,
        "nn.Conv2d(channels, CHANNELS, 3, padding=1)",
        "nn.Sequential(nn.Flatten(), nn.Linear(height * width, 2))",
    ),
    "tensorflow": (KERAS, "layers.Conv2D(CHANNELS, 3, padding='same')(start)", "layers.Dense(2)(layers.Flatten()(start))"),
}


def text_for(framework: str, task: str) -> str:
    text, pixels, numbers = NETS[framework]
    if task == "softmax":
        ends = {"pytorch": "nn.Sequential(PIXELS, nn.Softmax(1))", "tensorflow": "layers.Softmax()(PIXELS)"}
        return text.replace("NET", ends[framework].replace("PIXELS", pixels.replace("CHANNELS", "3")))
    if task == "generic":
        return text.replace("NET", numbers).replace("SEVERAL = False", "SEVERAL = True")
    if task == "regression":
        return text.replace("NET", numbers)
    return text.replace("NET", pixels.replace("CHANNELS", "3" if task == "segmentation" else "1"))


def dataset_for(folder: Path, task: str) -> tuple[Path, np.ndarray]:
    """A data set of a task, and pictures (N, C, H, W) of it."""
    if task == "detection":
        features, boxes = squared_pictures(24, 48, seed=1)
        return make_dataset(folder, features, boxes, task=task, label_kind="boxes", class_labels=("red", "blue")), features
    features, _ = striped_pictures(24, SIDE, seed=1)
    if task in ("segmentation", "softmax"):
        maps = (features[:, 0] > 60).astype(np.uint8) + (features[:, 0] > 120)
        return make_dataset(folder, features, maps, task="segmentation", label_kind="map", class_labels=("a", "b", "c")), features
    if task == "processing":
        return make_dataset(folder, features, 255 - features, task=task, label_kind="map"), features
    labels = features.reshape(24, -1)[:, :2].astype(np.float32)
    return make_dataset(folder, features, labels, task=task, label_kind="vector"), features


def trained(folder: Path, framework: str, task: str) -> tuple[Path, np.ndarray, np.ndarray]:
    """A folder such as an archive is unpacked to, a picture of the data set, and a snapshot's outputs for it."""
    data, features = dataset_for(folder / "data", task)
    text = catalog.network_text("detector", framework) if task == "detection" else text_for(framework, task)
    task = "segmentation" if task == "softmax" else task
    spec = TrainingSpec("x", task, framework=framework, network=text, epochs=1, batch_size=8, seed=2, val_interval=0)
    rate = LearningRate(1e-6 if task == "generic" else 1e-3, "fixed")
    (folder / "model").mkdir()
    (folder / "model" / "network.py").write_text(text)
    train(data, folder / "model", TrainingSpec.from_json({**spec.to_json(), "learning_rate": vars(rate), "use_mean": "image"}))
    (snapshot,) = (folder / "model" / "snapshots").glob("epoch_1.*")
    archive = folder / "archive"
    archive.mkdir()
    shutil.copy(snapshot, archive)
    shutil.copy(folder / "model" / "network.py", archive)
    (archive / "preprocessing.json").write_text(json.dumps(snapshot_metadata(snapshot)))
    (archive / "info.json").write_text(json.dumps({"snapshot file": snapshot.name}))
    for name, file in script_files(framework):
        shutil.copy(file, archive / name)
    return archive, features[0], snapshot


TASKS = [
    ("pytorch", "detection"),
    *((f, "softmax") for f in NETS),
    *((f, t) for f in NETS for t in ("segmentation", "processing", "regression", "generic")),
]


@pytest.mark.parametrize(("framework", "task"), TASKS)
def test_the_script_gives_the_numbers_of_the_engine(tmp_path: Path, framework: str, task: str, capsys: Any) -> None:
    if framework not in available_frameworks():
        pytest.skip(f"{framework} is not installed")
    archive, feature, snapshot = trained(tmp_path, framework, task)
    expected = {name: values[0] for name, values in get_engine(framework).load(snapshot).predict(feature[None]).items()}
    picture = tmp_path / "picture.png"
    Image.fromarray(feature[0] if len(feature) == 1 else feature.transpose(1, 2, 0)).save(picture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["predict.py", str(picture), "--save", str(tmp_path / "made")])
        patch.syspath_prepend(archive)  # as `python predict.py` finds its neighbour
        runpy.run_path(str(archive / "predict.py"), run_name="__main__")
        assert str(picture) in capsys.readouterr().out
        missing, no_picture = str(tmp_path / "none.png"), str(archive / "network.py")
        patch.setattr(sys, "argv", ["predict.py", "--json", missing, str(picture), no_picture])
        with pytest.raises(SystemExit) as ended:  # those that can be read are answered all the same
            runpy.run_path(str(archive / "predict.py"), run_name="__main__")
    assert ended.value.code == 1
    printed = capsys.readouterr()
    assert [line.partition(": ")[0] for line in printed.err.splitlines() if line.startswith(str(tmp_path))] == [
        missing,
        no_picture,
    ]
    found = json.loads(printed.out)[str(picture)]
    assert set(found) == set(expected)
    for name, values in expected.items():
        saved = np.load(tmp_path / "made" / f"picture_{name}.npy")
        wanted = values[values[:, 4] > 0] if task == "detection" else values
        np.testing.assert_allclose(saved, wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(np.asarray(found[name]).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    if task in ("segmentation", "processing"):
        with Image.open(tmp_path / "made" / "picture_output.png") as image:
            assert image.size == (SIDE, SIDE)
            if task == "segmentation":
                np.testing.assert_array_equal(np.asarray(image), expected["output"].argmax(axis=0))
