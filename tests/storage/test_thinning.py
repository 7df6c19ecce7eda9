"""Of thinned reports none is missing that a chart of all would show as a spike or a gap."""

from __future__ import annotations

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from digits.domain.events import HardwareEvent, MetricEvent, to_line
from digits.storage.thinning import Report, Thinned, extremes, hardware_numbers, metric_numbers, table

VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf, 0, 1]))
ROWS = st.lists(
    st.dictionaries(st.sampled_from(["loss", "acc}", '"values":{', "é,"]), VALUES, max_size=3), min_size=1, max_size=150
)


def line(number: int, values: dict[str, float]) -> bytes:
    return to_line(MetricEvent(t=0.0, step=number, epoch=number / 10, phase="train", values=values)).encode()


def thinned(rows: list[dict[str, float]], limit: int, pieces: int) -> list[Report]:
    reports = Thinned(limit, metric_numbers)
    lines = [line(number, row) for number, row in enumerate(rows)]
    for start in range(0, len(lines), pieces):
        reports.add(lines[start : start + pieces])
    return reports.shown()


@settings(max_examples=80, deadline=None)
@given(rows=ROWS, limit=st.integers(2, 12), pieces=st.integers(1, 40))
@example(rows=[{"loss": math.nan}] * 100, limit=4, pieces=7)
@example(rows=[{"loss": 1.0}] * 24, limit=2, pieces=24)
def test_ends_extremes_and_gaps_survive(rows: list[dict[str, float]], limit: int, pieces: int) -> None:
    found = thinned(rows, limit, pieces)
    numbers = [report.number for report in found]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (0, len(rows) - 1)
    assert [report.line for report in found] == [line(number, rows[number]) for number in numbers]
    for name in {name for row in rows for name in row}:
        values = [row[name] for row in rows if name in row]
        kept = [rows[number][name] for number in numbers if name in rows[number]]
        assert ends(values) == ends(kept)
        assert all(map(math.isfinite, values)) == all(map(math.isfinite, kept)), "a gap is seen"


def ends(values: list[float]) -> tuple[float, float]:
    finite = list(filter(math.isfinite, values))
    return min(finite, default=0.0), max(finite, default=0.0)


def test_each_part_keeps_its_own_spike_however_the_lines_come() -> None:
    rows = [{"loss": 5.0 if number % 100 == 37 else 1.0, "accuracy": 2.0} for number in range(6000)]
    for pieces in (1, 333, 6000):
        found = thinned(rows, 600, pieces)
        assert set(range(37, 6000, 100)) <= {report.number for report in found}
        assert len(found) <= 601
    assert thinned(rows[:500], 600, 100) == [Report(number, line(number, row)) for number, row in enumerate(rows[:500])]


def test_a_damaged_line_is_no_extreme() -> None:
    lines = [line(number, {"loss": float(number % 10)}) for number in range(1000)]
    lines[500] = line(500, {"loss": 77.0}).replace(b"77.0", b"99.0")
    lines[700] = line(700, {"loss": 55.0})
    lines[701] = b'{"type":"metric"'
    reports = Thinned(30, metric_numbers)
    reports.add(lines)
    found = {report.number for report in reports.shown()}
    assert (500 in found, 700 in found, 0 in found, 999 in found) == (False, True, True, True)


def test_lines_that_no_run_wrote_end_nothing() -> None:
    """As in a log that came from elsewhere: thousands of damaged ones in a row, whole numbers beyond all measure, words."""
    lines = [line(number, {"loss": float(number)}).replace(b'"loss":', b'"loss":1') for number in range(4000)]
    odd = [b"1" * 400, b'"word"', b"[]", b"{}", b"true", b"1e999", b"NaN"]
    lines += [b'{"type":"metric","step":1,"epoch":1.0,"phase":"train","values":{"loss":%s}}' % odd[n % 7] for n in range(4000)]
    for limit in (3, 400):
        reports = Thinned(limit, metric_numbers)
        for start in range(0, len(lines), 1000):
            reports.add(lines[start : start + 1000])
        assert reports.shown()[-1].number == 7999


def test_of_thousands_of_series_the_first_have_their_extremes() -> None:
    rows = [{f"m{series}": float((number * 7 + series) % 50) for series in range(2000)} for number in range(60)]
    assert len(extremes(table([line(number, row) for number, row in enumerate(rows)], metric_numbers))) <= 48


def test_a_peak_of_memory_is_an_extreme() -> None:
    quiet = {"cpu_percent": 10.0, "memory": 2**30, "gpus": [{"index": 0, "memory_used": 5}]}
    rows = [quiet] * 4 + [quiet | {"memory": 9 * 2**30}] + [quiet] * 2 + [quiet | {"gpus": [{"index": 0, "memory_used": 50}]}]
    lines = [to_line(HardwareEvent(**row)).encode() for row in rows]  # type: ignore[arg-type]
    assert {4, 7} <= extremes(table(lines, hardware_numbers))
    assert hardware_numbers(b"[]") == {}
