"""Batches of one picture: a rest of one goes with the batch before it; a batch size of one gets a sentence of advice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from digits.domain.events import MetricEvent, WarningEvent
from digits.domain.training import TrainingSpec
from digits.engines.training.batches import epoch_order, training_batches
from digits.engines.training.calendar import batch_count, make_calendar
from digits.errors import TrainingError
from digits.testing.runs import make_dataset, striped_pictures, train
from tests.truth.engines import ENGINES

TEXTS = {
    "pytorch": """
from torch import nn

def build_network(context):
    channels, height, width = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
""",
    "tensorflow": """
import keras
from keras import layers

def build_network(context):
    channels, height, width = context.input_shape
    return keras.Sequential([keras.Input((height, width, channels)), layers.Flatten(), layers.Dense(8),
                             layers.BatchNormalization(), layers.Dense(2)])
""",
}


@pytest.mark.parametrize("entries", range(1, 12))
@pytest.mark.parametrize("size", range(1, 6))
def test_every_record_is_in_one_batch_and_none_is_alone(entries: int, size: int) -> None:
    order = epoch_order(entries, 3, 0, True)
    batches = training_batches(order, min(size, entries))
    assert np.array_equal(np.concatenate(batches), order)
    assert len(batches) == batch_count(entries, min(size, entries))
    assert make_calendar(TrainingSpec("x", "classification", epochs=1), entries, size, 1).total == len(batches)
    if size > 1 and entries > 1:
        assert min(map(len, batches)) > 1
        assert max(map(len, batches)) <= size + 1
        assert {len(batch) for batch in batches[:-1]} <= {size}


def spec_of(framework: str, batch_size: int, processes: int = 1) -> TrainingSpec:
    return TrainingSpec(
        "d",
        "classification",
        framework,
        TEXTS[framework],
        epochs=1,
        batch_size=batch_size,
        seed=1,
        use_mean="none",
        val_interval=0,
        cpu_processes=processes,
    )


@pytest.mark.parametrize("framework", ENGINES)
def test_a_rest_of_one_trains_with_a_network_that_normalises(tmp_path: Path, framework: str) -> None:
    """The case train_last_batch_of_one: 17 pictures in batches of 16."""
    dataset = make_dataset(tmp_path / "d", *striped_pictures(17, 8, 1), class_labels=("a", "b"), validation=0)
    events = train(dataset, tmp_path / "m", spec_of(framework, 16))
    assert max(event.step for event in events if isinstance(event, MetricEvent)) == 1
    assert not [event for event in events if isinstance(event, WarningEvent)]


def test_several_processes_share_the_joined_batch(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "d", *striped_pictures(5, 8, 1), class_labels=("a", "b"), validation=0)
    events = train(dataset, tmp_path / "m", spec_of("pytorch", 4, processes=2))
    assert max(event.step for event in events if isinstance(event, MetricEvent)) == 1


def test_a_batch_size_of_one_is_advised_against(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "d", *striped_pictures(3, 8, 1), class_labels=("a", "b"), validation=0)
    with pytest.raises(TrainingError, match="nothing to normalise over") as failed:
        train(dataset, tmp_path / "m", spec_of("pytorch", 1))
    assert "batch size of at least 2" in failed.value.advice


@pytest.mark.parametrize("framework", ENGINES[1:])
def test_where_one_can_be_trained_all_the_same_a_warning_says_it(tmp_path: Path, framework: str) -> None:
    dataset = make_dataset(tmp_path / "d", *striped_pictures(3, 8, 1), class_labels=("a", "b"), validation=0)
    events = train(dataset, tmp_path / "m", spec_of(framework, 1))
    assert [event.code for event in events if isinstance(event, WarningEvent)] == ["batch-of-one"]
