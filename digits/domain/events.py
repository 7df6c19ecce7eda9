"""What a job's worker reports: small frozen dataclasses, one JSON line each in `events.jsonl`.

Holds: every line carries `type`, `t` (seconds since the epoch) and `attempt` (1, 2, … one per start of the worker).
Metric, snapshot, sample and trace events carry the global `step` (batches seen, 0 before the first) and `epoch` (fractional).
A number that is not finite is written as null and read back as NaN. Unknown types and fields are skipped when read, so
an older reader survives a newer writer.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from digits.domain.metrics import is_sound
from digits.utils.values import finite

EVENT_TYPES: dict[str, type[Event]] = {}
CHECKED = re.compile(rb',"crc":"([0-9a-f]{8})"}\Z')  # the end of a line that carries its checksum
CHECKED_BYTES = len(',"crc":"00000000"}')
KINDS_OF_FIELDS: dict[str, tuple[type, ...]] = {
    "float": (float, int),
    "int": (int,),
    "str": (str,),
    "bool": (bool,),
    "dict": (dict,),
    "list": (list,),
}
LEFT_OUT = ("declared", "decides", "of_trained", "outputs", "nonfinite")  # of a line, where they are empty


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events."""

    type: ClassVar[str] = ""
    t: float = field(default_factory=time.time)
    attempt: int = 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        EVENT_TYPES[cls.type] = cls


@dataclass(frozen=True, kw_only=True)
class AttemptEvent(Event):
    """First line of each start of a worker.

    When it goes on from a checkpoint, `resumed_offset` is the byte length that `events.jsonl` had at that checkpoint and
    `resumed_step` its step: metric, snapshot, sample, trace and progress lines of earlier attempts at or beyond that offset are
    void. `resumed_step` of -1 means a start from nothing: then all such lines of earlier attempts are void.
    """

    type: ClassVar[str] = "attempt"
    resumed_step: int = -1
    resumed_offset: int = 0
    pid: int = 0
    host: str = ""


@dataclass(frozen=True, kw_only=True)
class StatusEvent(Event):
    """The worker's own word on its state; `D`, `E`, `A` and `W` (start me again) are the last line of an
    attempt. `lost` with `W`: a process that takes part died, which counts as a death of the worker; `message` says which."""

    type: ClassVar[str] = "status"
    status: str
    message: str = ""
    lost: bool = False


@dataclass(frozen=True, kw_only=True)
class ProgressEvent(Event):
    """How far the work is: `fraction` of the whole job in [0, 1], `rate` in `unit` a second, `eta` in seconds (an estimate), and
    `eta_range` where it would lie at the pace of the fastest and of the slowest tenth of the time so far (empty: not known)."""

    type: ClassVar[str] = "progress"
    fraction: float
    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    rate: float = 0.0
    eta: float | None = None
    eta_range: list[float] = field(default_factory=list)
    step: int = 0
    epoch: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MetricEvent(Event):
    """Scalars of one moment. `phase` is `train`, `val` or `lr`; `kinds` says `loss`, `accuracy` or `other` per name. Of a
    validation, `declared` is what the network text says of its own metrics (`better`, `unit`, `title`), and `decides` names the
    one that decides which snapshot is best (`NOTHING` where several losses rank nothing; empty: none is known, or written before
    there was this field). Of a validation before the
    first step, `of_trained` says that the weights had been trained before: then they may be the best. Where outputs held NaN or
    infinity, `nonfinite` says how many of how many `outputs`: none of the values is the best, nor where the loss is none."""

    type: ClassVar[str] = "metric"
    step: int
    epoch: float
    phase: str
    values: dict[str, float]
    kinds: dict[str, str] = field(default_factory=dict)
    declared: dict[str, dict[str, str]] = field(default_factory=dict)
    decides: str = ""
    of_trained: bool = False
    outputs: int = 0
    nonfinite: int = 0

    @property
    def may_be_best(self) -> bool:
        """Whether the weights are worth keeping: what was trained, and gives numbers for all of the split. A random start is
        nobody's best, whatever it scores."""
        return (self.step > 0 or self.of_trained) and is_sound(self.values, self.nonfinite)


@dataclass(frozen=True, kw_only=True)
class SnapshotEvent(Event):
    """A snapshot was written to (or, with `removed`, deleted from) `path`, relative to the job folder."""

    type: ClassVar[str] = "snapshot"
    step: int
    epoch: float
    path: str
    metrics: dict[str, float] = field(default_factory=dict)
    best: bool = False
    removed: bool = False


@dataclass(frozen=True, kw_only=True)
class SampleEvent(Event):
    """Predictions of a few fixed validation samples, in a file `path` relative to the job folder."""

    type: ClassVar[str] = "sample"
    step: int
    epoch: float
    path: str


