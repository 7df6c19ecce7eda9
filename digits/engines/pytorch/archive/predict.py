#!/usr/bin/env python3
"""Use this model on pictures: python predict.py PICTURE [PICTURE ...] [--top 5] [--json] [--save FOLDER] [--device cpu]

Needs PyTorch and Pillow, and torchvision or timm where network.py imports them. It prepares a picture exactly as the
training's data set did and gives the numbers that digits gave.
"""

import importlib.util
import json
import math
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # however this file is started, its neighbour is found

from predicting import (  # noqa: E402
    cut_back,
    finish,
    in_stored_units,
    main_name,
    mean_for,
    middle,
    padded,
    parser_of,
    pictured,
    read_feature,
    report,
)

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
MEAN_TENSOR = "digits.mean_image"


def read_safetensors(path):
    """Tensors by name: 8 bytes of header length, a JSON header that says where each tensor lies, then their bytes."""
    data = bytearray(path.read_bytes())
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = DTYPES[entry["dtype"]]
        raw = data[8 + size + begin : 8 + size + end]
        empty = torch.empty(0, dtype=dtype)
        tensors[name] = (torch.frombuffer(raw, dtype=dtype) if raw else empty).reshape(entry["shape"])
    return tensors


def load_model(device="cpu"):
    """The network with its weights, what is known about it, and the mean picture (or None)."""
    info = json.loads((HERE / "info.json").read_text(encoding="utf-8"))
    meta = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
    tensors = read_safetensors(HERE / info["snapshot file"])
    mean_image = tensors.pop(MEAN_TENSOR, None)
    mean_image = None if mean_image is None else mean_image.numpy()
    spec = importlib.util.spec_from_file_location("network", HERE / "network.py")
    network = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(network)
    label_shape = meta.get("label_shape")
    context = SimpleNamespace(
        task=meta["task"],
        input_shape=tuple(meta["input_shape"]),
        num_classes=len(meta["class_labels"]),
        class_labels=tuple(meta["class_labels"]),
        label_shape=None if label_shape is None else tuple(label_shape),
        label_kind=meta.get("label_kind", "index"),
        pretrained=False,
        box_sizes=tuple(meta.get("box_sizes", ())),
        input_scale=float(meta["preparation"]["std"]),
    )
    module = network.build_network(context)
    module.load_state_dict(tensors)
    return module.to(device).eval(), meta, mean_image


# -- from a feature to outputs ----------------------------------------------------------------------------------------


def prepare(feature, meta, mean_image):
    """(C, H, W) to what the network sees, float32 (1, C, h, w): middle cut out, mean taken off, scaled."""
    how = meta["preparation"]
    x = torch.from_numpy(np.ascontiguousarray(feature).astype(np.float32))[None]
    height, width = meta["input_shape"][1:]
    if tuple(feature.shape) == tuple(meta["stored_shape"]) and (height, width) != tuple(feature.shape[1:]):
        x = middle(x, height, width)
    mean = mean_for(x.shape[2:], meta, mean_image)
    if mean is not None:
        x = x - torch.from_numpy(np.ascontiguousarray(mean))
    if how["std"] != 1.0:
        x = x * (1.0 / how["std"])
    if how.get("whitening"):
        least = 1 / math.sqrt(x[0].numel())
        x = (x - x.mean()) / x.std(correction=0).clamp(min=least)
    return x


def predict(path, module, meta, mean_image, device="cpu"):
    """Outputs of one picture by name, NumPy arrays without batch axis, channels first."""
    feature = read_feature(path, meta)
    seen = padded(feature, meta)
    with torch.inference_mode():
        found = module(prepare(seen, meta, mean_image).to(device))
    if meta["task"] == "detection":
        return {"boxes": boxes_of(found[0], feature, meta)}
    if isinstance(found, (list, tuple)):
        found = {f"output{place or ''}": value for place, value in enumerate(found)}
    elif not isinstance(found, dict):
        found = {"output": found}
    values = {name: value[0].float().cpu().numpy() for name, value in found.items()}
    values[main_name(values)] = pictured(values[main_name(values)], meta)
    main = main_name(values)
    finished = {n: in_stored_units(finish(value, meta, scores=n == main), meta, mean_image) for n, value in values.items()}
    return {name: cut_back(value, feature, seen) for name, value in finished.items()}


def boxes_of(found, feature, meta):
    """Rows of left, top, right, bottom, score, class in pixels of the prepared picture, best first."""
    columns = [found["boxes"], found["scores"].unsqueeze(1), found["labels"].unsqueeze(1)]
    rows = torch.cat([column.float() for column in columns], dim=1).cpu().numpy()
    rows = rows[(rows[:, 4] > 0) & (rows[:, 5] < len(meta["class_labels"]))]
    if tuple(feature.shape) == tuple(meta["stored_shape"]):
        top, left = ((feature.shape[axis] - meta["input_shape"][axis]) // 2 for axis in (1, 2))
        rows[:, :4] += np.array([left, top, left, top], np.float32)
    return rows[np.argsort(-rows[:, 4], kind="stable")]


def main():
    parser = parser_of(__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    module, meta, mean_image = load_model(options.device)
    report(lambda path: predict(path, module, meta, mean_image, options.device), meta, options)


if __name__ == "__main__":
    main()
