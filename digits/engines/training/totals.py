"""Sums with their weights: what losses and metrics hand up, so that the mean is taken once and never of means.

Holds: a value is the sum of its parts, each of which is `sum / weight`; a part of weight 0 adds nothing, and a value all of
whose parts weigh 0 does not exist (it is neither 0 nor NaN). Batches, ranks and accumulated groups are joined by adding sums to
sums and weights to weights, so how samples were divided into batches changes no value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

Sums = Mapping[str, Any]  # a number, or one for each part


class LossPart(NamedTuple):
    """A scalar sum over what counts in a batch, and how much counts: tensors, or numbers that the host knows. Where `is_mean`,
    `value` is the sum divided by the weight, a number above 0: a step of this batch alone then needs no product."""

    value: Any
    weight: Any
    is_mean: bool = False

    @property
    def sum(self) -> Any:
        return self.value * self.weight if self.is_mean else self.value

    def noted(self, note: Callable[[Any], Any]) -> LossPart:
        """With what `note` makes of both."""
        return LossPart(note(self.value), note(self.weight), self.is_mean)


@dataclass(frozen=True)
class LossValue:
    """A loss as the quotients it is the sum of, e.g. cross-entropy over pixels plus Dice over pictures."""

    parts: tuple[LossPart, ...]
    names: tuple[str, ...] = ()  # of the parts, where a network text names several

    def __add__(self, other: LossValue) -> LossValue:
        return LossValue(self.parts + other.parts)

    def noted(self, note: Callable[[Any], Any]) -> LossValue:
        """With what `note` makes of each sum, mean and weight."""
        return LossValue(tuple([part.noted(note) for part in self.parts]), self.names)

    def __float__(self) -> float:
        """The value of this batch alone; NaN where nothing counts."""
        if len(self.parts) == 1:  # most losses; this is done at every step
            value, weight, is_mean = self.parts[0]
            return float(value) if is_mean else float(value) / float(weight) if float(weight) else float("nan")
        return mean_of([float(part.sum) for part in self.parts], [float(part.weight) for part in self.parts])


def value_of(loss: LossValue) -> float | None:
    """The value of a batch alone; None where nothing counts."""
    value = float(loss)
    return value if value == value or any(float(part.weight) != 0 for part in loss.parts) else None


def wrong_parts(loss: LossValue) -> tuple[str, ...]:
    """Names of the parts of a batch's loss that are no numbers, where its parts have names."""
    quotients = ((name, part) for name, part in zip(loss.names, loss.parts, strict=False) if float(part.weight) != 0)
    return tuple(dict.fromkeys(name for name, part in quotients if not math.isfinite(float(part.sum) / float(part.weight))))


def one_part(total: Any, weight: Any) -> LossValue:
    """A loss that is one quotient."""
    return LossValue((LossPart(total, weight),))


def one_mean(mean: Any, weight: float) -> LossValue:
    """A loss that is the mean over what weighs so much, more than 0."""
    return LossValue((LossPart(mean, weight, True),))


def total_of(values: Mapping[str, LossValue], shared: Any) -> LossValue:
    """The sum of losses by name; parts whose weight is `shared`, the very object, become one."""
    joined: list[LossPart] = []
    names: list[str] = []
    for name, part in ((name, part) for name, value in values.items() for part in value.parts):
        same = next((i for i, other in enumerate(joined) if other.weight is part.weight is shared), None)
        if same is None:
            joined.append(part)
            names.append(name)
        else:
            joined[same] = LossPart(joined[same].sum + part.sum, part.weight)
    return LossValue(tuple(joined), tuple(names) if len(names) > 1 else ())


def mean_of(sums: Iterable[float], weights: Iterable[float]) -> float:
    """Σ sum / weight over the parts that weigh anything; NaN where none does."""
    quotients = [total / weight for total, weight in zip(sums, weights, strict=True) if weight != 0]
    return float(sum(quotients)) if quotients else float("nan")


class Totals:
    """Sums and weights of scalars, by name."""

    def __init__(self, sums: Sums | None = None, weights: Sums | float = 0) -> None:
        """Of each name a number or one for each part; `weights` may be one number for all, e.g. the number of samples."""
        self._parts: dict[str, tuple[list[float], list[float]]] = {}  # sums and weights, one for each part
        for name, value in (sums or {}).items():
            total = _numbers(value)
            weight = _numbers(weights[name] if isinstance(weights, Mapping) else weights)
            self._put(name, total, weight if len(weight) == len(total) else weight * len(total))

    @property
    def sums(self) -> dict[str, Any]:
        """A number, or a list where a value has several parts: JSON values, which the constructor takes."""
        return {name: _plain(total) for name, (total, _) in self._parts.items()}

    @property
    def weights(self) -> dict[str, Any]:
        """In the form of `sums`."""
        return {name: _plain(weight) for name, (_, weight) in self._parts.items()}

    @property
    def count(self) -> float:
        """The largest weight: of engines that weigh everything by samples, their number."""
        return max((max(weight) for _, weight in self._parts.values()), default=0.0)

    def add(self, other: Totals) -> None:
        for name, (total, weight) in other._parts.items():
            self._put(name, total, weight)

    def _put(self, name: str, total: list[float], weight: list[float]) -> None:
        total = [one if own else 0.0 for one, own in zip(total, weight, strict=True)]  # what weighs nothing may be no number
        before = self._parts.get(name)
        self._parts[name] = (total, weight) if before is None else (_sum(before[0], total), _sum(before[1], weight))

    def means(self) -> dict[str, float]:
        """The value of each name of which anything counts."""
        return {name: mean_of(*parts) for name, parts in self._parts.items() if any(parts[1])}


def restored(found: Mapping[str, Any]) -> Totals:
    """Totals from their `sums` and `weights` in a checkpoint. Those of earlier versions have the `count` of samples instead."""
    return Totals(found["sums"], found.get("weights", found.get("count", 0)))


def _numbers(value: Any) -> list[float]:
    """Of a number, or of a list or array (parts,) of numbers."""
    found = value.tolist() if hasattr(value, "tolist") else value
    return [float(one) for one in found] if isinstance(found, list | tuple) else [float(found)]


def _sum(one: list[float], other: list[float]) -> list[float]:
    """The sums of the parts of both; a part that one of them lacks is 0 there."""
    return [a + b for a, b in zip_longest(one, other, fillvalue=0.0)]


def _plain(values: list[float]) -> Any:
    return values[0] if len(values) == 1 else list(values)
