"""The network of docs/examples/gan.md: it learns from pictures, generates from numbers, and is exported as its generator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from digits.domain.events import MetricEvent, WarningEvent
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import get_engine
from digits.engines.parity import CLOSE, noise_features, parity
from digits.engines.pytorch.export_program import ProgramExporter
from digits.testing.runs import make_dataset, striped_pictures, train

SAMPLE = (Path(__file__).resolve().parents[3] / "docs" / "samples" / "gan.py").read_text()
SIDE = 28


@pytest.mark.parametrize("classes", [0, 3])
def test_it_learns_from_pictures_and_generates_from_numbers(classes: int, tmp_path: Path) -> None:
    pictures, numbers = striped_pictures(16, SIDE, seed=1)
    labels = np.eye(classes, dtype=np.float32)[numbers].reshape(16, 1, 1, classes) * 2 - 1 if classes else None
    kind = "array" if classes else "none"
    data = make_dataset(tmp_path / "data", pictures, labels, task="generic", label_kind=kind, validation=4)
    spec = TrainingSpec(
        "",
        "generic",
        network=SAMPLE.replace("CLASSES = 0", f"CLASSES = {classes}"),
        epochs=1,
        batch_size=6,
        use_mean="none",
        seed=1,
        solver=Solver("ADAM"),
        learning_rate=LearningRate(0.001, "fixed"),
    )
    events = train(data, tmp_path / "model", spec)
    assert not [e for e in events if isinstance(e, WarningEvent)]
    last = [e.values for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1]
    assert {"loss", "discriminator", "generator", "encoder"} <= set(last)

    predictor = get_engine("pytorch").load(tmp_path / "model" / "snapshots" / "epoch_1.safetensors")
    z = np.random.default_rng(0).normal(size=(3, 1, 1, 100 + classes)).astype(np.float32)
    made = predictor.predict(z)["output"]
    assert made.shape == (3, 1, SIDE, SIDE)
    assert np.array_equal(made, predictor.predict(z.transpose(0, 3, 1, 2))["output"])  # 100×1×1 as well as 1×1×100
    stored = made * predictor.meta["preparation"]["std"]
    assert (stored >= 0).all()
    assert (stored <= 255.001).all()
    assert predictor.predict(pictures[:2])["code"].shape == (2, 100)
    assert predictor.layers(z[0])[-1].name

    ProgramExporter().write(predictor, tmp_path, {})
    features = noise_features(predictor.meta)
    assert features.shape == (3, 1, 1, 100 + classes)
    assert parity(predictor, ProgramExporter().run(tmp_path), features) < CLOSE
