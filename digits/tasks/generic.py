"""Arrays of a plugin or of databases whose meaning is not known: compared number by number, shown as pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from digits.domain.training import TaskOptions
from digits.tasks.base import Guess, Labels
from digits.tasks.image_to_image import ImageToImage, mean_colour

if TYPE_CHECKING:
    import numpy as np

    from digits.metrics.base import Metric


class Generic(ImageToImage):
    """What is learnt without labels stays in the network's units, and labels are not moved with their picture: nothing says that
    they lie over it."""

    name = "generic"
    aliases = ("",)
    title = "Arrays"
    model_words = "A model"
    label_kinds = ("array", "map", "none")
    views = ("all-raw-data", "image-image-output")
    losses = ("mse", "l1", "smooth_l1", "cross_entropy", "cross_entropy_dice", "dice", "focal", "focal_dice")
    picture_metrics = ("mae", "rmse")
    moves = ""
    restores_input = False

    def fits(self, labels: Labels) -> bool:
        return False  # what fits another task is that task's; all the rest ends here

    def takes_network(self, tasks: Sequence[str]) -> bool:
        return "classification" not in tasks

    def follows_picture(self, labels: Labels) -> bool:
        return labels.kind == "map" and labels.shape is None

    def metrics(self, labels: Labels, options: TaskOptions | None = None, scale: float | None = None) -> list[Metric]:
        from digits.metrics.regression import Errors

        return [Errors((), self.label_scale(labels) if scale is None else scale, has_places=True)]

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        return [mean_colour(training())]
