"""What kind of data set a folder holds, seen from made-up folders."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from digits.extensions.data import recognition
from digits.extensions.data.dicom import DataIngestion as DicomSource
from digits.extensions.data.recognition import Proposal
from digits.plugin_host import recognise as trials
from digits.plugin_host.recognise import recognise
from digits.utils.confinement import EVERYWHERE
from tests.extensions.data.test_dicom import write
from tests.ingest import objects
from tests.ingest.making import class_folder, make_job, picture, run_job


def best(folder: Path) -> Proposal:
    return recognise(str(folder), EVERYWHERE)[0]


def masks(folder: Path, count: int = 3) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(np.full((30, 40), number, np.uint8)).save(folder / f"{number}.png")


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


def smooth(seed: int, size: tuple[int, int] = (32, 24), noise: float = 0) -> Image.Image:
    """A picture of large spots, the same for a seed, with noise of a deviation."""
    draw = np.random.default_rng(seed)
    spots = np.kron(draw.uniform(40, 210, (3, 4)), np.ones((8, 8))) + np.arange(32) + 3 * np.arange(24)[:, np.newaxis]
    grey = Image.fromarray((spots + draw.normal(0, noise or 1e-9, spots.shape)).clip(0, 255).astype(np.uint8))
    return grey.resize(size)


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def mask(size: tuple[int, int] = (32, 24), top: int = 2) -> Image.Image:
    array = np.zeros(size[::-1], np.uint8)
    array[3:9, 4:20] = top
    return Image.fromarray(array)


def labels_in_sub_folders(root: Path) -> None:
    for split in ("Training", "Test"):
        for part in ("Part1", "Part2"):
            for number in range(4):
                save(root / "Data" / split / "Images" / part / f"IM-{part}-{number}.png", smooth(number))
                save(root / "Data" / split / "Labels" / part / f"IM-{part}-{number}.png", mask())


def noise_levels(root: Path) -> None:
    for name, noise in (("original_png", 0), ("noisy5", 5), ("noisy25", 25)):
        for number in range(5):
            save(root / name / f"{number:04}.png", smooth(number, noise=noise))


def a_project(root: Path) -> None:
    """Pictures of the documents and of a training beside the data."""
    for number in range(3):
        save(root / "assets" / "a" / f"{number}.png", smooth(number))
        save(root / "assets" / "b" / f"{number}.png", smooth(number + 9))
    for number in range(30):
        save(root / "data" / ("cat", "dog")[number % 2] / f"{number}.jpg", smooth(number))
    for number in range(8):
        save(root / "runs" / "exp1" / ("val", "train")[number % 2] / f"{number}.jpg", smooth(number))


def linked(root: Path) -> None:
    objects.pictures(root / "store" / ".pictures")
    objects.yolo(root / "store" / ".labels")
    (root / "set").mkdir()
    (root / "set" / "images").symlink_to(root / "store" / ".pictures")
    (root / "set" / "labels").symlink_to(root / "store" / ".labels")


def indented_coco(root: Path) -> None:
    objects.pictures(root / "images")
    objects.coco(root / "instances.json")
    content = json.loads((root / "instances.json").read_text())
    for one in content["annotations"]:
        x, y, width, height = one["bbox"]
        one["segmentation"] = [[x, y, x + width, y, x + width, y + height]]
    (root / "instances.json").write_text(json.dumps(content, indent=2))


def label_studio(root: Path) -> None:
    objects.pictures(root / "images")
    objects.yolo(root / "labels")
    (root / "classes.txt").write_text("cat\ndog\n")
    (root / "notes.json").write_text('{"categories": [{"id": 0, "name": "cat"}], "info": {"year": 2024}, "images": []}')


def voc_kit(root: Path) -> None:
    place = root / "VOCdevkit" / "VOC2007"
    objects.pictures(place / "JPEGImages")
    objects.voc(place / "Annotations")
    (place / "ImageSets" / "Main").mkdir(parents=True)
    for split, names in (("train", "a\nb\n"), ("val", "c\nd\n")):
        (place / "ImageSets" / "Main" / f"{split}.txt").write_text(names)


def a_mask_each(root: Path) -> None:
    for case in ("c1", "c2", "c3"):
        save(root / "stage1" / case / "images" / f"{case}.png", smooth(hash(case) % 99))
        for number in range(3):
            save(root / "stage1" / case / "masks" / f"{case}-{number}f.png", mask(top=255))


def named_masks(root: Path) -> None:
    for number in range(5):
        save(root / "images" / f"{number:02}_training.png", smooth(number))
        save(root / "1st_manual_labels" / f"{number:02}_manual1.png", mask(top=255))


def halves(root: Path) -> None:
    for split, count in (("train", 9), ("val", 8)):
        for number in range(count):
            save(root / "facades" / split / f"{number}.jpg", smooth(number, (64, 32)))


def contest(root: Path) -> None:
    for number in range(8):
        save(root / "train" / f"x{number}.jpg", smooth(number))
    (root / "labels.csv").write_text("id,breed\n" + "".join(f"x{n},{'cat' if n % 2 else 'dog'}\n" for n in range(8)))


def flags(root: Path) -> None:
    for split in ("train", "valid"):
        for number in range(4):
            save(root / split / f"{split}{number}.jpg", smooth(number))
        lines = "".join(f"{split}{n}.jpg, 1, {n % 2}\n" for n in range(4))
        (root / split / "_classes.csv").write_text(f"filename, red, big\n{lines}")


def mixed_sizes(root: Path) -> None:
    for number, size in enumerate(((80, 60), (320, 200), (1600, 1200), (64, 64))):
        for name in ("one", "two"):
            save(root / "photos" / f"{name}{number}.png", smooth(number, size))
            save(root / "masks" / f"{name}{number}.png", mask(size))


def deep_classes(root: Path) -> None:
    for name in ("n01", "n02", "n03"):
        for number in range(3):
            save(root / "train" / name / "images" / f"{name}_{number}.JPEG", smooth(number + len(name)))


SETS: dict[str, tuple[Callable[[Path], None], str, int, dict[str, str]]] = {
    # how it is made, the first proposal: source, records, some fields (paths below the folder)
    "labels in sub-folders": (labels_in_sub_folders, "image-segmentation", 16, {"feature_folder": "Data/Training/Images"}),
    "noise levels": (noise_levels, "image-processing", 5, {"label_folder": "original_png"}),
    "a project": (a_project, "image-classification-folder", 30, {"folder_train": "data"}),
    "linked folders": (linked, "image-object-detection", 4, {"train_label_folder": "set/labels"}),
    "indented COCO": (indented_coco, "image-object-detection", 4, {"train_image_folder": "images"}),
    "labelstudio_yolo": (label_studio, "image-object-detection", 4, {"train_label_folder": "labels"}),
    "voc_parent_folder": (voc_kit, "image-object-detection", 4, {"val_list_file": "VOCdevkit/VOC2007/ImageSets/Main/val.txt"}),
    "a mask for each object": (a_mask_each, "image-segmentation", 3, {"feature_folder": "stage1"}),
    "masks by a pattern": (named_masks, "image-segmentation", 5, {"label_folder": "1st_manual_labels"}),
    "two halves": (halves, "image-processing", 17, {"feature_folder": "facades/train"}),
    "a contest": (contest, "image-classification-textfile", 8, {"textfile_train_folder": "train"}),
    "columns of 0 and 1": (flags, "image-multi-label", 8, {"val_values_file": "valid/_classes.csv"}),
    "mixed sizes": (mixed_sizes, "image-segmentation", 8, {"feature_folder": "photos"}),
    "folders in class folders": (deep_classes, "image-classification-folder", 9, {"folder_train": "train"}),
}


@pytest.mark.parametrize("name", SETS)
def test_the_first_proposal(tmp_path: Path, name: str) -> None:
    make, extension, records, fields = SETS[name]
    make(tmp_path)
    found = recognise(str(tmp_path), EVERYWHERE)
    first = found[0]
    assert (first.extension, first.records, first.complete) == (extension, records, True)
    assert {field: first.values[field] for field in fields} == {field: str(tmp_path / path) for field, path in fields.items()}
    for proposal in found:  # each is taken by its source
        folder = run_job(make_job(tmp_path / proposal.title, proposal.extension, {**proposal.values, "seed": 0}))
        assert sum(folder.entries().values()) == proposal.records


def test_what_else_is_said(tmp_path: Path) -> None:
    indented_coco(tmp_path / "coco")
    assert {one.values.get("mask_source") for one in recognise(str(tmp_path / "coco"), EVERYWHERE)} >= {"coco"}
    mixed_sizes(tmp_path / "mixed")
    first = best(tmp_path / "mixed")
    assert (first.values["resize_width"], first.values["resize_height"], first.values["resize_mode"]) == (224, 160, "fill")
    assert "64×64 to 1600×1200" in first.reason
    noise_levels(tmp_path / "noise")
    inputs = {Path(one.values["feature_folder"]).name for one in recognise(str(tmp_path / "noise"), EVERYWHERE)}
    assert inputs == {"noisy25", "noisy5"}


def test_colour_maps_and_masks_of_dicom_files_beside_them(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / "images" / f"{number}.png", smooth(number))
        array = np.zeros((24, 32, 3), np.uint8)
        array[5:9, 4:20] = (128, 0, 64)
        save(tmp_path / "masks" / f"{number}.png", Image.fromarray(array))
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\ncar:128,0,64::\n")
    first = best(tmp_path)
    assert (first.extension, first.values["colormap_text_file"]) == ("image-segmentation", str(tmp_path / "labelmap.txt"))


def test_panoptic_files_are_neither_boxes_nor_masks(tmp_path: Path) -> None:
    objects.pictures(tmp_path / "images")
    segments = [{"image_id": 0, "file_name": "a.png", "segments_info": [{"id": 70000, "category_id": 1}]}]
    content = {"images": [{"id": 0, "file_name": "a.png"}], "annotations": segments, "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "panoptic_train.json").write_text(json.dumps(content))
    draw = np.random.default_rng(0)
    for name in "abcd":
        ids = np.kron(draw.integers(0, 256, (3, 4, 3)), np.ones((10, 10, 1), int)).astype(np.uint8)
        save(tmp_path / "panoptic_masks" / f"{name}.png", Image.fromarray(ids))
    assert recognise(str(tmp_path), EVERYWHERE) == []


def test_a_plugin_that_fails_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folder(tmp_path, {"cat": 2, "dog": 2})

    def broken(folder: str) -> list[dict[str, Any]]:
        raise SystemExit(3)

    monkeypatch.setattr(DicomSource, "recognise", staticmethod(broken))
    assert best(tmp_path).extension == "image-classification-folder"


def test_a_plugin_that_never_answers_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folder(tmp_path, {"cat": 2, "dog": 2})
    os.mkfifo(tmp_path / "table.scan")

    def waiting(folder: str) -> list[dict[str, Any]]:
        return [{"values": {"text": path.read_text()}, "records": 1} for path in Path(folder).glob("*.scan")]

    monkeypatch.setattr(DicomSource, "recognise", staticmethod(waiting))
    monkeypatch.setattr(recognition, "PLUGIN_SECONDS", 0.2)
    assert best(tmp_path).extension == "image-classification-folder"


def test_a_source_whose_trial_never_ends_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(DicomSource, "recognise", staticmethod(lambda folder: [{"values": {}, "records": 3, "reason": "Scans."}]))
    monkeypatch.setattr(DicomSource, "__init__", lambda self, *given, **options: ended.wait())
    monkeypatch.setattr(trials, "SECONDS", 0.1)
    monkeypatch.setattr(trials, "STOP_SECONDS", 0.1)
    try:
        assert [one.extension for one in recognise(str(tmp_path), EVERYWHERE)] == ["image-dicom"]
    finally:
        ended.set()


def test_dicom_folders(tmp_path: Path) -> None:
    for case in ("p1", "p2"):
        for number in range(2):
            (tmp_path / "scans" / case).mkdir(parents=True, exist_ok=True)
            write(tmp_path / "scans" / case / f"IM{number}", np.full((8, 8), 10 * number, np.uint16))
    first = best(tmp_path)
    assert (first.extension, first.records) == ("image-dicom", 4)
    assert first.values == {"dicom_folder": str(tmp_path / "scans"), "labels": "folders"}
    for case in ("p1", "p2"):
        for number in range(2):
            save(tmp_path / "masks" / case / f"IM{number}.png", mask((8, 8), top=1))
    first = best(tmp_path)
    assert (first.values["labels"], first.values["mask_folder"]) == ("masks", str(tmp_path / "masks"))


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
