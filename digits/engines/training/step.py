"""What the training loop needs of a framework: one step, one validation, and its state in bytes.

Holds: with several processes every method is called by all of them in the same order; only rank 0's results are used, and
only rank 0 writes files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.metrics import EPOCH_MEAN, LOSS, Declared, kind_of
from digits.engines.training.batches import Batch
from digits.engines.training.loss_watch import Divergence
from digits.engines.training.stages import StepMeter
from digits.engines.training.totals import Totals as Totals
from digits.engines.training.traces import Recorder
from digits.metrics.base import Finite, Metric

HITS = "accuracy"  # what a step counts while they train


@dataclass(frozen=True)
class Pictures:
    """The records (N,) of a validation in the order in which they were added to its metrics."""

    records: np.ndarray
    metrics: Sequence[Metric]


@dataclass(frozen=True)
class Scores:
    """Values of a validation, their kinds (`loss`, `accuracy`, `other`), what the network text says of its own metrics, and the
    options that were chosen on the validation split (see `Metric.chosen`)."""

    values: dict[str, float]
    kinds: dict[str, str]
    declared: Declared = field(default_factory=dict)
    decides: str = ""  # which of them decides what is best
    chosen: dict[str, Any] = field(default_factory=dict)
    outputs: int = 0
    nonfinite: int = 0  # of the outputs, how many held NaN or infinity
    several: bool = False  # whether the network has several losses with variables of their own
    pictures: Pictures | None = field(default=None, compare=False, repr=False)


def scores_of(
    means: dict[str, float], metrics: Sequence[Metric], losses: Sequence[str], declared: Declared, several: bool = False
) -> Scores:
    """`means` are those of the loss (its names are `losses`) and of the text's own metrics. A metric that could compare no
    output with its label has no value. `several`: see `Scores`."""
    metrics = [metric for metric in metrics if not metric.is_empty]
    measured = {name: value for metric in metrics for name, value in metric.compute().items()}
    values, losses = means | measured, [name for name in losses if name not in measured]
    chosen = {name: value for metric in metrics for name, value in metric.chosen().items()}
    checked = next((metric for metric in metrics if isinstance(metric, Finite)), Finite())
    outputs, nonfinite = checked.outputs, checked.nonfinite
    kinds = kinds_of(values, losses, declared)
    return Scores(values, kinds, declared, chosen=chosen, outputs=outputs, nonfinite=nonfinite, several=several)


def kinds_of(values: Iterable[str], losses: Iterable[str], declared: Declared) -> dict[str, str]:
    """The kind of each output: what a loss gives (`losses`) is a loss."""
    parts = set(losses)
    return {name: kind_of(name, declared, LOSS if name.removeprefix(EPOCH_MEAN) in parts else "") for name in values}


class TrainingStep(ABC):
    """A network with its optimizer on its device."""

    rank: int = 0
    world: int = 1
    learns: bool = True  # whether there are weights to train; where there are none, neither `train_batch` nor `take` is called
    meter: StepMeter | None = None  # set before `train_batch` where the step is to be measured
    smallest_share: int = 0  # records of the process that has the fewest of the batch at hand; set before `train_batch`

    @abstractmethod
    def train_batch(self, batch: Batch, epoch: int, rate: float, weight: float, update: bool) -> None:
        """Forward and backward; with `update`, which closes a group of batches, the optimizer steps at learning rate `rate`.

        The gradients are those of the loss over the whole group and all processes: its sums divided by its weights, once; where
        nothing counts in them, there is no step. `weight` is the batch's part of the records of its group times the number of
        processes, by which an engine of its own may multiply a loss that is a mean over records; of weight 0 is a batch that
        stands in for none, so that all processes take part."""

    @abstractmethod
    def take(self) -> Totals:
        """Sums and weights of scalars of the batches since the last call, over all processes."""

    @abstractmethod
    def healthy(self) -> bool:
        """Whether the losses since the last `take`, the weights and the optimizer's own numbers are all finite."""

    @property
    def spoiled(self) -> bool:
        """Whether the engine knows already, without a look, that the weights are no numbers."""
        return False

    def divergence(self) -> Divergence:
        """What was seen where that is so no more, on any process; of an engine that keeps no losses nothing."""
        return Divergence()

    def training_loss(self, batch: Batch) -> float:
        """The loss of a batch as training has it, of which nothing is kept; 0 of an engine that does not say."""
        return 0.0

    @abstractmethod
    def evaluate(self) -> Scores:
        """Loss and metrics over the whole validation set. Raises JobStopped when requested to stop meanwhile."""

    def loss_of(self, outputs: np.ndarray, targets: np.ndarray) -> Totals | None:
        """What the loss of validations makes of a main output (N, …) and of targets (N, …) as `Task.targets` gives them, both in
        the units of labels or stored pictures; None where the loss is no named one, which may want more than that."""
        return None

    @abstractmethod
    def predict_samples(self, batch: Batch) -> dict[str, np.ndarray]:
        """Outputs of a few records as `Predictor.predict` would give them: float32 (N, …) by name, in the label's units."""

    @abstractmethod
    def snapshot(self, metadata: dict[str, Any]) -> bytes:
        """The file of a snapshot: weights with `metadata` as JSON."""

    @abstractmethod
    def state(self, loop: dict[str, Any]) -> bytes:
        """Everything that the next step depends on, with `loop` (JSON values), as a file's bytes; b"" on other ranks than 0."""

    @abstractmethod
    def load_state(self, path: Path) -> dict[str, Any]:
        """Go back to a saved state; gives the `loop` that was saved."""

    def remember(self) -> Any:
        """What the batches of a group may change before the weights move, such as statistics and random states, for `recall`;
        cheap, since it is called before every group. None of an engine that cannot: its groups are not left in their middle
        without a loss of what was trained since the last checkpoint."""
        return None

    def recall(self, state: Any) -> None:
        """Go back to what `remember` gave; the gradients of the group are void."""
        raise NotImplementedError

    def agree(self, wishes: tuple[bool, ...]) -> tuple[bool, ...]:
        """Rank 0's wishes, known to all processes."""
        return wishes

    def finish(self) -> None:
        """Wait until the device has done what it was told; nothing where that is so anyway."""
        return None

    def graph(self) -> bytes:
        """The computation as a serialized GraphDef; empty where the framework has none."""
        return b""

    def recorder(self) -> Recorder | None:
        """What records execution traces of `train_batch`; None of an engine that cannot."""
        return None
