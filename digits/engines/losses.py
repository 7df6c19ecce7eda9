"""Names of the losses and which one a task takes by default; each engine has its own functions for them."""

from __future__ import annotations

from digits.errors import BadRequest

LOSSES = {
    "cross_entropy": "Cross-entropy of class scores",
    "cross_entropy_dice": "Cross-entropy plus soft Dice of class scores per pixel",
    "dice": "Soft Dice of class scores per pixel",
    "focal": "Focal loss of class scores (gamma 2)",
    "mse": "Mean squared error",
    "l1": "Mean absolute error",
    "smooth_l1": "Huber loss (quadratic below 1)",
}


def default_loss(task: str, label_kind: str) -> str:
    """The loss of a network text that brings none.

    Cross-entropy for a class index, cross-entropy + Dice for a map of class indices, mean squared error for numbers and pictures.
    """
    if task == "segmentation":
        return "cross_entropy_dice"
    return "cross_entropy" if label_kind == "index" else "mse"


def check_loss(name: str) -> str:
    """The name itself, or BadRequest with the names there are."""
    if name not in LOSSES:
        raise BadRequest(f"There is no loss {name!r}.", advice=f"Choose one of {', '.join(LOSSES)}.")
    return name
