"""`onnx`: `model.onnx` through torch.onnx's dynamo exporter, for any number of pictures, run here by ONNX Runtime."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from digits.engines.base import Exporter, Predictor, Program
from digits.engines.pytorch import portable
from digits.engines.pytorch.export_program import traced
from digits.errors import ExportError

FILE = "model.onnx"
INPUT = "features"


class OnnxExporter(Exporter):
    name = "onnx"

    def check(self, predictor: Predictor) -> list[str]:
        return portable.check(predictor)

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        module, features = portable.Portable(predictor), portable.example(predictor)  # type: ignore[arg-type]
        names = portable.output_names(module, features)
        program = traced(module, features)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # remarks about its own deprecated parts
                written = torch.onnx.export(program, input_names=[INPUT], output_names=names, dynamo=True, verbose=False)
        except Exception as error:  # of a dozen classes, private ones among them
            text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
            raise ExportError(f"ONNX has no words for this network: {text[:300]}", advice="Choose torch_export.") from error
        written.save(folder / FILE)  # weights beyond 2 GB lie beside it, in model.onnx.data
        return sorted(folder.iterdir(), key=lambda path: (path.name != FILE, path.name))

    def run(self, folder: Path) -> Program:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(folder / FILE, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]

        def program(features: np.ndarray) -> dict[str, np.ndarray]:
            return dict(zip(names, session.run(None, {INPUT: features}), strict=True))

        return program
