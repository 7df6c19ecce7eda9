"""Which snapshots a training keeps, on files of a few bytes."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from digits.domain.events import Event, SnapshotEvent
from digits.engines.training.snapshots import SnapshotManager
from digits.engines.training.step import Scores
from digits.errors import DiskFull


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


def written(folder: Path, number: list[int]) -> SnapshotManager:
    """One whose weights are the numbers of the snapshots."""
    return SnapshotManager(folder, 1, lambda epoch, metrics: b"%d" % number[0], lambda event: 0, lambda work: work())


@pytest.mark.parametrize("intervals", [(None, None, None), (None, None, 2.0), (1.0, 2.0, 3.0)])
def test_what_the_last_checkpoint_names_is_there_after_a_kill(tmp_path: Path, intervals: tuple[float | None, ...]) -> None:
    """However often it was written anew, and where it was deleted, since."""
    number = [1]
    manager = written(tmp_path, number)
    manager.held.let_go(0)
    manager.after(100, 1.0, intervals[0], scores("accuracy", 0.5))
    state, best = manager.dump(), (tmp_path / manager.state.best_path).read_bytes()
    manager.held.let_go(150)  # the checkpoint
    for number[0], interval in enumerate(intervals[1:], 2):
        manager.after(100 + 10 * number[0], number[0], interval, scores("accuracy", 0.5 + number[0] / 10))
    again = written(tmp_path, number)
    again.restore(state)
    again.bring_back(150)
    assert (tmp_path / again.state.best_path).read_bytes() == best == b"1"
    assert all((tmp_path / path).exists() for path in again.state.kept)
    assert not list((tmp_path / "checkpoint").glob("held_*"))


def test_what_an_older_checkpoint_named_is_not_brought_back(tmp_path: Path) -> None:
    """As where a training is killed when a checkpoint is written, before what the one before named is let go."""
    number = [1]
    manager = written(tmp_path, number)
    manager.held.let_go(0)
    manager.after(100, 1.0, None, scores("accuracy", 0.5))
    number[0] = 2
    manager.after(110, 2.0, None, scores("accuracy", 0.6))
    again = written(tmp_path, number)
    again.restore(manager.dump())
    again.bring_back(150)
    assert (tmp_path / again.state.best_path).read_bytes() == b"2"


def test_what_is_held_makes_room_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = written(tmp_path, [1])
    manager.held.let_go(0)
    manager.after(100, 1.0, None, scores("accuracy", 0.5))

    def full(_path: Path) -> NoReturn:
        raise DiskFull("full")

    monkeypatch.setattr("digits.engines.training.snapshots.atomic", full)
    with pytest.raises(DiskFull):
        manager.after(110, 2.0, None, scores("accuracy", 0.6))
    assert not list((tmp_path / "checkpoint").glob("held_*"))
    assert (tmp_path / manager.state.best_path).read_bytes() == b"1"
