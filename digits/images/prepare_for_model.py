"""What a network expects of a picture, as its snapshot says: made of a file as the data set prepared its own pictures, or of a
record of another data set.

`meta["image"]` is the data set's preparation (see `images.prepare.Preparation`) and the encoding of its records; a snapshot of
other data says size, channels and type by `stored_shape` and `meta["preparation"]`. Features are (C, H, W) in stored units. A
network that was trained on `jpg` records gets every picture through the same compression, for it knows no better ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from digits.errors import DataError
from digits.images.arrays import resize_array, with_channels
from digits.images.place import FILLS, fill_of
from digits.images.prepare import EIGHT_BIT, Preparation, dtype_word
from digits.storage.records.codec import as_stored, encoding_of
from digits.utils.image import load_array, load_image
from digits.utils.resizing import centre_part

SUFFIXES = {b"\x93NUM": ".npy", b"II*\0": ".tif", b"MM\0*": ".tif", b"\x89PNG": ".png"}


def prepare(source: Path | str | bytes, meta: Mapping[str, Any], *, dont_resize: bool = False) -> np.ndarray:
    """The feature (C, H, W) of one picture file, in the dtype and units of the model's records; see `Preparer`."""
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
            self._preparation = replace(self._preparation, keep_size=True, padding=(0, 0))
        self._encoding = encoding_of(meta.get("image") or {})

    def __call__(self, source: Path | str | bytes) -> np.ndarray:
        return as_stored(self._feature(source), *self._encoding)

    def _feature(self, source: Path | str | bytes) -> np.ndarray:
        """The picture (C, H, W) before it is compressed."""
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
    """`feature` (C, H, W) itself when the network can take it. Raises DataError saying what does not fit."""
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


class Restores(Protocol):
    """The part of a task that says how an output lies in a picture of another size (`digits.tasks.base.Task`)."""

    of_places: ClassVar[bool]

    def restored(self, output: np.ndarray, y: float, x: float) -> np.ndarray:
        """As `digits.tasks.base.Task.restored`."""


class Fitting:
    """Records of another data set as a model wants them, and what it makes of them back at their own size; `wanted` is (C, H, W).

    Where an output belongs to places of the picture, sizes are squashed: a place at x of a width w comes to lie at x · W / w.
    Other models get the picture as their own data set would have resized it. `encoding` is that of the records.
    """

    def __init__(self, meta: Mapping[str, Any], task: Restores, encoding: str = "none") -> None:
        how = meta.get("image") or {}
        self.task = task
        self.wanted = tuple(int(n) for n in meta.get("stored_shape") or meta["input_shape"])
        self.least = tuple(int(n) for n in meta["input_shape"][1:])
        self.any_size = bool(how.get("keep_size")) or not meta.get("one_size", True)
        self.mode = "squash" if task.of_places else str(how.get("resize_mode") or "squash")
        self.fill = FILLS[fill_of(how)]
        self.dtype = np.dtype((meta.get("preparation") or {}).get("dtype") or "uint8")
        self.encoding = encoding_of(meta.get("image") or {})
        self.compresses = self.encoding[0] == "jpg" != encoding

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether pictures of a shape need no fitting."""
        return not self.compresses and self._has_size(shape)

    def _has_size(self, shape: tuple[int, ...]) -> bool:
        if self.any_size and shape[0] == self.wanted[0]:
            return shape[1] >= self.least[0] and shape[2] >= self.least[1]
        return tuple(shape) == self.wanted

    def fitted(self, feature: np.ndarray) -> np.ndarray:
        """A feature (C, H, W) with the model's channels and size, dtype kept. DataError for other types, LoadImageError for
        channels that cannot be converted."""
        if self.takes(feature.shape):
            return feature
        if feature.dtype != self.dtype:
            raise DataError(
                f"The records hold {feature.dtype} values, the model was trained on {self.dtype}.",
                advice="Choose a data set of the same type.",
            )
        if not self._has_size(feature.shape):
            picture = with_channels(feature.transpose(1, 2, 0), self.wanted[0])
            feature = resize_array(picture, *self._size(feature.shape), self.mode, self.fill).transpose(2, 0, 1)
        return as_stored(feature, *self.encoding)

    def restored(self, output: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A kept output (…, h, w), or boxes (n, 6), of a picture that had `size` (H, W) before it was fitted, as it would lie
        in that picture."""
        if not self.task.of_places:
            return output
        y, x = (own / used for own, used in zip(size, self._size((0, *size)), strict=True))
        return self.task.restored(output, y, x)

    def _size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width that a picture of a shape is given."""
        if not self.any_size:
            return self.wanted[1], self.wanted[2]
        enough = max(1.0, *(least / side for least, side in zip(self.least, shape[1:], strict=True)))
        height, width = (max(least, round(side * enough)) for least, side in zip(self.least, shape[1:], strict=True))
        return height, width


def centre_of(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The middle (…, h, w) of a larger label (…, H, W), as the crop of the picture is its middle; `shape` ends with (h, w).
    Raises DataError when sizes cannot match."""
    found = centre_part(array, (shape[-2], shape[-1]))
    if found is None:
        raise DataError(
            f"The model gives outputs of {shape[-1]}×{shape[-2]} pixels, the labels of this data set have "
            f"{array.shape[-1]}×{array.shape[-2]}.",
            advice="The output of the network must have the size of the label.",
        )
    return np.asarray(found)


def _preparation(meta: Mapping[str, Any]) -> Preparation:
    channels, height, width = (int(n) for n in meta.get("stored_shape") or meta["input_shape"])
    how = meta.get("image") or {}
    if "dtype" in how:
        return replace(Preparation.from_json(how), channels=channels, min_side=0)
    dtype = str((meta.get("preparation") or {}).get("dtype", "uint8"))
    plain = Preparation(width, height, channels, dtype=dtype_word(dtype, channels), fill=fill_of(how))
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
