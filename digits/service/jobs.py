"""Making and changing jobs: what a user may do with a job's row and folder. The supervisor does the rest."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import digits
from digits.domain.jobs import OF_MODELS, Action, JobRequest, Kind, Resources, Status, UserColumns, new_job_id
from digits.errors import BadRequest, Forbidden, NotFound, StorageError
from digits.service import Service
from digits.storage.jobs.store import Job, JobQuery
from digits.utils.values import WHOLE, counted, shown, whole

LARGEST_PRIORITY = 10**7
LONGEST = {"name": 500, "group": 500, "notes": 100_000, "a tag": 100}  # characters
MOST_TAGS = 50


def create_job(
    service: Service,
    *,
    kind: Kind,
    task: str,
    type_name: str,
    name: str,
    form: Mapping[str, Any],
    spec: Mapping[str, Any],
    resources: Resources,
    parents: tuple[str, ...] = (),
    group: str = "",
    owner: str = "",
    job_id: str = "",
    **columns: Any,
) -> Job:
    """Write the job's folder, then its row in state `I`; the supervisor starts it when it can.

    `job_id` is one of `claimed_job_id`, for who puts files into the folder first. `columns` are further columns of the
    row: `extension`, `framework`, `network`, `dataset_id`, `summary`.
    """
    user = UserColumns(name=name, group=group, owner=owner)
    with contextlib.nullcontext(job_id) if job_id else claimed_job_id(service) as own_id:
        request = JobRequest(
            id=own_id,
            kind=kind,
            type_name=type_name,
            task=task,
            created=time.time(),
            form=dict(form),
            spec=dict(spec),
            parents=parents,
            resources=resources,
            digits_version=digits.__version__,
            columns=columns,
        )
        service.folder(own_id).create(request, user)
        return service.store.insert(request, user)


@contextlib.contextmanager
def claimed_job_id(service: Service) -> Iterator[str]:
    """A job id of now that is nobody else's: its folder is made, and removed when no job comes of it.

    The block puts files (uploads, a network text) into the folder and calls `create_job`.
    """
    job_id = _claim(service)
    try:
        yield job_id
    except BaseException:
        if service.store.find(job_id) is None:  # else the supervisor would find the folder and do what was refused
            shutil.rmtree(service.folder(job_id).path, ignore_errors=True)
        raise


def _claim(service: Service) -> str:
    while True:
        job_id = new_job_id()
        with contextlib.suppress(FileExistsError):
            service.folder(job_id).path.mkdir()
            return job_id


def may_edit(job: Job, user: str) -> bool:
    """Whether `user` may change or delete the job: somebody is logged in, and the job is nobody's or theirs."""
    return bool(user) and (not job.owner or job.owner == user)


def check_edit(job: Job, user: str) -> None:
    """Raises Forbidden when `user` may not change the job."""
    if not may_edit(job, user):
        raise Forbidden(f"{job.name} belongs to {job.owner or 'nobody'}; {user or 'an unknown user'} may not change it.")


def edit(
    service: Service,
    job: Job,
    *,
    name: str | None = None,
    notes: str | None = None,
    group: str | None = None,
    tags: Sequence[str] | None = None,
) -> Job:
    """Change name, notes, group or tags, in `user.json` first and then in the row. BadRequest for a blank name, a text too long
    and what is no tag."""
    if name is not None and not name.strip():
        raise BadRequest("name cannot be blank")
    changes: dict[str, Any] = {k: v.strip() for k, v in {"name": name, "notes": notes, "group": group}.items() if v is not None}
    for field, text in changes.items():
        _check_text(field, text)
    if tags is not None:
        changes["tags"] = clean_tags(tags)
    folder = service.folder(job.id)
    try:
        folder.write_user(replace(folder.user(), **changes))
    except StorageError:
        service.store.get(job.id)  # NotFound where somebody deletes it at this moment
        raise
    return service.store.update(job.id, **changes)


def clean_tags(texts: Iterable[str]) -> list[str]:
    """Tags as they are kept: without blanks around them, none twice, in the order given; blank ones are left out.

    BadRequest for one with a comma (commas separate tags wherever they are written as one text), for one that is too long or
    has control characters, and for too many.
    """
    tags = list(dict.fromkeys(" ".join(text.split()) for text in texts))
    tags = [tag for tag in tags if tag]
    for tag in tags:
        _check_text("a tag", tag)
        if "," in tag:
            raise BadRequest(
                f"A tag cannot contain a comma, as {shown(tag)} does.", advice="Send the parts as tags of their own."
            )
        if not tag.isprintable():
            raise BadRequest(f"A tag cannot contain control characters, as {shown(tag)} does.", advice="Leave them out.")
    if len(tags) > MOST_TAGS:
        raise BadRequest(f"These are {len(tags):,} tags; a job has {MOST_TAGS} at most.", advice="Send fewer.")
    return tags


def _check_text(field: str, text: str) -> None:
    """BadRequest for a text that cannot be kept."""
    if "\0" in text:
        raise BadRequest(f"{field} cannot contain a zero byte.")
    if len(text) > LONGEST[field]:
        raise BadRequest(f"{field} has {len(text):,} characters; at most {LONGEST[field]:,} are kept.", advice="Shorten it.")


