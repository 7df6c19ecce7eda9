"""What the trivial answer scores on the very pictures that are evaluated: the yardstick beside each metric.

The guesses are those of the training (see `engines.training.baseline`), made from the training labels of the model's own data
set; they are measured by the report that measures the model, on the same pictures, whatever their source. There is none where
that data set is gone, or nothing is known of any picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from digits.domain.datasets import TRAIN_DB
from digits.domain.inference import EvaluationSpec
from digits.domain.metrics import beats, deciding_metric, is_lower_better
from digits.domain.training import TaskOptions
from digits.engines.training.baseline import training_labels
from digits.images.arrays import groups_of_shape
from digits.images.prepare_for_model import centre_of
from digits.metrics.base import Arrays, Report
from digits.storage.folders import JobsDir
from digits.storage.records.open import find_split
from digits.tasks import Labels, Task
from digits.tasks.base import Guess


class Yardstick:
    """Add every batch, then take the `best` of the guesses. `new_report` makes a report of an evaluation with these options: the
    training's own, not what was chosen for the model's outputs."""

    def __init__(
        self, task: Task, guesses: Sequence[Guess], new_report: Callable[[TaskOptions], Report], options: TaskOptions
    ) -> None:
        self.task = task
        self.guesses = [(guess, new_report(options)) for guess in guesses]

    @property
    def sees_pictures(self) -> bool:
        return any(guess.sees_pictures for guess, _ in self.guesses)

    def add(self, features: Arrays, outputs: Sequence[np.ndarray], truths: Any) -> None:
        """Pictures (C, H, W), read where a guess `sees_pictures`, what the model's kept outputs (…) are and what is true (…)."""
        if truths is None:
            return
        groups = groups_of_shape(map(np.asarray, truths))
        for guess, report in self.guesses:
            answers: list[Any] = [None] * len(truths)
            for numbers in groups:
                seen = np.stack([features[n] for n in numbers]) if guess.sees_pictures else np.empty(0)
                targets = self.task.targets([np.asarray(truths[n]) for n in numbers])
                for number, answer in zip(numbers, guess.answer(seen, targets), strict=True):
                    answers[number] = self._cut(self.task.kept(np.asarray(answer)), outputs[number])
            report.add(answers, truths)

    def best(self) -> dict[str, Any] | None:
        """`values` by metric and `description` of the guess that the deciding metric finds best; None where there is none."""
        best: dict[str, Any] | None = None
        for guess, report in self.guesses:
            found = report.summary()
            values = {name: value for name, value in _values(found).items() if value is not None}
            name = deciding_metric(self.task.name, values)
            if values and (best is None or beats(values.get(name), best["values"].get(name), is_lower_better(name))):
                best = {"values": values, "description": guess.words}
        return best

    def _cut(self, answer: np.ndarray, output: np.ndarray) -> np.ndarray:
        """The middle of an answer (…, H, W) that the model's output (…, h, w) is for, where pictures are cropped."""
        lies_over = self.task.of_places and self.task.moves != "boxes" and output.ndim > 1
        return centre_of(answer, output.shape) if lies_over else answer


def yardstick(
    jobs_dir: JobsDir, spec: EvaluationSpec, task: Task, dataset_id: str, new_report: Callable[[TaskOptions], Report]
) -> Yardstick:
    """For a model that was trained on the data set `dataset_id`; without guesses where that is not there any more."""
    options = _options(jobs_dir, spec)
    folder = jobs_dir.folder(dataset_id) if dataset_id else None
    info = folder.find_dataset_info() if folder is not None else None
    records = find_split(folder, TRAIN_DB, info) if folder is not None and info is not None else None
    if info is None or records is None or not len(records):
        return Yardstick(task, [], new_report, options)
    split = info.splits.get(TRAIN_DB)
    labels = Labels.of_records(records.meta, info)
    counts = split.class_counts if split else ()
    return Yardstick(task, task.guesses(labels, lambda: training_labels(records, task), counts), new_report, options)


def _options(jobs_dir: JobsDir, spec: EvaluationSpec) -> TaskOptions:
    """Those that the model's training was requested with."""
    folder = jobs_dir.folder(spec.model_id)
    return TaskOptions.from_json(folder.spec().get("options") or {}) if folder.exists() else TaskOptions()


def _values(found: dict[str, Any]) -> dict[str, float | None]:
    """The metrics of a summary by name, those of one class or column as `name/label`."""
    rows = {f"{name}/{row['label']}": row[name] for row in found["per_class"] for name in row if isinstance(row[name], float)}
    return {**found["metrics"], **rows}
