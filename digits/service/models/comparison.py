"""Several runs side by side: the settings that differ, metrics, curves, and a verdict that chance cannot make."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from statistics import StatisticsError, correlation
from typing import TYPE_CHECKING, Any

from digits import tasks
from digits.domain.datasets import VAL_DB, DatasetInfo
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Status
from digits.domain.metrics import DECIDING, PERCENT, facts, is_lower_better
from digits.domain.settings import taken_for_blank
from digits.errors import BadRequest, DigitsError, NotFound, StorageError
from digits.service import Service
from digits.service.evaluations.create import model_evaluations
from digits.service.jobs import stored_form
from digits.service.models.create import info_of
from digits.service.models.history import current_of
from digits.service.models.run_curves import RunCurves, points_for, read_curves
from digits.storage.jobs.store import Job
from digits.utils.values import finite, shown

if TYPE_CHECKING:
    from digits.metrics.verdict import Line, Pair, Run

FEWEST, MOST = 2, 50
FEWEST_FOR_IMPORTANCE = 4  # runs
SEED = "random_seed"
NAMES = {"model_name", "group_name", SEED}  # fields that make no other line of a run
MOST_FLIPPED = 24  # pictures shown of each sort
TRAINING, EVALUATION = "training", "evaluation"


@dataclass(frozen=True)
class Compared:
    """One run: its row, its form with the seed that it had, its data set, its log, and where the answers to each validation
    picture lie (`pictures`, of the `source` training or evaluation; None where there are none)."""

    job: Job
    form: Mapping[str, Any]
    info: DatasetInfo | None
    curves: RunCurves
    pictures: Path | None
    source: str
    spec: Mapping[str, Any]


def find_runs(service: Service, ids: Sequence[str]) -> list[Job]:
    """The models of these ids, each once, in their order. BadRequest for fewer than two or more than fifty, NotFound names the
    one that is no model or gone."""
    wanted = list(dict.fromkeys(one.strip() for one in ids if one.strip()))
    if not FEWEST <= len(wanted) <= MOST:
        raise BadRequest(
            f"{len(wanted)} runs were named, expected {FEWEST} to {MOST}.", advice="Send the ids of models with commas: ids=A,B."
        )
    return [_find_run(service, job_id) for job_id in wanted]


def _find_run(service: Service, job_id: str) -> Job:
    job = service.store.find(job_id, with_deleted=True)
    if job is None or job.kind != Kind.MODEL:
        raise NotFound("Job not found", advice=f"There is no model {shown(job_id)}.")
    if job.deleted is not None:
        raise NotFound("Job not found", advice=f"{job.name} ({job_id}) was deleted.")
    return job


def comparison(service: Service, jobs: Sequence[Job]) -> dict[str, Any]:
    """`runs`, `lines`, `settings` (name → value by id, those that differ), `metrics`, `verdict`, `curves` by id and `flips`."""
    runs = [_compared(service, job, points_for(len(jobs))) for job in jobs]
    lines = lines_of(runs)
    numbers = {run.job.id: n for n, line in enumerate(lines) for run in line}
    names = line_names(lines)
    settings, metrics = settings_that_differ(runs), _metrics(runs)
    standing = [best_of_line(line, metrics.get(_wished(runs), {})) for line in lines]
    decided, flips = judged(runs, lines, names, standing)
    measured = metrics.get(decided["metric"] or jobs[0].best_name, {})
    same_data = _is_one_data(runs)
    return {
        "runs": [_described(service, run, numbers[run.job.id]) for run in runs],
        "lines": [
            {"name": name, "ids": [run.job.id for run in line], "best": best.job.id}
            for name, line, best in zip(names, lines, standing, strict=True)
        ],
        "settings": settings,
        "metrics": metrics,
        "importance": importance(settings, measured.get("values", {})) if same_data else {},
        "verdict": decided,
        "curves": {run.job.id: run.curves.as_json() for run in runs},
        "flips": flips,
        "same_data": same_data,
        "notes": _notes(runs),
        "class_labels": list(runs[0].info.class_labels) if runs[0].info else [],
    }


def _compared(service: Service, job: Job, points: int) -> Compared:
    folder = service.folder(job.id)
    spec: dict[str, Any] = {}
    form: dict[str, Any] = {}
    with contextlib.suppress(StorageError):  # of a damaged folder the row is compared still
        spec = dict(folder.request().spec)
        form = {name: _plain(value) for name, value in stored_form(service, job).items()}
        form |= {name: _plain(value) for name, value in taken_for_blank(spec).items() if form.get(name) in (None, "")}
        form[SEED] = spec.get("seed")
    curves = read_curves(folder, points)
    path, source = _pictures_of(service, job, curves)
    return Compared(job, form, info_of(service, job.dataset_id), curves, path, source, spec)


def _pictures_of(service: Service, job: Job, curves: RunCurves) -> tuple[Path | None, str]:
    """The file of the best snapshot (the last where none is the best): the training's own, else that of an evaluation."""
    from digits.storage.validation_pictures import FILE, step_file

    kept = current_of(curves.snapshots)
    best = next((event for event in kept if event.best), kept[-1] if kept else None)
    if best is None:
        return None, ""
    own = step_file(service.folder(job.id).path, best.step)
    if own.is_file():
        return own, TRAINING
    for child in model_evaluations(service, job, limit=MOST):
        if child.status != Status.DONE:
            continue
        folder = service.folder(child.id)
        with contextlib.suppress(StorageError, TypeError):
            spec = EvaluationSpec.from_json(folder.spec())
            same = spec.measures(best.path, best.epoch) and spec.split == VAL_DB and spec.dataset_id == job.dataset_id
            same = same and not spec.limit and spec.answering.is_plain
            if same and (folder.path / FILE).is_file():
                return folder.path / FILE, EVALUATION
    return None, ""


