"""Saved views of tables: each user's own, by the kind of job and a name, kept beside the database in `.digits/views.json`."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from digits.domain.jobs import Kind
from digits.errors import BadRequest, NotFound, StorageError
from digits.service import Service
from digits.storage.files import read_json, write_json
from digits.utils.values import shown

logger = logging.getLogger(__name__)

FILE, LOCK = "views.json", "views.lock"
LONGEST_NAME, LONGEST_VIEW, MOST = 100, 20_000, 200  # characters, characters, views of a user


def saved(service: Service, user: str) -> list[dict[str, str]]:
    """The views of a user, sorted: `kind`, `name`, `view` (the part of the address behind `?`)."""
    try:
        views = _read(service)
    except StorageError:
        return []  # the next view that is saved puts the damaged file aside
    return sorted(views.get(user, []), key=lambda view: (view["kind"], view["name"].lower()))


def save(service: Service, user: str, kind: str, name: str, view: str) -> None:
    """Keep a view; one of the same name is replaced. BadRequest for what cannot be kept."""
    name = " ".join(name.split())
    if kind not in [str(kind) for kind in Kind]:
        raise BadRequest(f"kind is {shown(kind)}, expected one of {', '.join(Kind)}.")
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"A view needs a name of 1 to {LONGEST_NAME} characters.", advice="Send another name.")
    if len(view) > LONGEST_VIEW:
        raise BadRequest(
            f"The view has {len(view):,} characters; at most {LONGEST_VIEW:,} are kept.", advice="Show fewer columns."
        )
    with _changed(service) as views:
        others = [known for known in views.get(user, []) if (known["kind"], known["name"]) != (kind, name)]
        if len(others) >= MOST:
            raise BadRequest(f"There are {MOST} views already.", advice="Delete one first.")
        views[user] = [*others, {"kind": kind, "name": name, "view": view.removeprefix("?")}]


def delete(service: Service, user: str, kind: str, name: str) -> None:
    """Forget a view. NotFound where there is none."""
    with _changed(service) as views:
        kept = [known for known in views.get(user, []) if (known["kind"], known["name"]) != (kind, name)]
        if len(kept) == len(views.get(user, [])):
            raise NotFound(f"There is no view {shown(name)}.")
        views[user] = kept


def _read(service: Service) -> dict[str, list[dict[str, str]]]:
    """The views of all users. StorageError where the file is damaged."""
    path = service.jobs_dir.hidden / FILE
    if not path.exists():
        return {}
    value: Any = read_json(path)
    if not isinstance(value, dict):
        raise StorageError(f"{path} holds no saved views.")
    return value


@contextmanager
def _changed(service: Service) -> Iterator[dict[str, list[dict[str, str]]]]:
    """All views, written when the block ends well; one process at a time."""
    with open(service.jobs_dir.hidden / LOCK, "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        path = service.jobs_dir.hidden / FILE
        try:
            views = _read(service)
        except StorageError as error:
            aside = path.with_suffix(".damaged.json")
            os.replace(path, aside)
            logger.warning("%s It lies in %s now; saved views begin anew.", error, aside.name)
            views = {}
        yield views
        write_json(path, views)
