"""How well boxes are found: COCO's average precision, and precision and recall at one threshold.

Average precision comes from faster-coco-eval (pycocotools' algorithm in C++). Crowds and ignored regions match any number of
detections, difficult and cut objects one each; neither they nor those detections count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from digits.metrics.base import MAX_CLASSES_SHOWN, Metric, PictureColumns, mean_known
from digits.metrics.box_matches import REGION, UNASKED, counting, matched, most_detections
from digits.metrics.box_overlap import covered, iou
from digits.storage.records.boxes import BOX_IGNORED, coordinates

SCORE = 0.5  # the threshold of `precision` and `recall` unless another is given
IOU = 0.5
NO_AREA = -1.0  # outside COCO's range of areas, so the object is matched but does not count
ANY_AREA = [[0.0, 1e10]]
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # areas in pixels, as COCO has them


class BoxPrecision(Metric):
    """`map` (mean over classes and IoU .5, .55, … .95), `map50`, `map75`, `ap/<label>`, `ap50/<label>`; `precision` and
    `recall` of detections with a score of at least `threshold` at IoU 0.5, over all classes. NaN where there is nothing to
    find. A detection with a number that is none finds nothing: it is wrong at its score, or at every one where that is no
    number.

    Detections of classes `missing` (numbers) do not count: nothing is known of their objects.

    Detections are kept until the end, for average precision is no sum: `parts` of several processes are joined by `join`.
    """

    def __init__(self, class_labels: Sequence[str], threshold: float = SCORE, missing: Sequence[int] = ()) -> None:
        self.labels = list(class_labels)
        self.missing = list(missing)
        self.threshold = threshold
        self.totals = np.zeros(1)
        self.pictures: list[tuple[np.ndarray, np.ndarray]] = []

    def update(self, outputs: Any, labels: Any) -> None:
        """Add pictures: `outputs` detections (n, 6) of each (left, top, right, bottom, score, class; rows of score 0 do not
        count), `labels` its structured boxes."""
        for found, truth in zip(outputs, labels, strict=True):
            found = never_right(np.asarray(found, np.float64).reshape(-1, 6))
            counted = (found[:, 4] > 0) & ~np.isin(found[:, 5], self.missing)
            self.pictures.append((found[counted], np.asarray(truth)))

    def parts(self) -> list[Any] | None:
        """What `join` takes: for each picture detections float64 (n, 6) and boxes (m,) of `BOX_DTYPE`."""
        return self.pictures

    def join(self, parts: Sequence[list[Any]]) -> None:
        """Take the pictures of all processes: for each process what its `parts` gave, detections (n, 6) and boxes (m,)."""
        self.pictures = [picture for part in parts for picture in part]

    def of_pictures(self, chosen: np.ndarray) -> PictureColumns:
        """Of each detection that counts `scores`, `classes`, `right` and `void` (bits, see `box_matches.matched`); `objects`,
        the classes of what must be found."""
        most = most_detections(self.pictures)
        found: dict[str, list[np.ndarray]] = {name: [] for name in ("scores", "classes", "right", "void", "objects")}
        for detections, boxes in (self.pictures[n] for n in chosen):
            classes = np.unique(detections[:, 5]).astype(np.int32)
            parts = [matched(detections, boxes, int(k), most) for k in classes]
            for name, column in zip(("scores", "right", "void"), range(3), strict=True):
                kind = np.float32 if name == "scores" else np.int32
                found[name].append(np.concatenate([np.zeros(0), *(part[column] for part in parts)]).astype(kind))
            found["classes"].append(np.repeat(classes, [len(part[0]) for part in parts]).astype(np.int32))
            found["objects"].append(counting(boxes).astype(np.int32))
        return dict(found)

    def compute(self) -> dict[str, float]:
        precision = self._coco()  # (thresholds of IoU, classes), NaN for classes without objects
        values = {"map": mean_known(precision), "map50": mean_known(precision[0]), "map75": mean_known(precision[5])}
        values |= self._at_threshold()
        if len(self.labels) <= MAX_CLASSES_SHOWN:
            for position, label in enumerate(self.labels):
                values[f"ap/{label}"] = mean_known(precision[:, position])
                values[f"ap50/{label}"] = float(precision[0, position])
        return values

    def by_size(self) -> list[dict[str, Any]]:
        """COCO's areas, in the pixels that boxes are in: `size`, `least` and `most` area, the `objects` that must be found, and
        `map` and `map50` of these alone (NaN where there are none)."""
        objects = [coordinates(boxes)[boxes["flags"] & (REGION | UNASKED) == 0].astype(np.float64) for _, boxes in self.pictures]
        areas = np.concatenate([np.zeros(0), *((one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in objects)])
        rows: list[dict[str, Any]] = []
        ranges = [(least, float(np.nextafter(most, 0))) for least, most in SIZES.values()]  # COCO takes both ends
        for (name, (least, most)), precision in zip(SIZES.items(), self._coco(ranges), strict=True):
            count = int(((areas >= least) & (areas < most)).sum())
            found = {"map": mean_known(precision), "map50": mean_known(precision[0])} if count else {"map": None, "map50": None}
            rows.append(
                {"size": name, "least": least, "most": most if most < ANY_AREA[0][1] else None, "objects": count, **found}
            )
        return rows

    def _coco(self, ranges: Sequence[Sequence[float]] = ANY_AREA) -> np.ndarray:
        """Average precisions (thresholds of IoU, classes) of objects whose area is in a range, of several (ranges, …, …); NaN
        for classes without any."""
        from faster_coco_eval.core.coco import COCO  # only where boxes are judged
        from faster_coco_eval.core.faster_eval_api import COCOeval_faster

        pictures = in_order(self.pictures)
        truth = COCO()
        truth.dataset = coco_truth([boxes for _, boxes in pictures], self.labels)
        truth.createIndex()
        rows = coco_detections([found for found, _ in pictures])
        if not len(rows):
            has = np.array([any(_counts(boxes, k).any() for _, boxes in self.pictures) for k in range(len(self.labels))])
            nothing = np.tile(np.where(has, 0.0, np.nan), (len(ranges), 10, 1))
            return nothing if len(ranges) > 1 else nothing[0]
        judge = COCOeval_faster(truth, truth.loadRes(rows), "bbox", print_function=_say_nothing)
        judge.params.areaRng = [list(one) for one in ranges]
        judge.params.areaRngLbl = [str(place) for place in range(len(ranges))]
        judge.params.maxDets = [most_detections(self.pictures)]
        judge.evaluate()
        judge.accumulate()
        precision = np.asarray(judge.eval["precision"])[..., 0].astype(np.float64)  # (IoU, recall, class, range); -1: nothing
        known = (precision > -1).any(axis=(0, 1))
        found = np.moveaxis(np.where(known, precision.mean(axis=1), np.nan), -1, 0)
        return found if len(ranges) > 1 else found[0]

    def _at_threshold(self) -> dict[str, float]:
        hits = misses = total = 0
        for found, boxes in self.pictures:
            kept = found[found[:, 4] >= self.threshold]
            for k in range(len(self.labels)):
                counted = _counts(boxes, k)
                one_hits, one_misses = matches(kept[kept[:, 5] == k], boxes, k)
                hits, misses, total = hits + one_hits, misses + one_misses, total + int(counted.sum())
        found_any = hits + misses
        return {
            "precision": hits / found_any if found_any else float("nan"),
            "recall": hits / total if total else float("nan"),
        }


def never_right(found: np.ndarray) -> np.ndarray:
    """Detections (n, 6) in which those that hold NaN or infinity are boxes without an area, so that they match nothing. A score
    that is no number is 1, a class that is none 0."""
    if np.isfinite(found).all():
        return found
    bad = ~np.isfinite(found).all(axis=1)
    numbers = np.where(np.isfinite(found), found, (0, 0, 0, 0, 1, 0))
    return np.where(bad[:, None], numbers * (0, 0, 0, 0, 1, 1), numbers)


def in_order(pictures: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures, detections (n, 6) and boxes (m,) each, in an order of their own: COCO ranks detections of equal scores as their
    pictures come, and the order in which processes or batches brought them must not count."""
    return sorted(pictures, key=lambda picture: (picture[0].tobytes(), picture[1].tobytes()))


