"""Making and changing jobs: what a user may do with a job's row and folder. The supervisor does the rest."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

import digits
from digits.domain.jobs import (
    OF_MODELS,
    PREDICTING,
    Action,
    JobRequest,
    Kind,
    Resources,
    Status,
    UserColumns,
    new_job_id,
)
from digits.errors import BadRequest, Conflict, Forbidden, NotFound, StorageError
from digits.service import Service
from digits.service.damage import require_records
from digits.storage.files import cannot_write
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job, JobQuery
from digits.storage.modes import make_folder
from digits.storage.publications import Publications
from digits.utils.locks import locked
from digits.utils.values import WHOLE, counted, shown, whole

LARGEST_PRIORITY = 10**7
LONGEST = {"name": 500, "group": 500, "notes": 100_000, "a tag": 100}  # characters
MOST_TAGS = 50
WRITERS = 16  # threads that write files of many jobs at once


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
        with contextlib.suppress(OSError):
            service.folder(job_id).claim_file.unlink(missing_ok=True)
    except BaseException:
        if service.store.find(job_id) is None:  # else the supervisor would find the folder and do what was refused
            shutil.rmtree(service.folder(job_id).path, ignore_errors=True)
        raise


@contextlib.contextmanager
def all_or_none(service: Service) -> Iterator[list[Job]]:
    """A list for the jobs that the block makes: where the block fails, those that it made before go for good."""
    made: list[Job] = []
    try:
        yield made
    except BaseException:
        with contextlib.suppress(SQLAlchemyError):  # what failed first is what the user is to know
            service.store.request_action_many([job.id for job in made], Action.PURGE)
        raise


def _claim(service: Service) -> str:
    while True:
        job_id = new_job_id()
        with contextlib.suppress(FileExistsError):
            make_folder(service.folder(job_id).path, service.jobs_dir.mode)
            service.folder(job_id).claim_file.touch()
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
    try:
        with change_user(service, job, **changes):  # two tabs: what is in the file last is in the row too
            return service.store.update(job.id, **changes)
    except StorageError:
        service.store.get(job.id)  # NotFound where somebody deletes it at this moment
        raise


@contextlib.contextmanager
def change_user(service: Service, job: Job, **changes: Any) -> Iterator[None]:
    """Change columns of the job's `user.json`, and keep every other process and thread from doing so until the block ends. Raises
    StorageError."""
    folder = service.folder(job.id)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder.path / ".user.lock"))
        except OSError as error:
            raise cannot_write(error, folder.user_file) from error
        folder.write_user(replace(user_of(folder, job), **changes))
        yield


def regroup_many(service: Service, jobs: Sequence[Job], group: str) -> list[str]:
    """`edit` of the group of each, in one transaction; the refusals, each naming its job. BadRequest for a text too long."""
    group = group.strip()
    _check_text("group", group)

    def keep(job: Job) -> str:
        try:
            with change_user(service, job, group=group):
                return ""
        except StorageError as error:
            return f"{job.name}: {error}"

    each = {job.id: job for job in jobs}
    with ThreadPoolExecutor(WRITERS) as writers:  # each file is synced, and a disk syncs many together as fast as one
        problems = dict(zip(each, writers.map(keep, each.values()), strict=True))
    there = service.store.update_many({job_id: {"group": group} for job_id, problem in problems.items() if not problem})
    return [problems[job.id] or f"{job.name}: Job not found" for job in each.values() if job.id not in there]


def user_of(folder: JobFolder, job: Job) -> UserColumns:
    """What `user.json` says; where it is lost or damaged, what the row says."""
    known = folder.find_user()
    return UserColumns(job.name, job.group, job.notes, tuple(job.tags), job.owner, job.priority) if known is None else known


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


def abort_many(service: Service, jobs: Sequence[Job]) -> list[str]:
    """`abort` for each, in one transaction; the refusals, each naming its job."""
    running = [job.id for job in jobs if job.status.is_running]
    service.store.request_action_many(running, Action.ABORT)
    return [f"{job.name}: Job not aborted" for job in jobs if not job.status.is_running]


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
    return _place(service, queue, job.id)


def choose(service: Service, job_ids: Iterable[str], user: str) -> tuple[list[Job], list[str]]:
    """The jobs that `user` may change, and sentences that count the others: `2 jobs not found.`"""
    wanted = list(job_ids)
    known = service.store.find_many(set(wanted))
    jobs = [known[job_id] for job_id in wanted if job_id in known]
    allowed = [job for job in jobs if may_edit(job, user)]
    counts = {"not found": len(wanted) - len(jobs), "not permitted": len(jobs) - len(allowed)}
    return allowed, [f"{counted(count, 'job')} {what}." for what, count in counts.items() if count]


def for_each(service: Service, action: Callable[[Service, Job], object], jobs: Iterable[Job]) -> list[str]:
    """Do `action` to every job. Where it is refused the others still get their turn; the refusals, each naming its job."""
    problems = []
    for job in jobs:
        try:
            action(service, job)
        except (Conflict, Forbidden, NotFound, StorageError) as error:
            problems.append(str(error) if job.name in str(error) else f"{job.name}: {error}")
    return problems


def _place(service: Service, queue: list[Job], job_id: str) -> Job:
    """Give the job at its place in `queue` a priority between its neighbours; where there is none, those on its shorter side make
    space. Jobs start in the order of falling priority, equals in the order in which they were made."""
    at = [job.id for job in queue].index(job_id)
    job, before, after = queue[at], queue[:at], queue[at + 1 :]
    nearest = [*before[-1:], *after[:1]]
    tried = [priority for other in nearest for priority in (other.priority, other.priority - 1, other.priority + 1)]
    fits = [
        priority for priority in [job.priority, *tried] if _in_order([*before[-1:], replace(job, priority=priority), *after[:1]])
    ]
    if fits:
        return _set_priority(service, job, fits[0])
    middle = after[0].priority  # of an equal one that was made before, as the one above was made after
    if len(before) <= len(after):
        wanted = {other.id: other.priority + 2 for other in before} | {job_id: middle + 1}
    else:
        wanted = {other.id: other.priority - 2 for other in after} | {job_id: middle - 1}
    with ThreadPoolExecutor(WRITERS) as writers:  # each file is synced, and a disk syncs many together as fast as one
        list(writers.map(lambda other: _keep_priority(service, other, wanted[other.id]), (o for o in queue if o.id in wanted)))
    service.store.update_many({other: {"priority": priority} for other, priority in wanted.items()})
    return service.store.get(job_id)


def _in_order(jobs: Sequence[Job]) -> bool:
    places = [(-job.priority, job.created, job.id) for job in jobs]
    return places == sorted(places)


def _set_priority(service: Service, job: Job, priority: int) -> Job:
    with change_user(service, job, priority=priority):
        return service.store.update(job.id, priority=priority)


def _keep_priority(service: Service, job: Job, priority: int) -> None:
    with change_user(service, job, priority=priority):
        pass


def resume(service: Service, job: Job) -> None:
    """Ask for a job that was aborted or failed to go on from its checkpoint."""
    if job.status not in (Status.ABORT, Status.ERROR):
        raise Forbidden(f"{job.name} is {job.status.word}; only an aborted or failed job can go on.")
    if job.kind == Kind.MODEL:
        require_records(service, job.dataset_id)
    service.store.request_action(job.id, Action.RESUME)


def jobs_of_model(service: Service, model: Job, kinds: Iterable[Kind] = OF_MODELS) -> list[Job]:
    """The evaluations and exports of a model (or those of some kinds), newest first of each kind."""
    found = [job for kind in kinds for job in service.store.query(JobQuery(kind=kind)).jobs]
    return [job for job in found if job.summary.get("model_id") == model.id]


class InUse(Forbidden):
    """A data set that models need is to be deleted; `models` are they, of whomever."""

    def __init__(self, dataset: Job, models: Sequence[Job]) -> None:
        self.models = [model_row(model) for model in models]
        names = ", ".join(_of_owner(model, dataset.owner) for model in models)
        if all(model.deleted is not None for model in models):
            super().__init__(
                f"{dataset.name} is used by {len(models)} model(s) in the trash, which must be purged first: {names}.",
                advice="Purge them too, or leave it in the trash: there it goes for good after them.",
            )
            return
        super().__init__(
            f"{dataset.name} is used by {len(models)} model(s), which must be deleted first: {names}.",
            advice="Or delete its records alone and keep the models: send keep_models=1 (page: below the models; command:"
            " --keep-models).",
        )


class IsPublished(Forbidden):
    """A model that answers under a published name is to be deleted."""

    def __init__(self, model: Job, names: Sequence[str]) -> None:
        super().__init__(
            f"{model.name} answers under the published name {', '.join(names)}.",
            advice="Let another version answer there, or take the name back (/serve), and delete it then.",
        )


def without_published(service: Service, jobs: Sequence[Job]) -> tuple[list[Job], list[str]]:
    """The jobs that answer under no published name, and the refusals for the others."""
    published = Publications(service.jobs_dir).of_models() if any(job.kind == Kind.MODEL for job in jobs) else {}
    problems = [str(IsPublished(job, published[job.id])) for job in jobs if job.id in published]
    return [job for job in jobs if job.id not in published], problems


def model_row(model: Job) -> dict[str, str]:
    """What the owner of a data set is told of a model on it: `id`, `name`, `owner` (empty: nobody's) and `status`."""
    return {"id": model.id, "name": model.name, "owner": model.owner, "status": model.status.word}


def models_of(service: Service, dataset: Job) -> list[Job]:
    """The models that were trained, or are to be trained, on a data set, whoever owns them; oldest first."""
    return [child for child in service.store.children(dataset.id) if child.kind == Kind.MODEL]


def delete(service: Service, job: Job, *, keep_models: bool = False) -> list[str]:
    """Hide the job at once and request that it is stopped and put into the trash (see `service.trash`); the evaluations and
    exports of a model go with it. The ids of all of them.

    Raises InUse (Forbidden) for a data set while models need it, NotFound where somebody has deleted it before. With
    `keep_models` its records are removed then, and what the models need to predict stays until the last of them goes; Conflict
    while something reads the records.
    """
    dependents = models_of(service, job) if job.kind == Kind.DATASET else []
    if dependents and keep_models:
        _check_unread(service, job, dependents)
        service.store.request_action(job.id, Action.RECORDS)
        return []
    if dependents:
        raise InUse(job, dependents)
    gone, problems = delete_many(service, [job])
    if problems:
        raise Forbidden(problems[0])
    if job.id not in gone:
        raise NotFound("Job not found")
    return gone


def _check_unread(service: Service, dataset: Job, models: Sequence[Job]) -> None:
    """Raises Conflict while the records are made or read."""
    running = JobQuery(kind=Kind.EVALUATION, dataset_id=dataset.id, statuses=(str(Status.RUN),))
    reading = [model for model in models if model.status == Status.RUN] + service.store.query(running).jobs
    if dataset.status.is_running or reading:
        names = ", ".join(_of_owner(job, dataset.owner) for job in reading) or dataset.name
        raise Conflict(
            f"The records of {dataset.name} are in use at this moment: {names}.",
            advice="Wait until that has ended, or ask its owner to abort it.",
        )


def _of_owner(job: Job, user: str) -> str:
    """The name of a job, and whose it is where that is somebody else than `user`."""
    return f"{job.name} (of {job.owner})" if job.owner and job.owner != user else job.name


def delete_many(service: Service, jobs: Sequence[Job]) -> tuple[list[str], list[str]]:
    """`delete` for each, in one transaction: the ids of all that go, and the refusals. A data set goes if its models do."""
    jobs, problems = without_published(service, jobs)
    chosen, wanted = {job.id for job in jobs}, list[str]()
    needed = service.store.children_of([job.id for job in jobs if job.kind == Kind.DATASET], Kind.MODEL)
    others = _by_model(service) if any(job.kind in PREDICTING for job in jobs) else {}
    for job in jobs:
        left = [child for child in needed.get(job.id, ()) if child.id not in chosen]
        if left:
            problems.append(str(InUse(job, left)))
        else:
            wanted += [job.id, *others.get(job.id, ())]
    gone = service.store.request_action_many(list(dict.fromkeys(wanted)), Action.DELETE)
    return [job_id for job_id in dict.fromkeys(wanted) if job_id in gone], problems


def _by_model(service: Service) -> dict[str, list[str]]:
    """The ids of the evaluations and exports of all models, by model."""
    found: dict[str, list[str]] = {}
    for kind in OF_MODELS:
        for job in service.store.query(JobQuery(kind=kind)).jobs:
            found.setdefault(str(job.summary.get("model_id", "")), []).append(job.id)
    return found
