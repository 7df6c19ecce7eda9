"""What the numbers of a training are: title, unit, which direction is better, and which one decides for a task.

The only place that says so: engines, rows, evaluations, pages and their code call these functions or get the answer as
data. Nothing is concluded from how a name looks. A network text says for metrics of its own what they are (`METRICS`,
docs/networks.md); without that they are charted, but cannot decide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from digits.utils.values import counted

HIGHER, LOWER = "higher", "lower"
PERCENT = "%"  # a fraction in [0, 1], shown times 100
LOSS = "loss"
EPOCH_MEAN = "epoch_"  # before the name of an output: its mean over the epoch, reported at its end

Declared = Mapping[str, Mapping[str, str]]  # own metrics of a network text: `better`, `unit`, `title` by name


@dataclass(frozen=True)
class MetricFacts:
    """One metric. `better` is `higher`, `lower` or empty (not known, so it cannot decide). `short` is the title in tiles and
    columns, `column` that of a table with a row for each class. Metrics of one `chart` share a chart of that title. `missed`: a 0
    of a class says that none of it was found. `low` and `high` are the ends of its range, None where it has none; `over` says
    what it is taken over."""

    title: str
    better: str = HIGHER
    unit: str = ""
    short: str = ""
    chart: str = ""
    column: str = ""
    missed: bool = False
    low: float | None = None
    high: float | None = None
    over: str = ""


_ERROR, _SHARE = "Error", "Accuracy (%)"
_DICE, _IOU, _AP, _F1, _FOUND = "Dice (%)", "IoU (%)", "Average precision (%)", "F1 (%)", "Precision and recall (%)"


def _share(title: str, over: str, short: str = "", column: str = "", missed: bool = False, chart: str = _SHARE) -> MetricFacts:
    return MetricFacts(title, HIGHER, PERCENT, short or title, chart, column, missed, 0.0, 1.0, over)


def _error(title: str, column: str) -> MetricFacts:
    over = "all numbers of all labels, in the label's units; of a column: its own"
    return MetricFacts(title, LOWER, "", title[0].lower() + title[1:], _ERROR, column, low=0.0, over=over)


_LABELLED, _POOLED = "all pictures with a known class", "mean over the classes; all pixels of all pictures together"
_PICTURES = "mean over the classes of the means over the pictures in which a class is or was predicted"
_BOXES = "mean over the classes that have an object"
METRICS: dict[str, MetricFacts] = {
    LOSS: MetricFacts("Loss", LOWER, "", "loss", "Loss", over="everything that counts in the loss, by its weight"),
    "accuracy": _share("Accuracy (top 1)", _LABELLED, "accuracy"),
    "accuracy_top5": _share("Accuracy (top 5)", f"{_LABELLED}; of more than five classes", "top-5 accuracy"),
    "mean_dice": _share("Mean Dice (pooled over all pixels)", _POOLED, "mean Dice", chart=_DICE),
    "mean_dice_pictures": _share("Mean Dice (mean over pictures)", _PICTURES, "Dice per picture", chart=_DICE),
    "mean_iou": _share("Mean IoU (pooled over all pixels)", _POOLED, "mean IoU", chart=_IOU),
    "mean_iou_pictures": _share("Mean IoU (mean over pictures)", _PICTURES, "IoU per picture", chart=_IOU),
    "pixel_accuracy": _share("Pixel accuracy", "all pixels that count, of all pictures together", "pixel accuracy"),
    "psnr": MetricFacts("PSNR", HIGHER, "dB", "PSNR", "PSNR (dB)", high=120.0, over="mean over the pictures"),
    "ssim": MetricFacts(
        "SSIM", HIGHER, "", "SSIM", "SSIM", low=-1.0, high=1.0, over="mean over the pictures of 6 pixels or more"
    ),
    "mae": _error("Mean absolute error", "MAE"),
    "rmse": _error("Root mean square error", "RMSE"),
    "r2": MetricFacts("R²", HIGHER, "", "R²", "R²", "R²", high=1.0, over="mean over the columns, each with a mean of its own"),
    "map": _share("mAP@[.5:.95]", _BOXES, "mAP@[.5:.95]", chart=_AP),
    "map50": _share("mAP@.5", _BOXES, "mAP@.5", chart=_AP),
    "map75": _share("mAP@.75", _BOXES, "mAP@.75", chart=_AP),
    "mean_ap": _share(
        "mAP of the labels (macro average precision)", "mean over the labels that some picture has", "mAP", chart=_AP
    ),
    "f1_macro": _share(
        "F1 (macro: mean over the labels)", "mean over the labels that are somewhere or were found", "macro F1", chart=_F1
    ),
    "f1_micro": _share("F1 (micro: over all labels)", "all labels of all pictures together", "micro F1", chart=_F1),
    "precision": _share(
        "Precision",
        "all boxes that were found with the score or more; of a class: its predictions",
        "",
        "Precision",
        chart=_FOUND,
    ),
    "recall": _share("Recall", "all objects of all pictures", "", "Recall", chart=_FOUND),
    # of one class: `<name>/<label>`
    "dice": _share("Dice", "all pixels of all pictures together", column="Dice (pooled)", missed=True, chart=_DICE),
    "dice_pictures": _share(
        "Dice (mean over pictures)",
        "mean over the pictures in which the class is or was predicted",
        column="Dice (pictures)",
        chart=_DICE,
    ),
    "iou": _share("IoU", "all pixels of all pictures together", column="IoU (pooled)", chart=_IOU),
    "label_ap": _share("Average precision", "all pictures", column="Average precision", chart=_AP),
    "f1": _share("F1", "all pictures", column="F1", missed=True, chart=_F1),
    "threshold": MetricFacts("Threshold", "", PERCENT, column="Threshold", low=0.0, high=1.0, over="chosen, not measured"),
    "ap": _share("AP@[.5:.95]", "all objects of the class, mean over IoU .5, .55, … .95", column="AP@[.5:.95]", chart=_AP),
    "ap50": _share("AP@.5", "all objects of the class", column="AP@.5", missed=True, chart=_AP),
}

_OUTLINES = "mean over the classes of one picture"
OF_EVALUATIONS: dict[str, MetricFacts] = {  # numbers of single pictures that no training measures (docs/evaluation.md)
    "boundary_f": _share("Boundary F", _OUTLINES),
    "hd95": MetricFacts("HD95", LOWER, "px", low=0.0, over=_OUTLINES),
    "hd95_mm": MetricFacts("HD95 in mm", LOWER, "mm", low=0.0, over=_OUTLINES),
}

OF_A_CLASS = ("dice", "dice_pictures", "iou", "label_ap", "f1", "threshold", "ap", "ap50")  # without a class a text's own word

DECIDING = {
    "classification": "accuracy",
    "multi_label": "mean_ap",
    "segmentation": "mean_dice",
    "processing": "psnr",
    "regression": "mae",
    "detection": "map50",
}
COUNTS = {"count": "Pictures", "predicted": "Predicted", "correct": "Right"}  # numbers of a class that are no metrics
START_WAS_BEST = "The start was best: the weights that the training began with were better than any after them."
OTHERWISE = ("accuracy", LOSS)  # decide where a task has no metric of its own, or it was not measured
NOTHING = "(nothing)"  # what decides where nothing can: no output is called so
NOTHING_DECIDES = (
    "No snapshot is the best: the network has several losses, and their sum ranks nothing. The last one is kept, with those of "
    "the interval; a metric of the network text that METRICS declares would decide."
)


def facts(name: str, kind: str = "", declared: Declared | None = None) -> MetricFacts:
    """What is known of an output. `kind` is what its event says: what a loss gives is a loss, whatever it is called."""
    base = name if name in (declared or {}) else name.removeprefix(EPOCH_MEAN)
    known = METRICS.get(base) or OF_EVALUATIONS.get(base) or METRICS.get(base.partition("/")[0])
    own = (declared or {}).get(base)
    if known is not None and not (base in OF_A_CLASS and own is not None) and (kind != LOSS or base == LOSS):
        return known
    if own is not None:
        unit = own.get("unit", "")
        chart = _SHARE if unit == PERCENT else ""
        return MetricFacts(own.get("title") or base, own.get("better", ""), unit, own.get("title") or base, chart)
    if kind == LOSS:
        return MetricFacts(base, LOWER, "", base, "Loss")
    return MetricFacts(base, "", PERCENT if kind == "accuracy" else "", base)


def kind_of(name: str, declared: Declared | None = None, kind: str = "") -> str:
    """`loss`, `accuracy` (a share, in percent on pages) or `other`: the word of events, curves and scripts."""
    found = facts(name, kind, declared)
    if found.chart == METRICS[LOSS].chart:
        return LOSS
    return "accuracy" if found.unit == PERCENT else "other"


def can_decide(name: str, kind: str = "", declared: Declared | None = None) -> bool:
    """Whether it is known which direction of an output is better."""
    return bool(facts(name, kind, declared).better)


def is_lower_better(name: str, kind: str = "", declared: Declared | None = None) -> bool:
    """Whether a smaller value is the better one. False too where that is not known."""
    return facts(name, kind, declared).better == LOWER


def deciding_metric(
    task: str, names: Iterable[str], wished: str = "", declared: Declared | None = None, kinds: Mapping[str, str] | None = None
) -> str:
    """The validation output that decides which snapshot is best: the wished one, else the task's own, else the accuracy, else
    the loss; of those that were measured and whose direction is known. Empty where there is none."""
    return _first_known((wished, DECIDING.get(task, ""), *OTHERWISE), names, declared, kinds)


def deciding_beside_losses(
    task: str, names: Iterable[str], wished: str, declared: Declared, kinds: Mapping[str, str], *, labelled: bool
) -> str:
    """As `deciding_metric` where several losses work against each other, whose sum ranks nothing: the wished output, else the
    first that the network text declares, else the task's own where there are labels to compare with; else `NOTHING`."""
    own = DECIDING.get(task, "") if labelled else ""
    return _first_known((wished, *declared, own), names, declared, kinds) or NOTHING


