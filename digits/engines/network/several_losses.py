"""Several losses in one network text, each with variables and an optimizer of its own, as adversarial training has them.

    def loss(outputs, targets):
        return [
            {"loss": of_discriminator, "vars": "discriminator"},
            {"loss": of_generator, "vars": "generator", "learning_rate": 0.5},
        ]

What every engine holds: all losses are of one forward pass, their gradients are taken at the same weights, and then each
optimizer steps. What of the entries decides about optimizers is read from the first batch.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from digits.domain.training import SOLVERS, Solver
from digits.engines.training.totals import LossValue
from digits.errors import NetworkError

FIELDS = ("loss", "vars", "name", "learning_rate", "solver", "every")
LOSSES = "losses"  # key of a state: what its optimizers move
TOTAL = "loss"  # the sum of all, which no entry may be called
NETWORK_ARGUMENTS = ("network", "model")  # what a third parameter of `loss` is called
HOOKS = ("update_gradients", "gradientUpdate")  # the name of today and that of the original
ADVICE = 'Give a list such as [{"loss": scalar, "vars": "discriminator"}, …]; docs/networks.md shows how.'
PAIRS_ADVICE = "Return the list that it was given with other gradients: [(gradient, variable), …]."


@dataclass(frozen=True)
class LossEntry:
    """One loss of a text: a scalar or a pair (sum, weight), the variables that it moves as the text names them, the factor of
    the training's learning rate, its solver (empty: the training's), and at every how many steps it moves them."""

    name: str
    loss: Any
    variables: Any
    rate: float = 1.0
    solver: str = ""
    every: int = 1


@dataclass(frozen=True)
class LossOptimizer:
    """What one loss moves, by the names of the variables, and how: all that its optimizer is made of."""

    name: str
    variables: tuple[str, ...]
    rate: float = 1.0
    solver: str = ""
    every: int = 1

    def settled(self, solver: Solver) -> Solver:
        """Its solver, where `solver` is the training's: another one has the settings that are usual for it."""
        same = self.solver in ("", solver.type)
        return solver if same else replace(solver, type=self.solver, momentum=None, weight_decay=None)

    def is_due(self, step: int) -> bool:
        """Whether it moves at a step of the training, counted from 0."""
        return (step + 1) % self.every == 0


@dataclass(frozen=True)
class JointLoss(LossValue):
    """The sum of several losses of a batch; `apart` are its summands, as `entries` describes them."""

    entries: tuple[LossEntry, ...] = ()
    apart: tuple[LossValue, ...] = ()

    def __add__(self, other: LossValue) -> JointLoss:
        """With what each loss brings along, such as the regularization of layers, once in the sum."""
        return replace(self, parts=self.parts + other.parts, apart=tuple(value + other for value in self.apart))


def joint_loss(entries: tuple[LossEntry, ...], values: Sequence[LossValue]) -> JointLoss:
    """Their sum, whose parts have the names of their losses."""
    named = [(entry.name, part) for entry, value in zip(entries, values, strict=True) for part in value.parts]
    names, parts = zip(*named, strict=True)
    return JointLoss(parts, names, entries, tuple(values))


def gives_several(value: Any) -> bool:
    """Whether what a text's loss gave is a list of losses; a pair (sum, weight) is none."""
    return isinstance(value, list) or (isinstance(value, tuple) and bool(value) and isinstance(value[0], Mapping))


def read_entries(value: Sequence[Any]) -> tuple[LossEntry, ...]:
    """The losses of a list. NetworkError says which entry is wrong and how."""
    if not value:
        raise NetworkError("loss(outputs, targets) gave an empty list.", advice=ADVICE)
    entries = tuple(_entry(one, number) for number, one in enumerate(value, start=1))
    names = [entry.name for entry in entries]
    again = next((name for name in names if names.count(name) > 1), None)
    if again is not None:
        raise NetworkError(f"Two losses are called {again}.", advice='Give each entry a "name" of its own.')
    return entries


