"""A query's terms as conditions of a SELECT, and the keys by which a list is sorted; alike on SQLite and PostgreSQL."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Select, String, and_, case, cast, false, func, literal, not_, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.functions import FunctionElement

from digits.domain.jobs import Kind
from digits.domain.metrics import HIGHER, LOWER, METRICS, facts
from digits.domain.query import (
    ALIASES,
    ANYTHING,
    CONTAINS,
    EQUAL,
    FIELDS,
    MetricName,
    QueryError,
    SettingName,
    Term,
    Value,
    Vocabulary,
    kind_of,
    number_of,
    statuses_of,
    times_of,
    unknown,
)
from digits.storage.jobs.tables import JobRow, OutputRow, SettingRow

SHORTEST_ID_PART = 4  # shorter words are not looked for in ids
TAGS = cast(JobRow.tags, String)  # a JSON list as the database keeps it: in ASCII, each tag in quotes
MOST_NAMES = 500  # of metrics that are looked up by name; where a word is in more, the names are searched
CLOSE = 1e-9  # numbers that differ by less than this part are equal
TEXTS: dict[str, Any] = {
    "name": JobRow.name,
    "network": JobRow.network,
    "task": JobRow.task,
    "owner": JobRow.owner,
    "group": JobRow.group,
    "notes": JobRow.notes,
    "id": JobRow.id,
    "metric": JobRow.best_name,
    "framework": JobRow.framework,
    "source": JobRow.extension,
    "error": JobRow.error,
}
EVERYWHERE = (JobRow.name, JobRow.group, JobRow.network, JobRow.owner, JobRow.notes, JobRow.task, JobRow.words)
Condition = ColumnElement[bool]


def distinct(session: Session, column: Any) -> list[str]:
    """The different values of an indexed column, sorted; each costs one step in the index, however many rows have it."""
    table = select(func.min(column).label("value")).cte("steps", recursive=True)
    following = select(func.min(column)).where(column > table.c.value).scalar_subquery()
    steps = table.union_all(select(following).where(table.c.value.is_not(None)))
    return list(session.scalars(select(steps.c.value).where(steps.c.value.is_not(None))))


def contains(column: Any, text: str, *, whole: bool = False) -> Condition:
    """Whether a text has a part, or is it, whichever letters are large. SQLite knows the case of ASCII letters alone, so others
    are looked for in each of their usual forms."""
    forms = {text} if text.isascii() else {text, text.lower(), text.upper(), text.title(), text.capitalize()}
    around = "" if whole else "%"
    return or_(*(Like(column, f"{around}{escape(form)}{around}") for form in sorted(forms)))


class Like(FunctionElement[bool]):
    """LIKE, whichever letters are large. SQLite's own is so for ASCII letters, and much faster than ILIKE in its stead."""

    name = "like"
    type = Boolean()
    inherit_cache = True


@compiles(Like)
def _ilike(element: Any, compiler: Any, **options: Any) -> str:
    column, pattern = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} ILIKE {pattern} ESCAPE '\\'"


@compiles(Like, "sqlite")
def _like(element: Any, compiler: Any, **options: Any) -> str:
    column, pattern = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} LIKE {pattern} ESCAPE '\\'"


