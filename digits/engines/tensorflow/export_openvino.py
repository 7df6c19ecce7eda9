"""`openvino`: the intermediate representation of OpenVINO, made of the SavedModel."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.engines import openvino_files
from digits.engines.base import Exporter, Predictor, Program
from digits.engines.parity import noise_features
from digits.engines.tensorflow.export_saved_model import FOLDER, SavedModelExporter


class OpenVinoExporter(Exporter):
    name = "openvino"
    runtime = openvino_files.RUNTIME

    def check(self, predictor: Predictor) -> list[str]:
        return SavedModelExporter().check(predictor)

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        names = sorted(predictor.predict(noise_features(predictor.meta, 1)))  # as a signature sorts its outputs
        with tempfile.TemporaryDirectory() as temporary:
            SavedModelExporter().write(predictor, Path(temporary), options)
            return openvino_files.convert(Path(temporary) / FOLDER, folder, predictor.meta, names)

    def run(self, folder: Path) -> Program:
        return openvino_files.program(folder / openvino_files.FILE)

    def facts(self, folder: Path) -> dict[str, Any]:
        return openvino_files.facts(folder)
