"""What one training gets: every hyper-parameter, validated, and the text of its network."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from digits.errors import TrainingError
from digits.utils.constants import DEFAULT_BATCH_SIZE

CHECKPOINT_SECONDS = 60  # between rolling checkpoints, where the setting says nothing else
SYNCHRONISED, AVERAGED = "synchronised", "averaged"  # batch normalisation of several processes
FIRST_SQUARES = 0.1  # what the sums of squared gradients begin with in FTRL and AdaGrad with dual averaging


def same_epoch(one: float, other: float) -> bool:
    """Whether two are the same: names of snapshots are rounded to six digits."""
    return f"{one:g}" == f"{other:g}"


@dataclass(frozen=True)
class SolverFacts:
    """Its title, and what momentum (None: it has none) and weight decay are where a training does not give them."""

    title: str
    momentum: float | None = None
    weight_decay: float = 0.0


@dataclass(frozen=True)
class PolicyFacts:
    """Its title, and the parameters that it reads with their values where a training does not give them."""

    title: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


SOLVERS = {
    "SGD": SolverFacts("SGD (stochastic gradient descent)", 0.9, 1e-4),
    "MOMENTUM": SolverFacts("Momentum", 0.9, 1e-4),
    "NESTEROV": SolverFacts("Nesterov's accelerated gradient", 0.9, 1e-4),
    "ADAGRAD": SolverFacts("AdaGrad"),
    "ADADELTA": SolverFacts("AdaDelta"),
    "ADAM": SolverFacts("Adam"),
    "ADAMW": SolverFacts("AdamW", None, 0.01),
    "RMSPROP": SolverFacts("RMSprop", 0.0),
    "FTRL": SolverFacts("FTRL"),
    "ADAGRADDA": SolverFacts("AdaGrad dual averaging"),
}
LR_POLICIES = {
    "fixed": PolicyFacts("Fixed"),
    "step": PolicyFacts("Step down", {"step_size": 33.0, "step_gamma": 0.1}),
    "multistep": PolicyFacts("Step down at given points", {"multistep_values": (50.0, 85.0), "multistep_gamma": 0.5}),
    "exp": PolicyFacts("Exponential decay", {"exp_gamma": 0.95}),
    "inv": PolicyFacts("Inverse decay", {"inv_gamma": 0.1, "inv_power": 0.5}),
    "poly": PolicyFacts("Polynomial decay", {"poly_power": 3.0}),
    "sigmoid": PolicyFacts("Sigmoid decay", {"sigmoid_step": 50.0, "sigmoid_gamma": 0.1}),
    "cosine": PolicyFacts("Half a cosine"),
}


@dataclass(frozen=True)
class LearningRate:
    """Base rate and policy; the parameters keep the names of the form (`step_size` in percent of the training, …). In the first
    `warmup` percent of the training the rate rises evenly to what the policy says."""

    base: float = 0.01
    policy: str = "step"
    parameters: dict[str, Any] = field(default_factory=dict)
    warmup: float = 0.0


@dataclass(frozen=True)
class Solver:
    """Which optimizer with what. None means the solver's own default (see `docs/networks.md`)."""

    type: str = "SGD"
    momentum: float | None = None
    weight_decay: float | None = None
    rms_decay: float = 0.99

    def settled(self) -> tuple[float | None, float]:
        """Momentum (None: it has none) and weight decay, the solver's own where None is given. TrainingError for an unknown
        solver."""
        facts = SOLVERS.get(self.type)
        if facts is None:
            raise TrainingError(f"There is no solver {self.type}.", advice=f"Choose one of {', '.join(SOLVERS)}.", code="solver")
        momentum = facts.momentum if self.momentum is None else self.momentum
        return momentum, facts.weight_decay if self.weight_decay is None else self.weight_decay


OWN_BATCH_SIZE = re.compile(r"^BATCH_SIZE\b[^=\n]*=\s*(?:(\d+)\s*(?:#.*)?$)?", re.MULTILINE)  # in a network text


def text_batch_size(network: str) -> int | None:
    """The batch size of a training where the form has none: what the network text says as `BATCH_SIZE`, else the usual one. None
    where the text computes it, which only running it can tell."""
    own = OWN_BATCH_SIZE.search(network)
    if own is None:
        return DEFAULT_BATCH_SIZE
    return int(own[1]) if own[1] else None


