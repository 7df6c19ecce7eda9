"""The PyTorch engine. Importing this imports torch: only workers and predictors do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digits.engines.base import Engine, NetworkContext, NetworkReport, Predictor, TrainingRun
from digits.engines.pytorch.build import report
from digits.engines.pytorch.predictor import load_predictor
from digits.errors import BadRequest


class TorchEngine(Engine):
    name = "pytorch"

    def check(self, network_text: str, context: NetworkContext) -> NetworkReport:
        return report(network_text, context)

    def train(self, run: TrainingRun) -> None:
        from digits.engines.pytorch.train import train  # Fabric: a predictor starts twice as fast without

        train(run)

    def arrays(self, snapshot: Path) -> dict[str, np.ndarray]:
        from digits.engines.pytorch.weights import read_snapshot

        weights = read_snapshot(snapshot)[0].items()
        return {name: (value.float() if value.is_floating_point() else value).numpy() for name, value in weights}

    def adopt(self, network_text: str, weights: Path, meta: Mapping[str, Any]) -> bytes:
        from digits.engines.pytorch.adopt import adopt  # a predictor has no need of it

        return adopt(network_text, weights, meta)

    def load(self, snapshot: Path, device: str = "cpu") -> Predictor:
        if device != "cpu" and not torch.cuda.is_available():
            raise BadRequest(f"PyTorch sees no GPU for {device}.", advice="Predict on the CPU.")
        return load_predictor(snapshot, device)
