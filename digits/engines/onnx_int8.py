"""ONNX in 8 bits: weights and activations of convolutions and matrix products rounded after the training, their ranges measured
on pictures of the validation, by ONNX Runtime's quantization."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from digits.engines import onnx_files
from digits.engines.onnx_files import INPUT, MAIN, WEIGHTS
from digits.engines.prepared import prepare, preprocessing_of
from digits.errors import ExportError

HEAVY = ["Conv", "ConvTranspose", "Gemm", "MatMul"]  # what takes the time; everything else stays in 32 bits


class _Pictures(CalibrationDataReader):
    """Prepared pictures (n, C, h, w), one at a time."""

    def __init__(self, pictures: np.ndarray) -> None:
        self._left = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        picture = next(self._left, None)
        return None if picture is None else {INPUT: picture[None]}


def quantize(source: Path, folder: Path, meta: Mapping[str, Any], calibration: np.ndarray) -> list[Path]:
    """Write the float files of the folder `source` in 8 bits into `folder`: the files, the main one first. `calibration` has
    features (n, C, H, W) in stored units."""
    if (source / WEIGHTS).exists():
        raise ExportError("A network of more than 2 GB is not written in 8 bits.", advice="Choose onnx.")
    steps = preprocessing_of(meta)
    pictures = prepare(calibration, steps)
    dynamic = onnx_files.is_dynamic(source / MAIN)
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings(), _Silent():
        warnings.simplefilter("ignore")
        plain = Path(temporary) / MAIN
        try:
            quant_pre_process(str(source / MAIN), str(plain), skip_symbolic_shape=True)  # batch norms go into their convolutions
            quantize_static(
                str(plain),
                str(folder / MAIN),
                _Pictures(pictures),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,  # 7 bits of weights: 8 overflow in the products of processors without VNNI
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                op_types_to_quantize=HEAVY,
            )
        except Exception as error:  # of a dozen classes
            text = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ExportError(f"The network cannot be written in 8 bits: {text[:300]}", advice="Choose onnx.") from error
    return onnx_files.describe(folder, meta, dynamic=dynamic)


class _Silent:
    """Without the remarks of the quantization on the log's root."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)
