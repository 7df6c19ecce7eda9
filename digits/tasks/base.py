"""The contract of a task: the one home of what "segmentation" or "regression" means.

Holds for every task:

* An instance has no state and is shared by threads; importing a task loads neither NumPy's users nor a framework, for the web
  process reads its attributes on every page. What computes imports when it is called.
* `name` is what job folders, records, snapshots, plugins (`get_task()`) and network texts (`context.task`) store and never
  changes; `title` is the word on pages. `aliases` are other names that are understood wherever one is read.
* A method that depends on the data gets `Labels`. Labels that a task cannot be about (a regression on boxes, classes without
  names) make another task of it: call `digits.tasks.of(name, labels)`, never a label's kind.
* Arrays are NumPy: outputs as a predictor gives them, labels as `RecordReader.labels` gives them. One picture has no batch axis.
* Metrics hand up sums and weights; the mean is taken once, over a whole split and all processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from digits.domain.datasets import IGNORED, TRAIN_DB, DatasetInfo, RecordMeta, columns_in, ignored_in
from digits.domain.training import TaskOptions

if TYPE_CHECKING:
    import numpy as np

    from digits.images.place import Origin
    from digits.metrics.analysis.base import Analysis
    from digits.metrics.base import Metric, Report

NONE_IGNORED = -100  # a label that never occurs, for tasks in which every label counts
MOST_IN_A_LINE = 20  # numbers
CLASSES, MAP, BOXES, PICTURES, NUMBERS = "classes", "map", "boxes", "pictures", "numbers"  # what an output is, in JSON


@dataclass(frozen=True)
class Guess:
    """An answer without learning: `answer(features, targets)` gives outputs for a batch; `words` say what it answers. Features
    are given only to a guess that `sees_pictures`. `scores(targets)` are those (N, K, …) of a network that answers so, for the
    loss, where they are something else than the answer."""

    answer: Callable[[Any, Any], Any]
    words: str
    sees_pictures: bool = False
    scores: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Labels:
    """The labels of a data set as its records store them, or those that a snapshot was trained on.

    `kind`, `shape` and `dtype` are those of `RecordMeta`; `feature_shape` is (C, H, W), None where pictures differ. `ignored` is
    the class index of what counts nowhere, `columns` the names of the numbers of a vector, `missing` the classes of which they
    say nothing: those of a model that another data set does not have.
    """

    kind: str = "index"
    shape: tuple[int, ...] | None = ()
    dtype: str = "int64"
    class_labels: tuple[str, ...] = ()
    feature_shape: tuple[int, ...] | None = None
    feature_dtype: str = "uint8"
    ignored: int = IGNORED
    columns: tuple[str, ...] = ()
    missing: tuple[int, ...] = ()

    @classmethod
    def of_records(cls, meta: RecordMeta, info: DatasetInfo | None = None) -> Labels:
        """Of a split; the data set knows the classes also where the records only have numbers."""
        return cls(
            kind=meta.label_kind,
            shape=meta.label_shape,
            dtype=meta.label_dtype,
            class_labels=tuple(info.class_labels if info is not None else meta.class_labels),
            feature_shape=meta.feature_shape,
            feature_dtype=meta.feature_dtype,
            ignored=info.ignored if info is not None else IGNORED,
            columns=columns_in(info.extra) if info is not None else (),
        )

    @classmethod
    def of_dataset(cls, info: DatasetInfo) -> Labels:
        """Of the training split; of plain numbers where there is none."""
        train = info.splits.get(TRAIN_DB)
        return cls.of_records(train.meta, info) if train is not None else cls(class_labels=tuple(info.class_labels))

    @classmethod
    def of_snapshot(cls, meta: Mapping[str, Any]) -> Labels:
        """Of what travels with the weights of a model (`preprocessing.json`); empty before the training has begun."""
        shape, stored = meta.get("label_shape", ()), meta.get("stored_shape")
        return cls(
            kind=str(meta.get("label_kind", "index")),
            shape=None if shape is None else tuple(shape),
            class_labels=tuple(meta.get("class_labels", ())),
            feature_shape=tuple(stored) if stored else None,
            feature_dtype=str((meta.get("preparation") or {}).get("dtype", "uint8")),
            ignored=ignored_in(meta.get("image") or {}),
            columns=columns_in(meta.get("image") or {}),
        )

    @property
    def is_whole(self) -> bool:
        """Whether a label is one whole number, of a class where classes have names."""
        return self.kind == "index"

    @property
    def are_shown(self) -> bool:
        """Whether labels are shown as pictures: over the picture they belong to, or beside it."""
        return self.kind in ("map", "array", "boxes")

    @property
    def is_picture(self) -> bool:
        """Whether a label has height and width: (C, H, W), or of several sizes."""
        return self.shape is None or (len(self.shape) == 3 and min(self.shape[1:]) > 1)


class Task(ABC):
    """One task. The attributes come first, then the methods in the order in which a job calls them."""

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str]  # on pages, e.g. "Object detection"
    model_words: ClassVar[str]  # a model of this task, at the start of a sentence
    dataset_type: ClassVar[str] = ""  # R's `type_name` of a data set; empty: the title of its source
    model_type: ClassVar[str] = "Generic Image Model"  # R's `type_name` of a model
    area: ClassVar[str] = "generic"  # R's part of the addresses: /datasets/images/<area>, /models/images/<area>
    form_title: ClassVar[str] = "New Image Model"  # of its area's form of a new model
    has_labels_file: ClassVar[bool] = False  # R's JSON of a model names the file of class labels and the resize mode
    unit: ClassVar[str] = "entries"  # what progress counts while records are made
    parts: ClassVar[tuple[str, str]] = ("Class", "Classes")  # what a metric is also told of one by one, as heads of tables
    counted: ClassVar[str] = ""  # what statistics count of the classes: "records", "pixels", "boxes", "labels", "" (nothing)
    label_kinds: ClassVar[tuple[str, ...]]  # kinds of labels in records that fit, the usual one first
    output_kind: ClassVar[str]  # what an output is: one of the five words above, in JSON and in the pages' code
    views: ClassVar[tuple[str, ...]]  # view extensions that fit, the one to propose first
    losses: ClassVar[tuple[str, ...]] = ()  # names of `engines.network.losses`, the default first; (): the network brings its own
    picture_metrics: ClassVar[tuple[str, ...]] = ()  # columns of an evaluation: metrics of one picture
    of_places: ClassVar[bool] = False  # an output belongs to places of the picture, so sizes are squashed and results restored
    has_background: ClassVar[bool] = True  # the first class may be what is not looked for, drawn black
    scores: ClassVar[str] = ""  # how scores of classes become probabilities: "softmax", "sigmoid", "" (no scores)
    index_targets: ClassVar[bool] = False  # targets are class indices, not numbers
    moves: ClassVar[str] = ""  # how augmentation moves a label with its picture: "map" (nearest class), "picture", "boxes", ""
    told_by_name: ClassVar[bool] = False  # the line of a list, or the folder a file lies in, can give its label
    counts_hits: ClassVar[bool] = False  # accuracy is reported while training too
    weighs_classes: ClassVar[bool] = False  # the loss can weigh classes
    restores_input: ClassVar[bool] = False  # without labels the picture itself is learnt, so outputs are in its units
    unknown_words: ClassVar[str] = ""  # a sentence: how evaluations count true classes that the model does not know
    missing_words: ClassVar[str] = ""  # the end of one: how they count the model's classes that another data set does not have
    options: ClassVar[tuple[str, ...]] = ()  # fields of the model form that only this task has

    def fits(self, labels: Labels) -> bool:
        """Whether these labels are what the task is about."""
        return labels.kind in self.label_kinds

    def has_labels(self, labels: Labels) -> bool:
        """Whether there are labels; without them a picture is compared with itself."""
        return labels.kind != "none"

    def compared(self, labels: Labels) -> Labels:
        """What outputs are measured against: the labels, or the picture as it is stored where it is its own label."""
        if self.has_labels(labels) or labels.kind not in self.label_kinds:
            return labels
        return replace(labels, kind="array", shape=labels.feature_shape, dtype=labels.feature_dtype)

    def adopts(self, labels: Labels) -> bool:
        """Whether labels that do not fit the task they were given are this one's."""
        return False

    def takes_network(self, tasks: Sequence[str]) -> bool:
        """Whether a network made for these tasks (names) can be trained for this one."""
        return self.name in tasks

    def networks_task(self, labels: Labels) -> str:
        """The name of the task whose networks fit these labels."""
        return self.name

    # -- ingest -------------------------------------------------------------------------------------------------

    def claims(self, kind: str, has_classes: bool) -> bool:
        """Whether samples whose source names no task are this task's, by the kind of their labels."""
        return False

    def label_of(self, array: np.ndarray) -> tuple[str, np.ndarray] | None:
        """(kind, array) of a source's label, an array of numbers of any shape, where this task reads it in its own way; None:
        by its shape alone."""
        return None

    def nothing_to_learn(self, class_labels: Sequence[str], counts: Sequence[int]) -> tuple[str, str] | None:
        """(message, advice) where the objects (or pixels, labels) of each class in the training split leave nothing to learn."""
        return None

    def label_problem(self, class_labels: Sequence[str], seen: Sequence[int]) -> tuple[str, str, str] | None:
        """(kind, entry, reason) of a problem that only the counts over all splits show; `seen` follows the classes."""
        return None

    # -- training -----------------------------------------------------------------------------------------------

    def option_problems(self, options: TaskOptions, class_labels: Sequence[str]) -> dict[str, str]:
        """Messages by field of the model form where an option does not fit the classes."""
        return {}

    def settled(self, options: TaskOptions, class_labels: Sequence[str]) -> TaskOptions:
        """The options as they hold for weights for which nothing was chosen on a validation split."""
        return options

    def own_options(self, options: TaskOptions) -> dict[str, Any]:
        """Those of the options that this task has, by name: what snapshots and evaluations keep of them."""
        return {name: getattr(options, name) for name in self.options}

    @property
    def default_loss(self) -> str:
        """The loss of a network text that brings none; empty where the network must."""
        return self.losses[0] if self.losses else ""

    def ignored_index(self, labels: Labels) -> int:
        """The class index that counts neither in the loss nor in metrics."""
        return NONE_IGNORED

    def follows_picture(self, labels: Labels) -> bool:
        """Whether labels are arrays of the picture's size, cropped and moved with it."""
        return False

    def label_scale(self, labels: Labels) -> float:
        """What targets are divided by and outputs multiplied: full scale of arrays (C, H, W) of integers, 1 for all else."""
        import numpy as np

        dtype = np.dtype(labels.dtype)
        has_places = labels.kind in ("map", "array") if labels.shape is None else len(labels.shape) == 3
        return float(np.iinfo(dtype).max) if has_places and np.issubdtype(dtype, np.integer) else 1.0

    def targets(self, labels: Any) -> np.ndarray:
        """Labels (N, …) of a batch, as `RecordReader.labels` gives them, as the loss takes them: int64 class indices, or
        float32 (not yet scaled)."""
        import numpy as np

        return np.asarray(labels).astype(np.float32)

    def output_problem(self, shape: tuple[int, ...], labels: Labels, size: tuple[int, ...]) -> tuple[str, str] | None:
        """(what is needed, advice) where an output (without batch axis) cannot be compared with the labels; `size` is (H, W) of
        the input. None where it can."""
        if labels.shape is None or _volume(shape) == _volume(labels.shape):
            return None
        wanted = "×".join(map(str, labels.shape)) or "1"
        return (
            f"the labels are {wanted}",
            "Let the output have the shape context.label_shape, or write a loss(outputs, targets) of your own.",
        )

    def metrics(self, labels: Labels, options: TaskOptions | None = None, scale: float | None = None) -> list[Metric]:
        """New metrics of outputs against labels (see `compared`). `options` are those of the training; in an evaluation those of
        the snapshot, with what was chosen on the validation split. `scale` is what both were divided by, `label_scale` unless
        given."""
        return []

    def guesses(self, labels: Labels, training: Callable[[], Iterable[np.ndarray]], counts: Sequence[int]) -> list[Guess]:
        """Trivial answers made from the training labels alone, of which the best is the baseline.

        `training()` gives arrays (n, …) of some training labels, `counts` the records of each class where they were counted.
        """
        return []

    def activation(self, labels: Labels) -> str:
        """How outputs become probabilities of the classes: "softmax", "sigmoid", or empty where they are no scores of classes."""
        return self.scores if labels.class_labels else ""

    def value_names(self, labels: Labels) -> tuple[str, ...]:
        """The names of the numbers of an output, where it is such and the data set names them."""
        return ()

    @property
    def answers_join(self) -> bool:
        """Whether answers to parts of a picture, or to a mirrored one, can be put together: numbers may mean places in it, or
        sums over it, of which nobody knows how they turn."""
        return self.output_kind != NUMBERS

    # -- outputs ------------------------------------------------------------------------------------------------

    def kept(self, output: np.ndarray) -> np.ndarray:
        """What is kept of a predictor's output of one picture: (K,), (K, H, W), (n, 6) or (…), float32."""
        return output

    def shown(self, output: np.ndarray, dtype: Any) -> np.ndarray:
        """An output of one picture, (K,), (K, H, W), (n, 6) or (…), as the samples of a training keep it; `dtype` is the type
        of what it is compared with."""
        return output

    def size_of(self, output: np.ndarray) -> list[int]:
        """Width and height of the picture in pixels, as far as a kept output (…, H, W) says."""
        return list(output.shape[:-3:-1])

    @abstractmethod
    def describe_label(self, label: np.ndarray, labels: Labels) -> Any:
        """A label of one record, as `RecordReader.labels` gives it, for a page, as JSON: a number, (K,), (C, H, W), or boxes
        (n,) of `BOX_DTYPE`."""

    @abstractmethod
    def describe_output(
        self, output: np.ndarray, truth: np.ndarray | None, labels: Labels, options: TaskOptions | None = None
    ) -> dict[str, Any]:
        """A kept output for a page, as JSON, with what only a truth says. Shapes are those of `kept` and `describe_label`,
        e.g. (K,) and a number, or (H, W) and (1, H, W). `options` are those of the weights that gave it, as in `metrics`."""

    def lines(self, output: np.ndarray, labels: Labels, options: TaskOptions, top: int) -> list[str]:
        """A kept output, (K,), (H, W), (n, 6) or (…), in words, a line each, for a terminal; of what has an order the `top`
        best."""
        import numpy as np

        known = output[np.isfinite(output)]
        if 0 < known.size == output.size <= MOST_IN_A_LINE:
            return [" ".join(f"{number:.6g}" for number in output.ravel())]
        shape = "×".join(map(str, output.shape))
        return [
            f"{shape} numbers from {known.min():.6g} to {known.max():.6g}" if known.size else f"{shape} values, none a number"
        ]

    # -- evaluation ---------------------------------------------------------------------------------------------

    def renumbered(self, label: np.ndarray, places: np.ndarray, ignored: int) -> np.ndarray:
        """A label of a data set with other classes, of the shape it has there, as the model's; `places` (K,) int64 has the number
        of each there as `digits.domain.classes` has it, negative for those that the model does not know. `ignored` is the index
        that does not count: it becomes `NO_CLASS`."""
        return label

    def class_counts(self, label: np.ndarray, classes: int, ignored: int) -> np.ndarray:
        """How often a label, as `RecordReader.labels` gives it, has each class: float64 (K,), in what the task counts
        (`counted`). What is to be ignored is of none."""
        import numpy as np

        return np.zeros(classes)

    def words_of(self, options: TaskOptions) -> str:
        """A sentence on what metrics that were counted with these options mean; empty where nothing is left to say."""
        return ""

    def report(self, labels: Labels | None, model: Labels, options: TaskOptions, scale: float, top_n: int) -> Report:
        """A new report of an evaluation: what is kept of each picture, and what all add up to. `labels` are the truth's with the
        model's classes, None where there is none, `model` those it was trained on; `options` as in `metrics`, `scale` as in
        `comparable`; `top_n` pictures are named of each class, where there is one for each picture."""
        from digits.tasks.picture_report import PictureReport

        return PictureReport(
            self.picture_metrics if labels is not None else (),
            lambda: self.metrics(labels, options, scale) if labels is not None else [],
            lambda output, truth: self.comparable(output, truth, scale),
        )

    def analysis(self, labels: Labels | None, model: Labels, *, in_mm: bool = False) -> Analysis:
        """What an evaluation tells beyond its metrics, of labels as in `report`; `in_mm`: the size of some pixels is known."""
        from digits.metrics.analysis.base import Analysis

        return Analysis()

    def with_thresholds(self, options: TaskOptions, class_labels: Sequence[str], chosen: Mapping[str, float]) -> TaskOptions:
        """The options with the thresholds that were chosen for a model, by label (empty: for all), where the task has such."""
        return options

    def comparable(self, output: np.ndarray, truth: np.ndarray, scale: float) -> tuple[Any, Any]:
        """A kept output (…) and its truth (…) of as many numbers, as batches (1, …) of one for the metrics, both divided by
        `scale`. DataError where they cannot be compared."""
        import numpy as np

        from digits.errors import DataError

        if output.size != truth.size:
            raise DataError(
                f"The model gives outputs of shape {output.shape}, the labels of this data set have {truth.shape}.",
                advice="Evaluate on a data set whose labels have the shape of those the model was trained on.",
            )
        return (output / scale)[None], (truth.astype(np.float64).reshape(output.shape) / scale)[None]

    def restored(self, output: np.ndarray, origin: Origin) -> np.ndarray:
        """A kept output, (…, h, w) or boxes (n, 6), of what was prepared, as it lies in the picture that it was made of."""
        return output

    # -- tests --------------------------------------------------------------------------------------------------

    @abstractmethod
    def example(self) -> tuple[Labels, np.ndarray, np.ndarray]:
        """Labels with a perfect output (N, …) and the truth (N, …) that it is for, as metrics take them."""


def lies_over(labels: Labels) -> bool:
    """Whether labels are arrays of their picture's height and width."""
    if labels.shape is None:
        return labels.kind in ("map", "array")  # of several sizes, as their pictures
    if len(labels.shape) != 3:
        return labels.kind == "map"
    return labels.feature_shape is not None and labels.shape[1:] == labels.feature_shape[1:]


def _volume(shape: Iterable[int]) -> int:
    volume = 1
    for size in shape:
        volume *= size
    return volume
