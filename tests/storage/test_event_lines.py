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
from digits.storage.event_lines import shown_lines
from digits.storage.events import EventWriter, valid_events


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
    end, kept = shown_lines(path, {})
    found = sorted((event for lines in kept.values() for line in lines if (event := from_line(line))), key=repr)
    counts = [event for _, event in valid_events(path) if not isinstance(event, HardwareEvent)]
    assert [event for event in found if not isinstance(event, HardwareEvent)] == sorted(counts, key=repr)
    assert end == ends[-1]


def test_what_is_limited_is_thinned_evenly_with_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path, 1)
    writer.emit(AttemptEvent())
    for step in range(1, 1001):
        writer.emit(MetricEvent(step=step, epoch=step, phase="train", values={}))
        if step % 100 == 0:
            writer.emit(MetricEvent(step=step, epoch=step, phase="val", values={}))
    writer.close()
    _, kept = shown_lines(path, {"train": 50})
    steps = [event.step for line in kept["train"] if isinstance(event := from_line(line), MetricEvent)]
    assert (len(steps), steps[0], steps[-1], len(kept["val"])) == (50, 1, 1000, 10)
    assert max(after - before for before, after in zip(steps, steps[1:], strict=False)) <= 48
    assert shown_lines(tmp_path / "nothing.jsonl", {}) == (0, {})


def test_what_was_chosen_of_a_long_log_lies_beside_it_until_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_lines, "CHOSEN_FROM", 1)
    log = EventWriter(tmp_path / "events.jsonl", 1)
    log.emit(AttemptEvent())
    for step in range(100):
        log.emit(MetricEvent(step=step, epoch=step, phase="train", values={"loss": 1.0}))
    limits = {**event_lines.CHOSEN_LIMITS, "train": 10}
    before = shown_lines(log.path, limits)
    event_lines.keep_shown(log.path)
    event_lines._read.cache_clear()
    end, kept_lines = shown_lines(log.path, limits)
    assert (end, kept_lines[""], len(kept_lines["train"])) == (before[0], before[1][""], 10)
    assert [kept_lines["train"][at] for at in (0, -1)] == [before[1]["train"][at] for at in (0, -1)]
    beside = log.path.with_name("events.jsonl.shown")
    kept = beside.read_bytes()
    beside.write_bytes(kept.replace(b'"loss":1.0', b'"loss":7.0'))
    event_lines._read.cache_clear()
    assert b'"loss":7.0' in shown_lines(log.path, limits)[1]["train"][0], "it is this that is read"
    for torn in (kept[:-20], b"", b"[]\n", kept.replace(b"\n", b"\n\n", 1)):
        beside.write_bytes(torn)
        event_lines._read.cache_clear()
        assert shown_lines(log.path, limits) == before
    beside.write_bytes(kept)
    log.emit(MetricEvent(step=100, epoch=100, phase="train", values={"loss": 2.0}))
    log.close()
    assert b'"loss":2.0' in shown_lines(log.path, limits)[1]["train"][-1]
    event_lines.keep_shown(log.path)
    assert b'"loss":2.0' in beside.read_bytes()
    event_lines.keep_shown(tmp_path / "nothing")