def lines_of(runs: Sequence[Compared]) -> list[list[Compared]]:
    """Runs that differ by their seed alone, together; in the order of the first of each. One that ended before its last epoch is
    no seed of those that did not."""
    found: dict[str, list[Compared]] = {}
    for run in runs:
        form = {name: value for name, value in run.form.items() if name not in NAMES}
        fields = sorted(form.items(), key=lambda item: item[0])
        same = repr((fields, _data_of(run), run.job.framework, _cut_short(run))) if form else run.job.id
        found.setdefault(same, []).append(run)
    return list(found.values())


def _cut_short(run: Compared) -> float | None:
    """The epoch at which a run that does not go on ended before its last one; None of one that is whole or goes on."""
    fraction = run.curves.fraction
    if run.job.status.is_running or (run.job.status == Status.DONE and (fraction is None or fraction >= 1)):
        return None
    return max((event.epoch for event in (*run.curves.train, *run.curves.val)), default=0.0)


def _data_of(run: Compared) -> str:
    """What identifies the data: the hash of the records, where it is known."""
    return (run.info.content_hash if run.info else "") or run.job.dataset_id


def best_of_line(line: Sequence[Compared], measured: Mapping[str, Any]) -> Compared:
    """The run that stands for those that differ from it by their seed alone: the one with the best value of a metric (a row of
    `metrics`), the first where that has no direction."""
    values = {run.job.id: value for run in line if (value := measured.get("values", {}).get(run.job.id)) is not None}
    pick = {"higher": max, "lower": min}.get(measured.get("better", ""))
    best = pick(values, key=lambda job_id: values[job_id]) if pick and values else line[0].job.id
    return next(run for run in line if run.job.id == best)


def _wished(runs: Sequence[Compared]) -> str:
    """The metric by which the runs are ranked: the one that decided for all of them, else that of their task."""
    decided = {run.job.best_name for run in runs}
    return next(iter(decided)) if len(decided) == 1 else DECIDING.get(runs[0].job.task, "")


def _is_one_data(runs: Sequence[Compared]) -> bool:
    """Whether all runs learnt from the same data, so that their metrics mean the same."""
    return len({_data_of(run) for run in runs}) == 1


def line_names(lines: Sequence[Sequence[Compared]]) -> list[str]:
    """A name for each line; where several have the same one, with the id of their first run."""
    names = [line_name(line) for line in lines]
    return [f"{name} ({line[0].job.id})" if names.count(name) > 1 else name for name, line in zip(names, lines, strict=True)]


def line_name(line: Sequence[Compared]) -> str:
    """The name of the runs of a line, less what tells them apart."""
    names = [run.job.name for run in line]
    shared = names[0]
    for name in names[1:]:
        while not name.startswith(shared):
            shared = shared[:-1]
    shared = shared.removesuffix(" seed:").rstrip(" :,-_#") if len(set(names)) > 1 else shared
    return shared or names[0]


def settings_that_differ(runs: Sequence[Compared]) -> dict[str, dict[str, Any]]:
    """By the name of a form's field the value of each run, by id: only fields whose values are not all the same."""
    fields = dict.fromkeys(name for run in runs for name in run.form)
    found = {name: {run.job.id: run.form.get(name) for run in runs} for name in fields if name not in NAMES - {SEED}}
    return {name: values for name, values in found.items() if len({repr(value) for value in values.values()}) > 1}


