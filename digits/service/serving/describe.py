"""A published name as JSON: what it serves and, where it is counted, what goes through it."""

from __future__ import annotations

from typing import Any

from digits.service.serving import Serving
from digits.service.serving.names import problem_of
from digits.storage.publications import Publication, Version


def describe(serving: Serving, publication: Publication, *, counted: bool = True) -> dict[str, Any]:
    """The JSON of `/serve/NAME.json` but for what depends on who asks. `counted` says that this process answers the name's
    requests, so that it knows them."""
    active = publication.version(publication.active)
    used = serving.traffic.last_used(publication.name)
    found: dict[str, Any] = {
        "name": publication.name,
        "owner": publication.owner,
        "created": publication.created,
        "version": publication.active,
        "previous": publication.previous,
        "model_id": active.model_id if active else "",
        "model_name": active.model_name if active else "",
        "snapshot_epoch": active.epoch if active else None,
        "task": active.task if active else "",
        "canary": {"version": publication.canary, "percent": publication.percent} if publication.canary else None,
        "queue_limit": publication.queue_limit,
        "versions": [_version(serving, publication, one, counted) for one in reversed(publication.versions)],
        "tokens": [
            {"id": one.id, "created": one.created, "by": one.by, **({"last_used": used.get(one.id)} if counted else {})}
            for one in publication.tokens
        ],
        "changes": [{"at": one.at, "by": one.by, "what": one.what} for one in reversed(publication.changes)],
    }
    if counted:
        found["at_work"], found["refused"] = serving.traffic.of_name(publication.name)
    return found


def percent_of(publication: Publication, number: int) -> int:
    """The share of requests that a version gets."""
    if number == publication.canary:
        return publication.percent
    return (100 - publication.percent if publication.canary else 100) if number == publication.active else 0


def _version(serving: Serving, publication: Publication, version: Version, counted: bool) -> dict[str, Any]:
    return {
        "version": version.number,
        "model_id": version.model_id,
        "model_name": version.model_name,
        "snapshot_epoch": version.epoch,
        "task": version.task,
        "created": version.created,
        "by": version.by,
        "percent": percent_of(publication, version.number),
        "problem": problem_of(serving.service, version),
        **(serving.traffic.describe(publication.name, version) if counted else {}),
    }
