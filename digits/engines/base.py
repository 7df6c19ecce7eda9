"""The contract of an engine: check a network text, train it on records, load a snapshot and predict.

Holds for every engine:

* Arrays at this border are NumPy, features N,C,H,W in the units the records store (RGB for colour); mean subtraction, scaling
  and cropping happen inside. Predictions are float32 with the batch as first axis.
* A network is a Python text with `build_network(context)` and optionally `loss(outputs, targets)`,
  `metrics(outputs, targets) -> {name: scalar}` and `BATCH_SIZE`. It is code: it runs only in workers and predictors.
* `train` emits events from one process and one thread only (rank 0), writes snapshots and checkpoints atomically, and when it
  finds a checkpoint in the folder goes on from it; on a CPU the metric events then equal those of an undisturbed run.
* Errors are NetworkError (the text), TrainingError (the run; `code` says which kind) or JobStopped (requested to stop).
* An engine may be used from one thread at a time; a Predictor likewise.
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from digits.domain.datasets import DatasetInfo, RecordMeta
from digits.domain.events import Event
from digits.domain.inference import main_output
from digits.domain.training import CHECKPOINT_SECONDS, TrainingSpec
from digits.engines.activity import Motion
from digits.engines.imports import import_for_good
from digits.engines.inside import LooksInside
from digits.errors import BadRequest
from digits.frameworks import Framework, attribute, framework
from digits.storage.files import retry_when_disk_full

if TYPE_CHECKING:
    import numpy as np  # the web process reads the contract too and has no need of it

T = TypeVar("T")


@dataclass(frozen=True)
class NetworkContext:
    """What `build_network` gets to know about the data.

    `input_shape` is (C, H, W) after cropping. `label_shape` is () for a class index, (K,) for a vector, (C, H, W) for a map.
    `num_classes` is 0 where there are no classes. `pretrained` asks the text for its own pretrained weights. `box_sizes` are the
    sides of the training set's boxes in pixels (square root of the area) at the quantiles 5, 25, 50, 75 and 95 %; () unknown.
    `input_scale` is what inputs were divided by: without mean subtraction, input × `input_scale` is the stored value, which
    texts and other data of numbers that mean something need. Where it is not `judged`, no data set is meant: all that is said of
    labels and sizes is an example, and a network that does not fit it is right all the same.
    """

    task: str
    input_shape: tuple[int, int, int]
    num_classes: int = 0
    label_shape: tuple[int, ...] | None = ()
    class_labels: tuple[str, ...] = ()
    label_kind: str = "index"
    pretrained: bool = False
    box_sizes: tuple[float, ...] = ()
    input_scale: float = 1.0
    judged: bool = True


@dataclass(frozen=True)
class LayerRow:
    """One layer of a built network: output shapes are without the batch axis, `parameters` counts its own only."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class NetworkReport:
    """A network text that was built and fed zeros: what came out.

    `graph` is an ONNX file of its steps without weights, in Base64, for a viewer; empty where they are not known.
    """

    parameters: int
    output_shapes: dict[str, tuple[int, ...]]  # without the batch axis
    layers: tuple[LayerRow, ...] = ()
    batch_size: int | None = None  # the text's own `BATCH_SIZE`
    has_loss: bool = False
    has_metrics: bool = False
    warnings: tuple[str, ...] = ()
    graph: str = ""


