"""The server in an archive takes a picture that is posted as it is, without a name, as it takes one with a name in a form."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tifffile
from onnx import TensorProto, helper
from PIL import Image

from digits.images.prepare import Preparation
from digits.service.models import templates
from tests.journeys.client import multipart

HEIGHT, WIDTH = 4, 6
FILES = {"server.py": "server.py", "predicting.py": "predicting.py", "predict_onnx.py": "predict.py"}
COLOUR = np.full((HEIGHT, WIDTH, 3), 40_000, np.uint16)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of a model of colours of 16 bits that answers with the mean of each channel."""
    folder = tmp_path_factory.mktemp("archive")
    for source, name in FILES.items():
        (folder / name).write_bytes((Path(templates.__path__[0]) / source).read_bytes())
    write_model(folder)
    command = [sys.executable, "-I", "-u", str(folder / "server.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def write_model(folder: Path) -> None:
    node = helper.make_node("ReduceMean", ["features"], ["output"], axes=[2, 3], keepdims=0)
    source = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3, HEIGHT, WIDTH])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])
    graph = helper.make_graph([node], "means", [source], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model_plain.onnx")
    image = Preparation(WIDTH, HEIGHT, 3, dtype="uint16").to_json()
    shape = [3, HEIGHT, WIDTH]
    meta = {"task": "generic", "class_labels": [], "input_shape": shape, "stored_shape": shape, "image": image}
    (folder / "preprocessing.json").write_text(json.dumps({**meta, "preparation": {"dtype": "uint16"}}))


def answer(address: str, data: bytes, kind: str = "application/octet-stream") -> tuple[int, Any]:
    request = urllib.request.Request(f"{address}predict", data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as found:
            return found.status, json.loads(found.read())
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())


def tiff(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def png(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (tiff(COLOUR, photometric="rgb"), 40_000),
        (tiff(COLOUR.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"), 40_000),
        (npy(COLOUR), 40_000),
        (png(COLOUR[:, :, 0]), 40_000),
        (png((COLOUR >> 8).astype(np.uint8)), 156),
    ],
    ids=["tiff", "planes", "npy", "grey png", "8 bits"],
)
def test_a_picture_without_a_name_is_read_by_its_content(address: str, data: bytes, expected: int) -> None:
    assert answer(address, data) == (200, {"output": [expected] * 3})
    for name in ("a.tif", "a.npy", "a.png", "a"):
        assert answer(address, *multipart({}, {"image_file": (name, data)})) == (200, {"output": [expected] * 3})


@pytest.mark.parametrize(
    "data",
    [
        b"II*\0junk",
        tiff(COLOUR, photometric="rgb", compression="zlib")[:-40],
        npy(COLOUR)[:-9],
        npy(COLOUR[0, 0]),
        png(COLOUR[:, :, 0])[:-30],
    ],
    ids=["junk", "torn tiff", "torn npy", "no picture", "torn png"],
)
def test_what_is_no_picture_is_refused_with_a_reason(address: str, data: bytes) -> None:
    status, found = answer(address, data)
    assert status == 400
    assert found["error"].startswith("This cannot be used as a picture: ")
    assert tempfile.gettempdir() not in found["error"]