@dataclass(frozen=True, kw_only=True)
class TraceEvent(Event):
    """What a step did was recorded, in a file `path` relative to the job folder. It took `seconds`, which `parts` divides by what
    they were spent on; `where` says so in a sentence."""

    type: ClassVar[str] = "trace"
    step: int
    epoch: float
    path: str
    seconds: float
    parts: dict[str, float] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class StageEvent(Event):
    """What a step spent its time on, in seconds by part (`data`: waiting for a batch and preparing it, `forward`, `backward`,
    `optimizer`, or `compute` for the three together), measured on single steps; after a validation how much of it falls to each
    step since the one before (`validation`)."""

    type: ClassVar[str] = "stage"
    step: int
    epoch: float
    seconds: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class BaselineEvent(Event):
    """What a guess without looking at the pictures scores on the validation split; `description` says which guess."""

    type: ClassVar[str] = "baseline"
    values: dict[str, float]
    description: str


@dataclass(frozen=True, kw_only=True)
class HardwareEvent(Event):
    """Use of the machine by the job: CPU in percent of one core, of so many that it may use (`cpus`; 0: not known), memory in
    bytes, one dictionary per GPU.

    A GPU has `index`, `name`, `uuid`, `memory_used`, `memory_total` (bytes), `utilization` (percent), `temperature` (°C).
    """

    type: ClassVar[str] = "hardware"
    cpu_percent: float = 0.0
    cpus: int = 0
    memory: int = 0
    memory_total: int = 0
    gpus: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class LogEvent(Event):
    """A line worth keeping for the reader of the job page."""

    type: ClassVar[str] = "log"
    message: str
    level: str = "info"


@dataclass(frozen=True, kw_only=True)
class WarningEvent(Event):
    """Something the user should know although the work goes on; `code` is stable, `advice` the next step."""

    type: ClassVar[str] = "warning"
    code: str
    message: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class ErrorEvent(Event):
    """Why the job failed; `trace` is shown collapsed, `code` is stable (`out-of-memory`, `diverged`, `network`, …)."""

    type: ClassVar[str] = "error"
    code: str
    message: str
    advice: str = ""
    trace: str = ""


@dataclass(frozen=True, kw_only=True)
class FilesEvent(Event):
    """What the job's results were when it was done: for each file, by its path in the job's folder, its length in bytes, the time
    of its last change in nanoseconds since 1970, and the CRC-32 of its content (see `storage.seals`)."""

    type: ClassVar[str] = "files"
    files: dict[str, list[int]]


def to_line(event: Event) -> str:
    """One JSON object without a line break; its last key is the CRC-32 of the line without it."""
    value = {"type": event.type, **{name: v for name, v in vars(event).items() if v or name not in LEFT_OUT}}
    try:
        line = _dumps(value)
    except ValueError:  # a number is none; most lines hold none such, and are not looked through
        line = _dumps(finite(value))
    raw = line.encode(errors="backslashreplace")  # half a surrogate of a file's name: an escape of JSON as well
    return f'{raw[:-1].decode()},"crc":"{zlib.crc32(raw):08x}"}}'


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_line(line: str | bytes) -> Event | None:
    """The event on a line; None for a line that is torn or damaged, or of a type this version does not know."""
    value = _checked(line)
    return None if value is None else from_json(value)


def is_intact(line: str | bytes) -> bool:
    """Whether a line is as it was written: its checksum fits, or (older versions wrote none) it is an object with a type that
    has the fields of its type."""
    raw = _raw(line)
    fits = _fits_checksum(raw)
    return _checked(raw) is not None if fits is None else fits


def _checked(line: str | bytes) -> dict[str, Any] | None:
    """The object on a line; None where it is torn or damaged."""
    raw = _raw(line)
    fits = _fits_checksum(raw)
    if fits is False:
        return None
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return None
    return value if fits or _fits(value) else None


def _raw(line: str | bytes) -> bytes:
    return line.encode(errors="surrogateescape") if isinstance(line, str) else line


def _fits_checksum(raw: bytes) -> bool | None:
    """Whether a line has the checksum that it carries; None where it carries none."""
    found = CHECKED.search(raw, max(0, len(raw) - CHECKED_BYTES))
    return None if found is None else f"{zlib.crc32(raw[: found.start()] + b'}'):08x}".encode() == found[1]


def _fits(value: Mapping[str, Any]) -> bool:
    """Whether the fields of an event without a checksum are of their types; one of a type that is not known always."""
    cls = EVENT_TYPES.get(value["type"])
    if cls is None:
        return True
    for field_ in dataclasses.fields(cls):
        kinds = KINDS_OF_FIELDS.get(str(field_.type).partition("[")[0].removesuffix(" | None"), (object,))
        found = value.get(field_.name)
        if field_.name not in value:
            if field_.default is dataclasses.MISSING and field_.default_factory is dataclasses.MISSING:
                return False
        elif not isinstance(found, kinds) and not (found is None and float in kinds):
            return False
    return True


def from_json(value: Mapping[str, Any]) -> Event | None:
    """The event in a parsed line, or None for an unknown type or a line without its required fields."""
    cls = EVENT_TYPES.get(str(value.get("type")))
    if cls is None:
        return None
    names = {f.name for f in dataclasses.fields(cls)}
    known = {name: v for name, v in value.items() if name in names}
    for name in ("values", "metrics"):
        if isinstance(known.get(name), dict):
            known[name] = {k: math.nan if v is None else v for k, v in known[name].items()}
    try:
        return cls(**known)
    except TypeError:
        return None
