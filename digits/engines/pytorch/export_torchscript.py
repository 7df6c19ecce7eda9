"""`torchscript`: a traced program, `model.ts.pt`, for `torch.jit.load` and libtorch, while PyTorch still has it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digits.engines.base import Exporter, Predictor, Program
from digits.engines.prepared import names_of, preprocessing_of
from digits.engines.pytorch import portable
from digits.errors import ExportError

FILE = "model.ts.pt"
FACTS = "digits.json"  # inside the file
GONE = "This PyTorch has no TorchScript any more. Choose torch_export, which took its place."


class TorchScriptExporter(Exporter):
    name = "torchscript"
    runtime = "TorchScript"

    def check(self, predictor: Predictor) -> list[str]:
        return portable.check(predictor) + ([] if callable(getattr(torch.jit, "trace", None)) else [GONE])

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        module, features = portable.Portable(predictor), portable.example(predictor)  # type: ignore[arg-type]
        meta = predictor.meta
        facts = {
            **names_of(meta),
            "preprocessing": preprocessing_of(meta, prepared=False),
        }
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is no longer cared for, and every step that it cannot follow
                program = torch.jit.trace(module, (features,), strict=False, check_trace=False)
                torch.jit.save(program, folder / FILE, _extra_files={FACTS: json.dumps(facts, ensure_ascii=False)})
        except Exception as error:  # of a dozen classes
            text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ExportError(
                f"TorchScript cannot write this network down: {text[:300]}", advice="Choose torch_export."
            ) from error
        return [folder / FILE]

    def run(self, folder: Path) -> Program:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(folder / FILE)

        def program(features: np.ndarray) -> dict[str, np.ndarray]:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return {name: value.numpy() for name, value in module(torch.from_numpy(features)).items()}

        return program
