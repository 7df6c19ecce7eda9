"""Where values that are no numbers come from: what each layer was given and made in one forward pass, and what is in the weights.

An engine looks when it has found a loss that is none, before the weights move on; both are handed to `divergence`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Span:
    """Of some values: the largest size of those that are numbers, and whether there are others."""

    largest: float = 0.0
    nan: bool = False
    infinite: bool = False

    @property
    def finite(self) -> bool:
        return not self.nan and not self.infinite


@dataclass(frozen=True)
class LayerPass:
    """One layer in a forward pass; the whole network has no name."""

    name: str
    kind: str
    given: Span
    made: Span


@dataclass(frozen=True)
class Origin:
    """The layer that made the first value that is no number of values that are, with the largest size of these; no name: the
    network outside of its layers. Without `of_forward` the network's outputs were all numbers, so its loss made it."""

    of_forward: bool
    largest_weight: float
    layer: str = ""
    kind: str = ""
    value: str = ""  # NaN or infinity
    largest_input: float = 0.0


@dataclass(frozen=True)
class Spoilt:
    """Weights after a step that spoiled them: how many tensors of all hold NaN, the name of the last of these, and the span of
    all values."""

    nan: int
    of: int
    last: str
    span: Span


def span_of(arrays: Iterable[np.ndarray]) -> Span:
    """Over all values of floating-point arrays (…)."""
    found = Span()
    for array in arrays:
        if array.dtype.kind != "f" or not array.size:
            continue
        finite = np.isfinite(array)
        largest = float(np.abs(array, where=finite, out=np.zeros_like(array)).max())
        bad = not bool(finite.all())
        nan = bad and bool(np.isnan(array).any())
        infinite = bad and bool(np.isinf(array).any())
        found = Span(max(found.largest, largest), found.nan or nan, found.infinite or infinite)
    return found


def origin_of(passes: Sequence[LayerPass], largest_weight: float) -> Origin | None:
    """From the layers in the order in which they ended, the whole network last; None where its input was no number itself, or
    nobody made it."""
    if not passes or not passes[-1].given.finite:
        return None
    whole = passes[-1].made
    if whole.finite:
        return Origin(False, largest_weight)
    first = _first(passes, "nan") if whole.nan else None
    if first is None or first.given.infinite:
        first = _first(passes, "infinite") or first
    if first is None:
        return None
    value = "NaN" if first.made.nan else "infinity"
    return Origin(True, largest_weight, first.name, first.kind, value, first.given.largest)


def spoilt_of(weights: Iterable[tuple[str, np.ndarray]]) -> Spoilt:
    """From the weights (…) by name, in the order of the network."""
    found = list(weights)
    bad = [name for name, values in found if np.isnan(values).any()]
    return Spoilt(len(bad), len(found), bad[-1] if bad else "", span_of(values for _, values in found))


def _first(passes: Sequence[LayerPass], what: str) -> Any:
    return next((one for one in passes if getattr(one.made, what) and not getattr(one.given, what)), None)
