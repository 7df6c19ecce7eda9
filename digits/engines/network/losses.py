"""Names of the losses; which ones make sense for a task says the task, and each engine has its own functions for them."""

from __future__ import annotations

from digits.domain.datasets import DatasetInfo
from digits.errors import BadRequest, NetworkError
from digits.tasks import Labels, of
from digits.tasks.base import NONE_IGNORED as NONE_IGNORED

FOCAL_GAMMA = 2.0  # of the focal losses
SMALLEST = 2.0**-126  # probability of which a logarithm is taken: the smallest float32 with all its digits

# what loss(outputs, targets) may give
LOSS_ADVICE = "Return a scalar tensor, a pair (sum, weight), a dictionary of them, or a list of losses with their vars."

LOSSES = {
    "cross_entropy": "Cross-entropy of class scores",
    "cross_entropy_dice": "Cross-entropy plus soft Dice of class scores per pixel",
    "dice": "Soft Dice of class scores per pixel",
    "focal": "Focal loss of class scores (gamma 2)",
    "focal_dice": "Focal loss plus soft Dice of class scores per pixel",
    "binary_cross_entropy": "Binary cross-entropy of each label's score",
    "mse": "Mean squared error",
    "l1": "Mean absolute error",
    "smooth_l1": "Huber loss (quadratic below 1)",
}


def usual_loss(task: str, info: DatasetInfo) -> str:
    """The loss of a network text that brings none, for the labels of a data set; empty where the network must bring one."""
    return of(task, Labels.of_dataset(info)).default_loss


def check_loss(name: str) -> str:
    """The name itself, or BadRequest with the names there are."""
    if name not in LOSSES:
        raise BadRequest(f"There is no loss {name!r}.", advice=f"Choose one of {', '.join(LOSSES)}.")
    return name


class SameParts:
    """Sees to it that a text's loss of several parts with weights of their own has the same ones for every batch: they are
    brought together part by part, over batches, accumulated groups and processes."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] | None = None

    def check(self, names: tuple[str, ...]) -> None:
        """Raises NetworkError where the parts are others than before."""
        if self.names is None:
            self.names = names
        elif names != self.names:
            found, before = (", ".join(each) or "one" for each in (names, self.names))
            raise NetworkError(
                f"loss(outputs, targets) gave other parts than before: {found} (before: {before}).",
                advice="Give every part in every batch: a sum and a weight of 0 where nothing counts, or a total named loss.",
            )
