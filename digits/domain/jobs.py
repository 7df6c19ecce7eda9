"""A job: its state (`Status`) and the moves that are legal, what was requested (`JobRequest`, never edited after start), and what
its user may change (`UserColumns`)."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA = 1
COLLAPSE_WAIT_SECONDS = 1.0
JOB_ID = re.compile(r"^\d{8}-\d{6}-[0-9a-f]{4,12}\Z")


class Kind(StrEnum):
    """What a job makes. An evaluation is any longer inference: many pictures, a split, a list. An export writes a model in
    another format, into the model's folder; an embedding is what one of its layers makes of many pictures. A
    pretrained model is a network with weights that came from elsewhere, or of a model here."""

    DATASET = "dataset"
    MODEL = "model"
    EVALUATION = "evaluation"
    EXPORT = "export"
    EMBEDDING = "embedding"
    PRETRAINED = "pretrained_model"


PREDICTING = (Kind.MODEL, Kind.PRETRAINED)  # jobs whose folder holds a network and snapshots of its weights
OF_MODELS = (Kind.EVALUATION, Kind.EXPORT, Kind.EMBEDDING)  # jobs that go with the model that their summary names


class Action(StrEnum):
    """What a user has requested the supervisor to do with a job."""

    NONE = ""
    ABORT = "abort"
    DELETE = "delete"  # stop it and put it into the trash
    PURGE = "purge"  # remove it for good
    RESTORE = "restore"  # take it out of the trash
    RECORDS = "records"  # delete the records of a data set and keep what its models need to predict
    FINISH = "finish"  # end a training at its next step as done, with what it has
    EXTEND = "extend"  # let a training that is done go on for more epochs
    RESUME = "resume"  # start a finished job again, from its checkpoint where it has one


def new_job_id(now: float | None = None) -> str:
    """`YYYYmmdd-HHMMSS-xxxx`: local time and four random hexadecimal digits."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    return f"{stamp}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class Resources:
    """What a job needs before it starts.

    `pool` limits how many jobs of one sort run at once (`create_db`, `analyze_db`, `inference`, `train` of R 4.2, `export`,
    `pretrained`); `cpus` are slots of the machine; `gpus` is how many free devices, `gpu_ids` exactly which.
    """

    pool: str
    cpus: int = 1
    gpus: int = 0
    gpu_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobRequest:
    """The contents of `job.json`. `task` of a data set is settled when its records show it (`JobFolder.settle_task`).

    `form` is what the user sent (kept to clone the job), `spec` what it was validated to (a dataclass of
    `domain.datasets`, `domain.training` or `domain.inference` as a dictionary). `columns` are columns of lists (`extension`,
    `framework`, `network`, `dataset_id`, `summary`), kept here too so that the database can be made again from the folders.
    """

    id: str
    kind: Kind
    type_name: str
    task: str  # the name of one of `digits.tasks`
    created: float
    form: dict[str, Any]
    spec: dict[str, Any]
    parents: tuple[str, ...] = ()
    resources: Resources = field(default_factory=lambda: Resources("train"))
    digits_version: str = ""
    columns: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobRequest:
        known = dict(value)
        resources = dict(known["resources"])
        resources["gpu_ids"] = tuple(resources.get("gpu_ids", ()))
        return cls(
            **{
                **known,
                "kind": Kind(known["kind"]),
                "task": known["task"],
                "parents": tuple(known.get("parents", ())),
                "resources": Resources(**resources),
            }
        )


@dataclass(frozen=True)
class UserColumns:
    """The contents of `user.json`: what a user may change at any time, also while the job runs."""

    name: str
    group: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    priority: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> UserColumns:
        return cls(**{**value, "tags": tuple(value.get("tags", ()))})


class Status(StrEnum):
    """State of a job. Equal to its letter; the text form is the letter."""

    INIT = "I"
    WAIT = "W"
    RUN = "R"
    DONE = "D"
    ABORT = "A"
    ERROR = "E"

    @property
    def word(self) -> str:
        """The word shown to people and in JSON, e.g. `Running`."""
        return _WORDS[self]

    @property
    def css(self) -> str:
        """Bootstrap's contextual colour name."""
        return css(self)

    @property
    def is_running(self) -> bool:
        """Whether work is still to come (initialized, waiting or running)."""
        return self in RUNNING


_WORDS = {
    Status.INIT: "Initialized",
    Status.WAIT: "Waiting",
    Status.RUN: "Running",
    Status.DONE: "Done",
    Status.ABORT: "Aborted",
    Status.ERROR: "Error",
}
_CSS = {"I": "warning", "W": "warning", "R": "info", "D": "success", "A": "warning", "E": "danger"}

RUNNING = frozenset({Status.INIT, Status.WAIT, Status.RUN})
FINISHED = frozenset({Status.DONE, Status.ABORT, Status.ERROR})

# A finished job may go back to waiting: that is what "resume" and "run again" do.
LEGAL_MOVES: dict[Status, frozenset[Status]] = {
    Status.INIT: frozenset({Status.WAIT, Status.RUN, Status.ABORT, Status.ERROR}),
    Status.WAIT: frozenset({Status.RUN, Status.ABORT, Status.ERROR}),
    Status.RUN: frozenset({Status.WAIT, Status.DONE, Status.ABORT, Status.ERROR}),
    Status.DONE: frozenset({Status.WAIT}),
    Status.ABORT: frozenset({Status.WAIT}),
    Status.ERROR: frozenset({Status.WAIT}),
}


def css(letter: str) -> str:
    """Bootstrap's contextual colour name of a status letter; `default` for an unknown one."""
    return _CSS.get(str(letter), "default")


class StatusHistory:
    """The states a job went through, oldest first, as `(status, seconds since the epoch)`.

    An empty history reads as `Status.INIT`. A wait of under one second directly before a run is not kept.
    """

    def __init__(self, entries: list[tuple[Status, float]] | None = None) -> None:
        self.entries = list(entries or [])

    @property
    def current(self) -> Status:
        return self.entries[-1][0] if self.entries else Status.INIT

    def add(self, status: Status, at: float) -> None:
        """Append `status`; the same state twice in a row is kept once."""
        if self.entries and self.entries[-1][0] == status:
            return
        if status == Status.RUN and self.entries:
            last, since = self.entries[-1]
            if last == Status.WAIT and at - since < COLLAPSE_WAIT_SECONDS:
                self.entries.pop()
        self.entries.append((status, at))

    def work(self) -> tuple[float, float | None]:
        """Seconds of all runs that have ended, and since when the one that goes on runs (None: none does). A run that ended
        before it began, by a clock that was set back, counts nothing."""
        ends = [at for _, at in self.entries[1:]]
        runs = [end - at for (status, at), end in zip(self.entries, ends, strict=False) if status == Status.RUN]
        since = self.entries[-1][1] if self.current == Status.RUN else None
        return sum(max(0.0, seconds) for seconds in runs), since

    def to_json(self) -> list[list[object]]:
        return [[str(status), at] for status, at in self.entries]

    @classmethod
    def from_json(cls, value: list[list[object]] | None) -> StatusHistory:
        return cls([(Status(str(s)), float(str(at))) for s, at in value or []])
