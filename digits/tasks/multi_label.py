"""Multi-label classification: any number of classes for each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from digits.domain.training import TaskOptions
from digits.tasks.base import CLASSES, Guess, Labels, Task
from digits.tasks.regression import mean_of
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np

    from digits.metrics.base import Metric

THRESHOLD = 0.5  # of a description, which knows of no other
TOP = 5  # labels that a description of an output names
NONE = "none of them"


class MultiLabel(Task):
    """A label is a vector (K,) of 0 and 1, an output a probability for each class by itself (sigmoid of a score)."""

    name = "multi_label"
    aliases = ("multi_label_classification", "multilabel")
    title = "Multi-label classification"
    model_words = "A multi-label classification model"
    unit = "images"
    label_kinds = ("vector",)
    counted = "labels"
    output_kind = CLASSES
    views = ("all-top-k", "all-raw-data")
    losses = ("binary_cross_entropy",)
    picture_metrics = ("f1_micro",)
    scores = "sigmoid"

    def fits(self, labels: Labels) -> bool:
        return labels.kind == "vector" and bool(labels.class_labels)

    def label_of(self, array: np.ndarray) -> tuple[str, np.ndarray] | None:
        """A vector, also where there is only one label: any array with one axis longer than 1, such as (1, 1, K)."""
        return ("vector", array) if array.size and array.size == max(array.shape, default=1) else None

    def nothing_to_learn(self, class_labels: Sequence[str], counts: Sequence[int]) -> tuple[str, str] | None:
        if sum(counts):
            return None
        return "None of the training pictures has a label.", "Check the file of labels, and the names of the pictures in it."

    def label_problem(self, class_labels: Sequence[str], seen: Sequence[int]) -> tuple[str, str, str] | None:
        missing = [name for name, count in zip(class_labels, seen, strict=True) if not count]
        if not missing:
            return None
        return "annotation", missing[0], f"No picture has the label {', '.join(missing[:5])}: it cannot be learned."

    def output_problem(self, shape: tuple[int, ...], labels: Labels, size: tuple[int, ...]) -> tuple[str, str] | None:
        if len(shape) == 1 and shape[0] >= len(labels.class_labels):
            return None
        return f"the data set has {len(labels.class_labels)} labels", "Let the last layer give context.num_classes scores."

    def metrics(
        self, labels: Labels, options: TaskOptions | None = None, validated: Mapping[str, float] | None = None
    ) -> list[Metric]:
        """With thresholds that are chosen on the validation split: in an evaluation those that the snapshot brings."""
        from digits.metrics.multi_label import LabelPrecision

        known = validated or {}
        found = {name: known.get(f"threshold/{name}") for name in labels.class_labels}
        return [LabelPrecision(labels.class_labels, {name: float(v) for name, v in found.items() if v is not None})]

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        """The share of each label, for every picture: scores (N, K)."""
        import numpy as np

        share = mean_of(part.astype(np.float64) for part in training())
        return [Guess(lambda _, truth: np.broadcast_to(share, truth.shape), "how frequent each label is, for every picture")]

    def describe_label(self, label: np.ndarray, class_labels: Sequence[str]) -> str:
        """The names of its classes; the label is (K,), 0 or 1 each."""
        return ", ".join(name for name, value in zip(class_labels, label.ravel(), strict=False) if value > 0) or NONE

    def describe_output(self, output: np.ndarray, truth: np.ndarray | None, class_labels: Sequence[str]) -> dict[str, Any]:
        """`top` (`[label, percent]`, best first) and `correct`: whether exactly the true labels have at least 50 %; both are
        (K,)."""
        scores = output.ravel()[: len(class_labels)]
        best = (-scores).argsort(kind="stable")[:TOP]
        top = [[class_labels[i], finite(100 * float(scores[i]))] for i in best]
        correct = truth is None or bool(((scores >= THRESHOLD) == (truth.ravel()[: len(scores)] > 0)).all())
        return {"top": top, "correct": correct}

    def renumbered(self, label: np.ndarray, places: np.ndarray, ignored: int) -> np.ndarray:
        """A label (k,) of the model's classes up to the last that the data set knows; 0 for those that it does not know."""
        import numpy as np

        found = np.zeros(max(int(places.max(initial=-1)) + 1, 1), label.dtype)
        found[places[places >= 0]] = label[places >= 0]
        return found

    def comparable(self, output: np.ndarray, truth: np.ndarray, scale: float) -> tuple[Any, Any]:
        import numpy as np

        scores = output.reshape(1, -1)
        real = np.zeros(scores.shape, np.float32)
        real[0, : min(truth.size, scores.shape[1])] = truth.ravel()[: scores.shape[1]]
        return scores, real

    def example(self) -> tuple[Labels, np.ndarray, np.ndarray]:
        import numpy as np

        truth = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
        return Labels("vector", (3,), "float32", ("cat", "dog", "indoors")), truth * 0.8 + 0.1, truth
