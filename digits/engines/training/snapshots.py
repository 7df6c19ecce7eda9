"""Which snapshots a training keeps: one at each interval, the last, the best; and what is deleted as it goes on.

An interval snapshot is `snapshots/epoch_<E>.<suffix>` (the engine's own). When a validation between two of them is the
best so far, the weights go to `snapshots/best.<suffix>`; there is never more than one best, and it may be an interval snapshot.
Of equal values the first is best. Where a training starts from trained weights, these are its first best (epoch 0).
A validation with an output or a loss that is no number is never the best: what it measured is not of the whole split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from digits.domain.events import Event, SnapshotEvent
from digits.domain.metrics import beats, is_lower_better, is_sound
from digits.engines.training.held import Held
from digits.engines.training.step import Scores
from digits.engines.training.validation_pictures import PictureFiles
from digits.errors import DiskFull
from digits.storage.files import atomic

FOLDER = "snapshots"


@dataclass
class SnapshotState:
    """What must survive a restart: `kept` are interval snapshots, oldest first."""

    kept: list[str] = field(default_factory=list)
    best_value: float | None = None
    best_path: str = ""
    best_name: str = ""  # of the metric; empty in states of earlier versions
    best_step: int = -1


class SnapshotManager:
    """Writes and deletes snapshots of one training; the bytes come from `make(epoch, scores)`."""

    def __init__(
        self,
        folder: Path,
        keep: int,
        make: Callable[[float, Scores], bytes],
        emit: Callable[[Event], int],
        retry_when_disk_full: Callable[[Callable[[], None]], None],
        suffix: str = "safetensors",
        picture_files: PictureFiles | None = None,
    ) -> None:
        self.folder = folder
        self.keep = keep
        self.suffix = suffix
        self.picture_files = picture_files  # of what snapshots answer to each validation picture
        self.best = f"{FOLDER}/best.{suffix}"
        self.state = SnapshotState()
        self.held = Held(folder)  # what the last checkpoint names
        self._make, self._emit, self._retry_when_disk_full = make, emit, retry_when_disk_full
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)

    def dump(self) -> dict[str, Any]:
        return asdict(self.state)

    def restore(self, value: dict[str, Any]) -> None:
        self.state = SnapshotState(**value)

    def bring_back(self, step: int) -> None:
        """The training goes on from the checkpoint of `step`, whose snapshots are what they were then."""
        self.held.bring_back(step, self.folder / FOLDER)

    def after(self, step: int, epoch: float, interval: float | None, scores: Scores) -> None:
        """What a step's validation (no values: none took place) and interval mark (its epoch, None: none) lead to."""
        metrics, name = scores.values, scores.decides
        value = metrics.get(name)
        lower = is_lower_better(name, scores.kinds.get(name, ""), scores.declared)
        same = self.state.best_name in ("", name)  # a value of another metric is no yardstick
        best = is_sound(metrics, scores.nonfinite) and beats(value, self.state.best_value if same else None, lower)
        if interval is None and not best:
            return
        path = self.best if interval is None else f"{FOLDER}/epoch_{interval:g}.{self.suffix}"
        shown = epoch if interval is None else interval
        self._write(path, shown, scores)
        if self.picture_files is not None:
            self.picture_files.write(step, shown, path, scores)
        self._emit(SnapshotEvent(step=step, epoch=shown, path=path, metrics=metrics, best=best))
        if best:
            self._new_best(step, epoch, path, value)
            self.state.best_name, self.state.best_step = name, step
        if interval is not None:
            self.state.kept = [p for p in self.state.kept if p != path] + [path]
        self._prune(step, epoch)
        if self.picture_files is not None and scores.pictures is not None:
            self.picture_files.prune({step, self.state.best_step})

    def _new_best(self, step: int, epoch: float, path: str, value: float | None) -> None:
        old = self.state.best_path
        self.state.best_value, self.state.best_path = value, path
        if old == self.best and path != self.best:
            self._remove(step, epoch, old)

    def _prune(self, step: int, epoch: float) -> None:
        if self.keep <= 0:
            return
        spared = {*self.state.kept[-self.keep :], self.state.best_path}
        for path in [p for p in self.state.kept if p not in spared]:
            self.state.kept.remove(path)
            self._remove(step, epoch, path)

    def _remove(self, step: int, epoch: float, path: str) -> None:
        self.held.hold(self.folder / path)
        (self.folder / path).unlink(missing_ok=True)
        self._emit(SnapshotEvent(step=step, epoch=epoch, path=path, removed=True))

    def _write(self, path: str, epoch: float, scores: Scores) -> None:
        data = self._make(epoch, scores)

        def work() -> None:
            self.held.hold(self.folder / path)
            try:
                with atomic(self.folder / path) as handle:
                    handle.write(data)
            except DiskFull:
                self.held.let_go()
                raise

        self._retry_when_disk_full(work)
