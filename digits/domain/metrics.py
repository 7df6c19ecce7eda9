"""Names of validation outputs: which direction is better, and which one decides for a task."""

from __future__ import annotations

from collections.abc import Sequence

ERRORS = frozenset({"mae", "rmse", "mse"})
DECIDING = {
    "classification": "accuracy",
    "segmentation": "mean_dice",
    "processing": "psnr",
    "regression": "mae",
    "detection": "map50",
}


def is_lower_better(name: str) -> bool:
    """Whether a smaller value is the better one: of losses and errors."""
    return "loss" in name.lower() or "error" in name.lower() or name in ERRORS


def default_best_metric(task: str, names: Sequence[str]) -> str:
    """The validation output that decides which snapshot is best, of those there are; the first one where nothing is known."""
    for name in (DECIDING.get(task, "loss"), "accuracy", "loss"):
        if name in names:
            return name
    return next(iter(names), "")
