"""Execution traces: which steps are recorded, what is made of spans, and what happens when a recorder or the disk fails."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from digits.domain.events import Event, TraceEvent, WarningEvent
from digits.domain.training import TrainingSpec
from digits.engines.base import TrainingRun
from digits.engines.training.calendar import make_calendar
from digits.engines.training.trace_parts import BACKWARD, DATA, FORWARD, OPTIMIZER, REST
from digits.engines.training.traces import (
    MOST,
    MOST_SPANS,
    Recorder,
    Span,
    Tracer,
    chrome_events,
    own_lengths,
    sentence,
    shares,
    spacing,
    totals,
)
from digits.testing.runs import make_dataset, make_run, striped_pictures

STEP = [
    Span(DATA, 1_000, 1_000, "main", "part", DATA),
    Span(FORWARD, 2_500, 2_500, "main", "part", FORWARD),
    Span("conv (Conv2d)", 2_600, 1_000, "main", "layer"),
    Span("conv2d", 2_700, 800, "main"),
    Span("addmm", 2_800, 300, "main"),
    Span("of conv", 5_000, 3_000, "main", "layer", BACKWARD),
    Span("of addmm", 7_000, 2_000, "other", "layer", BACKWARD),
    Span("addmm", 7_000, 1_500, "other"),
    Span("Optimizer.step", 8_500, 1_500, "main", "part", OPTIMIZER),
]


class FakeRecorder(Recorder):
    """Gives `STEP`; `broken` names the method that raises."""

    def __init__(self, broken: str = "") -> None:
        self.broken = broken
        self.calls: list[str] = []

    def start(self) -> None:
        self._called("start")

    def mark(self, part: str) -> contextlib.AbstractContextManager[Any]:
        self._called(f"mark {part}")
        return contextlib.nullcontext()

    def stop(self) -> list[Span]:
        self._called("stop")
        return STEP

    def drop(self) -> None:
        self.calls.append("drop")

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self.broken:
            raise RuntimeError("no rights")


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def run(tmp_path: Path, events: list[Event]) -> TrainingRun:
    data = make_dataset(tmp_path / "data", *striped_pictures(12, 8, seed=1), class_labels=("a", "b"), validation=4)
    spec = TrainingSpec("x", "classification", epochs=3, batch_size=2, traces_interval=4)

    def emit(event: Event) -> int:
        events.append(event)
        return len(events)

    return make_run(data, tmp_path / "model", spec, emit)


def make_tracer(run: TrainingRun, recorder: Recorder) -> Tracer:
    return Tracer(run, make_calendar(run.spec, 8, 2, seed=0), recorder)


def work(tracer: Tracer) -> list[int]:
    """The 12 steps of a training of three epochs, with batches that are their own steps."""
    seen = []
    for epoch in range(3):
        for batch in tracer.watch(iter(range(1 + 4 * epoch, 5 + 4 * epoch)), 4 * epoch, 4):
            seen.append(batch)
            tracer.end()
    return seen


def test_every_nth_step_is_recorded_with_what_it_waits_for(run: TrainingRun, events: list[Event], tmp_path: Path) -> None:
    recorder = FakeRecorder()
    assert work(make_tracer(run, recorder)) == list(range(1, 13))
    assert recorder.calls == ["start", f"mark {DATA}", "stop"] * 3
    assert [(event.step, event.epoch, event.path) for event in events if isinstance(event, TraceEvent)] == [
        (4, 1.0, "timeline_4.json"),
        (8, 2.0, "timeline_8.json"),
        (12, 3.0, "timeline_12.json"),
    ]
    written = json.loads((tmp_path / "model" / "timeline_8.json").read_text())
    assert written["digits"]["where"] == next(
        event.where for event in events if isinstance(event, TraceEvent) and event.step == 8
    )
    assert [event["name"] for event in written["traceEvents"] if event["ph"] == "X"] == [
        span.name for span in sorted(STEP, key=lambda span: span.start)
    ]


@pytest.mark.parametrize(("interval", "steps"), [(1, list(range(1, 13))), (5, [5, 10]), (12, [12]), (500, [12])])
def test_a_short_training_has_one_at_least(run: TrainingRun, events: list[Event], interval: int, steps: list[int]) -> None:
    run.spec = replace(run.spec, traces_interval=interval)
    work(make_tracer(run, FakeRecorder()))
    assert [event.step for event in events if isinstance(event, TraceEvent)] == steps


@pytest.mark.parametrize("total", [1, 99, 100, 101, 250, 12_345])
@pytest.mark.parametrize("interval", [1, 2, 7, 1000])
def test_there_are_never_too_many(total: int, interval: int) -> None:
    every = spacing(interval, total)
    assert every % interval == 0
    assert total // every <= MOST
    assert every == interval or total // (every - interval) > MOST


def test_fewer_than_were_asked_for_are_announced(run: TrainingRun, events: list[Event]) -> None:
    run.spec = replace(run.spec, epochs=300, traces_interval=5)
    make_tracer(run, FakeRecorder())
    assert [event.message for event in events if isinstance(event, WarningEvent)] == [
        "At most 100 traces of a training are recorded: one every 15 steps."
    ]


@pytest.mark.parametrize("broken", ["start", "stop"])
def test_a_recorder_that_fails_ends_the_traces_alone(run: TrainingRun, events: list[Event], broken: str) -> None:
    recorder = FakeRecorder(broken)
    assert work(make_tracer(run, recorder)) == list(range(1, 13))
    assert recorder.calls[-1] == "drop"
    (warning,) = events
    assert isinstance(warning, WarningEvent)
    assert warning.message == "The trace of step 4 could not be recorded (RuntimeError: no rights)."


def test_a_trace_that_cannot_be_written_ends_the_traces_alone(run: TrainingRun, events: list[Event], tmp_path: Path) -> None:
    (tmp_path / "model" / "timeline_4.json").mkdir()
    assert work(make_tracer(run, FakeRecorder())) == list(range(1, 13))
    assert [event.code for event in events if isinstance(event, WarningEvent)] == ["traces"]


def test_a_training_that_breaks_off_in_a_recorded_step_leaves_nothing_running(run: TrainingRun) -> None:
    recorder = FakeRecorder()
    tracer = make_tracer(run, recorder)
    batches: Iterator[int] = tracer.watch(iter(range(1, 5)), 0, 4)
    for _ in range(4):
        next(batches)
    tracer.close()
    assert recorder.calls[-1] == "drop"


def test_a_moment_counts_once_and_what_is_left_is_the_rest() -> None:
    parts = shares(STEP, 0.009)
    assert parts == pytest.approx({OPTIMIZER: 0.0015, BACKWARD: 0.0035, FORWARD: 0.0025, DATA: 0.001, REST: 0.0005})
    assert sum(parts.values()) == pytest.approx(0.009)


def test_operations_count_what_they_do_themselves() -> None:
    assert {span.name: own for span, own in own_lengths(STEP) if span.name == "conv2d"} == {"conv2d": 500}
    assert totals(STEP) == [
        {"name": "addmm", "calls": 2, "seconds": pytest.approx(0.0018)},
        {"name": "conv2d", "calls": 1, "seconds": pytest.approx(0.0005)},
    ]
    on_gpu = [*STEP, Span("kernel", 3_000, 100, "stream 7", on_device=True)]
    assert [row["name"] for row in totals(on_gpu)] == ["kernel"], "on a GPU what it does counts, not what launches it"


def test_the_sentence_says_where_the_time_goes() -> None:
    assert sentence(1200, 0.009, shares(STEP, 0.009), totals(STEP)) == (
        "Of the 9 ms of step 1,200, 39 % went into the backward pass, 28 % into the forward pass, 17 % into the optimizer, 11 % "
        "into waiting for pictures and 6 % into everything else; no operation took longer than addmm (1.8 ms in 2 calls)."
    )
    assert sentence(1, 1.25, {REST: 1.25}, []) == "Of the 1,250 ms of step 1, 100 % went into everything else."


def test_events_are_as_chrome_reads_them_and_not_without_end() -> None:
    found = chrome_events(STEP)
    assert {event["args"]["name"]: event["tid"] for event in found if event["ph"] == "M"} == {"main": 0, "other": 1}
    first = next(event for event in found if event["ph"] == "X")
    assert first == {"ph": "X", "name": DATA, "cat": DATA, "ts": 0, "dur": 1000, "pid": 1, "tid": 0}
    many = chrome_events([Span("x", i, 1 + i, "main") for i in range(MOST_SPANS + 5)])
    assert min(event["dur"] for event in many if event["ph"] == "X") == 6, "the longest stay"
