"""From a picture file to a feature, without any framework: a part of every `predict.py`, put into it by `archives`."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

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
    bytes_only = (meta.get("preparation") or {}).get("dtype", "uint8") == "uint8"
    if how.get("dtype", "8-bit" if bytes_only else "") != "8-bit" or channels not in (1, 3):
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
