"""The files of OpenVINO, `model.xml` and `model.bin`, made of a file that it reads: pictures go in as they are stored.

Its converter would report its use to its makers; what reads and saves here does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digits.engines.base import Program
from digits.engines.onnx_files import PLAIN_INPUT
from digits.engines.prepared import input_shape, names_of, preprocessing_of
from digits.errors import ExportError

FILE = "model.xml"
RUNTIME = "OpenVINO"
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}  # else it may compute in 16 bits


def convert(source: Path, folder: Path, meta: Mapping[str, Any], outputs: list[str] | None = None) -> list[Path]:
    """Write what OpenVINO reads in `source` (a file of ONNX, a folder of TensorFlow) into `folder`. `outputs` names its outputs,
    where the file does not."""
    import openvino

    try:
        model = openvino.Core().read_model(source)
        model.inputs[0].get_tensor().set_names({PLAIN_INPUT})
        for output, name in zip(model.outputs, outputs or (), strict=False):
            output.get_tensor().set_names({name})
        shape = input_shape(meta, prepared=False)
        if model.inputs[0].get_partial_shape().rank.get_length() == len(shape) + 1 and not _has_free_sides(model):
            model.reshape({model.inputs[0]: openvino.PartialShape([-1, *shape])})
        model.set_rt_info(
            " ".join(str(name).replace(" ", "_") for name in meta.get("class_labels") or ()), ["model_info", "labels"]
        )
        for key, names in names_of(meta).items():
            model.set_rt_info(json.dumps(names, ensure_ascii=False), ["digits", key])
        model.set_rt_info(json.dumps(preprocessing_of(meta, prepared=False)), ["digits", "preprocessing"])
        openvino.save_model(model, folder / FILE, compress_to_fp16=False)
    except RuntimeError as error:
        text = next((line.strip() for line in str(error).splitlines() if "not supported" in line or "No conversion" in line), "")
        said = text or str(error).strip().splitlines()[-1]
        raise ExportError(f"OpenVINO cannot take this network: {said[:300]}", advice="Choose onnx.") from error
    return [folder / FILE, (folder / FILE).with_suffix(".bin")]


def program(path: Path) -> Program:
    """A file in OpenVINO, on the CPU: features (N, C, H, W) in stored units → outputs by name."""
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", EXACT)
    names = [output.get_any_name() for output in compiled.outputs]

    def run(features: np.ndarray) -> dict[str, np.ndarray]:
        found = compiled(np.ascontiguousarray(features, np.float32))
        return {name: np.array(found[place], np.float32) for place, name in enumerate(names)}

    return run


def facts(folder: Path) -> dict[str, Any]:
    """The one input: its name, and its shape, -1 for what is free."""
    import openvino

    model = openvino.Core().read_model(folder / FILE)
    shape = [side.get_length() if side.is_static else -1 for side in model.inputs[0].get_partial_shape()]
    return {"inputs": {FILE: {"input": model.inputs[0].get_any_name(), "shape": shape}}}


def _has_free_sides(model: Any) -> bool:
    shape = list(model.inputs[0].get_partial_shape())
    return any(side.is_dynamic for side in shape[2:])