@dataclass(frozen=True)
class ArrayReport:
    """Statistics of an array. `histogram` is (20 counts, 21 bin edges); `data` the array itself, batch axis taken off."""

    shape: tuple[int, ...]
    mean: float
    std: float
    minimum: float
    maximum: float
    histogram: tuple[tuple[int, ...], tuple[float, ...]]
    data: np.ndarray = field(repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Without `data`. `histogram` is as scripts of the original know it: counts, the centres of the bins, and the edges at
        the start, the middle and the end."""
        counts, edges = self.histogram
        centres = [(low + high) / 2 for low, high in pairwise(edges)]
        return {
            "shape": list(self.shape),
            "mean": self.mean,
            "stddev": self.std,
            "min": self.minimum,
            "max": self.maximum,
            "histogram": [list(counts), centres, [edges[0], edges[len(edges) // 2], edges[-1]]],
        }


@dataclass(frozen=True)
class LayerReport:
    """One layer after a forward pass of one picture; `weights` and `activations` are None where it has none."""

    name: str
    kind: str
    parameters: int
    weights: ArrayReport | None
    activations: ArrayReport | None


@dataclass(frozen=True)
class Suppression:
    """How a detection network suppresses overlapping boxes: of two boxes of a class whose intersection over union is beyond
    `overlap` the worse one goes; at most `most` stay (0: all)."""

    overlap: float
    most: int = 0


@dataclass(frozen=True)
class Candidates:
    """Detections of N pictures before suppression: `boxes` float32 (n, 6) each, best first, the most likely ones; `outputs` is
    what `Predictor.predict` gives for them."""

    outputs: dict[str, np.ndarray]
    boxes: list[np.ndarray]
    suppression: Suppression


class Records(Protocol):
    """The part of `storage.records.RecordReader` that engines use."""

    meta: RecordMeta

    def __len__(self) -> int: ...
    def features(self, indices: np.ndarray) -> np.ndarray:
        """Features (n, C, H, W) of the stored dtype and units of the records `indices` (n,). StorageError where they differ in
        shape."""

    def feature(self, index: int) -> np.ndarray:
        """One feature (C, H, W) of the stored dtype and units."""

    def array(self) -> np.ndarray | None:
        """All features (N, C, H, W) as a read-only memory map; None where there is none."""

    def labels(self, indices: np.ndarray) -> Any:
        """Labels of the records `indices` (n,), by kind: int64 (n,), float32 (n, K), arrays (n, C, H, W), a list of arrays, or
        None."""

    def column(self, name: str, indices: np.ndarray) -> list[Any]:
        """Values of a column, as Python objects, of the records `indices` (n,)."""


def _give_up(error: Exception) -> None:
    print(f"The training was given up: {error}", file=sys.stderr, flush=True)
    os._exit(1)


@dataclass
class TrainingRun:
    """Everything one training gets. `folder` is the model's job folder, `dataset_folder` the data set's.

    `devices` are GPU ids as `CUDA_VISIBLE_DEVICES` numbers them from 0 (empty: CPU); `offset()` is the length of
    `events.jsonl` in bytes; `start_weights` an existing file to begin from, `more_weights` further ones, each over those before
    it. `emit` blocks while the disk is full.

    `should_finish` says whether the training is to end after the next step, as done.

    `report_silence` is told in words which processes of the training show no sign of life or hold up the others (empty: none);
    `give_up` ends this process, from any thread, as if `train` had raised the error. `motion` counts what the thread does that
    made this object, which is the one that trains.
    """

    spec: TrainingSpec
    folder: Path
    dataset_folder: Path
    info: DatasetInfo
    train: Records
    val: Records | None
    emit: Callable[[Event], int]
    offset: Callable[[], int] = lambda: 0
    should_stop: Callable[[], bool] = lambda: False
    should_finish: Callable[[], bool] = lambda: False
    devices: tuple[str, ...] = ()
    threads: int = 0
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    start_weights: Path | None = None
    more_weights: tuple[Path, ...] = ()
    report_silence: Callable[[str], None] = lambda words: None
    give_up: Callable[[Exception], None] = _give_up
    motion: Motion = field(default_factory=Motion)

    @property
    def weight_files(self) -> tuple[Path, ...]:
        """All files of weights to begin from, in the order in which they are read."""
        return () if self.start_weights is None else (self.start_weights, *self.more_weights)

    def retry_when_disk_full(self, work: Callable[[], T]) -> T:
        """Do `work`, which writes below `folder` and may be repeated; see `storage.files.retry_when_disk_full`."""
        return retry_when_disk_full(work, self.folder, emit=self.emit, should_stop=self.should_stop)


class Predictor(LooksInside, ABC):
    """A loaded snapshot. It also looks inside (see `engines.inside`).

    `meta` holds `task`, `class_labels`, `input_shape` (C, H, W after cropping), `stored_shape`, `preparation` (crop, mean,
    std), `image` (how the data set prepares a picture: resize mode, size, channels), `outputs`, `network_name`, `epoch`,
    `options` (settings of the task, as `TaskOptions` names them, with what was chosen on the validation split).
    """

    meta: dict[str, Any]

    @abstractmethod
    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs, float32, for features (N, C, H, W) of the stored dtype, in stored units. Whether it takes other channels or
        sizes than those of the training is for the network to say: whatever it raises goes through.

        Classification: `output` is softmax probabilities (N, K), K the number of class labels (scores beyond are dropped).
        Segmentation: `output` is (N, K, H, W) probabilities. Detection: `boxes` is (N, M, 6): left, top, right, bottom in pixels
        of the given picture, score in [0, 1], class; best first, rows of zeros fill up. Other tasks: raw outputs (N, …) in the
        label's units; of image to image without labels in those of the picture, which is learnt itself.
        """

    def scores(self, batch: np.ndarray) -> np.ndarray:
        """The main output for features as in `predict`, as metrics take it, in an evaluation and in the validation of a training.

        As `predict` gives it, but where one class is chosen: logarithms of the probabilities (N, K), or scores of each pixel
        (N, K, H, W), both as the network gave them, so that no probability is too small for a float32. An engine that cannot
        give them leaves it at the logarithms of what `predict` gives.
        """
        return scores_of(self.predict(batch), self.meta)

    def candidates(self, batch: np.ndarray) -> Candidates | None:
        """Detection: for features (N, C, H, W) in stored units, as `predict`, with the boxes before suppression; None where
        the network does not show them."""
        return None

    @abstractmethod
    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        """Weights and activations of every layer for one feature (C, H, W) in stored units."""

    @abstractmethod
    def close(self) -> None:
        """Give back the memory of the device."""


class Engine(ABC):
    """A framework behind one face. Making one does nothing but import it."""

    name: str  # of its row in `digits.frameworks`, which says what it can do

    @property
    def framework(self) -> Framework:
        """The row."""
        return framework(self.name)

    @abstractmethod
    def check(self, network_text: str, context: NetworkContext) -> NetworkReport:
        """Build the network and feed it zeros. NetworkError says what is wrong and what to write; where the context is not
        `judged`, a network that cannot work with the zeros is reported without shapes."""

    @abstractmethod
    def train(self, run: TrainingRun) -> None:
        """Train to the end or raise. JobStopped when requested to stop (a checkpoint is written first)."""

    @abstractmethod
    def load(self, snapshot: Path, device: str = "cpu") -> Predictor:
        """The predictor of a snapshot file. `device` is `cpu` or `cuda:0`."""

    def arrays(self, snapshot: Path) -> dict[str, np.ndarray]:
        """The weights (of any shape) of a snapshot by name, as they are; empty where the engine does not say."""
        return {}

    def adopt(self, network_text: str, weights: Path, meta: Mapping[str, Any]) -> bytes:
        """The bytes of a snapshot with weights that come from elsewhere: all of them and no others have to fit the network.

        `meta` is what a snapshot says of itself; without class names where there are classes, they are counted in the weights
        and numbered. NetworkError, TrainingError or StorageError where text and weights do not fit each other.
        """
        raise BadRequest(f"{self.framework.title} takes over no weights of other programs here.", advice="Give a snapshot.")


Program = Callable[["np.ndarray"], dict[str, "np.ndarray"]]


class Exporter(ABC):
    """Writes a loaded snapshot as files that other programs run. The list is `digits.engines.exporters`.

    Holds: what is written is the whole predictor. Features of any number of pictures go in as float32 (N, C, H, W), C, H and W
    those of `predictor.meta["stored_shape"]`, in the units that the records store; the crop to the middle, mean, scale and
    whitening are inside, and what `Predictor.predict` gives comes out, under the same names. An exporter runs in a worker process
    that does nothing else, on the CPU. It changes nothing of the predictor that `predict` would show. `options["calibration"]`
    has features (n, C, H, W) of the validation where `calibrated` asks for them.
    """

    name: str  # as in `format=`; lower-case letters, digits and _
    runtime: str = ""  # what `run` works with, in words of a report; empty: the name
    lossy: bool = False  # numbers are rounded by design: how far they are off is reported, not judged
    calibrated: bool = False  # `write` needs pictures of the validation

    @abstractmethod
    def check(self, predictor: Predictor) -> list[str]:
        """Why this predictor cannot be written, each a sentence with what to do; empty where it can."""

    @abstractmethod
    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        """Write into the empty `folder`; the files, the main one first. Only after `check` found nothing; ExportError when it
        fails all the same."""

    @abstractmethod
    def run(self, folder: Path) -> Program:
        """What another program would do with the files of `write`: features (N, C, H, W) float32 → outputs by name, float32."""

    def runs(self, folder: Path) -> dict[str, Program]:
        """All ways to run the files of `write` that are compared and timed, by the name of the runtime; `run` first."""
        return {self.runtime or self.name: self.run(folder)}

    def facts(self, folder: Path) -> dict[str, Any]:
        """What is worth knowing of the files of `write`, as JSON: inputs, versions of the format."""
        return {}

    def needed(self, files: Sequence[Path]) -> list[Path]:
        """Those of the files of `write` without which the main one cannot be used, the main one first; the others are more of
        the same."""
        return list(files)


def get_engine(name: str) -> Engine:
    """The engine of a framework, imported now. BadRequest when it is unknown or not installed."""
    row = framework(name)
    if not row.is_installed:
        raise BadRequest(f"{name} is not installed.", advice=row.install)
    import_for_good(row.engine.partition(":")[0])
    engine: Engine = attribute(row.engine)()
    return engine


def array_report(data: np.ndarray) -> ArrayReport:
    """Statistics of an array of any shape; all zero for an empty one."""
    import numpy as np

    values = np.asarray(data, dtype=np.float64).ravel()
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return ArrayReport(tuple(data.shape), 0.0, 0.0, 0.0, 0.0, ((0,) * 20, tuple(np.linspace(0, 1, 21))), data)
    counts, edges = np.histogram(finite, bins=20)
    return ArrayReport(
        shape=tuple(int(n) for n in data.shape),
        mean=float(finite.mean()),
        std=float(finite.std()),
        minimum=float(finite.min()),
        maximum=float(finite.max()),
        histogram=(tuple(int(c) for c in counts), tuple(float(e) for e in edges)),
        data=data,
    )


def without_batch(output: np.ndarray) -> np.ndarray:
    """What a layer gave for the first picture of a batch (N, …); as it is where it gave a single number or nothing at all, as
    layers after the boxes of a detection do where there are none."""
    first: np.ndarray = output[0] if output.ndim and len(output) else output
    return first


def context_for(spec: TrainingSpec, info: DatasetInfo, meta: RecordMeta, *, pretrained: bool = False) -> NetworkContext:
    """The context a network is built with, from the data set and the crop of the training.

    Raises BadRequest when features differ in shape and no crop makes them equal.
    """
    return NetworkContext(
        task=spec.task,
        input_shape=input_shape(meta, info, spec.crop_size),
        num_classes=len(info.class_labels),
        label_shape=meta.label_shape,
        class_labels=tuple(info.class_labels),
        label_kind=meta.label_kind,
        pretrained=pretrained,
    )


def input_shape(meta: RecordMeta, info: DatasetInfo, crop: int | None) -> tuple[int, int, int]:
    """(C, H, W) of what the network sees: the features', cropped; the first record's own shape is for the caller to know."""
    shape = meta.feature_shape or info.feature_shape
    if shape is None and crop is None:
        raise BadRequest("The pictures of this data set differ in size.", advice="Give a crop size, or resize them all.")
    channels, height, width = shape if shape is not None else (int(info.extra.get("channels", 3)), crop or 0, crop or 0)
    if crop is not None and (crop > height or crop > width):
        raise BadRequest(
            f"The crop of {crop} is larger than the pictures ({height}×{width}).", advice="Choose a smaller crop or none."
        )
    return (channels, crop or height, crop or width)


def scores_of(outputs: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> np.ndarray:
    """The main one of outputs (N, …) as `Predictor.predict` gives them, as metrics take it where nothing better is known:
    logarithms of probabilities (N, K) where one class is chosen, else as it is. `meta` is the predictor's."""
    import numpy as np

    from digits.tasks import Labels, of

    output, labels = main_output(outputs), Labels.of_snapshot(meta)
    if output.ndim == 2 and of(meta["task"], labels).activation(labels) == "softmax":
        return np.log(np.maximum(output, np.finfo(np.float32).tiny))
    return output


def names_of(outputs: Mapping[str, Any] | Sequence[Any] | Any) -> dict[str, Any]:
    """Outputs of a network by name: a mapping as it is, one value as `output`, a sequence as `output`, `output1`, …"""
    if isinstance(outputs, Mapping):
        return dict(outputs)
    if isinstance(outputs, list | tuple):
        return {f"output{i or ''}": value for i, value in enumerate(outputs)}
    return {"output": outputs}