def stored_form(service: Service, job: Job) -> dict[str, Any]:
    """The form that made the job, with the name and group it has now: what a clone starts from."""
    names = {Kind.DATASET: "dataset_name", Kind.MODEL: "model_name"}
    form = dict(service.folder(job.id).request().form)
    key = names.get(Kind(job.kind))
    if key:
        form[key] = job.name
    form["group_name"] = job.group
    return form


def abort(service: Service, job: Job) -> None:
    """Ask for the job to be stopped. Forbidden when it has ended already."""
    if not job.status.is_running:
        raise Forbidden("Job not aborted")
    service.store.request_action(job.id, Action.ABORT)


def reprioritize(service: Service, job: Job, move: str) -> Job:
    """Move a waiting job in the queue. `move` is `top`, `up`, `down`, `bottom` or a whole number that becomes its priority."""
    if not job.status.is_running:
        raise Forbidden(f"{job.name} is {job.status.word}; only a job that waits has a place in the queue.")
    if WHOLE.fullmatch(move):
        return _set_priority(service, job, whole(move, "move", least=-LARGEST_PRIORITY, most=LARGEST_PRIORITY))
    queue = [other for other in service.store.active() if other.status != Status.RUN or other.id == job.id]
    places = {"top": 0, "bottom": len(queue) - 1}
    at = [other.id for other in queue].index(job.id)
    to = places.get(move, at + {"up": -1, "down": 1}.get(move, 0))
    if move not in ("top", "bottom", "up", "down"):
        raise BadRequest(f"move is {shown(move)}, expected top, up, down, bottom or a whole number.")
    queue.insert(max(0, min(to, len(queue) - 1)), queue.pop(at))
    return _number_queue(service, queue, job.id)


def choose(service: Service, job_ids: Iterable[str], user: str) -> tuple[list[Job], list[str]]:
    """The jobs that `user` may change, and sentences that count the others: `2 jobs not found.`"""
    found = [service.store.find(job_id) for job_id in job_ids]
    jobs = [job for job in found if job is not None]
    allowed = [job for job in jobs if may_edit(job, user)]
    counts = {"not found": len(found) - len(jobs), "not permitted": len(jobs) - len(allowed)}
    return allowed, [f"{counted(count, 'job')} {what}." for what, count in counts.items() if count]


def for_each(service: Service, action: Callable[[Service, Job], object], jobs: Iterable[Job]) -> list[str]:
    """Do `action` to every job. Where it is refused the others still get their turn; the refusals, each naming its job."""
    problems = []
    for job in jobs:
        try:
            action(service, job)
        except (Forbidden, NotFound) as error:
            problems.append(str(error) if job.name in str(error) else f"{job.name}: {error}")
    return problems


def _number_queue(service: Service, queue: list[Job], job_id: str) -> Job:
    """Give the jobs falling priorities, so that they start in this order; those that have theirs already are left alone."""
    lowest = min((job.priority for job in queue), default=0)
    for place, job in enumerate(reversed(queue)):
        if job.priority != lowest + place:
            _set_priority(service, job, lowest + place)
    return service.store.get(job_id)


def _set_priority(service: Service, job: Job, priority: int) -> Job:
    folder = service.folder(job.id)
    folder.write_user(replace(folder.user(), priority=priority))
    return service.store.update(job.id, priority=priority)


def resume(service: Service, job: Job) -> None:
    """Ask for a job that was aborted or failed to go on from its checkpoint."""
    if job.status not in (Status.ABORT, Status.ERROR):
        raise Forbidden(f"{job.name} is {job.status.word}; only an aborted or failed job can go on.")
    service.store.request_action(job.id, Action.RESUME)


def jobs_of_model(service: Service, model: Job, kinds: Iterable[Kind] = OF_MODELS) -> list[Job]:
    """The evaluations and exports of a model (or those of some kinds), newest first of each kind."""
    found = [job for kind in kinds for job in service.store.query(JobQuery(kind=kind)).jobs]
    return [job for job in found if job.summary.get("model_id") == model.id]


def delete(service: Service, job: Job) -> list[str]:
    """Hide the job at once and request the removal of its folder; the evaluations and exports of a model go with it. The ids of
    all of them.

    Forbidden while models need it.
    """
    dependents = [child for child in service.store.children(job.id) if child.kind == Kind.MODEL]
    if job.kind == Kind.DATASET and dependents:
        names = ", ".join(child.name for child in dependents)
        raise Forbidden(f"{job.name} is used by {len(dependents)} model(s), which must be deleted first: {names}.")
    gone = [job.id]
    for other in jobs_of_model(service, job) if job.kind == Kind.MODEL else ():
        with contextlib.suppress(NotFound):  # somebody else deletes it at the same moment
            service.store.request_action(other.id, Action.DELETE)
        gone.append(other.id)
    service.store.request_action(job.id, Action.DELETE)
    return gone
