"""Segmentation: a class for each pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from digits.domain.classes import NO_CLASS
from digits.domain.datasets import IGNORED
from digits.domain.training import TaskOptions
from digits.tasks.base import MAP, Guess, Labels, Task, lies_over
from digits.tasks.classification import class_counts, log_shares

if TYPE_CHECKING:
    import numpy as np

    from digits.images.place import Origin
    from digits.metrics.analysis.base import Analysis
    from digits.metrics.base import Metric


class Segmentation(Task):
    """A label is a map of class indices (1, H, W), an output scores (N, K, H, W), of which the class of each pixel is kept."""

    name = "segmentation"
    title = "Segmentation"
    model_words = "A segmentation model"
    label_kinds = ("map", "array")
    counted = "pixels"
    output_kind = MAP
    views = ("image-segmentation", "image-image-output", "all-raw-data")
    losses = ("cross_entropy_dice", "cross_entropy", "dice", "focal", "focal_dice")
    picture_metrics = ("mean_dice", "mean_iou", "pixel_accuracy")
    of_places = True
    scores = "softmax"
    index_targets = True
    moves = "map"
    weighs_classes = True
    unknown_words = "Their pixels are left out of every metric, as void is."
    missing_words = "a pixel that is taken for one of them counts as wrong"

    def fits(self, labels: Labels) -> bool:
        return True  # what else they are shows when the first batch is trained

    def adopts(self, labels: Labels) -> bool:
        return labels.kind == "map" and bool(labels.class_labels)

    def claims(self, kind: str, has_classes: bool) -> bool:
        return kind == "map"

    def nothing_to_learn(self, class_labels: Sequence[str], counts: Sequence[int]) -> tuple[str, str] | None:
        if sum(counts):
            return None
        return "Every pixel of every training mask is left out (void).", "Check the colour map and the values that do not count."

    def label_problem(self, class_labels: Sequence[str], seen: Sequence[int]) -> tuple[str, str, str] | None:
        """One class alone teaches nothing but that class."""
        names = [name for name, count in zip(class_labels, seen, strict=True) if count]
        if len(names) != 1:
            return None
        reason = f"All masks hold the class {names[0]!r} alone: a network will learn to answer just that. Check the masks."
        return "mask", names[0], reason

    def ignored_index(self, labels: Labels) -> int:
        return labels.ignored

    def follows_picture(self, labels: Labels) -> bool:
        return lies_over(labels)

    def label_scale(self, labels: Labels) -> float:
        return 1.0

    def targets(self, labels: Any) -> np.ndarray:
        """Class indices int64 (N, H, W)."""
        import numpy as np

        array = np.asarray(labels)
        return array.reshape(len(array), *array.shape[-2:]).astype(np.int64)

    def output_problem(self, shape: tuple[int, ...], labels: Labels, size: tuple[int, ...]) -> tuple[str, str] | None:
        classes = len(labels.class_labels)
        if len(shape) == 3 and shape[0] >= classes and shape[1:] == size:
            return None
        return f"a score for each of {classes} classes at each of {size[0]}×{size[1]} pixels is needed", ""

    def metrics(self, labels: Labels, options: TaskOptions | None = None, scale: float | None = None) -> list[Metric]:
        from digits.metrics.regression import Errors
        from digits.metrics.segmentation import Overlap

        return [Overlap(labels.class_labels, labels.ignored)] if labels.class_labels else [Errors()]

    def analysis(self, labels: Labels | None, model: Labels, *, in_mm: bool = False) -> Analysis:
        from digits.metrics.analysis.maps import MapAnalysis

        if labels is None or not labels.class_labels:
            return super().analysis(labels, model)
        return MapAnalysis(labels.class_labels, labels.ignored, in_mm=in_mm)

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        """The most frequent class for every pixel, (N, H, W); as scores (N, K, H, W) the logarithms of the shares of all."""
        import numpy as np

        logs = log_shares(class_counts(training(), len(labels.class_labels), labels.ignored))
        best = int(np.argmax(logs))

        def scores(truth: np.ndarray) -> np.ndarray:
            return np.broadcast_to(logs[:, None, None], (len(truth), len(logs), *truth.shape[1:]))

        words = f"every pixel “{labels.class_labels[best]}”"
        return [Guess(lambda _, truth: np.full(truth.shape, best), words, scores=scores)]

    def kept(self, output: np.ndarray) -> np.ndarray:
        """The class of each pixel: uint8 (H, W), int32 of more than 255 classes; 255 or -1 where the scores are no numbers."""
        import numpy as np

        from digits.metrics.segmentation import best_class

        return (
            best_class(output, axis=0).astype(np.uint8 if output.shape[0] <= IGNORED else np.int32)
            if output.ndim == 3
            else output
        )

    def shown(self, output: np.ndarray, dtype: Any) -> np.ndarray:
        """As `kept`: (H, W)."""
        return self.kept(output)

    def describe_label(self, label: np.ndarray, labels: Labels) -> str:
        """The classes (1, H, W) as a grey picture's `data:` address, in which `IGNORED` is what does not count."""
        import numpy as np

        from digits.images.addresses import map_address

        return map_address(np.where((label == labels.ignored) | (label < 0), IGNORED, label))

    def describe_output(
        self, output: np.ndarray, truth: np.ndarray | None, labels: Labels, options: TaskOptions | None = None
    ) -> dict[str, Any]:
        """`map`, the address of the classes (H, W), and `dice` in [0, 1] against a truth (1, H, W): `mean_dice` of this
        picture alone, over the classes that are in it or its prediction; None where no pixel counts."""
        from digits.images.addresses import map_address
        from digits.metrics.segmentation import dice_of_picture

        dice = None
        if truth is not None and truth.shape[-2:] == output.shape[-2:] and labels.class_labels:
            shapes = output.shape[-2:]
            dice = dice_of_picture(output.reshape(shapes), truth.reshape(shapes), labels.class_labels, labels.ignored)
        return {"map": map_address(output), "dice": dice}

    def lines(self, output: np.ndarray, labels: Labels, options: TaskOptions, top: int) -> list[str]:
        """The classes that cover most of the picture, with their shares."""
        import numpy as np

        counts = {int(number): int(count) for number, count in zip(*np.unique(output, return_counts=True), strict=True)}
        shares = [(100 * counts.get(i, 0) / max(output.size, 1), name) for i, name in enumerate(labels.class_labels)]
        best = sorted((share for share in shares if share[0] > 0), reverse=True)[:top]
        return [f"{share:6.2f} % of the pixels  {name}" for share, name in best] or ["the scores are no numbers"]

    def renumbered(self, label: np.ndarray, places: np.ndarray, ignored: int) -> np.ndarray:
        """Classes (1, H, W), int64."""
        import numpy as np

        known = (label >= 0) & (label < len(places)) & (label != ignored)
        return np.where(known, places[np.where(known, label, 0)], NO_CLASS)

    def class_counts(self, label: np.ndarray, classes: int, ignored: int) -> np.ndarray:
        return class_counts([label], classes, ignored)

    def comparable(self, output: np.ndarray, truth: np.ndarray, scale: float) -> tuple[Any, Any]:
        """Classes (1, H, W) of both, integers; of a larger truth its middle. DataError where the sizes cannot match."""
        from digits.images.prepare_for_model import centre_of

        return output[None], centre_of(truth.reshape(truth.shape[-2:]), output.shape)[None]

    def restored(self, output: np.ndarray, origin: Origin) -> np.ndarray:
        """Classes (H, W) at the size of the given picture, by the nearest pixel; `IGNORED`, or `NO_CLASS` of more than 255
        classes, where it was cut off."""
        return origin.mask(output, IGNORED if output.dtype == "uint8" else NO_CLASS)

    def example(self) -> tuple[Labels, np.ndarray, np.ndarray]:
        import numpy as np

        truth = np.random.default_rng(0).integers(0, 3, (4, 8, 8))
        labels = Labels("map", (1, 8, 8), "uint8", ("back", "cell", "edge"), (3, 8, 8))
        return labels, np.eye(3, dtype=np.float32)[truth].transpose(0, 3, 1, 2), truth
