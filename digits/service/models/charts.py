"""Curves of a training: for our page (every validation point kept), for scripts (R 4.4) and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from digits.domain.events import HardwareEvent, MetricEvent, StageEvent
from digits.domain.training import LearningRate
from digits.engines.training.learning_rate import curve
from digits.service.models.history import PHASES, RunHistory
from digits.utils.values import finite

MISSING = "none"  # what scripts expect where a series has no value


def output_kinds(history: RunHistory) -> dict[str, str]:
    """Kind (`loss`, `accuracy` or `other`) of every output, in the order of first appearance."""
    kinds: dict[str, str] = {}
    for phase in ("train", "val"):
        for event in history.metrics[phase]:
            for name in event.values:
                kinds.setdefault(name, event.kinds.get(name, "other"))
    return kinds


def page_curves(history: RunHistory) -> dict[str, Any]:
    """Curves for the page: `kinds`, and for `train`, `val`, `lr` and `gradients` the lists `epoch`, `step` and `values[name]`.

    A value that is missing or no number is null; `nonfinite` counts the outputs of each report that held NaN or infinity.
    `extremes` are indices of points that are there only because they are the smallest or the largest of their part of the run, or
    no number; `reports` says by phase how many there were, and `thinned` whether those of the training are not all there.
    """
    phases = {phase: series(history.metrics[phase], history.extremes.get(phase, ())) for phase in PHASES}
    reports = {phase: max(history.reports.get(phase, 0), len(history.metrics[phase])) for phase in PHASES}
    thinned = len(history.metrics["train"]) < reports["train"]
    return {"kinds": output_kinds(history), **phases, "reports": reports, "thinned": thinned}


def stage_series(events: Sequence[StageEvent]) -> dict[str, Any]:
    """Where the time went: `epoch` and `seconds[part]` (of a step; null where that was not measured), a list each."""
    parts = list(dict.fromkeys(part for event in events for part in event.seconds))
    seconds = {part: [finite(event.seconds.get(part)) for event in events] for part in parts}
    return {"epoch": [event.epoch for event in events], "seconds": seconds}


def machine_series(events: Sequence[HardwareEvent]) -> dict[str, Any]:
    """What the job used: `t` (seconds since 1970), `cpu_percent` (of one core), `memory` (bytes) and of each GPU by its number
    `gpus[index]` with `utilization` (percent) and `memory_used` (bytes), a list each."""
    found = {name: [getattr(event, name) for event in events] for name in ("t", "cpu_percent", "memory")}
    rows = [{str(gpu.get("index")): gpu for gpu in event.gpus} for event in events]
    numbers = list(dict.fromkeys(number for row in rows for number in row))
    gpus = {n: {key: [row.get(n, {}).get(key) for row in rows] for key in ("utilization", "memory_used")} for n in numbers}
    return {**found, "gpus": gpus}


def combined_graph(history: RunHistory) -> dict[str, Any] | None:
    """The graph as scripts know it: `columns`, `xs`, `axes`, `names`; None while there is no training value.

    Outputs of kind accuracy are in percent on axis `y2`, all others on `y`. A value that is missing or not finite is `"none"`.
    """
    if not history.metrics["train"]:
        return None
    graph: dict[str, Any] = {"columns": [], "xs": {}, "axes": {}, "names": {}}
    kinds = output_kinds(history)
    for phase in ("train", "val"):
        events = history.metrics[phase]
        names = [name for name in kinds if any(name in event.values for event in events)]
        if names:
            graph["columns"].append([f"{phase}_epochs", *(event.epoch for event in events)])
        for name in names:
            _add_column(graph, name, phase, kinds[name], events)
    return graph


def lr_graph(history: RunHistory) -> dict[str, Any] | None:
    """The learning rate over the epochs as scripts know it; None before the first value."""
    events = history.metrics["lr"]
    if not events:
        return None
    rates = [_cell(next(iter(event.values.values()), math.nan)) for event in events]
    return {
        "columns": [["epoch", *(event.epoch for event in events)], ["lr", *rates]],
        "xs": {"lr": "epoch"},
        "names": {"lr": "Learning Rate"},
    }


def metrics_csv(history: RunHistory) -> Iterator[str]:
    """Every metric of the run as CSV, a line each: `step, epoch, phase, name, kind, value, time, attempt`; header first."""
    yield _line(("step", "epoch", "phase", "name", "kind", "value", "time", "attempt"))
    events = sorted((e for phase in history.metrics.values() for e in phase), key=lambda e: (e.step, e.epoch, e.phase))
    for event in events:
        for name, value in event.values.items():
            kind = event.kinds.get(name, "rate" if event.phase == "lr" else "other")
            yield _line((event.step, event.epoch, event.phase, name, kind, value, round(event.t, 3), event.attempt))


def preview(rates: Iterable[LearningRate]) -> list[list[float]]:
    """For each policy 101 rates, at 0 to 100 % of the training."""
    return [curve(rate) for rate in rates]


def series(events: Sequence[MetricEvent], extremes: Sequence[int] = ()) -> dict[str, Any]:
    """`epoch`, `step`, `nonfinite` and `values[name]` of events, a list each; `extremes` as in `page_curves`, if any."""
    names = list(dict.fromkeys(name for event in events for name in event.values))
    values = {name: [finite(event.values.get(name)) for event in events] for name in names}
    columns = {name: [getattr(event, name) for event in events] for name in ("epoch", "step", "nonfinite")}
    return {**columns, "values": values, **({"extremes": list(extremes)} if extremes else {})}


def _add_column(graph: dict[str, Any], name: str, phase: str, kind: str, events: Sequence[MetricEvent]) -> None:
    is_accuracy = kind == "accuracy"
    column = f"{name}-{phase}"
    graph["columns"].append([column, *(_cell(event.values.get(name), 100 if is_accuracy else 1) for event in events)])
    graph["xs"][column] = f"{phase}_epochs"
    graph["axes"][column] = "y2" if is_accuracy else "y"
    graph["names"][column] = f"{name} ({phase})"


def _cell(value: float | None, factor: float = 1) -> float | str:
    number = finite(value)
    return MISSING if number is None else number * factor


def _line(cells: Iterable[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()
