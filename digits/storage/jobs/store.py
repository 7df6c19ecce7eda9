"""The table of jobs: insert, find, change by compare-and-set, list with sort and filter done by the database.

Holds: every method is one transaction and may be called from any thread or process. A `Job` is a frozen copy, never
stale-bound to a session. Each change of a job gives it the next number of one global sequence (`seq`), so a reader that
remembers the last number it saw asks for exactly what has changed since.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import JSON, Engine, Select, bindparam, delete, func, insert, literal, select, update
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.orm import Session

from digits.domain.jobs import LEGAL_MOVES, RUNNING, Action, JobRequest, Kind, Status, StatusHistory, UserColumns
from digits.domain.query import PHASES, MetricName, Vocabulary
from digits.domain.settings import Setting, settings_of, sweep_of, without_seed
from digits.errors import Conflict, NotFound, StorageError
from digits.storage import reserve
from digits.storage.folders import JobsDir
from digits.storage.jobs import migrate as schema
from digits.storage.jobs.migrate import SEQUENCE_ID
from digits.storage.jobs.query import TAGS, ByBytes, distinct, main_metric, number_in
from digits.storage.jobs.rows import JOB_FIELDS, Job, JobQuery, Output, Page, Parent, conditions, names_metrics, ordered, ranks
from digits.storage.jobs.tables import (
    CounterRow,
    DependencyRow,
    JobRow,
    OutputRow,
    ReadJson,
    SettingRow,
    open_engine,
    reserve_disk_space,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")

__all__ = ["Job", "JobQuery", "JobStore", "Output", "Page", "Parent"]


AT_ONCE = 500  # ids that one statement names
MANY = 3000  # rows of a list that are rather read all together
OUTPUT_FIELDS = tuple(f.name for f in dataclass_fields(Output))
INDEX_VERSION = 2  # grows when `index` writes more than it did


class JobReader:
    """Everything that is read and nothing that is changed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def find(self, job_id: str, *, with_deleted: bool = False) -> Job | None:
        """The job, or None."""
        if "\0" in job_id:  # no database looks for one, and some refuse to
            return None
        with Session(self.engine) as session:
            row = session.get(JobRow, job_id)
            if row is None or (row.deleted is not None and not with_deleted):
                return None
            return copy(row)

    def find_many(self, job_ids: Collection[str]) -> dict[str, Job]:
        """Those of the jobs that exist and are not deleted, by id."""
        found: dict[str, Job] = {}
        with Session(self.engine) as session:
            for some in _in_parts(job_id for job_id in job_ids if "\0" not in job_id):
                found |= {job.id: job for job in _jobs(session, JobRow.id.in_(some), JobRow.deleted.is_(None))}
        return found

    def done(self, job_ids: Collection[str]) -> set[str]:
        """Those of the jobs that are done and not deleted."""
        found: set[str] = set()
        with self.engine.connect() as connection:
            for some in _in_parts(job_ids):
                of_them = (JobRow.id.in_(some), JobRow.status == Status.DONE, JobRow.deleted.is_(None))
                found.update(connection.scalars(select(JobRow.id).where(*of_them)))
        return found

    def reference_counts(self, dataset_ids: Collection[str]) -> dict[str, int]:
        """How many models each data set has; those without any are left out."""
        conditions = (JobRow.dataset_id.in_(dataset_ids), JobRow.kind == "model", JobRow.deleted.is_(None))
        statement = select(JobRow.dataset_id, func.count()).where(*conditions).group_by(JobRow.dataset_id)
        with Session(self.engine) as session:
            return {row[0]: row[1] for row in session.execute(statement)} if dataset_ids else {}

    def get(self, job_id: str, *kinds: str) -> Job:
        """The job; NotFound ("Job not found") when there is none, or none of these kinds (no kind, or an empty one: any)."""
        job = self.find(job_id)
        if job is None or (any(kinds) and job.kind not in kinds):
            raise NotFound("Job not found")
        return job

    def query(self, query: JobQuery) -> Page:
        """One page of a list, sorted and filtered by the database."""
        with Session(self.engine) as session:
            vocabulary = _vocabulary(session, query) if names_metrics(query) else query.vocabulary
            matching = conditions(query, vocabulary)
            statement = self._ordered(session, query, vocabulary, matching)
            end = query.offset + query.limit if query.limit else None
            if end is None or query.query or query.text:  # what is slow is to look, not to send: look once
                ids = list(session.scalars(statement))  # sorting short rows costs a fraction of sorting whole ones
                total, ids = len(ids), ids[query.offset : end]
                if len(ids) > MANY:  # one look at all of them instead of one for each part
                    found = {job.id: job for job in _jobs(session, *matching, unread=query.unread)}
                    return Page([found[job_id] for job_id in ids if job_id in found], total)
            else:
                total = session.scalar(select(func.count()).select_from(JobRow).where(*matching)) or 0
                ids = list(session.scalars(statement.offset(query.offset).limit(query.limit)))
            found = {job.id: job for some in _in_parts(ids) for job in _jobs(session, JobRow.id.in_(some), unread=query.unread)}
            return Page([found[job_id] for job_id in ids if job_id in found], total)

    def query_ids(self, query: JobQuery) -> list[str]:
        """The ids of a whole list, in its order."""
        with Session(self.engine) as session:
            vocabulary = _vocabulary(session, query)
            return list(session.scalars(self._ordered(session, query, vocabulary, conditions(query, vocabulary))))

    def _ordered(self, session: Session, query: JobQuery, vocabulary: Vocabulary, matching: list[Any]) -> Select[str]:
        found = session.execute(main_metric(matching)).first() if ranks(query) else None
        main = query.main or (str(found[0]) if found else "")
        return ordered(select(JobRow.id).where(*matching), query, vocabulary, main)

    def vocabulary(self) -> Vocabulary:
        """The names of metrics and settings that some job has."""
        with Session(self.engine) as session:
            return _vocabulary(session, JobQuery())

    def main_metric(self, query: JobQuery) -> str:
        """The metric that decides for most jobs of a list; empty where none does."""
        with Session(self.engine) as session:
            found = session.execute(main_metric(conditions(query, _vocabulary(session, query)))).first()
            return str(found[0]) if found else ""

    def values_of(self, column: str, kind: str = "", limit: int = 1000) -> list[str]:
        """The different values of a column of texts that jobs of a kind have, sorted; of `tags` each tag."""
        with Session(self.engine) as session:
            of_kind = [JobRow.deleted.is_(None), *([JobRow.kind == kind] if kind else [])]
            if column == "tags":
                rows = session.scalars(select(JobRow.tags).where(*of_kind, TAGS != "[]"))
                return sorted({str(tag) for tags in rows for tag in tags})[:limit]
            found = getattr(JobRow, column)
            values = select(found).where(*of_kind, found != "").group_by(found)
            return list(session.scalars(values.order_by(ByBytes(found)).limit(limit)))

    def settings(self, job_ids: Sequence[str], names: Collection[str] | None = None) -> dict[str, dict[str, Setting]]:
        """The settings of jobs by id, with `names` those of these names; blank ones are left out."""
        found: dict[str, dict[str, Setting]] = {job_id: {} for job_id in job_ids}
        with Session(self.engine) as session:
            for some in _in_parts(job_ids):
                columns = (SettingRow.job_id, SettingRow.name, SettingRow.number, SettingRow.text)
                statement = select(*columns).where(SettingRow.job_id.in_(some)).order_by(SettingRow.job_id, SettingRow.name)
                if names is not None:
                    statement = statement.where(SettingRow.name.in_(names))
                for job_id, name, number, text in session.execute(statement):
                    found[job_id][name] = (text or "") if number is None else number
        return found

    def setting_values(self, name: str, limit: int = 200) -> list[Setting]:
        """The different values of a setting."""
        of_it = select(SettingRow.number, SettingRow.text).where(SettingRow.name == name).distinct().limit(limit)
        with Session(self.engine) as session:
            return [(text or "") if number is None else number for number, text in session.execute(of_it)]

    def unindexed(self) -> list[str]:
        """Ids of jobs whose settings and outputs were written by an older version: queries do not see them yet."""
        old = select(JobRow.id).where(JobRow.index_version < INDEX_VERSION, JobRow.deleted.is_(None))
        with Session(self.engine) as session:
            return list(session.scalars(old.order_by(JobRow.created.desc())))

    def active(self) -> list[Job]:
        """Jobs with work to come, in the order in which they may start: priority, then age."""
        with Session(self.engine) as session:
            statement = (
                select(JobRow)
                .where(JobRow.status.in_([str(s) for s in RUNNING]), JobRow.deleted.is_(None))
                .order_by(JobRow.priority.desc(), JobRow.created, JobRow.id)
            )
            return [copy(row) for row in session.scalars(statement)]

    def requested(self) -> list[Job]:
        """Jobs whose user has requested something, deleted ones among them."""
        with Session(self.engine) as session:
            statement = select(JobRow).where(JobRow.requested_action != "")
            return [copy(row) for row in session.scalars(statement.order_by(JobRow.seq))]

    def trash(self) -> list[Job]:
        """Deleted jobs that can be restored, the last deleted first."""
        with Session(self.engine) as session:
            statement = select(JobRow).where(JobRow.deleted.is_not(None), JobRow.requested_action != str(Action.PURGE))
            return [copy(row) for row in session.scalars(statement.order_by(JobRow.deleted.desc(), JobRow.id.desc()))]

    def pending(self) -> bool:
        """Whether a job is new or its user has requested something: a cheap query, made often."""
        new = select(JobRow.id).where(JobRow.status == str(Status.INIT), JobRow.deleted.is_(None))
        requested = select(JobRow.id).where(JobRow.requested_action != "")
        with Session(self.engine) as session:
            return session.execute(new.union_all(requested).limit(1)).first() is not None

    def dependencies(self, job_ids: Sequence[str]) -> dict[str, list[Parent]]:
        """What the given jobs need, by job id; a parent that is gone or being deleted has no status."""
        found: dict[str, list[Parent]] = {}
        statement = (
            select(DependencyRow.job_id, DependencyRow.parent_id, JobRow.name, JobRow.status, JobRow.deleted)
            .outerjoin(JobRow, JobRow.id == DependencyRow.parent_id)
            .where(DependencyRow.job_id.in_(job_ids))
        )
        with Session(self.engine) as session:
            for job_id, parent_id, name, status, deleted in session.execute(statement):
                gone = status is None or deleted is not None
                parent = Parent(parent_id, name or parent_id, None if gone else Status(status))
                found.setdefault(job_id, []).append(parent)
        return found

    def changes(self, since: int, limit: int = 500) -> list[Job]:
        """Jobs changed after sequence number `since`, deleted ones among them, oldest change first."""
        with Session(self.engine) as session:
            statement = select(JobRow).where(JobRow.seq > since).order_by(JobRow.seq).limit(limit)
            return [copy(row) for row in session.scalars(statement)]

    def sequence(self) -> int:
        """The number of the newest change; cheap enough to be read several times a second."""
        with self.engine.connect() as connection:
            return connection.exec_driver_sql(f"SELECT value FROM counter WHERE id = {SEQUENCE_ID}").scalar() or 0

    def parents(self, job_id: str) -> list[str]:
        with Session(self.engine) as session:
            return list(session.scalars(select(DependencyRow.parent_id).where(DependencyRow.job_id == job_id)))

    def parents_of(self, job_ids: Collection[str]) -> dict[str, list[str]]:
        """`parents` of several jobs, by id; those without any are left out."""
        found: dict[str, list[str]] = {}
        with Session(self.engine) as session:
            for some in _in_parts(job_ids):
                statement = select(DependencyRow.job_id, DependencyRow.parent_id).where(DependencyRow.job_id.in_(some))
                for job_id, parent in session.execute(statement):
                    found.setdefault(job_id, []).append(parent)
        return found

    def children_of(self, job_ids: Collection[str], kind: str, *, with_deleted: bool = False) -> dict[str, list[Job]]:
        """Jobs of a kind that need the given ones and are not deleted, oldest first, by the job that they need."""
        found: dict[str, list[Job]] = {}
        live = [] if with_deleted else [JobRow.deleted.is_(None)]
        with Session(self.engine) as session:
            for some in _in_parts(job_ids):
                statement = (
                    select(DependencyRow.parent_id, JobRow)
                    .join(DependencyRow, DependencyRow.job_id == JobRow.id)
                    .where(DependencyRow.parent_id.in_(some), JobRow.kind == kind, *live)
                    .order_by(JobRow.created)
                )
                for parent_id, row in session.execute(statement):
                    found.setdefault(parent_id, []).append(copy(row))
        return found

    def children(self, job_id: str) -> list[Job]:
        """Jobs that need this one and are not deleted, oldest first."""
        with Session(self.engine) as session:
            statement = (
                select(JobRow)
                .join(DependencyRow, DependencyRow.job_id == JobRow.id)
                .where(DependencyRow.parent_id == job_id, JobRow.deleted.is_(None))
                .order_by(JobRow.created)
            )
            return [copy(row) for row in session.scalars(statement)]

    def arranged(self, query: JobQuery, by: str = "") -> list[tuple[str, str, str]]:
        """Of each job of a whole list, in its order: the id, what it is grouped by (`group`, `dataset`, `network`, `sweep`;
        empty: nothing), and what is alike for runs that differ by their seed alone (empty: nothing to fold)."""
        keys = {"group": JobRow.group, "dataset": JobRow.dataset_id, "network": JobRow.network, "sweep": JobRow.sweep}
        with Session(self.engine) as session:
            vocabulary = _vocabulary(session, query)
            statement = self._ordered(session, query, vocabulary, conditions(query, vocabulary))
            plain = statement.add_columns(keys.get(by, literal("")), JobRow.fold)
            return list(session.connection().execute(plain).cursor.fetchall())

    def is_needed(self, job_id: str) -> bool:
        """Whether any job, in the trash or not, needs this one."""
        with Session(self.engine) as session:
            statement = select(DependencyRow.job_id).where(DependencyRow.parent_id == job_id).limit(1)
            return session.scalars(statement).first() is not None

    def output_values(
        self, job_ids: Sequence[str], names: Collection[str] | None = None
    ) -> dict[str, list[tuple[str, str, float | None, float | None, float | None, str]]]:
        """`(name, phase, last, min, max, unit)` of each output by job id: for long lists, as `outputs` otherwise."""
        found: dict[str, list[tuple[str, str, float | None, float | None, float | None, str]]] = {}
        table = OutputRow.__table__.c
        columns = (table.job_id, table.name, table.phase, table.last, table.min, table.max, table.unit)
        ordered = select(*columns).order_by(table.job_id, ByBytes(table.name), table.phase)
        statement = ordered if names is None else ordered.where(table.name.in_(names))
        every = len(job_ids) > MANY  # then all are read, and those of others are left out
        parts = [statement] if every else [statement.where(table.job_id.in_(some)) for some in _in_parts(job_ids)]
        wanted = set(job_ids)
        with self.engine.connect() as connection:
            for part in parts:
                for row in connection.execute(part).cursor.fetchall():
                    job_id = row[0]
                    if not every or job_id in wanted:
                        if (known := found.get(job_id)) is None:
                            known = found[job_id] = []
                        known.append(row[1:])
        return found

    def outputs(self, job_ids: Sequence[str], names: Collection[str] | None = None) -> dict[str, list[Output]]:
        """Outputs by job id, for the jobs that have any; with `names` only those of these names."""
        found: dict[str, list[Output]] = {}
        with Session(self.engine) as session:
            columns = [getattr(OutputRow, name) for name in OUTPUT_FIELDS]
            for some in _in_parts(job_ids):
                statement = select(*columns).where(OutputRow.job_id.in_(some))
                if names is not None:
                    statement = statement.where(OutputRow.name.in_(names))
                for row in session.execute(statement.order_by(OutputRow.job_id, ByBytes(OutputRow.name), OutputRow.phase)):
                    found.setdefault(row.job_id, []).append(Output(*row))
        return found

    def metric_values(self, job_ids: Sequence[str], metric: MetricName) -> dict[str, tuple[float, str]]:
        """One number of an output with its unit, by job id, for those that have it."""
        table = OutputRow.__table__.c
        value = number_in(table, metric.which)
        of_it = (table.name == metric.name, table.phase == metric.phase, value.is_not(None))
        found: dict[str, tuple[float, str]] = {}
        with self.engine.connect() as connection:
            for some in _in_parts(job_ids):
                rows = connection.execute(select(table.job_id, value, table.unit).where(*of_it, table.job_id.in_(some)))
                found |= {job_id: (number, unit) for job_id, number, unit in rows}
        return found

    def output_names(self) -> list[tuple[str, str]]:
        """Every `(name, phase)` that any job has, sorted."""
        with Session(self.engine) as session:
            names = sorted(distinct(session, OutputRow.name))
            one = (OutputRow.phase == bindparam("phase"), OutputRow.name == bindparam("name"))
            there = select(OutputRow.name).where(*one).limit(1)
            pairs = [{"name": name, "phase": phase} for name in names for phase in PHASES]
            return [(pair["name"], pair["phase"]) for pair in pairs if session.execute(there, pair).first()]

    def groups(self, kind: str) -> list[str]:
        """The names of groups that jobs of a kind are in, sorted."""
        statement = select(JobRow.group).where(JobRow.kind == kind, JobRow.group != "", JobRow.deleted.is_(None)).distinct()
        with Session(self.engine) as session:
            return sorted(session.scalars(statement))

    def uncounted(self) -> list[str]:
        """Ids of jobs whose disk usage nobody has counted yet."""
        with Session(self.engine) as session:
            return list(session.scalars(select(JobRow.id).where(JobRow.disk_bytes.is_(None), JobRow.deleted.is_(None))))

    def ids(self) -> list[str]:
        """The ids of all rows, deleted ones among them."""
        with Session(self.engine) as session:
            return list(session.scalars(select(JobRow.id)))

    def counts(self) -> dict[str, int]:
        """How many jobs there are of each kind."""
        with Session(self.engine) as session:
            statement = select(JobRow.kind, func.count()).where(JobRow.deleted.is_(None)).group_by(JobRow.kind)
            return {row[0]: row[1] for row in session.execute(statement)}

    def status_counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are of each kind in each state (its letter)."""
        with Session(self.engine) as session:
            columns = (JobRow.kind, JobRow.status)
            statement = select(*columns, func.count()).where(JobRow.deleted.is_(None)).group_by(*columns)
            return {(kind, status): count for kind, status, count in session.execute(statement)}

    def trash_size(self) -> tuple[int, int]:
        """How many jobs lie in the trash, and the bytes of the disk that they take, as far as they are counted."""
        with Session(self.engine) as session:
            trashed = (JobRow.deleted.is_not(None), JobRow.requested_action != str(Action.PURGE))
            statement = select(func.count(), func.coalesce(func.sum(JobRow.disk_bytes), 0)).where(*trashed)
            count, size = session.execute(statement).one()
            return count, int(size or 0)


class JobStore(JobReader):
    """All access to the table of jobs."""

    @classmethod
    def open(cls, url: str, sqlite_file: Path, read_json: ReadJson = json.loads) -> JobStore:
        """Open; make the tables where there are none yet, migrate older ones. Raises StorageError for newer ones."""
        store = cls(open_engine(url, sqlite_file, read_json))
        made = schema.prepare(store.engine, sqlite_file)
        folders = len(JobsDir(sqlite_file.parent.parent).folders()) if made else 0
        if folders:
            logger.warning(
                "The database had no tables. They are made again; the server, or `digits jobs reindex`, reads %d jobs from their"
                " folders. Accounts and tokens are in no folder: make them again with `digits user add`.",
                folders,
            )
        return store

    def check(self) -> None:
        """Raises StorageError where the file of an SQLite database is damaged."""
        if self.engine.dialect.name != "sqlite":
            return
        try:
            with self.engine.connect() as connection:
                found = [row[0] for row in connection.exec_driver_sql("PRAGMA quick_check(1)")]
        except DatabaseError as error:
            found = [str(error.orig)]
        if found != ["ok"]:
            raise StorageError(f"The database {self.engine.url.database} is damaged: {found[0]}.", advice=schema.REPAIR)

    def close(self) -> None:
        self.engine.dispose()

    def reserve_disk_space(self) -> None:
        """Rows can then be changed, and jobs be deleted, also when the disk is full (see `tables.reserve_disk_space`)."""
        reserve_disk_space(self.engine)

    # -- writing ------------------------------------------------------------------------------------------------

    def insert(self, request: JobRequest, user: UserColumns, **columns: Any) -> Job:
        """A new row in state `I`. `columns` are further columns of `JobRow` beside those of the request (status, history, …)."""
        with Session(self.engine) as session, session.begin():
            return copy(_insert(session, request, user, columns))

    def reinsert(self, request: JobRequest, user: UserColumns, outputs: Iterable[Output], **columns: Any) -> Job:
        """The row and the outputs of a job as its folder has them, in the place of what the table had of it. One transaction: an
        end in the middle of it leaves no row that lacks its outputs, which nobody would look for."""
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session)
            _delete(session, request.id)
            row = _insert(session, request, user, columns, sequence)
            _put(session, request.id, outputs)
            return copy(row)

    def update(self, job_id: str, **columns: Any) -> Job:
        """Set columns of one job. Raises NotFound."""
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session)
            row = self._row(session, job_id)
            _assign(row, columns, sequence)
            return copy(row)

    def transition(
        self, job_id: str, to: Status, *, expected: Iterable[Status] = (), at: float | None = None, **columns: Any
    ) -> Job:
        """Move to another state and set `columns` with it.

        Raises Conflict when the job is not in one of `expected` (default: any state from which the move is legal).
        `started` is set by the first run, `finished` by every final state, `worked` and `running_since` follow from the history,
        progress becomes 1 with `D`.
        """
        at = time.time() if at is None else at
        allowed = set(expected) or {s for s, moves in LEGAL_MOVES.items() if to in moves}
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session)
            row = self._row(session, job_id)
            before = Status(row.status)
            if before not in allowed or to not in LEGAL_MOVES[before]:
                raise Conflict(f"Job {job_id} is {before.word}; it cannot become {to.word} now.")
            _assign(row, {**_moved(row, to, at), **columns}, sequence)
            return copy(row)

    def transition_many(self, job_ids: Collection[str], to: Status, *, clear: str = "", **columns: Any) -> list[Job]:
        """`transition` for several jobs in one transaction; those that cannot move now, and deleted ones, are left out. A request
        of `clear` is done with that."""
        at = time.time()
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session, len(job_ids)) - len(job_ids)
            moved = [row for row in self._rows(session, job_ids) if to in LEGAL_MOVES[Status(row.status)]]
            for row in moved:
                sequence += 1
                done = {"requested_action": ""} if clear and row.requested_action == clear else {}
                _assign(row, {**_moved(row, to, at), **columns, **done}, sequence)
            return [copy(row) for row in moved]

    def follow_clock(self, jump: float, now: float) -> list[Job]:
        """The clock was set by `jump` seconds and says `now`: what is counted until now counts on as if it had not been.

        Jobs that run or wait began that much later or earlier; what lies in the trash gets no older by it. A time that the clock
        had not reached before is of another clock and stays. The rows that were changed.
        """
        before = now - jump
        with Session(self.engine) as session, session.begin():
            _next_sequence(session)
            active = JobRow.status.in_([str(status) for status in RUNNING]) & JobRow.deleted.is_(None)
            found: list[tuple[JobRow, dict[str, Any]]] = []
            for row in session.scalars(select(JobRow).where(active | JobRow.deleted.is_not(None))):
                times: dict[str, Any] = {}
                if row.deleted is None and (row.started is None or row.started <= before):
                    times = _lived(StatusHistory.from_json([[status, at + jump] for status, at in row.history]))
                    times |= {"started": row.started + jump} if row.started else {}
                elif row.deleted is not None and row.deleted <= before and (jump > 0 or row.deleted > now):
                    times = {"deleted": row.deleted + jump}
                found += [(row, times)] if times else []
            sequence = _next_sequence(session, len(found)) - len(found)
            for number, (row, times) in enumerate(found, 1):
                _assign(row, times, sequence + number)
            return [copy(row) for row, _ in found]

    def request_action(self, job_id: str, action: Action) -> Job:
        """Request something of the supervisor. A deletion hides the job at once, and nothing but to restore or to purge it can be
        requested after it.

        Raises NotFound. A full disk does not keep it from being requested (see `storage.reserve`).
        """
        if job_id not in self.request_action_many([job_id], action):
            raise NotFound("Job not found")
        job = self.find(job_id, with_deleted=True)
        if job is None:  # the supervisor has done it already
            raise NotFound("Job not found")
        return job

    def _although_full(self, work: Callable[[], T]) -> T:
        """Do `work`, which frees room: where the disk is too full for it, once more in the room that is kept for that."""
        try:
            return work()
        except OperationalError:
            if self.engine.dialect.name != "sqlite" or not reserve.give_up(Path(self.engine.url.database or "").parent):
                raise
            return work()

    def update_many(self, changes: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Set columns of several jobs, each its own, in one transaction; the ids of those that exist and are not deleted."""
        if not changes:
            return set()
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session, len(changes)) - len(changes)
            found = self._rows(session, changes)
            for row in found:
                sequence += 1
                _assign(row, changes[row.id], sequence)
            return {row.id for row in found}

    def request_action_many(self, job_ids: Collection[str], action: Action, *, of_trash: bool = False) -> set[str]:
        """`request_action` for several jobs, all or none; the ids of those of which it can be requested: that exist and are not
        deleted, or are (to restore them), or are not being purged. `of_trash`: only what lies in the trash at this moment; who
        chose jobs there does not get one that was restored meanwhile."""
        return self._although_full(lambda: self._request_many(job_ids, action, of_trash)) if job_ids else set()

    def _request_many(self, job_ids: Collection[str], action: Action, of_trash: bool) -> set[str]:
        now = time.time()
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session, len(job_ids)) - len(job_ids)
            rows = self._rows(session, job_ids, with_deleted=True)
            found = [r for r in rows if _can_be_requested(r, action) and (r.deleted is not None or not of_trash)]
            for row in found:
                sequence += 1
                deleted = {Action.DELETE: now, Action.PURGE: row.deleted or now}.get(action)
                _assign(row, {"requested_action": str(action), "deleted": deleted}, sequence)
            return {row.id for row in found}

    def settle_deletions(self, job_ids: Collection[str]) -> list[Job]:
        """What was requested to be deleted, and has no worker any more, lies in the trash from now on: as aborted where it had
        not ended. Those of which something else was requested meanwhile are left out."""
        return self._although_full(lambda: self._settle_deletions(job_ids))

    def _settle_deletions(self, job_ids: Collection[str]) -> list[Job]:
        now = time.time()
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session, len(job_ids)) - len(job_ids)
            rows = self._rows(session, job_ids, with_deleted=True)
            found = [row for row in rows if row.deleted is not None and row.requested_action == str(Action.DELETE)]
            for row in found:
                sequence += 1
                stopped = {**_moved(row, Status.ABORT, now), "message": "Aborted by the user."}
                _assign(row, {"requested_action": "", **(stopped if Status(row.status).is_running else {})}, sequence)
            return [copy(row) for row in found]

    def put_outputs(self, job_id: str, outputs: Iterable[Output]) -> None:
        """Replace the given outputs of a job."""
        with Session(self.engine) as session, session.begin():
            _put(session, job_id, outputs)

    def index(self, request: JobRequest, outputs: Iterable[Output]) -> None:
        """Bring the settings and outputs of a job of an older version up to date. The row counts as unchanged."""
        with Session(self.engine) as session, session.begin():
            _next_sequence(session)
            changed = session.execute(update(JobRow).where(JobRow.id == request.id).values(**index_columns(request)))
            if not changed.rowcount:  # type: ignore[attr-defined]
                return
            session.execute(delete(SettingRow).where(SettingRow.job_id == request.id))
            session.add_all(setting_rows(request))
            _put(session, request.id, outputs)

    def clear_outputs(self, job_id: str) -> None:
        with Session(self.engine) as session, session.begin():
            session.execute(delete(OutputRow).where(OutputRow.job_id == job_id))

    def update_from_events(
        self, job_id: str, columns: Mapping[str, Any], outputs: Iterable[Output], *, replace: bool = False
    ) -> Job:
        """Set what was read from a job's events: columns and outputs in one transaction, so that a crash leaves both or none.

        With `replace`, outputs that are not given are removed. Raises NotFound.
        """
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session)
            row = self._row(session, job_id)
            _assign(row, columns, sequence)
            if replace:
                session.execute(delete(OutputRow).where(OutputRow.job_id == job_id))
            _put(session, job_id, outputs)
            return copy(row)

    def clear_action(self, job_id: str, action: str) -> bool:
        """Forget a user's request once it is done; False when the user has requested something else meanwhile."""
        statement = update(JobRow).where(JobRow.id == job_id, JobRow.requested_action == action)
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session)
            cleared = session.execute(statement.values(requested_action="", seq=sequence).returning(JobRow.id))
            return cleared.first() is not None

    def clear_actions(self, job_ids: Collection[str], action: str) -> None:
        """`clear_action` for several jobs at once."""
        if not job_ids:
            return
        with Session(self.engine) as session, session.begin():
            sequence = _next_sequence(session, len(job_ids)) - len(job_ids)
            for row in self._rows(session, job_ids, with_deleted=True):
                if row.requested_action == action:
                    sequence += 1
                    _assign(row, {"requested_action": ""}, sequence)

    def purge(self, job_id: str) -> None:
        """Remove the row and what belongs to it, once the folder is gone."""
        with Session(self.engine) as session, session.begin():
            _delete(session, job_id)

    def _rows(self, session: Session, job_ids: Iterable[str], *, with_deleted: bool = False) -> list[JobRow]:
        found: list[JobRow] = []
        live = [] if with_deleted else [JobRow.deleted.is_(None)]
        for some in _in_parts(job_ids):
            statement = select(JobRow).where(JobRow.id.in_(some), *live).with_for_update()
            found += session.scalars(statement)
        return found

    def _row(self, session: Session, job_id: str) -> JobRow:
        statement = select(JobRow).where(JobRow.id == job_id).with_for_update()
        row = session.scalars(statement).one_or_none()
        if row is None:
            raise NotFound("Job not found")
        return row


