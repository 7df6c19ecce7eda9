"""Whether a training that was done again gives the same: what two runs were made of, and what two sets of numbers differ by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CLOSE = 1e-2  # up to so much of a value (or of 1, for smaller ones) two runs are said to agree within what they differ by
SHOWN = 6  # reasons in a sentence
LONGEST = 60  # characters of a value in it
TITLES = {
    "network": "the network text",
    "weights": "the weights that it started from",
    "seed": "the random seed",
    "threads": "the number of threads",
    "processes": "the number of processes",
    "precision": "the precision",
    "device": "the device",
}
PLURAL = ("weights",)
HASHES = ("network", "weights")  # which say nothing to a reader
Values = Mapping[tuple[str, int, str], float]  # by phase, step and name


@dataclass(frozen=True)
class Difference:
    """Of two sets of values: how many both have, how many are not the same, how many only one has; the largest difference, as a
    part of the value where that is above 1; and what has it."""

    compared: int = 0
    unequal: int = 0
    alone: int = 0
    largest: float = 0.0
    where: str = ""

    @property
    def none(self) -> bool:
        """Whether there is none, of values that were compared."""
        return self.compared > 0 and not self.unequal and not self.alone


def difference(one: Values, other: Values) -> Difference:
    """Of two runs; NaN equals NaN, for a run that is done again fails as it did."""
    both = [key for key in one if key in other]
    largest, where, unequal = 0.0, "", 0
    for key in both:
        distance = _distance(one[key], other[key])
        unequal += distance > 0
        if distance > largest:
            largest, where = distance, f"{key[2]} ({key[0]}) at step {key[1]:,}"
    return Difference(len(both), unequal, len(one) + len(other) - 2 * len(both), largest, where)


def reasons(original: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """What differs between two capsules, in words; what one of them does not say is left out."""
    found = _records(original, again)
    for key, title in TITLES.items():
        before, now = original.get(key), again.get(key)
        if before is not None and now is not None and before != now:
            said = "" if key in HASHES else f" ({before} there, {now} here)"
            found.append(f"{title} differ{'' if key in PLURAL else 's'}{said}")
    settings, others = original.get("settings") or {}, again.get("settings") or {}
    found += [
        f"the setting {name} differs ({_short(settings[name])} there, {_short(others[name])} here)"
        for name in sorted(settings.keys() & others.keys())
        if settings[name] != others[name]
    ]
    versions, newer = original.get("versions") or {}, again.get("versions") or {}
    for package in sorted({*versions, *newer}):
        if versions.get(package) != newer.get(package):
            found.append(f"{package} was {versions.get(package, 'not there')} and is {newer.get(package, 'not there')}")
    return found


def _records(original: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """Whether the records differ: by their hashes where both are known and of one kind, else by how many there are."""
    before, now = original.get("dataset"), again.get("dataset")
    if before == now and before:
        return []
    kinds = original.get("dataset_hash_kind") or 0, again.get("dataset_hash_kind") or 0
    if before and now and kinds[0] == kinds[1] != 0:
        return ["the records of the data set differ"]
    splits, others = original.get("splits") or {}, again.get("splits") or {}
    if not splits or not others:
        return []
    if splits != others:
        return [f"the data set has other numbers of records ({_counts(splits)} there, {_counts(others)} here)"]
    why = "are of another kind" if before and now else "are not known"
    return [f"perhaps the records of the data set, whose hashes {why}, differ (by their number, {_counts(splits)}, they do not)"]


def _counts(splits: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(splits.items()))


def verdict(values: Difference, weights: Difference, causes: list[str]) -> str:
    """`matches exactly`, `within x` or `differs because …`, as a sentence."""
    because = "; ".join(causes[:SHOWN]) + (f"; and {len(causes) - SHOWN} more" if len(causes) > SHOWN else "")
    kept = weights.compared or weights.alone
    unseen = "" if kept else "; no weights were kept to compare"
    if values.none and (weights.none or not kept):
        of_weights = f" and all {weights.compared:,} weight tensors are" if kept else " are"
        return f"matches exactly: {values.compared:,} values{of_weights} the same, bit for bit{unseen}"
    largest = max(values.largest, weights.largest)
    if values.compared and not values.alone and not weights.alone and 0 < largest <= CLOSE:
        where = values.where if values.largest >= weights.largest else weights.where
        return f"within {largest:.2g}: that much differs {where}{unseen}" + (f"; {because}" if because else "")
    if causes:
        return f"differs because {because}"
    if not values.compared:
        return "differs because the two runs have no values in common"
    if values.alone or weights.alone:
        return f"differs because one of the two has {'values' if values.alone else 'weights'} that the other has not"
    most = f", up to {largest:.2g} ({values.where or weights.where})" if largest else ""
    return (
        f"differs because something that is not recorded is another{most}:"
        " operations of a GPU whose order is not fixed, another processor, or randomness of the network text's own"
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _distance(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    if not math.isfinite(one) or not math.isfinite(other):
        return math.inf
    return abs(one - other) / max(1.0, abs(one))
