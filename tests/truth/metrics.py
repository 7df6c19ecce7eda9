"""Metrics with the library that says what they are: a new one takes part by a row in `COMPARED`.

Samples are drawn with what hurts: empty and single samples, one class, ties, saturated scores, void, crowds, several columns,
values from 1e-30 to 1e30. A reference that cannot give a value (nothing to measure) says NaN.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy.special import log_softmax
from sklearn import metrics as sk
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from digits.domain.metrics import LOSS
from digits.engines.pytorch.predictor import class_scores
from digits.metrics.accuracy import Accuracy
from digits.metrics.average_precision import BoxPrecision, coco_detections, coco_truth, in_order
from digits.metrics.base import Metric
from digits.metrics.classification_report import ClassificationReport
from digits.metrics.multi_label import LabelPrecision
from digits.metrics.regression import Errors, PictureQuality
from digits.metrics.segmentation import Overlap
from digits.storage.records.boxes import CUT
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_DTYPE, BOX_IGNORED

NAMES = ("a", "b", "c", "d", "e", "f", "g", "h")
SCORES = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 30.0, -30.0, 200.0, -200.0, 1e30, -1e30, 1e-30]) | st.floats(-9, 9, width=32)
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 1000.0, 1e30, -1e30, 1e-30, 1e8, 100000008.0]) | st.floats(-9, 9, width=32)
CHANCES = st.sampled_from([0.0, 1.0, 0.5, 0.25, 1e-30, 1e-7, 0.9999999]) | st.floats(0, 1, width=32)
FLAGS = st.sampled_from([0, 0, 0, 0, BOX_DIFFICULT, BOX_CROWD, BOX_IGNORED, CUT])


@dataclass(frozen=True)
class Samples:
    """Outputs and labels of N samples as a metric takes them, (N, …) each or lists, of `classes` classes."""

    outputs: Any
    labels: Any
    classes: int = 0

    def __len__(self) -> int:
        return len(self.labels)

    def of(self, numbers: Sequence[int]) -> tuple[Any, Any]:
        if isinstance(self.labels, list):
            return [self.outputs[n] for n in numbers], [self.labels[n] for n in numbers]
        return self.outputs[list(numbers)], self.labels[list(numbers)]


@dataclass(frozen=True)
class Compared:
    """`metric` makes the one for some samples, `reference` says what each of its values is; `covers` are names of the registry.
    Values agree to `within` of their size."""

    name: str
    library: str
    covers: tuple[str, ...]
    samples: st.SearchStrategy[Samples]
    metric: Callable[[Samples], Metric]
    reference: Callable[[Samples], dict[str, float]]
    within: float = 1e-7


def _matrix(draw: Any, rows: int, columns: int, numbers: st.SearchStrategy[float]) -> np.ndarray:
    found = draw(st.lists(numbers, min_size=rows * columns, max_size=rows * columns))
    return np.array(found, np.float32).reshape(rows, columns)


# -- one class for each picture ---------------------------------------------------------------------------------------


@st.composite
def _scored(draw: Any) -> Samples:
    count, classes, more = draw(st.integers(1, 8)), draw(st.integers(1, 8)), draw(st.integers(0, 2))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    return Samples(_matrix(draw, count, classes + more, SCORES), np.array(labels), classes)


def _top_k(samples: Samples) -> dict[str, float]:
    """Scikit-learn ranks equal scores as it likes: the true class is set behind its equals first."""
    scores, rows = samples.outputs[:, : samples.classes].astype(np.float64), np.arange(len(samples))
    scores[rows, samples.labels] = np.nextafter(scores[rows, samples.labels], -np.inf)
    found = {"accuracy": float(sk.accuracy_score(samples.labels, scores.argmax(axis=1)))}
    if samples.classes > 5:
        found["accuracy_top5"] = float(sk.top_k_accuracy_score(samples.labels, scores, k=5, labels=np.arange(samples.classes)))
    return found


# -- maps of classes --------------------------------------------------------------------------------------------------


@st.composite
def _maps(draw: Any) -> Samples:
    count, classes, side = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    pixels = count * side * side
    kinds = st.sampled_from([*range(classes), 255]) if draw(st.booleans()) else st.sampled_from([0, 255])
    truth = draw(st.lists(kinds, min_size=pixels, max_size=pixels))
    made = draw(st.lists(st.integers(0, classes - 1), min_size=pixels, max_size=pixels))
    return Samples(np.array(made).reshape(count, side, side), np.array(truth).reshape(count, side, side), classes)


def _overlap(samples: Samples) -> dict[str, float]:
    pictures = [_of_map(made, truth, samples.classes) for made, truth in zip(samples.outputs, samples.labels, strict=True)]
    dice, iou = _of_map(samples.outputs, samples.labels, samples.classes)
    dice_pictures, iou_pictures = (_means(np.array([one[i] for one in pictures]).T) for i in (0, 1))
    kept = samples.labels != 255
    right = float(sk.accuracy_score(samples.labels[kept], samples.outputs[kept])) if kept.any() else np.nan
    found = {
        "mean_dice": _mean(dice),
        "mean_iou": _mean(iou),
        "mean_dice_pictures": _mean(dice_pictures),
        "mean_iou_pictures": _mean(iou_pictures),
        "pixel_accuracy": right,
    }
    for i, name in enumerate(NAMES[: samples.classes]):
        found |= {f"dice/{name}": dice[i], f"iou/{name}": iou[i], f"dice_pictures/{name}": dice_pictures[i]}
    return found


def _of_map(made: np.ndarray, truth: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Dice (the F1 of pixels) and IoU (their Jaccard index) of each class, (K,); NaN where there is neither."""
    kept = truth != 255
    made, truth = made[kept], truth[kept]
    dice, iou = np.full(classes, np.nan), np.full(classes, np.nan)
    for k in range(classes):
        if (made == k).any() or (truth == k).any():
            dice[k], iou[k] = sk.f1_score(truth == k, made == k), sk.jaccard_score(truth == k, made == k)
    return dice, iou