@dataclass(frozen=True)
class Augmentation:
    """The fields of R 3.5, and `shift`. Angles in degrees; `scale`, `noise` and `contrast` are standard deviations, `shift` the
    most that a picture moves across and down, as part of its sides."""

    flip: str = "none"  # none | fliplr | flipud | fliplrud
    quad_rot: str = "none"  # none | rot90 | rot180 | rotall
    rot: float = 0.0
    scale: float = 0.0
    noise: float = 0.0
    contrast: float = 0.0
    whitening: bool = False
    hsv_use: bool = False
    hsv_h: float = 0.02
    hsv_s: float = 0.04
    hsv_v: float = 0.06
    shift: float = 0.0

    @property
    def shifts_colours(self) -> bool:
        """Whether hue, saturation or value is shifted; with deviations of 0 nothing is."""
        return self.hsv_use and any((self.hsv_h, self.hsv_s, self.hsv_v))

    @property
    def active(self) -> bool:
        """Whether pictures of the training are changed at random; whitening is no change at random."""
        numbers = (self.rot, self.scale, self.shift, self.noise, self.contrast)
        return self.flip != "none" or self.quad_rot != "none" or self.shifts_colours or any(numbers)


@dataclass(frozen=True)
class StartWeights:
    """Where the weights come from: `none` (random), `pretrained` (the network's own, when they can be had) or a snapshot.

    A snapshot is a model's `job_id` with `snapshot` (path relative to that job's folder), or an absolute `path`, or several that
    the system's separator of paths (`os.pathsep`) joins: each is laid over those before it. `epoch` is the snapshot's epoch, and
    `best` whether it was that model's best when this training was requested.
    """

    source: str = "none"  # none | pretrained | snapshot | path
    job_id: str = ""
    snapshot: str = ""
    path: str = ""
    epoch: float | None = None
    best: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of `path`; none of another source."""
        return tuple(map(Path, self.path.split(os.pathsep))) if self.source == "path" else ()


@dataclass(frozen=True)
class TaskOptions:
    """Settings that only some tasks read. `class_weights` is one weight a class, `frequency`, `root` or empty (all alike); boxes
    of at least `score_threshold` count for precision and recall; a label counts from its score in `label_thresholds` on: one for
    all, or one each in the order of the classes; empty: chosen on the validation split."""

    class_weights: tuple[float, ...] | str = ""
    score_threshold: float = 0.5
    label_thresholds: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TaskOptions:
        weights, score = value.get("class_weights") or "", value.get("score_threshold")
        return cls(
            weights if isinstance(weights, str) else tuple(weights),
            cls.score_threshold if score is None else float(score),
            tuple(float(threshold) for threshold in value.get("label_thresholds") or ()),
        )


@dataclass(frozen=True)
class TrainingSpec:
    """One training.

    `network` is the text itself (a readable Python file with `build_network(context)`); `network_name` where it came
    from (`lenet`, `timm/resnet18`, `custom`, …). Intervals are in epochs and may be fractions; a `val_interval` of 0 means
    never, a `snapshot_interval` of 0 only at the end. `crop_size` crops at random in training and the centre otherwise.
    `use_mean` is `none`, `image` or `pixel`. `precision` is `32-true`, `16-mixed` or `bf16-mixed`.
    `keep_snapshots` is how many interval snapshots stay (0 all); the best and the last always stay. `best_metric` names the
    validation output that decides (empty: the task's own), `threads` the CPU threads to compute with (0: the slot's). On the
    CPU `cpu_processes` share each batch between them; with GPUs there is one process for each. `batch_norm` of
    several processes is `synchronised` (over all, as one process has it) or `averaged` (each over its own share, statistics
    averaged at each step). `python_layers` is what the Python layer file in the model's folder is called
    (empty: there is none). Every `traces_interval` steps one is recorded (0: none).
    """

    dataset_id: str
    task: str
    framework: str = "pytorch"
    network: str = ""
    network_name: str = "custom"
    epochs: int = 30
    batch_size: int | None = None
    batch_accumulation: int = 1
    snapshot_interval: float = 1.0
    val_interval: float = 1.0
    seed: int | None = None
    shuffle: bool = True
    crop_size: int | None = None
    use_mean: str = "image"
    solver: Solver = field(default_factory=Solver)
    learning_rate: LearningRate = field(default_factory=LearningRate)
    augmentation: Augmentation = field(default_factory=Augmentation)
    start: StartWeights = field(default_factory=StartWeights)
    precision: str = "32-true"
    gpu_count: int = 0
    keep_snapshots: int = 0
    best_metric: str = ""
    threads: int = 0
    cpu_processes: int = 1
    batch_norm: str = SYNCHRONISED
    loss: str = ""  # name of a loss of `engines.network.losses`; empty: the network text's own, else the task's default
    options: TaskOptions = field(default_factory=TaskOptions)
    python_layers: str = ""
    traces_interval: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrainingSpec:
        nested = {
            "solver": Solver(**value.get("solver", {})),
            "learning_rate": LearningRate(**value.get("learning_rate", {})),
            "augmentation": Augmentation(**value.get("augmentation", {})),
            "start": StartWeights(**value.get("start", {})),
            "options": TaskOptions.from_json(value.get("options", {})),
        }
        return cls(**{**value, **nested})
