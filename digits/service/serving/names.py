"""Publishing: a snapshot under a name, in versions; which of them answers, and the tokens that open the name.

Holds: a version is loaded before it answers anybody, so one that cannot be loaded changes nothing; a version never becomes
another: its snapshot is named, not looked up again. Whoever published a name first may change it.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from digits import tasks
from digits.domain.datasets import TRAIN_DB
from digits.domain.jobs import PREDICTING
from digits.domain.training import same_epoch
from digits.errors import BadRequest, Conflict, DigitsError, Forbidden, NotFound, StorageError, Unavailable
from digits.ipc.messages import Message
from digits.service import Service
from digits.service.evaluations.predict import request_predictor
from digits.service.models.snapshots import Snapshot, find_snapshot
from digits.service.serving import Serving
from digits.service.sessions import digest
from digits.storage.jobs.store import Job
from digits.storage.publications import QUEUE_LIMIT, Change, Publication, ServeToken, Version, is_name
from digits.tasks.base import BOXES

TOKEN_PREFIX = "digits_serve_"
MOST_TOKENS = 32
MOST_VERSIONS = 100
MOST_CHANGES = 100
LARGEST_QUEUE = 256


@dataclass(frozen=True)
class Published:
    """What `publish` did: the version, and the new token, which is shown this once (empty: none was made, `note` says why)."""

    publication: Publication
    version: Version
    token: str = ""
    note: str = ""


def find(serving: Serving, name: str) -> Publication:
    """The publication of a name. Raises NotFound."""
    found = serving.publications.find(name)
    if found is None:
        raise NotFound(f"Nothing is published as {name[:80]!r}.", advice="`/serve` and `digits publish list` show the names.")
    return found


def publish(
    serving: Serving,
    name: str,
    model: Job,
    snapshot_epoch: float | str | None = None,
    *,
    user: str,
    percent: int | None = None,
    queue_limit: int | None = None,
    new_token: bool = True,
) -> Published:
    """Let `name` serve a snapshot of `model`, as a new version: alone, or with `percent` as a canary beside the one before.

    Raises BadRequest for what is no name and for a percentage that is none, Forbidden for somebody else's name, and whatever
    keeps the snapshot from being loaded.
    """
    _check_name(name)
    known = serving.publications.find(name)
    if known is not None:
        check_owner(known, user)
    if percent is not None:
        _check_percent(percent)
        if known is None:
            raise BadRequest(f"{name} serves nothing yet, so there is nothing to be a canary beside.", advice="Leave canary out.")
    limit = None if queue_limit is None else _checked_limit(queue_limit)
    version = _version(serving.service, model, find_snapshot(serving.service, model, snapshot_epoch), user)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32) if new_token else ""
    note = ""

    def add(found: Publication | None) -> Publication:
        nonlocal version, token, note
        if found is None:
            found = Publication(name, user, time.time(), active=0)
        else:
            check_owner(found, user)
        version = replace(version, number=max((one.number for one in found.versions), default=0) + 1)
        if token and len(found.tokens) >= MOST_TOKENS:
            token, note = (
                "",
                f"{name} has {MOST_TOKENS} tokens, which is the most; those go on working. Revoke one to get a new one.",
            )
        tokens = (*found.tokens, ServeToken(digest(token), time.time(), user)) if token else found.tokens
        what = f"published version {version.number}: {version.model_name}, epoch {version.epoch:g}"
        found = replace(
            found,
            versions=_kept((*found.versions, version), found),
            tokens=tokens,
            queue_limit=found.queue_limit if limit is None else limit,
        )
        if percent is None:
            return _noted(_activated(found, version.number), user, what)
        return _noted(replace(found, canary=version.number, percent=percent), user, f"{what}, for {percent} % of the requests")

    made = serving.publications.change(name, add)
    return Published(made, version, token, note)


def use(serving: Serving, name: str, user: str, number: int | None = None) -> Publication:
    """Let another version answer all requests; without a number the one that was active before. A canary ends.

    Raises NotFound for a version that there is not, and whatever keeps it from being loaded."""
    found = find(serving, name)
    check_owner(found, user)
    wanted = found.previous if number is None else number
    if not wanted:
        raise Conflict(f"{name} has had one active version only.", advice="Name the version that is to answer.")
    version = version_of(found, wanted)
    load(serving.service, version)

    def activate(now: Publication | None) -> Publication:
        now = _still(now, name, user)
        version_of(now, wanted)
        return _noted(_activated(now, wanted), user, f"let version {wanted} answer")

    return serving.publications.change(name, activate)


def set_canary(serving: Serving, name: str, user: str, percent: int, number: int | None = None) -> Publication:
    """Give a version `percent` of the requests beside the active one; 0 ends that, 100 makes it the active one.

    Without a number it is the present canary."""
    found = find(serving, name)
    check_owner(found, user)
    _check_percent(percent, least=0, most=100)
    wanted = number or found.canary
    if percent == 100 and wanted:
        return use(serving, name, user, wanted)
    if percent:
        if not wanted:
            raise BadRequest(f"{name} has no canary.", advice="Name its version.")
        if wanted == found.active:
            raise BadRequest(f"Version {wanted} answers already.", advice="Name another version.")
        load(serving.service, version_of(found, wanted))

    def change(now: Publication | None) -> Publication:
        now = _still(now, name, user)
        if not percent:
            return _noted(replace(now, canary=0, percent=0), user, "ended the canary")
        version_of(now, wanted)
        words = f"gave version {wanted} {percent} % of the requests"
        return _noted(replace(now, canary=wanted, percent=percent), user, words)

    return serving.publications.change(name, change)


def set_queue_limit(serving: Serving, name: str, user: str, limit: int) -> Publication:
    """How many requests of the name may be at work at once."""
    limit = _checked_limit(limit)
    return _changed(serving, name, user, lambda now: replace(now, queue_limit=limit), f"set the queue limit to {limit}")


def add_token(serving: Serving, name: str, user: str) -> tuple[str, Publication]:
    """A further token of the name; its text is shown this once. Raises Conflict where it has too many."""
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)

    def add(now: Publication) -> Publication:
        if len(now.tokens) >= MOST_TOKENS:
            raise Conflict(f"{name} has {MOST_TOKENS} tokens, which is the most.", advice="Revoke one first.")
        return replace(now, tokens=(*now.tokens, ServeToken(digest(text), time.time(), user)))

    return text, _changed(serving, name, user, add, "made a token")


def remove_token(serving: Serving, name: str, user: str, token_id: str) -> Publication:
    """Revoke a token by its id. Raises NotFound."""

    def remove(now: Publication) -> Publication:
        left = tuple(one for one in now.tokens if one.id != token_id)
        if len(left) == len(now.tokens):
            raise NotFound(f"{name} has no token {token_id[:40]}.", advice="Its page shows the ids.")
        return replace(now, tokens=left)

    return _changed(serving, name, user, remove, f"revoked the token {token_id}")


def unpublish(serving: Serving, name: str, user: str) -> Publication:
    """Let the name serve nothing any more; its tokens open nothing then. The models stay. Raises NotFound."""
    found = find(serving, name)
    check_owner(found, user)
    serving.publications.remove(name)
    serving.traffic.forget(name)
    for version in found.versions:
        serving.connections.forget(version.model_id, version.snapshot)
        serving.metas.pop((version.model_id, version.snapshot, version.epoch), None)
    return found


def opens(publication: Publication, text: str) -> ServeToken | None:
    """The token of a name with this text; None where it is none."""
    given = digest(text)
    return next((one for one in publication.tokens if secrets.compare_digest(one.digest, given)), None)


def version_of(publication: Publication, number: int) -> Version:
    """Raises NotFound."""
    found = publication.version(number)
    if found is None:
        known = ", ".join(str(one.number) for one in publication.versions)
        raise NotFound(f"{publication.name} has no version {number}; there are {known}.")
    return found


def problem_of(service: Service, version: Version) -> str:
    """Why a version cannot answer, as a sentence; empty where nothing is known to keep it from that."""
    job = service.store.find(version.model_id, with_deleted=True)
    if job is None:
        return f"The model {version.model_name} ({version.model_id}) is not there any more."
    if job.deleted is not None:
        return f"The model {version.model_name} ({version.model_id}) was deleted and lies in the trash."
    try:
        service.folder(version.model_id).snapshot_file(version.snapshot)
    except StorageError as error:
        return str(error)
    return ""


def check_served(service: Service, publication: Publication, version: Version) -> None:
    """Raises Unavailable where the model is gone, and says what to do."""
    if problem := problem_of(service, version):
        raise Unavailable(
            f"{publication.name} cannot answer with version {version.number}: {problem}",
            advice="Restore the model, let another version answer, or publish another model.",
        )


def check_owner(publication: Publication, user: str) -> None:
    """Raises Forbidden when somebody else published the name."""
    if publication.owner and publication.owner != user:
        raise Forbidden(
            f"{publication.name} was published by {publication.owner}; {user or 'an unknown user'} may not change it."
        )


def load(service: Service, version: Version) -> dict[str, Any]:
    """Have the snapshot loaded; what its predictor says of it. Raises Unavailable where it cannot be loaded."""
    if problem := problem_of(service, version):
        raise Conflict(
            f"Version {version.number} cannot answer: {problem}", advice="Restore the model, or choose another version."
        )
    model = service.store.get(version.model_id, *PREDICTING)
    answer = request_predictor(service, model, Snapshot(version.epoch, version.snapshot), Message({"op": "ping"}))
    meta: dict[str, Any] = answer.header["meta"]
    if not same_epoch(float(meta.get("epoch", version.epoch)), version.epoch):
        raise Conflict(
            f"{version.snapshot} of {version.model_name} holds epoch {meta['epoch']:g} by now, not {version.epoch:g}.",
            advice="The training went on; publish the snapshot anew.",
        )
    return meta


def _version(service: Service, model: Job, snapshot: Snapshot, user: str) -> Version:
    """What is kept of a snapshot, which is loaded for that."""
    if snapshot.is_between and model.status.is_running:
        raise Conflict(
            f"The best snapshot of {model.name} may be replaced while it trains.",
            advice="Name an epoch of the list of snapshots, or wait until the training has ended.",
        )
    draft = Version(0, model.id, model.name, snapshot.path, snapshot.epoch, model.task, model.framework, time.time(), user)
    meta = load(service, draft)
    features = tuple(int(n) for n in meta.get("stored_shape") or meta["input_shape"])
    mean, std = _of_training(service, model)
    return replace(
        draft,
        task=str(meta["task"]),
        class_labels=tuple(map(str, meta.get("class_labels", ()))),
        features=features,
        outputs=_outputs(service, model, snapshot, features, meta),
        mean=mean,
        std=std,
    )


def _outputs(
    service: Service, model: Job, snapshot: Snapshot, features: tuple[int, ...], meta: dict[str, Any]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Names and shapes of what comes of black pictures; empty where the network does not take them."""
    import numpy as np

    batch = np.zeros((2, *features), np.float32)
    try:
        answer = request_predictor(service, model, snapshot, Message({"op": "forward"}, {"batch": batch}))
    except DigitsError:
        return ()
    is_boxes = tasks.of(meta["task"], tasks.Labels.of_snapshot(meta)).output_kind == BOXES
    found = {name: np.asarray(answer.arrays[f"output/{name}"]).shape[1:] for name in answer.header["outputs"]}
    return tuple((name, (-1, *shape[1:]) if is_boxes else tuple(shape)) for name, shape in found.items())


