"""The kinds of errors of boxes, by cases made by hand, and average precision as COCO has it."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from digits.metrics.analysis.boxes import BoxAnalysis
from digits.metrics.average_precision import BoxPrecision, coco_detections, coco_truth, in_order
from digits.metrics.box_errors import errors_of
from digits.storage.records.boxes import BOX_CROWD, BOX_DTYPE

CAT, DOG = 0, 1
HERE, THERE, HALF, NEAR, NOWHERE = (0, 0, 10, 10), (100, 0, 110, 10), (0, 0, 10, 20), (0, 4, 10, 14), (300, 300, 310, 310)


def boxes(*rows: tuple) -> np.ndarray:
    return np.array([(*place, label, flags[0] if flags else 0) for place, label, *flags in rows], BOX_DTYPE)


def found(*rows: tuple) -> np.ndarray:
    return np.array([(*place, score, label) for place, label, score in rows], float).reshape(-1, 6)


def counts(*pictures: tuple[np.ndarray, np.ndarray]) -> dict[str, int]:
    return {row["kind"]: row["count"] for row in errors_of(pictures, 2)["kinds"] if row["count"]}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ([(HERE, CAT, 0.9)], {}),
        ([(HERE, DOG, 0.9)], {"class": 1}),  # the object is not missed: the error would find it
        ([(NEAR, CAT, 0.9)], {"location": 1}),  # IoU 6 / 14
        ([(NEAR, DOG, 0.9)], {"both": 1, "missed": 1}),
        ([(HERE, CAT, 0.9), (HERE, CAT, 0.8)], {"duplicate": 1}),
        ([(HERE, CAT, 0.9), (NOWHERE, CAT, 0.8)], {"background": 1}),
        ([], {"missed": 1}),
        ([(HERE, CAT, 0.9), (NEAR, CAT, 0.8)], {"location": 1}),
    ],
)
def test_each_kind_of_error(made: list[tuple], expected: dict[str, int]) -> None:
    assert counts((found(*made), boxes((HERE, CAT)))) == expected


def test_where_there_is_no_object_all_is_background() -> None:
    assert counts((found((HERE, CAT, 0.9)), boxes()), (found((HERE, CAT, 0.9)), boxes((HERE, CAT)))) == {"background": 1}


def test_detections_of_what_does_not_count_are_no_errors() -> None:
    assert counts((found((HERE, CAT, 0.9)), boxes((HERE, CAT, BOX_CROWD)))) == {}


def test_pictures_of_more_than_a_hundred_objects_are_counted_whole() -> None:
    places = [(20 * n, 0, 20 * n + 8, 8) for n in range(300)]
    metric = BoxPrecision(["cat"])
    metric.update(
        [found(*((place, CAT, 0.9 - n / 1000) for n, place in enumerate(places)))], [boxes(*((place, CAT) for place in places))]
    )
    told = errors_of(metric.pictures, 1)
    assert told["base"] == pytest.approx(metric.compute()["map50"]) == pytest.approx(1.0)
    assert [row["count"] for row in told["kinds"]] == [0] * 6
    curve = BoxAnalysis(["cat"])._curves(metric)["classes"][0]
    assert (curve["ap"], curve["points"][-1][1:]) == (pytest.approx(1.0), [300, 0])


def test_the_gain_is_what_average_precision_would_be() -> None:
    """Two cats: one is found, of the other the class is wrong, which alone costs half."""
    result = errors_of([(found((HERE, CAT, 0.9), (THERE, DOG, 0.8)), boxes((HERE, CAT), (THERE, CAT)))], 2)
    gains = {row["kind"]: row["gain"] for row in result["kinds"]}
    assert result["base"] == pytest.approx(51 / 101)  # recalls 0 to .5
    assert gains["class"] == pytest.approx(1 - 51 / 101)
    assert gains["missed"] == 0
    assert result["false_negatives"] == pytest.approx(1 - 51 / 101)


def test_an_object_is_mended_once_by_the_best_of_its_errors() -> None:
    """Two boxes of the wrong class on one object: the better becomes right, the other goes."""
    result = errors_of([(found((HERE, DOG, 0.9), (HERE, DOG, 0.8)), boxes((HERE, CAT)))], 2)
    assert {row["kind"]: (row["count"], row["gain"]) for row in result["kinds"]}["class"] == (2, 1.0)


def test_the_base_is_coco_at_half() -> None:
    rng, pictures = np.random.default_rng(0), []
    for _ in range(30):
        corners, labels = rng.integers(0, 60, (4, 2)).tolist(), rng.integers(0, 2, 4).tolist()
        truth = boxes(*(((x, y, x + 30, y + 30), k) for (x, y), k in zip(corners, labels, strict=True)))
        moved = [(x + rng.integers(-9, 9), y + rng.integers(-9, 9)) for x, y in corners]
        rows = [((x, y, x + 30, y + 30), int(rng.integers(0, 2)), float(rng.random())) for x, y in moved]
        pictures.append((found(*rows), truth))
    metric = BoxPrecision(("cat", "dog"))
    metric.update([made for made, _ in pictures], [truth for _, truth in pictures])
    assert errors_of(pictures, 2)["base"] == pytest.approx(metric.compute()["map50"], abs=1e-9)
    sizes = {row["size"]: row for row in metric.by_size()}
    assert sizes["small"]["objects"] == 120
    assert sizes["small"]["map"] == pytest.approx(metric.compute()["map"])
    assert sizes["large"]["map"] is None


def test_average_precision_by_size_is_cocos() -> None:
    rng, pictures = np.random.default_rng(1), []
    for _ in range(25):
        corners, sides = rng.integers(0, 200, (3, 2)), rng.choice([12, 25, 60, 90, 150], 3)
        places = [(x, y, x + side, y + side) for (x, y), side in zip(corners.tolist(), sides.tolist(), strict=True)]
        moved = [tuple(np.array(place) + rng.integers(-6, 7, 4)) for place in places]
        rows = [(place, int(rng.integers(0, 2)), float(rng.random())) for place in moved]
        pictures.append((found(*rows), boxes(*((place, int(k)) for place, k in zip(places, rng.integers(0, 2, 3), strict=True)))))
    metric = BoxPrecision(("cat", "dog"))
    metric.update([made for made, _ in pictures], [truth for _, truth in pictures])
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_truth([real for _, real in in_order(pictures)], ("cat", "dog"))
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(coco_detections([made for made, _ in in_order(pictures)])), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert [row["map"] for row in metric.by_size()] == pytest.approx(judge.stats[3:6].tolist())
