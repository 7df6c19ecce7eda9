"""Engines turn records and a network text into snapshots, and snapshots into predictions. Importing this loads no framework."""

from digits.engines.base import Engine, NetworkContext, NetworkReport, Predictor, TrainingRun, get_engine
from digits.frameworks import available_frameworks

__all__ = ["Engine", "NetworkContext", "NetworkReport", "Predictor", "TrainingRun", "available_frameworks", "get_engine"]
