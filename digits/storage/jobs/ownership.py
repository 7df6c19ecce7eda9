"""Which jobs directory a database belongs to. One that lies in its directory goes with it; one that a setting names
(`database_url`) belongs to the first directory that opens it, and is refused to others, which would forget its jobs.

A directory that was moved to another file system takes its database along, where the place that it left is empty; else
`digits jobs reindex` gives a database to another directory.
"""

from __future__ import annotations

import json
import os
import socket

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from digits.errors import StorageError
from digits.storage.folders import JobsDir
from digits.storage.identity import DirectoryIdentity, settle
from digits.storage.jobs.store import JobStore
from digits.storage.jobs.tables import DirectoryRow, ReadJson

ONLY = 1  # the id of the one row


def open_store(url: str, jobs_dir: JobsDir, *, take_over: bool = False, read_json: ReadJson = json.loads) -> JobStore:
    """The table of jobs of a directory. Raises StorageError where the database `url` (empty: the one in the directory) belongs to
    another one, which `take_over` makes it forget."""
    identity = settle(jobs_dir)
    store = JobStore.open(url, jobs_dir.database_file, read_json)
    if url and _is_elsewhere(store, identity):
        try:
            _claim(store, jobs_dir, identity, take_over)
        except BaseException:
            store.close()
            raise
    return store


def other_owner(store: JobStore, identity: DirectoryIdentity) -> str:
    """In words that the database was given to another directory; empty: it was not. One in its directory has no owner."""
    owner = _owner(store) if _is_elsewhere(store, identity) else None
    if owner is None or owner.directory == identity.id:
        return ""
    return f"The database was given to the jobs directory {owner.path} on {owner.host}."


def _is_elsewhere(store: JobStore, identity: DirectoryIdentity) -> bool:
    """Whether the database may have an owner at all: not a file in the directory, which goes with it."""
    file = store.engine.url.database or ""
    return store.engine.dialect.name != "sqlite" or not os.path.realpath(file).startswith(identity.path + os.sep)


def _claim(store: JobStore, jobs_dir: JobsDir, identity: DirectoryIdentity, take_over: bool) -> None:
    owner = _owner(store)
    if owner is None and not take_over and _holds_others(store, jobs_dir):
        raise _refusal(store, jobs_dir, "holds jobs of which none has a folder here")
    if owner is not None and not take_over and not _is_ours(owner, identity):
        raise _refusal(store, jobs_dir, f"belongs to the jobs directory {owner.path} on {owner.host}")
    if owner is None or (owner.directory, owner.path) != (identity.id, identity.path):
        _write(store, jobs_dir, identity)


def _is_ours(owner: DirectoryRow, identity: DirectoryIdentity) -> bool:
    if owner.directory == identity.id:
        return True
    was_this = owner.directory == identity.copied_from and owner.host == socket.gethostname()
    return was_this and (owner.path == identity.path or not os.path.exists(owner.path))


def _holds_others(store: JobStore, jobs_dir: JobsDir) -> bool:
    """Whether a database without an owner, as earlier versions made it, is that of another directory."""
    ids = store.ids()
    return bool(ids) and not any(jobs_dir.folder(job_id).exists() for job_id in ids)


def _owner(store: JobStore) -> DirectoryRow | None:
    with Session(store.engine, expire_on_commit=False) as session:
        return session.scalars(select(DirectoryRow).where(DirectoryRow.id == ONLY)).one_or_none()


def _write(store: JobStore, jobs_dir: JobsDir, identity: DirectoryIdentity) -> None:
    row = DirectoryRow(id=ONLY, directory=identity.id, path=identity.path, host=socket.gethostname())
    try:
        with Session(store.engine) as session, session.begin():
            session.merge(row)
    except IntegrityError:  # another process has just written it
        _claim(store, jobs_dir, identity, take_over=False)


def _refusal(store: JobStore, jobs_dir: JobsDir, words: str) -> StorageError:
    return StorageError(
        f"The database {store.engine.url.render_as_string(hide_password=True)} {words}; this one is {jobs_dir.path}.",
        advice="Give each jobs directory a database of its own (database_url). Where the other one is no longer used,"
        " `digits jobs reindex` gives the database to this one.",
    )
