"""Real data sets of each form, where they lie beside the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.extensions.data.image_object_detection import formats
from digits.extensions.data.image_object_detection.formats.sources import Request
from digits.extensions.data.images.findings import Findings
from digits.plugin_host.recognise import recognise
from digits.utils.confinement import EVERYWHERE
from tests.ingest.making import Run, make_job, run_job

SPLITS = ("train", "val", "test")
SMALL = {"resize_image_width": 80, "resize_image_height": 60}


def take(folder: Path, target: Path, count: int) -> str:
    """A folder with links to the first files of another."""
    target.mkdir(parents=True)
    for file in sorted(folder.iterdir())[:count]:
        (target / file.name).symlink_to(file)
    return str(target)


def bccd(shared_data: Path, tmp_path: Path, form: str) -> Run:
    """Twelve pictures of blood cells with the boxes of one form."""
    place = shared_data / "bccd"
    labels = {
        "voc": place / "Annotations",
        "coco": place / "coco/annotations/instances_train.json",
        "yolo": place / "yolo/train/labels",
        "kitti": place / "kitti/train/labels",
    }[form]
    images = take(place / "coco/train", tmp_path / form, 12)
    names = {"class_names_file": str(place / "yolo/data.yaml")}
    values: dict[str, Any] = {"train_image_folder": images, "train_label_folder": str(labels), **SMALL, **names}
    return run_job(make_job(tmp_path / "jobs", "image-object-detection", values))


def test_the_same_blood_cells_in_four_forms(shared_data: Path, tmp_path: Path) -> None:
    runs = {form: bccd(shared_data, tmp_path, form) for form in ("voc", "coco", "yolo", "kitti")}
    first = runs["voc"]
    assert first.info.class_labels == ("Platelets", "RBC", "WBC")
    expected = first.reader().labels(range(12))
    for form, run in runs.items():
        assert run.info.extra["annotation_format"] == form
        assert run.info.class_labels == first.info.class_labels
        assert (run.reader().numbers("hash") == first.reader().numbers("hash")).all()  # the same pictures
        for boxes, wanted in zip(run.reader().labels(range(12)), expected, strict=True):
            assert (boxes["class"] == wanted["class"]).all()
            for name in ("x0", "y0", "x1", "y1"):
                assert np.allclose(boxes[name], wanted[name], atol=1e-3)


def test_every_blood_cell_is_the_same_in_four_forms(shared_data: Path) -> None:
    """All 364 pictures: the same classes, the same boxes."""
    place = shared_data / "bccd"
    for split in ("train", "val", "test"):
        images = place / "coco" / split
        names = str(place / "yolo/data.yaml")
        voc = boxes_of("voc", images, place / "Annotations", names)
        assert voc
        for form, labels in (
            ("coco", place / f"coco/annotations/instances_{split}.json"),
            ("yolo", place / f"yolo/{split}/labels"),
            ("kitti", place / f"kitti/{split}/labels"),
        ):
            found = boxes_of(form, images, labels, names)
            assert found.keys() == voc.keys()
            for name, rows in found.items():
                assert [row[0] for row in rows] == [row[0] for row in voc[name]]
                assert np.allclose([row[1:] for row in rows], [row[1:] for row in voc[name]], atol=1e-2)


def boxes_of(form: str, images: Path, labels: Path, names: str) -> dict[str, list[tuple[Any, ...]]]:
    """Class and corners in pixels of pictures that have 640×480."""
    pictures = sorted(map(str, images.glob("*.jpg")))
    problems: list[dict[str, Any]] = []
    findings = Findings(problems.append)
    read = formats.read(form, Request(str(images), pictures, str(labels), "train_db", findings, lambda path: True, names))
    assert len(read.pictures) == len(pictures)
    assert not [problem for problem in problems if problem["kind"] != "pair"]  # labels of the other splits
    scale = (640, 480) if read.pictures[0].relative else (1, 1)
    return {
        Path(item.picture).name: [
            (box.name, box.x0 * scale[0], box.y0 * scale[1], box.x1 * scale[0], box.y1 * scale[1])
            for box in item.boxes
            if not box.fault(item.relative)  # one of the VOC files is empty; the other forms leave it out
        ]
        for item in read.pictures
    }


def test_every_line_of_the_street_photos_is_a_box(shared_data: Path) -> None:
    place = shared_data / "kitti"
    pictures = sorted(map(str, (place / "image_2").glob("*.png")))
    problems: list[dict[str, Any]] = []
    request = Request(
        str(place / "image_2"), pictures, str(place / "label_2"), "train_db", Findings(problems.append), lambda path: True
    )
    read = formats.read("kitti", request)
    lines = [line.split() for file in sorted((place / "label_2").glob("*.txt")) for line in file.read_text().splitlines()]
    assert sorted((b.name, b.x0, b.y0, b.x1, b.y1) for item in read.pictures for b in item.boxes) == sorted(
        (words[0], *map(float, words[4:8])) for words in lines
    )
    assert not problems


def test_street_scenes_with_their_eleven_classes(shared_data: Path, tmp_path: Path) -> None:
    place = shared_data / "camvid/val"
    values = {
        "feature_folder": take(place / "images", tmp_path / "images", 6),
        "label_folder": take(place / "labels", tmp_path / "labels", 6),
        "folder_pct_val": 20,
        "label_set": "camvid",
        "resize_width": 120,
        "resize_height": 90,
    }
    run = run_job(make_job(tmp_path / "jobs", "image-segmentation", values))
    assert run.entries() == {"train": 5, "val": 1}
    assert run.info.class_labels[:4] == ("sky", "building", "pole", "road")
    assert len(run.info.class_labels) == 11
    counted = run.info.extra["labels"]["train_db"]
    assert sum(counted["objects"]) + counted["ignored"] == 5 * 120 * 90


def test_streets_with_kitti_boxes(shared_data: Path, tmp_path: Path) -> None:
    place = shared_data / "kitti"
    values = {
        "train_image_folder": take(place / "image_2", tmp_path / "i", 4),
        "train_label_folder": str(place / "label_2"),
        **SMALL,
    }
    run = run_job(make_job(tmp_path / "jobs", "image-object-detection", values))
    assert run.entries() == {"train": 4}
    assert "Pedestrian" in run.info.class_labels
    assert "DontCare" not in run.info.class_labels
    pedestrian = run.reader().labels([0])[0][0]
    assert pedestrian["x0"] == pytest.approx(712.40 * 80 / 1224, abs=1e-3)


@pytest.mark.parametrize(
    ("folder", "extension", "form"),
    [
        ("camvid", "image-segmentation", ""),
        ("bccd/coco", "image-object-detection", "coco"),
        ("bccd/yolo", "image-object-detection", "yolo"),
        ("bccd/kitti", "image-object-detection", "kitti"),
        ("kitti", "image-object-detection", "kitti"),
        ("hymenoptera", "image-classification-folder", ""),
    ],
)
def test_folders_are_recognised(shared_data: Path, folder: str, extension: str, form: str) -> None:
    best = recognise(str(shared_data / folder), EVERYWHERE)[0]
    assert best.extension == extension
    assert best.values.get("annotation_format", "") == form
    if folder not in ("kitti", "hymenoptera"):
        assert {
            split for split in SPLITS if any(split in Path(str(v)).parts[-2:] for v in best.values.values())
        } or form == "coco"


def test_pascal_voc_comes_with_its_lists(shared_data: Path) -> None:
    voc = next(p for p in recognise(str(shared_data / "bccd"), EVERYWHERE) if p.values["annotation_format"] == "voc")
    assert voc.values["val_list_file"].endswith("ImageSets/Main/val.txt")