def _insert(session: Session, request: JobRequest, user: UserColumns, columns: Mapping[str, Any], sequence: int = 0) -> JobRow:
    """A new row of number `sequence` (0: the next one) with its settings and parents."""
    history = StatusHistory.from_json(columns.get("history", [["I", request.created]]))
    row = JobRow(
        seq=sequence or _next_sequence(session),
        id=request.id,
        kind=str(request.kind),
        type_name=request.type_name,
        task=str(request.task),
        created=request.created,
        pool=request.resources.pool,
        cpus=request.resources.cpus,
        gpus=request.resources.gpus,
        gpu_ids=list(request.resources.gpu_ids),
        name=user.name,
        group=user.group,
        notes=user.notes,
        tags=list(user.tags),
        owner=user.owner,
        priority=user.priority,
        **{"status": "I", **_lived(history), **request.columns, **columns},
        **index_columns(request),
    )
    session.add(row)
    session.flush()
    session.add_all(setting_rows(request))
    session.add_all(DependencyRow(job_id=request.id, parent_id=parent) for parent in request.parents)
    return row


def _delete(session: Session, job_id: str) -> None:
    for table in (OutputRow, DependencyRow, SettingRow):
        session.execute(delete(table).where(table.job_id == job_id))
    session.execute(delete(JobRow).where(JobRow.id == job_id))


