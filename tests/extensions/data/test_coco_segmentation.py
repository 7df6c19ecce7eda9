"""Masks out of COCO's instances files, as they are in the records and as pycocotools draws them."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from digits.extensions.data.image_segmentation import DataIngestion
from tests.extensions.data.test_image_segmentation import label
from tests.ingest.making import Run, make_job, picture, run_job

SIZE = (24, 20)
GOOD = [4, 4, 14, 4, 14, 14, 4, 14]


def coco_set(
    tmp_path: Path, annotations: list[dict[str, Any]], categories: list[dict[str, Any]], pictures: int = 2
) -> dict[str, Any]:
    """Values of the form for pictures of 24×20 with these annotations."""
    (tmp_path / "images").mkdir(exist_ok=True)
    images = []
    for number in range(pictures):
        picture(number, SIZE).save(tmp_path / f"images/{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": SIZE[0], "height": SIZE[1]})
    numbered = [{"iscrowd": 0, **annotation, "id": number} for number, annotation in enumerate(annotations, start=1)]
    (tmp_path / "c.json").write_text(json.dumps({"images": images, "categories": categories, "annotations": numbered}))
    folders = {"feature_folder": str(tmp_path / "images"), "label_folder": str(tmp_path / "c.json"), "folder_pct_val": 0}
    return {**folders, "mask_source": "coco"}


def run_of(tmp_path: Path, *given: Any, **more: Any) -> Run:
    return run_job(make_job(tmp_path / "jobs", "image-segmentation", coco_set(tmp_path, *given, **more)))


def test_coco_masks_keep_the_good_polygons(tmp_path: Path) -> None:
    objects = [
        {"image_id": 0, "category_id": 1, "segmentation": [[1, 1, 2, 2], GOOD]},
        {"image_id": 1, "category_id": 1, "segmentation": [GOOD]},
    ]
    run = run_of(tmp_path, objects, [{"id": 1, "name": "x"}])
    assert len(run.reader()) == 2
    assert (label(run, 0) == label(run, 1)).all()
    assert label(run).sum() == 100  # 4 to 14 in both directions
    (problem,) = run.problems()
    assert Path(problem["entry"]).name == "0.png"
    assert "a polygon has 4 numbers" in problem["reason"]


def test_coco_crowds_may_be_said_by_texts(tmp_path: Path) -> None:
    objects = [
        {"image_id": number, "category_id": 1, "segmentation": [GOOD], "iscrowd": crowd} for number, crowd in enumerate("01")
    ]
    run = run_of(tmp_path, objects, [{"id": 1, "name": "x"}])
    assert [np.unique(label(run, row)).tolist() for row in (0, 1)] == [[0, 1], [0, 255]]


def test_coco_categories_of_one_name_are_one_class(tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "x"}, {"id": 2, "name": "x"}, {"id": 3, "name": "background"}]
    objects = [
        {"image_id": number, "category_id": number + 1, "segmentation": [[value + number for value in GOOD]]} for number in (0, 1)
    ]
    run = run_of(tmp_path, objects, categories)
    assert run.info.class_labels == ("background", "x")
    assert [int(label(run, row).sum()) for row in (0, 1)] == [100, 100]
    assert any("both" in p["reason"] or "all called 'x'" in p["reason"] for p in run.problems())


def polygons() -> st.SearchStrategy[list[list[float]]]:
    point = st.tuples(st.integers(0, 2 * SIZE[0]), st.integers(0, 2 * SIZE[1])).map(lambda p: (p[0] / 2, p[1] / 2))
    outline = st.lists(point, min_size=3, max_size=6).map(lambda points: [value for pair in points for value in pair])
    return st.lists(outline, min_size=1, max_size=2)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
@settings(derandomize=True, deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes=st.lists(st.tuples(st.integers(1, 3), st.booleans(), polygons()), min_size=1, max_size=4))
def test_coco_masks_as_pycocotools_draws_them(shapes: list[tuple[int, bool, list[list[float]]]], tmp_path: Path) -> None:
    objects = [{"image_id": 0, "category_id": c, "iscrowd": int(crowd), "segmentation": s} for c, crowd, s in shapes]
    values = coco_set(tmp_path, objects, [{"id": number, "name": f"c{number}"} for number in (1, 2, 3)], pictures=1)
    source = DataIngestion(**values, allowed_roots=["/"], seed=0)
    source.job_folder = tmp_path
    source.prepare(lambda problem: None)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(str(tmp_path / "c.json"))
    drawn = [(reference.annToMask(one).astype(bool), one) for one in reference.loadAnns(reference.getAnnIds())]
    expected = np.zeros(SIZE[::-1], np.uint8)
    for mask, one in sorted(drawn, key=lambda item: -item[0].sum()):
        expected[mask] = 255 if one["iscrowd"] else one["category_id"]
    (entry,) = source.itemize_entries("train_db")
    assert (source.encode_entry(entry)[1][0] == expected).all()


@pytest.mark.parametrize("orientation", [6, 8])
def test_coco_masks_of_a_turned_picture(tmp_path: Path, orientation: int) -> None:
    values = coco_set(tmp_path, [{"image_id": 0, "category_id": 1, "segmentation": [GOOD]}], [{"id": 1, "name": "x"}], pictures=1)
    exif = Image.Exif()
    exif[274] = orientation
    Image.open(tmp_path / "images/0.png").save(tmp_path / "images/0.png", exif=exif)
    run = run_job(make_job(tmp_path / "jobs", "image-segmentation", values))
    stored = np.zeros(SIZE[::-1], np.uint8)
    stored[4:14, 4:14] = 1
    assert (label(run) == np.rot90(stored, -1 if orientation == 6 else 1)).all()


def test_coco_categories_that_do_not_count_or_are_the_background(tmp_path: Path) -> None:
    names = [{"id": number, "name": name} for number, name in enumerate(("Background", "Void", "cat"), start=1)]
    objects = [
        {"image_id": 0, "category_id": 2, "segmentation": [GOOD]},
        {"image_id": 1, "category_id": 1, "segmentation": [GOOD]},
    ]
    run = run_of(tmp_path, [*objects, {"image_id": 1, "category_id": 3, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}], names)
    assert run.info.class_labels == ("background", "cat")
    assert [np.unique(label(run, index)).tolist() for index in range(2)] == [[0, 255], [0, 1]]
