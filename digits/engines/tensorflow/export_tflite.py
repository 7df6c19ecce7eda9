"""`tflite` and `tflite_int8`: `model.tflite` for phones and small devices, in 32 or in 8 bits, made of the SavedModel."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from digits.engines.base import Exporter, Predictor, Program
from digits.engines.parity import EXPORT_SHAPE
from digits.engines.tensorflow.export_saved_model import FOLDER, INPUT, SavedModelExporter, portable
from digits.engines.tensorflow.start import quiet, tf
from digits.errors import ExportError

FILE = "model.tflite"
SIGNATURE = "serving_default"


class TfliteExporter(Exporter):
    name = "tflite"
    runtime = "TensorFlow Lite"

    def check(self, predictor: Predictor) -> list[str]:
        return SavedModelExporter().check(predictor)

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        with tempfile.TemporaryDirectory() as temporary, quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that another package will bring it
            module = _frozen(predictor)
            tf.saved_model.save(module, str(Path(temporary) / FOLDER), signatures=module.serve)
            converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(temporary) / FOLDER), signature_keys=[SIGNATURE])
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
            self.adjust(converter, options)
            try:
                (folder / FILE).write_bytes(converter.convert())
            except Exception as error:  # of a dozen classes
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                said = next((line for line in lines if "op" in line and "'" in line), lines[0] if lines else type(error).__name__)
                raise ExportError(
                    f"TensorFlow Lite cannot take this network: {said[:300]}", advice="Choose saved_model."
                ) from error
        return [folder / FILE]

    def adjust(self, converter: Any, options: Mapping[str, Any]) -> None:
        """What a kind of this format sets before it is converted."""

    def run(self, folder: Path) -> Program:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interpreter = tf.lite.Interpreter(model_path=str(folder / FILE))
        signature = interpreter.get_signature_runner(SIGNATURE)

        def program(features: np.ndarray) -> dict[str, np.ndarray]:
            return {name: np.array(value, np.float32) for name, value in signature(**{INPUT: features}).items()}

        return program

    def facts(self, folder: Path) -> dict[str, Any]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            details = tf.lite.Interpreter(model_path=str(folder / FILE)).get_input_details()[0]
        return {"inputs": {FILE: {"input": INPUT, "shape": [int(side) for side in details["shape_signature"]]}}}


def _frozen(predictor: Predictor) -> Any:
    """As `portable`, with the weights as constants in `serve`: the converter loses those that are variables."""
    module = portable(predictor)  # type: ignore[arg-type]
    concrete = module.serve.get_concrete_function()
    constant, names = convert_variables_to_constants_v2(concrete), sorted(concrete.structured_outputs)
    made = tf.Module()

    @tf.function(input_signature=module.serve.input_signature, autograph=False)
    def serve(features: Any) -> dict[str, Any]:
        return {name: tf.identity(value) for name, value in zip(names, constant(features), strict=True)}

    made.serve = serve
    return made


class Int8TfliteExporter(TfliteExporter):
    name = "tflite_int8"
    lossy = True
    calibrated = True

    def check(self, predictor: Predictor) -> list[str]:
        reasons = super().check(predictor)
        if predictor.meta.get(EXPORT_SHAPE):
            reasons.append("It takes numbers, and there are no pictures to measure their ranges on. Choose tflite.")
        return reasons

    def adjust(self, converter: Any, options: Mapping[str, Any]) -> None:
        """Ranges are measured on the pictures of `options["calibration"]`; pictures go in and numbers come out in 32 bits."""
        pictures = np.asarray(options["calibration"], np.float32)

        def representative() -> Iterator[dict[str, np.ndarray]]:
            for picture in pictures:
                yield {INPUT: picture[None]}

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ((SIGNATURE, row) for row in representative())
