"""Where a training stopped having numbers: the first batch whose loss was NaN or infinite, or after which the weights were.

An engine hands each batch's loss to a `LossWatch` as it has it; nothing waits for a GPU before somebody looks. On a CPU the
weights are looked at when a loss is no number, before they move on, so that the batch that spoiled them is known. On a GPU each
step would have to wait for that: there it is the batch whose loss shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from digits.engines.training.origin import Origin, Spoilt


@dataclass(frozen=True)
class Divergence:
    """What an engine saw.

    `ago` counts batches back from the last one that was trained (0); `loss` is that batch's, `before` the loss of the one before
    it, None where it is not known. `of_weights`: the loss was a number, but the weights after that batch were none; `late`: or
    after one before it. `of_outputs`: so many outputs of a validation after it, all of them, were none; `of_validation`: or its
    loss alone. `finite_weights` says whether the weights were numbers when the loss was none, or, `afterwards`, whether they are
    now; `scaled` that gradients are scaled for half precision, `own_loss` that the loss is the network text's. `origin` is where
    a loss that is none comes from, `spoilt` what weights that are none hold; None where that is not known. `which` are the names
    of the losses that are none, where there are several.
    """

    ago: int = 0
    loss: float | None = None
    before: float | None = None
    of_weights: bool = False
    late: bool = False
    of_outputs: int = 0
    of_validation: bool = False
    finite_weights: bool = False
    afterwards: bool = False
    scaled: bool = False
    own_loss: bool = False
    origin: Origin | None = None
    spoilt: Spoilt | None = None
    which: tuple[str, ...] = ()


class LossWatch:
    """The losses of the batches since the last time that all was well. `value` makes a number of one, None where nothing counts
    in it; `which` names those parts of one that are none."""

    def __init__(self, value: Callable[[Any], float | None], which: Callable[[Any], tuple[str, ...]] = lambda loss: ()) -> None:
        self.value, self.which = value, which
        self.losses: list[Any] = []
        self.before: list[Any] = []  # of each, whether the weights were numbers before it: true, false, or None: not known
        self.last: float | None = None  # the loss of the batch before them

    def add(self, loss: Any, weights: Any = None) -> None:
        """The loss of one more batch. `weights` says whether the weights were numbers before it, or is called to look where the
        loss is none."""
        self.losses.append(loss)
        if callable(weights):
            weights = None if _is_number(self.value(loss)) else weights()
        self.before.append(weights)

    @property
    def spoiled(self) -> bool:
        """Whether the weights are known to have been no numbers before one of the batches."""
        return any(known is not None and not bool(known) for known in self.before)

    def settle(self) -> None:
        """The losses were numbers: forget them, if the weights were as far as that is known."""
        if self.losses and not self.spoiled:
            self.last, self.losses, self.before = self.value(self.losses[-1]), [], []

    def found(self, finite_weights: Callable[[], bool]) -> Divergence:
        """What there was to see; `finite_weights` looks at the weights as they are now."""
        numbers = [self.last, *map(self.value, self.losses)]
        weights = [None, *self.before]
        first = next((i for i, value in enumerate(numbers) if i and not _is_number(value)), len(numbers))
        spoiled = next((i for i, known in enumerate(weights) if known is not None and not bool(known)), None)
        if spoiled is not None and spoiled <= first:
            return _at(numbers, spoiled - 1, of_weights=True)
        if first == len(numbers):
            return replace(_at(numbers, first - 1, of_weights=True), late=weights[-1] is None)
        known = weights[first]
        now = finite_weights() if known is None else bool(known)
        which = self.which(self.losses[first - 1])
        return replace(_at(numbers, first), finite_weights=now, afterwards=known is None, which=which)


def _at(numbers: list[float | None], place: int, of_weights: bool = False) -> Divergence:
    return Divergence(len(numbers) - 1 - place, numbers[place], numbers[place - 1] if place else None, of_weights)


def _is_number(value: float | None) -> bool:
    return value is None or math.isfinite(value)
