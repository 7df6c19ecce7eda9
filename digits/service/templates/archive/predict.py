#!/usr/bin/env python3
"""Classify pictures with this model: python predict.py PICTURE [PICTURE ...] [--top 5] [--json] [--device cpu]

Needs PyTorch and Pillow, and torchvision or timm where network.py imports them. It prepares a picture exactly as the
training's data set did and gives the numbers that digits gave.
"""

import argparse
import importlib.util
import json
import math
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
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


# -- from a file to a feature (C, H, W) -----------------------------------------------------------------------------


def load_picture(path):
    """A picture with 8 bits a channel, mode L or RGB: turned as its EXIF tag says, transparent parts white."""
    with Image.open(path) as image:
        image.load()
        image = ImageOps.exif_transpose(image)
    mode = image.mode
    if mode in ("L", "RGB"):
        return image
    if mode == "1":
        return image.convert("L")
    if mode in ("P", "PA", "RGBA", "RGBa", "LA", "La"):
        canvas = Image.new("RGBA", image.size, (255, 255, 255, 255))
        canvas.alpha_composite(image.convert("RGBA"))
        return canvas.convert("L" if mode in ("LA", "La") else "RGB")
    if mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    return image.convert("RGB")


def scaled_size(size, target, mode):
    """Width and height to scale to before cutting and padding."""
    ratios = (size[0] / target[0], size[1] / target[1])
    if mode == "squash" or ratios[0] == ratios[1]:
        return target
    ratio = {"crop": min(ratios), "fill": max(ratios), "half_crop": sum(ratios) / 2}[mode]
    width, height = (max(1, round(side / ratio)) for side in size)
    if mode == "crop":
        return max(width, target[0]), max(height, target[1])
    if mode == "fill":
        return min(width, target[0]), min(height, target[1])
    return width, height


def resize(image, width, height, mode):
    """Squash, crop, fill or half_crop to width x height, as an array (H, W) or (H, W, 3); padding is repeatable noise."""
    if image.size == (width, height):
        return np.asarray(image)
    array = np.asarray(image.resize(scaled_size(image.size, (width, height), mode), Image.Resampling.BILINEAR))
    top, left = max(0, (array.shape[0] - height) // 2), max(0, (array.shape[1] - width) // 2)
    centre = array[top : top + height, left : left + width]
    if centre.shape[:2] == (height, width):
        return centre
    shape = (height, width, *array.shape[2:])
    result = np.random.default_rng(shape).integers(0, 256, shape, np.uint8)
    top, left = (height - centre.shape[0]) // 2, (width - centre.shape[1]) // 2
    result[top : top + centre.shape[0], left : left + centre.shape[1]] = centre
    return result


def read_feature(path, meta):
    """The picture as the data set stored its own: (C, H, W)."""
    channels, height, width = meta["stored_shape"]
    how = meta.get("image") or {}
    if how.get("dtype", "8-bit") != "8-bit" or channels not in (1, 3):
        return read_values(path, channels, height, width)
    image = load_picture(path).convert("L" if channels == 1 else "RGB")
    if how.get("keep_size"):
        least_height, least_width = meta["input_shape"][1:]
        scale = max(1.0, least_height / image.height, least_width / image.width)
        size = max(least_width, round(image.width * scale)), max(least_height, round(image.height * scale))
        array = np.asarray(image if scale == 1.0 else image.resize(size, Image.Resampling.BILINEAR))
    else:
        array = resize(image, how.get("width") or width, how.get("height") or height, how.get("resize_mode") or "squash")
    return array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)


def read_values(path, channels, height, width):
    """Values that are no 8-bit picture (.npy, 16-bit PNG, TIFF), which must have the right size already."""
    array = np.load(path, allow_pickle=False) if Path(path).suffix == ".npy" else np.asarray(Image.open(path))
    array = array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)
    if array.shape != (channels, height, width):
        sys.exit(f"{path} has the shape {array.shape}; {(channels, height, width)} is needed.")
    return array


# -- from a feature to probabilities ---------------------------------------------------------------------------------


def middle(x, height, width):
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def prepare(feature, meta, mean_image):
    """(C, H, W) to what the network sees, float32 (1, C, h, w): middle cut out, mean taken off, scaled."""
    how = meta["preparation"]
    x = torch.from_numpy(np.ascontiguousarray(feature).astype(np.float32))[None]
    height, width = meta["input_shape"][1:]
    if tuple(feature.shape) == tuple(meta["stored_shape"]) and (height, width) != tuple(feature.shape[1:]):
        x = middle(x, height, width)
    if how["mean_kind"] != "none":
        fits = mean_image is not None and mean_image.shape[-2] >= x.shape[-2] and mean_image.shape[-1] >= x.shape[-1]
        if how["mean_kind"] == "image" and fits:
            x = x - middle(mean_image, x.shape[-2], x.shape[-1])
        else:
            x = x - torch.tensor(how["pixel_mean"]).reshape(-1, 1, 1)
    if how["std"] != 1.0:
        x = x * (1.0 / how["std"])
    if how.get("whitening"):
        least = 1 / math.sqrt(x[0].numel())
        x = (x - x.mean()) / x.std(correction=0).clamp(min=least)
    return x


def classify(path, module, meta, mean_image, device="cpu"):
    """Probabilities of one picture, one number per class."""
    with torch.inference_mode():
        scores = module(prepare(read_feature(path, meta), meta, mean_image).to(device))
    if isinstance(scores, dict):
        scores = scores.get("output", list(scores.values())[-1])
    elif isinstance(scores, (list, tuple)):
        scores = scores[0]
    return scores.float()[:, : len(meta["class_labels"])].softmax(dim=1)[0].cpu().tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--top", type=int, default=5, help="how many classes to print (5)")
    parser.add_argument("--json", action="store_true", help="print all probabilities as JSON")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    module, meta, mean_image = load_model(options.device)
    labels = meta["class_labels"]
    found = {path: classify(path, module, meta, mean_image, options.device) for path in options.pictures}
    if options.json:
        print(json.dumps({path: dict(zip(labels, scores, strict=True)) for path, scores in found.items()}, indent=1))
        return
    for path, scores in found.items():
        print(path)
        for score, label in sorted(zip(scores, labels, strict=True), reverse=True)[: options.top]:
            print(f"  {score * 100:6.2f} %  {label}")


if __name__ == "__main__":
    main()