# -- numbers and pictures ---------------------------------------------------------------------------------------------


@st.composite
def _columns(draw: Any) -> Samples:
    count, columns = draw(st.integers(1, 8)), draw(st.integers(1, 3))
    labels = _matrix(draw, count, columns, NUMBERS)
    if draw(st.booleans()):
        labels[:, 0] = labels[0, 0]
    outputs = labels.copy() if draw(st.booleans()) else _matrix(draw, count, columns, NUMBERS)
    return Samples(outputs, labels, columns)


def _errors(samples: Samples) -> dict[str, float]:
    made, truth = samples.outputs.astype(np.float64), samples.labels.astype(np.float64)
    few = len(samples) < 2
    found = {
        "mae": float(sk.mean_absolute_error(truth.ravel(), made.ravel())),
        "rmse": float(sk.root_mean_squared_error(truth.ravel(), made.ravel())),
        "r2": np.nan if few else float(sk.r2_score(truth, made)),
    }
    for i, name in enumerate(NAMES[: samples.classes] if samples.classes > 1 else ()):
        found[f"mae/{name}"] = float(sk.mean_absolute_error(truth[:, i], made[:, i]))
        found[f"rmse/{name}"] = float(sk.root_mean_squared_error(truth[:, i], made[:, i]))
        found[f"r2/{name}"] = np.nan if few else float(sk.r2_score(truth[:, i], made[:, i]))
    return found


