"""Tables of the database. All but users, sessions and tokens can be rebuilt from the job folders (`digits jobs reindex`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, BigInteger, Engine, Float, ForeignKey, Index, Integer, String, Text, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from digits.errors import ConfigError
from digits.storage import reserve
from digits.storage.modes import private_file

SQLITE_BUSY_SECONDS = 30
SQLITE_BESIDE = ("-wal", "-shm", "-journal")
CONNECT_SECONDS = 10  # for a connection to a database server: a request that waits longer says so
PATIENT = ("postgresql", "mysql", "mariadb")  # their drivers wait for minutes unless they are told how long
RESERVED_BYTES = 6 * 2**20  # more than SQLite lets its write-ahead log grow before it begins again at its start


ReadJson = Callable[[str | bytes], Any]


class Base(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}


class JobRow(Base):
    """One job. The web process writes the first group of columns, the supervisor the second (see docs/architecture.md)."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, index=True, default=0)  # grows with each change of any job: live lists read from it
    kind: Mapped[str] = mapped_column(String(16), index=True)
    type_name: Mapped[str] = mapped_column(String(80))
    task: Mapped[str] = mapped_column(String(20), default="")
    extension: Mapped[str] = mapped_column(String(80), default="")
    framework: Mapped[str] = mapped_column(String(20), default="")
    network: Mapped[str] = mapped_column(String(120), default="")
    dataset_id: Mapped[str] = mapped_column(String(40), index=True, default="")
    created: Mapped[float] = mapped_column(Float, index=True)
    pool: Mapped[str] = mapped_column(String(20), default="train")
    cpus: Mapped[int] = mapped_column(Integer, default=1)
    gpus: Mapped[int] = mapped_column(Integer, default=0)
    gpu_ids: Mapped[list[Any]] = mapped_column(default=list)

    name: Mapped[str] = mapped_column(Text, default="")
    group: Mapped[str] = mapped_column("group_name", Text, default="")
    notes: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list[Any]] = mapped_column(default=list)
    owner: Mapped[str] = mapped_column(String(80), default="")
    priority: Mapped[int] = mapped_column(Integer, default=0)  # higher starts first; the user may re-order the queue
    requested_action: Mapped[str] = mapped_column(String(10), default="", index=True)
    deleted: Mapped[float | None] = mapped_column(Float, default=None, index=True)

    status: Mapped[str] = mapped_column(String(1), index=True, default="I")
    history: Mapped[list[Any]] = mapped_column(default=list)
    started: Mapped[float | None] = mapped_column(Float, default=None)
    finished: Mapped[float | None] = mapped_column(Float, default=None)
    worked: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")  # seconds of all runs that have ended
    running_since: Mapped[float | None] = mapped_column(Float, default=None)  # both follow from `history`
    progress: Mapped[float] = mapped_column(Float, default=0.0)
    eta: Mapped[float | None] = mapped_column(Float, default=None)
    message: Mapped[str] = mapped_column(Text, default="")  # why it waits, is paused or was resumed
    error: Mapped[str] = mapped_column(Text, default="")
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    failures: Mapped[int] = mapped_column(Integer, default=0)  # starts in a row that died without a word
    pid: Mapped[int] = mapped_column(Integer, default=0)
    pid_start: Mapped[float] = mapped_column(Float, default=0.0)
    event_offset: Mapped[int] = mapped_column(BigInteger, default=0)  # summed up to this byte of events.jsonl
    used_gpus: Mapped[list[Any]] = mapped_column(default=list)
    best_name: Mapped[str] = mapped_column(String(120), default="")
    best_better: Mapped[str] = mapped_column(String(10), default="", server_default="")  # higher, lower; empty: as known
    best_value: Mapped[float | None] = mapped_column(Float, default=None)
    best_epoch: Mapped[float | None] = mapped_column(Float, default=None)
    sparkline: Mapped[list[Any]] = mapped_column(default=list)
    disk_bytes: Mapped[int | None] = mapped_column(BigInteger, default=None)
    summary: Mapped[dict[str, Any]] = mapped_column(default=dict)  # short information for lists: classes, entries, image shape

    sweep: Mapped[str] = mapped_column(String(16), default="", server_default="")  # alike for runs of one sweep
    fold: Mapped[str] = mapped_column(String(16), default="", server_default="")  # alike for runs that differ by their seed alone
    words: Mapped[str] = mapped_column(Text, default="", server_default="")  # the texts of its settings, to be searched
    index_version: Mapped[int] = mapped_column(Integer, default=0, server_default="0", index=True)  # of settings and outputs

    __table_args__ = (
        Index("ix_jobs_list", "kind", "deleted", "created"),
        Index("ix_jobs_metric", "kind", "deleted", "best_name"),
    )