def matches(found: np.ndarray, boxes: np.ndarray, k: int) -> tuple[int, int]:
    """How many detections (n, 6) of class `k` in a picture with `boxes` (m,) are right and wrong at IoU 0.5, each object
    matched once, the best detection first; detections on what does not count are neither."""
    found = found[np.argsort(-found[:, 4], kind="stable")]
    of_class = boxes["class"] == k
    regions = (boxes["flags"] & REGION != 0) & (of_class | (boxes["flags"] & BOX_IGNORED != 0))
    single = of_class & (boxes["flags"] & REGION == 0)
    overlaps = iou(found[:, :4], coordinates(boxes[single]))  # (n, m)
    in_regions = covered(found[:, :4], coordinates(boxes[regions])).max(axis=1, initial=0)
    counts = np.asarray(boxes[single]["flags"] & UNASKED == 0)
    hits = misses = 0
    free = np.ones(len(counts), bool)
    for row, in_region in zip(overlaps, in_regions.tolist(), strict=True):
        best = _best(row, free, counts)
        if best is None or (not counts[best] and in_region > row[best]):
            misses += int(in_region < IOU)
        else:
            free[best] = False
            hits += int(counts[best])
    return hits, misses


def _best(row: np.ndarray, free: np.ndarray, counts: np.ndarray) -> int | None:
    """Which object a detection that overlaps by `row` (m,) is matched with: the nearest free one, those that count first."""
    fitting = free & (row >= IOU)
    candidates = fitting & counts if (fitting & counts).any() else fitting
    return int(np.where(candidates, row, -1).argmax()) if candidates.any() else None


