"""Questions to the table of jobs. See `digits.storage.jobs.store` for what holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields as dataclass_fields
from typing import Any

from sqlalchemy import Engine, func, or_, select
from sqlalchemy.orm import Session

from digits.domain.status import RUNNING, Status
from digits.errors import NotFound
from digits.storage.job_lists import conditions, ordered
from digits.storage.jobs.migrate import SEQUENCE_ID
from digits.storage.jobs.rows import JOB_FIELDS, Job, JobQuery, Output, Page, Parent
from digits.storage.jobs.tables import DependencyRow, JobRow, OutputRow


class JobReader:
    """Everything that is asked and nothing that is changed."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def find(self, job_id: str, *, with_deleted: bool = False) -> Job | None:
        """The job, or None."""
        with Session(self.engine) as session:
            row = session.get(JobRow, job_id)
            if row is None or (row.deleted is not None and not with_deleted):
                return None
            return copy(row)

    def find_many(self, job_ids: Collection[str]) -> dict[str, Job]:
        """Those of the jobs that exist and are not deleted, by id."""
        with Session(self.engine) as session:
            statement = select(JobRow).where(JobRow.id.in_(job_ids), JobRow.deleted.is_(None))
            return {row.id: copy(row) for row in session.scalars(statement)} if job_ids else {}

    def reference_counts(self, dataset_ids: Collection[str]) -> dict[str, int]:
        """How many models each data set has; those without any are left out."""
        conditions = (JobRow.dataset_id.in_(dataset_ids), JobRow.kind == "model", JobRow.deleted.is_(None))
        statement = select(JobRow.dataset_id, func.count()).where(*conditions).group_by(JobRow.dataset_id)
        with Session(self.engine) as session:
            return {row[0]: row[1] for row in session.execute(statement)} if dataset_ids else {}

    def get(self, job_id: str, kind: str = "") -> Job:
        """The job; NotFound ("Job not found") when there is none, or none of that kind."""
        job = self.find(job_id)
        if job is None or (kind and job.kind != kind):
            raise NotFound("Job not found")
        return job

    def query(self, query: JobQuery) -> Page:
        """One page of a list, sorted and filtered by the database."""
        with Session(self.engine) as session:
            matching = conditions(query)
            total = session.scalar(select(func.count()).select_from(JobRow).where(*matching)) or 0
            statement = ordered(select(JobRow).where(*matching), query).offset(query.offset)
            if query.limit:
                statement = statement.limit(query.limit)
            return Page([copy(row) for row in session.scalars(statement)], total)

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
        """Jobs whose user has asked for something, deleted ones among them."""
        with Session(self.engine) as session:
            statement = select(JobRow).where(or_(JobRow.requested_action != "", JobRow.deleted.is_not(None)))
            return [copy(row) for row in session.scalars(statement.order_by(JobRow.seq))]

    def pending(self) -> bool:
        """Whether a job is new or its user has asked for something: a cheap question, asked often."""
        new = select(JobRow.id).where(JobRow.status == str(Status.INIT), JobRow.deleted.is_(None))
        asked = select(JobRow.id).where(JobRow.requested_action != "")
        with Session(self.engine) as session:
            return session.execute(new.union_all(asked).limit(1)).first() is not None

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
        """The number of the newest change; cheap enough to be asked several times a second."""
        with self.engine.connect() as connection:
            return connection.exec_driver_sql(f"SELECT value FROM counter WHERE id = {SEQUENCE_ID}").scalar() or 0

    def parents(self, job_id: str) -> list[str]:
        with Session(self.engine) as session:
            return list(session.scalars(select(DependencyRow.parent_id).where(DependencyRow.job_id == job_id)))

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

    def outputs(self, job_ids: Sequence[str]) -> dict[str, list[Output]]:
        """Outputs by job id, for the jobs that have any."""
        found: dict[str, list[Output]] = {}
        with Session(self.engine) as session:
            statement = select(OutputRow).where(OutputRow.job_id.in_(job_ids)).order_by(OutputRow.name, OutputRow.phase)
            for row in session.scalars(statement):
                output = Output(**{f.name: getattr(row, f.name) for f in dataclass_fields(Output)})
                found.setdefault(row.job_id, []).append(output)
        return found

    def output_names(self) -> list[tuple[str, str]]:
        """Every `(name, phase)` that any job has, sorted."""
        with Session(self.engine) as session:
            rows = session.execute(select(OutputRow.name, OutputRow.phase).distinct().order_by(OutputRow.name, OutputRow.phase))
            return [(name, phase) for name, phase in rows]

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


def copy(row: JobRow) -> Job:
    """A frozen copy of a row."""
    values: dict[str, Any] = {name: getattr(row, name) for name in JOB_FIELDS}
    return Job(**{**values, "status": Status(row.status)})
