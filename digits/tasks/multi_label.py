"""Multi-label classification: any number of classes for each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from digits.domain.training import TaskOptions
from digits.tasks.base import CLASSES, Guess, Labels, Task
from digits.tasks.regression import mean_of
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np

    from digits.metrics.analysis.base import Analysis
    from digits.metrics.base import Metric

THRESHOLD = 0.5  # where none is given and none was chosen
TOP = 5  # labels that a description of an output names at least
NAMED = 20  # labels that a message names at most
NONE = "none of them"


def names_in(label: np.ndarray, names: Sequence[str]) -> str:
    """The names of the classes that a label (K,), 0 or 1 each, has."""
    return ", ".join(name for name, value in zip(names, label.ravel(), strict=False) if value > 0) or NONE


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
    options = ("label_thresholds",)
    unknown_words = "They are left out; the other labels of the same pictures count."
    missing_words = "what the model says of them is left out"

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

    def option_problems(self, options: TaskOptions, class_labels: Sequence[str]) -> dict[str, str]:
        given, wanted = len(options.label_thresholds), len(class_labels)
        if given in (0, 1, wanted):
            return {}
        order = ", ".join(class_labels[:NAMED]) + (", …" if wanted > NAMED else "")
        message = f"{given} thresholds for {wanted} labels. Give one for all, or one for each in this order: {order}."
        return {"label_thresholds": message}

    def settled(self, options: TaskOptions, class_labels: Sequence[str]) -> TaskOptions:
        return replace(options, label_thresholds=for_each(options.label_thresholds or (THRESHOLD,), len(class_labels)))

    def output_problem(self, shape: tuple[int, ...], labels: Labels, size: tuple[int, ...]) -> tuple[str, str] | None:
        if len(shape) == 1 and shape[0] >= len(labels.class_labels):
            return None
        return f"the data set has {len(labels.class_labels)} labels", "Let the last layer give context.num_classes scores."

    def metrics(self, labels: Labels, options: TaskOptions | None = None, scale: float | None = None) -> list[Metric]:
        """At the thresholds of the options; without any, at those that are best for what is measured."""
        from digits.metrics.multi_label import LabelPrecision

        given = options.label_thresholds if options else ()
        names = labels.class_labels
        return [LabelPrecision(names, dict(zip(names, for_each(given, len(names)), strict=False)), labels.missing)]

    def analysis(self, labels: Labels | None, model: Labels, *, in_mm: bool = False) -> Analysis:
        from digits.metrics.analysis.classes import LabelAnalysis

        return LabelAnalysis(model.class_labels, labels.missing if labels is not None else ())

    def with_thresholds(self, options: TaskOptions, class_labels: Sequence[str], chosen: Mapping[str, float]) -> TaskOptions:
        if not any(label in chosen for label in class_labels):
            return options
        own = self.settled(options, class_labels).label_thresholds
        return replace(options, label_thresholds=tuple(chosen.get(n, t) for n, t in zip(class_labels, own, strict=True)))

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        """The share of each label, for every picture: probabilities (N, K), and scores (N, K) whose sigmoids they are."""
        import numpy as np

        share = mean_of(part.astype(np.float64) for part in training())
        least = np.finfo(np.float32).tiny
        scores = np.log(np.maximum(share, least)) - np.log(np.maximum(1 - share, least))
        words = "how frequent each label is, for every picture"
        return [
            Guess(
                lambda _, truth: np.broadcast_to(share, truth.shape),
                words,
                scores=lambda truth: np.broadcast_to(scores, truth.shape),
            )
        ]

    def describe_label(self, label: np.ndarray, labels: Labels) -> str:
        """The names of its classes; the label is (K,), 0 or 1 each."""
        return names_in(label, labels.class_labels)

    def describe_output(
        self, output: np.ndarray, truth: np.ndarray | None, labels: Labels, options: TaskOptions | None = None
    ) -> dict[str, Any]:
        """Of an output and a truth (K,): `top` (`[label, percent]`, best first), in the same order their `thresholds` in percent,
        `found` (labels with at least their threshold), `true` (None where no truth is known) and `correct`: whether the two are
        the same, but for labels of which nothing is known (None where no truth is)."""
        import numpy as np

        names = labels.class_labels
        scores = output.ravel()[: len(names)]
        thresholds = self.settled(options or TaskOptions(), names[: len(scores)]).label_thresholds
        found = scores >= np.array(thresholds)
        real = None if truth is None else filled(truth, len(scores)) > 0
        told = np.isin(np.arange(len(scores)), labels.missing, invert=True)
        best = (-scores).argsort(kind="stable")[: max(TOP, int(found.sum()))]
        same = None if real is None else bool((found == real)[told].all() and np.isfinite(scores).all())
        return {
            "top": [[names[i], finite(100 * float(scores[i]))] for i in best],
            "thresholds": [100 * thresholds[i] for i in best],
            "found": [name for name, value in zip(names, found, strict=False) if value],
            "true": None if real is None else [name for name, value in zip(names, real, strict=False) if value],
            "correct": same,
        }

    def lines(self, output: np.ndarray, labels: Labels, options: TaskOptions, top: int) -> list[str]:
        """The labels that were found, then the best scores, each with the one from which on its label counts."""
        said = self.describe_output(output, None, labels, options)
        rows = list(zip(said["top"], said["thresholds"], strict=True))[:top]
        scores = [(name, -1.0 if percent is None else percent, threshold) for (name, percent), threshold in rows]
        compared = [
            f"{percent:6.2f} % {'>=' if percent >= least else '< '} {least:6.2f} %  {name}" for name, percent, least in scores
        ]
        return [f"found: {', '.join(said['found']) or NONE}", *compared]

    def renumbered(self, label: np.ndarray, places: np.ndarray, ignored: int) -> np.ndarray:
        """A label (k,) of the model's classes up to the last that the data set knows; 0 for those that it does not know, which
        are `Labels.missing`."""
        import numpy as np

        found = np.zeros(max(int(places.max(initial=-1)) + 1, 1), label.dtype)
        found[places[places >= 0]] = label.ravel()[: len(places)][places >= 0]
        return found

    def class_counts(self, label: np.ndarray, classes: int, ignored: int) -> np.ndarray:
        return (filled(label, classes) > 0).astype(float)

    def comparable(self, output: np.ndarray, truth: np.ndarray, scale: float) -> tuple[Any, Any]:
        """Scores and labels (1, K)."""
        scores = output.reshape(1, -1)
        return scores, filled(truth, scores.shape[1])[None]

    def example(self) -> tuple[Labels, np.ndarray, np.ndarray]:
        import numpy as np

        truth = np.array([[1, 0, 1], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.float32)
        return Labels("vector", (3,), "float32", ("cat", "dog", "indoors")), truth * 0.8 + 0.1, truth


def for_each(given: Sequence[float], count: int) -> tuple[float, ...]:
    """One threshold for each of `count` labels, of one for all, one for each, or none."""
    return tuple(given) * count if len(given) == 1 else tuple(given)


def filled(label: np.ndarray, count: int) -> np.ndarray:
    """A label of any shape as float32 (count,), 0 where it says nothing (see `MultiLabel.renumbered`)."""
    import numpy as np

    found = np.zeros(count, np.float32)
    found[: label.size] = label.ravel()[:count]
    return found
