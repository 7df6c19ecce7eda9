"""Average precision against torchmetrics and pycocotools, precision and recall against COCO's own matches."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision

from digits.metrics.average_precision import BoxPrecision, coco_detections, coco_truth
from digits.storage.records.boxes import CUT, coordinates
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_DTYPE, BOX_IGNORED

LABELS = ("a", "b", "c")


def random_picture(rng: np.random.Generator, flags: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Detections near the objects, some of another class, some nowhere; objects with random flags."""
    count = int(rng.integers(0, 12))
    corner, size = rng.integers(0, 80, (count, 2)), rng.integers(6, 30, (count, 2))
    truth = np.zeros(count, BOX_DTYPE)
    places = np.concatenate([corner, corner + size], axis=1)
    for i, name in enumerate(("x0", "y0", "x1", "y1")):
        truth[name] = places[:, i]
    truth["class"], truth["flags"] = rng.integers(0, 3, count), rng.choice(flags, count)
    near = np.repeat(coordinates(truth), 2, axis=0) + rng.integers(-3, 4, (2 * count, 4))
    classes = np.where(rng.random(2 * count) < 0.8, np.repeat(truth["class"], 2), rng.integers(0, 3, 2 * count))
    lost = np.sort(rng.integers(0, 100, (4, 2, 2)), axis=1).reshape(4, 4)
    places, classes = np.concatenate([near, lost]), np.concatenate([classes, rng.integers(0, 3, 4)])
    scores = np.round(rng.uniform(0.01, 1, len(places)), 6)
    return np.column_stack([places, scores, classes]), truth


def pictures(seed: int, flags: tuple[int, ...] = (0,), count: int = 12) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [random_picture(rng, flags) for _ in range(count)]


def measured(data: list[tuple[np.ndarray, np.ndarray]], **options: float) -> dict[str, float]:
    metric = BoxPrecision(LABELS, **options)
    for found, truth in data:
        metric.update([found], [truth])
    return metric.compute()


def judged(data: list[tuple[np.ndarray, np.ndarray]]) -> COCOeval:
    """pycocotools' own evaluation of the same pictures."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_truth([t for _, t in data], LABELS)
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(coco_detections([f for f, _ in data])), "bbox")
        judge.evaluate()
        judge.accumulate()
    return judge


def test_equals_torchmetrics() -> None:
    data = pictures(0)
    found = measured(data)
    exact = {"iou_thresholds": np.linspace(0.5, 0.95, 10).tolist(), "rec_thresholds": np.linspace(0, 1, 101).tolist()}
    metric = MeanAveragePrecision(class_metrics=True, backend="faster_coco_eval", **exact)  # its own are rounded to float32
    for detections, truth in data:
        boxes = torch.from_numpy(detections)
        wanted = {"boxes": torch.from_numpy(coordinates(truth)), "labels": torch.from_numpy(truth["class"].astype(np.int64))}
        metric.update([{"boxes": boxes[:, :4], "scores": boxes[:, 4], "labels": boxes[:, 5].long()}], [wanted])
    reference = metric.compute()
    for own, theirs in (("map", "map"), ("map50", "map_50"), ("map75", "map_75")):
        assert found[own] == pytest.approx(float(reference[theirs]), abs=1e-6)
    assert [found[f"ap/{label}"] for label in LABELS] == pytest.approx(reference["map_per_class"].tolist(), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_flags_count_as_pycocotools_counts_them(seed: int) -> None:
    data = pictures(seed, (0, 0, 0, BOX_DIFFICULT, BOX_CROWD, BOX_IGNORED, CUT))
    precision = judged(data).eval["precision"][:, :, :, 0, -1]
    found = measured(data)
    assert found["map"] == pytest.approx(precision.mean(), abs=1e-9)
    assert found["map50"] == pytest.approx(precision[0].mean(), abs=1e-9)
    assert [found[f"ap50/{label}"] for label in LABELS] == pytest.approx(precision[0].mean(axis=0).tolist(), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_precision_and_recall_are_those_of_coco_matches(seed: int) -> None:
    threshold = 0.4
    data = pictures(seed, (0, 0, 0, BOX_DIFFICULT, BOX_CROWD, BOX_IGNORED))
    kept = [(found[found[:, 4] >= threshold], truth) for found, truth in data]
    rows = [image for image in judged(kept).evalImgs if image is not None and image["aRng"] == [0, 1e10]]
    counted = [~image["dtIgnore"][0] for image in rows]
    right = sum(int(((image["dtMatches"][0] > 0) & c).sum()) for image, c in zip(rows, counted, strict=True))
    objects = sum(int((np.asarray(image["gtIgnore"]) == 0).sum()) for image in rows)
    found = measured(data, threshold=threshold)
    assert found["precision"] == pytest.approx(right / sum(int(c.sum()) for c in counted))
    assert found["recall"] == pytest.approx(right / objects)


def test_nothing_found_is_0_and_nothing_to_find_is_not_a_number() -> None:
    data = [(np.zeros((0, 6)), truth) for _, truth in pictures(1)]
    found = measured(data)
    assert found["map"] == found["recall"] == 0
    assert np.isnan(found["precision"])
    empty = measured([(np.zeros((0, 6)), np.zeros(0, BOX_DTYPE))])
    assert all(np.isnan(value) for value in empty.values())


def test_more_than_a_hundred_objects_of_a_picture_count() -> None:
    truth = np.zeros(150, BOX_DTYPE)
    truth["x0"] = np.arange(150) * 10
    truth["x1"], truth["y1"] = truth["x0"] + 8, 8
    found = np.column_stack([coordinates(truth), np.linspace(0.5, 1, 150), truth["class"]])
    assert measured([(found, truth)])["map"] == pytest.approx(1)


def test_an_object_on_the_border_of_two_sizes_is_of_the_larger_one_alone() -> None:
    truth = np.zeros(2, BOX_DTYPE)
    truth["x0"], truth["x1"], truth["y1"] = [0, 100], [10, 132], [10, 32]
    metric = BoxPrecision(["cat"])
    metric.update([np.array([[0, 0, 10, 10, 0.9, 0]])], [truth])
    small, medium, large = metric.by_size()
    assert (small["objects"], small["map50"]) == (1, pytest.approx(1.0))
    assert (medium["objects"], medium["map50"]) == (1, 0.0)
    assert (large["objects"], large["map50"]) == (0, None)
