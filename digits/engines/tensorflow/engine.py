"""The TensorFlow engine. Importing this imports TensorFlow: only workers and predictors do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.engines.base import Engine, NetworkContext, NetworkReport, Predictor, TrainingRun
from digits.engines.network.checks import task_of as task_of_context
from digits.engines.tensorflow.build import report
from digits.engines.tensorflow.predictor import load_predictor
from digits.engines.tensorflow.start import start, tf
from digits.engines.training.setup import task_of
from digits.errors import BadRequest, NetworkError, TrainingError

NO_DETECTION = "Object detection is not possible with TensorFlow here."
CHOOSE = "Choose PyTorch."


class TensorflowEngine(Engine):
    name = "tensorflow"

    def check(self, network_text: str, context: NetworkContext) -> NetworkReport:
        if task_of_context(context).name in self.framework.missing_tasks:
            raise NetworkError(NO_DETECTION, advice=CHOOSE)
        start()
        return report(network_text, context)

    def train(self, run: TrainingRun) -> None:
        if task_of(run).name in self.framework.missing_tasks:
            raise TrainingError(NO_DETECTION, advice=CHOOSE, code="task")
        from digits.engines.tensorflow.train import train  # a predictor has no need of it

        train(run)

    def arrays(self, snapshot: Path) -> dict[str, np.ndarray]:
        from digits.engines.tensorflow.weights import read_weights

        return read_weights(snapshot)

    def adopt(self, network_text: str, weights: Path, meta: Mapping[str, Any]) -> bytes:
        from digits.engines.tensorflow.adopt import adopt  # a predictor has no need of it

        return adopt(network_text, weights, meta)

    def load(self, snapshot: Path, device: str = "cpu") -> Predictor:
        if device != "cpu" and not tf.config.list_physical_devices("GPU"):
            raise BadRequest(f"TensorFlow sees no GPU for {device}.", advice="Predict on the CPU.")
        return load_predictor(snapshot, device)