def _put(session: Session, job_id: str, outputs: Iterable[Output]) -> None:
    """Make or change the rows of outputs, however many there are."""
    rows = {(output.name, output.phase): {name: getattr(output, name) for name in OUTPUT_FIELDS} for output in outputs}
    there = select(OutputRow.name, OutputRow.phase).where(OutputRow.job_id == job_id)
    known = {(name, phase) for name, phase in session.execute(there)} if rows else set()
    if new := [row for key, row in rows.items() if key not in known]:
        session.execute(insert(OutputRow), new)
    if changed := [row for key, row in rows.items() if key in known]:
        session.execute(update(OutputRow), changed)


def _vocabulary(session: Session, query: JobQuery) -> Vocabulary:
    known = query.vocabulary
    metrics, settings = distinct(session, OutputRow.name), distinct(session, SettingRow.name)
    return replace(known, metrics=known.metrics.union(metrics), settings=known.settings.union(settings))


def index_columns(request: JobRequest) -> dict[str, Any]:
    settings = settings_of(request.form, request.spec)
    network = f"{request.spec.get('network_name', '')}\n{request.spec.get('network', '')}"
    dataset = str(request.columns.get("dataset_id") or request.spec.get("dataset_id") or "")
    texts = {value for value in settings.values() if isinstance(value, str) and value not in ("true", "false")}
    return {
        "sweep": sweep_of(dataset, network, settings) if request.kind == Kind.MODEL else "",
        "fold": without_seed(dataset, network, settings) if request.kind == Kind.MODEL else "",
        "words": "\n".join(sorted(texts)),
        "index_version": INDEX_VERSION,
    }


