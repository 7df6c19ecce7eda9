"""`torch_export`: a program of torch.export, `model.pt2`, which runs without the network's text."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digits.engines.base import Exporter, Predictor, Program
from digits.engines.pytorch import portable
from digits.errors import ExportError

FILE = "model.pt2"
FIXED = "Its steps may depend on the numbers it sees, or on the size of the batch; docs/export.md says what can be traced."


class ProgramExporter(Exporter):
    name = "torch_export"

    def check(self, predictor: Predictor) -> list[str]:
        return portable.check(predictor)

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        torch.export.save(traced(portable.Portable(predictor), portable.example(predictor)), folder / FILE)  # type: ignore[arg-type]
        return [folder / FILE]

    def run(self, folder: Path) -> Program:
        module = torch.export.load(folder / FILE).module()

        def program(features: np.ndarray) -> dict[str, np.ndarray]:
            with torch.no_grad():
                return {name: value.numpy() for name, value in module(torch.from_numpy(features)).items()}

        return program


def traced(module: portable.Portable, features: torch.Tensor) -> torch.export.ExportedProgram:
    """The steps of a module for features (N, C, H, W) float32 of any N; `features` is an example. ExportError where they
    cannot be written down."""
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision and torch about each other
            return torch.export.export(module, (features,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    except Exception as error:  # of a dozen classes, private ones among them
        raise ExportError(f"torch.export cannot write this network down: {_first(error)}", advice=FIXED) from error


def _first(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:300]}"
