"""The same validation samples at several moments, or through several models, as a table that a document can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from digits.domain.inference import main_output
from digits.errors import DigitsError
from digits.images.addresses import picture_address, png_address, shown_pair
from digits.service import Service
from digits.service.models.validation_samples import FOLDER, INPUTS, class_colours, load_arrays, meta_of, task_of
from digits.storage.jobs.store import Job
from digits.tasks import Labels, Task
from digits.tasks.base import BOXES, MAP, PICTURES

if TYPE_CHECKING:
    import numpy as np

SHOWN_SAMPLES = 6
SHOWN_MOMENTS = 5
LEAST_SCORE = 0.3  # of boxes


def moments(frames: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A few frames from the first to the last, evenly chosen."""
    if len(frames) <= SHOWN_MOMENTS:
        return list(frames)
    stride = (len(frames) - 1) / (SHOWN_MOMENTS - 1)
    return [frames[round(i * stride)] for i in range(SHOWN_MOMENTS)]


def strip_of_model(service: Service, job: Job, frames: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """`title`, `heads` and `rows` (`key`, `input`: a picture's address, `truth`: text, `cells` of `text` and `picture`), a row
    for each sample and a cell for each moment; None where nothing was kept."""
    shown = moments(frames)
    columns = [_column(service, job, int(frame["step"])) for frame in shown]
    heads = [f"Epoch {frame['epoch']:.4g}" for frame in shown]
    return _strip("The same validation samples while it learnt", heads, columns)


def strip_of_models(service: Service, named: Sequence[tuple[str, Job, Sequence[Mapping[str, Any]]]]) -> dict[str, Any] | None:
    """As `strip_of_model`, with a cell for each model (by its name, with its frames) at its last validation. Only models of the
    same data set have the same samples."""
    shown = [(name, job, frames) for name, job, frames in named if frames]
    columns = [_column(service, job, int(frames[-1]["step"])) for _, job, frames in shown]
    if len({tuple(cell["key"] for cell in column) for column in columns}) > 1:
        return None
    return _strip("The same validation samples at the end", [name for name, *_ in shown], columns)


def _strip(title: str, heads: list[str], columns: Sequence[list[dict[str, Any]]]) -> dict[str, Any] | None:
    if not columns or not columns[0]:
        return None
    rows = [
        {**{name: cells[0][name] for name in ("key", "input", "truth")}, "cells": list(cells)}
        for cells in zip(*columns, strict=False)
    ]
    return {"title": title, "heads": heads, "rows": rows}


def _column(service: Service, job: Job, step: int) -> list[dict[str, Any]]:
    """What was made of the samples at one validation; empty where it cannot be read."""
    folder = service.folder(job.id).path
    try:
        inputs, outputs = load_arrays(folder / INPUTS), load_arrays(folder / FOLDER / f"step_{step}.npz")
        meta = meta_of(service, job)
        task, names = task_of(meta), list(meta.get("class_labels", ()))
        colours = class_colours(service, job.dataset_id, names, task)
    except DigitsError:
        return []
    palette = [number for colour in colours for number in colour]
    found = []
    for i, index in enumerate(inputs["indices"].tolist()[:SHOWN_SAMPLES] if inputs and outputs else ()):
        feature = inputs[f"{i}/feature"]
        own = {name.removeprefix(f"{i}/"): array for name, array in outputs.items() if name.startswith(f"{i}/")}
        truth = inputs.get(f"{i}/label", feature)
        shown = shown_pair(feature, meta.get("image") or {})
        said = task.describe_output(main_output(own), truth, Labels.of_snapshot(meta)) if own else {}
        known = task.describe_label(truth, Labels.of_snapshot(meta))
        found.append(
            {
                "key": f"val:{index}",
                "input": picture_address(shown) if min(feature.shape[1:]) > 1 else "",
                "truth": _words(known),
                "text": _text(said),
                "picture": _picture(task, shown, main_output(own), said, names, palette) if own else "",
            }
        )
    return found


def _words(truth: Any) -> str:
    """A truth as text, where it is one; pictures and boxes are none."""
    if isinstance(truth, str | int | float):
        return "" if str(truth).startswith("data:") else str(truth)
    return ""


def _text(said: Mapping[str, Any]) -> str:
    top = [(name, score) for name, score in said.get("top") or () if score is not None]
    if top:
        return ", ".join(f"{name} {score:.1f} %" for name, score in top[:2])
    if said.get("values"):
        return ", ".join(f"{value:.4g}" for value in said["values"][:8] if value is not None)
    if said.get("dice") is not None:
        return f"Dice {100 * said['dice']:.1f} %"
    return f"{said['psnr']:.2f} dB" if said.get("psnr") is not None else ""


def _picture(
    task: Task, shown: np.ndarray, output: np.ndarray, said: Mapping[str, Any], names: Sequence[str], palette: Sequence[int]
) -> str:
    """What was made of a picture (C, H, W), over or beside it, as a `data:` address; empty of what is text."""
    from digits.images.overlay import overlay

    if task.output_kind == MAP and output.shape[-2:] == shown.shape[-2:]:
        return png_address(overlay(shown, "map", output.reshape(1, *output.shape[-2:]), names, palette))
    if task.output_kind == BOXES:
        return png_address(overlay(shown, "boxes", _boxes(said.get("boxes", ())), names, palette))
    return str(said.get("picture") or "") if task.output_kind == PICTURES else ""


def _boxes(found: Sequence[Mapping[str, Any]]) -> np.ndarray:
    import numpy as np

    from digits.storage.records.boxes import BOX_DTYPE

    rows = [(*one["box"], one["class"], 0) for one in found if one["score"] >= LEAST_SCORE]
    return np.array(rows, BOX_DTYPE)
