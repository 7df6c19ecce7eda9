"""Several losses of one network, each with gradients and an optimizer of its own (see `engines.network.several_losses`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from digits.domain.training import Solver
from digits.engines.network.several_losses import (
    LOSSES,
    GradientHook,
    JointLoss,
    LossOptimizer,
    check_same,
    depends_on_nothing,
    left_out,
    misses_its_variables,
    optimizers_of,
)
from digits.engines.pytorch.build import parameters_in, trainable
from digits.engines.pytorch.dynamo import without_dynamo
from digits.engines.pytorch.exchange import gather
from digits.engines.pytorch.gradients import GroupGradients
from digits.engines.pytorch.optimizers import make_optimizer
from digits.engines.training.setup import report_left_out
from digits.engines.training.totals import LossValue


def read_optimizers(loss: JointLoss, module: nn.Module) -> tuple[LossOptimizer, ...]:
    """What each loss of a batch moves. NetworkError where that cannot be, or a loss depends on no variable at all."""
    found = optimizers_of(loss.entries, trainable(module), parameters_in, ".")
    for entry, value in zip(loss.entries, loss.apart, strict=True):
        if not any(part.sum.requires_grad for part in value.parts):
            raise depends_on_nothing(entry.name)
    return found


class LossGroup:
    """One loss: what it moves, with its gradients and its optimizer."""

    def __init__(self, moves: LossOptimizer, module: nn.Module, solver: Solver, rate: float, gradients: Any) -> None:
        self.moves = moves
        known = trainable(module)
        self.parameters = [known[name] for name in moves.variables]
        self.optimizer = make_optimizer(moves.settled(solver), rate, self.parameters, fused=True)
        self.gradients: GroupGradients = gradients(self.parameters, self._backward)
        self.reached = False  # whether it is known to depend on what it moves
        self.keeps_graph = False  # another loss still goes through what the batch computed
        self.counts: Callable[[], bool] = lambda: False  # whether anything does in the group that was closed

    def _backward(self, backward: Callable[..., None], total: Tensor, retain_graph: bool = False) -> None:
        backward(total, inputs=self.parameters, retain_graph=retain_graph or self.keeps_graph)


class SeveralLosses:
    """In the place of one `GroupGradients` and one optimizer: `moves` says what they are, `scaler` scales for half precision.

    Holds: every backward pass ends at the loss's own parameters, and no optimizer steps before all gradients are there.
    """

    def __init__(
        self,
        moves: Sequence[LossOptimizer],
        module: nn.Module,
        solver: Solver,
        rate: float,
        backward: Callable[..., None],
        place: tuple[torch.device, int],
        scaler: Any,
        hook: GradientHook | None,
    ) -> None:
        device, world = place

        def gradients(parameters: list[Tensor], descend: Callable[..., None]) -> GroupGradients:
            return GroupGradients(parameters, partial(descend, backward), device, world)

        self.groups = [LossGroup(one, module, solver, rate, gradients) for one in moves]
        self.scaler, self.hook = scaler, hook
        self.steps = 0

    # -- gradients --------------------------------------------------------------------------------------------------

    def add(self, loss: JointLoss, counts: bool) -> Callable[[], bool]:
        """As `GroupGradients.add`."""
        for group, value in self._due(loss):
            group.gradients.add(value, counts)
        return lambda: False

    def close(self, loss: JointLoss, counts: bool) -> Callable[[], bool]:
        """As `GroupGradients.close`."""
        for group in self.groups:
            group.counts = lambda: False
        due = self._due(loss)
        for group, value in due:
            group.counts = group.gradients.close(value, counts)
        return lambda: True

    def _due(self, loss: JointLoss) -> list[tuple[LossGroup, LossValue]]:
        """The losses that move something at this step, each with its value."""
        pairs = zip(self.groups, loss.apart, strict=True)
        due = [(group, value) for group, value in pairs if group.moves.is_due(self.steps)]
        for group, _ in due:
            group.keeps_graph = group is not due[-1][0]
        return due

    # -- optimizers -------------------------------------------------------------------------------------------------

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [parameters for group in self.groups for parameters in group.optimizer.param_groups]

    @property
    def state(self) -> dict[Any, Any]:
        return {parameter: kept for group in self.groups for parameter, kept in group.optimizer.state.items()}

    def step(self) -> None:
        """Every optimizer whose loss counted moves, at its share of the rate that stands in `param_groups`."""
        moving = [group for group in self.groups if group.counts()]
        check_reached(moving)
        for group in moving:
            for parameters in group.optimizer.param_groups:
                parameters["lr"] *= group.moves.rate
            if self.hook is not None:
                change_gradients(self.hook, group.parameters, group.moves.name, group.optimizer, self.scaler)
        for group in moving:
            step = group.optimizer.step if self.scaler is None else partial(self.scaler.step, group.optimizer)
            step()
        if self.scaler is not None and moving:
            self.scaler.update()
        self.steps += 1

    def clear(self) -> None:
        for group in self.groups:
            group.optimizer.zero_grad()

    # -- state ------------------------------------------------------------------------------------------------------

    @property
    def moves(self) -> tuple[LossOptimizer, ...]:
        return tuple(group.moves for group in self.groups)

    def state_dict(self) -> dict[str, Any]:
        states = [group.optimizer.state_dict() for group in self.groups]
        return {LOSSES: [asdict(one) for one in self.moves], "states": states, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps = int(state["steps"])
        for group, kept in zip(self.groups, state["states"], strict=True):
            group.optimizer.load_state_dict(kept)


def settle(step: Any, loss: JointLoss) -> None:
    """Give a `TorchStep` the optimizers of several losses, as the first batch names them; of a training that goes on it has
    them, and they must be the same."""
    found = read_optimizers(loss, step.module)
    for others in gather(found) if step.world > 1 else ():
        check_same(found, others)
    if isinstance(step.optimizer, SeveralLosses):
        check_same(found, step.optimizer.moves)
    else:
        separate(step, found)
        if step.rank == 0:
            report_left_out(step.run, left_out(found, trainable(step.module)))
    step.settled = True


def separate(step: Any, moves: Sequence[LossOptimizer]) -> None:
    """Give a `TorchStep` optimizers for several losses, in the place of the one."""
    spec, place = step.run.spec, (step.fabric.device, step.world)
    settings = (spec.solver, spec.learning_rate.base, step.backward, place, step.scaler, step.network.gradient_hook)
    with without_dynamo():
        step.gradients = step.optimizer = SeveralLosses(moves, step.module, *settings)


def check_reached(groups: Sequence[LossGroup]) -> None:
    """NetworkError for a loss that, when it first moves, has no gradient for anything it is to move: its vars are others than it
    goes through."""
    for group in groups:
        if not group.reached and all(parameter.grad is None for parameter in group.parameters):
            raise misses_its_variables(group.moves)
        group.reached = True


def change_gradients(hook: GradientHook, parameters: Sequence[Tensor], name: str, optimizer: Optimizer, scaler: Any) -> None:
    """Let a text change the gradients (…) of a loss before the step; those that were scaled for half precision are unscaled."""
    if scaler is not None:
        scaler.unscale_(optimizer)
    with torch.no_grad():
        pairs = [(p.grad, p) for p in parameters if p.grad is not None]
        for (_, parameter), gradient in zip(pairs, hook(pairs, name), strict=True):
            parameter.grad = gradient.to(parameter.dtype)
