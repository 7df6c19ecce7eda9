"""What is said of labels when all splits have been counted: nothing to learn, classes that only one split knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from digits.domain.datasets import TRAIN_DB, RecordMeta
from digits.domain.jobs import Task
from digits.errors import DataError
from digits.ingest.label_statistics import LabelFacts


def label_problems(meta: RecordMeta, facts: Mapping[str, LabelFacts]) -> Iterator[dict[str, Any]]:
    """One problem for each class that stands out. Raises DataError when no picture of the training split has an object."""
    counted = {name: fact for name, fact in facts.items() if fact.objects}
    if not counted:
        return
    _check_training(meta, counted.get(TRAIN_DB))
    yield from _single_class(meta, counted)
    yield from _lopsided(meta, counted)


def _check_training(meta: RecordMeta, train: LabelFacts | None) -> None:
    if train is None or meta.task not in (Task.DETECTION, Task.SEGMENTATION):
        return
    if meta.task == Task.DETECTION and not sum(train.objects):
        raise DataError(
            f"None of the training pictures has an object of the classes {', '.join(meta.class_labels[:10])}.",
            advice="Check the label folder, the class names in the files and the list of classes.",
        )
    if meta.task == Task.SEGMENTATION and not sum(train.objects):
        raise DataError(
            "Every pixel of every training mask is left out (void).",
            advice="Check the colour map and the values that do not count.",
        )


def _single_class(meta: RecordMeta, facts: Mapping[str, LabelFacts]) -> Iterator[dict[str, Any]]:
    """A segmentation in which only one class occurs teaches nothing but that class."""
    seen = [sum(fact.objects[i] for fact in facts.values()) for i in range(len(meta.class_labels))]
    names = [name for name, count in zip(meta.class_labels, seen, strict=True) if count]
    if meta.task == Task.SEGMENTATION and len(names) == 1:
        reason = f"All masks hold the class {names[0]!r} alone: a network will learn to answer just that. Check the masks."
        yield {"kind": "mask", "stage": "", "entry": names[0], "reason": reason}


def _lopsided(meta: RecordMeta, facts: Mapping[str, LabelFacts]) -> Iterator[dict[str, Any]]:
    if len(facts) < 2:
        return
    for number, label in enumerate(meta.class_labels):
        have = [name for name, fact in facts.items() if fact.images[number]]
        if have and len(have) < len(facts):
            lacking = ", ".join(name for name in facts if name not in have)
            reason = f"The class {label!r} is in {', '.join(have)}, but not in {lacking}. {_meaning(have)}"
            yield {"kind": "one-split", "stage": "", "label": label, "entry": label, "reason": reason}


def _meaning(have: list[str]) -> str:
    if TRAIN_DB in have:
        return "Nothing can be measured for it there."
    return "It cannot be learned. Use another seed or share, or leave the class out."
