"""Execution traces: what one step did and for how long, recorded every so many steps, as a file for a viewer and as a sentence.

Holds: a step that is not recorded costs nothing, and one that is recorded computes the same. A trace that cannot be recorded or
written ends the traces, never the training. Times of a recorded step are a little longer than those of others.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from digits.domain.events import TraceEvent, WarningEvent
from digits.engines.base import TrainingRun
from digits.engines.training.calendar import Calendar
from digits.engines.training.trace_parts import DATA, REST, WORDS
from digits.storage.files import atomic
from digits.storage.folders import JobFolder
from digits.utils.values import counted

MOST = 100  # traces of one training
MOST_SPANS = 60_000  # kept of one trace, the longest
LISTED = 20  # operations
T = TypeVar("T")


@dataclass(frozen=True)
class Span:
    """Something that took a while: from `start` for `length` microseconds, on a `thread`, or `on_device` on a stream of a GPU.

    `part` is what of a step it belongs to, where it is known. `kind` is `part` of a whole one, `layer`, `operation`, or `runtime`
    of what runs operations.
    """

    name: str
    start: float
    length: float
    thread: str
    kind: str = "operation"
    part: str = ""
    on_device: bool = False

    @property
    def end(self) -> float:
        return self.start + self.length


class Recorder(ABC):
    """Records what this process does from `start` to `stop`; may be used again then. Everything in the thread that trains."""

    @abstractmethod
    def start(self) -> None:
        """Begin; nothing that it costs to begin is in the recording."""

    @abstractmethod
    def mark(self, part: str) -> AbstractContextManager[Any]:
        """What is done inside the block stands for a part of the step."""

    @abstractmethod
    def stop(self) -> list[Span]:
        """End, when the devices have done what they were told, and give what was recorded."""

    @abstractmethod
    def drop(self) -> None:
        """End without a result, if it has begun."""


class Tracer:
    """Records the steps of one training that are due."""

    def __init__(self, run: TrainingRun, calendar: Calendar, recorder: Recorder) -> None:
        self.run, self.calendar = run, calendar
        self.recorder: Recorder | None = recorder  # None once it has failed
        self.every = spacing(run.spec.traces_interval, calendar.total)
        self.step = 0  # that is recorded; 0: none
        self.began = 0.0
        if self.every > run.spec.traces_interval:
            message = f"At most {MOST} traces of a training are recorded: one every {self.every:,} steps."
            run.emit(WarningEvent(code="traces", message=message))

    def is_due(self, step: int) -> bool:
        """Whether a step is recorded: each n-th one, the last one where there are fewer."""
        return step % self.every == 0 or step == self.calendar.total < self.every

    def watch(self, batches: Iterator[T], step: int, count: int) -> Iterator[T]:
        """The next `count` batches, of the steps after `step`; a recording begins before its batch is waited for."""
        for number in range(step + 1, step + count + 1):
            if self.is_due(number):
                self._begin(number)
            with self.recorder.mark(DATA) if self.step and self.recorder else nullcontext():
                batch = next(batches)
            yield batch

    def end(self) -> None:
        """The step is over: where it was recorded, write and tell what it did."""
        if not self.step or self.recorder is None:
            return
        step, self.step = self.step, 0
        try:
            spans = self.recorder.stop()
            seconds = time.perf_counter() - self.began
            self._write(step, spans, length_of(spans) or seconds)
        except Exception as error:  # of a profiler, or of the disk
            self._give_up(step, error)

    def close(self) -> None:
        """The training is over, or broke off in the middle of a step."""
        if self.step and self.recorder is not None:
            self.step = 0
            self.recorder.drop()

    def _begin(self, step: int) -> None:
        if self.recorder is None:
            return
        try:
            self.recorder.start()
        except Exception as error:  # profilers need rights and libraries that not every machine has
            self._give_up(step, error)
            return
        self.step, self.began = step, time.perf_counter()

    def _give_up(self, step: int, error: Exception) -> None:
        recorder, self.recorder = self.recorder, None
        if recorder is not None:
            recorder.drop()
        message = f"The trace of step {step:,} could not be recorded ({type(error).__name__}: {error})."
        self.run.emit(WarningEvent(code="traces", message=message, advice="The training goes on without traces."))

    def _write(self, step: int, spans: list[Span], seconds: float) -> None:
        parts = shares(spans, seconds)
        operations = totals(spans)
        where = sentence(step, seconds, parts, operations)
        path = JobFolder(self.run.folder).trace_file(step)
        epoch = self.calendar.epoch_of(step)
        told = {"step": step, "epoch": epoch, "seconds": seconds, "parts": parts, "where": where, "operations": operations}
        text = json.dumps({"traceEvents": chrome_events(spans), "displayTimeUnit": "ms", "digits": told}, separators=(",", ":"))
        with atomic(path) as handle:
            handle.write(text.encode())
        self.run.emit(TraceEvent(step=step, epoch=epoch, path=path.name, seconds=seconds, parts=parts, where=where))


def tracer_of(run: TrainingRun, calendar: Calendar, make: Callable[[], Recorder | None]) -> Tracer | None:
    """What records the steps of a training that asks for it, with what `make` gives, if its engine can."""
    if run.spec.traces_interval <= 0:
        return None
    recorder = make()
    if recorder is None:
        message = f"Execution traces are not recorded: {run.spec.framework} has no recorder for them."
        run.emit(WarningEvent(code="traces", message=message, advice="Train with PyTorch or TensorFlow for them."))
        return None
    return Tracer(run, calendar, recorder)


def spacing(interval: int, total: int) -> int:
    """Every how many of `total` steps one is recorded: `interval`, or a multiple of it where there would be too many."""
    return interval * (total // (interval * (MOST + 1)) + 1)


def length_of(spans: Sequence[Span]) -> float:
    """Seconds from the first to the last."""
    return (max(span.end for span in spans) - min(span.start for span in spans)) / 1e6 if spans else 0.0


def shares(spans: Iterable[Span], seconds: float) -> dict[str, float]:
    """How many of a step's seconds went into each part; a moment in which several are at work is of the first one in `WORDS`."""
    by_part = defaultdict(list)
    for span in spans:
        by_part[span.part].append((span.start, span.end))
    found: dict[str, float] = {}
    taken: list[tuple[float, float]] = []
    for part in WORDS:
        before = _covered(taken)
        taken = _merged([*taken, *by_part.get(part, ())])
        found[part] = (_covered(taken) - before) / 1e6
    found[REST] = max(0.0, seconds - sum(found.values()))
    return {part: value for part, value in found.items() if value > 0}