def _entry(value: Any, number: int) -> LossEntry:
    if not isinstance(value, Mapping):
        raise _wrong(number, f"is {type(value).__name__}, expected a dictionary")
    unknown = [str(key) for key in value if key not in FIELDS]
    missing = [key for key in FIELDS[:2] if value.get(key) is None]
    if unknown or missing:
        raise _wrong(number, f"has no {missing[0]}" if missing else f"says {', '.join(unknown)}; known are {', '.join(FIELDS)}")
    if isinstance(value["loss"], Mapping | list | str):
        raise _wrong(number, f"has {type(value['loss']).__name__} as its loss, expected a scalar or a pair (sum, weight)")
    variables = value["vars"]
    name = value.get("name") or (variables if isinstance(variables, str) else f"loss_{number}")
    if not isinstance(name, str) or name == TOTAL:
        raise _wrong(number, f"is called {name!r}: {'that is the sum of all' if name == TOTAL else 'a name is a text'}")
    rate, solver, every = value.get("learning_rate", 1.0), value.get("solver") or "", value.get("every", 1)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not (0 < rate < math.inf):
        raise _wrong(number, f"has the learning rate {rate!r}, expected a factor of the training's, greater than 0")
    if solver and solver not in SOLVERS:
        raise _wrong(number, f"has the solver {solver!r}; there are {', '.join(SOLVERS)}")
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise _wrong(number, f"has every = {every!r}, expected a whole number of at least 1")
    return LossEntry(name, value["loss"], variables, float(rate), solver, every)


def _wrong(number: int, what: str) -> NetworkError:
    return NetworkError(f"Entry {number} of the list that loss(outputs, targets) gave {what}.", advice=ADVICE)


def optimizers_of(
    entries: Sequence[LossEntry], variables: Mapping[str, Any], inside: Callable[[Any], Iterable[Any] | None], separator: str
) -> tuple[LossOptimizer, ...]:
    """Which of a network's trainable `variables`, by the names of their paths, each loss moves. `inside` gives the variables of
    a part of a network, None of what is none; `separator` is what paths are made with. NetworkError where an entry moves
    nothing, or two the same."""
    names = {id(variable): name for name, variable in variables.items()}
    owner: dict[str, str] = {}
    found = []
    for entry in entries:
        own = _chosen(entry, entry.variables, variables, names, inside, separator)
        if not own:
            raise NetworkError(
                f"The loss {entry.name} moves nothing: its vars hold no variable that can be trained.", advice=ADVICE
            )
        for name in own:
            if name in owner:
                message = f"{name} is among the variables of two losses, {owner[name]} and {entry.name}."
                raise NetworkError(message, advice="Let one loss move it; add losses up that are to move it both.")
            owner[name] = entry.name
        found.append(LossOptimizer(entry.name, tuple(own), entry.rate, entry.solver, entry.every))
    return tuple(found)


def _chosen(
    entry: LossEntry, said: Any, variables: Mapping[str, Any], names: Mapping[int, str], inside: Any, separator: str
) -> list[str]:
    """Names of the variables that a text's `vars` means, each once, in their order in the network or in the text."""
    if isinstance(said, str):
        return _below(entry, said, variables, separator)
    if id(said) in names:
        return [names[id(said)]]
    parts = inside(said)
    if parts is not None:
        return [names[id(part)] for part in parts if id(part) in names]  # the frozen ones stay as they are
    if not isinstance(said, Iterable) or hasattr(said, "shape"):
        message = f"The loss {entry.name} names a {type(said).__name__} among its vars, which is none of the network's variables."
        raise NetworkError(message, advice="Name parts of the network, or give its own parameters.")
    found = [name for part in said for name in _chosen(entry, part, variables, names, inside, separator)]
    return list(dict.fromkeys(found))


def _below(entry: LossEntry, path: str, variables: Mapping[str, Any], separator: str) -> list[str]:
    """The variables at or below a path; where there are none, those whose names begin so."""
    below = [name for name in variables if name == path or name.startswith(path + separator)]
    found = below or [name for name in variables if path and name.startswith(path)]
    if not found:
        tops = ", ".join(dict.fromkeys(name.split(separator)[0] for name in variables))
        raise NetworkError(
            f"The loss {entry.name} is to move {path!r}, but no trainable variable of the network is called so.",
            advice=f"The network's parts are: {tops}.",
        )
    return found