def _of_training(service: Service, model: Job) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means and deviations of the training's pictures per channel; empty where they are not known."""
    if not model.dataset_id:
        return (), ()
    try:
        info = service.folder(model.dataset_id).find_dataset_info()
    except StorageError:
        return (), ()
    train = info.splits.get(TRAIN_DB) if info is not None else None
    return (tuple(train.meta.mean), tuple(train.meta.std)) if train is not None else ((), ())


def _changed(serving: Serving, name: str, user: str, make: Callable[[Publication], Publication], words: str) -> Publication:
    find(serving, name)
    return serving.publications.change(name, lambda now: _noted(make(_still(now, name, user)), user, words))


def _still(now: Publication | None, name: str, user: str) -> Publication:
    if now is None:
        raise NotFound(f"{name} is not published any more.")
    check_owner(now, user)
    return now


def _activated(publication: Publication, number: int) -> Publication:
    before = publication.active if publication.active != number else publication.previous
    return replace(publication, active=number, previous=before, canary=0, percent=0)


def _kept(versions: tuple[Version, ...], found: Publication) -> tuple[Version, ...]:
    """The newest of many versions, and those that are in use."""
    needed = {found.active, found.previous, found.canary}
    spare = [one.number for one in versions if one.number not in needed][:-MOST_VERSIONS]
    return tuple(one for one in versions if one.number not in spare)


def _noted(publication: Publication, user: str, what: str) -> Publication:
    return replace(publication, changes=(*publication.changes, Change(time.time(), user, what))[-MOST_CHANGES:])


def _check_name(name: str) -> None:
    if not is_name(name):
        raise BadRequest(
            f"{name[:80]!r} is no name for a published model.",
            advice="Take 1 to 64 letters, digits, '-', '_' and '.', a letter or digit first, without .json at the end.",
        )


def _check_percent(percent: int, least: int = 1, most: int = 99) -> None:
    if not least <= percent <= most:
        raise BadRequest(f"canary is {percent} %, expected {least} to {most}.")


def _checked_limit(limit: int) -> int:
    if not 1 <= limit <= LARGEST_QUEUE:
        raise BadRequest(f"queue_limit is {limit}, expected 1 to {LARGEST_QUEUE}; {QUEUE_LIMIT} is usual.")
    return limit


def suggested_name(text: str) -> str:
    """A name for a model of this name that may be published."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._").lower()[:64]
    return cleaned if is_name(cleaned) else "model"
