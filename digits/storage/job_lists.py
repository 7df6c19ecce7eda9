"""From the description of a list (`JobQuery`) to the parts of a SELECT."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Select, String, and_, func, or_, select
from sqlalchemy.orm import aliased

from digits.errors import BadRequest
from digits.storage.jobs.rows import JOB_FIELDS, JobQuery
from digits.storage.jobs.tables import JobRow, OutputRow

SHORTEST_ID_PART = 4  # shorter words are not looked for in ids


def conditions(query: JobQuery) -> list[Any]:
    """What a row must meet to be in the list."""
    found: list[Any] = [JobRow.deleted.is_(None)]
    exact = {JobRow.kind: query.kind, JobRow.task: query.task, JobRow.dataset_id: query.dataset_id, JobRow.owner: query.owner}
    found += [column == value for column, value in exact.items() if value]
    if query.statuses:
        found.append(JobRow.status.in_(list(query.statuses)))
    if query.group is not None:
        found.append(JobRow.group == query.group)
    for word in query.text.split():
        pattern = f"%{_escape(word)}%"
        columns = [JobRow.name, JobRow.group, JobRow.network, JobRow.owner, JobRow.notes]
        if len(word) >= SHORTEST_ID_PART:  # nearly every id holds every shorter number
            columns.append(JobRow.id)
        found.append(or_(*(column.ilike(pattern, escape="\\") for column in columns)))
    return found


def _escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def ordered(statement: Select[Any], query: JobQuery) -> Select[Any]:
    """`statement` with the order of the list. Raises BadRequest for a column that does not exist."""
    order = []
    for sort, descending in ((query.sort, query.descending), *query.then):
        statement, column = _sort_column(statement, sort)
        order.append((column.desc() if descending else column.asc()).nulls_last())
    return statement.order_by(*order, JobRow.id.desc())


def _sort_column(statement: Select[Any], sort: str) -> tuple[Select[Any], Any]:
    if sort == "elapsed":
        return statement, func.coalesce(JobRow.finished, time.time()) - JobRow.started
    if sort == "refs":
        model = aliased(JobRow)
        counted = select(func.count()).where(model.dataset_id == JobRow.id, model.deleted.is_(None))
        return statement, counted.correlate(JobRow).scalar_subquery()
    if not sort.startswith("output:"):
        if sort not in JOB_FIELDS:
            raise BadRequest(f"Jobs cannot be sorted by {sort!r}.", advice=f"Columns are {', '.join(JOB_FIELDS)}.")
        column = getattr(JobRow, sort)
        return statement, func.nullif(column, "") if isinstance(column.type, String) else column
    name, _, tail = sort.removeprefix("output:").rpartition(":")
    name, _, phase = name.rpartition(":")
    if tail not in ("last", "min", "max"):
        raise BadRequest(f"Jobs cannot be sorted by {sort!r}.", advice="Write output:NAME:train or val:last, min or max.")
    output = aliased(OutputRow)
    joined = and_(output.job_id == JobRow.id, output.name == name, output.phase == phase)
    return statement.outerjoin(output, joined), getattr(output, tail)
