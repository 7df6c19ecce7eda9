"""Classification: one class for each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from digits.domain.classes import NO_CLASS
from digits.domain.training import TaskOptions
from digits.tasks.base import CLASSES, NONE_IGNORED, Guess, Labels, Task
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np

    from digits.metrics.analysis.base import Analysis
    from digits.metrics.base import Metric, Report

TOP = 3  # classes that a description of an output names


class Classification(Task):
    """A label is the index of a class (int64), an output scores of the classes (N, K); scores beyond them do not count."""

    name = "classification"
    title = "Classification"
    model_words = "An image classification model"
    dataset_type = "Image Classification Dataset"
    model_type = "Image Classification Model"
    area = "classification"
    form_title = "New Image Classification Model"
    has_labels_file = True
    unit = "images"
    label_kinds = ("index",)
    counted = "records"
    output_kind = CLASSES
    views = ("all-top-k", "all-raw-data")
    losses = ("cross_entropy", "focal")
    scores = "softmax"
    index_targets = True
    told_by_name = True
    counts_hits = True
    weighs_classes = True
    unknown_words = "These pictures are predicted, and left out of every metric."
    missing_words = "a picture that is taken for one of them counts as wrong"

    def fits(self, labels: Labels) -> bool:
        return labels.kind == "index" and bool(labels.class_labels)

    def adopts(self, labels: Labels) -> bool:
        return self.fits(labels)

    def claims(self, kind: str, has_classes: bool) -> bool:
        return kind == "index" and has_classes

    def targets(self, labels: Any) -> np.ndarray:
        """Class indices int64 (N,)."""
        import numpy as np

        return np.asarray(labels).astype(np.int64, copy=False)

    def output_problem(self, shape: tuple[int, ...], labels: Labels, size: tuple[int, ...]) -> tuple[str, str] | None:
        if len(shape) == 1 and shape[0] >= len(labels.class_labels):
            return None
        return f"the data set has {len(labels.class_labels)} classes", "Let the last layer give context.num_classes scores."

    def metrics(self, labels: Labels, options: TaskOptions | None = None, scale: float | None = None) -> list[Metric]:
        from digits.metrics.accuracy import Accuracy

        return [Accuracy(len(labels.class_labels))]

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        """The scores (N, K) are the logarithms of the shares of the classes, so the first guess is the most frequent one."""
        import numpy as np

        names, counted = labels.class_labels, np.array(counts, np.float64)
        if len(counted) != len(names):
            counted = class_counts(training(), len(names))
        logs = log_shares(counted)
        words = f"always the most frequent class, “{names[int(np.argmax(logs))]}”"
        return [Guess(lambda _, truth: np.broadcast_to(logs, (len(truth), len(names))), words)]

    def describe_label(self, label: np.ndarray, labels: Labels) -> str:
        """The name of its class; the label is a scalar."""
        return class_name(int(label), labels.class_labels)

    def describe_output(
        self, output: np.ndarray, truth: np.ndarray | None, labels: Labels, options: TaskOptions | None = None
    ) -> dict[str, Any]:
        """`top` (`[label, percent]`, best first; empty where the scores are no numbers) and `correct`, as accuracy counts it
        (None where no truth is known), of probabilities (K,) and a scalar."""
        import numpy as np

        from digits.metrics.accuracy import comparable, rank

        scores = output.ravel()[: len(labels.class_labels)]
        best = (-scores).argsort(kind="stable")[:TOP] if comparable(scores[None])[0] else ()
        top = [[labels.class_labels[i], finite(100 * float(scores[i]))] for i in best]
        real = -1 if truth is None else int(truth)
        hit = 0 <= real < len(scores) and bool(rank(scores[None], np.array([real]))[0] == 0)
        return {"top": top, "correct": None if truth is None else hit}

    def lines(self, output: np.ndarray, labels: Labels, options: TaskOptions, top: int) -> list[str]:
        """The most probable classes with their percentages."""
        from digits.metrics.accuracy import comparable

        scores = output.ravel()[: len(labels.class_labels)]
        if not comparable(scores[None])[0]:
            return ["the scores are no numbers"]
        return [f"{100 * float(scores[i]):6.2f} %  {labels.class_labels[i]}" for i in (-scores).argsort(kind="stable")[:top]]

    def renumbered(self, label: np.ndarray, places: np.ndarray, ignored: int) -> np.ndarray:
        """The number of its class, a scalar."""
        import numpy as np

        return np.asarray(places[int(label)] if 0 <= int(label) < len(places) else NO_CLASS)

    def class_counts(self, label: np.ndarray, classes: int, ignored: int) -> np.ndarray:
        return class_counts([label.reshape(1)], classes)

    def words_of(self, options: TaskOptions) -> str:
        return "The loss is the mean of −ln of the true class’s probability, without class weights."

    def report(self, labels: Labels | None, model: Labels, options: TaskOptions, scale: float, top_n: int) -> Report:
        from digits.metrics.classification_report import ClassificationReport

        return ClassificationReport(model.class_labels, top_n)

    def analysis(self, labels: Labels | None, model: Labels, *, in_mm: bool = False) -> Analysis:
        from digits.metrics.analysis.classes import ClassAnalysis

        return ClassAnalysis(model.class_labels)

    def comparable(self, output: np.ndarray, truth: np.ndarray, scale: float) -> tuple[Any, Any]:
        """Scores (1, K) and the true class int64 (1,)."""
        import numpy as np

        return output[None], np.array([int(truth)])

    def example(self) -> tuple[Labels, np.ndarray, np.ndarray]:
        import numpy as np

        truth = np.arange(7)
        return Labels(class_labels=tuple("abcdefg")), np.eye(7, dtype=np.float32), truth


def log_shares(counts: np.ndarray) -> np.ndarray:
    """Logarithms, float32 (K,), of the shares of classes that occur so often, (K,): of equally frequent ones the first is ahead
    by the least there is, for equal scores are never right."""
    import numpy as np

    shares = np.maximum(counts / max(counts.sum(), 1), np.finfo(np.float32).tiny)
    logs, before = np.log(shares).astype(np.float32), np.float32(np.inf)
    for k in np.argsort(-counts, kind="stable"):
        logs[k] = before = min(logs[k], np.nextafter(before, np.float32(-np.inf)))
    return logs


def class_name(index: int, class_labels: Sequence[str]) -> str:
    return class_labels[index] if 0 <= index < len(class_labels) else f"class {index}"


def class_counts(parts: Iterable[np.ndarray], classes: int, ignored: int = NONE_IGNORED) -> np.ndarray:
    """How often each class index in [0, K) but `ignored` is among arrays of labels, (n,) or (n, H, W): float64 (K,)."""
    import numpy as np

    counts = np.zeros(classes)
    for part in parts:
        known = (part >= 0) & (part < classes) & (part != ignored)
        counts += np.bincount(part[known].astype(np.int64), minlength=classes)
    return counts
