"""What is chosen of a log without parsing it is what counts of it, thinned."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from digits.domain.events import (
    AttemptEvent,
    Event,
    HardwareEvent,
    LogEvent,
    MetricEvent,
    ProgressEvent,
    SnapshotEvent,
    from_line,
)
from digits.storage import event_lines
from digits.storage.event_lines import Shown, shown_lines, window_lines
from digits.storage.events import EventWriter, valid_events


def steps_of(shown: Shown) -> list[int]:
    """Of the training."""
    return [event.step for line in shown.lines("train") if isinstance(event := from_line(line), MetricEvent)]


def some_event(choice: random.Random, step: int) -> Event:
    phase = choice.choice(("train", "train", "train", "val", "lr", "odd"))
    return choice.choice(
        (
            MetricEvent(step=step, epoch=step / 10, phase=phase, values={"loss": 1.0}),
            MetricEvent(step=step, epoch=step / 10, phase="train", values={"loss": 2.0}),
            SnapshotEvent(step=step, epoch=step / 10, path=f"snapshots/{step}.pt"),
            LogEvent(message=f'it said "phase":"train" at {step}'),
            ProgressEvent(fraction=step / 1000, step=step),
            HardwareEvent(cpu_percent=step),
        )
    )


@pytest.mark.parametrize("seed", range(6))
def test_the_same_events_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Over attempts that go on from somewhere in the middle, or from the beginning, and in blocks of any size."""
    choice = random.Random(seed)
    monkeypatch.setattr(event_lines, "BLOCK", choice.choice((300, 2000, 1 << 20)))
    path, ends = tmp_path / "events.jsonl", [0]
    for attempt in range(1, choice.randint(1, 4) + 1):
        writer = EventWriter(path, attempt)
        writer.emit(AttemptEvent(resumed_offset=choice.choice(ends)))
        ends += [writer.emit(some_event(choice, step)) for step in range(choice.randint(1, 60))]
        writer.close()
    with path.open("ab") as log:
        log.write(b'{"type":"metric","torn')
    shown = shown_lines(path, {})
    kept = [report.line for reports in shown.reports.values() for report in reports]
    found = sorted((event for line in kept if (event := from_line(line))), key=repr)
    counts = [event for _, event in valid_events(path) if not isinstance(event, HardwareEvent)]
    assert [event for event in found if not isinstance(event, HardwareEvent)] == sorted(counts, key=repr)
    assert shown.end == ends[-1]


def test_what_is_limited_is_thinned_with_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path, 1)
    writer.emit(AttemptEvent())
    for step in range(1, 1001):
        writer.emit(MetricEvent(step=step, epoch=step, phase="train", values={}))
        if step % 100 == 0:
            writer.emit(MetricEvent(step=step, epoch=step, phase="val", values={}))
    writer.close()
    shown = shown_lines(path, {"train": 50})
    steps = steps_of(shown)
    assert (steps[0], steps[-1], len(shown.lines("val")), shown.counts["train"]) == (1, 1000, 10, 1000)
    assert 30 <= len(steps) <= 51
    assert max(after - before for before, after in zip(steps, steps[1:], strict=False)) <= 48
    assert shown_lines(tmp_path / "nothing.jsonl", {}) == Shown()


