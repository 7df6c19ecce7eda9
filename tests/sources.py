"""Every source of data sets and every bundled plugin, small: the address of its form and what is filled in there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from PIL import Image

from digits.storage.records.caffe_datum import make_datum
from tests.examples import example
from tests.extensions.data.test_dicom import write as write_dicom
from tests.ingest import objects
from tests.service.finished_dataset import class_folder

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
CLASSIFICATION = "/datasets/images/classification/new"
DATABASES = "/datasets/images/generic/new"
SIDE = 16


def pictures(folder: Path, count: int = 10, channels: int = 3) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, channels), np.uint8)
        Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(folder / f"{number}.png")
    return folder


def classes(root: Path) -> dict[str, Any]:
    return {"folder_train": class_folder(root / "classes"), "resize_width": 10, "resize_height": 10}


def lists(root: Path) -> dict[str, Any]:
    folder = class_folder(root / "classes")
    paths = [(path, number) for number, name in enumerate(sorted(folder.iterdir())) for path in sorted(name.iterdir())]
    for name, rows in (("train", paths[::2]), ("val", paths[1::2])):
        (root / f"{name}.txt").write_text("".join(f"{path} {number}\n" for path, number in rows))
    (root / "labels.txt").write_text("a\nb\nc\n")
    local = {"train_images": "train.txt", "val_images": "val.txt", "labels_file": "labels.txt"}
    files = {f"textfile_local_{field}": root / name for field, name in local.items()}
    size = {"resize_width": 28, "resize_height": 28}
    return {"method": "textfile", "textfile_use_local_files": "y", "textfile_use_val": "y", **files, **size}


def pairs(root: Path) -> dict[str, Any]:
    return {"feature_folder": pictures(root / "in"), "label_folder": pictures(root / "out")}


def itself(root: Path) -> dict[str, Any]:
    return {"feature_folder": pictures(root / "in"), "label_source": "image"}


def masks(root: Path) -> dict[str, Any]:
    folder = root / "masks"
    folder.mkdir(parents=True)
    for number in range(10):
        Image.fromarray((np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 3).astype(np.uint8)).save(folder / f"{number}.png")
    (root / "names.txt").write_text("ground\ncar\ntree\n")
    return {"feature_folder": pictures(root / "in"), "label_folder": folder, "class_labels_file": root / "names.txt"}


def compared(root: Path) -> dict[str, Any]:
    return {"image_folder": class_folder(root / "classes", 4), "resize_width": 28, "resize_height": 28}


def boxes(root: Path) -> dict[str, Any]:
    return {
        "train_image_folder": objects.pictures(root / "images"),
        "train_label_folder": objects.kitti(root / "labels"),
        "val_image_folder": root / "images",
        "val_label_folder": root / "labels",
    }


def numbers(root: Path) -> dict[str, Any]:
    folder = pictures(root / "in")
    (root / "numbers.csv").write_text("image,x,y\n" + "".join(f"{n}.png,{n / 10},{-n}\n" for n in range(10)))
    return {"image_folder": folder, "values_file": root / "numbers.csv"}


def series(root: Path) -> dict[str, Any]:
    for number in range(10):
        values = np.random.default_rng(number).integers(0, 4000, (SIDE, SIDE)).astype(np.uint16)
        write_dicom(root / "scans" / ("ill" if number % 2 else "well") / f"{number}.dcm", values, patient=f"P{number}")
    return {"dicom_folder": root / "scans", "labels": "folders"}


def databases(root: Path, labels: Callable[[int], Any] | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for split, count in (("train", 12), ("val", 4)):
        random = np.random.default_rng(count)
        features = [random.integers(0, 256, (1, SIDE, SIDE), np.uint8) for _ in range(count)]
        found[f"prebuilt_{split}_images"] = _database(root / f"{split}_images", features, [i % 3 for i in range(count)])
        if labels:
            found[f"prebuilt_{split}_labels"] = _database(
                root / f"{split}_labels", [labels(i) for i in range(count)], [0] * count
            )
    return found


def _database(folder: Path, arrays: list[np.ndarray], labels: list[int]) -> Path:
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for i, (array, label) in enumerate(zip(arrays, labels, strict=True)):
            transaction.put(f"{i:08d}".encode(), make_datum(array, label))
    return folder


def two_numbers(root: Path) -> dict[str, Any]:
    return databases(root, lambda i: np.array([[[i / 10, -i]]], np.float32))


def planes(root: Path) -> dict[str, Any]:
    return databases(root, lambda i: np.full((1, SIDE, SIDE), i / 10, np.float32))


def without_labels(root: Path) -> dict[str, Any]:
    return {**databases(root), "prebuilt_ignore_labels": "y"}


def gradients(root: Path) -> dict[str, Any]:
    return {"train_image_count": 12, "val_image_count": 4, "test_image_count": 0, "image_width": 20, "image_height": 16}


def texts(root: Path) -> dict[str, Any]:
    root.mkdir()
    for name, first in (("train", 0), ("val", 12)):
        lines = [f'{1 + n % 2},"headline {n}","words of it"\n' for n in range(first, first + 12)]
        (root / f"{name}.csv").write_text("".join(lines))
    (root / "names.txt").write_text("world\nsports\n")
    files = {"train_data_file": root / "train.csv", "val_data_file": root / "val.csv", "class_labels_file": root / "names.txt"}
    return {**files, "max_chars_per_sample": 60, "dsopts_feature_encoding": "none"}


def stories(root: Path) -> dict[str, Any]:
    example("stories").write(root / "stories", 10)
    return {"story_folder": root / "stories", "task_id": "1", "pct_val": 30}


def brains(root: Path) -> dict[str, Any]:
    example("phantoms").write(root / "scans", 4, SIDE)
    return {
        "dataset_folder": root / "scans",
        "modality": "all",
        "filter_method": "threshold",
        "filter_threshold": 5,
        "pct_val": 25,
    }


def hearts(root: Path) -> dict[str, Any]:
    contours = root / "contours" / "SC-HF-I-01" / "contours-manual" / "IRCCI-expert"
    contours.mkdir(parents=True)
    for number in range(10):
        values = np.random.default_rng(number).integers(0, 4000, (SIDE, SIDE)).astype(np.uint16)
        write_dicom(root / "pictures" / "SC-HF-I-1" / f"IM-1180-{number:04d}.dcm", values)
        (contours / f"IM-0001-{number:04d}-icontour-manual.txt").write_text("4 4\n4 9\n9 9\n9 4\n")
    return {"image_folder": root / "pictures", "contour_folder": root / "contours"}


def labelled(root: Path) -> dict[str, Any]:
    folder = pictures(root / "in")
    lines = [f"{n}.png,{int(n % 2 == 0)},{int(n % 3 == 0)}\n" for n in range(10)]
    (root / "labels.csv").write_text("image,even,third\n" + "".join(lines))
    return {"image_folder": folder, "values_file": root / "labels.csv"}


def faces(root: Path) -> dict[str, Any]:
    return {"image_folder": pictures(root / "in"), "center_crop_size": "", "resize": 16, "folder_pct_val": 20}


def own(source: str) -> str:
    return f"/datasets/generic/new/{source}"


# name: address of the form, what is filled in, the task of the records, the network that is proposed
SOURCES: dict[str, tuple[str, Callable[..., dict[str, Any]], str, str]] = {
    "folder": (CLASSIFICATION, classes, "classification", "small_cnn"),
    "lists": (CLASSIFICATION, lists, "classification", "lenet"),
    "pairs": (own("image-processing"), pairs, "processing", "autoencoder"),
    "itself": (own("image-processing"), itself, "processing", "autoencoder"),
    "masks": (own("image-segmentation"), masks, "segmentation", "unet"),
    "same-or-different": (own("image-pairs"), compared, "classification", "siamese"),
    "boxes": (own("image-object-detection"), boxes, "detection", "detector"),
    "numbers": (own("image-regression"), numbers, "regression", "regressor"),
    "dicom": (own("image-dicom"), series, "classification", "small_cnn"),
    "databases": (DATABASES, databases, "classification", "small_cnn"),
    "databases-numbers": (DATABASES, two_numbers, "regression", "regressor"),
    "databases-planes": (DATABASES, planes, "generic", "autoencoder"),
    "databases-alone": (DATABASES, without_labels, "generic", "autoencoder"),
    "gradients": (own("image-gradients"), gradients, "regression", "regressor"),
    "texts": (own("text-classification"), texts, "classification", "small_cnn"),
    "stories": (own("text-babi"), stories, "classification", "small_cnn"),
    "brains": (own("images-brats"), brains, "segmentation", "unet"),
    "labels": (own("image-multi-label"), labelled, "multi_label", "small_cnn"),
    "faces": (own("image-gan"), faces, "generic", "autoencoder"),
    "hearts": (own("image-sunnybrook"), hearts, "segmentation", "unet"),
}
