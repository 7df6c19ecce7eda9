"""`saved_model`: a SavedModel folder whose `serving_default` takes and gives what a predictor does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.engines.base import Exporter, Predictor, Program
from digits.engines.network.checks import PROBABILITIES
from digits.engines.parity import EXPORT_SHAPE
from digits.engines.prepared import input_shape
from digits.engines.tensorflow.inputs import centre, whiten
from digits.engines.tensorflow.predictor import TensorflowPredictor, finished
from digits.engines.tensorflow.start import quiet, tf
from digits.engines.training.preprocessing import learns_its_input
from digits.errors import ExportError

FOLDER = "saved_model"
INPUT = "features"


class SavedModelExporter(Exporter):
    name = "saved_model"
    runtime = "TensorFlow, SavedModel"

    def check(self, predictor: Predictor) -> list[str]:
        return [] if isinstance(predictor, TensorflowPredictor) else ["Only models of TensorFlow are written in this format."]

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        target = folder / FOLDER
        try:
            with quiet():
                module = portable(predictor)  # type: ignore[arg-type]
                tf.saved_model.save(module, str(target), signatures=module.serve)
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise ExportError(f"The network cannot be saved: {str(error).splitlines()[0][:300]}") from error
        files = [path for path in target.rglob("*") if path.is_file()]
        return sorted(files, key=lambda path: (path.name != "saved_model.pb", str(path)))

    def run(self, folder: Path) -> Program:
        loaded = tf.saved_model.load(str(folder / FOLDER))
        serve = loaded.signatures["serving_default"]

        def program(features: np.ndarray) -> dict[str, np.ndarray]:
            return {name: value.numpy() for name, value in serve(**{INPUT: tf.constant(features)}).items()}

        program.loaded = loaded  # type: ignore[attr-defined]  # a signature alone does not keep the weights
        return program


def portable(predictor: TensorflowPredictor, *, prepared: bool = False) -> Any:
    """A module with the function `serve`: features (N, C, H, W) in stored units, pictures that are `prepared` as
    `digits.engines.prepared` says, or the numbers that exports take instead of pictures, as they are → outputs as `predict`
    gives them."""
    preprocessing = predictor.preprocessing
    size = (preprocessing.input_shape[1], preprocessing.input_shape[2])
    task, labels, given = predictor.task, predictor.labels, bool(predictor.meta.get(PROBABILITIES, False))
    numbers = predictor.meta.get(EXPORT_SHAPE)
    module = tf.Module()
    module.model = predictor.model_for((*size, preprocessing.input_shape[0]))

    shape = input_shape(predictor.meta, prepared=prepared)

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32, name=INPUT)], autograph=False)
    def serve(features: Any) -> dict[str, Any]:
        if numbers:
            x = predictor.inputs.raw(features)
        elif prepared:
            x = _with_the_rest(predictor.inputs.raw(features), predictor)
        else:
            x = predictor.inputs(centre(features, size) if preprocessing.crops else features)  # (N, h, w, C)
        outputs = module.model(x, training=False)
        found = finished(outputs, task, labels, preprocessing, given)
        if learns_its_input(task, labels, preprocessing.whitening):
            found = {name: _restored(value, predictor) for name, value in found.items()}
        return {n: tf.transpose(v, (0, 3, 1, 2)) if v.shape.rank == 4 else tf.identity(v) for n, v in found.items()}

    module.serve = serve
    return module


def _with_the_rest(x: Any, predictor: TensorflowPredictor) -> Any:
    """Prepared pictures (N, h, w, C), from which only the mean of each channel was subtracted, without the mean picture and, as
    the training had it, each with mean 0 and deviation 1."""
    preprocessing, mean = predictor.preprocessing, predictor.inputs.mean_for(x)
    if mean is not None and mean.shape[:2] != (1, 1):
        per_channel = np.array(preprocessing.pixel_mean, np.float32)
        x = x + (per_channel - mean) * np.float32(1.0 / preprocessing.std)
    return whiten(x) if preprocessing.whitening else x


def _restored(value: Any, predictor: TensorflowPredictor) -> Any:
    """Pictures (N, H, W, C) of the input's channels in stored units; other outputs as they are."""
    if value.shape.rank != 4 or value.shape[3] != predictor.preprocessing.stored_shape[0]:
        return value
    mean = predictor.inputs.mean_for(value)
    scaled = value * np.float32(predictor.preprocessing.std)
    return scaled if mean is None else scaled + mean