def test_what_was_chosen_of_a_long_log_lies_beside_it_until_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_lines, "CHOSEN_FROM", 1)
    log = EventWriter(tmp_path / "events.jsonl", 1)
    log.emit(AttemptEvent())
    for step in range(100):
        log.emit(MetricEvent(step=step, epoch=step, phase="train", values={"loss": 1.0}))
    limits = {**event_lines.CHOSEN_LIMITS, "train": 10}
    before = shown_lines(log.path, limits)
    event_lines.keep_shown(log.path)
    after = shown_lines(log.path, limits)
    assert (after.end, after.counts, after.lines("")) == (before.end, before.counts, before.lines(""))
    assert (steps_of(after)[0], steps_of(after)[-1], len(steps_of(after)) <= 11) == (0, 99, True)
    beside = log.path.with_name("events.jsonl.shown")
    kept = beside.read_bytes()
    beside.write_bytes(kept.replace(b'"loss":1.0', b'"loss":7.0'))
    assert b'"loss":7.0' in shown_lines(log.path, limits).lines("train")[0], "it is this that is read"
    for torn in (kept[:-20], b"", b"[]\n", kept.replace(b"\n", b"\n\n", 1), kept.replace(b'"as": 2', b'"as": 1')):
        beside.write_bytes(torn)
        assert shown_lines(log.path, limits) == before
    beside.write_bytes(kept)
    log.emit(MetricEvent(step=100, epoch=100, phase="train", values={"loss": 2.0}))
    log.close()
    assert b'"loss":2.0' in shown_lines(log.path, limits).lines("train")[-1]
    event_lines.keep_shown(log.path)
    assert b'"loss":2.0' in beside.read_bytes()
    event_lines.keep_shown(tmp_path / "nothing")


def test_of_a_log_that_grows_what_is_new_is_read_and_an_attempt_makes_void(tmp_path: Path) -> None:
    log = EventWriter(tmp_path / "events.jsonl", 1)
    log.emit(AttemptEvent())
    limits = {"train": 20}
    offsets = [log.emit(MetricEvent(step=step, epoch=step, phase="train", values={"loss": 1.0 / step})) for step in range(1, 400)]
    assert shown_lines(log.path, limits).counts["train"] == 399
    log.emit(MetricEvent(step=400, epoch=400, phase="train", values={"loss": 50.0}))
    for step in range(401, 600):
        log.emit(MetricEvent(step=step, epoch=step, phase="train", values={"loss": 1.0 / step}))
    log.close()
    shown = shown_lines(log.path, limits)
    assert (shown.counts["train"], {1, 400, 599} <= set(steps_of(shown))) == (599, True)
    event_lines._scan.cache_clear()
    assert set(steps_of(shown_lines(log.path, limits))) >= {1, 400, 599}
    again = EventWriter(log.path, 2)
    again.emit(AttemptEvent(resumed_step=100, resumed_offset=offsets[99]))
    again.emit(MetricEvent(step=101, epoch=101, phase="train", values={"loss": 0.5}))
    again.close()
    shown = shown_lines(log.path, limits)
    assert (shown.counts["train"], steps_of(shown)[-1], 400 in steps_of(shown)) == (101, 101, False)


@pytest.mark.parametrize("seed", range(4))
def test_a_window_has_every_metric_between_its_ends(tmp_path: Path, seed: int) -> None:
    """Over attempts that go on from somewhere in the middle, with other lines between."""
    choice = random.Random(seed)
    path, ends = tmp_path / "events.jsonl", [(0, 0)]
    for attempt in range(1, choice.randint(2, 4)):
        writer = EventWriter(path, attempt)
        step, offset = choice.choice(ends)
        ends = [end for end in ends if end[0] <= step]
        writer.emit(AttemptEvent(resumed_offset=offset, resumed_step=step or -1))
        for at in range(step + 1, step + 80):
            writer.emit(choice.choice((HardwareEvent(cpu_percent=at), LogEvent(message=f'"epoch":{at}'))))
            ends.append((at, writer.emit(MetricEvent(step=at, epoch=at / 4, phase="train", values={"loss": 1.0 / at}))))
        writer.close()
    with path.open("ab") as log:
        log.write(b'{"type":"metric","epoch":1.2.3,"phase":"train"}\n' * 3)
    every = steps_of(shown_lines(path, {}))
    for low, high in [(-1.0, 1e9), (3.0, 3.0), (5.1, 9.9), (19.0, 40.0), (1e8, 1e9)]:
        assert steps_of(window_lines(path, {}, low, high)) == [step for step in every if low <= step / 4 <= high]
