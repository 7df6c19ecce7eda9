"""COCO's panoptic task: PNG files of 24-bit numbers with the JSON file that says what they are, as classes in the records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from tests.extensions.data.test_image_segmentation import SIZE, SQUARE, label, skipped
from tests.ingest.making import Run, make_job, picture, run_job

THING, STUFF = 70_300, 3226  # the numbers of the classes 1 and 2 of SQUARE
TRUTH = np.array([255, 1, 0])[SQUARE]  # sky is the first category by its id, and nothing counts where nothing lies
Content = dict[str, Any]


def png(numbers: np.ndarray) -> Image.Image:
    """Numbers (H, W) as COCO's panoptic API writes them."""
    return Image.fromarray(np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=2).astype(np.uint8))


def panoptic_set(tmp_path: Path, change: Callable[[Content], None] = lambda content: None) -> dict[str, Any]:
    """Values of the form for two pictures; `change` may spoil the JSON file."""
    folder = tmp_path / "annotations/panoptic_train"
    folder.mkdir(parents=True, exist_ok=True)
    (tmp_path / "images").mkdir(exist_ok=True)
    content: Content = {"images": [], "annotations": [], "categories": [{"id": 9, "name": "cat"}, {"id": 2, "name": "sky"}]}
    for number in range(2):
        picture(number, SIZE).save(tmp_path / f"images/{number}.jpg")
        png(np.array([0, THING, STUFF])[SQUARE]).save(folder / f"{number}.png")
        segments = [{"id": THING, "category_id": 9, "iscrowd": 0}, {"id": STUFF, "category_id": 2, "iscrowd": 0}]
        content["images"].append({"id": number, "file_name": f"{number}.jpg", "width": SIZE[0], "height": SIZE[1]})
        content["annotations"].append({"image_id": number, "file_name": f"{number}.png", "segments_info": segments})
    change(content)
    folder.with_suffix(".json").write_text(json.dumps(content))
    folders = {"feature_folder": str(tmp_path / "images"), "label_folder": str(folder.with_suffix(".json")), "folder_pct_val": 0}
    return {**folders, "mask_source": "coco"}


def run_of(values: dict[str, Any], tmp_path: Path) -> Run:
    return run_job(make_job(tmp_path / "jobs", "image-segmentation", values))


@pytest.mark.parametrize("given", ["panoptic_train.json", "panoptic_train"])
def test_coco_panoptic_is_read_as_classes(tmp_path: Path, given: str) -> None:
    values = panoptic_set(tmp_path)
    run = run_of(values | {"label_folder": str(tmp_path / "annotations" / given)}, tmp_path)
    assert run.info.class_labels == ("sky", "cat")
    assert all((label(run, index) == TRUTH).all() for index in range(2))
    assert run.problems() == []


def _crowd(content: Content) -> None:
    content["annotations"][0]["segments_info"][0]["iscrowd"] = 1


def _twice(content: Content) -> None:
    content["annotations"][0]["segments_info"].append({"id": THING, "category_id": 2})


def _unknown_category(content: Content) -> None:
    content["annotations"][0]["segments_info"][0]["category_id"] = 77


@pytest.mark.parametrize(
    ("change", "said"), [(_crowd, ""), (_twice, ""), (_unknown_category, "70300, for which the JSON file has no category")]
)
def test_coco_panoptic_segments_that_do_not_count(tmp_path: Path, change: Callable[[Content], None], said: str) -> None:
    run = run_of(panoptic_set(tmp_path, change), tmp_path)
    assert (label(run) == np.where(TRUTH == 1, 255, TRUTH)).all()
    assert (label(run, 1) == TRUTH).all()
    assert said in " ".join(problem["reason"] for problem in run.problems())


def test_coco_panoptic_files_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    def spoil(content: Content) -> None:
        content["annotations"][0]["file_name"] = "9.png"
        content["annotations"].append({"image_id": 3, "file_name": "3.png", "segments_info": 5})

    run = run_of(panoptic_set(tmp_path, spoil), tmp_path)
    assert run.entries()["train"] == 1
    assert "Its PNG file '9.png'" in " ".join(problem["reason"] for problem in run.problems())
    values = panoptic_set(tmp_path)
    png(SQUARE.astype(np.int64) + 5).save(tmp_path / "annotations/panoptic_train/0.png")
    run = run_of(values, tmp_path)
    assert ["holds none of the numbers" in reason for reason in skipped(run)] == [True]


def test_coco_panoptic_and_instances_do_not_mix(tmp_path: Path) -> None:
    values = panoptic_set(tmp_path)
    content = json.loads(Path(values["label_folder"]).read_text())
    content["annotations"] = [{"id": 1, "image_id": 0, "category_id": 9, "segmentation": [[0, 0, 4, 0, 4, 4]]}]
    (tmp_path / "instances.json").write_text(json.dumps(content))
    folders = {"validation_feature_folder": values["feature_folder"], "validation_label_folder": str(tmp_path / "instances.json")}
    with pytest.raises(DataError, match="is of another task of COCO than the training file"):
        run_of({**values, **folders, "has_val_folder": True}, tmp_path)
