"""Mean average precision of 1,000 pictures with 30 objects and 60 detections each: our metric and pycocotools' own time.

    python benchmarks/map_speed.py [--pictures 1000] [--rounds 3]

pycocotools is timed from its finished input (`evaluate` and `accumulate`), ours from the arrays that a network gives to the
numbers of the page, precision and recall included. In turns; printed are medians. Promised: at most twice pycocotools' time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from digits.metrics.average_precision import BoxPrecision, coco_detections, coco_truth
from digits.storage.records.boxes import coordinates
from digits.storage.records.reader import BOX_DTYPE

LABELS = tuple("abcdefgh")
OBJECTS = 30
PROMISED = 2.0
Pictures = list[tuple[np.ndarray, np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    pictures = [picture(rng) for _ in range(options.pictures)]
    rounds = [(ours(pictures), theirs(pictures), theirs(pictures, only_asked=True)) for _ in range(options.rounds)]
    own, whole, limited = (statistics.median(seconds for (_, seconds) in column) for column in zip(*rounds, strict=True))
    for name, other in (("with its defaults", whole), ("for one range of areas and one number of detections, as ours", limited)):
        print(f"digits {own:.2f} s, pycocotools {name} {other:.2f} s: {own / other:.2f} (promised at most {PROMISED})")
    print("mAP@[.5:.95]", *[f"{value:.6f}" for value, _ in rounds[0]])


def picture(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Detections (60, 6) around the objects, and those (structured boxes)."""
    corner, size = rng.uniform(0, 500, (OBJECTS, 2)), rng.uniform(10, 80, (OBJECTS, 2))
    truth = np.zeros(OBJECTS, BOX_DTYPE)
    for i, name in enumerate(("x0", "y0", "x1", "y1")):
        truth[name] = np.concatenate([corner, corner + size], axis=1)[:, i]
    truth["class"] = rng.integers(0, len(LABELS), OBJECTS)
    places = np.repeat(coordinates(truth), 2, axis=0) + rng.normal(0, 3, (2 * OBJECTS, 4))
    return np.column_stack([places, rng.random(2 * OBJECTS), np.repeat(truth["class"], 2)]), truth


def ours(pictures: Pictures) -> tuple[float, float]:
    start = time.perf_counter()
    metric = BoxPrecision(LABELS)
    for found, truth in pictures:
        metric.update([found], [truth])
    value = metric.compute()["map"]
    return value, time.perf_counter() - start


def theirs(pictures: Pictures, *, only_asked: bool = False) -> tuple[float, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_truth([boxes for _, boxes in pictures], LABELS)
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(coco_detections([found for found, _ in pictures])), "bbox")
        if only_asked:
            judge.params.areaRng, judge.params.areaRngLbl, judge.params.maxDets = [[0, 1e10]], ["all"], [100]
        start = time.perf_counter()
        judge.evaluate()
        judge.accumulate()
        seconds = time.perf_counter() - start
    return float(judge.eval["precision"][:, :, :, 0, -1].mean()), seconds


if __name__ == "__main__":
    main()
