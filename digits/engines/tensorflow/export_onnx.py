"""`onnx` of a model of TensorFlow: the same two files as of the other engine, through tf2onnx, where that is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.engines import onnx_files
from digits.engines.base import Exporter, Predictor, Program
from digits.engines.tensorflow.export_saved_model import SavedModelExporter, portable
from digits.engines.tensorflow.start import quiet
from digits.errors import ExportError

OPSET = 18


class OnnxExporter(Exporter):
    name = "onnx"
    runtime = onnx_files.RUNTIME

    def check(self, predictor: Predictor) -> list[str]:
        return SavedModelExporter().check(predictor)

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        import tf2onnx

        module = portable(predictor, prepared=True)  # type: ignore[arg-type]
        target = folder / onnx_files.MAIN
        try:
            with quiet():
                signature = module.serve.input_signature
                tf2onnx.convert.from_function(module.serve, input_signature=signature, opset=OPSET, output_path=str(target))
        except Exception as error:  # of a dozen classes
            text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ExportError(f"ONNX has no words for this network: {text[:300]}", advice="Choose saved_model.") from error
        return onnx_files.describe(folder, predictor.meta, dynamic=False)

    def run(self, folder: Path) -> Program:
        return onnx_files.program(folder)

    def runs(self, folder: Path) -> dict[str, Program]:
        return onnx_files.runs(folder)

    def facts(self, folder: Path) -> dict[str, Any]:
        return onnx_files.facts(folder)

    def needed(self, files: Sequence[Path]) -> list[Path]:
        return onnx_files.needed(files)
