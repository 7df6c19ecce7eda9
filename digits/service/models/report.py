"""A training, or a comparison of some, as one document: what a page shows that can be printed, kept and sent without a server."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any

import digits
from digits.domain.metrics import PERCENT, facts, gained_text, value_text
from digits.errors import DigitsError
from digits.service import Service
from digits.service.datasets.explore import picture
from digits.service.models.comparison import comparison
from digits.service.models.history import read_shown
from digits.service.models.line_chart import Curve, line_chart
from digits.service.models.page import training_page
from digits.service.models.sample_strips import strip_of_model, strip_of_models
from digits.service.models.validation_samples import frame, frames, sample_set
from digits.storage.jobs.store import Job

MOST_CHARTS = 8
SHOWN_SAMPLES = 8
SHOWN_FLIPS = 12  # pictures of each sort
MOST_COLUMNS = 6  # models in one table of samples


def of_model(service: Service, job: Job) -> dict[str, Any]:
    """`title`, `made`, `tables` (title → rows of name and value), `charts` (SVG), `samples`, `notes` of one training."""
    page = training_page(service, job)
    curves, kinds = page.data["curves"], page.data["curves"]["kinds"]
    charts = []
    for name in kinds:
        if "/" in name or name.startswith("epoch_"):
            continue
        lines = [
            _curve(f"{phase}", curves[key], name, dashed=key == "val") for key, phase in _PHASES if name in curves[key]["values"]
        ]
        charts.append(line_chart(_title(name), lines))
    about = [
        ("Status", job.status.word),
        ("Network", job.network),
        ("Data set", page.dataset.name if page.dataset else job.dataset_id),
        *_best(job),
        ("Duration", f"{job.elapsed:,.0f} s"),
        ("Owner", job.owner or "–"),
    ]
    baseline = page.history.baseline
    metrics = [
        (
            name if "/" in name else facts(name).title,
            value_text(name, value),
            value_text(name, baseline.values.get(name)) if baseline else "–",
        )
        for name, value in (page.history.metrics["val"][-1].values.items() if page.history.metrics["val"] else ())
    ]
    return {
        "title": job.name,
        "made": _made(),
        "sentence": "",
        "tables": {"Run": about, **page.config},
        "heads": ["Metric", "Last validation", "Baseline"],
        "metrics": metrics,
        "settings": [],
        "setting_heads": [],
        "charts": [chart for chart in charts if chart][:MOST_CHARTS],
        "samples": []
        if (strip := strip_of_model(service, job, page.data["frames"]))
        else _samples(service, job, page.data["frames"]),
        "strips": [strip] if strip else [],
        "flips": None,
        "notes": [warning.message for warning in page.history.warnings],
    }


def _best(job: Job) -> list[tuple[str, str]]:
    """The row of the best value, where there is one."""
    if job.best_value is None or job.best_epoch is None:
        return []
    return [("Best", f"{facts(job.best_name).title} {value_text(job.best_name, job.best_value)} at epoch {job.best_epoch:g}")]


_PHASES = (("train", "training"), ("val", "validation"))


def of_comparison(service: Service, jobs: Sequence[Job]) -> dict[str, Any]:
    """As `of_model`, with the verdict as `sentence` and the settings that differ."""
    found = comparison(service, jobs)
    runs, verdict = found["runs"], found["verdict"]
    names = {run["id"]: run["name"] for run in runs}
    measured = [name for name in found["metrics"] if "/" not in name]
    charts = []
    for name in measured:
        series = [(run["id"], found["curves"][run["id"]]["val"]) for run in runs]
        lines = [_curve(names[job_id], curve, name) for job_id, curve in series if name in curve["values"]]
        charts.append(line_chart(f"{_title(name)} (validation)", lines))
    rows = []
    for name in found["metrics"]:
        row = found["metrics"][name]
        cells = [value_text(name, row["values"].get(run["id"])) + (" ★" if run["id"] in row["best"] else "") for run in runs]
        rows.append(
            (row["title"] if "/" not in name else name, *cells, value_text(name, next(iter(row["baseline"].values()), None)))
        )
    about = [
        (
            run["name"],
            f"{run['network']}, {run['framework']}, {run['status']}, seed {run['seed']}, {run['elapsed']:,.0f} s, data set hash "
            f"{run['dataset_hash'][:16] or 'unknown'}",
        )
        for run in runs
    ]
    told = [("Metric", facts(verdict["metric"]).title), ("Validation pictures compared", f"{verdict['samples']:,}")]
    if verdict["p"] is not None and verdict["interval"]:
        low, high = (gained_text(verdict["metric"], end) for end in verdict["interval"])
        told += [("Difference, 95 % interval", f"{low} to {high}"), ("p (Holm)", f"{verdict['p']:.3g}")]
    return {
        "title": "Comparison",
        "made": _made(),
        "sentence": verdict["sentence"],
        "tables": {"Runs": about, **({"Verdict": told} if verdict["metric"] else {})},
        "heads": ["Metric (best of each run)", *names.values(), "Baseline"],
        "metrics": rows,
        "settings": [(name, *(_plain(values[run["id"]]) for run in runs)) for name, values in found["settings"].items()],
        "setting_heads": ["Setting", *names.values()],
        "charts": [chart for chart in charts if chart][:MOST_CHARTS],
        "samples": [],
        "strips": _strips(service, jobs, found["lines"]),
        "flips": _flips(service, jobs, found),
        "notes": found["notes"],
    }


def _strips(service: Service, jobs: Sequence[Job], lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The last validation of the best run of each line, some of them to a table."""
    by_id = {job.id: job for job in jobs}
    named = [(line["name"], job := by_id[line["best"]], _frames(service, job)) for line in lines]
    parts = [named[at : at + MOST_COLUMNS] for at in range(0, len(named), MOST_COLUMNS)]
    return [strip for part in parts if (strip := strip_of_models(service, part))]