def importance(settings: Mapping[str, Mapping[str, Any]], values: Mapping[str, float | None]) -> dict[str, float]:
    """How much of the variance of a metric (`values` by id) goes with each setting, in [0, 1], the largest first: the correlation
    ratio η² over its values where some of them repeat (Fisher 1925), of numbers that all differ the square of Spearman's
    correlation. Settings that move together share the credit; empty of fewer than four runs."""
    ids = [job_id for job_id, value in values.items() if value is not None]
    found = {}
    for name, by_id in settings.items():
        if name == SEED or len(ids) < FEWEST_FOR_IMPORTANCE:
            continue
        groups: dict[str, list[float]] = {}
        for job_id in ids:
            groups.setdefault(repr(by_id.get(job_id)), []).append(float(values[job_id] or 0.0))
        numbers = [float(one) for one in (by_id.get(job_id) for job_id in ids) if isinstance(one, int | float)]
        if 1 < len(groups) < len(ids):
            found[name] = _explained(list(groups.values()))
        elif len(groups) == len(numbers) == len(ids):
            found[name] = _rank_correlation(numbers, [float(values[job_id] or 0.0) for job_id in ids]) ** 2
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _explained(groups: Sequence[Sequence[float]]) -> float:
    every = [value for group in groups for value in group]
    mean = sum(every) / len(every)
    total = sum((value - mean) ** 2 for value in every)
    between = sum(len(group) * (sum(group) / len(group) - mean) ** 2 for group in groups)
    return between / total if total else 0.0


def _rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    both = (list(one), list(other))
    ranks = [[sorted(values).index(value) + (values.count(value) - 1) / 2 for value in values] for values in both]
    try:
        return correlation(*ranks)
    except StatisticsError:  # all are equal
        return 0.0


def _plain(value: Any) -> Any:
    """One value is the same in a list and alone, and a whole number the same as a fraction without one."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _described(service: Service, run: Compared, line: int) -> dict[str, Any]:
    job = run.job
    kept = current_of(run.curves.snapshots)
    sizes = []
    for event in kept:
        with contextlib.suppress(OSError):
            sizes.append((service.folder(job.id).path / event.path).stat().st_size)
    best = {"name": job.best_name, "value": job.best_value, "epoch": job.best_epoch} if job.best_value is not None else None
    split = run.info.splits.get(VAL_DB) if run.info else None
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status.word,
        "line": line,
        "task": job.task,
        "network": job.network,
        "framework": job.framework,
        "dataset_id": job.dataset_id,
        "dataset_hash": run.info.content_hash if run.info else "",
        "validation_pictures": split.entries if split else 0,
        "seed": run.form.get(SEED),
        "epochs": run.spec.get("epochs"),
        "best": best,
        "elapsed": round(job.elapsed, 1),
        "speed": run.curves.speed,
        "weights_bytes": max(sizes, default=None),
        "pictures": run.source,
    }


def _metrics(runs: Sequence[Compared]) -> dict[str, dict[str, Any]]:
    """Of each validation metric `title`, `unit`, `better`, `values` (the best of each run, by id), `best` (ids) and `baseline`
    (by id, of the runs that have one)."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        kinds = {name: event.kinds.get(name, "") for event in run.curves.val for name in event.values}
        declared = {name: said for event in run.curves.val for name, said in event.declared.items()}
        for name, kind in kinds.items():
            known = facts(name, kind, declared)
            first = {"title": known.title, "unit": known.unit, "better": known.better, "values": {}, "baseline": {}}
            row = found.setdefault(name, first)
            events = [event for event in run.curves.val if event.may_be_best or row["better"] not in ("higher", "lower")]
            measured = [value for event in events if (value := finite(event.values.get(name))) is not None]
            pick = {"higher": max, "lower": min}.get(row["better"], lambda values: values[-1])
            row["values"][run.job.id] = pick(measured) if measured else None
            baseline = run.curves.baseline.values.get(name) if run.curves.baseline else None
            if finite(baseline) is not None:
                row["baseline"][run.job.id] = baseline
    same_data = _is_one_data(runs)
    for row in found.values():
        known_values = {job_id: value for job_id, value in row["values"].items() if value is not None}
        best = (min if row["better"] == "lower" else max)(known_values.values(), default=None)
        ranks = row["better"] and same_data and len(known_values) > 1
        row["best"] = [job_id for job_id, value in known_values.items() if value == best] if ranks else []
    return found