def escape(word: str) -> str:
    """A text without what LIKE reads as wildcards."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


class OneTag(FunctionElement[str]):
    """One tag after the other, in `any_tag`."""

    name = "one_tag"
    type = String()
    inherit_cache = True


@compiles(OneTag)
def _one_tag(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "one_tag.value"


class AnyTag(FunctionElement[bool]):
    """Whether any tag of the list in a column meets a condition on `OneTag`. The text of the list is no place to look in: it has
    brackets, commas and the codes of letters beyond ASCII."""

    name = "any_tag"
    type = Boolean()
    inherit_cache = True


@compiles(AnyTag)
def _any_tag(element: Any, compiler: Any, **options: Any) -> str:
    tags, met = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_array_elements_text({tags}) AS one_tag(value) WHERE {met})"


@compiles(AnyTag, "sqlite")
def _any_tag_of_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    tags, met = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({tags}) AS one_tag WHERE {met})"


def tagged(tag: str, *, whole: bool = True) -> Condition:
    """Whether a job has a tag, or one with this part."""
    return and_(TAGS != "[]", AnyTag(JobRow.tags, contains(OneTag(), tag, whole=whole)))


class ByBytes(FunctionElement[str]):
    """A text that is compared by its bytes, as SQLite does, whatever order of a language the database was made with."""

    name = "by_bytes"
    type = String()
    inherit_cache = True


@compiles(ByBytes)
def _by_bytes(element: Any, compiler: Any, **options: Any) -> str:
    return f'{compiler.process(next(iter(element.clauses)), **options)} COLLATE "C"'


@compiles(ByBytes, "sqlite")
def _by_bytes_of_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return str(compiler.process(next(iter(element.clauses)), **options))


def alphabetic(column: Any) -> Any:
    """What a list is sorted by for a text: blank ones count as none, and large letters as small ones."""
    return func.lower(ByBytes(func.nullif(column, "")))


def conditions_of(terms: Sequence[Term], vocabulary: Vocabulary) -> list[Condition]:
    """What a row must meet. Raises QueryError for names that nothing has and values that cannot be compared."""
    found = [(term.negated, _condition(term, vocabulary)) for term in terms]
    return [not_(func.coalesce(met, false())) if negated else met for negated, met in found]  # what has no value does not match


def _condition(term: Term, vocabulary: Vocabulary) -> Condition:
    if not term.name:
        return word(term.values[0].text, vocabulary)
    found = vocabulary.find(term.name)
    if found is None:
        raise unknown(term, vocabulary)
    if isinstance(found, MetricName):
        return _metric(term, found)
    if isinstance(found, SettingName):
        return _setting(term, found)
    return _column(term, found, vocabulary)


def word(text: str, vocabulary: Vocabulary) -> Condition:
    """A word anywhere: name, group, network, owner, notes, task, tags, id, data set, metrics, settings."""
    met = [contains(column, text) for column in EVERYWHERE]
    met += [tagged(text, whole=False), _dataset(text)]
    if len(text) >= SHORTEST_ID_PART:  # nearly every id holds every shorter number
        met.append(contains(JobRow.id, text))
    met += _tasks(text, vocabulary)
    if metrics := [name for name in vocabulary.metrics if text.lower() in name.lower()]:
        named = OutputRow.name.in_(metrics) if len(metrics) <= MOST_NAMES else contains(OutputRow.name, text)
        met.append(JobRow.id.in_(select(OutputRow.job_id).where(named)))
    number = _number(text)
    if number is not None and vocabulary.settings:
        close = and_(SettingRow.name.in_(sorted(vocabulary.settings)), _equal(SettingRow.number, number))
        met.append(JobRow.id.in_(select(SettingRow.job_id).where(close)))
    return or_(*met)


def _number(text: str) -> float | None:
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _tasks(text: str, vocabulary: Vocabulary) -> list[Condition]:
    wanted = text.lower()
    titles = vocabulary.task_titles.items()
    titled = [name for name, title in titles if wanted in title.lower() or wanted.replace(" ", "_") in name]
    return [JobRow.task.in_(titled)] if titled else []


def _dataset(text: str, *, whole: bool = False) -> Condition:
    data = aliased(JobRow)
    named = select(data.id).where(data.kind == str(Kind.DATASET), contains(data.name, text, whole=whole))
    return or_(JobRow.dataset_id.in_(named), JobRow.dataset_id == text)


def _column(term: Term, name: str, vocabulary: Vocabulary) -> Condition:
    match FIELDS[name].kind:
        case "number":
            return _any(term, lambda value: _number_column(term, name, value))
        case "time":
            return _any(term, lambda value: _time(term, name, value))
    if term.operator not in (CONTAINS, EQUAL):
        position = term.values[0].position - len(term.operator)
        raise QueryError(f"{term.name} is a text.", position, len(term.operator), advice=f"Write {term.name}:… for a part of it.")
    return _any(term, lambda value: _text(term, name, value, vocabulary))


def _any(term: Term, condition: Callable[[Value], Condition]) -> Condition:
    return or_(*(condition(value) for value in term.values))


def _text(term: Term, name: str, value: Value, vocabulary: Vocabulary) -> Condition:
    whole, text = term.operator == EQUAL, value.text
    anything = text == ANYTHING and not value.quoted
    match name:
        case "status":
            return JobRow.status.in_(statuses_of(value))
        case "kind":
            return JobRow.kind == kind_of(value)
        case "tag":
            return TAGS != "[]" if anything else TAGS == "[]" if not text else tagged(" ".join(text.split()))
        case "dataset":
            return JobRow.dataset_id != "" if anything else JobRow.dataset_id == "" if not text else _dataset(text, whole=whole)
    column = TEXTS[name]
    if anything or not text:
        return column != "" if anything else column == ""
    met = [contains(column, text, whole=whole)]
    if name == "task":
        met += _tasks(text, vocabulary)
    return or_(*met)


def _number_column(term: Term, name: str, value: Value) -> Condition:
    number = number_of(value, term.name, FIELDS[name].units)
    columns: dict[str, Any] = {"duration": elapsed(), "disk": JobRow.disk_bytes, "progress": JobRow.progress * 100}
    return _compared(columns[name], term.operator, number)


def elapsed() -> ColumnElement[float]:
    """Seconds of work so far, as `Job.elapsed`; nothing before the first start."""
    running = literal(time.time()) - JobRow.running_since
    current = case((running > 0, running), else_=0.0)  # nothing where the clock was set back, or none runs
    return case((JobRow.started.is_not(None), JobRow.worked + current))


def _time(term: Term, name: str, value: Value) -> Condition:
    column = JobRow.created if name == "created" else JobRow.finished
    start, end = times_of(value, time.time())
    if term.operator in (CONTAINS, EQUAL):
        return and_(column >= start, column < end)
    return _compared(column, term.operator, end if term.operator in ("<=", ">") else start, touches=term.operator == ">")


def _compared(column: Any, operator: str, number: float, *, touches: bool = False) -> Condition:
    if operator in (CONTAINS, EQUAL):
        return _equal(column, number)
    if touches or operator == ">=":
        return column >= number
    return {"<": column < number, "<=": column <= number, ">": column > number}[operator]


def _equal(column: Any, number: float) -> Condition:
    near = abs(number) * CLOSE
    return column.between(number - near, number + near)


def _metric(term: Term, metric: MetricName) -> Condition:
    of_it = (OutputRow.name == metric.name, OutputRow.phase == metric.phase)

    def jobs(column: Any, *more: Condition) -> Condition:
        def met(value: Value) -> Condition:
            if value.text == ANYTHING and term.operator == CONTAINS:
                return column.is_not(None)
            return _compared(column, term.operator, number_of(value, term.name))

        return JobRow.id.in_(select(OutputRow.job_id).where(*of_it, *more, _any(term, met)))

    found = jobs(getattr(OutputRow, metric.which))
    if metric.which != "best" or facts(metric.name).better:
        return found
    return or_(found, jobs(OutputRow.last, OutputRow.better == ""))  # two ways through two indexes, not one through none


def number_in(output: Any, which: str) -> Any:
    """The number that `MetricName.which` says, of the table of outputs, an alias of it or its columns: see `Output.number`."""
    value = getattr(output, which)
    return func.coalesce(value, case((output.better == "", output.last))) if which == "best" else value


def _setting(term: Term, setting: SettingName) -> Condition:
    def met(value: Value) -> Condition:
        if value.text == ANYTHING and term.operator == CONTAINS:
            return SettingRow.name.is_not(None)
        number = _number(value.text)
        if term.operator not in (CONTAINS, EQUAL):
            return _compared(SettingRow.number, term.operator, number_of(value, term.name))
        text = contains(SettingRow.text, value.text, whole=term.operator == EQUAL) if value.text else false()
        return text if number is None else or_(text, _equal(SettingRow.number, number))

    return JobRow.id.in_(select(SettingRow.job_id).where(SettingRow.name == setting.name, _any(term, met)))


# -- sorting ------------------------------------------------------------------------------------------------------------


def sorted_by(
    statement: Select[Any], name: str, descending: bool, vocabulary: Vocabulary, metric: MetricName | None, main: str
) -> tuple[Select[Any], list[Any]] | None:
    """The statement with what it needs, and the order, for a key that is no plain column: `best`, `dataset`, a metric, a setting.
    None for anything else. `main` is the metric that decides for most. What has no value comes last, whichever way it goes."""
    if name == "best":
        return _ranked(statement, descending, metric, main)
    if name == "dataset":
        data = aliased(JobRow)
        joined = statement.outerjoin(data, data.id == JobRow.dataset_id)
        return joined, [_way(alphabetic(data.name), descending)]
    if ALIASES.get(name, name) == "tag":
        return statement, [_way(alphabetic(func.nullif(TAGS, "[]")), descending)]
    found = vocabulary.find(name)
    if isinstance(found, MetricName):
        output = aliased(OutputRow)
        on = and_(output.job_id == JobRow.id, output.name == found.name, output.phase == found.phase)
        return statement.outerjoin(output, on), [_way(number_in(output, found.which), descending)]
    if isinstance(found, SettingName):
        setting = aliased(SettingRow)
        joined = statement.outerjoin(setting, and_(setting.job_id == JobRow.id, setting.name == found.name))
        return joined, [_way(setting.number, descending), _way(alphabetic(setting.text), descending)]
    return None


def _ranked(statement: Select[Any], descending: bool, metric: MetricName | None, main: str) -> tuple[Select[Any], list[Any]]:
    """Best first where it descends, whichever direction is the better one; within one metric: `metric`, else that which decides,
    one after the other, `main` first."""
    if metric is None:
        higher = JobRow.best_better == HIGHER
        by_name = [name for name, known in METRICS.items() if known.better == HIGHER]
        higher = or_(higher, and_(JobRow.best_better == "", JobRow.best_name.in_(by_name)))
        goodness = case((higher, JobRow.best_value), else_=-JobRow.best_value)
        others = case((JobRow.best_name == main, 0), (JobRow.best_name == "", 2), else_=1)
        return statement, [others, ByBytes(JobRow.best_name), _way(goodness, descending)]
    output = aliased(OutputRow)
    on = and_(output.job_id == JobRow.id, output.name == metric.name, output.phase == metric.phase)
    value = number_in(output, metric.which)
    unsaid = -value if facts(metric.name).better == LOWER else value  # the largest first where nobody says what is better
    goodness = case((output.better == HIGHER, value), (output.better == LOWER, -value), else_=unsaid)
    return statement.outerjoin(output, on), [_way(goodness, descending)]


def _way(column: Any, descending: bool) -> Any:
    return (column.desc() if descending else column.asc()).nulls_last()


def main_metric(matching: Sequence[Condition]) -> Select[str, int]:
    """The metric that decides for most of the rows, as a statement."""
    counted = func.count(literal(1))
    grouped = select(JobRow.best_name, counted).where(*matching, JobRow.best_name != "").group_by(JobRow.best_name)
    return grouped.order_by(counted.desc(), ByBytes(JobRow.best_name)).limit(1)
