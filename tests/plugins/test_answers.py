"""The network texts that answer questions about stories: both compute the same, and one learns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from digits.domain.events import MetricEvent
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.testing.runs import make_dataset, train
from tests.examples import DOCS, example

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "babi"))

import digits_data_babi as babi

FAST: dict[str, Any] = {"solver": Solver("ADAM"), "learning_rate": LearningRate(0.01, "poly"), "snapshot_interval": 0}
CONTEXT = NetworkContext("classification", (1, 7, 5), 4, (), ("a", "b", "c", "d"), input_scale=12.5)


def stories(count: int, seed: int) -> np.ndarray:
    """Pictures of word numbers (N, 1, 7, 5) with empty rows at the start of stories and short sentences."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(1, 40, (count, 1, 7, 5))
    for one, first, length in zip(numbers[:, 0], rng.integers(0, 5, count), rng.integers(2, 6, count), strict=True):
        one[:first] = 0
        one[:, length:] = 0
    return numbers.astype(np.float32)


def test_both_texts_compute_the_same() -> None:
    pytest.importorskip("tensorflow")
    ours = example("answers", "samples").build_network(CONTEXT).eval()
    keras_model = example("answers_keras", "samples").build_network(CONTEXT)
    weights = [ours.vectors.weight, ours.places, ours.ages]
    for layer in ours.layers:
        weights += [layer.gate.weight.T, layer.gate.bias, layer.reduced.weight.T, layer.reduced.bias]
    weights += [ours.classes.weight.T, ours.classes.bias]
    keras_model.set_weights([weight.detach().numpy() for weight in weights])
    pictures = stories(9, seed=3) / CONTEXT.input_scale
    with torch.inference_mode():
        expected = ours(torch.from_numpy(pictures)).numpy()
    found = np.asarray(keras_model(pictures.transpose(0, 2, 3, 1), training=False))
    assert np.ptp(expected, axis=0).min() > 1e-3  # stories differ
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_a_later_sentence_says_covers_what_earlier_ones_said() -> None:
    """A gate that is open leaves nothing of what was before it; a row without words changes nothing."""
    layer = example("answers", "samples").Reduction()
    with torch.no_grad():
        layer.gate.weight.fill_(0)
        layer.gate.bias.fill_(30)
    said = torch.tensor([[1.0, 1.0, 0.0]])
    sentences, questions = torch.randn(2, 1, 3, layer.reduced.out_features)
    with torch.no_grad():
        found = layer(sentences, questions, said)
        alone = torch.tanh(layer.reduced(torch.cat([sentences, questions, sentences * questions], dim=2)))
    torch.testing.assert_close(found[:, :2], alone[:, :2])
    torch.testing.assert_close(found[:, 2], alone[:, 1])


def test_it_learns_to_follow_people(tmp_path: Path) -> None:
    example("stories").write(tmp_path / "stories", 120)
    source: Any = babi.DataIngestion(story_folder=str(tmp_path / "stories"), task_id="1", pct_val=20, allowed_roots=["/"])
    source.prepare(lambda problem: None)
    pairs = [source.encode_entry(entry) for stage in ("train_db", "val_db") for entry in source.itemize_entries(stage)]
    held_out = len(source.itemize_entries("val_db"))
    features, labels = np.stack([feature for feature, _ in pairs]), np.concatenate([label for _, label in pairs])
    names = tuple(source.userdata["class_labels"])
    data = make_dataset(tmp_path / "data", features, labels, class_labels=names, validation=held_out)
    text = (DOCS / "samples" / "answers.py").read_text()
    spec = TrainingSpec("d", "classification", network=text, epochs=12, batch_size=16, use_mean="none", seed=1, **FAST)
    events = train(data, tmp_path / "model", spec)
    accuracies = [event.values["accuracy"] for event in events if isinstance(event, MetricEvent) and event.phase == "val"]
    assert accuracies[-1] > 0.9  # of six rooms
    assert get_engine("pytorch").check(text, CONTEXT).output_shapes == {"output": (4,)}