def _notes(runs: Sequence[Compared]) -> list[str]:
    """What has to be said about what can be compared."""
    said = []
    if not _is_one_data(runs):
        said.append(
            "These runs learnt from different data sets: settings, curves of the training loss, speed and sizes may be compared; "
            "validation metrics were measured on different pictures and may not."
        )
    elif len({run.job.task for run in runs}) > 1:
        said.append("These runs have different tasks: no metric means the same in all of them.")
    running = [run.job.name for run in runs if run.job.status.is_running]
    if running:
        said.append(f"Not done yet: {', '.join(running[:3])}{' and others' if len(running) > 3 else ''}.")
    ended = [(run.job.name, epoch, run.spec.get("epochs")) for run in runs if (epoch := _cut_short(run)) is not None]
    if ended:
        which = ", ".join(f"{name} (epoch {epoch:.4g} of {epochs})" for name, epoch, epochs in ended[:3])
        more = " and others" if len(ended) > 3 else ""
        said.append(f"Ended before the last epoch, and no seeds of runs that did not: {which}{more}.")
    return said


def judged(
    runs: Sequence[Compared], lines: Sequence[Sequence[Compared]], names: Sequence[str], standing: Sequence[Compared]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The verdict (`metric`, `sentence`, `p`, `interval`, `samples`, `pairs`, `missing`: ids of ended runs without answers to
    single pictures, `waiting`: of those that are not done yet) and which pictures flipped between the best line and the second
    one, each as the run has them that stands for it."""
    unknown = [run for run in runs if run.pictures is None]
    waiting = [run.job.id for run in runs if run.job.status.is_running]
    missing = [run.job.id for run in unknown if not run.job.status.is_running]
    empty: dict[str, Any] = {"metric": "", "p": None, "interval": None, "samples": 0, "pairs": [], "missing": missing}
    empty["waiting"] = waiting
    if not _is_one_data(runs) or len({run.job.task for run in runs}) > 1:
        return {**empty, "sentence": "No verdict: the runs were not validated on the same pictures.", "missing": []}, {}
    if any(run.job.status.is_running for run in unknown):
        done = len(runs) - len(waiting)
        return {**empty, "sentence": f"No verdict yet: {done} of {len(runs)} runs {'is' if done == 1 else 'are'} done."}, {}
    if missing:
        names_of = [run.job.name for run in unknown]
        more = f" and {len(names_of) - 3} others" if len(names_of) > 3 else ""
        sentence = f"No verdict yet: nothing was kept of the single validation pictures of {', '.join(names_of[:3])}{more}"
        return {**empty, "sentence": f"{sentence}; evaluate on the validation split."}, {}
    keys = tuple((str(run.pictures), run.pictures.stat().st_mtime_ns) for run in runs if run.pictures)
    grouping = tuple(tuple(runs.index(run) for run in line) for line in lines)
    stands = tuple(runs.index(run) for run in standing)
    try:
        found, flips = _judged(keys, grouping, stands, tuple(names), _wished(runs), tasks.recorded(runs[0].job.task).name)
        return {**found, "waiting": waiting}, flips
    except DigitsError as error:
        return {**empty, "sentence": f"No verdict: {error}"}, {}


@lru_cache(maxsize=32)
def _judged(
    files: tuple[tuple[str, int], ...],
    grouping: tuple[tuple[int, ...], ...],
    standing: tuple[int, ...],
    names: tuple[str, ...],
    metric: str,
    task: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """As `judged`; what was computed of these files is known when a page is opened again."""
    import numpy as np

    from digits.metrics import resampling, verdict
    from digits.storage.validation_pictures import read_pictures

    kept = [read_pictures(Path(path)) for path, _ in files]
    if len({(one.about.get("dataset_hash"), one.about.get("split")) for one in kept}) > 1:
        raise BadRequest("the pictures that were kept are not those of one split.")
    records = kept[0].records
    for one in kept[1:]:
        records = np.intersect1d(records, one.records)
    chosen = [one.of_records(records) for one in kept]
    able = [name for name in resampling.measurable(chosen[0]) if all(name in resampling.measurable(one) for one in chosen)]
    metric = next((name for name in (metric, DECIDING.get(task, ""), *able) if name in able), "")
    if not metric:
        raise BadRequest("no metric can be computed from single pictures, as where a network has a loss of its own.")
    drawn = resampling.draws(len(records))
    measured = [_run(metric, columns, len(records), drawn) for columns in chosen]
    lines = [verdict.Line(name, tuple(measured[n] for n in group)) for name, group in zip(names, grouping, strict=True)]
    lower, share = is_lower_better(metric), facts(metric).unit == PERCENT
    if len(lines) == 1:
        return _band(lines[0], metric, len(records)), {}
    swap = partial(resampling.swap_test, metric, pictures=len(records))
    pairs = verdict.judge(lines, len(records), lower=lower, share=share, swap=swap)
    best = verdict.best_line(lines, lower)
    second = _second(lines, best, lower)
    shown = next(pair for pair in pairs if {pair.first, pair.second} == {best, second})
    if shown.second != best and len(lines) > 2:
        shown = _turned(shown)
    text = verdict.sentence(lines, pairs, len(records), lower)
    found = {
        "metric": metric,
        "sentence": text,
        "p": finite(shown.p),
        "interval": [finite(shown.interval[0]), finite(shown.interval[1])],
        "samples": len(records),
        "best": best,
        "compared": [shown.first, shown.second],
        "pairs": [_pair(pair) for pair in pairs],
        "lines": [{"value": finite(line.value), "low": finite(_ends(line)[0]), "high": finite(_ends(line)[1])} for line in lines],
        "seeds": [len(line.runs) for line in lines],
        "stride": max(int(one.about.get("stride", 1)) for one in kept),
        "missing": [],
    }
    before, after = standing[shown.first], standing[shown.second]
    return found, _flips(metric, records, chosen[before], chosen[after], (before, after), lower)


def _run(metric: str, columns: Mapping[str, Any], pictures: int, drawn: Any) -> Run:
    from digits.metrics import resampling, verdict

    value = float(resampling.resampled(metric, columns, resampling.once(pictures))[0])
    right = columns["rank"] < 1 if metric == "accuracy" else None
    return verdict.Run(value, resampling.resampled(metric, columns, drawn), right, columns)


def _band(line: Line, metric: str, pictures: int) -> dict[str, Any]:
    """The verdict of runs that differ by their seed alone: how far they lie apart."""
    low, high = _ends(line)
    sentence = f"These runs differ by their seed alone: there is nothing to choose between them ({len(line.runs)} seeds)."
    found = {"metric": metric, "sentence": sentence, "p": None, "interval": [finite(low), finite(high)], "samples": pictures}
    return {
        **found,
        "pairs": [],
        "lines": [{"value": finite(line.value), "low": finite(low), "high": finite(high)}],
        "missing": [],
    }


def _ends(line: Line) -> tuple[float, float]:
    """The smallest and the largest value of the seeds."""
    values = [run.value for run in line.runs]
    return min(values), max(values)


def _second(lines: Sequence[Line], best: int, lower: bool) -> int:
    """The number of the line that comes after the best one."""
    others = [n for n in range(len(lines)) if n != best]
    return sorted(others, key=lambda n: lines[n].value if lower else -lines[n].value)[0]


def _turned(pair: Pair) -> Pair:
    """The same pair the other way round, so that it says what the better one has more."""
    from digits.metrics.verdict import Pair

    low, high = pair.interval
    outcome = {"better": "worse", "worse": "better"}.get(pair.outcome, pair.outcome)
    numbers = pair.raw_p, pair.p, outcome, pair.enough, pair.seeds
    return Pair(pair.second, pair.first, -pair.difference, (-high, -low), *numbers)


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "lines": [pair.first, pair.second],
        "difference": finite(pair.difference),
        "interval": [finite(end) for end in pair.interval],
        "p": finite(pair.p),
        "raw_p": finite(pair.raw_p),
        "outcome": pair.outcome,
        "enough": pair.enough,
        "times_seeds": round(pair.seeds, 2),
    }


def _flips(
    metric: str, records: Any, one: Mapping[str, Any], other: Mapping[str, Any], runs: tuple[int, int], lower: bool
) -> Any:
    """Which pictures the second of two runs has better than the first, and worse, those that changed most first: `record`,
    `before`, `after` (values of the picture) and, of classes, `label`, `from` and `to`. `runs` are their numbers."""
    import numpy as np

    from digits.metrics import resampling

    values = [resampling.picture_values(metric, columns, len(records)) for columns in (one, other)]
    change = (values[1] - values[0]) * (-1 if lower else 1)
    change = np.where(np.isfinite(change), change, 0.0)

    def row(n: int) -> dict[str, Any]:
        found = {"record": int(records[n]), "before": finite(float(values[0][n])), "after": finite(float(values[1][n]))}
        if "predicted" in one:
            found |= {"label": int(one["label"][n]), "from": int(one["predicted"][n]), "to": int(other["predicted"][n])}
        return found

    order = np.argsort(-change, kind="stable")
    gained, lost = order[change[order] > 0], order[::-1][change[order[::-1]] < 0]
    return {
        "runs": list(runs),
        "gained": [row(int(n)) for n in gained[:MOST_FLIPPED]],
        "lost": [row(int(n)) for n in lost[:MOST_FLIPPED]],
        "gained_total": len(gained),
        "lost_total": len(lost),
    }