def _first_known(wanted: Iterable[str], names: Iterable[str], declared: Declared | None, kinds: Mapping[str, str] | None) -> str:
    """The first that was measured and whose direction is known; empty where there is none."""
    measured = set(names)
    found = (name for name in wanted if name in measured and can_decide(name, (kinds or {}).get(name, ""), declared))
    return next(found, "")


def beats(value: float | None, best: float | None, lower: bool) -> bool:
    """Whether a value is better than the best one so far; NaN and infinity never are."""
    if value is None or not math.isfinite(value):
        return False
    return best is None or (value < best if lower else value > best)


def is_sound(values: Mapping[str, float | None], nonfinite: int) -> bool:
    """Whether a validation may be the best: none of its outputs (`nonfinite` are), and not its loss either, is no number."""
    loss = values.get(LOSS, 0.0)
    return not nonfinite and loss is not None and math.isfinite(loss)


def nonfinite_text(nonfinite: int, outputs: int) -> str:
    """How many outputs hold NaN or infinity, as people read it."""
    said = "was no number" if nonfinite == 1 else "were no numbers"
    return f"{nonfinite:,} of {counted(outputs, 'output')} {said}"


def value_text(name: str, value: float | None, own_unit: str = "") -> str:
    """A metric as people read it: shares in percent, counts whole; a dash for what is not known. `own_unit` is that of a metric
    that the network text declares."""
    if value is None or not math.isfinite(value):
        return "–"
    if name in COUNTS:
        return f"{value:,}"
    unit = facts(name).unit or own_unit
    return f"{100 * value:.2f} %" if unit == PERCENT else f"{value:.4g} {unit}".strip()


def gained_text(name: str, value: float | None) -> str:
    """A difference of two values of a metric as people read it, with its sign; of shares in percentage points."""
    text = value_text(name, value)
    text = f"{text.removesuffix('%')}points" if text.endswith("%") else text
    return f"+{text}" if value is not None and math.isfinite(value) and value > 0 else text


def column_title(name: str) -> str:
    """A number of one class as the head of a column."""
    return COUNTS.get(name) or facts(name).column or facts(name).title


def as_json(declared: Declared | None = None, kinds: Mapping[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """What is known of all metrics that a page may show, by name, with their `place` in tables: JSON keeps no order."""
    names = dict.fromkeys([*METRICS, *(declared or {}), *(kinds or {})])
    found = {name: asdict(facts(name, (kinds or {}).get(name, ""), declared)) for name in names}
    return {name: {**said, "place": place} for place, (name, said) in enumerate(found.items())}
