"""Every metric against a library of the field, and the same from any division into batches and processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn import metrics as sk

import digits
from digits.domain.metrics import LOSS, METRICS
from digits.metrics.notes import NOTES
from digits.tasks import TASKS
from digits.testing.tasks import joined
from tests.truth.metrics import COMPARED, Compared, _scored, evaluated

EXAMPLES = 60  # of each property
STEADY = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
LISTED = pytest.mark.parametrize("compared", COMPARED, ids=lambda one: one.name)


def same(found: dict[str, float], wanted: dict[str, float], within: float) -> None:
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=within, abs=within, nan_ok=True), name


@pytest.fixture(autouse=True, scope="module")
def trusted() -> Iterator[None]:
    """Scikit-learn without checks of its arguments, which take most of the time."""
    with config_context(assume_finite=True, skip_parameter_validation=True):
        yield


@LISTED
@STEADY
@given(data=st.data())
def test_a_metric_is_what_the_library_says(compared: Compared, data: Any) -> None:
    samples = data.draw(compared.samples)
    metric = compared.metric(samples)
    metric.update(samples.outputs, samples.labels)
    same(metric.compute(), compared.reference(samples), compared.within)


@LISTED
@STEADY
@given(data=st.data())
def test_batches_order_and_processes_do_not_count(compared: Compared, data: Any) -> None:
    samples = data.draw(compared.samples)
    whole = compared.metric(samples)
    whole.update(samples.outputs, samples.labels)
    processes = [compared.metric(samples) for _ in range(data.draw(st.integers(1, 3)))]
    order = data.draw(st.permutations(range(len(samples))))
    while order:
        size = data.draw(st.integers(1, len(order)))
        data.draw(st.sampled_from(processes)).update(*samples.of(order[:size]))
        order = order[size:]
    same(joined(processes), whole.compute(), 1e-9)


@STEADY
@given(samples=_scored())
def test_an_evaluation_of_classes_is_what_libraries_say(samples: Any) -> None:
    found, wanted = evaluated(samples)
    same(found["metrics"], wanted, 1e-5)
    assert ("accuracy_top5" in found["metrics"]) == (samples.classes > 5) == (found["top5"] is not None)
    made = np.zeros(len(samples), int)
    matrix = np.zeros((samples.classes, samples.classes), int)
    for true, guess, count in found["confusion"]:
        matrix[true, guess] = count
    truth = np.repeat(np.arange(samples.classes), matrix.sum(axis=1))
    made = np.concatenate([np.repeat(np.arange(samples.classes), row) for row in matrix])
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        truth, made, labels=np.arange(samples.classes), zero_division=np.nan
    )
    for k, row in enumerate(found["per_class"]):
        told = [np.nan if row[name] is None else row[name] for name in ("precision", "accuracy", "f1")]
        assert told == pytest.approx([precision[k], recall[k], f1[k] if row["count"] else np.nan], nan_ok=True)


@pytest.mark.parametrize("name", [name for name in METRICS if name != LOSS])
def test_every_metric_is_compared(name: str) -> None:
    assert any(name in one.covers for one in COMPARED)


def test_every_metric_is_described() -> None:
    page = (Path(digits.__file__).parents[1] / "docs/metrics.md").read_text()
    assert list(NOTES) == list(METRICS)
    for name, one in METRICS.items():
        assert one.over, name
        assert f"\n## {name}\n\n{one.title}.\n\n* **Formula**: {NOTES[name].formula}\n" in page
        libraries = {compared.library for compared in COMPARED if name in compared.covers}
        assert name == LOSS or any(library in NOTES[name].compared for library in libraries)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_metric_of_every_task_is_in_the_registry(task: Any) -> None:
    labels, outputs, truth = task.example()
    listed = {name for one in COMPARED for name in one.covers}
    for metric in task.metrics(labels):
        metric.update(outputs, truth)
        assert {name.partition("/")[0] for name in metric.compute()} <= listed
