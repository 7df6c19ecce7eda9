"""The query language of lists: `task:detection map50>0.8 -network:lenet "exact words"`, from its text to terms.

The only place that reads it: pages, JSON, commands and clients send the text. A term is `name:value` (part of a text),
`name=value`, `name<value` (also `<=`, `>`, `>=`), or a word that is looked for everywhere; `-` before it leaves out what it
matches; several terms must all match. Values may be lists (`status:done,failed`: any of them); quotes hold blanks.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from digits.domain.jobs import RUNNING, Kind, Status
from digits.domain.metrics import METRICS
from digits.errors import BadRequest

CONTAINS, EQUAL = ":", "="
COMPARED = ("<=", ">=", "<", ">")
ANYTHING = "*"  # `name:*`: has any
LONGEST_QUERY, MOST_TERMS, MOST_VALUES = 10_000, 100, 100  # values: of all terms together
PHASES = ("train", "val")
WHICH = ("best", "last", "min", "max")
SETTING = "setting"  # `setting.NAME`: a setting whose name is that of something else too


class QueryError(BadRequest):
    """A query that cannot be read. `position` is where, in characters from 0, `length` how much of it (0: something lacks)."""

    def __init__(self, message: str, position: int, length: int = 0, *, advice: str = "") -> None:
        super().__init__(message, advice=advice)
        self.position = position
        self.length = length


@dataclass(frozen=True)
class Value:
    """One value of a term as it was written, without its quotes."""

    text: str
    position: int
    quoted: bool = False


@dataclass(frozen=True)
class Term:
    """`name` is empty for a word that is looked for everywhere; `position` is that of the name, `end` behind the last one."""

    values: tuple[Value, ...]
    name: str = ""
    operator: str = ""
    negated: bool = False
    position: int = 0
    end: int = 0


@dataclass(frozen=True)
class FieldFacts:
    """A column that a query may name. `kind`: `text` (parts match), `exact`, `number`, `time`."""

    kind: str
    about: str
    units: Mapping[str, float] = field(default_factory=dict)


_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
FIELDS: dict[str, FieldFacts] = {
    "name": FieldFacts("text", "part of the name"),
    "dataset": FieldFacts("text", "part of the data set's name or id"),
    "network": FieldFacts("text", "part of the network's name"),
    "task": FieldFacts("text", "what is learned, e.g. detection"),
    "owner": FieldFacts("text", "part of the owner's name"),
    "tag": FieldFacts("exact", "a whole tag"),
    "group": FieldFacts("text", "part of the group's name"),
    "notes": FieldFacts("text", "words of the notes"),
    "id": FieldFacts("text", "part of the id"),
    "status": FieldFacts("exact", "waiting, running, done, aborted, failed"),
    "kind": FieldFacts("exact", "dataset, model, evaluation, export, pretrained_model"),
    "metric": FieldFacts("text", "the metric that decides which snapshot is best"),
    "framework": FieldFacts("text", "pytorch or tensorflow"),
    "source": FieldFacts("text", "the data plugin"),
    "error": FieldFacts("text", "words of the error"),
    "created": FieldFacts("time", "a date, e.g. 2026-11-30"),
    "finished": FieldFacts("time", "a date, e.g. 2026-11-30"),
    "duration": FieldFacts("number", "seconds of work, also 5m or 2h", _SECONDS),
    "disk": FieldFacts("number", "bytes on disk, also 2GB", _BYTES),
    "progress": FieldFacts("number", "per cent", {"%": 1.0}),
}
ALIASES = {
    "user": "owner",
    "username": "owner",
    "tags": "tag",
    "data": "dataset",
    "type": "kind",
    "extension": "source",
    "submitted": "created",
    "note": "notes",
    "elapsed": "duration",
}
_ENDED = {"finished": [Status.DONE, Status.ABORT, Status.ERROR]}
STATUS_WORDS: dict[str, list[Status]] = {
    **{status.word.lower(): [status] for status in Status},
    "waiting": [Status.INIT, Status.WAIT],
    "queued": [Status.INIT, Status.WAIT],
    "failed": [Status.ERROR],
    "active": sorted(RUNNING),
    **_ENDED,
}


@dataclass(frozen=True)
class MetricName:
    """One number of an output: `which` is best (the last one, of an output whose better direction nobody said), last, min or
    max, of the phase `train` or `val`."""

    name: str
    phase: str = "val"
    which: str = "best"


@dataclass(frozen=True)
class Vocabulary:
    """The names that queries may use beside those of columns: `metrics` that some job has, `settings` of forms; and what tasks
    are called on pages."""

    metrics: frozenset[str] = frozenset()
    settings: frozenset[str] = frozenset()
    task_titles: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> str | MetricName | SettingName | None:
        """What a name means: a column (its text), a number of an output, a setting; None for an unknown one."""
        column = ALIASES.get(name.lower(), name.lower())
        if column in FIELDS:
            return column
        found = self.metric(name)
        if found is not None:
            return found
        head, dot, rest = name.partition(".")
        setting = _same(rest if dot and head.lower() == SETTING else name, self.settings)
        return SettingName(setting) if setting else None

    def metric(self, name: str) -> MetricName | None:
        """The number of an output that a name means where only one can be meant; None for anything else."""
        known = self.metrics | METRICS.keys()
        if found := _same(name, known):
            return MetricName(found)
        for phase, which, rest in _behind_prefixes(name):
            if found := _same(rest, known):
                return MetricName(found, phase or "val", which or "best")
        return None

    def names(self) -> list[str]:
        """Every name, to propose one of them: settings whose name is that of something else with their prefix."""
        metrics = sorted(self.metrics | METRICS.keys())
        taken = {name.lower() for name in (*FIELDS, *ALIASES, *metrics)}
        settings = sorted(self.settings)
        return [*FIELDS, *metrics, *(f"{SETTING}.{name}" if name.lower() in taken else name for name in settings)]

    def names_behind(self, prefix: str) -> list[str]:
        """The names that may stand behind a prefix with its dot: `setting.`, `last.`, `train.min.`; none behind any other."""
        if prefix.lower() == f"{SETTING}.":
            return sorted(self.settings)
        parts = _behind_prefixes(prefix)
        return sorted(self.metrics | METRICS.keys()) if parts and not parts[-1][2] else []

    def proposal(self, name: str, *, of_metrics: bool = False) -> str:
        """A sentence that names what was perhaps meant, `of_metrics`: which metric."""
        prefix = next((name[:at] for at in _dots(name) if self.names_behind(name[:at])), "")
        if of_metrics and prefix.lower() == f"{SETTING}.":
            prefix = ""
        known = self.names_behind(prefix) if prefix else sorted(self.metrics | METRICS.keys()) if of_metrics else self.names()
        if near := _close(name[len(prefix) :], known) or _close(name.rpartition(".")[2], known):
            return f"Did you mean {' or '.join(quoted(prefix + one) for one in near)}?"
        if of_metrics:
            return "Metrics are outputs of models: loss, accuracy, last.map50, train.loss …"
        return "Names are those of columns (name, dataset, network, task, status, tag …), metrics and settings."


@dataclass(frozen=True)
class SettingName:
    """A setting of the form, under the form's own name."""

    name: str


