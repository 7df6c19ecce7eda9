"""The preview of an augmentation: pictures as the training would change them, with masks and boxes that move along."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.domain.training import Augmentation
from digits.testing.runs import make_dataset, striped_pictures
from digits.worker.probes.augmentation_preview import answer, preview


def decoded(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that are their own masks: 250 where the class is 2."""
    masks = np.zeros((10, 1, 24, 24), np.uint8)
    for number, mask in enumerate(masks):
        mask[0, 3 : 9 + number, 5:12] = 2
    folder = tmp_path_factory.mktemp("data") / "data"
    labels = ("background", "dust", "cell")
    return make_dataset(folder, masks * 125, masks, task="segmentation", label_kind="map", class_labels=labels)


def test_masks_move_with_their_pictures(segmentation: Path) -> None:
    samples = preview(segmentation, Augmentation(flip="fliplrud", quad_rot="rotall"), None, epoch=3)
    moved = 0
    for sample in samples:
        before, after = sample["before"], sample["after"]
        assert np.array_equal(decoded(after["truth"]) * 125, decoded(after["input"]))
        moved += not np.array_equal(decoded(before["truth"]), decoded(after["truth"]))
    assert moved > 0


def test_a_turned_mask_keeps_whole_classes(segmentation: Path) -> None:
    for sample in preview(segmentation, Augmentation(rot=30, scale=0.1), None, epoch=1):
        classes = decoded(sample["after"]["truth"])
        assert set(np.unique(classes)) <= {0, 2}
        shown = decoded(sample["after"]["input"])
        assert ((shown > 125) == (classes == 2)).mean() > 0.97, "the picture is interpolated, the mask is not"


def test_another_draw_differs_and_the_same_one_does_not(segmentation: Path) -> None:
    shift = Augmentation(noise=0.2)
    first = [sample["after"]["input"] for sample in preview(segmentation, shift, None, epoch=1)]
    assert first == [sample["after"]["input"] for sample in preview(segmentation, shift, None, epoch=1)]
    assert first != [sample["after"]["input"] for sample in preview(segmentation, shift, None, epoch=2)]


def test_what_cannot_be_previewed_is_said(tmp_path: Path) -> None:
    pictures, labels = striped_pictures(10, 8, 1)
    make_dataset(tmp_path / "data", pictures, labels, class_labels=("left", "right"))
    request: dict[str, Any] = {"folder": str(tmp_path / "data"), "augmentation": {}, "crop_size": 9, "epoch": 0}
    assert "9" in answer(request)["problem"]
    found = answer({**request, "crop_size": 4})["samples"]
    assert {sample["label"] for sample in found} <= {"left", "right"}
    assert decoded(found[0]["after"]["input"]).shape == (4, 4)


def test_the_command(segmentation: Path, tmp_path: Path) -> None:
    request = {"folder": str(segmentation), "augmentation": {"flip": "fliplr"}, "crop_size": None, "epoch": 0}
    command = [sys.executable, "-m", "digits.worker.probes.augmentation_preview", "--out", str(tmp_path / "out.json")]
    subprocess.run(command, input=json.dumps(request), text=True, check=True, timeout=120)
    assert json.loads((tmp_path / "out.json").read_text())["samples"][0]["key"].startswith("train:")
