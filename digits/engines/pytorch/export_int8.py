"""`onnx_int8`: the files of `onnx` in 8 bits."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.engines import onnx_int8
from digits.engines.base import Predictor
from digits.engines.parity import EXPORT_SHAPE
from digits.engines.pytorch.export_onnx import OnnxExporter


class Int8OnnxExporter(OnnxExporter):
    name = "onnx_int8"
    lossy = True
    calibrated = True

    def check(self, predictor: Predictor) -> list[str]:
        reasons = super().check(predictor)
        if predictor.meta.get(EXPORT_SHAPE):
            reasons.append("It takes numbers, and there are no pictures to measure their ranges on. Choose onnx.")
        return reasons

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        with tempfile.TemporaryDirectory() as temporary:
            super().write(predictor, Path(temporary), options)
            return onnx_int8.quantize(Path(temporary), folder, predictor.meta, options["calibration"])
