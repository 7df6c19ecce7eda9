"""Which snapshots a training keeps, on files of a few bytes."""

from __future__ import annotations

from pathlib import Path

from digits.domain.events import Event, SnapshotEvent
from digits.engines.training.snapshots import SnapshotManager
from digits.engines.training.step import Scores


def manager_in(folder: Path, events: list[Event]) -> SnapshotManager:
    def emit(event: Event) -> int:
        events.append(event)
        return len(events)

    return SnapshotManager(folder, 0, lambda epoch, metrics: b"weights", emit, lambda work: work())


def scores(name: str, value: float) -> Scores:
    kinds = {name: "accuracy"}
    return Scores({name: value}, kinds, {}, name)


def test_a_value_of_another_metric_is_no_yardstick(tmp_path: Path) -> None:
    """A training that goes on under another deciding metric finds its best anew; under the same one it keeps what it had."""
    before = manager_in(tmp_path, [])
    before.after(10, 1.0, None, scores("mean_dice", 0.97))
    state = before.dump()

    found: list[Event] = []
    same = manager_in(tmp_path, found)
    same.restore(state)
    same.after(20, 2.0, None, scores("mean_dice", 0.9))
    assert not found

    same.after(20, 2.0, None, scores("accuracy", 0.8))
    assert [event.best for event in found if isinstance(event, SnapshotEvent) and not event.removed] == [True]


def test_a_state_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    manager = manager_in(tmp_path, [])
    manager.restore({"kept": [], "best_value": 0.97, "best_path": "snapshots/best.safetensors"})
    manager.after(20, 2.0, None, scores("accuracy", 0.9))
    assert manager.state.best_value == 0.97