def setting_rows(request: JobRequest) -> list[SettingRow]:
    settings = settings_of(request.form, request.spec).items()
    return [
        SettingRow(job_id=request.id, name=name[:120], **({"text": value} if isinstance(value, str) else {"number": value}))
        for name, value in settings
    ]


def _can_be_requested(row: JobRow, action: Action) -> bool:
    if row.requested_action == str(Action.PURGE):
        return False
    return action == Action.PURGE or (row.deleted is not None) == (action == Action.RESTORE)


def _in_parts(job_ids: Iterable[str]) -> Iterator[list[str]]:
    """As many ids at a time as one statement may name."""
    left = iter(job_ids)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _assign(row: JobRow, columns: Mapping[str, Any], sequence: int) -> None:
    for name, value in columns.items():
        if not hasattr(JobRow, name):
            raise AttributeError(f"jobs has no column {name}")
        setattr(row, name, value)
    row.seq = sequence


def _moved(row: JobRow, to: Status, at: float) -> dict[str, Any]:
    """The columns of a row that moves to another state."""
    history = StatusHistory.from_json(row.history)
    history.add(to, at)
    return {"status": str(to), **_lived(history), **_times(row, to, at)}


def _lived(history: StatusHistory) -> dict[str, Any]:
    """The columns that follow from the states a job went through, and those states."""
    worked, since = history.work()
    return {"history": history.to_json(), "worked": worked, "running_since": since}


