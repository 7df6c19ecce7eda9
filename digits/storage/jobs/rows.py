"""What leaves the table of jobs: frozen copies of rows, never bound to a session, and the description of a list, which becomes
the parts of a SELECT."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import JSON, Select, String, and_, func, or_, select
from sqlalchemy.orm import aliased

from digits.domain.datasets import left_out
from digits.domain.jobs import Kind, Status
from digits.domain.metrics import HIGHER, LOWER, facts
from digits.domain.query import MOST_TERMS, MetricName, Vocabulary, parse, shortened
from digits.errors import BadRequest, UnknownOrder
from digits.storage.jobs.query import SHORTEST_ID_PART, alphabetic, conditions_of, contains, elapsed, sorted_by, tagged
from digits.storage.jobs.tables import JobRow, OutputRow


@dataclass(frozen=True)
class Job:
    """A copy of one row of `jobs`; see `database.JobRow` for the columns."""

    id: str
    seq: int
    kind: str
    type_name: str
    task: str
    extension: str
    framework: str
    network: str
    dataset_id: str
    created: float
    pool: str
    cpus: int
    gpus: int
    gpu_ids: list[str]
    name: str
    group: str
    notes: str
    tags: list[str]
    owner: str
    priority: int
    requested_action: str
    deleted: float | None
    status: Status
    history: list[list[Any]]
    started: float | None
    finished: float | None
    progress: float
    eta: float | None
    message: str
    error: str
    attempt: int
    failures: int
    pid: int
    pid_start: float
    event_offset: int
    used_gpus: list[str]
    best_name: str
    best_better: str
    best_value: float | None
    best_epoch: float | None
    sparkline: list[float]
    disk_bytes: int | None
    summary: dict[str, Any]
    sweep: str = ""
    fold: str = ""
    worked: float = 0.0
    running_since: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds of work so far: those of all its runs, without the times in which it waited (`query.elapsed`)."""
        return self.worked + (max(0.0, time.time() - self.running_since) if self.running_since is not None else 0.0)

    @property
    def left_out(self) -> dict[str, Any] | None:
        """How much a finished data set lacks, in the words of `domain.datasets.left_out`; None for all else."""
        if self.kind != Kind.DATASET or "entries" not in self.summary:
            return None
        known = self.summary.get("left_out")  # rows of older versions counted skipped entries alone
        return known or left_out(int(self.summary.get("problems") or 0), int(self.summary["entries"]))

    @property
    def damage(self) -> dict[str, Any] | None:
        """What is damaged of its folder, as the supervisor found it: `words`, `since`, `vital` and `files`; None: nothing."""
        return None if self.status.is_running else self.summary.get("damage")

    @property
    def status_words(self) -> str:
        """The status, and that the job is damaged or how much is missing where that is much."""
        missing = self.left_out
        if self.damage:
            return f"{self.status.word}, {self.damage.get('word', 'damaged')}"
        if missing is None or not missing["much"]:
            return self.status.word
        return f"{self.status.word}, {100 * missing['share']:.0f} % left out"

    @property
    def css(self) -> str:
        """Bootstrap's contextual colour name: that of the status, but a warning where much is missing."""
        return self.status.css if self.status_words == self.status.word else "warning"


SORTABLE = "Columns, and what a list is sorted by for each, are listed at /jobs/columns.json."
JOB_FIELDS = tuple(f.name for f in fields(Job))


@dataclass(frozen=True)
class Output:
    """Last, smallest and largest value of one output (`name`, phase `train` or `val`) of one job, and its best one.

    `better` says which direction is (`higher`, `lower`, empty: not known). Where it is not given at all, it is what
    `domain.metrics` knows, and `best` follows from it.
    """

    job_id: str
    name: str
    phase: str
    kind: str
    last: float | None
    min: float | None
    max: float | None
    min_epoch: float | None
    max_epoch: float | None
    best: float | None = None
    best_epoch: float | None = None
    better: str | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        if self.better is None:
            known = facts(self.name, self.kind)
            found = {
                HIGHER: (self.max, self.max_epoch),
                LOWER: (self.min, self.min_epoch),
            }.get(known.better, (None, None))
            for name, value in zip(("better", "unit", "best", "best_epoch"), (known.better, known.unit, *found), strict=True):
                object.__setattr__(self, name, value)

    def number(self, which: str) -> tuple[float | None, float | None]:
        """The number that `MetricName.which` says and its epoch: as best the last one where nobody said what is better."""
        if which == "best" and self.best is None and not self.better:
            which = "last"
        return getattr(self, which), getattr(self, f"{which}_epoch", None)


@dataclass(frozen=True)
class Parent:
    """A job that another one needs; `status` is None when it is gone."""

    id: str
    name: str
    status: Status | None


