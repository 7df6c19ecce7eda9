"""The card of a model, in Markdown: what it is, what goes in and comes out, what it was trained and measured on, and what is not
known; and the table of how near its exports come to it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import digits
from digits.domain.exports import Export
from digits.domain.metrics import facts, value_text
from digits.domain.training import TaskOptions
from digits.engines.exporters import formats
from digits.errors import DigitsError
from digits.service import Service
from digits.service.models.page import TrainingPage, training_page
from digits.service.models.snapshots import Snapshot
from digits.storage.jobs.store import Job
from digits.tasks import Labels, get, of
from digits.tasks.base import BOXES

MOST_LABELS = 100
SHOWN = re.compile(r"([\\`*_\[\]<>|#])")
OUTPUTS = {
    "classes": "`output`: a probability for each class, (N, classes)",
    "labels": "`output`: a probability for each label by itself, (N, labels)",
    "map": "`output`: a probability of each class for each pixel, (N, classes, height, width)",
    "boxes": "`boxes`: left, top, right, bottom in pixels, score, class, best first, rows of zeros fill up, (N, most, 6)",
}
LIMITS = """* What it does with pictures unlike those of its data set is not known: other cameras, places, times, kinds of people.
* The numbers above are of the validation split, on which the best snapshot was chosen: others give worse ones as a rule.
* Whether it treats groups of people or things alike was not measured.
* The licence of the data, of the first weights and of this model is not known to digits: whoever passes it on says so here."""


def model_card(service: Service, model: Job, snapshot: Snapshot, meta: Mapping[str, Any], exports: Sequence[Export]) -> str:
    """The card of one snapshot; `meta` is what lies in its file."""
    page, task = _page(service, model), get(model.task)
    labels = [str(label) for label in meta.get("class_labels") or ()]
    about = [
        ("Task", task.title),
        ("Network", model.network or "a text of its own"),
        ("Framework", model.framework),
        ("Snapshot", f"epoch {snapshot.words}"),
        ("Made by", model.owner or "not stated"),
        ("Trained", time.strftime("%Y-%m-%d", time.localtime(model.created))),
        ("Data set", _dataset(page.dataset.name if page and page.dataset else "", page.info if page else None)),
    ]
    known = {f"{row['epoch']:g}": row["metrics"] for row in page.data["snapshots"]} if page else {}
    measured: dict[str, float | None] = known.get(snapshot.label, {})
    rows = [(facts(name).title, value_text(name, value)) for name, value in measured.items() if "/" not in name]
    parts = [
        f"# {plain(model.name)}",
        _table(("", ""), about),
        "## What goes in\n\n" + _input(meta),
        f"## What comes out\n\n{_output('labels' if task.scores == 'sigmoid' else task.output_kind, labels, meta)}",
        "## How good it is\n\n"
        + (_table(("Metric on the validation split", f"Epoch {snapshot.label}"), rows) if rows else "It was not measured."),
        *([f"## Formats\n\n{_parity(exports)}"] if exports else []),
        "## How it was trained\n\n"
        + (_settings(page.config) if page else "It is not known: what was requested cannot be read any more."),
        f"## What is not known\n\n{LIMITS}",
        f"Written by digits {digits.__version__}.",
    ]
    return "\n\n".join(parts) + "\n"


def _page(service: Service, model: Job) -> TrainingPage | None:
    """What is known of the training; None where its folder does not say it: weights can be taken away all the same."""
    try:
        return training_page(service, model)
    except (DigitsError, OSError, KeyError, TypeError, ValueError):
        return None


def _settings(config: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    return "\n\n".join(_table((name, ""), lines) for name, lines in config.items())


def parity_text(model: Job, exports: Sequence[Export]) -> str:
    """The report of exports in Markdown."""
    return f"# {plain(model.name)}: how near each format comes to the model\n\n{_parity(exports)}\n"


def parity_rows(exports: Sequence[Export]) -> list[dict[str, str]]:
    """A line for each format and runtime in words: `format`, `epoch`, `runtime`, `size`, `difference`, `model`, `export`, `drop`,
    `p50`, `p95`. That of the model itself comes with each format, for it was timed with it."""
    titles = {row.name: row.title for row in formats(missing=True)}
    found = []
    for export in exports:
        quality = export.quality
        name = str(quality.get("metric", ""))
        for place, timing in enumerate(export.timings):
            itself = place == 0
            measured = bool(name) and place == 1
            found.append(
                {
                    "format": titles.get(export.format, export.format),
                    "epoch": f"{export.epoch:g}",
                    "runtime": timing.runtime,
                    "size": "" if itself else size_text(export.size),
                    "difference": "" if itself else f"{timing.difference:.2g}",
                    "metric": facts(name).title if name else "",
                    "value": value_text(name, quality["model"] if itself else quality["export"]) if name and place < 2 else "",
                    "drop": drop_text(export) if measured else "",
                    "p50": f"{timing.p50_ms:.3g} ms",
                    "p95": f"{timing.p95_ms:.3g} ms",
                }
            )
    return found


def drop_text(export: Export) -> str:
    """How much worse the deciding metric is, in its unit; a dash where it was not measured."""
    return value_text(str(export.quality.get("metric", "")), export.metric_drop)


def measured_on(export: Export) -> str:
    """A sentence: on what an export was compared, and where."""
    quality, machine = export.quality, export.machine
    pictures, total = quality.get("pictures", 0), quality.get("total", 0)
    part = "all" if pictures == total else f"{pictures:,} evenly spaced ones of the"
    said = f"Compared on {part} {total:,} validation pictures" if pictures else "Compared on made-up pictures alone"
    reason = f" ({quality['reason'].rstrip('.')})" if quality.get("reason") else ""
    where = (
        f"; timed one picture at a time on {machine.get('processor', '?')}, {machine.get('cores', '?')} cores" if machine else ""
    )
    return f"{said}{reason}{where}."


def size_text(size: int) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size = size / 1000  # type: ignore[assignment]
    return f"{size:.3g} GB"


def plain(text: object) -> str:
    """A text as Markdown shows it, in one line."""
    return SHOWN.sub(r"\\\1", " ".join(str(text).split()))


def _parity(exports: Sequence[Export]) -> str:
    names = ("format", "epoch", "runtime", "size", "difference", "metric", "value", "drop", "p50", "p95")
    heads = ("Format", "Epoch", "Runtime", "Size", "Largest difference", "Metric", "Value", "Lost", "p50", "p95")
    rows = [[row[name] for name in names] for row in parity_rows(exports)]
    told = list(dict.fromkeys(measured_on(export) for export in exports))
    return "\n\n".join([_table(heads, rows), *told])


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _dataset(name: str, info: Any) -> str:
    if info is None:
        return name or "gone"
    counts = ", ".join(f"{split.entries:,} in {key.removesuffix('_db')}" for key, split in info.splits.items())
    return f"{name or 'gone'} ({counts}; hash {info.content_hash or 'unknown'})"


def _input(meta: Mapping[str, Any]) -> str:
    if "preparation" not in meta:
        return "It is not known: the file of the weights does not say it."
    from digits.engines.prepared import preprocessing_of  # which brings NumPy along

    steps = preprocessing_of(meta)
    height, width = steps["size"]
    said = f"`input`: float32 (N, {steps['channels']}, {height}, {width}), N any number"
    if "resize_to" not in steps:
        return f"{said}: numbers, as the network text says."
    to = "×".join(str(side) for side in steps["resize_to"])
    colour = {"RGB": "RGB", "L": "grey"}.get(steps["color"], f"{steps['channels']} channels")
    cut = ", the middle cut out" if steps["crop"] == "centre" else ""
    padding = "×".join(str(side) for side in steps.get("padding", ()))
    padded = f"padded to {padding} at the right and at the bottom, " if padding else ""
    resized = "not resized" if steps["resize"] == "none" else f"brought to {to} (height×width, {steps['resize']})"
    return (
        f"{said}. A picture, {colour}, is {padded}{resized}{cut}, then `(x - mean) / std`:\n\n```json\n{json.dumps(steps)}\n```"
    )


def _output(kind: str, labels: Sequence[str], meta: Mapping[str, Any]) -> str:
    said = OUTPUTS.get(kind, "`output`: numbers or pictures in the units of the labels")
    if kind == BOXES:
        least = TaskOptions.from_json(meta.get("options") or {}).score_threshold
        said += f". Boxes count from a score of {least:.3g} on; what comes out has all of them"
    thresholds = (meta.get("options") or {}).get("label_thresholds") or ()
    found = Labels.of_snapshot(meta)
    if values := of(str(meta.get("task", "")), found).value_names(found):
        numbered = [[str(place), name] for place, name in enumerate(values[:MOST_LABELS])]
        more = f"\n\n{len(values) - MOST_LABELS} more stand in `preprocessing.json`." if len(values) > MOST_LABELS else ""
        return f"{said}, in this order.\n\n{_table(('Number', 'Value'), numbered)}{more}"
    rows = [[str(place), label, *([f"{thresholds[place]:.3g}"] if thresholds else [])] for place, label in enumerate(labels)]
    if not rows:
        return said
    heads = ("Number", "Class", *("Counts from",) * bool(thresholds))
    more = f"\n\n{len(rows) - MOST_LABELS} more stand in `preprocessing.json`." if len(rows) > MOST_LABELS else ""
    return f"{said}.\n\n{_table(heads, rows[:MOST_LABELS])}{more}"
