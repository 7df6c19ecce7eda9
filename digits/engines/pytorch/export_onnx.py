"""`onnx`: `model.onnx` and `model_plain.onnx` through torch.onnx's dynamo exporter, for any number of pictures, of any size where
the network takes that; run here by ONNX Runtime."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from digits.engines import onnx_files
from digits.engines.base import Exporter, Predictor, Program
from digits.engines.onnx_files import INPUT, MAIN
from digits.engines.parity import CLOSE, EXPORT_SHAPE, noise_features, parity
from digits.engines.pytorch import portable
from digits.engines.pytorch.export_program import refused, traced
from digits.errors import ExportError

OPSET = 18  # the first that has all that the exporter writes; ONNX Runtime reads it since 1.14
LARGER = (32, 64)  # by how much another size is larger, with which the free sizes are tried: networks halve five times


class OnnxExporter(Exporter):
    name = "onnx"
    runtime = onnx_files.RUNTIME

    def check(self, predictor: Predictor) -> list[str]:
        return portable.check(predictor)

    def write(self, predictor: Predictor, folder: Path, options: Mapping[str, Any]) -> list[Path]:
        other = _larger(predictor)
        if other is not None:
            with contextlib.suppress(Exception):  # of a dozen classes; then it has one size
                files = _write(predictor, folder, dynamic=True)
                if parity(predictor, self.run(folder), other) <= CLOSE:
                    return files
        for file in folder.iterdir():
            file.unlink()
        return _write(predictor, folder, dynamic=False)

    def run(self, folder: Path) -> Program:
        return onnx_files.program(folder)

    def runs(self, folder: Path) -> dict[str, Program]:
        return onnx_files.runs(folder)

    def facts(self, folder: Path) -> dict[str, Any]:
        return onnx_files.facts(folder)

    def needed(self, files: Sequence[Path]) -> list[Path]:
        return onnx_files.needed(files)


def _write(predictor: Predictor, folder: Path, *, dynamic: bool) -> list[Path]:
    module = portable.Portable(predictor, prepared=True)  # type: ignore[arg-type]
    example = portable.example(predictor, prepared=True)
    names = portable.output_names(module, example)
    program = traced(module, example, sizes=dynamic)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks about its own deprecated parts
            written = torch.onnx.export(
                program, input_names=[INPUT], output_names=names, opset_version=OPSET, dynamo=True, verbose=False
            )
    except Exception as error:  # of a dozen classes, private ones among them
        raise ExportError(
            f"ONNX has no words for this network: {refused(error, program)}",
            advice="Write that layer with other operators, or choose torch_export.",
        ) from error
    written.save(folder / MAIN)  # weights beyond 2 GB lie beside it
    return onnx_files.describe(folder, predictor.meta, dynamic=dynamic)


def _larger(predictor: Predictor) -> np.ndarray | None:
    """Features (1, C, H, W) of the stored type, larger than the stored ones, where the predictor takes such; None where its size
    is fixed: by a mean picture, by boxes, by the network."""
    how = predictor.meta["preparation"]
    if how["mean_kind"] == "image" or predictor.meta.get(EXPORT_SHAPE) or predictor.task.moves == "boxes":  # type: ignore[attr-defined]
        return None
    channels, *size = how["stored_shape"]
    shape = [channels, *(side + more for side, more in zip(size, LARGER, strict=True))]
    meta = {**predictor.meta, "preparation": {**how, "stored_shape": shape}}
    features = noise_features(meta, 1).astype(how.get("dtype", "uint8"))
    with contextlib.suppress(Exception):  # whatever a network says to a size that it does not take
        predictor.predict(features)
        return features
    return None
