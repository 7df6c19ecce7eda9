"""The contract of a task as a test class: every task passes it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from digits import tasks
from digits.domain.metrics import deciding_metric, facts
from digits.domain.training import TaskOptions
from digits.engines.network.losses import LOSSES
from digits.extensions import loader
from digits.images.place import Origin
from digits.metrics.base import Metric
from digits.storage.records.reader import BOX_DTYPE
from digits.tasks.base import Labels, Task


def joined(metrics: Sequence[Metric]) -> dict[str, float]:
    """The values of metrics that several processes have fed, brought together as a validation does it; the first keeps all."""
    first, parts = metrics[0], [metric.parts() for metric in metrics]
    first.totals = np.sum([metric.totals for metric in metrics], axis=0)
    if first.parts() is not None:
        first.join([part or [] for part in parts])
    return first.compute()


class TaskContract:
    """Inherit it, name your class and set `task`."""

    task: ClassVar[Task]

    def test_it_is_found_by_its_names(self) -> None:
        for name in (self.task.name, *self.task.aliases):
            assert tasks.get(name) is self.task
        assert self.task.title
        assert self.task.model_words
        assert self.task.views

    def test_labels_of_its_kind_make_it_what_it_is(self) -> None:
        labels, _, _ = self.task.example()
        assert tasks.of(self.task.name, labels) is self.task
        assert labels.kind in self.task.label_kinds

    def test_a_perfect_output_has_the_best_value_of_the_metric_that_decides(self) -> None:
        labels, perfect, truth = self.task.example()
        values = self._measured(labels, perfect, truth)
        name = deciding_metric(self.task.name, values) or self.task.picture_metrics[0]  # where the loss decides
        worse = self._measured(labels, self._worse(perfect), truth)[name]
        lower = facts(name).better == "lower"
        assert values[name] <= worse if lower else values[name] >= worse
        assert values[name] != worse

    def test_sums_of_parts_are_the_sum(self) -> None:
        labels, outputs, truth = self.task.example()
        whole, parts = self.task.metrics(labels), [self.task.metrics(labels) for _ in range(2)]
        half = len(truth) // 2
        for metric, first, second in zip(whole, *parts, strict=True):
            metric.update(outputs, truth)
            first.update(outputs[:half], truth[:half])
            second.update(outputs[half:], truth[half:])
            np.testing.assert_allclose(list(joined([first, second]).values()), list(metric.compute().values()), rtol=1e-9)

    def test_targets_are_indices_or_float32(self) -> None:
        _, _, truth = self.task.example()
        targets = self.task.targets(truth)
        if self.task.moves != "boxes":
            assert targets.dtype == (np.int64 if self.task.index_targets else np.float32)
            assert len(targets) == len(truth)

    def test_the_trivial_answers_can_be_measured(self) -> None:
        labels, outputs, truth = self.task.example()
        guesses = self.task.guesses(labels, lambda: iter([truth]), ())
        assert guesses
        for guess in guesses:
            answer = guess.answer(outputs if guess.sees_pictures else np.empty(0), self.task.targets(truth))
            assert guess.words
            assert np.isfinite(list(self._measured(labels, answer, self.task.targets(truth)).values())).any()

    def test_labels_and_outputs_become_json(self) -> None:
        labels, outputs, truth = self.task.example()
        for output, label in zip(outputs, truth, strict=True):
            kept = self.task.kept(np.asarray(output))
            described = [self.task.describe_label(label, labels)]
            described += [self.task.describe_output(kept, real, labels) for real in (label, None)]
            json.dumps(described, allow_nan=False)
            assert len(self.task.size_of(kept)) <= 2

    def test_a_kept_output_compares_with_its_truth(self) -> None:
        labels, outputs, truth = self.task.example()
        made, real = self.task.comparable(self.task.kept(np.asarray(outputs[0])), truth[0], 1.0)
        found = self._measured(labels, made, real)
        assert set(self.task.picture_metrics) <= set(found)
        assert all(facts(name).title for name in found)

    def test_an_evaluation_of_perfect_outputs_scores_as_the_metrics_do(self) -> None:
        labels, outputs, truth = self.task.example()
        report = self.task.report(labels, labels, TaskOptions(), 1.0, 3)
        kept = [self.task.kept(np.asarray(output)) for output in outputs]
        rows = report.add(kept, truth)
        assert {len(rows[column.name]) for column in report.columns} == {len(kept)}
        found = report.summary()
        json.dumps(found, allow_nan=False)
        assert found["labelled"] == len(kept)
        name = deciding_metric(self.task.name, found["metrics"]) or self.task.picture_metrics[0]
        np.testing.assert_allclose(found["metrics"][name], self._measured(labels, outputs, truth)[name], rtol=1e-6)

    def test_a_kept_output_is_brought_to_another_size(self) -> None:
        _, outputs, _ = self.task.example()
        kept = self.task.kept(np.asarray(outputs[0]))
        width, height = self.task.size_of(kept) if self.task.of_places else (1, 1)
        made = self.task.restored(kept, Origin.of_squashed((3 * width, 2 * height), (width, height)))
        if not self.task.of_places:
            np.testing.assert_array_equal(made, kept)
        elif self.task.moves == "boxes":
            np.testing.assert_allclose(made, kept * [3, 2, 3, 2, 1, 1])
        else:
            assert self.task.size_of(made) == [3 * width, 2 * height]

    def test_its_losses_and_views_are_there(self) -> None:
        assert set(self.task.losses) <= set(LOSSES)
        for name in self.task.views:
            assert name in loader.BUILTINS["view"] or loader.get("view", name).ok

    def test_a_wrong_output_shape_is_explained(self) -> None:
        labels, outputs, _ = self.task.example()
        if self.task.default_loss:
            shape = np.shape(outputs)[1:]
            size = shape[-2:] if len(shape) == 3 else (8, 8)
            assert self.task.output_problem(shape, labels, size) is None
            assert self.task.output_problem((997,) * (len(shape) + 1), labels, size) is not None

    def test_classes_of_another_data_set_are_renumbered(self) -> None:
        labels, _, truth = self.task.example()
        same = np.arange(len(labels.class_labels))
        if len(same):
            found = self.task.renumbered(truth[0], same, 255)
            assert np.array_equal(np.asarray(found, truth[0].dtype), truth[0])
            assert self.task.unknown_words
            assert self.task.missing_words

    def test_classes_are_counted_as_they_are_numbered(self) -> None:
        labels, _, truth = self.task.example()
        classes = len(labels.class_labels)
        if classes:
            turned = np.arange(classes)[::-1]
            counts = self.task.class_counts(truth[0], classes, 255)
            assert counts.sum() > 0
            again = self.task.class_counts(self.task.renumbered(truth[0], turned, 255), classes, 255)
            np.testing.assert_array_equal(again, counts[turned])

    def test_its_facts_load_no_heavy_library(self) -> None:
        program = "import sys, digits.tasks; print(*sys.modules)"
        loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
        assert not {"torch", "tensorflow", "numpy", "cv2", "pyarrow", "PIL", "pydantic", "flask"} & set(loaded)

    def _measured(self, labels: Labels, outputs: Any, truth: Any) -> dict[str, float]:
        values: dict[str, float] = {}
        for metric in self.task.metrics(labels):
            metric.update(outputs, truth)
            values |= metric.compute()
        return values

    def _worse(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs that are wrong for some: boxes pushed aside, everything else turned round."""
        if outputs.dtype == BOX_DTYPE or self.task.moves == "boxes":
            return outputs + np.array([9, 9, 9, 9, 0, 0])
        return outputs[::-1].copy()
