"""Object detection: boxes with a class each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from digits.domain.classes import NO_CLASS
from digits.domain.training import TaskOptions
from digits.tasks.base import BOXES, Guess, Labels, Task
from digits.tasks.classification import class_counts

if TYPE_CHECKING:
    import numpy as np

    from digits.images.place import Origin
    from digits.metrics.analysis.base import Analysis
    from digits.metrics.base import Metric


class Detection(Task):
    """A label is a structured array of `BOX_DTYPE`, an output rows (M, 6): left, top, right, bottom in pixels, score, class."""

    name = "detection"
    aliases = ("object_detection",)
    title = "Object detection"
    model_words = "An object detection model"
    label_kinds = ("boxes",)
    counted = "boxes"
    output_kind = BOXES
    views = ("image-bounding-boxes", "all-raw-data")
    picture_metrics = ("map50", "precision", "recall")
    of_places = True
    has_background = False
    moves = "boxes"
    options = ("score_threshold",)
    unknown_words = "They need not be found; a detection on one of them counts as wrong."
    missing_words = "detections of them are left out"

    def adopts(self, labels: Labels) -> bool:
        return self.fits(labels)

    def claims(self, kind: str, has_classes: bool) -> bool:
        return kind == "boxes"

    def label_of(self, array: np.ndarray) -> tuple[str, np.ndarray] | None:
        """An array (1, N, 16) is the original's form of boxes."""
        from digits.extensions.data.digits_boxes import boxes_of_rows, is_rows

        return ("boxes", boxes_of_rows(array)) if is_rows(array) else None

    def nothing_to_learn(self, class_labels: Sequence[str], counts: Sequence[int]) -> tuple[str, str] | None:
        if sum(counts):
            return None
        return (
            f"None of the training pictures has an object of the classes {', '.join(class_labels[:10])}.",
            "Check the label folder, the class names in the files and the list of classes.",
        )

    def targets(self, labels: Any) -> Any:
        """As they are: a list of structured arrays."""
        return labels

    def output_problem(self, shape: tuple[int, ...], labels: Labels, size: tuple[int, ...]) -> tuple[str, str] | None:
        return None  # the network compares for itself; what it takes and gives is checked where it is built

    def metrics(self, labels: Labels, options: TaskOptions | None = None, scale: float | None = None) -> list[Metric]:
        from digits.metrics.average_precision import SCORE, BoxPrecision

        return [BoxPrecision(labels.class_labels, options.score_threshold if options else SCORE, labels.missing)]

    def analysis(self, labels: Labels | None, model: Labels, *, in_mm: bool = False) -> Analysis:
        from digits.metrics.analysis.boxes import BoxAnalysis

        return BoxAnalysis(model.class_labels, labels.missing if labels is not None else ())

    def with_thresholds(self, options: TaskOptions, class_labels: Sequence[str], chosen: Mapping[str, float]) -> TaskOptions:
        """Boxes of all classes have one threshold: the one that was chosen for all."""
        return replace(options, score_threshold=chosen[""]) if "" in chosen else options

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        import numpy as np

        return [Guess(lambda _, truth: [np.zeros((0, 6))] * len(truth), "no box anywhere")]

    def kept(self, output: np.ndarray) -> np.ndarray:
        """Boxes with a score, (n, 6), without the rows of zeros that fill up. One whose score is no number stays: it is wrong."""
        return output[~(output[:, 4] <= 0)]

    def size_of(self, output: np.ndarray) -> list[int]:
        """The smallest width and height in pixels that hold all boxes (n, 6)."""
        import numpy as np

        known = output[np.isfinite(output).all(axis=1)]
        return [max(1, int(known[:, column].max(initial=0)) + 1) for column in (2, 3)]

    def describe_label(self, label: np.ndarray, labels: Labels) -> list[dict[str, Any]]:
        """`box` (x0, y0, x1, y1 in pixels) and `class` of each of the boxes (n,)."""
        return [{"box": [float(value) for value in list(row)[:4]], "class": int(row[4])} for row in label]

    def describe_output(
        self, output: np.ndarray, truth: np.ndarray | None, labels: Labels, options: TaskOptions | None = None
    ) -> dict[str, Any]:
        """`boxes` of `box` (in pixels), `class` and `score`, of rows (n, 5) or (n, 6). Rows without a score are padding; those
        with NaN or infinity lie nowhere."""
        import numpy as np

        rows = output.reshape(-1, output.shape[-1]) if output.ndim and output.shape[-1] >= 5 else output.reshape(0, 5)
        return {
            "boxes": [
                {"box": row[:4].tolist(), "score": float(row[4]), "class": int(row[5]) if len(row) > 5 else 0}
                for row in rows
                if row[4] > 0 and np.isfinite(row).all()
            ]
        }

    def lines(self, output: np.ndarray, labels: Labels, options: TaskOptions, top: int) -> list[str]:
        """The best boxes with at least the score threshold: score, class, left, top, right, bottom."""
        import numpy as np

        found = self.describe_output(output, None, labels)["boxes"]
        counted = [box for box in found if np.float32(box["score"]) >= np.float32(options.score_threshold)]
        boxes = sorted(counted, key=lambda box: -box["score"])[:top]
        names = dict(enumerate(labels.class_labels))
        said = [(100 * box["score"], names.get(box["class"], str(box["class"])), *box["box"]) for box in boxes]
        words = [f"{score:6.2f} %  {name}  {x0:.1f} {y0:.1f} {x1:.1f} {y1:.1f}" for score, name, x0, y0, x1, y1 in said]
        if found and not counted:
            return [f"nothing was found with a score of {options.score_threshold:g} or more"]
        return words or ["nothing was found"]

    def renumbered(self, label: np.ndarray, places: np.ndarray, ignored: int) -> np.ndarray:
        """Boxes (m,): those of (n,) whose class the model knows, with its numbers, and regions to be ignored, of any class."""
        import numpy as np

        has_class = (label["class"] >= 0) & (label["class"] < len(places))
        numbers = np.where(has_class, places[np.where(has_class, label["class"], 0)], NO_CLASS)
        kept = (numbers >= 0) | region_of_any(label)
        found = label[kept].copy()
        found["class"] = np.maximum(numbers[kept], NO_CLASS)
        return found

    def class_counts(self, label: np.ndarray, classes: int, ignored: int) -> np.ndarray:
        return class_counts([label["class"][~region_of_any(label)]], classes)

    def words_of(self, options: TaskOptions) -> str:
        return f"Precision and recall count boxes with a score of at least {options.score_threshold:g}."

    def comparable(self, output: np.ndarray, truth: np.ndarray, scale: float) -> tuple[Any, Any]:
        """A list of one picture's detections (n, 6) and one of its boxes (m,), in pixels."""
        return [output], [truth]

    def restored(self, output: np.ndarray, origin: Origin) -> np.ndarray:
        """Boxes (n, 6) in the pixels of the given picture."""
        return origin.boxes(output)

    def example(self) -> tuple[Labels, np.ndarray, np.ndarray]:
        import numpy as np

        from digits.storage.records.reader import BOX_DTYPE

        truth = np.array([[(2, 3, 9, 11, 0, 0), (12, 1, 20, 8, 1, 0)], [(0, 0, 6, 6, 1, 0), (8, 8, 15, 19, 0, 0)]], BOX_DTYPE)
        rows = [[[*(float(box[n]) for n in ("x0", "y0", "x1", "y1")), 1.0, float(box["class"])] for box in one] for one in truth]
        return Labels("boxes", None, class_labels=("cat", "dog"), feature_shape=(3, 24, 24)), np.array(rows), truth


def region_of_any(boxes: np.ndarray) -> np.ndarray:
    """Which boxes (n,) of `BOX_DTYPE` are regions to be ignored whatever is found there: bool (n,)."""
    import numpy as np

    from digits.storage.records.boxes import BOX_IGNORED

    return np.asarray(boxes["flags"] & BOX_IGNORED != 0)
