"""Whether the labels of a data set may be the truth of a model that was trained on another: at the request, and by the worker.

Holds: what is measured is the same quantity. Classes are matched by name (`domain.classes`), so are the numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from digits.domain.datasets import DatasetInfo
from digits.errors import DataError
from digits.tasks import GENERIC, find
from digits.tasks.base import Labels, Task

OF_PLACES = frozenset({"map", "array"})  # kinds of labels that are told apart by what they mean, not by their form
SAME = "Choose a data set of the same task."


def places_in_label(task: Task, meta: Mapping[str, Any], info: DatasetInfo, split: str) -> tuple[int, ...]:
    """Where each of a model's numbers stands in a label of a split of another data set than its own; () where they stand as in
    the model, and for other labels than vectors of numbers.

    `meta` is what travels with the model's weights (`preprocessing.json`). Raises DataError where the labels are no truth for it.
    """
    model, labels, theirs = Labels.of_snapshot(meta), Labels.of_records(info.splits[split].meta, info), find(info.task)
    if theirs is not None and theirs is not task and GENERIC not in (theirs, task):
        raise DataError(f"The data set is one for {theirs.title.lower()}; the model is one of {task.title.lower()}.", advice=SAME)
    known = "label_kind" in meta
    if labels.kind not in task.label_kinds or (
        known and labels.kind != model.kind and not {labels.kind, model.kind} <= OF_PLACES
    ):
        wanted = model.kind if known else task.label_kinds[0]
        raise DataError(f"The labels of this data set are of the kind {labels.kind}; the model needs {wanted}.", advice=SAME)
    return _places_of_columns(model, labels) if labels.kind == "vector" and not model.class_labels else ()


def _places_of_columns(model: Labels, labels: Labels) -> tuple[int, ...]:
    ours, theirs = model.columns, labels.columns
    if ours and theirs:
        if lacking := [name for name in ours if name not in theirs]:
            raise DataError(
                f"The labels of the data set are {listed(theirs)}, without {listed(lacking)}; the model gives {listed(ours)}.",
                advice="Choose a data set with columns of the same names.",
            )
        places = tuple(theirs.index(name) for name in ours)
        return () if places == tuple(range(len(theirs))) else places
    if model.shape and labels.shape and tuple(model.shape) != tuple(labels.shape):
        raise DataError(
            f"A label of the data set has the shape {tuple(labels.shape)}, one of the model's own {tuple(model.shape)}.",
            advice="Choose a data set with as many numbers.",
        )
    return ()


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first names in words."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
