"""`info.json` of archives and stores, ours and those of the original, read as what strangers wrote: what it must say, and what
becomes of a model of a framework that is not here.

Holds: names of files are names, without folders; numbers are numbers; nothing in it is believed that the files themselves say.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits import tasks
from digits.domain.pretrained import Fetched
from digits.engines.network.python_layers import MODULE
from digits.errors import BadRequest
from digits.frameworks import frameworks
from digits.service.files.names import safe_name
from digits.tasks import CLASSIFICATION, GENERIC

INFO = "info.json"
MOST_BYTES = 4 << 20
WEIGHTS, FRAMEWORK, NAME = "snapshot file", "framework", "name"
TEXTS = ("network file", "model file")  # R 7.1: of TensorFlow and Caffe, of Torch
LABELS, LAYERS, EPOCH, DIMENSIONS, RESIZE, FILES = (
    "labels file",
    "python layer file",
    "snapshot epoch",
    "image dimensions",
    "image resize mode",
    "files",
)
IN_NAME = re.compile(r"(?:epoch|iter)_(\d+(?:\.\d+)?)")
LARGEST_SIDE = 1 << 15
GONE = {
    "caffe": "Caffe is not among the frameworks. Convert its weights to a state_dict of PyTorch (.pth) and write its network as"
    " Python with build_network(context); docs/pretrained.md shows how. Then add both at /pretrained_models/new.",
    "torch": "That is Torch7 (Lua), which is not among the frameworks. Load its .t7 file with a reader of PyTorch, save the"
    " state_dict (.pth), write the network as Python with build_network(context), and add both at /pretrained_models/new.",
    "tensorflow": "These are weights of TensorFlow 1, a checkpoint of several files. Save them with Keras 3 as x.weights.h5,"
    " write the network as Python with build_network(context), and add both at /pretrained_models/new.",
}


class BadArchive(BadRequest):
    """What was sent is no model that can be taken in; the message is the `status` of R 1.4."""


@dataclass(frozen=True)
class ModelInfo:
    """What `info.json` says. `weights`, `text` and `labels` are names of files; `shape` is (C, H, W), None where it is not said;
    `files` say size and hash where they are given."""

    name: str
    framework: str
    weights: str
    text: str
    labels: str
    layers: str
    epoch: float
    task: str
    network_name: str
    shape: tuple[int, int, int] | None
    resize_mode: str
    files: Mapping[str, Fetched]

    @property
    def needed(self) -> tuple[str, ...]:
        """The files without which there is no model."""
        return tuple(filter(None, (self.weights, self.text, self.labels, self.layers)))


def read_info(path: Path) -> dict[str, Any]:
    """The dictionary in an `info.json`. BadArchive where it is none."""
    if not path.is_file():
        raise BadArchive(f"Missing or incorrect json file: there is no {INFO}.", advice="Send an archive of a model's Download.")
    if path.stat().st_size > MOST_BYTES:
        raise BadArchive(f"Missing or incorrect json file: {INFO} has more than {MOST_BYTES >> 20} MiB.")
    return parse_info(path.read_bytes())


def parse_info(data: bytes) -> dict[str, Any]:
    """The dictionary in the bytes of an `info.json`. BadArchive where there is none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        page = " It is an HTML page." if data.lstrip()[:1] == b"<" else ""
        raise BadArchive(f"Missing or incorrect json file: {INFO} cannot be read.{page}") from error
    if not isinstance(value, dict):
        raise BadArchive(f"Missing or incorrect json file: {INFO} holds no dictionary.")
    return value


def model_info(value: Mapping[str, Any]) -> ModelInfo:
    """What a dictionary says of a model. BadArchive, saying which key is missing or wrong, or what to do with a model of a
    framework that is not here."""
    for key in (WEIGHTS, FRAMEWORK, NAME):
        if not _text(value, key):
            raise BadArchive(f"Missing key {key!r} in {INFO}.")
    framework = _framework(value)
    text = next((found for key in TEXTS if (found := _file(value, key))), "")
    if not text:
        raise BadArchive(f"Missing model definition: {INFO} has neither {' nor '.join(map(repr, TEXTS))}.")
    weights = _file(value, WEIGHTS)
    said = _text(value, "task")  # the original's archives say none
    task = (tasks.find(said) if said else None) or (CLASSIFICATION if _text(value, LABELS) else GENERIC)
    layers = _file(value, LAYERS)
    if layers and layers != f"{MODULE}.py":
        raise BadArchive(f"{layers} is no file of Python layers that can be taken in; it has to be {MODULE}.py.")
    return ModelInfo(
        name=_text(value, NAME)[:200],
        framework=framework,
        weights=weights,
        text=text,
        labels=_file(value, LABELS),
        layers=layers,
        epoch=_epoch(value.get(EPOCH), weights),
        task=task.name,
        network_name=_text(value, "network")[:200] or "custom",
        shape=_shape(value.get(DIMENSIONS)),
        resize_mode=_text(value, RESIZE)[:20],
        files=_files(value.get(FILES)),
    )


def _framework(value: Mapping[str, Any]) -> str:
    name, weights = _text(value, FRAMEWORK).lower(), _text(value, WEIGHTS)
    row = frameworks().get(name)
    if row is None or not weights.lower().endswith(row.weights):
        said = f"The archive holds a model of {_text(value, FRAMEWORK)[:40]} ({weights[:80]})."
        able = f"Frameworks are {', '.join(frameworks())}, and weights files end in {', '.join(row.weights) if row else '.pth'}."
        raise BadArchive(said, advice=GONE.get(name, able) if row is None or name == "tensorflow" else able)
    return name


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return found.strip() if isinstance(found, str) else ""


def _file(value: Mapping[str, Any], key: str) -> str:
    """The name of a file; empty where none is named. BadArchive for a path."""
    name = _text(value, key)
    if name and name != safe_name(name):
        raise BadArchive(f"{key!r} in {INFO} is {name[:80]!r}, which is no plain name of a file.")
    return name


def _epoch(value: Any, weights: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < 1e9:
        return float(value)
    found = IN_NAME.search(weights)
    return float(found[1]) if found else 1.0


def _shape(value: Any) -> tuple[int, int, int] | None:
    if not isinstance(value, list) or len(value) != 3 or not all(isinstance(n, int) and 0 < n <= LARGEST_SIDE for n in value):
        return None
    height, width, channels = value
    return channels, height, width


def _files(value: Any) -> dict[str, Fetched]:
    """What is said of files by name: `{"epoch_3.safetensors": {"size": 1234, "sha256": "…"}}`."""
    found: dict[str, Fetched] = {}
    for name, facts in value.items() if isinstance(value, dict) else ():
        if isinstance(name, str) and isinstance(facts, dict) and name == safe_name(name):
            size, sha256 = facts.get("size"), facts.get("sha256")
            known = size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else -1
            found[name] = Fetched(name, "", known, sha256 if isinstance(sha256, str) else "")
    return found
