"""What every evaluation does with its source: read ahead in threads, stop when requested, note problems, report progress."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO

import numpy as np

from digits.domain.events import ProgressEvent, WarningEvent
from digits.engines.base import Predictor
from digits.errors import DataError, JobStopped
from digits.storage.files import atomic
from digits.utils.read_ahead import read_ahead
from digits.worker.evaluation.sources import InputSource, PictureBatch
from digits.worker.runtime import WorkerContext

PROGRESS_SECONDS = 0.3
BATCH_BYTES = 32 * 2**20  # of float32 input
SMALLEST_BATCH, LARGEST_BATCH = 8, 256
READ_AHEAD = 2  # batches per reading thread


@dataclass
class Rounds:
    """Iterate over it for the batches of a source; afterwards `read`, `skipped` and `converted` count the pictures, and `note`
    says what was converted of the first."""

    context: WorkerContext
    source: InputSource
    batch_size: int
    read: int = 0
    skipped: int = 0
    converted: int = 0
    note: str = ""

    def __iter__(self) -> Iterator[PictureBatch]:
        progress = _Progress(self.context, self.source.total)
        with atomic(self.context.folder.problems_file, "w") as problems:
            for batch in _read_ahead(self.source, self.batch_size, max(2, self.context.cpus)):
                if self.context.should_stop():
                    raise JobStopped("The evaluation was stopped.")
                if batch.paths:
                    yield batch
                self.read += len(batch.paths)
                self.skipped += _note(problems, batch)
                self.converted += len(batch.notes)
                self.note = self.note or "".join(f"{path}: {note}" for path, note in batch.notes[:1])
                progress.add(batch.seen)

    def finish(self) -> None:
        """Warn of what was left out. Raises DataError when nothing could be read."""
        if not self.read:
            raise DataError(
                f"None of the {self.source.total:,} pictures could be read.", advice=f"The first reason: {self._first_problem()}"
            )
        if self.skipped:
            message = f"{self.skipped:,} of {self.read + self.skipped:,} pictures could not be read and are left out."
            advice = "problems.jsonl in the job's folder lists them with the reason."
            self.context.emit(WarningEvent(code="unreadable", message=message, advice=advice))
        if self.converted:
            message = f"{self.converted:,} of {self.read:,} pictures are of another type than the model's. {self.note}"
            self.context.emit(
                WarningEvent(code="converted", message=message, advice="Give pictures in the units of the data set.")
            )

    def _first_problem(self) -> str:
        with open(self.context.folder.problems_file, encoding="utf-8") as lines:
            return str(json.loads(next(lines, '{"reason": "unknown"}'))["reason"])


@dataclass
class _Progress:
    """Tells how far the work is, a few times a second at most."""

    context: WorkerContext
    total: int
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    reported: float = 0.0

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.reported < PROGRESS_SECONDS and self.done < self.total:
            return
        self.reported = now
        rate = self.done / max(now - self.started, 1e-6)
        self.context.emit(
            ProgressEvent(
                fraction=min(1.0, self.done / self.total),
                stage="classify",
                done=self.done,
                total=self.total,
                unit="images",
                rate=rate,
                eta=(self.total - self.done) / rate if rate else None,
            )
        )


def batch_size(predictor: Predictor) -> int:
    """So many pictures at once that their input has about `BATCH_BYTES`."""
    values = int(np.prod(predictor.meta["input_shape"]))
    return int(np.clip(BATCH_BYTES // (4 * values), SMALLEST_BATCH, LARGEST_BATCH))


def _read_ahead(source: InputSource, size: int, threads: int) -> Iterator[PictureBatch]:
    """Batches in order, read by several threads that keep a bounded number ready."""
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        yield from read_ahead(pool, source.readings(size), threads * READ_AHEAD + 1)


def _note(problems: IO[str], batch: PictureBatch) -> int:
    for path, reason in batch.problems:
        problems.write(json.dumps({"path": path, "reason": reason}, ensure_ascii=False) + "\n")
    return len(batch.problems)
