"""The engine: a training step, a predictor and the class that `digits.frameworks` names."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from digits.engines.base import (
    Engine,
    LayerReport,
    LayerRow,
    NetworkContext,
    NetworkReport,
    Predictor,
    TrainingRun,
    array_report,
)
from digits.engines.network.text import compile_text, run_text
from digits.engines.training.batches import Batch, BatchSource
from digits.engines.training.calendar import seed_for
from digits.engines.training.loop import TrainingLoop, evaluation_parts
from digits.engines.training.preprocessing import Preprocessing, preprocessing_for
from digits.engines.training.setup import (
    calendar_of,
    make_context,
    make_snapshot_manager,
    metadata,
    metrics_of,
    open_sources,
    write_files,
)
from digits.engines.training.step import HITS, Scores, Totals, TrainingStep, scores_of
from digits.engines.training.validation_samples import ValidationSamples
from digits_numpy.snapshot_file import pack, unpack


def zeros(values: int, classes: int) -> np.ndarray:
    """First weights float32 (D + 1, K); the last row is added to each score."""
    return np.zeros((values + 1, classes), np.float32)


def inputs(features: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """(N, C, H, W) as stored to what the weights meet, float32 (N, D + 1)."""
    x = features.astype(np.float32)
    if preprocessing.pixel_mean:
        x = x - np.array(preprocessing.pixel_mean, np.float32).reshape(-1, 1, 1)
    return np.append(x.reshape(len(x), -1) / preprocessing.std, np.ones((len(x), 1), np.float32), axis=1)


def softmax(scores: np.ndarray) -> np.ndarray:
    chances = np.exp(scores - scores.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)


class NumpyStep(TrainingStep):
    def __init__(
        self, run: TrainingRun, weights: np.ndarray, preprocessing: Preprocessing, validation: BatchSource | None, size: int
    ) -> None:
        self.run, self.weights, self.preprocessing = run, weights, preprocessing
        self.validation, self.size = validation, size
        self.gradient, self.totals = np.zeros_like(weights), Totals()

    def train_batch(self, batch: Batch, epoch: int, rate: float, weight: float, update: bool) -> None:
        x, rows = inputs(batch.features, self.preprocessing), np.arange(len(batch))
        chances = softmax(x @ self.weights)
        hits = int((chances.argmax(axis=1) == batch.labels).sum())
        loss = float(-np.log(chances[rows, batch.labels] + 1e-12).sum())
        self.totals.add(Totals({"loss": loss, HITS: hits}, len(batch)))
        chances[rows, batch.labels] -= 1
        self.gradient += weight * (x.T @ chances) / len(batch)
        if update:
            self.weights = (self.weights - rate * self.gradient).astype(np.float32)
            self.gradient[:] = 0

    def take(self) -> Totals:
        taken, self.totals = self.totals, Totals()
        return taken

    def healthy(self) -> bool:
        return bool(np.isfinite(self.weights).all())

    def evaluate(self) -> Scores:
        if self.validation is None:
            return Scores({}, {})
        totals, metrics = Totals(), metrics_of(self.run)
        parts = list(evaluation_parts(len(self.validation.records), self.size, 0, 1))
        for batch in self.validation.stream(parts):
            chances = self.predict_samples(batch)["output"]
            loss = float(-np.log(chances[np.arange(len(batch)), batch.labels] + 1e-12).sum())
            totals.add(Totals({"loss": loss}, len(batch)))
            for metric in metrics:
                metric.update(chances, batch.labels)
        return scores_of(totals.means(), metrics, ("loss",), {})

    def predict_samples(self, batch: Batch) -> dict[str, np.ndarray]:
        return {"output": softmax(inputs(batch.features, self.preprocessing) @ self.weights)}

    def snapshot(self, metadata: dict[str, Any]) -> bytes:
        return pack(self.weights, metadata)

    def state(self, loop: dict[str, Any]) -> bytes:
        return pack(np.stack([self.weights, self.gradient]), {"loop": loop, "sums": self.totals.sums, "count": self.totals.count})

    def load_state(self, path: Path) -> dict[str, Any]:
        (self.weights, self.gradient), found = unpack(path)
        self.totals = Totals(found["sums"], found["count"])
        return dict(found["loop"])


class NumpyPredictor(Predictor):
    def __init__(self, weights: np.ndarray, meta: dict[str, Any]) -> None:
        self.weights, self.meta = weights, meta
        self.preprocessing = Preprocessing.from_json(meta["preparation"])

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        return {"output": softmax(inputs(batch, self.preprocessing) @ self.weights).astype(np.float32)}

    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        scores = inputs(feature[None], self.preprocessing) @ self.weights
        return [LayerReport("scores", "Linear", self.weights.size, array_report(self.weights), array_report(scores[0]))]

    def close(self) -> None:
        pass


class NumpyEngine(Engine):
    name = "numpy"

    def check(self, network_text: str, context: NetworkContext) -> NetworkReport:
        weights = _build(network_text, context)[0]
        row = LayerRow("scores", "Linear", (weights.shape[1],), weights.size)
        return NetworkReport(weights.size, {"output": (weights.shape[1],)}, (row,))

    def train(self, run: TrainingRun) -> None:
        stored = run.train.meta.feature_shape or tuple(run.train.feature(0).shape)
        preprocessing = preprocessing_for(run.spec, run.train.meta, stored)
        context = make_context(run, preprocessing)
        weights, own_batch_size = _build(run.spec.network, context)
        calendar = calendar_of(run, own_batch_size, seed_for(run.spec, run.folder.name))
        with ExitStack() as stack:
            training, validation = open_sources(run, preprocessing, stack)
            step = NumpyStep(run, weights, preprocessing, validation, calendar.batch_size)
            manager = make_snapshot_manager(run, step, preprocessing, context, "npz")
            write_files(run, metadata(run, preprocessing, context))
            TrainingLoop(run, calendar, step, training, manager, ValidationSamples(run, validation)).run()

    def load(self, snapshot: Path, device: str = "cpu") -> Predictor:
        return NumpyPredictor(*unpack(snapshot))


def _build(text: str, context: NetworkContext) -> tuple[np.ndarray, int | None]:
    names = compile_text(text, "numpy")
    return run_text(lambda: names["build_network"](context)), names.get("BATCH_SIZE")