@dataclass(frozen=True)
class JobQuery:
    """A list of jobs; empty values always come last, whichever way it is sorted.

    `query` is written in the language of `domain.query`. `sort` is a column of `Job`, `elapsed`, `refs` (models of a data set),
    `best` (descending: the best first, of `metric`, else of the metric that decides), `dataset` (its name), a metric or a setting
    under the name it has in queries, or `output:NAME:PHASE:last|min|max`; `then` holds further keys as `(column, descending)`.
    `main` is the metric that decides for most of the jobs, where it is known already. `text` looks in name, id, group, tags,
    network, owner and notes; `tag` is one whole tag. `limit` 0 means all. `vocabulary` holds names that count beside those in
    the database. `unread` are columns of lists and texts that nobody looks at: they are empty in what is found.
    """

    kind: str = ""
    statuses: Sequence[str] = ()
    task: str = ""
    group: str | None = None
    dataset_id: str = ""
    owner: str = ""
    tag: str = ""
    text: str = ""
    query: str = ""
    metric: str = ""
    main: str = ""
    unread: Sequence[str] = ()
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    sort: str = "created"
    descending: bool = True
    then: Sequence[tuple[str, bool]] = ()
    offset: int = 0
    limit: int = 0


@dataclass(frozen=True)
class Page:
    """One page of a list; `total` counts all rows that match."""

    jobs: list[Job] = field(default_factory=list)
    total: int = 0


def conditions(query: JobQuery, vocabulary: Vocabulary) -> list[Any]:
    """What a row must meet to be in the list."""
    _check(query)
    found: list[Any] = [JobRow.deleted.is_(None)]
    exact = {JobRow.kind: query.kind, JobRow.task: query.task, JobRow.dataset_id: query.dataset_id, JobRow.owner: query.owner}
    found += [column == value for column, value in exact.items() if value]
    if query.statuses:
        found.append(JobRow.status.in_(list(query.statuses)))
    if query.group is not None:
        found.append(JobRow.group == query.group)
    if query.tag:
        found.append(tagged(query.tag))
    for word in query.text.split():
        columns = [JobRow.name, JobRow.group, JobRow.network, JobRow.owner, JobRow.notes]
        if len(word) >= SHORTEST_ID_PART:
            columns.append(JobRow.id)
        found.append(or_(tagged(word, whole=False), *(contains(column, word) for column in columns)))
    return found + conditions_of(parse(query.query), vocabulary)


def _check(query: JobQuery) -> None:
    """BadRequest for what no database can look for."""
    texts = (query.kind, query.task, query.dataset_id, query.owner, query.group or "", query.tag, query.text, *query.statuses)
    if any("\0" in text for text in texts):
        raise BadRequest("A list cannot be searched for a zero byte.", advice="Leave it out.")
    if len(query.text.split()) > MOST_TERMS:
        raise BadRequest(f"The text has more than {MOST_TERMS} words.", advice="Leave some out.")


def names_metrics(query: JobQuery) -> bool:
    """Whether names of metrics or settings may matter for the list."""
    return bool(query.query or query.metric or any(sort not in JOB_FIELDS for sort, _ in sorts(query)))


def sorts(query: JobQuery) -> list[tuple[str, bool]]:
    """The keys of a list in the order in which they count, and whether they descend."""
    return [(query.sort, query.descending), *query.then]


def ranks(query: JobQuery) -> bool:
    """Whether a list is sorted by what is best without that a metric was chosen."""
    return not query.metric and not query.main and any(sort == "best" for sort, _ in sorts(query))


def ordered(statement: Select[Any], query: JobQuery, vocabulary: Vocabulary, main: str = "") -> Select[Any]:
    """`statement` with the order of the list; `main` is the metric that decides for most. Raises BadRequest for a column that
    does not exist."""
    order: list[Any] = []
    metric = metric_of(query.metric, vocabulary)
    for sort, descending in sorts(query):
        found = (
            None if sort in JOB_FIELDS and sort != "tags" else sorted_by(statement, sort, descending, vocabulary, metric, main)
        )
        if found is not None:
            statement, keys = found
            order += keys
            continue
        statement, column = _sort_column(statement, sort)
        order.append((column.desc() if descending else column.asc()).nulls_last())
    return statement.order_by(*order, JobRow.id.desc())


def metric_of(name: str, vocabulary: Vocabulary) -> MetricName | None:
    """The metric of that name; None for an empty one. Raises BadRequest."""
    found = vocabulary.metric(name) if name else None
    if name and found is None:
        raise UnknownOrder(f"There is no metric {shortened(name)}.", advice=vocabulary.proposal(name, of_metrics=True))
    return found


def _sort_column(statement: Select[Any], sort: str) -> tuple[Select[Any], Any]:
    if sort == "elapsed":
        return statement, elapsed()
    if sort == "refs":
        model = aliased(JobRow)
        counted = select(func.count()).where(model.dataset_id == JobRow.id, model.deleted.is_(None))
        return statement, counted.correlate(JobRow).scalar_subquery()
    if not sort.startswith("output:"):
        columns = {name: getattr(JobRow, name) for name in JOB_FIELDS if not isinstance(getattr(JobRow, name).type, JSON)}
        if sort not in columns:
            raise UnknownOrder(f"Jobs cannot be sorted by {shortened(sort)}.", advice=SORTABLE)
        column = columns[sort]
        return statement, alphabetic(column) if isinstance(column.type, String) else column
    name, _, tail = sort.removeprefix("output:").rpartition(":")
    name, _, phase = name.rpartition(":")
    if tail not in ("last", "min", "max", "best"):
        raise UnknownOrder(f"Jobs cannot be sorted by {shortened(sort)}.", advice=SORTABLE)
    output = aliased(OutputRow)
    joined = and_(output.job_id == JobRow.id, output.name == name, output.phase == phase)
    return statement.outerjoin(output, joined), getattr(output, tail)
