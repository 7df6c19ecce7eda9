"""The PyTorch engine. Importing this imports torch: only workers and predictors do."""

from __future__ import annotations

from pathlib import Path

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

    def load(self, snapshot: Path, device: str = "cpu") -> Predictor:
        if device != "cpu" and not torch.cuda.is_available():
            raise BadRequest(f"PyTorch sees no GPU for {device}.", advice="Predict on the CPU.")
        return load_predictor(snapshot, device)
