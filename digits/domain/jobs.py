"""A job: what was requested (`JobRequest`, never edited after start) and what its user may change (`UserColumns`)."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA = 1
JOB_ID = re.compile(r"^\d{8}-\d{6}-[0-9a-f]{4,12}\Z")


class Kind(StrEnum):
    """What a job makes. An evaluation is any longer inference: many pictures, a split, a list. An export writes a model in
    another format, into the model's folder."""

    DATASET = "dataset"
    MODEL = "model"
    EVALUATION = "evaluation"
    EXPORT = "export"


OF_MODELS = (Kind.EVALUATION, Kind.EXPORT)  # jobs that go with the model that their summary names


class Task(str):
    """The name of a task as `job.json` has it. Which ones there are, and what they mean, says `digits.tasks`."""


class Action(StrEnum):
    """What a user has requested the supervisor to do with a job."""

    NONE = ""
    ABORT = "abort"
    DELETE = "delete"
    RESUME = "resume"  # start a finished job again, from its checkpoint where it has one


def new_job_id(now: float | None = None) -> str:
    """`YYYYmmdd-HHMMSS-xxxx`: local time and four random hexadecimal digits."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    return f"{stamp}-{secrets.token_hex(2)}"


@dataclass(frozen=True)
class Resources:
    """What a job needs before it starts.

    `pool` limits how many jobs of one sort run at once (`create_db`, `analyze_db`, `inference`, `train` of R 4.2, and `export`);
    `cpus` are slots of the machine; `gpus` is how many free devices, `gpu_ids` exactly which.
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
    task: Task
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
                "task": Task(known["task"]),
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