class DependencyRow(Base):
    """`job_id` starts only when `parent_id` is done."""

    __tablename__ = "dependencies"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    parent_id: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)


class OutputRow(Base):
    """Last, smallest and largest value of one output of one job in one phase (`train` or `val`)."""

    __tablename__ = "outputs"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    phase: Mapped[str] = mapped_column(String(8), primary_key=True)
    kind: Mapped[str] = mapped_column(String(12), default="other")
    last: Mapped[float | None] = mapped_column(Float)
    min: Mapped[float | None] = mapped_column(Float)
    max: Mapped[float | None] = mapped_column(Float)
    min_epoch: Mapped[float | None] = mapped_column(Float)
    max_epoch: Mapped[float | None] = mapped_column(Float)
    best: Mapped[float | None] = mapped_column(Float)
    best_epoch: Mapped[float | None] = mapped_column(Float)
    better: Mapped[str] = mapped_column(String(10), default="", server_default="")  # higher, lower; empty: not known
    unit: Mapped[str] = mapped_column(String(20), default="", server_default="")

    __table_args__ = (
        Index("ix_outputs_name", "name", "phase"),
        *(Index(f"ix_outputs_{which}", "name", "phase", which, "job_id") for which in ("best", "last")),
    )


class SettingRow(Base):
    """One setting of one job, under the name of its form's field: a number, or a text. Blank ones have no row."""

    __tablename__ = "settings"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    number: Mapped[float | None] = mapped_column(Float)
    text: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        Index("ix_settings_number", "name", "number", "job_id"),
        Index("ix_settings_text", "name", "text", "job_id"),
        {"sqlite_with_rowid": False},
    )


class UserRow(Base):
    """An account. `password` is Werkzeug's scrypt text."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    password: Mapped[str] = mapped_column(Text)
    created: Mapped[float] = mapped_column(Float)
    admin: Mapped[bool] = mapped_column(default=False)


class TokenRow(Base):
    """A bearer token; only its SHA-256 is kept."""

    __tablename__ = "tokens"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    label: Mapped[str] = mapped_column(String(80))
    user: Mapped[str] = mapped_column(String(80), index=True)
    created: Mapped[float] = mapped_column(Float)
    scope: Mapped[str] = mapped_column(String(8), default="admin", server_default="admin")  # those made before scopes have all
    expires: Mapped[float | None] = mapped_column(Float, default=None)  # None: only when it is revoked
    last_used: Mapped[float | None] = mapped_column(Float, default=None)


class SessionRow(Base):
    """A log-in of a browser; only the SHA-256 of what its cookie holds is kept. Rows of ended ones stay for a while: they refuse
    a copy of the cookie, and say from which addresses an account came in."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(String(80), index=True)
    created: Mapped[float] = mapped_column(Float)
    last_used: Mapped[float] = mapped_column(Float, index=True)
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(200), default="")  # what the browser calls itself
    ended: Mapped[float | None] = mapped_column(Float, default=None)