def _same(name: str, known: Collection[str]) -> str:
    """The known name that this one is, whichever letters are large; empty where there is none, or none that is the only one."""
    if name in known:
        return name
    alike = [one for one in known if one.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else ""


def _behind_prefixes(name: str) -> list[tuple[str, str, str]]:
    """A name of an output as a phase, which number and the rest, with one prefix more each time: `last.train.loss` and
    `train.last.loss` alike; none where it begins with no prefix."""
    found: list[tuple[str, str, str]] = []
    phase, which, rest = "", "", name
    while True:
        head, dot, tail = rest.partition(".")
        if dot and not which and head.lower() in WHICH:
            which, rest = head.lower(), tail
        elif dot and not phase and head.lower() in PHASES:
            phase, rest = head.lower(), tail
        else:
            return found
        found.append((phase, which, rest))


def _dots(name: str) -> list[int]:
    """Where a name goes on behind its dots, the last one first."""
    return [at + 1 for at in range(len(name) - 1, -1, -1) if name[at] == "."]


def _close(name: str, known: Collection[str]) -> list[str]:
    """The known names that are most like this one, whichever letters are large."""
    by_letters = {one.lower(): one for one in list(known)[:20_000]}
    return [by_letters[one] for one in difflib.get_close_matches(name.lower(), by_letters, 3, 0.6)]


_NAME_ENDS = re.compile(r'[\s:<>="]')
_WORD_ENDS = re.compile(r'[\s"]')
_OPERATOR = re.compile(r"<=|>=|<|>|=|:")
_SPACED_OPERATOR = re.compile(r"\s+(<=|>=|<|>|=)")


def parse(text: str) -> tuple[Term, ...]:
    """The terms of a query, all of which must match. Raises QueryError."""
    if len(text) > LONGEST_QUERY:
        raise QueryError(f"The query has {len(text):,} characters; at most {LONGEST_QUERY:,} are read.", LONGEST_QUERY)
    if "\0" in text:
        raise QueryError("The query has a zero byte.", text.index("\0"), 1, advice="Leave it out.")
    terms: list[Term] = []
    values = 0
    at = _skip_blanks(text, 0)
    while at < len(text):
        term = _read_term(text, at)
        terms.append(term)
        if len(terms) > MOST_TERMS:
            raise QueryError(f"The query has more than {MOST_TERMS} terms.", at, advice="Leave some out.")
        values += len(term.values)
        if values > MOST_VALUES:
            at = term.values[len(term.values) - (values - MOST_VALUES)].position
            raise QueryError(f"The query has more than {MOST_VALUES} values.", at, advice="Leave some out.")
        at = _skip_blanks(text, term.end)
    return tuple(terms)


def _read_term(text: str, start: int) -> Term:
    negated = text[start] == "-" and start + 1 < len(text) and not text[start + 1].isspace()
    position = start + negated
    if text[position] == '"':
        name, at = _read_quoted(text, position)
        if not (found := _OPERATOR.match(text, at)):
            if not name.strip():
                raise QueryError("There is nothing between these quotes.", position, at - position)
            return Term((Value(name, position, True),), "", "", negated, position, at)
    else:
        at = _until(_NAME_ENDS, text, position)
        name = text[position:at]
        found = _OPERATOR.match(text, at) or _SPACED_OPERATOR.match(text, at)
        if not found:
            return Term((Value(name, position),), "", "", negated, position, at)
    if not name:
        raise QueryError(f"There is no name before {found.group().strip()}.", at, found.end() - at, advice="Write e.g. loss<0.1.")
    operator, at = found.group().strip(), found.end()
    values, end = _read_values(text, at, operator, name)
    return Term(values, name, operator, negated, position, end)


def _read_values(text: str, at: int, operator: str, name: str) -> tuple[tuple[Value, ...], int]:
    behind = at
    if operator != CONTAINS:
        at = _skip_blanks(text, at)
    if at >= len(text) or text[at].isspace():
        advice = f'Write one behind {operator}, or "{name}" in quotes for the word.'
        raise QueryError(f"{name}{operator} has no value.", behind, advice=advice)
    values: list[Value] = []
    while True:
        start = at
        if text[at : at + 1] == '"':
            value, at = _read_quoted(text, at)
            values.append(Value(value, start, True))
        else:
            at = _until(_VALUE_ENDS if operator in (CONTAINS, EQUAL) else _WORD_ENDS, text, at)
            if at > start:
                values.append(Value(text[start:at], start))
        if operator in (CONTAINS, EQUAL) and text[at : at + 1] == ",":
            at += 1
            continue
        break
    if not values:
        raise QueryError(f"{name}{operator} has no value.", behind, advice="Write one between the commas.")
    return tuple(values), at


_VALUE_ENDS = re.compile(r'[\s",]')


def _read_quoted(text: str, start: int) -> tuple[str, int]:
    """The text between quotes that begin at `start` (`\\"` is a quote in it), and where it goes on behind them."""
    found, at = [], start + 1
    while at < len(text):
        if text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
            found.append(text[at + 1])
            at += 2
        elif text[at] == '"':
            return "".join(found), at + 1
        else:
            found.append(text[at])
            at += 1
    raise QueryError("This quote is not closed.", start, len(text) - start, advice='Write a second " where the words end.')


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _until(ends: re.Pattern[str], text: str, at: int) -> int:
    found = ends.search(text, at)
    return found.start() if found else len(text)


# -- what values mean ---------------------------------------------------------------------------------------------------


_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([%A-Za-z]*)")


def number_of(value: Value, name: str, units: Mapping[str, float] | None = None) -> float:
    """A number, with one of `units`, or `%` where there are none. Raises QueryError for anything else, infinity and NaN too."""
    found = _NUMBER.fullmatch(value.text.strip())
    scale = {**(units or {"%": 0.01}), "": 1.0}.get(found.group(2).lower()) if found else None
    number = float(found.group(1)) * scale if found and scale is not None else math.nan
    if not math.isfinite(number):
        known = f" with {', '.join(units)} behind it" if units else ""
        said = shortened(value.text)
        raise QueryError(f"{said} is no number.", value.position, len(value.text), advice=f"{name} is compared with one{known}.")
    return number


def statuses_of(value: Value) -> list[str]:
    """The letters of a word for a status. Raises QueryError with the words there are."""
    word = value.text.strip()
    if word.upper() in (str(status) for status in Status):
        return [word.upper()]
    found = STATUS_WORDS.get(word.lower())
    if found is None:
        near = difflib.get_close_matches(word.lower(), STATUS_WORDS, 1, 0.5)
        meant = f"Did you mean {near[0]}?" if near else f"Words are {', '.join(STATUS_WORDS)}."
        raise QueryError(f"{shortened(word)} is no status.", value.position, len(value.text), advice=meant)
    return [str(status) for status in found]


def kind_of(value: Value) -> str:
    """One of the kinds of jobs, also in the plural. Raises QueryError."""
    found = kind_named(value.text)
    if found is None:
        advice = f"Kinds are {', '.join(Kind)}."
        raise QueryError(f"{shortened(value.text)} is no kind of job.", value.position, len(value.text), advice=advice)
    return str(found)


def kind_named(text: str) -> Kind | None:
    """The kind of jobs that a word names, in the singular or the plural."""
    word = text.strip().lower()
    return next((kind for kind in Kind if word in (str(kind), f"{kind}s")), None)


def times_of(value: Value, now: float) -> tuple[float, float]:
    """Seconds since the epoch where a day, an hour or a minute begins and where it ends, local time. Raises QueryError."""
    text = value.text.strip().lower()
    today = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        start = days.get(text) or datetime.fromisoformat(text.upper())
        length = timedelta(days=1) if text in days or len(text) <= len("2026-01-01") else timedelta(minutes=1)
        return start.timestamp(), (start + length).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        advice = "Write 2026-11-30, 2026-11-30T15:00, today or yesterday."
        raise QueryError(f"{shortened(value.text)} is no date.", value.position, len(value.text), advice=advice) from error


def shortened(text: str) -> str:
    """A text of the user in a message."""
    return repr(text if len(text) <= 60 else f"{text[:57]}…")


def quoted(text: str) -> str:
    """A value as it is written in a query."""
    if text and not re.search(r'[\s":<>=,]', text) and not text.startswith("-"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unknown(term: Term, vocabulary: Vocabulary) -> QueryError:
    """The error for a name that nothing has."""
    return QueryError(
        f"Nothing is called {shortened(term.name)}.", term.position, len(term.name), advice=vocabulary.proposal(term.name)
    )


def sort_keys(texts: Iterable[str]) -> list[tuple[str, bool]]:
    """`-best,name` as keys and whether each descends; names with commas stand in quotes. Raises BadRequest for an open quote."""
    keys: list[tuple[str, bool]] = []
    for text in texts:
        if text.removeprefix("-").startswith("output:"):  # the older form: a name in it may have commas
            keys.append((text.removeprefix("-"), text.startswith("-")))
            continue
        at = 0
        while at < len(text):
            start = at
            descends = text[at] == "-"
            at += descends
            if text[at : at + 1] == '"':
                name, at = _read_quoted(text, at)
            else:
                end = text.find(",", at)
                name, at = text[at : end if end >= 0 else len(text)].strip(), end if end >= 0 else len(text)
            at = max(at, start) + (text[at : at + 1] == ",")
            if name:
                keys.append((name, descends))
            if at == start:
                at += 1
    return keys
