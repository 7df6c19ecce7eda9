"""The speed that a training reports: of training alone, the median since the start."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from digits.domain.training import TrainingSpec
from digits.engines.training import loop
from digits.engines.training.calendar import make_calendar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_validations_and_slow_moments_do_not_slow_the_speed(clock: SimpleNamespace) -> None:
    events: list[Any] = []
    calendar = make_calendar(TrainingSpec("x", "classification", epochs=10), entries=1000, batch_size=10, seed=1)
    progress = loop.TrainingProgress(SimpleNamespace(emit=events.append), calendar)
    clock.now = 130.0
    progress.start(0)
    for step in range(1, 41):
        aside = 20.0 if step == 20 else 0.0  # a validation
        clock.now += (5.0 if step == 7 else 0.5) + aside  # somebody else had the machine for a moment
        progress.report(step, aside)
    assert events[-1].rate == pytest.approx(20.0)
    assert len(events) < 30
    assert events[-1].eta == pytest.approx((clock.now - 130.0) / 40 * 960)
    low, high = events[-1].eta_range  # most reports are alike; the slow moment is beyond the slowest tenth
    assert low <= events[-1].eta <= high
    clock.now += 50.0
    progress.report(40, force=True)  # the end adds nothing
    assert events[-1].rate == pytest.approx(20.0)


def test_a_training_of_a_moment_has_a_speed(clock: SimpleNamespace) -> None:
    events: list[Any] = []
    calendar = make_calendar(TrainingSpec("x", "classification", epochs=1), entries=20, batch_size=10, seed=1)
    progress = loop.TrainingProgress(SimpleNamespace(emit=events.append), calendar)
    progress.start(0)
    for step in (1, 2):
        clock.now += 0.2
        progress.report(step)
    progress.report(2, force=True)
    assert [event.rate for event in events] == [pytest.approx(50.0)]
