"""The tables' version: made when new, migrated when old, refused when newer than this program.

Holds: processes that open a database at the same moment do this one after the other, so tables are made exactly once.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, insert, inspect, select
from sqlalchemy.exc import DatabaseError

from digits.errors import StorageError
from digits.storage.jobs.tables import Base, CounterRow

VERSION = "0008"  # the newest of migrations/versions; versions are numbered without gaps
SEQUENCE_ID = 1
REPAIR = (
    "`digits doctor --repair` puts the damaged file aside and reads the jobs from their folders, as `digits jobs reindex` does;"
    " accounts and tokens come back only from a backup of the file."
)
LOCK_SUFFIX = ".schema-lock"

_version_table = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


def prepare(engine: Engine, lock_beside: Path) -> bool:
    """Make or migrate the tables; whether there were none. Raises StorageError for a newer database, or a file that is none."""
    try:
        if _version(engine) == VERSION:
            return False
        with _one_at_a_time(lock_beside), engine.begin() as connection:
            before = _version(connection)
            _bring_up(connection, before)
            return not before
    except DatabaseError as error:
        raise StorageError(f"The database {_name(engine)} cannot be used: {error.orig}.", advice=_advice(engine)) from error


def _bring_up(connection: Connection, version: str) -> None:
    if version == VERSION:
        return
    if version > VERSION:
        raise StorageError(
            f"The database {_name(connection.engine)} was written by a newer version of digits"
            f" (tables {version}, known is {VERSION}).",
            advice="Start that version, or move the database away and run `digits jobs reindex`: the jobs are in their folders.",
        )
    if not version:
        _create(connection)
        return
    from digits.storage.migrations import upgrade

    upgrade(connection)


def _create(connection: Connection) -> None:
    Base.metadata.create_all(connection)
    _version_table.create(connection, checkfirst=True)
    connection.execute(insert(_version_table).values(version_num=VERSION))
    if connection.execute(select(CounterRow.id)).first() is None:
        connection.execute(insert(CounterRow).values(id=SEQUENCE_ID, value=0))


def _version(bind: Engine | Connection) -> str:
    """The version the tables have; empty where there are none."""
    if not inspect(bind).has_table(_version_table.name):
        return ""
    statement = select(_version_table.c.version_num)
    if isinstance(bind, Connection):
        return str(bind.execute(statement).scalar() or "")
    with bind.connect() as connection:
        return str(connection.execute(statement).scalar() or "")


@contextmanager
def _one_at_a_time(beside: Path) -> Iterator[None]:
    """Between processes that share the jobs directory, whichever database they use."""
    with open(beside.with_name(beside.name + LOCK_SUFFIX), "ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _advice(engine: Engine) -> str:
    if engine.dialect.name != "sqlite":
        return "Check the setting database_url, and that the database server runs and lets digits in."
    return REPAIR


def _name(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True)
