"""Looking into records: pages by class, pictures of any depth, sizes on a grid."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.errors import BadRequest, NotFound
from digits.images.addresses import encode_picture, to_uint8
from digits.service import Service
from digits.service.datasets.classification import create_classification_dataset
from digits.service.datasets.contents import NotReady
from digits.service.datasets.explore import (
    GalleryQuery,
    gallery,
    page_window,
    picture,
    problems,
    size_map,
    statistics,
)
from digits.storage.jobs.store import Job
from tests.service.finished_dataset import CLASSES, class_folder, finished_dataset, gradient


@pytest.fixture
def job(service: Service, tmp_path: Path) -> Job:
    labels = np.arange(30) % 3
    features = np.stack([gradient(int(label), at).transpose(2, 0, 1) for at, label in enumerate(labels)])
    splits = {"train_db": features, "val_db": features[:5]}
    problem = {"kind": "skipped", "stage": "train_db", "entry": "/pictures/broken.png", "reason": "The file is empty."}
    folder = class_folder(tmp_path / "pictures", 2)
    return finished_dataset(service, folder, splits, {"train_db": labels, "val_db": labels[:5]}, problems=(problem,) * 3)


def test_a_page_of_all_classes(service: Service, job: Job) -> None:
    page = gallery(service, job, GalleryQuery("train", page=1, size=25))
    assert (page["total"], page["pages"], [r["index"] for r in page["records"]]) == (30, 2, list(range(25, 30)))
    first = page["records"][0]
    assert (first["label"], first["label_name"], first["source"]) == (1, CLASSES[1], "/pictures/25.png")
    assert (first["shape"], first["original_size"], first["group"]) == ([3, 10, 10], [500, 375], "g1")
    assert [row["count"] for row in page["labels"]] == [10, 10, 10]
    assert page["splits"] == ["train", "val"]


def test_a_page_of_one_class(service: Service, job: Job) -> None:
    page = gallery(service, job, GalleryQuery("train", page=1, size=4, label=2))
    assert [r["index"] for r in page["records"]] == [14, 17, 20, 23]
    assert (page["total"], page["pages"]) == (10, 3)


def test_a_page_beyond_the_last_is_empty(service: Service, job: Job) -> None:
    assert gallery(service, job, GalleryQuery("val", page=9))["records"] == []


def test_what_is_not_there(service: Service, job: Job, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="train, val"):
        gallery(service, job, GalleryQuery("test"))
    with pytest.raises(BadRequest, match="classes 0 to 2"):
        gallery(service, job, GalleryQuery("train", label=3))
    with pytest.raises(NotFound, match="it has 30"):
        picture(service, job, "train", 30, thumb=False)
    waiting = create_classification_dataset(service, {"dataset_name": "new", "folder_train": str(tmp_path / "pictures")})
    with pytest.raises(NotReady, match="status should be"):
        gallery(service, waiting, GalleryQuery("train"))


def test_a_picture_is_what_was_stored(service: Service, job: Job) -> None:
    data, kind = picture(service, job, "train", 4, thumb=False)
    assert kind == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), gradient(1, 4))


def test_statistics_and_problems(service: Service, job: Job) -> None:
    figures = statistics(service, job)
    assert figures["total"] == 35
    assert figures["splits"]["val"]["class_counts"] == [2, 2, 1]
    assert figures["splits"]["train"]["percent"] == pytest.approx(100 * 30 / 35, abs=0.01)
    found = problems(service.folder(job.id), offset=1, limit=1)
    assert (found["total"], len(found["problems"]), found["problems"][0]["reason"]) == (3, 1, "The file is empty.")


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((1, 4, 6), np.uint16, (4, 6)),
        ((2, 4, 6), np.uint8, (4, 6)),
        ((3, 4, 6), np.float32, (4, 6, 3)),
        ((5, 4, 6), np.int16, (4, 6, 3)),
    ],
)
def test_any_array_can_be_seen(shape: tuple[int, ...], dtype: type, expected: tuple[int, ...]) -> None:
    feature = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    shown = to_uint8(feature)
    assert shown.shape == expected
    assert shown.dtype == np.uint8
    if dtype is not np.uint8:
        assert (shown.min(), shown.max()) == (0, 255)


def test_stretching_follows_the_percentiles_and_forgives_odd_values() -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    values[-1], values[0] = np.nan, np.inf
    shown = to_uint8(values.reshape(1, 1, -1))
    assert shown[0, 500] == pytest.approx(127.5, abs=1.5)
    assert (shown[0, -1], shown[0, 0]) == (0, 0)
    assert not to_uint8(np.full((1, 3, 3), np.nan)).any()
    assert not to_uint8(np.full((1, 3, 3), 7.0)).any()


def test_thumbnails_keep_the_proportions() -> None:
    data, kind = encode_picture(np.zeros((3, 300, 600), np.uint8), side=192)
    assert (kind, Image.open(io.BytesIO(data)).size) == ("image/jpeg", (192, 96))


@pytest.mark.parametrize(
    ("page", "pages", "window"),
    [(0, 3, [0, 1, 2]), (10, 400, list(range(5, 16))), (9, 10, list(range(4, 10))), (99, 3, [0, 1, 2])],
)
def test_five_pages_to_either_side(page: int, pages: int, window: list[int]) -> None:
    assert page_window(page, pages) == window


def test_sizes_on_a_grid_keep_the_count() -> None:
    sizes = ((500, 375, 7), (640, 480, 3), (4000, 3000, 1))
    grid = size_map(sizes)
    assert grid is not None
    assert sum(map(sum, grid["z"])) == 11
    assert grid["z"][-1][-1] == 1
    assert max(len(grid["x"]), len(grid["y"])) <= 32
    assert size_map(((28, 28, 60000),)) is None