class NotifyChoicesRow(Base):
    """What a user is to be notified of, and where (see `domain.notifications.Choices`)."""

    __tablename__ = "notify_choices"

    user: Mapped[str] = mapped_column(String(80), primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(default=dict)


class NotificationRow(Base):
    """One notification by one channel. `key` is what it is about, to whom and by what: there is each but once."""

    __tablename__ = "notifications"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    user: Mapped[str] = mapped_column(String(80), index=True)
    event: Mapped[str] = mapped_column(String(16))
    job_id: Mapped[str] = mapped_column(String(40), default="")
    channel: Mapped[str] = mapped_column(String(16))
    target: Mapped[str] = mapped_column(Text, default="")
    message: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created: Mapped[float] = mapped_column(Float)
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    next_at: Mapped[float] = mapped_column(Float, default=0.0)
    error: Mapped[str] = mapped_column(Text, default="")

    __table_args__ = (Index("ix_notifications_due", "state", "next_at"),)


class DirectoryRow(Base):
    """One row: the jobs directory whose jobs these are (see `ownership`)."""

    __tablename__ = "directory"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    directory: Mapped[str] = mapped_column(String(40))
    path: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text)


class CounterRow(Base):
    """The change sequence of all jobs, and up to which of its numbers notifications were made."""

    __tablename__ = "counter"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    value: Mapped[int] = mapped_column(Integer, default=0)


def open_engine(url: str, sqlite_file: Path, read_json: ReadJson = json.loads) -> Engine:
    """Engine for `url`, or for the SQLite file in WAL mode when `url` is empty. `read_json` reads columns of JSON."""
    if url:
        return _other_engine(url, read_json)
    reserve.give_up(sqlite_file.parent)
    for file in (sqlite_file, *(sqlite_file.with_name(sqlite_file.name + suffix) for suffix in SQLITE_BESIDE)):
        if file == sqlite_file or file.exists():
            private_file(file)  # SQLite gives what it makes beside it the same mode
    engine = create_engine(
        f"sqlite:///{sqlite_file}", connect_args={"timeout": SQLITE_BUSY_SECONDS}, json_deserializer=_reader(read_json)
    )
    event.listen(engine, "connect", _configure_sqlite)
    return engine


def _reader(read_json: ReadJson) -> ReadJson:
    """What reads a column of JSON; most hold nothing, which need not be parsed."""

    def read(text: str | bytes) -> Any:
        if text == "[]":
            return []
        return {} if text == "{}" else read_json(text)

    return read


def _other_engine(url: str, read_json: ReadJson) -> Engine:
    try:
        waits = {"connect_timeout": CONNECT_SECONDS} if make_url(url).get_backend_name() in PATIENT else {}
        return create_engine(
            url, pool_pre_ping=True, pool_timeout=CONNECT_SECONDS, connect_args=waits, json_deserializer=read_json
        )
    except (ArgumentError, ImportError) as error:  # no URL; a kind of database, or a driver, that is not there
        raise ConfigError(
            f"The setting database_url cannot be used: {error}.",
            advice="Write e.g. postgresql+psycopg://user:password@host/name, and install the driver it names.",
        ) from error


def is_write(statement: str) -> bool:
    """Whether an SQL statement changes rows."""
    return statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE")


def reserve_disk_space(engine: Engine, size: int = RESERVED_BYTES) -> None:
    """Let SQLite's files grow by `size` bytes that stay theirs: free pages inside the database, and a write-ahead log as long.

    Both are used again before the files grow, so small changes still succeed on a full disk. Other databases care for
    themselves. The log keeps its length for as long as any process has the database open.
    """
    if engine.dialect.name != "sqlite":
        return
    raw = engine.raw_connection()
    try:
        cursor = raw.cursor()
        cursor.execute("CREATE TABLE IF NOT EXISTS reserve (room BLOB)")
        cursor.execute("INSERT INTO reserve VALUES (zeroblob(?))", (size,))
        cursor.execute("DROP TABLE reserve")
        raw.commit()
        cursor.execute("PRAGMA wal_checkpoint(RESTART)")
        cursor.execute("PRAGMA shrink_memory")  # the pages of the reserve need not be remembered
        cursor.close()
    finally:
        raw.close()


def _configure_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
