"""Object detection data sets: five formats of the same boxes, sizes, and everything that can be wrong with an annotation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.errors import DataError
from digits.extensions.data.image_object_detection import DataIngestion
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_IGNORED
from digits.tasks import get
from digits.tasks.label_forms import label_array
from tests.ingest import objects
from tests.ingest.making import Run, make_job, picture, run_job

ID = "image-object-detection"


def make(tmp_path: Path, labels: Path, **data: Any) -> Run:
    values = {"train_image_folder": str(tmp_path / "images"), "train_label_folder": str(labels), **data}
    return run_job(make_job(tmp_path / "jobs", ID, values))


def rows(run: Run, index: int, split: str = "train") -> list[tuple[float, ...]]:
    return [tuple(round(float(v), 3) for v in box.tolist()) for box in run.reader(split).labels([index])[0]]


FORMATS: dict[str, Callable[[Path], Path]] = {
    "kitti": lambda place: objects.kitti(place / "labels"),
    "voc": lambda place: objects.voc(place / "labels"),
    "coco": lambda place: objects.coco(place / "instances.json"),
    "yolo": lambda place: objects.yolo(place / "labels"),
    "csv": lambda place: objects.table(place / "boxes.csv"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_records(tmp_path: Path, name: str) -> None:
    objects.pictures(tmp_path / "images")
    run = make(tmp_path, FORMATS[name](tmp_path))
    assert run.info.extra["annotation_format"] == name
    assert run.info.task == "detection"
    assert run.info.class_labels == ("cat", "dog")
    assert [rows(run, i) for i in range(4)] == [
        [(4, 5, 14, 20, 0, 0), (20, 6, 36, 27, 1, 0)],
        [(8, 3, 24, 12, 1, 0)],
        [],
        [(0, 0, 40, 30, 0, 0)],
    ]
    counted = run.info.extra["labels"]["train_db"]
    assert (counted["objects"], counted["images"], counted["empty"]) == ([2, 2], [2, 2], 1)
    assert run.info.splits["train_db"].class_counts == (2, 2)
    assert [p["kind"] for p in run.problems()] == ["no-label-file" if name == "yolo" else "empty"]
    assert run.reader().find_class(1).tolist() == [0, 1]


def test_flags_are_those_of_the_formats(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images", {"a": []})
    text = objects.voc(tmp_path / "voc", {"a": objects.BOXES["a"]}) / "a.xml"
    text.write_text(text.read_text().replace("<difficult>0", "<difficult>1", 1))
    assert [row[5] for row in rows(make(tmp_path, text.parent), 0)] == [BOX_DIFFICULT, 0]
    file = objects.coco(tmp_path / "coco.json", {"a": objects.BOXES["a"]})
    content = json.loads(file.read_text())
    content["annotations"][1]["iscrowd"] = 1
    file.write_text(json.dumps(content))
    assert [row[5] for row in rows(make(tmp_path, file), 0)] == [0, BOX_CROWD]
    kitti = objects.kitti(tmp_path / "kitti", {"a": [("cat", 1, 1, 5, 5), ("DontCare", 9, 9, 20, 20)]})
    run = make(tmp_path, kitti)
    assert [row[4:] for row in rows(run, 0)] == [(0, 0), (-1, BOX_IGNORED)]
    assert run.info.class_labels == ("cat",)


def test_classes_are_mapped_and_others_do_not_count(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    run = make(tmp_path, objects.kitti(tmp_path / "labels"), custom_classes="animal, DOG=animal")
    assert run.info.class_labels == ("animal",)
    assert rows(run, 0) == [(4, 5, 14, 20, -1, BOX_IGNORED), (20, 6, 36, 27, 0, 0)]
    unknown = next(p for p in run.problems() if p["kind"] == "unknown-class")
    assert unknown["entry"].endswith("a.txt, line 1")
    assert "'cat'" in unknown["reason"]
    assert "2 boxes" in unknown["reason"]
    with pytest.raises(DataError, match="has an object"):
        make(tmp_path, tmp_path / "labels", custom_classes="zebra")


def test_boxes_follow_padding_and_resizing(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    sizes = {"padding_image_width": 80, "padding_image_height": 60, "resize_image_width": 40, "resize_image_height": 60}
    run = make(tmp_path, objects.kitti(tmp_path / "labels"), **sizes)
    assert run.info.feature_shape == (3, 60, 40)
    assert rows(run, 1) == [(4, 3, 12, 12, 1, 0)]
    feature = run.reader().feature(1)
    assert feature[:, 30:].max() == 0
    assert feature[:, :, 22:].max() == 0
    assert run.info.extra["padding"] == [80, 60]
    fill = make(tmp_path, tmp_path / "labels", resize_image_width=80, resize_image_height=80, resize_mode="fill")
    assert rows(fill, 1) == [(16, 16, 48, 34, 1, 0)]
    crop = make(tmp_path, tmp_path / "labels", resize_image_width=30, resize_image_height=30, resize_mode="crop")
    assert rows(crop, 0) == [(0, 5, 9, 20, 0, 0), (15, 6, 30, 27, 1, 0)]


def test_pictures_of_several_sizes_are_padded_to_the_largest(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    picture(9, (50, 20)).save(tmp_path / "images/d.png")
    labels = objects.kitti(tmp_path / "labels")
    run = make(tmp_path, labels)
    assert run.info.feature_shape == (3, 32, 64)
    with pytest.raises(DataError, match="None of the entries"):
        make(tmp_path, labels, padding_image_width=10, padding_image_height=10)


def test_splits_by_share_folder_and_list(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    labels = objects.kitti(tmp_path / "labels")
    assert make(tmp_path, labels).entries() == {"train": 4}
    assert make(tmp_path, labels, folder_pct_val=25, seed=1).entries() == {"train": 3, "val": 1}
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "val.txt").write_text("d.png 1\n")
    lists = {"train_list_file": str(tmp_path / "train.txt"), "val_list_file": str(tmp_path / "val.txt")}
    run = make(tmp_path, labels, **lists)
    assert run.entries() == {"train": 2, "val": 1}
    assert [Path(s).name for s in run.reader("val").column("source", [0])] == ["d.png"]
    kinds = [p["kind"] for p in run.problems()]
    assert kinds.count("pair") == 1  # c is in no list
    assert "one-split" in kinds  # no dog in val
    val = {"val_image_folder": str(tmp_path / "images"), "val_label_folder": str(labels), "val_min_box_size": 11}
    run = make(tmp_path, labels, folder_pct_val=50, **val)
    assert run.entries() == {"train": 4, "val": 4}
    assert run.info.duplicates == 4
    assert [row[5] for row in rows(run, 0, "val")] == [BOX_IGNORED, 0]
    assert [row[5] for row in rows(run, 0)] == [0, 0]


def only(run: Run, kind: str) -> list[dict[str, Any]]:
    return [problem for problem in run.problems() if problem["kind"] == kind]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("cat 0 0 0 14 5 4 20 0 0 0 0 0 0 0", "inverted"),
        ("cat 0 0 0 4 5 4 20 0 0 0 0 0 0 0", "empty"),
        ("cat 0 0 0 nan 5 14 20 0 0 0 0 0 0 0", "no number"),
        ("cat 0 0 0 50 5 60 20 0 0 0 0 0 0 0", "wholly outside the picture of 40x30"),
        ("cat 0 0 0 30 5 60 20 0 0 0 0 0 0 0", "partly outside the picture of 40x30"),
    ],
)
def test_boxes_that_cannot_be_are_left_out_or_clipped_and_listed(tmp_path: Path, line: str, reason: str) -> None:
    objects.pictures(tmp_path / "images")
    labels = objects.kitti(tmp_path / "labels")
    (labels / "b.txt").write_text(f"dog 0 0 0 8 3 24 12 0 0 0 0 0 0 0\n{line}\n")
    run = make(tmp_path, labels)
    (problem,) = only(run, "box")
    assert reason in problem["reason"]
    assert rows(run, 1)[0] == (8, 3, 24, 12, 1, 0)
    assert len(rows(run, 1)) == (2 if "partly" in reason else 1)
    if "outside" in reason:
        assert problem["reason"].startswith(f"{labels / 'b.txt'}, line 2: The box")
    else:
        assert problem["entry"] == f"{labels / 'b.txt'}, line 2"


@pytest.mark.parametrize("line", ["cat 1 2", "cat 0 0 0 a b c d 0 0 0 0 0 0 0"])
def test_kitti_lines_of_another_form_are_listed(tmp_path: Path, line: str) -> None:
    objects.pictures(tmp_path / "images")
    labels = objects.kitti(tmp_path / "labels")
    (labels / "b.txt").write_text(line)
    (problem,) = only(make(tmp_path, labels), "annotation")
    assert problem["entry"].endswith("b.txt, line 1")
    assert "15 columns" in problem["reason"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 120 80 40 30", "Divide pixels"),
        ("0 0.5 0.5", "Expected are a class number"),
        ("7 0.5 0.5 0.1 0.1", "no class 7; the names have 2"),
        ("0 nan 0.5 0.1 0.1", "no number"),
        ("cat 0.5 0.5 0.1 0.1", "Expected are a class number"),
    ],
)
def test_yolo_lines_of_another_form_are_listed(tmp_path: Path, line: str, reason: str) -> None:
    objects.pictures(tmp_path / "images")
    labels = objects.yolo(tmp_path / "labels")
    (labels / "b.txt").write_text(f"1 0.5 0.5 0.2 0.2\n{line}\n")
    (problem,) = only(make(tmp_path, labels), "annotation")
    assert reason in problem["reason"]
    assert problem["entry"].endswith("b.txt, line 2")


def test_yolo_polygons_become_boxes(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images", {"a": []})
    labels = objects.yolo(tmp_path / "labels", {})
    (labels / "a.txt").write_text("1 0.1 0.2 0.5 0.2 0.5 0.6 0.3 0.8\n")
    assert rows(make(tmp_path, labels), 0) == [(4, 6, 20, 24, 1, 0)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "entities, which are refused"),
        ('<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>', "entities, which are refused"),
        ("<annotation>\n<object>", "Line 2 is no XML"),
        ("<annotation><object><name>cat</name></object></annotation>", "Object 1 has no usable <bndbox>"),
        ("<annotation><object><bndbox/></object></annotation>", "Object 1 has no usable <name>"),
    ],
)
def test_xml_that_cannot_be_used_is_listed(tmp_path: Path, text: str, reason: str) -> None:
    objects.pictures(tmp_path / "images")
    labels = objects.voc(tmp_path / "labels")
    (labels / "b.xml").write_text(text)
    (problem,) = only(make(tmp_path, labels), "annotation")
    assert reason in problem["reason"]
    assert problem["entry"] == str(labels / "b.xml")


def test_pascal_counts_pixels_from_one(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    run = make(tmp_path, objects.voc(tmp_path / "labels"), first_pixel="1")
    assert rows(run, 1) == [(7, 2, 24, 12, 1, 0)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_id": 99}, "image_id 99, which `images` lacks"),
        ({"category_id": 99}, "category_id 99, which `categories` lacks"),
        ({"bbox": [1, 2]}, r"[left, top, width, height]"),
    ],
)
def test_coco_annotations_that_belong_to_nothing_are_listed(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    objects.pictures(tmp_path / "images")
    file = objects.coco(tmp_path / "instances.json")
    content = json.loads(file.read_text())
    content["annotations"][0] |= change
    file.write_text(json.dumps(content))
    run = make(tmp_path, file)
    (problem,) = only(run, "annotation")
    assert reason in problem["reason"]
    assert len(rows(run, 0)) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}', '{"images": [], "annotations": [], "categories": [{}]}'])
def test_other_json_is_refused_with_what_is_expected(tmp_path: Path, text: str) -> None:
    objects.pictures(tmp_path / "images")
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match="COCO's instances file"):
        make(tmp_path, tmp_path / "x.json")


@pytest.mark.parametrize(
    ("line", "reason"),
    [("z.png,1,2,3,4,cat", "no picture of this name"), ("b.png,1,x,3,4,cat", "no numbers"), ("b.png,1,2,3,4,", "no class")],
)
def test_csv_lines_that_cannot_be_used_are_listed(tmp_path: Path, line: str, reason: str) -> None:
    objects.pictures(tmp_path / "images")
    file = objects.table(tmp_path / "boxes.csv")
    file.write_text(f"{file.read_text()}{line}\n")
    (problem,) = only(make(tmp_path, file), "annotation")
    assert reason in problem["reason"]
    assert problem["entry"] == f"{file}, line 7"


def test_no_objects_no_partners_and_unknown_formats_are_refused(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    with pytest.raises(DataError, match="name no class"):
        make(tmp_path, objects.kitti(tmp_path / "empty", dict.fromkeys(objects.BOXES, [])), annotation_format="kitti")
    with pytest.raises(DataError, match="of its name"):
        make(tmp_path, objects.kitti(tmp_path / "others", {"x": objects.BOXES["a"]}))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="not recognised"):
        make(tmp_path, tmp_path / "nothing")


def test_pictures_without_any_object_at_all(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    labels = objects.yolo(tmp_path / "labels")
    for file in objects.BOXES:
        (labels / f"{file}.txt").write_text("\n")
    with pytest.raises(DataError, match="text files that were looked at in .* are empty"):
        make(tmp_path, labels)
    with pytest.raises(DataError, match="None of the 4 training pictures has an object"):
        make(tmp_path, labels, annotation_format="yolo")
    coco = objects.coco(tmp_path / "coco.json")
    content = json.loads(coco.read_text())
    for annotation in content["annotations"]:
        del annotation["image_id"]
    coco.write_text(json.dumps(content))
    with pytest.raises(DataError, match="has an object. The first problem: .*coco.json: .*image_id"):
        make(tmp_path, coco)


def test_one_class_is_fine(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images", {"a": []})
    run = make(tmp_path, objects.kitti(tmp_path / "labels", {"a": [("cell", 1, 1, 9, 9)]}))
    assert run.info.class_labels == ("cell",)
    assert np.allclose(run.reader().feature(0), np.asarray(picture(0, objects.SIZE)).transpose(2, 0, 1))


def test_pictures_outside_the_allowed_folders_are_left_out(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "elsewhere", {"b": []})
    objects.pictures(tmp_path / "images", {"a": []})
    (tmp_path / "images/b.png").symlink_to(tmp_path / "elsewhere/b.png")
    labels = objects.kitti(tmp_path / "labels", {"a": objects.BOXES["a"], "b": objects.BOXES["b"]})
    source = DataIngestion(train_image_folder=str(tmp_path / "images"), train_label_folder=str(labels))
    source.allowed_roots = (str(tmp_path / "images"), str(labels))
    source.job_folder = tmp_path
    found: list[dict[str, Any]] = []
    source.prepare(found.append)
    assert [Path(entry[0]).name for entry in source.itemize_entries("train_db")] == ["a.png"]
    assert "outside the folders" in found[0]["reason"]


def test_the_old_form_of_boxes() -> None:
    rows = np.zeros((1, 4, 16), np.float32)
    rows[0, 0, :2] = 2, 16
    rows[0, 1, :6] = 5, 6, 10, 20, 0, 3
    rows[0, 2, :6] = 1, 2, 3, 4, 0, 0
    kind, boxes = label_array(rows, "plugin", "entry", get("detection"))
    assert kind == "boxes"
    assert boxes.tolist() == [(5, 6, 15, 26, 3, 0), (1, 2, 4, 6, 0, BOX_IGNORED)]
    assert label_array(rows, "plugin", "entry")[0] == "array"
