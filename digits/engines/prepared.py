"""What a picture has to become before a network sees it, in the words of the files that are taken away: plain JSON of the
metadata of a snapshot, read without a framework.

`(x − mean) / std` with a number for each channel is all of it: where the training subtracted a mean picture, a file that takes
prepared pictures does the rest inside, and so it does with *Standardise each picture*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from digits.engines.parity import EXPORT_SHAPE
from digits.images.place import fill_of
from digits.tasks import Labels, of
from digits.utils.resizing import centre_start

PADS = ("fill", "half_crop")  # ways to resize that leave room around a picture
COLOURS = {1: "L", 3: "RGB"}


def preprocessing_of(meta: Mapping[str, Any], *, prepared: bool = True) -> dict[str, Any]:
    """`mean` and `std` (a number for each channel, in stored units), `size` (height, width), `padding` (height, width) where the
    data set pads first, `resize` (how it resizes then; `none`: it does not), `fill` where that pads too, `resize_to` and `crop`
    where the middle is cut out afterwards, `channels`, `color`, `layout`, `dtype` and `range` of the stored values. Of one that
    takes numbers in the place of pictures: only their shape.

    Of a file that takes `prepared` pictures, or of one that takes them as they are stored and does all this itself: then mean and
    scale change nothing, and `size` is the stored one.
    """
    if numbers := meta.get(EXPORT_SHAPE):
        count = int(numbers[0])
        return {"mean": [0.0] * count, "std": [1.0] * count, "size": list(numbers[1:]), "resize": "none", "channels": count}
    how, image = meta["preparation"], meta.get("image") or {}
    channels, *stored = (int(side) for side in meta["stored_shape"])
    size = [int(side) for side in meta["input_shape"][1:]] if prepared else stored
    padding = [int(side) for side in reversed(image.get("padding") or ()) if side]
    mode = "none" if image.get("keep_size") else str(image.get("resize_mode") or "squash")
    return {
        "mean": _mean(how, channels) if prepared else [0.0] * channels,
        "std": [float(how.get("std", 1.0)) if prepared else 1.0] * channels,
        "size": size,
        **({"padding": padding} if padding else {}),
        "resize": mode,
        **({"fill": fill_of(image)} if mode in PADS else {}),
        "resize_to": stored,
        "crop": "centre" if prepared and size != stored else "none",
        "channels": channels,
        "color": COLOURS.get(channels, ""),
        "layout": "NCHW",
        "dtype": "float32",
        "range": [0, 255] if how.get("dtype", "uint8") == "uint8" else None,
        **({"jpeg_quality": image.get("jpeg_quality") or 90} if image.get("feature_encoding") == "jpg" else {}),
    }


def names_of(meta: Mapping[str, Any]) -> dict[str, list[str]]:
    """`class_names`, and `value_names` where the numbers that come out have names of their own."""
    labels = Labels.of_snapshot(meta)
    values = of(str(meta.get("task", "")), labels).value_names(labels)
    return {"class_names": list(labels.class_labels), **({"value_names": list(values)} if values else {})}


def input_shape(meta: Mapping[str, Any], *, prepared: bool = True) -> tuple[int, int, int]:
    """(C, H, W) of what goes in."""
    shape = meta.get(EXPORT_SHAPE) or meta["input_shape" if prepared else "stored_shape"]
    return int(shape[0]), int(shape[1]), int(shape[2])


def prepare(features: np.ndarray, preprocessing: Mapping[str, Any]) -> np.ndarray:
    """Features (N, C, H, W) of any type in stored units → (N, C, h, w) float32, as `preprocessing_of` says. Pictures of the
    stored size are cut to their middle; others keep their size."""
    x = np.asarray(features, np.float32)
    height, width = preprocessing["size"]
    if preprocessing.get("crop") == "centre" and list(x.shape[2:]) == list(preprocessing["resize_to"]):
        top, left = centre_start(x.shape[2] - height), centre_start(x.shape[3] - width)
        x = x[:, :, top : top + height, left : left + width]
    mean, std = (np.asarray(preprocessing[name], np.float32).reshape(-1, 1, 1) for name in ("mean", "std"))
    return np.ascontiguousarray((x - mean) / std)


def _mean(how: Mapping[str, Any], channels: int) -> list[float]:
    found = [float(number) for number in how.get("pixel_mean") or ()]
    return found if found and how.get("mean_kind", "none") != "none" else [0.0] * channels
