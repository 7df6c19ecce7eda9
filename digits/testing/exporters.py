"""The contract of an exporter as tests: inherit `ExporterContract`, name the class, run it with pytest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import Exporter, LayerReport, Predictor, get_engine
from digits.engines.exporters import NAME
from digits.engines.parity import CLOSE, noise_features, parity
from digits.networks import catalog
from digits.testing.runs import make_dataset, striped_pictures, train

SIDE, CROP = 36, 28
CLASSES = ("left", "right")


class Stranger(Predictor):
    """A predictor of an engine that no exporter knows."""

    def __init__(self, meta: dict[str, Any]) -> None:
        self.meta = meta

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """As `digits.engines.base.Predictor.predict`."""
        return {"output": np.full((len(batch), len(CLASSES)), 1 / len(CLASSES), np.float32)}

    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        """As `digits.engines.base.Predictor.layers`."""
        return []

    def close(self) -> None:
        pass


class ExporterContract:
    """What every exporter keeps.

    `exporter` is the class, `framework` whose predictors it writes. Override the fixture `predictor` where it wants another one
    than LeNet after an epoch on pictures 1×36×36 cropped to 28×28, with a mean picture.
    """

    exporter: ClassVar[type[Exporter]]
    framework: ClassVar[str] = "pytorch"
    tolerance: ClassVar[float] = CLOSE

    @pytest.fixture(scope="class")
    @classmethod
    def predictor(cls, tmp_path_factory: pytest.TempPathFactory) -> Predictor:
        folder = tmp_path_factory.mktemp("model")
        features, labels = striped_pictures(24, SIDE, seed=1)
        data = make_dataset(folder / "data", features, labels, class_labels=CLASSES)
        text = catalog.network_text("lenet", cls.framework)
        spec = TrainingSpec(
            "x",
            "classification",
            framework=cls.framework,
            network=text,
            epochs=1,
            batch_size=8,
            seed=1,
            crop_size=CROP,
            learning_rate=LearningRate(0.01, "fixed"),
        )
        (folder / "model").mkdir()
        (folder / "model" / "network.py").write_text(text)
        train(data, folder / "model", spec)
        (snapshot,) = (folder / "model" / "snapshots").glob("epoch_1.*")
        return get_engine(cls.framework).load(snapshot)

    @pytest.fixture
    def made(self) -> Exporter:
        return self.exporter()

    def test_its_name_fits_into_an_address(self, made: Exporter) -> None:
        assert NAME.match(made.name)

    def test_it_computes_what_the_predictor_does_for_any_number_of_pictures(
        self, made: Exporter, predictor: Predictor, tmp_path: Path
    ) -> None:
        features = noise_features(predictor.meta, 5)
        before = predictor.predict(features)
        assert made.check(predictor) == []
        files = made.write(predictor, tmp_path, {"calibration": features} if made.calibrated else {})
        assert files
        assert all(file.is_file() and tmp_path in file.parents for file in files)
        written = {path for path in tmp_path.rglob("*") if path.is_file()}
        assert set(files) == written
        for runtime, program in made.runs(tmp_path).items():
            assert parity(predictor, program, features) <= self.tolerance, runtime
        assert set(made.needed(files)) <= set(files)
        assert json.dumps(made.facts(tmp_path))
        for name, values in predictor.predict(features).items():
            np.testing.assert_allclose(values, before[name], rtol=1e-5, atol=1e-6)

    def test_a_predictor_that_it_cannot_write_is_refused_in_words(self, made: Exporter, predictor: Predictor) -> None:
        reasons = made.check(Stranger(predictor.meta))
        assert reasons
        assert all(reason.strip().endswith(".") for reason in reasons)
