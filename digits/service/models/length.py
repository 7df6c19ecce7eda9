"""How long a model trains, changed after the form was sent: *Stop & keep best* ends a training early, *Extend* lets one that is
done go on.

Holds: a model keeps its id, snapshots and curves. An early end is an ordinary one: the weights of its last step are measured and
kept, and so is the best snapshot. An extension goes on from the last state, as if the training had been requested with the new
number of epochs: the policy of the learning rate counts its percents of that from then on. Form and settings say it too.
"""

from __future__ import annotations

import math

from digits.domain.jobs import Action, Kind, Status
from digits.errors import BadRequest, Forbidden
from digits.service import Service
from digits.service.damage import require_records
from digits.service.models.history import read_history
from digits.storage.jobs.store import Job

MOST_EPOCHS = 1_000_000  # in all


def finish(service: Service, job: Job) -> str:
    """Let a training end at its next step, as done; what is said then. Forbidden for one that does not train."""
    require_model(job)
    if not job.status.is_running:
        raise Forbidden(f"{job.name} is {job.status.word}; only a training that runs can be finished.")
    if not job.attempt:
        raise Forbidden(f"{job.name} has not begun to train: there is nothing to keep.", advice="Abort it instead.")
    service.store.request_action(job.id, Action.FINISH)
    return "The training ends at its next step; the best snapshot is kept."


def extend(service: Service, job: Job, epochs: int) -> int:
    """Let a training that is done go on for `epochs` more; how many it has in all then. BadRequest for a number below 1,
    Forbidden for a job in another state, Conflict where its records are gone."""
    require_model(job)
    if epochs < 1:
        raise BadRequest(f"epochs is {epochs}, expected 1 or more.")
    if job.status != Status.DONE or job.requested_action:
        state = "about to change" if job.requested_action else job.status.word
        advice = "Resume it instead." if job.status in (Status.ABORT, Status.ERROR) else "Wait until it is done."
        raise Forbidden(f"{job.name} is {state}; only a training that is done can be extended.", advice=advice)
    require_records(service, job.dataset_id)
    folder = service.folder(job.id)
    if not (folder.checkpoint / "checkpoint.json").is_file():
        raise Forbidden(
            f"{job.name} has no last state to go on from.",
            advice="Train a new model from its snapshot: choose that in the form.",
        )
    before = trained_epochs(service, job)
    total = before + epochs
    if total > MOST_EPOCHS:
        raise BadRequest(f"epochs is {epochs:,}, which makes {total:,}; a training has at most {MOST_EPOCHS:,}.")
    folder.request_extension(total, before)
    service.store.request_action(job.id, Action.EXTEND)
    return total


def trained_epochs(service: Service, job: Job) -> int:
    """Epochs that a training has behind it, one that was begun counted whole."""
    folder = service.folder(job.id)
    progress = read_history(folder).progress
    wanted = int(folder.request().spec["epochs"])
    return wanted if progress is None else min(wanted, math.ceil(progress.epoch - 1e-9))


def require_model(job: Job) -> None:
    """Raises BadRequest for a job of another kind."""
    if job.kind != Kind.MODEL:
        raise BadRequest(f"{job.name} is no model.", advice="Choose a model.")
