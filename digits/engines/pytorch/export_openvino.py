"""`openvino` and `openvino_int8`: the intermediate representation of OpenVINO, made of the ONNX file, in 32 or in 8 bits."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.engines import openvino_files
from digits.engines.base import Exporter, Predictor, Program
from digits.engines.onnx_files import MAIN, PLAIN
from digits.engines.pytorch.export_int8 import Int8OnnxExporter
from digits.engines.pytorch.export_onnx import OnnxExporter


class OpenVinoExporter(Exporter):
    name = "openvino"
    runtime = openvino_files.RUNTIME
    source: type[OnnxExporter] = OnnxExporter

    def check(self, predictor: Predictor) -> list[str]:
        return self.source().check(predictor)

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        with tempfile.TemporaryDirectory() as temporary:
            files = self.source().write(predictor, Path(temporary), options)
            plain = next((file for file in files if file.name == PLAIN), Path(temporary) / MAIN)
            return openvino_files.convert(plain, folder, predictor.meta)

    def run(self, folder: Path) -> Program:
        return openvino_files.program(folder / openvino_files.FILE)

    def facts(self, folder: Path) -> dict[str, Any]:
        return openvino_files.facts(folder)

    def needed(self, files: Sequence[Path]) -> list[Path]:
        return list(files)


class Int8OpenVinoExporter(OpenVinoExporter):
    name = "openvino_int8"
    lossy = True
    calibrated = True
    source = Int8OnnxExporter