@st.composite
def _pictures(draw: Any) -> Samples:
    count, channels = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3]))
    shape = (count, channels, draw(st.integers(1, 14)), draw(st.integers(1, 14)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = draw(st.sampled_from([np.zeros(shape), np.ones(shape), random.random(shape), random.integers(0, 2, shape)]))
    noise = draw(st.sampled_from([0.0, 1e-30, 0.01, 1.0, 1e15]))
    return Samples((labels + noise * random.normal(size=shape)).astype(np.float32), labels.astype(np.float32))


def _quality(samples: Samples) -> dict[str, float]:
    made, truth = (torch.from_numpy(one).double() for one in (samples.outputs, samples.labels))
    pairs = list(zip(made[:, None], truth[:, None], strict=True))
    found = {"psnr": float(np.mean([min(120.0, float(peak_signal_noise_ratio(*pair, data_range=1.0))) for pair in pairs]))}
    if min(samples.labels.shape[-2:]) > 5:
        found["ssim"] = float(np.mean([float(structural_similarity_index_measure(*pair, data_range=1.0)) for pair in pairs]))
    return found


# -- several classes for each picture ---------------------------------------------------------------------------------


@st.composite
def _labelled(draw: Any) -> Samples:
    count, labels = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    truth = _matrix(draw, count, labels, st.sampled_from([0.0, 1.0]))
    truth[:, 0] *= draw(st.sampled_from([0.0, 1.0]))
    return Samples(_matrix(draw, count, labels, CHANCES), truth, labels)


def _label_scores(samples: Samples) -> dict[str, float]:
    truth, scores = samples.labels > 0, samples.outputs
    known = truth.any(axis=0)
    precision = np.full(samples.classes, np.nan)
    for k in np.flatnonzero(known):
        precision[k] = sk.average_precision_score(truth[:, k], scores[:, k])
    found = scores >= 0.5
    f1 = [float(sk.f1_score(truth[:, k], found[:, k], zero_division=np.nan)) for k in range(samples.classes)]
    micro = sk.f1_score(truth.ravel(), found.ravel(), zero_division=np.nan)
    values = {"mean_ap": _mean(precision), "f1_macro": _mean(np.array(f1)), "f1_micro": float(micro)}
    for k, name in enumerate(NAMES[: samples.classes]):
        values |= {f"label_ap/{name}": precision[k], f"f1/{name}": f1[k], f"threshold/{name}": 0.5}
    return values


def _best_f1(samples: Samples) -> dict[str, float]:
    """The thresholds that are chosen: the best F1 that any of them gives."""
    found = {}
    for k, name in enumerate(NAMES[: samples.classes]):
        truth, scores = samples.labels[:, k] > 0, samples.outputs[:, k]
        if truth.any():
            found[f"f1/{name}"] = max(float(sk.f1_score(truth, scores >= value)) for value in np.unique(scores))
    return found


# -- boxes ------------------------------------------------------------------------------------------------------------


@st.composite
def _boxes(draw: Any) -> Samples:
    count, classes = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    pictures = [_picture(draw, classes) for _ in range(count)]
    return Samples([found for found, _ in pictures], [truth for _, truth in pictures], classes)


def _picture(draw: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Detections near the objects or anywhere, of scores that are often equal; objects with flags."""
    place = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(4, 20), st.integers(4, 20))
    objects = draw(st.lists(st.tuples(place, st.integers(0, classes - 1), FLAGS), max_size=4))
    truth = np.array([(x, y, x + w, y + h, k, flags) for (x, y, w, h), k, flags in objects], BOX_DTYPE)
    near = st.sampled_from([place for place, _, _ in objects]) if objects else place
    moved = st.tuples(near | place, st.integers(-2, 2), st.sampled_from([0.0, 0.1, 0.5, 0.5, 0.9, 1.0, 1e-30]))
    rows = draw(st.lists(st.tuples(moved, st.integers(0, classes - 1)), max_size=6))
    found = [(x + by, y, x + by + w, y + h, score, k) for ((x, y, w, h), by, score), k in rows]
    return np.array(found, np.float64).reshape(-1, 6), truth


def _coco(samples: Samples) -> dict[str, float]:
    names = NAMES[: samples.classes]
    pictures = in_order([(f[f[:, 4] > 0], t) for f, t in zip(samples.outputs, samples.labels, strict=True)])
    precision = np.full((10, len(names)), np.nan)
    judge = _judged(pictures, names)
    found = judge.eval["precision"][:, :, :, 0, 0] if judge else np.zeros((10, 1, len(names)))
    for k in range(len(names)):
        if any(((t["class"] == k) & (t["flags"] == 0)).any() for _, t in pictures):
            precision[:, k] = found[:, :, k].mean(axis=1)
    values = {"map": _mean(precision), "map50": _mean(precision[0]), "map75": _mean(precision[5])}
    for k, name in enumerate(names):
        values |= {f"ap/{name}": _mean(precision[:, k]), f"ap50/{name}": float(precision[0, k])}
    return values | _matched(pictures, names)


def _matched(pictures: Sequence[tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> dict[str, float]:
    """Precision and recall of detections with a score of 0.5 or more, by COCO's own matches at IoU 0.5."""
    judge = _judged([(found[found[:, 4] >= 0.5], truth) for found, truth in pictures], names)
    objects = sum(int((truth["flags"] == 0).sum()) for _, truth in pictures)
    rows = [image for image in judge.evalImgs if image is not None] if judge else []
    counted = [~image["dtIgnore"][0].astype(bool) for image in rows]
    right = sum(int(((image["dtMatches"][0] > 0) & c).sum()) for image, c in zip(rows, counted, strict=True))
    total = sum(int(c.sum()) for c in counted)
    return {"precision": right / total if total else np.nan, "recall": right / objects if objects else np.nan}


def _judged(pictures: Sequence[tuple[np.ndarray, np.ndarray]], names: Sequence[str]) -> Any:
    """pycocotools' own evaluation of objects of any size; None without a detection, which it cannot read."""
    rows = coco_detections([found for found, _ in pictures])
    if not len(rows):
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_truth([boxes for _, boxes in pictures], names)
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(rows), "bbox")
        judge.params.areaRng, judge.params.areaRngLbl, judge.params.maxDets = [[0, 1e10]], ["all"], [100]
        judge.evaluate()
        judge.accumulate()
    return judge


def _mean(values: np.ndarray) -> float:
    known = np.asarray(values)[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan


def _means(rows: np.ndarray) -> np.ndarray:
    return np.array([_mean(row) for row in rows])


COMPARED = (
    Compared("accuracy", "scikit-learn", ("accuracy", "accuracy_top5"), _scored(), lambda s: Accuracy(s.classes), _top_k),
    Compared(
        "overlap",
        "scikit-learn",
        ("mean_dice", "mean_dice_pictures", "mean_iou", "mean_iou_pictures", "pixel_accuracy", "dice", "iou", "dice_pictures"),
        _maps(),
        lambda s: Overlap(NAMES[: s.classes]),
        _overlap,
    ),
    Compared("errors", "scikit-learn", ("mae", "rmse", "r2"), _columns(), lambda s: Errors(NAMES[: s.classes]), _errors, 1e-6),
    Compared("pictures", "torchmetrics", ("psnr", "ssim"), _pictures(), lambda s: PictureQuality(1.0), _quality, 1e-6),
    Compared(
        "labels",
        "scikit-learn",
        ("mean_ap", "f1_macro", "f1_micro", "label_ap", "f1", "threshold"),
        _labelled(),
        lambda s: LabelPrecision(NAMES[: s.classes], dict.fromkeys(NAMES, 0.5)),
        _label_scores,
    ),
    Compared(
        "thresholds", "scikit-learn", ("f1", "threshold"), _labelled(), lambda s: LabelPrecision(NAMES[: s.classes]), _best_f1
    ),
    Compared(
        "boxes",
        "pycocotools",
        ("map", "map50", "map75", "ap", "ap50", "precision", "recall"),
        _boxes(),
        lambda s: BoxPrecision(NAMES[: s.classes]),
        _coco,
    ),
)


def evaluated(samples: Samples) -> tuple[dict[str, Any], dict[str, Any]]:
    """The summary of an evaluation that was given the scores (N, K or more), and what SciPy and scikit-learn say of them."""
    scores, truth, rows = samples.outputs, samples.labels, np.arange(len(samples))
    logs = class_scores(torch.from_numpy(scores), samples.classes, False).numpy()
    report = ClassificationReport(NAMES[: samples.classes], 1)
    report.add(logs, truth)
    wanted = {LOSS: float(-log_softmax(scores.astype(np.float64), axis=1)[rows, truth].mean())}
    return report.summary(), wanted | _top_k(Samples(logs, truth, samples.classes))
