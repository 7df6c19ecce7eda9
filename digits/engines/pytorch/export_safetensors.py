"""`safetensors`: the weights alone, `model.safetensors`, with class names and preprocessing in the file's header, for programs
that have the network themselves."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from digits.engines.base import Exporter, Predictor, Program
from digits.engines.prepared import names_of, preprocessing_of
from digits.engines.pytorch import portable
from digits.engines.pytorch.predictor import TorchPredictor

FILE = "model.safetensors"
MEAN = "digits.mean_image"  # (C, H, W), where the training subtracted a picture; no weight of the network


class SafetensorsExporter(Exporter):
    name = "safetensors"
    runtime = "PyTorch, weights read anew"

    def __init__(self) -> None:
        self._predictor: TorchPredictor | None = None

    def check(self, predictor: Predictor) -> list[str]:
        return [] if isinstance(predictor, TorchPredictor) else [portable.OTHER_ENGINE]

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        assert isinstance(predictor, TorchPredictor)
        self._predictor, meta = predictor, predictor.meta
        weights = {name: value.detach().cpu().contiguous().clone() for name, value in predictor.module.state_dict().items()}
        if predictor.inputs.mean_image is not None:
            weights[MEAN] = torch.from_numpy(np.array(predictor.inputs.mean_image, np.float32))
        facts = {
            "format": "pt",
            **{name: json.dumps(names, ensure_ascii=False) for name, names in names_of(meta).items()},
            "preprocessing": json.dumps(preprocessing_of(meta)),
            "task": str(meta.get("task", "")),
            "network": str(meta.get("network_name", "")),
        }
        save_file(weights, folder / FILE, metadata=facts)
        return [folder / FILE]

    def run(self, folder: Path) -> Program:
        assert self._predictor is not None, "what has no network cannot be run: `write` comes first"
        weights = load_file(folder / FILE)
        weights.pop(MEAN, None)
        read = copy.copy(self._predictor)
        read.module = copy.deepcopy(self._predictor.module)
        with torch.no_grad():
            for value in read.module.state_dict().values():
                value.zero_()
        read.module.load_state_dict(weights)
        return read.predict
