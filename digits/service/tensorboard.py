"""TensorBoard on the summaries of some models: requests from the supervisor a process that shows them on a Unix socket."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from digits.domain.jobs import Kind
from digits.errors import BadRequest
from digits.ipc.supervisor_client import call
from digits.service import Service
from digits.storage.jobs.store import Job

MOST_MODELS = 50
INSTALL = "pip install 'digits[tensorboard]'"
ASK_SECONDS = 10.0


@dataclass(frozen=True)
class Board:
    """Where a TensorBoard listens; `socket` is empty where none was started, `ready` whether it answers already."""

    socket: str
    ready: bool


def is_installed() -> bool:
    """Whether TensorBoard is there; looks without importing it."""
    return importlib.util.find_spec("tensorboard") is not None


def models_of(service: Service, ids: Sequence[str]) -> list[Job]:
    """The models named. Raises BadRequest for none or too many of them, NotFound where there is no such model."""
    wanted = list(dict.fromkeys(ids))
    if not 0 < len(wanted) <= MOST_MODELS:
        raise BadRequest(f"{len(wanted)} models are chosen; TensorBoard shows 1 to {MOST_MODELS} side by side.")
    return [service.store.get(job_id, Kind.MODEL) for job_id in wanted]


def open_board(service: Service, ids: Sequence[str], *, start: bool = True) -> Board:
    """The TensorBoard of some models, started where it does not run and `start` is set; does not wait until it is ready.

    Raises BadRequest where TensorBoard is not installed, Unavailable when it did not start or no supervisor runs.
    """
    models = models_of(service, ids)
    if not is_installed():
        raise BadRequest(
            "TensorBoard is not installed here.",
            advice=f"One command adds it: {INSTALL}. Then try again; the server need not be started anew.",
        )
    request = {"op": "tensorboard", "job_ids": [model.id for model in models], "start": start}
    answer = call(service.jobs_dir, request, timeout=ASK_SECONDS)
    return Board(str(answer["socket"]), bool(answer["ready"]))
