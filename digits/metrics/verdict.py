"""Which of several lines of runs is better, measured on the same validation pictures, in a sentence that chance cannot make.

A line is one or more runs that differ by their random seed alone. Two sources of chance count: which pictures happened to be in
the validation split (a paired bootstrap: every run is measured anew on the same resampled pictures) and which seeds were drawn
(the spread of a line's runs). docs/comparing.md has the method and its error rates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from digits.metrics import significance

ALPHA = 0.05
POWER = 2.8  # standard errors that a difference needs to be told at 5 % in four of five trials: 1.96 + 0.84
FEWEST = 20  # pictures from which on a bootstrap is taken at its word
DOUBTED = 0.1  # a smaller p of a bootstrap is checked by the swaps, which are exact but slow
MOST_PICTURES = 10**9
MOST_SEEDS = 1000
MOST_TIMES = 20  # as many pictures that are asked for alone where more seeds would help as well
SHARE_MARGIN = 0.01  # a difference that is surely smaller is none, of shares …
MARGIN = 0.02  # … and of everything else as part of its value


Swap = Callable[[Any, Any], float]


@dataclass(frozen=True)
class Run:
    """One run on N pictures: its `value`, those on the resampled pictures (B,), and, of an accuracy, `right` bool (N,)."""

    value: float
    resampled: np.ndarray
    right: np.ndarray | None = None
    columns: Any = None  # what it was measured from, for the test by exchanged answers


@dataclass(frozen=True)
class Line:
    """Runs that differ by their seed alone."""

    name: str
    runs: tuple[Run, ...]

    @property
    def value(self) -> float:
        """The mean over its seeds."""
        return float(np.mean([run.value for run in self.runs]))

    @property
    def spread(self) -> float:
        """The variance of a single run between seeds; NaN of one seed."""
        return float(np.var([run.value for run in self.runs], ddof=1)) if len(self.runs) > 1 else math.nan


@dataclass(frozen=True)
class Pair:
    """Two lines by number: `difference` is the second's value less the first's, `interval` that of 95 %, `p` for all tests made
    together (Holm), `raw_p` for this alone. `outcome` is `better` (the second), `worse`, `same` or `unknown`; `enough` is the
    number of pictures that would do, with `seeds` times the seeds (0: nobody can say)."""

    first: int
    second: int
    difference: float
    interval: tuple[float, float]
    raw_p: float
    p: float = 1.0
    outcome: str = "unknown"
    enough: int = 0
    seeds: float = 1.0
    width: Callable[[float, float], float] = field(default=lambda pictures, seeds: math.inf, repr=False, compare=False)


def judge(lines: Sequence[Line], pictures: int, *, lower: bool, share: bool, swap: Swap | None = None) -> list[Pair]:
    """All pairs of lines, tested. `lower`: smaller values are better; `share`: values are parts of a whole, in [0, 1]. `swap`
    gives p of two runs by their columns (`resampling.swap_test`)."""
    found = [_test(lines, one, other, pictures, swap) for one, other in combinations(range(len(lines)), 2)]
    if share:  # which differ by 1 at most
        found = [replace(pair, interval=(max(pair.interval[0], -1.0), min(pair.interval[1], 1.0))) for pair in found]
    adjusted = significance.holm([pair.raw_p for pair in found])
    return [_concluded(pair, p, lines, pictures, lower, share) for pair, p in zip(found, adjusted, strict=True)]


def best_line(lines: Sequence[Line], lower: bool) -> int:
    """The number of the line with the best mean; NaN is never the best."""
    worst = math.inf if lower else -math.inf
    values = [line.value if math.isfinite(line.value) else worst for line in lines]
    return values.index(min(values) if lower else max(values))


def _test(lines: Sequence[Line], one: int, other: int, pictures: int, swap: Swap | None) -> Pair:
    first, second = lines[one], lines[other]
    difference = second.value - first.value
    if len(first.runs) == len(second.runs) == 1 and first.runs[0].right is not None and second.runs[0].right is not None:
        return _test_shares(one, other, first.runs[0].right, second.runs[0].right)
    if not math.isfinite(difference):
        return Pair(one, other, difference, (math.nan, math.nan), 1.0)
    means = [np.mean([run.resampled for run in line.runs], axis=0) for line in (first, second)]  # (B,) each
    apart = means[1] - means[0]
    apart = apart[np.isfinite(apart)]
    of_pictures = float(np.var(apart, ddof=1)) * pictures / max(pictures - 1, 1) if len(apart) > 1 else 0.0
    of_seeds, freedom = _seed_variance(first, second)
    freedom = significance.satterthwaite([(of_pictures, max(pictures - 1, 1)), (of_seeds, freedom)])

    quantile = significance.student_quantile(significance.CONFIDENCE, freedom)

    def width(wanted: float, seeds: float) -> float:
        """Half the interval of so many pictures, and so many times the seeds."""
        return quantile * math.sqrt(of_pictures * pictures / wanted + of_seeds / seeds)

    error = math.sqrt(of_pictures + of_seeds)
    p = significance.student_p(difference / error, freedom) if error else float(difference == 0)
    if swap is not None and p < DOUBTED and len(first.runs) == len(second.runs) == 1:
        p = max(p, swap(first.runs[0].columns, second.runs[0].columns))
    half = width(pictures, 1)
    return Pair(one, other, difference, (difference - half, difference + half), p, width=width)


def _test_shares(one: int, other: int, first: np.ndarray, second: np.ndarray) -> Pair:
    """Two single runs by the pictures that one of them alone has right."""
    count, gained, lost = len(first), int((second & ~first).sum()), int((first & ~second).sum())
    interval = significance.share_interval(gained, lost, count)

    def width(wanted: float, seeds: float) -> float:
        low, high = significance.share_interval(gained * wanted / count, lost * wanted / count, wanted)
        return (high - low) / 2

    p = significance.mcnemar(gained, lost)
    return Pair(one, other, (gained - lost) / count if count else math.nan, interval, p, width=width)


def _seed_variance(first: Line, second: Line) -> tuple[float, float]:
    """The variance that seeds add to the difference, and its degrees of freedom. Each line has its own (Welch); one with a
    single seed is taken to vary as the other does. Two single runs know nothing of it."""
    known = [(line.spread, len(line.runs)) for line in (first, second) if len(line.runs) > 1]
    if not known:
        return 0.0, math.inf
    if len(known) == 1:
        variance, count = known[0]
        return variance * (1 + 1 / count), count - 1
    parts = [(variance / count, count - 1.0) for variance, count in known]
    return sum(variance for variance, _ in parts), significance.satterthwaite(parts)


def _concluded(pair: Pair, p: float, lines: Sequence[Line], pictures: int, lower: bool, share: bool) -> Pair:
    exact = lines[pair.first].runs[0].right is not None and len(lines[pair.first].runs) == len(lines[pair.second].runs) == 1
    margin = SHARE_MARGIN if share else MARGIN * abs(lines[pair.first].value)
    outcome, enough, seeds = "unknown", 0, 1.0
    if p < ALPHA and (exact or pictures >= FEWEST):
        outcome = "worse" if (pair.difference > 0) == lower else "better"
    elif pictures >= FEWEST and max(map(abs, pair.interval)) <= margin:
        outcome = "same"
    elif math.isfinite(pair.difference):
        enough, seeds = _enough(pair, pictures, margin)
    values = pair.first, pair.second, pair.difference, pair.interval, pair.raw_p
    return Pair(*values, p, outcome, enough, seeds, pair.width)


def _enough(pair: Pair, pictures: int, margin: float) -> tuple[int, float]:
    """How many pictures, and how many times the seeds, would tell the difference that was seen with a power of 80 %, or that
    there is none: more pictures alone where that is enough, else more seeds too; (0, 1) where nobody can say."""
    seen = abs(pair.difference)

    def tells(half: float) -> bool:
        return half <= margin - seen or POWER * half / significance.normal_quantile(significance.CONFIDENCE) < seen

    wanted = float(max(pictures, FEWEST))
    seeds_count = pair.width(wanted, 2) < pair.width(wanted, 1)
    most = min(MOST_TIMES * wanted if seeds_count else math.inf, MOST_PICTURES)
    while wanted < most:
        wanted *= 1.03
        if tells(pair.width(wanted, 1)):
            return max(_rounded(wanted), 5 * FEWEST if pictures < FEWEST else 0), 1.0
    times = 1.0
    while times < MOST_SEEDS:
        times *= 1.1
        if tells(pair.width(pictures, times)):
            return pictures, times
        if tells(pair.width(pictures * times, times)):
            return _rounded(pictures * times), times
    return 0, 1.0


def _rounded(number: float) -> int:
    """To two digits, upwards."""
    unit = 10 ** max(int(math.log10(number)) - 1, 0)
    return math.ceil(number / unit) * unit


def sentence(lines: Sequence[Line], pairs: Sequence[Pair], pictures: int, lower: bool) -> str:
    """What can be said of all lines together, about the best one against all others."""
    best = best_line(lines, lower)
    against = {other: pair for pair in pairs for other in _others(pair, best)}
    beaten = [other for other, pair in against.items() if _wins(pair, best)]
    same = [other for other, pair in against.items() if pair.outcome == "same"]
    unknown = [other for other in against if other not in beaten and other not in same]
    name = lines[best].name
    said = []
    if beaten:
        said.append(f"{name} is better than {_names(lines, beaten)}")
    if same:
        said.append(f"no difference that could be told between {name} and {_names(lines, same)}")
    if unknown:
        said.append(_cannot(lines, [against[other] for other in unknown], pictures, best, unknown, alone=not beaten and not same))
    return "; ".join(said) + "."


def _others(pair: Pair, best: int) -> list[int]:
    return [pair.second] if pair.first == best else [pair.first] if pair.second == best else []


def _wins(pair: Pair, best: int) -> bool:
    return pair.outcome == ("better" if pair.second == best else "worse")


def _names(lines: Sequence[Line], numbers: Sequence[int]) -> str:
    names = [lines[n].name for n in numbers]
    if len(names) > 3:
        names = [*names[:2], f"{len(names) - 2} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _cannot(lines: Sequence[Line], pairs: Sequence[Pair], pictures: int, best: int, unknown: Sequence[int], alone: bool) -> str:
    nearest = max(pairs, key=lambda pair: (pair.enough == 0, pair.seeds, pair.enough))
    whom = "" if alone and len(lines) == 2 else f" whether {lines[best].name} is better than {_names(lines, unknown)}"
    seeds = max(len(line.runs) for line in lines)
    few, enough = f"{pictures:,} pictures", f"{nearest.enough:,}"
    if nearest.seeds > 1 and nearest.enough == pictures:
        few, enough = f"{seeds} seeds", f"{math.ceil(seeds * nearest.seeds):,}"
    elif nearest.seeds > 1:
        few, enough = f"{few} and {seeds} seeds", f"{enough} and {math.ceil(seeds * nearest.seeds):,}"
    return f"cannot tell{whom}: {few} are too few" + (f"; about {enough} would do" if nearest.enough else "")
