"""The Open Inference Protocol as bytes: what a request may be, and what each wrong one is told."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest

from digits.errors import BadRequest
from digits.service.serving import open_inference as protocol
from digits.storage.publications import Publication, Version

VERSION = Version(3, "m", "m", "s", 1.0, "classification", "pytorch", 0.0, class_labels=("a", "b"))
NAME = Publication("n", "", 0.0, active=3, versions=(VERSION,))
FILE = base64.b64encode(b"picture").decode()


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "features", "datatype": "FP32", "shape": [1, 1, 1, 2], "data": [1, 2], **changes}


def files(**changes: Any) -> dict[str, Any]:
    return {"name": "image_file", "datatype": "BYTES", "shape": [1], "data": [FILE], **changes}


def read(body: Any, tail: bytes = b"") -> protocol.InferRequest:
    text = json.dumps(body).encode()
    return protocol.read_request(text + tail, str(len(text)) if tail else None)


@pytest.mark.parametrize("data", [[1, 2], [[[[1, 2]]]], [1.0, 2.0]])
def test_features_flat_or_nested(data: Any) -> None:
    batch = read({"inputs": [tensor(data=data)]}).batch
    assert batch is not None
    assert (batch.dtype, batch.tolist()) == (np.float32, [[[[1.0, 2.0]]]])


def test_tensors_behind_the_json() -> None:
    raw = np.array([1, 2], "<f4").tobytes()
    entry = {**tensor(parameters={"binary_data_size": 8}), "data": None}
    assert np.asarray(read({"inputs": [entry]}, raw).batch).tolist() == [[[[1.0, 2.0]]]]
    raw = b"\x02\x00\x00\x00ab\x01\x00\x00\x00c"
    entry = files(shape=[2], parameters={"binary_data_size": len(raw)})
    assert read({"inputs": [entry]}, raw).files == (b"ab", b"c")


@pytest.mark.parametrize(
    ("body", "tail", "said"),
    [
        ([], b"", "no JSON object"),
        ({}, b"", "inputs is no list"),
        ({"inputs": [1]}, b"", "inputs is no list of objects"),
        ({"inputs": []}, b"", "has 0 inputs"),
        ({"inputs": [tensor(), files()]}, b"", "has 2 inputs"),
        ({"id": 7, "inputs": [tensor()]}, b"", "id is no text"),
        ({"inputs": [tensor(name="x")]}, b"", "There is no input 'x'"),
        ({"inputs": [tensor(datatype="BOOL")]}, b"", "expected FP32"),
        ({"inputs": [tensor(shape="x")]}, b"", "no list of whole numbers"),
        ({"inputs": [tensor(shape=[1, 1, 1, -2])]}, b"", "no list of whole numbers"),
        ({"inputs": [tensor(shape=[2])]}, b"", "expected [N, C, H, W]"),
        ({"inputs": [tensor(shape=[2**30, 2**30, 2**30, 2**30])]}, b"", "1 to 1024 pictures"),
        ({"inputs": [tensor(shape=[0, 1, 1, 2])]}, b"", "1 to 1024"),
        ({"inputs": [tensor(data=[1])]}, b"", "expected [1, 1, 1, 2], or 2 numbers in a row"),
        ({"inputs": [tensor(data=[[1, 2], [3]])]}, b"", "several lengths"),
        ({"inputs": [tensor(data=["1", "2"])]}, b"", "not all numbers"),
        ({"inputs": [tensor(data=None)]}, b"", "not all numbers"),
        ({"inputs": [tensor(parameters={"binary_data_size": 8})]}, b"1234", "there are 4"),
        ({"inputs": [tensor(parameters={"binary_data_size": 4})]}, b"1234", "has 8 bytes; 4 came"),
        ({"inputs": [tensor(data=[1, float("nan")])]}, b"", "holds 1 values that are not finite"),
        ({"inputs": [tensor(datatype="FP64", data=[1e300, -1e300])]}, b"", "holds 2 values that are not finite"),
        ({"inputs": [tensor(data=[1, 10**400])]}, b"", "not all numbers"),
        ({"inputs": [tensor(parameters={"binary_data_size": 8})]}, b"\0\0\xc0\x7f\0\0\0\0", "not finite"),
        ({"inputs": [files(datatype="FP32")]}, b"", "expected BYTES"),
        ({"inputs": [files(data=["%"])]}, b"", "no base64"),
        ({"inputs": [files(data=[7])]}, b"", "no text"),
        ({"inputs": [files(data=[FILE, FILE])]}, b"", "came with 2 files"),
        ({"inputs": [files(shape=[1], parameters={"binary_data_size": 2})]}, b"\x01\x00", "middle of a length"),
        ({"inputs": [files(shape=[1], parameters={"binary_data_size": 5})]}, b"\x09\x00\x00\x00a", "says that it has 9"),
        ({"inputs": [files(shape=[1], parameters={"binary_data_size": 4})]}, b"\x00\x00\x00\x00", "is empty"),
        ({"inputs": [tensor()], "outputs": 7}, b"", "outputs is no list"),
        ({"inputs": [tensor()], "outputs": [{"parameters": {"classification": "x"}}]}, b"", "no number of classes"),
    ],
)
def test_what_is_wrong_is_said(body: Any, tail: bytes, said: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(body, tail)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b"{}", "9"),
        (b"{}", "x"),
        (b"{}", "²"),
        (b"{}", "9" * 5000),
        (b"{}", "-1"),
        (b"{}", ""),
    ],
)
def test_garbage_is_refused(body: bytes, length: str | None) -> None:
    with pytest.raises(BadRequest):
        protocol.read_request(body, length)


def test_answers_in_json_and_in_bytes() -> None:
    outputs = {"output": np.array([[0.25, np.nan]], np.float32)}
    asked = read({"id": "x", "inputs": [tensor()]})
    made = protocol.write_answer(asked, NAME, VERSION, outputs)
    entry = {"name": "output", "datatype": "FP32", "shape": [1, 2], "data": [0.25, None]}
    assert json.loads(made.body) == {"model_name": "n", "model_version": "3", "id": "x", "outputs": [entry]}
    asked = read({"inputs": [tensor()], "outputs": [{"name": "output", "parameters": {"binary_data": True}}]})
    made = protocol.write_answer(asked, NAME, VERSION, outputs)
    assert made.body[made.header_length :] == outputs["output"].tobytes()
    wanted = [{"name": "output", "parameters": {"classification": 1}}]
    made = protocol.write_answer(read({"inputs": [tensor()], "outputs": wanted}), NAME, VERSION, {"output": np.eye(2)[1:]})
    assert json.loads(made.body)["outputs"][0]["data"] == ["1.000000:1:b"]
    with pytest.raises(BadRequest, match="has no output 'x'"):
        protocol.write_answer(read({"inputs": [tensor()], "outputs": [{"name": "x"}]}), NAME, VERSION, outputs)
