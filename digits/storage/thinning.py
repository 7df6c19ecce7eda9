"""Which of many reports a chart shows: samples of equally long parts of a run and the extremes of each, so that no spike is lost.

Holds: of each part its first report stays as a sample; besides, marked as extremes, the reports with the smallest and the largest
value of every series and the first one that is no number. The last report of all stays. What was thinned may be thinned again:
its extremes are those of the whole. Of more than `MOST_SERIES` series those that come first have their extremes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

from digits.domain.events import is_intact

MOST_SERIES = 24
MANY = 8  # times the limit of a kind are kept at most while its lines come
FINER = 2  # times as many parts as are shown are kept meanwhile
FEWEST_PARTS = 16  # of a limit: at least one part for so many reports of it, however many series there are
TRIES = 4
DECODER = json.JSONDecoder(parse_constant=lambda _: None)

CHUNK = 512  # lines that are read at once where all have the same series
MISSING = object()  # where a report has nothing of a series

Numbers = Mapping[str, Any]  # of one report by series; null where it was no number
Columns = Mapping[str, list[Any]]  # by series, a value for each report


class Report(NamedTuple):
    """A line, how many of its kind came before it, and whether it is shown for its extremes alone."""

    number: int
    line: bytes
    extreme: bool = False


def metric_numbers(line: bytes) -> Numbers:
    """The values on the line of a metric, without parsing the rest of it; none where it is damaged."""
    text = line.decode(errors="replace")
    at = text.find('"values":{')
    try:
        found = DECODER.raw_decode(text, at + len('"values":'))[0] if at >= 0 else {}
        return found if isinstance(found, dict) else {}
    except (ValueError, RecursionError):
        return {}


def hardware_numbers(line: bytes) -> Numbers:
    """What a job used of the machine, as its charts show it."""
    try:
        value = json.loads(line)
        gpus = {f"{gpu['index']} {name}": gpu.get(name) for gpu in value["gpus"] for name in ("utilization", "memory_used")}
        return {"cpu_percent": value["cpu_percent"], "memory": value["memory"], **gpus}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def no_numbers(_: bytes) -> Numbers:
    """Of what is shown evenly chosen."""
    return {}


class Thinned:
    """Reports of one kind that come line by line, of which about `limit` are shown; some times as many are kept meanwhile."""

    def __init__(self, limit: int, numbers: Callable[[bytes], Numbers]) -> None:
        self.limit = limit
        self.numbers = numbers
        self.seen = 0
        self._width = 1
        self._kept: list[Report] = []
        self._new: list[bytes] = []

    def add(self, lines: Sequence[bytes]) -> None:
        self._new += lines
        self.seen += len(lines)
        if len(self._new) <= MANY * self.limit:
            return
        width = self._width
        while self.seen > width * FINER * self.limit:
            width *= 2
        if width > self._width:
            columns = table([report.line for report in self._kept], self.numbers)
            self._width, self._kept = width, thin(self._kept, columns, width)
        first = self.seen - len(self._new)  # a multiple of what the width was before
        whole = max(0, (self.seen - 1) // width * width - first)  # parts that have ended, never the last report
        columns = table(self._new[:whole], self.numbers)
        begin = 0
        while begin < whole:
            end = min(whole, begin + width - (first + begin) % width)
            self._kept += _of_part(range(first + begin, first + end), self._new[begin:end], (), _cut(columns, begin, end))
            begin = end
        self._new = self._new[whole:]

    def shown(self) -> list[Report]:
        """In their order."""
        new = [Report(number, line) for number, line in enumerate(self._new, self.seen - len(self._new))]
        return fitting([*self._kept, *new], self.seen, self.limit, self.numbers)


def fitting(reports: Sequence[Report], seen: int, limit: int, numbers: Callable[[bytes], Numbers]) -> list[Report]:
    """About `limit` of `reports`, which were chosen of `seen` ones: more only where many series have extremes of their own. Of a
    limit of 1 the last."""
    if len(reports) <= limit:
        return list(reports)
    if limit < 2:
        return list(reports[-1:])
    columns = table([report.line for report in reports], numbers)
    dense = sum(values.count(MISSING) < len(values) / 2 for values in columns.values())
    fewest = max(1, limit // FEWEST_PARTS)
    parts = max(fewest, limit // (1 + 2 * dense))
    for _ in range(TRIES):
        found = thin(reports, columns, math.ceil(seen / parts))
        if len(found) <= limit or parts == fewest:
            break
        parts = max(fewest, parts * limit // (len(found) + 1))
    last = reports[-1]
    return found if found and found[-1].number == last.number else [*found, last._replace(extreme=False)]


def thin(reports: Sequence[Report], columns: Columns, width: int) -> list[Report]:
    """Of each part of `width` reports a sample and the extremes, in their order."""
    found: list[Report] = []
    begin = 0
    for _, group in groupby(report.number // width for report in reports):
        end = begin + sum(1 for _ in group)
        numbers, lines, extreme = zip(*reports[begin:end], strict=True)
        found += _of_part(numbers, lines, extreme, _cut(columns, begin, end))
        begin = end
    return found


def _of_part(numbers: Sequence[int], lines: Sequence[bytes], extreme: Sequence[bool], columns: Columns) -> list[Report]:
    """`extreme`: which are no samples; empty where all are."""
    at = extremes(columns)
    sample = 0 if not extreme else next((i for i, is_extreme in enumerate(extreme) if not is_extreme), None)
    chosen = sorted(at if sample is None else {*at, sample})
    if not all(is_intact(lines[i]) for i in chosen):  # nobody would see them: those that come next take their place
        left = [i for i, line in enumerate(lines) if is_intact(line)]
        of_left = {name: [values[i] for i in left] for name, values in columns.items()}
        known = [extreme[i] for i in left] if extreme else ()
        return _of_part([numbers[i] for i in left], [lines[i] for i in left], known, of_left) if left else []
    return [Report(numbers[i], lines[i], i != sample) for i in chosen]


def extremes(columns: Columns) -> set[int]:
    """Where each series is smallest, is largest and first is no number."""
    found: set[int] = set()
    for values in columns.values():
        try:
            low, high = min(values), max(values)
            if math.isfinite(low) and math.isfinite(high):
                found.add(values.index(low))
                found.add(values.index(high))
                continue
        except (TypeError, OverflowError):  # some are no numbers, or whole ones beyond all measure
            pass
        found |= _extremes_of_some(values)
    return found


def _extremes_of_some(values: Sequence[Any]) -> set[int]:
    numbers = [i for i, value in enumerate(values) if _is_finite(value)]
    are = set(numbers)
    gap = next((i for i, value in enumerate(values) if value is not MISSING and i not in are), None)
    found = set() if gap is None else {gap}
    return found | {choose(numbers, key=values.__getitem__) for choose in (min, max)} if numbers else found


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:
        return False


def table(lines: Sequence[bytes], numbers: Callable[[bytes], Numbers]) -> Columns:
    """The values of each series (of the first `MOST_SERIES`), one for each line: a number, `MISSING`, or what is no number."""
    found: dict[str, list[Any]] = {}
    for start in range(0, len(lines), CHUNK):
        chunk = lines[start : start + CHUNK]
        columns = (_same_series(chunk) if numbers is metric_numbers else None) or _any_series([numbers(line) for line in chunk])
        for name, values in columns.items():
            if name in found or len(found) < MOST_SERIES:
                found.setdefault(name, [MISSING] * start).extend(values)
        for values in found.values():
            values += [MISSING] * (start + len(chunk) - len(values))
    return found


def _any_series(rows: Sequence[Numbers]) -> Columns:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, MISSING) for row in rows] for name in names}


def _same_series(lines: Sequence[bytes]) -> Columns | None:
    """As `_any_series` of metrics that all have the same series and are numbers, in a fraction of the time; None for others."""
    names = tuple(metric_numbers(lines[0]))
    if not 0 < len(names) <= MOST_SERIES:
        return None
    found = _pattern(names).findall(b"\n".join(lines))
    if len(found) != len(lines):
        return None
    try:
        columns = [list(map(float, texts)) for texts in (zip(*found, strict=True) if len(names) > 1 else [found])]
    except ValueError:
        return None
    return dict(zip(names, columns, strict=True)) if all(math.isfinite(sum(values)) for values in columns) else None


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[bytes]:
    keys = (re.escape(json.dumps(name, ensure_ascii=False).encode(errors="backslashreplace")) for name in names)
    return re.compile(rb'"values":\{' + b",".join(key + rb":([^,}]*)" for key in keys) + rb"\}")


def _cut(columns: Columns, begin: int, end: int) -> Columns:
    return {name: values[begin:end] for name, values in columns.items()}
