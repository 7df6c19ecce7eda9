"""Lists of jobs as tables show them: a query, an order, groups and folded seeds, columns; completion of what is typed.

Pages, JSON, files and commands list through these functions.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from digits import tasks
from digits.domain.jobs import Kind, Status
from digits.domain.metrics import METRICS, facts, value_text
from digits.domain.query import ALIASES, FIELDS, PHASES, STATUS_WORDS, MetricName, Vocabulary, kind_named, quoted, sort_keys
from digits.domain.settings import NO_SETTINGS, Setting
from digits.errors import BadRequest
from digits.service import Service
from digits.service.models.form import ModelForm
from digits.service.rows import row_keys, rows
from digits.storage.jobs.rows import sorts
from digits.storage.jobs.store import Job, JobQuery, Output
from digits.utils.collection import uncollected
from digits.utils.values import shown

COLUMNS = {"submitted": "created", "username": "owner", "type": "kind", "disk": "disk_bytes"}  # row key -> column of the database
GROUPINGS = ("group", "dataset", "network", "sweep")
MOST_KEYS = 6  # by which a list is sorted
MOST_COMPLETIONS = 50
MOST_COLUMNS = 300  # that are offered at once; a search finds the others
OUTPUT_ENDS = (" last", " min", " max")
OF_OUTPUTS = tuple(f" ({phase}){end}" for phase in PHASES for end in OUTPUT_ENDS)
SETTING = "setting."  # before the name of a setting in a row
OWN_COLUMNS = {"best", "dataset", "disk", "classes", "entries"}  # of tables, beside the keys of rows
SEEDS = ("seeds", "seeds_mean", "seeds_spread")
PLAIN = ("id", "name", "status", "type", "task", "network", "dataset_name", "group", "tags", "username", "submitted", "elapsed",
         "best_name", "best_value", "best_epoch")  # fmt: skip
COMPLETED = {  # columns whose values are completed, by name in queries
    "name": "name", "network": "network", "owner": "owner", "tag": "tags", "group": "group", "framework": "framework",
    "source": "extension", "metric": "best_name",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """What a table shows. `columns` are keys of rows: outputs as `NAME (PHASE) WHICH`, settings as `setting.NAME`. `by` groups
    the lines, `fold` makes one line of runs that differ by their seed alone. `metric` is what *best* ranks by."""

    query: JobQuery
    columns: tuple[str, ...] | None = None
    by: str = ""
    fold: bool = False


def vocabulary() -> Vocabulary:
    """Names that queries know although no job has them yet."""
    titles = {name: tasks.title_of(name) for name in [task.name for task in tasks.TASKS]}
    return Vocabulary(settings=frozenset(ModelForm.model_fields) - NO_SETTINGS, task_titles=titles)


def view_of(
    *,
    kind: str = "",
    query: str = "",
    sort: Iterable[str] = (),
    metric: str = "",
    columns: Iterable[str] | None = None,
    by: str = "",
    fold: bool = False,
    offset: int = 0,
    limit: int = 0,
    statuses: Iterable[str] = (),
    **filters: Any,
) -> View:
    """The view that was asked for. BadRequest for a grouping, a kind or a status that there is not and for too many keys.
    `statuses` are letters, also several together, or words as in queries."""
    keys = sort_keys(sort) or [("created", True)]
    if len(keys) > MOST_KEYS:
        raise BadRequest(f"These are {len(keys)} keys; a list is sorted by {MOST_KEYS} at most.", advice="Leave some out.")
    if by and by not in GROUPINGS:
        raise BadRequest(f"by is {shown(by)}, expected one of {', '.join(GROUPINGS)}.", advice="Leave it out for no groups.")
    (first, descending), *then = [(COLUMNS.get(name, name), down) for name, down in keys]
    found = JobQuery(
        kind=_kind(kind),
        query=query,
        metric=metric,
        vocabulary=vocabulary(),
        sort=first,
        descending=descending,
        then=tuple(then),
        offset=offset,
        limit=limit,
        statuses=[letter for text in statuses for letter in _letters(text)],
        **filters,
    )
    return View(found, None if columns is None else tuple(columns), by, fold)


def _kind(text: str) -> str:
    """The kind that a text names, in the singular or the plural; empty for an empty one. BadRequest where there is none."""
    found = kind_named(text)
    if text and found is None:
        raise BadRequest(f"kind is {shown(text)}, expected one of {', '.join(Kind)}.", advice="Leave it out for all.")
    return str(found or "")


def _letters(text: str) -> list[str]:
    """The letters of statuses: `WR`, `W,R`, `waiting`."""
    letters = [str(status) for status in Status]
    if all(letter in letters or letter in ", " for letter in text):
        return [letter for letter in text if letter in letters]
    found: list[str] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        known = STATUS_WORDS.get(word.lower(), [status for status in Status if str(status) == word.upper()])
        if not known:
            expected = f"letters ({', '.join(letters)}) or one of {', '.join(STATUS_WORDS)}"
            raise BadRequest(f"status is {shown(word)}, expected {expected}.", advice="Leave it out for all.")
        found += map(str, known)
    return found


@uncollected()
def page(service: Service, view: View) -> dict[str, Any]:
    """`rows` and `total` of one page (lines, where seeds are folded), the `metric` by which they are ranked, and of a grouped
    list `groups`: `key`, `title`, `count` of those on the page. A folded line has `seeds`: `ids`, and of the metric `values`,
    `mean` and `spread` (standard deviation)."""
    metric = view.query.metric
    if not metric and (view.fold or any(key == "best" for key, _ in sorts(view.query))):
        metric = service.store.main_metric(view.query)
        view = replace(view, query=replace(view.query, main=metric))
    unknown = {"unknown_columns": left_out} if (left_out := unknown_columns(view.columns or ())) else {}
    if not view.by and not view.fold:
        found = service.store.query(view.query)
        return {"rows": _rows(service, found.jobs, view), "total": found.total, "metric": metric, **unknown}
    places = _arranged(service, view)
    every = [ids for members in places.values() for ids in members]
    total, count = len(every), sum(map(len, every)) if view.fold else len(every)
    end = view.query.offset + view.query.limit if view.query.limit else None
    found_jobs = service.store.find_many([ids[0] for ids in every[view.query.offset : end]])
    on_page = [ids for ids in every[view.query.offset : end] if ids[0] in found_jobs]
    made = _rows(service, [found_jobs[ids[0]] for ids in on_page], view)
    group_of = _groups_of(places, {ids[0] for ids in on_page})
    for row in made:
        row["group_key"] = group_of[row["id"]]
    if view.fold:
        _add_seeds(service, view, made, on_page, metric)
    answer = {"rows": made, "total": total, "jobs": count, "metric": metric, "groups": [], **unknown}
    if view.by:
        titles = {row["group_key"]: _group_title(view.by, row) for row in reversed(made)}
        keys = dict.fromkeys(row["group_key"] for row in made)
        answer["groups"] = [{"key": key, "title": titles[key], "count": sum(map(len, places[key]))} for key in keys]
    return answer


def _arranged(service: Service, view: View) -> dict[str, list[list[str]]]:
    """All lines by group (one, where nothing is grouped), each the ids of its runs. A group stands where its first line would.
    Ten thousand rows go through here: no object is made for each."""
    places: dict[str, list[list[str]]] = {}
    folds: dict[tuple[str, str], list[str]] = {}
    for job_id, group, fold in service.store.arranged(view.query, view.by):
        if view.fold and fold:
            if known := folds.get((group, fold)):
                known.append(job_id)
                continue
            folds[group, fold] = line = [job_id]
        else:
            line = [job_id]
        if (lines := places.get(group)) is None:
            lines = places[group] = []
        lines.append(line)
    return places


def _groups_of(places: Mapping[str, list[list[str]]], wanted: Collection[str]) -> dict[str, str]:
    """The group of each of some lines, by the id of their first run."""
    return {ids[0]: group for group, lines in places.items() for ids in lines if ids[0] in wanted}


def _group_title(by: str, row: Mapping[str, Any]) -> str:
    match by:
        case "dataset":
            return str(row["dataset_name"] or row["dataset_id"])
        case "sweep":
            return str(row["name"]).split(" learning_rate:")[0].split(" batch_size:")[0] if row["sweep"] else ""
    return str(row[by])


def _add_seeds(service: Service, view: View, made: list[dict[str, Any]], lines: Sequence[list[str]], metric: str) -> None:
    """What the runs of a folded line say together."""
    of = _metric_of(service, view) or MetricName(metric)
    several = [job_id for ids in lines if len(ids) > 1 for job_id in ids]
    ended = service.store.done(several)
    known = service.store.metric_values(sorted(ended), of)  # what runs have that go on, or ended too early, is none of the line
    for row, ids in zip(made, lines, strict=True):
        if len(ids) == 1:
            continue
        values = [known[job_id][0] for job_id in ids if job_id in known]
        said: dict[str, Any] = {"ids": ids, "values": values, "mean": None, "spread": None, "text": ""}
        unit = next((known[job_id][1] for job_id in ids if job_id in known), "")
        if values:
            said["mean"] = math.fsum(values) / len(values)
            said["text"] = value_text(of.name, said["mean"], unit)
        if len(values) > 1:
            spread = math.sqrt(sum((value - said["mean"]) ** 2 for value in values) / (len(values) - 1))
            said["spread"] = 0.0 if spread <= 1e-12 * abs(said["mean"]) else spread  # what rounding leaves is none
            said["text"] += f" ± {value_text(of.name, said['spread'], unit)}"
        row["seeds"] = said


def _rows(service: Service, jobs: Sequence[Job], view: View) -> list[dict[str, Any]]:
    metric = _metric_of(service, view)
    names = None
    if view.columns is not None:
        outputs = [column.rpartition(" (")[0] for column in view.columns if column.endswith(OUTPUT_ENDS)]
        names = list(filter(None, outputs))
    made = rows(service, jobs, names=names)
    if metric is not None:
        found = service.store.outputs([job.id for job in jobs], names=[metric.name])
        for row in made:
            row["rank"] = _rank(found.get(row["id"], ()), metric, view.query.metric)
    wanted = [column.removeprefix(SETTING) for column in view.columns or () if column.startswith(SETTING)]
    if wanted:
        settings = service.store.settings([job.id for job in jobs], wanted)
        for row in made:
            row |= {SETTING + name: settings[row["id"]].get(name) for name in wanted}
    return made


def _metric_of(service: Service, view: View) -> MetricName | None:
    return service.store.vocabulary().metric(view.query.metric) if view.query.metric else None


def _rank(outputs: Iterable[Output], metric: MetricName, said: str) -> dict[str, Any]:
    """What *best* of a row is under the chosen metric."""
    title = facts(metric.name).short or facts(metric.name).title
    rank: dict[str, Any] = {"name": said, "title": title, "value": None, "epoch": None, "better": "", "unit": "", "text": ""}
    for output in outputs:
        if output.phase == metric.phase:
            value, epoch = output.number(metric.which)
            text = "" if value is None else value_text(output.name, value, output.unit)
            rank |= {"value": value, "epoch": epoch, "better": output.better, "unit": output.unit, "text": text}
    return rank


# -- files --------------------------------------------------------------------------------------------------------------


def table(service: Service, view: View) -> tuple[list[str], list[list[Any]]]:
    """All lines of a view as columns and values, for files: what the view shows, with the id and name first. Of folded seeds how
    many there are, and the mean and spread of their metric. BadRequest for a column that there cannot be."""
    if unknown := unknown_columns(view.columns or ()):
        raise BadRequest(
            f"There is no column {shown(unknown[0])}.",
            advice="Columns are those of /jobs.json, outputs as `NAME (val) last`, settings as `setting.NAME`.",
        )
    chosen = [column for column in view.columns or PLAIN if column not in ("sparkline",)]
    names = list(dict.fromkeys(["id", "name", *(_FILE_COLUMNS.get(column, column) for column in chosen)]))
    if "best" in chosen:
        at = names.index("best")
        names[at : at + 1] = [name for name in ("best_name", "best_value") if name not in names]
    names += SEEDS if view.fold else ()
    made = page(service, replace(view, query=replace(view.query, offset=0, limit=0)))["rows"]
    return names, [[_cell(row, name) for name in names] for row in made]


_FILE_COLUMNS = {"dataset": "dataset_name", "disk": "disk_bytes"}


def _cell(row: Mapping[str, Any], name: str) -> Any:
    if name in SEEDS:
        return _seeds_cell(row, name)
    rank = row.get("rank")
    if name in ("best_name", "best_value") and rank:
        return rank["name" if name == "best_name" else "value"]
    value = row.get(name, row["summary"].get(name) if isinstance(row.get("summary"), dict) else None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _seeds_cell(row: Mapping[str, Any], name: str) -> Any:
    """Of a line that is one run alone: one seed, whose value is the mean, without a spread."""
    seeds = row.get("seeds") or {"ids": [row["id"]], "mean": _cell(row, "best_value"), "spread": None}
    return len(seeds["ids"]) if name == "seeds" else seeds[name.removeprefix("seeds_")]


def unknown_columns(columns: Iterable[str]) -> list[str]:
    """Keys that are no column of any job: neither of those that rows have, nor an output, nor a setting, there or not."""
    known = row_keys() | OWN_COLUMNS
    return [key for key in columns if not (key in known or key.startswith(SETTING) or key.endswith(OF_OUTPUTS))]


def csv_text(names: Sequence[str], lines: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a CSV file. A text that a spreadsheet would compute gets an apostrophe before it."""
    for line in (names, *lines):
        buffer = io.StringIO()
        csv.writer(buffer).writerow([_harmless(value) for value in line])
        yield buffer.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def parquet(names: Sequence[str], lines: Sequence[Sequence[Any]]) -> bytes:
    """A Parquet file: a column is of numbers where all its values are, else of texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = list(zip(*lines, strict=True)) if lines else [() for _ in names]
    arrays = [_array(pa, column) for column in columns]
    buffer = io.BytesIO()
    pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), buffer)
    return buffer.getvalue()


def _array(pa: Any, values: Sequence[Any]) -> Any:
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        whole = all(isinstance(value, int) for value in there)
        return pa.array(values, pa.int64() if whole and max(map(abs, there)) < 2**63 else pa.float64())
    return pa.array([None if value is None else str(value) for value in values], pa.string())


# -- columns ------------------------------------------------------------------------------------------------------------


def columns(service: Service, kind: str, search: str = "") -> dict[str, Any]:
    """The columns that a table of a kind may show beside its own, by family: `families` of `title` and `columns` (`key`, `title`,
    `sort`), and how many were `left_out`. `metrics` are those that may rank. BadRequest for a kind that there is not."""
    kind = _kind(kind)
    words = search.lower().split()
    families: dict[str, list[dict[str, str]]] = {}
    names = service.store.output_names() if kind == Kind.MODEL else []
    for name, phase in names:
        title = facts(name).title
        for which in ("last", "min", "max"):
            key = f"{name} ({phase}) {which}"
            if all(word in f"{key} {title}".lower() for word in words):
                families.setdefault(_family(name), []).append(
                    {"key": key, "title": key, "sort": f"output:{name}:{phase}:{which}"}
                )
    settings = sorted(service.store.vocabulary().settings) if kind != Kind.EVALUATION else []
    found = [
        {"key": SETTING + name, "title": name, "sort": SETTING + name}
        for name in settings
        if all(word in f"{name} setting".lower() for word in words)
    ]
    families |= {"Settings": found} if found else {}
    left = MOST_COLUMNS
    made = []
    for title, members in families.items():
        made.append({"title": title, "columns": members[:left]})
        left -= len(made[-1]["columns"])
    total = sum(map(len, families.values()))
    ranking = list(dict.fromkeys(name for name, phase in names if phase == "val"))[:MOST_COLUMNS]
    return {
        "families": [family for family in made if family["columns"]],
        "left_out": total - (MOST_COLUMNS - left),
        "metrics": [{"name": name, "title": facts(name).title} for name in ranking],
    }


def _family(name: str) -> str:
    base, _, of_class = name.partition("/")
    known = facts(base)
    if of_class:
        return f"{known.column or known.title} of each class"
    return known.chart or "Other metrics"


# -- completion ---------------------------------------------------------------------------------------------------------


def completions(service: Service, kind: str, text: str, position: int) -> dict[str, Any]:
    """What may stand at `position` of a query: `from` and `to` of what is replaced, and `items` with `text` and `about`.
    BadRequest for a kind that there is not."""
    kind = _kind(kind)
    position = max(0, min(position, len(text)))
    start = _start_of_term(text, position)
    term = text[start:position].removeprefix("-")
    start = position - len(term)
    cut = next((at for at, letter in enumerate(term) if letter in ":<>="), None)
    if cut is None:
        return {"from": start, "to": position, "items": _names(service, term.strip('"'))}
    name, operator = term[:cut].strip('"'), term[cut:].lstrip(":<>=")
    begun = operator.rpartition(",")[2]
    items = _values(service, kind, name, begun.strip('"'))
    return {"from": position - len(begun), "to": position, "items": items[:MOST_COMPLETIONS]}


def _start_of_term(text: str, position: int) -> int:
    start, inside = 0, False
    for at, letter in enumerate(text[:position]):
        if letter == '"':
            inside = not inside
        elif letter.isspace() and not inside:
            start = at + 1
    return start


def _names(service: Service, begun: str) -> list[dict[str, str]]:
    known = service.store.vocabulary()
    wanted = begun.lower()
    items = [{"text": f"{name}:", "about": said.about} for name, said in FIELDS.items() if said.kind in ("text", "exact")]
    items += [{"text": name, "about": said.about} for name, said in FIELDS.items() if said.kind not in ("text", "exact")]
    names = sorted(known.metrics or METRICS.keys())
    items += [{"text": quoted(name), "about": f"metric: {facts(name).title}"} for name in names]
    known = replace(known, settings=known.settings | vocabulary().settings)
    prefix = begun[: begun.rfind(".") + 1]
    items += [{"text": quoted(prefix + name), "about": f"{prefix}{name}"} for name in known.names_behind(prefix)]
    others = {item["text"].lower().rstrip(":") for item in items} | set(ALIASES)
    clash = [f"{SETTING}{name}" if name.lower() in others else name for name in sorted(known.settings)]
    items += [{"text": quoted(name), "about": "setting"} for name in clash]
    begins = [item for item in items if item["text"].lower().lstrip('"').startswith(wanted)]
    within = [item for item in items if wanted and item not in begins and wanted in item["text"].lower()]
    return [*begins, *within][:MOST_COMPLETIONS]


def _values(service: Service, kind: str, name: str, begun: str) -> list[dict[str, str]]:
    wanted = begun.lower()
    column = ALIASES.get(name.lower(), name.lower())
    found: Iterable[Setting]
    match column:
        case "status":
            found = STATUS_WORDS
        case "task":
            found = [task.name for task in tasks.TASKS]
        case "kind":
            found = [str(kind) for kind in Kind]
        case "dataset":
            found = service.store.values_of("name", Kind.DATASET)
        case _ if column in COMPLETED:
            found = service.store.values_of(COMPLETED[column], kind)
        case _ if column in FIELDS:
            found = []
        case _:
            found = service.store.setting_values(name)
    texts = [quoted(value if isinstance(value, str) else f"{value:g}") for value in found]
    begins = [text for text in texts if text.lower().lstrip('"').startswith(wanted)]
    within = [text for text in texts if wanted and text not in begins and wanted in text.lower()]
    return [{"text": text, "about": ""} for text in [*begins, *within]]