def _times(row: JobRow, to: Status, at: float) -> dict[str, Any]:
    if to == Status.RUN:
        return {"started": row.started or at, "finished": None}
    if to == Status.WAIT:
        return {"finished": None}
    return {"finished": at, "eta": None, **({"progress": 1.0} if to == Status.DONE else {})}


def _next_sequence(session: Session, count: int = 1) -> int:
    """Take the next number, or the next few, of which this is the last. Always the first statement of a transaction that writes:
    it takes SQLite's write lock before anything is read, so that two processes wait for each other instead of failing on a stale
    read."""
    statement = update(CounterRow).where(CounterRow.id == SEQUENCE_ID).values(value=CounterRow.value + count)
    return int(session.execute(statement.returning(CounterRow.value)).scalar_one())


def _jobs(session: Session, *matching: Any, unread: Sequence[str] = ()) -> list[Job]:
    """Copies of many rows, read without that the session keeps track of them; the columns `unread` are empty."""
    names = [name for name in JOB_FIELDS if name not in unread]
    words = {str(status): status for status in Status}
    at = names.index("status")
    columns = JobRow.__mapper__.columns
    found = []
    empty = {name: columns[name].type.python_type() for name in unread if not isinstance(columns[name].type, JSON)}
    empty |= {name: {} if name == "summary" else [] for name in unread if name not in empty}
    for row in session.connection().execute(select(*(columns[name] for name in names)).where(*matching)).fetchall():
        job = object.__new__(Job)  # of ten thousand rows the dataclass's own way takes longer than the database
        values = job.__dict__
        values.update(zip(names, row, strict=True))
        values["status"] = words[row[at]]
        values.update(empty)
        found.append(job)
    return found


def copy(row: JobRow) -> Job:
    """A frozen copy of a row."""
    values: dict[str, Any] = {name: getattr(row, name) for name in JOB_FIELDS}
    return Job(**{**values, "status": Status(row.status)})
