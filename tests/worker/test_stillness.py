"""A training that does not move is said to, once, with where it is."""

from __future__ import annotations

from digits.domain.events import WarningEvent
from digits.engines.activity import COMPUTES, WRITES, Activity, Motion
from digits.worker.stillness import StillnessWatch

PLACE = "network.py, line 7: wait()"


def looked(*rows: tuple[float, int, str]) -> list[str]:
    """Warnings after looks of time, number of moves and state."""
    found: list[WarningEvent] = []
    watch = StillnessWatch(Motion(), found.append)
    for now, moves, state in rows:
        watch.look(Activity(moves, moves - 1, state, PLACE), now)
    assert {event.code for event in found} <= {"still"}
    return [event.message for event in found]


def test_ten_minutes_in_one_step_are_said_once_for_each_time() -> None:
    said = looked(*((now, 2, COMPUTES) for now in (0, 300, 599, 601, 900)), (905, 3, COMPUTES), (10_000, 3, COMPUTES))
    assert said == [
        f"The training has not moved for 10 minutes in step 2 ({PLACE}).",
        f"The training has not moved for 151 minutes in step 3 ({PLACE}).",
    ]


def test_what_takes_long_each_time_is_no_warning() -> None:
    """Steps of five minutes: one of twenty is none, one of an hour is."""
    steps = [(300.0 * n, n + 1, COMPUTES) for n in range(6)]
    assert looked(*steps, (1500 + 1200, 6, COMPUTES)) == []
    assert len(looked(*steps, (1500 + 3600, 6, COMPUTES))) == 1


def test_neither_what_comes_before_the_first_step_nor_a_slow_disk_is_one() -> None:
    assert looked((0, 0, COMPUTES), (5000, 0, COMPUTES)) == []
    assert looked((0, 4, WRITES), (5000, 4, WRITES)) == []