def check_same(found: Sequence[LossOptimizer], before: Sequence[LossOptimizer]) -> None:
    """NetworkError where the losses of a training that goes on, or of another process, are not those that it began with."""
    if tuple(found) != tuple(before):
        names = [", ".join(one.name for one in each) for each in (found, before)]
        raise NetworkError(
            f"The losses or what they move are others than before: {names[0]} (before: {names[1]}).",
            advice="Let loss(outputs, targets) give the same entries each time.",
        )


def moves_in(state: Mapping[str, Any]) -> tuple[LossOptimizer, ...]:
    """What the optimizers of a state move; empty of the state of one optimizer."""
    return tuple(LossOptimizer(**{**one, "variables": tuple(one["variables"])}) for one in state.get(LOSSES, ()))


def depends_on_nothing(name: str) -> NetworkError:
    """The error of a loss that nothing which is learnt can change."""
    return NetworkError(
        f"The loss {name} depends on no variable of the network.",
        advice="It may be detached, or made of numbers; what it goes through need not be detached.",
    )


def misses_its_variables(moves: LossOptimizer) -> NetworkError:
    """The error of a loss that has no gradient for anything it is to move: its vars are others than it goes through."""
    return NetworkError(
        f"The loss {moves.name} does not depend on what it is to move, {moves.variables[0]} …",
        advice="Look at its vars, and whether what it is made of is detached.",
    )


def left_out(found: Iterable[LossOptimizer], variables: Iterable[str]) -> list[str]:
    """Trainable variables that no loss moves."""
    moved = {name for one in found for name in one.variables}
    return [name for name in variables if name not in moved]


def takes_network(function: Callable[..., Any]) -> bool:
    """Whether a text's loss has a third parameter for the network itself."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 2 and positional[2].name in NETWORK_ARGUMENTS


def with_network(function: Callable[..., Any] | None, network: Any) -> Callable[..., Any] | None:
    """A text's loss as a function of outputs and targets."""
    if function is None or not takes_network(function):
        return function
    return lambda outputs, targets: function(outputs, targets, network)


GradientHook = Callable[[list[tuple[Any, Any]], str], list[Any]]


def gradient_hook(names: Mapping[str, Any]) -> GradientHook | None:
    """What a text does with gradients before a step, as a function of pairs (gradient, variable) and the name of the loss that
    gives the new gradients; None where it does nothing. NetworkError for a hook that is no such function."""
    name = next((name for name in HOOKS if names.get(name) is not None), None)
    if name is None:
        return None
    function = names[name]
    wanted = _arguments(function)
    if wanted is None:
        raise NetworkError(
            f"{name} is {function!r:.80}, expected a function of the gradients, or of the gradients and the loss's name.",
            advice=PAIRS_ADVICE,
        )
    return lambda pairs, loss: _changed(name, function(*(pairs, loss)[:wanted]), pairs)


def _arguments(function: Any) -> int | None:
    """Whether a function takes two arguments or one; None where it takes neither."""
    if not callable(function):
        return None
    try:
        signature = inspect.signature(function)
    except ValueError:  # of C, without a signature
        return 1
    for count in (2, 1):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return count
    return None


def _changed(name: str, found: Any, pairs: list[tuple[Any, Any]]) -> list[Any]:
    if not isinstance(found, list | tuple) or len(found) != len(pairs):
        what = f"{len(found)} entries" if isinstance(found, list | tuple) else type(found).__name__
        raise NetworkError(f"{name} gave {what} for {len(pairs)} gradients.", advice=PAIRS_ADVICE)
    gradients = []
    for one, (gradient, variable) in zip(found, pairs, strict=True):
        if not isinstance(one, list | tuple) or len(one) != 2 or one[1] is not variable:
            raise NetworkError(f"{name} gave something else than pairs of a gradient and its variable.", advice=PAIRS_ADVICE)
        if tuple(getattr(one[0], "shape", ())) != tuple(gradient.shape):
            raise NetworkError(f"{name} gave a gradient of another shape than its variable.", advice=PAIRS_ADVICE)
        gradients.append(one[0])
    return gradients
