"""What kind of data set a folder holds, seen from made-up folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from digits.extensions.data.recognise import Proposal, recognise
from digits.utils.confinement import EVERYWHERE
from tests.ingest import objects
from tests.ingest.making import class_folder, picture


def best(folder: Path) -> Proposal:
    return recognise(str(folder), EVERYWHERE)[0]


def masks(folder: Path, count: int = 3) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((10, 12), number, np.uint8)).save(folder / f"{number}.png")


def photos(folder: Path, count: int = 3, seed: int = 0) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        picture(seed + number, (40, 30)).save(folder / f"{number}.png")


def test_pictures_and_masks(tmp_path: Path) -> None:
    for split in ("train", "val"):
        photos(tmp_path / "images" / split)
        masks(tmp_path / "masks" / split)
    found = best(tmp_path)
    assert found.extension == "image-segmentation"
    assert found.values["feature_folder"] == str(tmp_path / "images/train")
    assert found.values["validation_label_folder"] == str(tmp_path / "masks/val")
    assert found.values["has_val_folder"] is True


def test_noisy_and_clean_photos(tmp_path: Path) -> None:
    photos(tmp_path / "noisy")
    photos(tmp_path / "clean", seed=9)
    found = best(tmp_path)
    assert found.extension == "image-processing"
    assert found.values["label_folder"] == str(tmp_path / "clean")


def test_boxes_in_every_form(tmp_path: Path) -> None:
    for name in ("voc", "kitti", "yolo"):
        place = tmp_path / name
        objects.pictures(place / "images")
        getattr(objects, name)(place / "labels")
        found = best(place)
        assert found.extension == "image-object-detection"
        assert found.values["annotation_format"] == name
        assert found.values["folder_pct_val"] == 10
    objects.pictures(tmp_path / "csv/images")
    objects.table(tmp_path / "csv/boxes.csv")
    assert best(tmp_path / "csv").values["annotation_format"] == "csv"
    objects.pictures(tmp_path / "coco/train2017")
    objects.coco(tmp_path / "coco/annotations/instances_train2017.json")
    assert best(tmp_path / "coco").values["train_image_folder"] == str(tmp_path / "coco/train2017")


def test_a_table_of_numbers(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    (tmp_path / "ages.csv").write_text("file,age\na.png,3\nb.png,4\n")
    found = best(tmp_path)
    assert found.extension == "image-regression"
    assert found.values == {"image_folder": str(tmp_path / "images"), "values_file": str(tmp_path / "ages.csv")}


def test_class_folders(tmp_path: Path) -> None:
    class_folder(tmp_path, {"cat": 2, "dog": 2})
    found = best(tmp_path)
    assert found.extension == "image-classification-folder"
    assert found.values["folder_train"] == str(tmp_path)


def test_nothing_known_and_no_folder(tmp_path: Path) -> None:
    assert recognise(str(tmp_path), EVERYWHERE) == []
    with pytest.raises(DataError, match="no folder"):
        recognise(str(tmp_path / "none"), EVERYWHERE)


def test_links_out_of_the_allowed_folders_are_not_followed(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "secret/images")
    objects.kitti(tmp_path / "secret/labels")
    (tmp_path / "open").mkdir()
    (tmp_path / "open/data").symlink_to(tmp_path / "secret")
    assert recognise(str(tmp_path / "open"), [str(tmp_path / "open")]) == []
    assert recognise(str(tmp_path / "secret"), []) == []