def _frames(service: Service, job: Job) -> list[dict[str, float]]:
    folder = service.folder(job.id)
    return frames(read_shown(folder), folder.path)


def _flips(service: Service, jobs: Sequence[Job], found: Mapping[str, Any]) -> dict[str, Any] | None:
    """`from` and `to`, names of runs, and `parts` of `title` and `pictures` (`input`: an address, `text`); None where no picture
    flipped."""
    flips = found["flips"]
    if not flips or not flips["gained_total"] + flips["lost_total"]:
        return None
    one, other = (found["runs"][n] for n in flips["runs"])
    dataset = service.store.find(one["dataset_id"])
    labels, metric = found["class_labels"], found["verdict"]["metric"]

    def name(number: int) -> str:
        return labels[number] if 0 <= number < len(labels) else "nothing" if number < 0 else f"class {number}"

    def shown(flip: Mapping[str, Any]) -> dict[str, str]:
        if "label" in flip:
            text = f"{name(flip['label'])}: {name(flip['from'])} → {name(flip['to'])}"
        else:
            text = f"{value_text(metric, flip['before'])} → {value_text(metric, flip['after'])}"
        return {"key": f"val:{flip['record']}", "input": _thumb(service, dataset, flip["record"]), "text": text}

    parts = [(f"Better in {other['name']}", "gained"), (f"Worse in {other['name']}", "lost")]
    return {
        "from": one["name"],
        "to": other["name"],
        "parts": [
            {"title": f"{title} ({flips[f'{key}_total']:,})", "pictures": [shown(flip) for flip in flips[key][:SHOWN_FLIPS]]}
            for title, key in parts
        ],
    }


def _thumb(service: Service, dataset: Job | None, record: int) -> str:
    """A validation picture as an address; empty where its records are gone."""
    if dataset is None:
        return ""
    try:
        data, kind = picture(service, dataset, "val", record, thumb=True)
    except (DigitsError, OSError):
        return ""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _curve(title: str, series: Mapping[str, Any], name: str, dashed: bool = False) -> Curve:
    factor = 100 if facts(name).unit == PERCENT else 1
    ys = [None if value is None else value * factor for value in series["values"][name]]
    return Curve(title, series["epoch"], ys, dashed)


def _title(name: str) -> str:
    known = facts(name)
    return f"{known.title} in %" if known.unit == PERCENT else known.title


def _plain(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)[:200]


def _made() -> str:
    return f"digits {digits.__version__}, {time.strftime('%Y-%m-%d %H:%M', time.localtime())}"


def _samples(service: Service, job: Job, frames: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of a few validation samples `input` (a picture's address), `truth` and `found` (texts or addresses)."""
    if not frames:
        return []
    known, last = sample_set(service, job), frame(service, job, int(frames[-1]["step"]))
    found = []
    for sample, made in list(zip(known["samples"], last["samples"], strict=True))[:SHOWN_SAMPLES]:
        top = [(name, score) for name, score in made.get("top") or () if score is not None]
        said = ", ".join(f"{name} {score:.1f} %" for name, score in top[:2])
        truth = sample["truth"] if isinstance(sample["truth"], str | int | float) else ""
        plain = "" if str(truth).startswith("data:") else str(truth)  # a map is no text
        found.append({"input": sample["input"], "truth": plain, "found": said, "key": sample["key"]})
    return found
