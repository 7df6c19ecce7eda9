"""What of an answer can be explained: its classes, its boxes or its numbers, and which one is meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from digits.domain.inference import main_output
from digits.engines.inside import Target
from digits.errors import BadRequest, DataError
from digits.tasks import Labels, of

MOST = 200  # classes, boxes or numbers that are offered
BACKGROUND = frozenset({"background", "_background_", "void", "unlabelled", "unlabeled"})
NOWHERE = "The network sees this class nowhere in the picture; shown is what speaks for it on the whole."


def targets_of(outputs: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What can be explained of the answer to one picture, outputs (1, …), the most evident first: `target` is its number, with
    `label` and `score`; of a detection the `box` too, of a map the `share` of its pixels."""
    labels = Labels.of_snapshot(meta)
    task, names = of(meta["task"], labels), list(meta.get("class_labels") or ())
    output = np.asarray(main_output(outputs))[0]
    if task.moves == "boxes":
        rows = output[output[:, 4] > 0][:MOST]
        return [
            {
                "target": i,
                "label": _name(names, int(row[5])),
                "class": int(row[5]),
                "score": float(row[4]),
                "box": row[:4].tolist(),
            }
            for i, row in enumerate(rows)
        ]
    if task.activation(labels) and output.ndim == 3:
        counts = np.bincount(output.argmax(axis=0).ravel(), minlength=len(output))
        order = np.argsort(-counts, kind="stable")[:MOST].tolist()
        order.sort(key=lambda k: _name(names, k).lower() in BACKGROUND or not counts[k])
        return [{"target": k, "label": _name(names, k), "share": float(counts[k] / counts.sum())} for k in order]
    if task.activation(labels):
        flat = output.reshape(-1)
        order = np.argsort(-flat, kind="stable")[:MOST].tolist()
        return [{"target": k, "label": _name(names, k), "score": float(flat[k])} for k in order]
    if output.ndim == 3:
        return [{"target": k, "label": f"channel {k}", "score": float(output[k].mean())} for k in range(min(MOST, len(output)))]
    flat = output.reshape(-1)[:MOST]
    columns = list(labels.columns) if len(labels.columns) == len(flat) else []
    return [{"target": k, "label": columns[k] if columns else f"number {k}", "score": float(v)} for k, v in enumerate(flat)]


def chosen_target(
    outputs: Mapping[str, np.ndarray], meta: Mapping[str, Any], offered: Sequence[Mapping[str, Any]], wanted: Any
) -> tuple[int, Target, str]:
    """The number of what is explained of outputs (1, …), the target, and what is to be known of it; without a wish the first that
    is offered. A wish is a number or the name of a class."""
    if not offered:
        raise DataError("The network finds nothing in this picture.", advice="There is nothing to explain.")
    number = _number(wanted, meta, offered)
    output = np.asarray(main_output(outputs))[0]
    task = of(meta["task"], Labels.of_snapshot(meta))
    if task.moves == "boxes":
        found = next((one for one in offered if one["target"] == number), None)
        if found is None:
            raise BadRequest(f"There is no box {number}; there are 0 to {len(offered) - 1}.")
        left, top, right, bottom = (float(value) for value in found["box"])
        return number, Target(int(found["class"]), (left, top, right, bottom)), ""
    count = len(output) if output.ndim == 3 else output.size
    if not 0 <= number < count:
        raise BadRequest(f"target is {number}, expected 0 to {count - 1}.")
    if output.ndim == 3 and task.activation(Labels.of_snapshot(meta)):
        region = output.argmax(axis=0) == number
        return number, Target(number, region=region), "" if region.any() else NOWHERE
    return number, Target(number), ""


def _number(wanted: Any, meta: Mapping[str, Any], offered: Sequence[Mapping[str, Any]]) -> int:
    text = "" if wanted is None else str(wanted).strip()
    if not text:
        return int(offered[0]["target"])
    names = list(meta.get("class_labels") or ())
    by_name = [int(one["target"]) for one in offered if one["label"] == text]
    if by_name:
        return by_name[0]
    if text in names:
        return names.index(text)
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        known = f": {', '.join(names[:8])}{', …' if len(names) > 8 else ''}" if names else ""
        raise BadRequest(f"The model has no class {text[:60]!r}.", advice=f"target is a number or the name of a class{known}.")
    return int(text)


def _name(names: Sequence[str], number: int) -> str:
    return names[number] if number < len(names) else f"class {number}"
