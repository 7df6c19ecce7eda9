"""The Open Inference Protocol (KServe V2) as bytes: metadata of a model, requests and answers, with the binary extension of
Triton's clients. Pure: no request is served here.

A tensor is JSON (`data`, flat or nested), or lies behind the JSON in the body (`binary_data_size`): numbers little-endian, texts
and files each behind its length (4 bytes, little-endian). In JSON a file is base64.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from digits.errors import BadRequest
from digits.service.serving.infer import file_of, finite_float32
from digits.storage.publications import Publication, Version
from digits.utils.values import finite, is_digits

if TYPE_CHECKING:
    import numpy as np

FEATURES, FILES = "features", "image_file"  # the inputs: exactly one of the two is sent
NUMBERS = {"FP32": "<f4", "FP64": "<f8", "UINT8": "u1", "INT32": "<i4"}  # all become FP32
MOST_PICTURES = 1024
EXTENSIONS = ("binary_tensor_data", "classification")
LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class WantedOutput:
    """An output that a request names; with `classes` the so many best are wanted as texts `score:index:label`."""

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True)
class InferRequest:
    """A request: the `batch` (N, C, H, W) float32, or the picture `files`; the wanted outputs, all where none is named."""

    id: str = ""
    batch: np.ndarray | None = None
    files: tuple[bytes, ...] = ()
    outputs: tuple[WantedOutput, ...] = ()
    binary: bool = False  # what is not said otherwise

    @property
    def count(self) -> int:
        return len(self.files) if self.batch is None else len(self.batch)


@dataclass(frozen=True)
class InferAnswer:
    """The bytes of an answer; `header_length` is that of its JSON where tensors follow it."""

    body: bytes
    header_length: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


def model_metadata(publication: Publication, version: Version) -> dict[str, Any]:
    """What the protocol says of a model. Of its inputs one is sent; `parameters` say what they mean."""
    channels, height, width = version.features if len(version.features) == 3 else (-1, -1, -1)
    return {
        "name": publication.name,
        "versions": [str(one.number) for one in publication.versions],
        "platform": f"digits_{version.framework or 'pytorch'}",
        "inputs": [
            {"name": FEATURES, "datatype": "FP32", "shape": [-1, channels, height, width]},
            {"name": FILES, "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [{"name": name, "datatype": "FP32", "shape": [-1, *shape]} for name, shape in version.outputs],
        "parameters": {
            "one_of": [FEATURES, FILES],
            FEATURES: "prepared pictures in the units of the data set, channels first, RGB; mean and scale are inside",
            FILES: "picture files as they are; in JSON as base64",
            "task": version.task,
            "class_names": list(version.class_labels),
            "snapshot_epoch": version.epoch,
        },
    }


def read_request(body: bytes, header_length: str | None) -> InferRequest:
    """The request of a body; `header_length` is the header `Inference-Header-Content-Length`. Raises BadRequest."""
    size = json_length(body, header_length)
    try:
        value = json.loads(body[:size])
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The request is no JSON: {str(error)[:200]}.") from error
    if not isinstance(value, dict):
        raise BadRequest("The request is no JSON object.")
    if not isinstance(value.get("id", ""), str):
        raise BadRequest("id is no text.")
    tensors = _objects(value, "inputs")
    if len(tensors) != 1:
        raise BadRequest(f"The request has {len(tensors)} inputs; send {FEATURES} or {FILES}, one of the two.")
    tail = memoryview(body)[size:]
    batch, files = _input(tensors[0], tail)
    binary = _parameters(value).get("binary_data_output") is True
    outputs = tuple(_wanted(one, binary) for one in (_objects(value, "outputs") if value.get("outputs") is not None else ()))
    return InferRequest(value.get("id", ""), batch, files, outputs, binary)


def write_answer(
    request: InferRequest, publication: Publication, version: Version, outputs: Mapping[str, np.ndarray]
) -> InferAnswer:
    """The answer with outputs (N, …) by name; in JSON what is not finite is null. Raises BadRequest for an unknown output."""
    wanted = request.outputs or tuple(WantedOutput(name, request.binary) for name in outputs)
    described, parts = [], []
    for one in wanted:
        if one.name not in outputs:
            raise BadRequest(f"The model has no output {one.name[:80]!r}; it has {', '.join(outputs)}.")
        entry, data = _output(one, outputs[one.name], version)
        described.append(entry)
        parts += [data] if data is not None else []
    head: dict[str, Any] = {"model_name": publication.name, "model_version": str(version.number)}
    head |= {"id": request.id} if request.id else {}
    text = json.dumps(finite({**head, "outputs": described}), allow_nan=False, separators=(",", ":")).encode()
    return InferAnswer(b"".join([text, *parts]), len(text) if parts else None)


def json_length(body: bytes, header_length: str | None) -> int:
    """How many bytes at the begin of a body are JSON, by the header. Raises BadRequest for one that does not fit."""
    if header_length is None:
        return len(body)
    if not (is_digits(header_length) and len(header_length) < 12 and int(header_length) <= len(body)):
        raise BadRequest(f"Inference-Header-Content-Length is {header_length[:40]!r}, and the body has {len(body)} bytes.")
    return int(header_length)


def _objects(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = value.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadRequest(f"{name} is no list of objects.")
    return found


def _parameters(value: Mapping[str, Any]) -> Mapping[str, Any]:
    found = value.get("parameters")
    if found is not None and not isinstance(found, dict):
        raise BadRequest("parameters is no object.")
    return found or {}


def _wanted(value: Mapping[str, Any], binary: bool) -> WantedOutput:
    parameters = _parameters(value)
    classes = parameters.get("classification", 0)
    if type(classes) is not int or not 0 <= classes <= 100_000:
        raise BadRequest("classification is no number of classes.")
    said = parameters.get("binary_data")
    return WantedOutput(str(value.get("name")), binary if said is None else said is True, classes)


def _input(value: Mapping[str, Any], tail: memoryview) -> tuple[np.ndarray | None, tuple[bytes, ...]]:
    name, kind, shape = value.get("name"), value.get("datatype"), value.get("shape")
    if name not in (FEATURES, FILES):
        raise BadRequest(f"There is no input {str(name)[:80]!r}; there are {FEATURES} (FP32) and {FILES} (BYTES).")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**31 for n in shape):
        raise BadRequest(f"The shape of {name} is no list of whole numbers.")
    size = _parameters(value).get("binary_data_size")
    if size is not None and (type(size) is not int or size != len(tail)):
        raise BadRequest(f"{name} says that it has {size} bytes behind the JSON; there are {len(tail)}.")
    raw = None if size is None else tail
    if name == FILES:
        if kind != "BYTES":
            raise BadRequest(f"{FILES} is {kind}, expected BYTES.")
        return None, _files(value.get("data"), raw, shape)
    if kind not in NUMBERS:
        raise BadRequest(f"{FEATURES} is {kind}, expected FP32.")
    return _batch(value.get("data"), raw, shape, NUMBERS[kind]), ()


def _batch(data: Any, raw: memoryview | None, shape: list[int], dtype: str) -> np.ndarray:
    import numpy as np

    if len(shape) != 4 or not 1 <= shape[0] <= MOST_PICTURES or 0 in shape:
        raise BadRequest(f"{FEATURES} has the shape {shape}, expected [N, C, H, W] with 1 to {MOST_PICTURES} pictures.")
    count = math.prod(shape)
    if raw is not None:
        if len(raw) != count * np.dtype(dtype).itemsize:
            raise BadRequest(f"{FEATURES} of the shape {shape} has {count * np.dtype(dtype).itemsize} bytes; {len(raw)} came.")
        return finite_float32(np.frombuffer(raw, dtype).reshape(shape), FEATURES)
    try:
        array = np.array(data)
    except ValueError as error:
        raise BadRequest(f"The data of {FEATURES} are lists of several lengths.") from error
    if array.dtype.kind not in "iuf":
        raise BadRequest(f"The data of {FEATURES} are not all numbers.")
    if array.shape not in ((count,), tuple(shape)):
        raise BadRequest(
            f"The data of {FEATURES} have the shape {list(array.shape)}, expected {shape}, or {count} numbers in a row."
        )
    return finite_float32(array, FEATURES).reshape(shape)


def _files(data: Any, raw: memoryview | None, shape: list[int]) -> tuple[bytes, ...]:
    files = _split(raw) if raw is not None else [file_of(text) for text in _flat(data)]
    if len(files) != math.prod(shape) or not 1 <= len(files) <= MOST_PICTURES:
        raise BadRequest(f"{FILES} of the shape {shape} came with {len(files)} files; 1 to {MOST_PICTURES} are taken.")
    if not all(files):
        raise BadRequest(f"A file of {FILES} is empty.")
    return tuple(files)


def _flat(data: Any) -> list[Any]:
    """The texts of `data`, which may be nested once, as clients write a shape [N, 1]."""
    if not isinstance(data, list):
        raise BadRequest(f"The data of {FILES} are no list.")
    return [text for one in data for text in (one if isinstance(one, list) else [one])]


def _split(raw: memoryview) -> list[bytes]:
    files, start = [], 0
    while start < len(raw):
        if start + LENGTH.size > len(raw):
            raise BadRequest(f"{FILES} ends in the middle of a length.")
        (size,) = LENGTH.unpack(raw[start : start + LENGTH.size])
        start += LENGTH.size
        if start + size > len(raw):
            raise BadRequest(f"A file of {FILES} says that it has {size} bytes; {len(raw) - start} are left.")
        files.append(bytes(raw[start : start + size]))
        start += size
    return files


def _output(wanted: WantedOutput, array: np.ndarray, version: Version) -> tuple[dict[str, Any], bytes | None]:
    """How an output (N, …) is described, and its bytes where they follow the JSON."""
    import numpy as np

    if wanted.classes:
        texts = _classes(array, wanted.classes, version)
        entry: dict[str, Any] = {"name": wanted.name, "datatype": "BYTES", "shape": [len(texts), len(texts[0])]}
        if not wanted.binary:
            return {**entry, "data": [text for row in texts for text in row]}, None
        data = b"".join(LENGTH.pack(len(text.encode())) + text.encode() for row in texts for text in row)
    else:
        entry = {"name": wanted.name, "datatype": "FP32", "shape": list(array.shape)}
        plain = np.ascontiguousarray(array, np.dtype("<f4"))
        if not wanted.binary:
            return {**entry, "data": plain.reshape(-1).tolist()}, None
        data = plain.tobytes()
    return {**entry, "parameters": {"binary_data_size": len(data)}}, data


def _classes(array: np.ndarray, count: int, version: Version) -> list[list[str]]:
    """The best classes of scores (N, K), each `score:index:label`."""
    if array.ndim != 2:
        raise BadRequest("Only outputs of scores (N, K) have best classes.", advice="Leave classification out.")
    labels = version.class_labels
    order = (-array).argsort(axis=1, kind="stable")[:, :count]
    return [
        [f"{row[k]:f}:{k}:{labels[k]}" if k < len(labels) else f"{row[k]:f}:{k}" for k in places.tolist()]
        for row, places in zip(array, order, strict=True)
    ]