def totals(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Operations by the time that they themselves took, the longest first: `name`, `calls`, `seconds`; on a GPU those of it."""
    device = any(span.on_device for span in spans)
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for span, own in own_lengths([span for span in spans if span.kind == "operation" and span.on_device == device]):
        entry = found[span.name]
        entry[0] += 1
        entry[1] += own / 1e6
    longest = sorted(found.items(), key=lambda item: -item[1][1])[:LISTED]
    return [{"name": name, "calls": int(calls), "seconds": seconds} for name, (calls, seconds) in longest]


def own_lengths(spans: Sequence[Span]) -> Iterator[tuple[Span, float]]:
    """Each span with its length, without that of those inside it on the same thread."""
    inside: dict[int, float] = defaultdict(float)
    ordered = sorted(spans, key=lambda span: (span.thread, span.start, -span.length))
    above: list[int] = []
    for number, span in enumerate(ordered):
        while above and (ordered[above[-1]].thread != span.thread or ordered[above[-1]].end <= span.start):
            above.pop()
        if above:
            inside[above[-1]] += span.length
        above.append(number)
    for number, span in enumerate(ordered):
        yield span, max(0.0, span.length - inside[number])


def sentence(step: int, seconds: float, parts: dict[str, float], operations: Sequence[dict[str, Any]]) -> str:
    """Where the time of a step went: "Of the 34.1 ms of step 20, 52 % went into the backward pass, …"."""
    ordered = sorted(parts.items(), key=lambda item: (item[0] == REST, -item[1]))
    shown = [f"{100 * value / seconds:.0f} % went into {WORDS[part]}" for part, value in ordered if value >= 0.01 * seconds]
    shown = [shown[0], *(text.replace("went ", "", 1) for text in shown[1:])] if shown else ["nothing was recorded"]
    text = f"Of the {milliseconds(seconds)} of step {step:,}, {', '.join(shown[:-1])}{' and ' if shown[1:] else ''}{shown[-1]}"
    if not operations:
        return f"{text}."
    first = operations[0]
    calls = counted(first["calls"], "call")
    return f"{text}; no operation took longer than {first['name']} ({milliseconds(first['seconds'])} in {calls})."


def milliseconds(seconds: float) -> str:
    """`34.1 ms`, `1,250 ms`."""
    value = 1000 * seconds
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def chrome_events(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """The spans as viewers of Chrome's traces read them (ts and dur in microseconds); the longest, where there are too many."""
    kept = sorted(spans, key=lambda span: -span.length)[:MOST_SPANS]
    start = min((span.start for span in spans), default=0.0)
    threads = {name: number for number, name in enumerate(dict.fromkeys(span.thread for span in spans))}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": number, "args": {"name": name}} for name, number in threads.items()
    ]
    return events + [
        {
            "ph": "X",
            "name": span.name,
            "cat": span.part or span.kind,
            "ts": round(span.start - start, 3),
            "dur": round(span.length, 3),
            "pid": 1,
            "tid": threads[span.thread],
        }
        for span in sorted(kept, key=lambda span: span.start)
    ]


def _merged(intervals: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _covered(intervals: Iterable[tuple[float, float]]) -> float:
    return sum(end - start for start, end in intervals)