def coco_truth(boxes: Sequence[np.ndarray], class_labels: Sequence[str]) -> dict[str, Any]:
    """A COCO data set of the boxes (n,) of `BOX_DTYPE` of pictures 1, 2, …; categories count from 1 in the order of the
    labels."""
    annotations = [
        {"id": number, **row}
        for number, row in enumerate(
            (row for picture, one in enumerate(boxes, 1) for row in coco_annotations(picture, one, len(class_labels))), 1
        )
    ]
    return {
        "info": {},
        "images": [{"id": picture} for picture in range(1, len(boxes) + 1)],
        "categories": [{"id": k, "name": label} for k, label in enumerate(class_labels, 1)],
        "annotations": annotations,
    }


def coco_detections(found: Sequence[np.ndarray]) -> np.ndarray:
    """Detections (n, 6) of each picture as `COCO.loadRes` takes them: float64 (T, 7) of picture, x, y, width, height, score,
    category."""
    pictures = np.repeat(np.arange(1, len(found) + 1), [len(one) for one in found])
    rows = np.concatenate([*found, np.zeros((0, 6))])  # (T, 6)
    sizes = rows[:, 2:4] - rows[:, :2]
    return np.column_stack([pictures, rows[:, :2], sizes, rows[:, 4], rows[:, 5] + 1])


def coco_annotations(picture: Any, boxes: np.ndarray, classes: int) -> Iterator[dict[str, Any]]:
    """COCO's annotations, but for an id, of the boxes (n,) of a picture; classes count from 1, and a region to be ignored is
    one of every class."""
    for place, box in zip(coordinates(boxes).astype(float).tolist(), boxes, strict=True):
        flags = int(box["flags"])
        width, height = place[2] - place[0], place[3] - place[1]
        area = NO_AREA if flags & UNASKED and not flags & REGION else width * height
        row = {"image_id": picture, "bbox": [place[0], place[1], width, height], "area": area}
        row["iscrowd"] = int(flags & REGION != 0)
        categories = range(1, classes + 1) if flags & BOX_IGNORED else [int(box["class"]) + 1]
        yield from ({**row, "category_id": category} for category in categories)


def _counts(boxes: np.ndarray, k: int) -> np.ndarray:
    """Which of the boxes (n,) are objects of class `k` that must be found: bool (n,)."""
    return (boxes["class"] == k) & (boxes["flags"] & (REGION | UNASKED) == 0)


def _say_nothing(*_: Any) -> None:
    """The evaluation prints its progress."""
