"""Image to image: a picture for each picture, such as clean for noisy. Without labels the picture itself is learnt."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from digits.domain.training import TaskOptions
from digits.tasks.base import PICTURES, Guess, Labels, Task, lies_over
from digits.tasks.regression import Regression, mean_of

if TYPE_CHECKING:
    import numpy as np

    from digits.images.place import Origin
    from digits.metrics.base import Metric

REGRESSION = Regression.name


class ImageToImage(Task):
    """Labels and outputs are (C, H, W). What job folders, records, plugins and network texts store is the older name, so that
    those of every version are read by every other."""

    name = "processing"
    aliases: ClassVar[tuple[str, ...]] = ("image_to_image", "image_processing")
    title = "Image to image"
    model_words = "A model that turns pictures into pictures"
    label_kinds: ClassVar[tuple[str, ...]] = ("array", "map", "none")
    output_kind = PICTURES
    views: ClassVar[tuple[str, ...]] = ("image-image-output", "all-raw-data")
    losses: ClassVar[tuple[str, ...]] = ("mse", "l1", "smooth_l1")
    picture_metrics: ClassVar[tuple[str, ...]] = ("psnr", "ssim", "mae", "rmse")
    of_places = True
    moves = "picture"
    restores_input = True

    def fits(self, labels: Labels) -> bool:
        return labels.kind == "none" or (labels.kind in ("map", "array") and labels.is_picture)

    def networks_task(self, labels: Labels) -> str:
        """Labels of another size than their pictures are numbers to a network."""
        return self.name if labels.kind == "none" or lies_over(labels) else REGRESSION

    def follows_picture(self, labels: Labels) -> bool:
        return labels.kind != "none" and lies_over(labels)

    def metrics(self, labels: Labels, options: TaskOptions | None = None, scale: float | None = None) -> list[Metric]:
        """`PictureQuality` counts from 0 to 1: it is given scaled pictures."""
        from digits.metrics.regression import Errors, PictureQuality

        errors = Errors((), self.label_scale(labels) if scale is None else scale, has_places=True)
        return [errors, PictureQuality(1.0)]

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        """The mean of each channel and, where label and picture are alike, the picture (N, C, H, W) as it is."""
        import numpy as np

        found = [mean_colour(training())]
        if labels.shape == labels.feature_shape and labels.dtype == labels.feature_dtype:
            found.append(Guess(lambda features, _: features.astype(np.float32), "the unchanged input", sees_pictures=True))
        return found

    def shown(self, output: np.ndarray, dtype: Any) -> np.ndarray:
        """Pictures (C, H, W) in the values of 8 bits, uint8, where that is what they stand for."""
        import numpy as np

        if dtype != np.uint8 or output.ndim != 3 or min(output.shape[1:]) < 2:
            return output
        return np.nan_to_num(output).round().clip(0, 255).astype(np.uint8)

    def describe_label(self, label: np.ndarray, labels: Labels) -> str:
        """The `data:` address of the picture (C, H, W)."""
        from digits.images.addresses import picture_address

        return picture_address(label)

    def describe_output(
        self, output: np.ndarray, truth: np.ndarray | None, labels: Labels, options: TaskOptions | None = None
    ) -> dict[str, Any]:
        """`picture`, the `data:` address of (C, H, W), and, for 8 bits, `psnr` in decibel."""
        from digits.images.addresses import picture_address

        shown = picture_address(output) if output.ndim == 3 else ""
        return {"picture": shown, "psnr": None if truth is None else _psnr(output, truth)}

    def comparable(self, output: np.ndarray, truth: np.ndarray, scale: float) -> tuple[Any, Any]:
        """Pictures (1, C, H, W) divided by `scale`; of a larger truth its middle. DataError where the sizes cannot match."""
        from digits.images.prepare_for_model import centre_of

        return super().comparable(output, centre_of(truth, output.shape), scale)

    def restored(self, output: np.ndarray, origin: Origin) -> np.ndarray:
        """The picture (C, H, W) at the size of the given one; 0 where that was cut off."""
        return origin.picture(output)

    def example(self) -> tuple[Labels, np.ndarray, np.ndarray]:
        import numpy as np

        truth = np.random.default_rng(0).random((3, 3, 16, 16)).astype(np.float32)
        return Labels("array", (3, 16, 16), "float32", (), (3, 16, 16)), truth.copy(), truth


def mean_colour(parts: Iterable[np.ndarray]) -> Guess:
    """The mean of each channel of pictures (n, C, H, W), everywhere, in their units."""
    import numpy as np

    mean = mean_of(part.astype(np.float64).mean(axis=(2, 3), keepdims=True) for part in parts)
    return Guess(lambda _, truth: np.broadcast_to(mean, truth.shape).astype(np.float32), "the mean colour everywhere")


def _psnr(output: np.ndarray, truth: np.ndarray) -> float | None:
    """10 log₁₀(255² / mean squared error) decibel of two pictures (C, H, W) of 8 bits; None for others."""
    import numpy as np

    if output.dtype != np.uint8 or output.shape != truth.shape:
        return None
    error = float(np.mean(np.square(output.astype(np.float64) - truth)))
    return 10 * math.log10(255**2 / max(error, 1e-6))
