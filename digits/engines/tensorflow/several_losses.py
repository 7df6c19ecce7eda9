"""The losses of one network, each with gradients and an optimizer of its own: one that moves everything, or several of a text's
list (see `engines.network.several_losses`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from digits.domain.metrics import LOSS
from digits.domain.training import Solver
from digits.engines.base import TrainingRun
from digits.engines.network.several_losses import (
    LOSSES,
    GradientHook,
    JointLoss,
    LossOptimizer,
    check_same,
    depends_on_nothing,
    left_out,
    misses_its_variables,
    moves_in,
)
from digits.engines.tensorflow.build import KerasNetwork
from digits.engines.tensorflow.gradients import Gradients, GroupGradients, inverse
from digits.engines.tensorflow.paths import read_optimizers, trainable
from digits.engines.tensorflow.start import keras, tf
from digits.engines.training.setup import report_left_out
from digits.engines.training.totals import LossValue
from digits.engines.training.trace_parts import OPTIMIZER

STEPS = "steps"  # of the optimizers, in a state
ONE = LossOptimizer(LOSS, ())  # of a network with one loss, which moves whatever can be trained
Maker = Callable[[Solver], tuple[Any, float]]  # gives an optimizer and the weight decay that is to be added to gradients


@dataclass(frozen=True)
class Measured:
    """A loss as gradients are taken of it: its `terms` (see `Gradients.terms`), the `weights` (parts,) of all that counts in the
    open group, and whether any data is among it."""

    terms: list[tuple[Any, Any]]
    weights: Any
    counts: Any

    @property
    def is_sound(self) -> Any:
        """Whether all that counts is a number."""
        return tf.reduce_all(
            [tf.math.is_finite(term) if counts is None else tf.math.is_finite(term) | ~counts for term, counts in self.terms]
        )


class LossGroup:
    """One loss: what it moves, with its gradients and its optimizer. What takes or gives tensors is a part of compiled steps."""

    def __init__(
        self, moves: LossOptimizer, model: Any, solver: Solver, make: Maker, *, apart: bool, hook: GradientHook | None
    ) -> None:
        known = {} if moves is ONE else trainable(model)
        self.moves, self.hook = moves, hook
        self.variables = model.trainable_variables if moves is ONE else [known[name] for name in moves.variables]
        self.optimizer, self.decay = make(moves.settled(solver))
        self.optimizer.build(self.variables)
        self.gradients = Gradients(self.variables, self.optimizer.scale_loss, apart=apart)
        self.open: GroupGradients | None = None  # where batches are accumulated

    def accumulate(self, parts: int) -> None:
        """From now on the gradients of several batches are joined, whose loss has so many parts."""
        self.open = GroupGradients(self.variables, parts)

    def measured(self, loss: LossValue, further: int) -> Measured:
        """The loss of the batch that closes a group, within its tape; the last `further` parts are not of the data."""
        weights = tf.stack([part.weight for part in loss.parts])
        weights = weights if self.open is None else self.open.weights + weights
        data = weights[: len(loss.parts) - further]
        return Measured(self.gradients.terms(loss, inverse(weights)), weights, tf.reduce_any(data != 0))

    def parts(self, loss: LossValue) -> tuple[list[list[tuple[Any, Any]]], Any]:
        """As `measured`, of a batch after which others of its group follow: the terms of each part, and the weights."""
        assert self.open is not None
        weights = self.open.weights + tf.stack([part.weight for part in loss.parts])
        factors = inverse(weights)
        terms = [self.gradients.terms(LossValue((part,)), factors[i : i + 1]) for i, part in enumerate(loss.parts)]
        return terms, weights

    def add(self, tape: Any, terms: list[list[tuple[Any, Any]]], weights: Any) -> None:
        """Bring in what `parts` gave."""
        assert self.open is not None
        self.open.add([self.gradients.of(tape, term) for term in terms], weights)

    def closed(self, tape: Any, measured: Measured) -> list[Any]:
        """The gradients of the whole group, which is empty then."""
        found = self.gradients.of(tape, measured.terms)
        return found if self.open is None else self.open.close(found, measured.weights)

    def square_norm(self, gradients: list[Any]) -> Any:
        """The square of their norm over all weights, float32, without what scales them for half precision."""
        scale = tf.cast(self.optimizer.scale_loss(tf.constant(1.0)), tf.float32)
        return tf.add_n([tf.reduce_sum(tf.square(tf.cast(gradient, tf.float32) / scale)) for gradient in gradients])

    def move(self, gradients: list[Any], rate: Any) -> None:
        """A step of the optimizer, at its share of `rate`."""
        moved = gradients if self.hook is None else self._changed(gradients, self.hook)
        if self.decay:
            decay = self.optimizer.scale_loss(tf.constant(self.decay))  # gradients are scaled for half precision
            pairs = zip(moved, self.variables, strict=True)
            moved = [g + tf.cast(decay, g.dtype) * tf.cast(v.value, g.dtype) for g, v in pairs]
        with tf.name_scope(OPTIMIZER):
            self.optimizer.learning_rate.assign(rate if self.moves.rate == 1 else rate * self.moves.rate)
            self.optimizer.apply(moved, self.variables)

    def _changed(self, gradients: list[Any], hook: GradientHook) -> list[Any]:
        """What the text makes of gradients. Those that were scaled for half precision it gets unscaled, and where they
        overflowed the optimizer is to see it."""
        scales = [tf.cast(self.optimizer.scale_loss(tf.constant(1.0)), gradient.dtype) for gradient in gradients]
        plain = [gradient / scale for gradient, scale in zip(gradients, scales, strict=True)]
        made = hook(list(zip(plain, self.variables, strict=True)), self.moves.name)
        found = [tf.cast(new, scale.dtype) * scale for new, scale in zip(made, scales, strict=True)]
        if not isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return found
        sound = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
        return [tf.where(sound, new, gradient) for new, gradient in zip(found, gradients, strict=True)]


class LossGroups:
    """The losses of a training: the one of most networks, until the first batch shows that a text has several."""

    def __init__(self, run: TrainingRun, network: KerasNetwork, make: Maker, *, apart: bool) -> None:
        self.run, self.model = run, network.model
        self.settings: dict[str, Any] = {"make": make, "apart": apart, "hook": network.gradient_hook}
        self.groups = [self._group(ONE)]
        self.several: tuple[LossOptimizer, ...] = ()  # what they move, once it is known that there are several
        self.reached = False  # whether each of them was seen to depend on the network
        self.steps = 0

    def __iter__(self) -> Iterator[LossGroup]:
        return iter(self.groups)

    def _group(self, moves: LossOptimizer) -> LossGroup:
        return LossGroup(moves, self.model, self.run.spec.solver, **self.settings)

    def of(self, loss: LossValue) -> list[tuple[LossGroup, LossValue]]:
        """Each with what it is in a batch."""
        return list(zip(self.groups, loss.apart if isinstance(loss, JointLoss) else (loss,), strict=True))

    def is_due(self, group: LossGroup) -> bool:
        """Whether it moves at the step that is open."""
        return group.moves.is_due(self.steps)

    def form(self, name: str) -> str:
        """The name of a compiled step, in which some losses may move nothing."""
        idle = [group.moves.name for group in self.groups if not self.is_due(group)]
        return f"{name} without {', '.join(idle)}" if idle else name

    def settle(self, loss: JointLoss) -> bool:
        """The losses are those of the first batch, which may be that of a training that goes on; whether they became known."""
        found = read_optimizers(loss.entries, self.model)
        if self.several:
            check_same(found, self.several)
            return False
        self._separate(found)
        report_left_out(self.run, left_out(found, trainable(self.model)))
        return True

    def _separate(self, moves: Sequence[LossOptimizer]) -> None:
        self.several = tuple(moves)
        self.groups = [self._group(one) for one in moves]

    def check_reached(self, tape: Any, loss: LossValue, further: int) -> None:
        """NetworkError where one of several losses has no gradient for anything it is to move; the last `further` parts of each
        are not of the data."""
        if not isinstance(loss, JointLoss) or self.reached:
            return
        for group, value in self.of(loss):
            sums = [part.sum for part in value.parts[: len(value.parts) - further]]
            if not _reaches(tape, sums, group.variables):
                reaches = _reaches(tape, sums, self.model.trainable_variables)
                raise misses_its_variables(group.moves) if reaches else depends_on_nothing(group.moves.name)
        self.reached = True

    @property
    def are_open(self) -> bool:
        """Whether the gradients of several batches are joined."""
        return self.groups[0].open is not None

    @property
    def are_scaled(self) -> bool:
        """Whether gradients are scaled for half precision."""
        return isinstance(self.groups[0].optimizer, keras.optimizers.LossScaleOptimizer)

    @property
    def moments(self) -> list[Any]:
        """The optimizers' own numbers, such as sums of squares."""
        return [variable for group in self.groups for variable in group.optimizer.variables]

    def state(self) -> dict[str, Any]:
        """What the optimizers of several losses move, as JSON; their numbers are variables."""
        return {LOSSES: [asdict(one) for one in self.several], STEPS: self.steps} if self.several else {}

    def load_state(self, state: dict[str, Any]) -> None:
        """The optimizers of a state, whose numbers are still to be put into their variables."""
        if moves := moves_in(state):
            self._separate(moves)
            self.steps = int(state[STEPS])


def _reaches(tape: Any, sums: list[Any], variables: Sequence[Any]) -> bool:
    """Whether numbers that a tape saw depend on variables."""
    return any(found is not None for found in tape.gradient(sums, [variable.value for variable in variables]))
