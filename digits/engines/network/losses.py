"""Names of the losses and which one a task takes by default; each engine has its own functions for them."""

from __future__ import annotations

from digits.domain.datasets import IGNORED, TRAIN_DB, DatasetInfo
from digits.errors import BadRequest

NONE_IGNORED = -100

LOSSES = {
    "cross_entropy": "Cross-entropy of class scores",
    "cross_entropy_dice": "Cross-entropy plus soft Dice of class scores per pixel",
    "dice": "Soft Dice of class scores per pixel",
    "focal": "Focal loss of class scores (gamma 2)",
    "focal_dice": "Focal loss plus soft Dice of class scores per pixel",
    "mse": "Mean squared error",
    "l1": "Mean absolute error",
    "smooth_l1": "Huber loss (quadratic below 1)",
}

SCORES_OF_PIXELS = ("cross_entropy_dice", "cross_entropy", "dice", "focal", "focal_dice")
NUMBERS = ("mse", "l1", "smooth_l1")
TASK_LOSSES = {
    "classification": ("cross_entropy", "focal"),
    "segmentation": SCORES_OF_PIXELS,
    "processing": NUMBERS,
    "regression": NUMBERS,
    "generic": tuple(LOSSES),
}


def default_loss(task: str, label_kind: str) -> str:
    """The loss of a network text that brings none.

    Cross-entropy for a class index, cross-entropy + Dice for a map of class indices, mean squared error for numbers and pictures.
    """
    if task == "segmentation":
        return "cross_entropy_dice"
    return "cross_entropy" if label_kind == "index" else "mse"


def usual_loss(task: str, info: DatasetInfo) -> str:
    """The default loss for the labels of a data set; without names or numbers of classes they are plain numbers."""
    train = info.splits.get(TRAIN_DB)
    return default_loss(task, train.meta.label_kind if train is not None and info.class_labels else "vector")


def ignored_index(task: str, info: DatasetInfo) -> int:
    """The label of pixels that count neither in the loss nor in metrics."""
    return int(info.extra.get("ignore_index", IGNORED)) if task == "segmentation" else NONE_IGNORED


def losses_for(task: str) -> tuple[str, ...]:
    """The losses that make sense for a task, the default first; () where the network brings its own."""
    return TASK_LOSSES.get(task, ())


def check_loss(name: str) -> str:
    """The name itself, or BadRequest with the names there are."""
    if name not in LOSSES:
        raise BadRequest(f"There is no loss {name!r}.", advice=f"Choose one of {', '.join(LOSSES)}.")
    return name
