"""The loaded snapshot: one forward pass at a time, on the GPU while it has memory left, else on the CPU."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from digits.engines.base import Candidates, Engine, LayerReport, Predictor, get_engine
from digits.engines.network.python_layers import layer_file_of, use
from digits.frameworks import DEFAULT
from digits.predictor.together import Batcher
from digits.storage.folders import JobFolder
from digits.utils.memory import is_out_of_memory

logger = logging.getLogger(__name__)
T = TypeVar("T")
CPU = "cpu"


class LoadedModel:
    """A snapshot in memory. Safe to share between threads: a Predictor is used by one of them at a time."""

    def __init__(self, engine: Engine, snapshot: Path, device: str) -> None:
        self.device = device
        self._engine = engine
        self._snapshot = snapshot
        self._lock = threading.Lock()
        self._predictor = self._load()
        self.predict_together = Batcher(self.predict)  # as `predict`, with whoever else waits

    @classmethod
    def open(cls, folder: JobFolder, snapshot: str, device: str) -> LoadedModel:
        """Load `snapshot` (relative to the model's folder). Raises StorageError when it is not there."""
        path = folder.snapshot_file(snapshot)
        use(layer_file_of(folder))
        return cls(get_engine(str(folder.spec().get("framework", DEFAULT))), path, device)

    @property
    def meta(self) -> dict[str, Any]:
        return self._predictor.meta

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """As `Predictor.predict`; moves to the CPU for good when the GPU has no memory left."""
        return self.use(lambda predictor: predictor.predict(batch))

    def candidates(self, batch: np.ndarray) -> Candidates | None:
        """As `Predictor.candidates`."""
        return self.use(lambda predictor: predictor.candidates(batch))

    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        """As `Predictor.layers`."""
        return self.use(lambda predictor: predictor.layers(feature))

    def close(self) -> None:
        with self._lock:
            self._predictor.close()

    def use(self, work: Callable[[Predictor], T]) -> T:
        """What some work with the predictor gives; it is done again on the CPU when the GPU has no memory left."""
        with self._lock:
            try:
                return work(self._predictor)
            except Exception as error:
                if self.device == CPU or not _no_room(error):
                    raise
            self._predictor.close()
            self.device = CPU
            logger.warning("The GPU has no memory left; the model goes on on the CPU.")
            self._predictor = self._load()
            return work(self._predictor)

    def _load(self) -> Predictor:
        try:
            return self._engine.load(self._snapshot, self.device)
        except Exception as error:
            if self.device == CPU:
                raise
            logger.warning("The model cannot be loaded on %s (%s); it is loaded on the CPU.", self.device, error)
            self.device = CPU
            return self._engine.load(self._snapshot, CPU)


def _no_room(error: Exception) -> bool:
    """Whether a GPU's memory was too small; what this process itself may not take (`MemoryError`) a CPU would not have either."""
    return not isinstance(error, MemoryError) and is_out_of_memory(error)
