"""From a picture file to the feature a network expects: as the data set prepared its own pictures, told by the snapshot.

`meta["image"]` is the data set's preparation (see `extensions.data.classification.picture.Preparation`); a snapshot of other
data says size, channels and type by `stored_shape` and `meta["preparation"]`. Features are (C, H, W) in stored units.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digits.errors import DataError
from digits.images.prepare import EIGHT_BIT, Preparation
from digits.utils.image import load_array, load_image

SUFFIXES = {b"\x93NUM": ".npy", b"II*\0": ".tif", b"MM\0*": ".tif", b"\x89PNG": ".png"}


def prepare(source: Path | str | bytes, meta: Mapping[str, Any], *, dont_resize: bool = False) -> np.ndarray:
    """The feature (C, H, W) of one picture file; see `Preparer`."""
    return Preparer(meta, dont_resize=dont_resize)(source)


class Preparer:
    """Makes features (C, H, W) of picture files: call it with a path or the bytes of a file.

    With `dont_resize` the picture keeps its size; its channels are brought to those of the data set all the same. A picture
    that keeps its size but is smaller than the network's input is enlarged. A call raises LoadImageError for what cannot be
    read, DataError for what does not fit.
    """

    def __init__(self, meta: Mapping[str, Any], *, dont_resize: bool = False) -> None:
        self._preparation = _preparation(meta)
        self._least = tuple(int(n) for n in meta["input_shape"][1:])
        self._enlarges = self._preparation.keep_size and not dont_resize
        if dont_resize:
            self._preparation = replace(self._preparation, keep_size=True)

    def __call__(self, source: Path | str | bytes) -> np.ndarray:
        picture = load_image(source) if self._preparation.dtype == EIGHT_BIT else _values(source)
        feature = self._preparation.feature(picture)
        height, width = feature.shape[1:]
        if self._enlarges and (height < self._least[0] or width < self._least[1]):
            scale = max(self._least[0] / height, self._least[1] / width)
            height, width = (max(m, round(n * scale)) for m, n in zip(self._least, (height, width), strict=True))
            enlarged = replace(self._preparation, keep_size=False, resize_mode="squash", height=height, width=width)
            return enlarged.feature(picture)
        return feature


def check_feature(feature: np.ndarray, meta: Mapping[str, Any], *, dont_resize: bool = False) -> np.ndarray:
    """`feature` itself when the network can take it. Raises DataError saying what does not fit."""
    wanted = tuple(int(n) for n in meta["input_shape"])
    stored = tuple(int(n) for n in meta.get("stored_shape") or wanted)
    if feature.ndim != 3 or feature.shape[0] != wanted[0]:
        raise DataError(f"The picture has the shape {feature.shape}; (C, H, W) with {wanted[0]} channel(s) is needed.")
    any_size = dont_resize or _preparation(meta).keep_size
    fits = any_size and feature.shape[1] >= wanted[1] and feature.shape[2] >= wanted[2]
    if not fits and feature.shape != stored:
        raise DataError(
            f"The picture is {feature.shape[2]}×{feature.shape[1]}; the network was trained on {stored[2]}×{stored[1]}.",
            advice="Resize it first, or choose a network that takes any size.",
        )
    return feature


def _preparation(meta: Mapping[str, Any]) -> Preparation:
    channels, height, width = (int(n) for n in meta.get("stored_shape") or meta["input_shape"])
    how = meta.get("image") or {}
    if "dtype" in how:
        return replace(Preparation.from_json(how), channels=channels, min_side=0)
    dtype = str((meta.get("preparation") or {}).get("dtype", "uint8"))
    eight_bit = dtype == "uint8" and channels in (1, 3)
    plain = Preparation(width, height, channels, dtype=EIGHT_BIT if eight_bit else dtype)
    known = {name: how[name] for name in ("width", "height", "resize_mode", "keep_size") if how.get(name)}
    return replace(plain, **known)


def _values(source: Path | str | bytes) -> np.ndarray:
    """Values as the file holds them, (H, W) or (H, W, C)."""
    if isinstance(source, Path | str):
        return load_array(source)
    with tempfile.NamedTemporaryFile(suffix=SUFFIXES.get(source[:4], ".png")) as file:
        file.write(source)
        file.flush()
        return load_array(file.name)
