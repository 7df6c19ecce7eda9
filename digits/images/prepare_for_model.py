"""What a network expects of a picture, as its snapshot says: made of a file as the data set prepared its own pictures, or of a
record of another data set.

`meta["image"]` is the data set's preparation (see `images.prepare.Preparation`) and the encoding of its records; a snapshot of
other data says size, channels and type by `stored_shape` and `meta["preparation"]`. Features are (C, H, W) in stored units. A
network that was trained on `jpg` records gets every picture through the same compression, for it knows no better ones.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from PIL import Image

from digits.errors import DataError, LoadImageError
from digits.images.arrays import becomes, resize_array, widened, with_channels
from digits.images.place import FILLS, Origin, fill_of
from digits.images.prepare import EIGHT_BIT, Preparation, dtype_word
from digits.storage.records.codec import as_stored, encoding_of
from digits.utils.image import load_described, load_image
from digits.utils.resizing import centre_part
from digits.utils.stored import MAX_PIXELS, read_stored

MADE_EIGHT_BIT = "It has more than 8 bits a channel and is taken with 8, as the model's pictures have."
SUFFIXES = {b"\x93NUM": ".npy", b"II*\0": ".tif", b"MM\0*": ".tif", b"\x89PNG": ".png"}


def prepare(source: Path | str | bytes, meta: Mapping[str, Any], *, dont_resize: bool = False) -> np.ndarray:
    """The feature (C, H, W) of one picture file, in the dtype and units of the model's records; see `Preparer`."""
    return Preparer(meta, dont_resize=dont_resize)(source)


class PreparedPicture(NamedTuple):
    """A feature (C, H, W), where it comes from in the picture as it is looked at (turned as its EXIF tag says), what was
    converted in words (empty: nothing), and how long its file took to be read and decoded."""

    feature: np.ndarray
    origin: Origin
    note: str = ""
    decode_seconds: float = 0.0


class Preparer:
    """Makes features (C, H, W) of picture files: call it with a path or the bytes of a file.

    With `dont_resize` the picture keeps its size, and so it does where it is to be answered in tiles (`tiled`), but that it is
    enlarged until the network's input fits into it; its channels are brought to those of the data set all the same. A picture
    that keeps its size but is smaller than the network's input is enlarged. Where a plugin made the records, nobody knows how it
    read its files: a picture of another type than theirs is given it with its values unscaled, as an entry among theirs would be.
    A call raises LoadImageError for what cannot be read, DataError for what does not fit.
    """

    def __init__(self, meta: Mapping[str, Any], *, dont_resize: bool = False, tiled: bool = False) -> None:
        self._preparation = _preparation(meta)
        self._least = _least(meta)
        self._enlarges = tiled or (self._preparation.keep_size and not dont_resize)
        if dont_resize or tiled:
            self._preparation = replace(self._preparation, keep_size=True, padding=(0, 0))
        self._encoding = encoding_of(meta.get("image") or {})
        self._converts = "dtype" not in (meta.get("image") or {})
        self._dtype = np.dtype(np.uint8 if self._preparation.dtype == EIGHT_BIT else self._preparation.dtype)

    def __call__(self, source: Path | str | bytes) -> np.ndarray:
        return self.prepared(source).feature

    def prepared(self, source: Path | str | bytes) -> PreparedPicture:
        """The feature, and what is to be said of it."""
        started = time.perf_counter()
        picture, note = self._loaded(source)
        decoded = time.perf_counter() - started
        width, height = (picture.shape[1], picture.shape[0]) if isinstance(picture, np.ndarray) else picture.size
        preparation = self._for_size(width, height)
        if not isinstance(picture, np.ndarray):
            preparation = replace(preparation, dtype=EIGHT_BIT)
        feature = as_stored(preparation.feature(picture), *self._encoding)
        return PreparedPicture(feature.astype(self._dtype, copy=False), preparation.origin(width, height), note, decoded)

    def _loaded(self, source: Path | str | bytes) -> tuple[np.ndarray | Image.Image, str]:
        """A picture of 8 bits, also where it is to become records of another type; else the values (H, W) or (H, W, C) in the
        type of the records; and what was converted in words."""
        if self._preparation.dtype == EIGHT_BIT:
            picture, _, was_deep = load_described(source)
            return picture, MADE_EIGHT_BIT if was_deep else ""
        values = _values(source)
        converted, note = self._preparation.typed(values)
        if note and self._converts and values.dtype == np.uint8 and self._preparation.channels in (1, 3):
            with contextlib.suppress(LoadImageError):  # an array in a file, which no program shows
                return load_image(source), note
        return converted, note

    def _for_size(self, width: int, height: int) -> Preparation:
        """The preparation of a picture of a size: one that is smaller than what the network takes is enlarged."""
        own, least = self._preparation, (self._least[1], self._least[0])
        prepared = own.origin(width, height).prepared
        if not self._enlarges or all(have >= want for have, want in zip(prepared, least, strict=True)):
            return own
        scale = max(want / have for have, want in zip(prepared, least, strict=True))
        size = [max(want, round(have * scale)) for have, want in zip(prepared, least, strict=True)]
        if size[0] * size[1] > MAX_PIXELS:
            found = f"It is {width}x{height} pixels; enlarged until the network's input of {least[0]}x{least[1]} fits into it"
            raise LoadImageError(f"{found} it would be {size[0]}x{size[1]}.", advice="Cut it first.")
        return replace(own, keep_size=False, resize_mode="squash", width=size[0], height=size[1])


def check_feature(
    feature: np.ndarray, meta: Mapping[str, Any], *, dont_resize: bool = False, as_given: bool = False
) -> np.ndarray:
    """`feature` (C, H, W) itself when the network can take it; `as_given`: whether it can is for the network to say. Raises
    DataError saying what does not fit."""
    wanted = tuple(int(n) for n in meta["input_shape"])
    stored = tuple(int(n) for n in meta.get("stored_shape") or wanted)
    if as_given and feature.ndim == 3:
        return feature
    if feature.ndim != 3 or feature.shape[0] != wanted[0]:
        raise DataError(f"The picture has the shape {feature.shape}; (C, H, W) with {wanted[0]} channel(s) is needed.")
    any_size = dont_resize or _preparation(meta).keep_size or not meta.get("one_size", True)
    fits = any_size and all(have >= want for have, want in zip(feature.shape[1:], _least(meta), strict=True))
    if not fits and feature.shape != stored:
        raise DataError(
            f"The picture is {feature.shape[2]}×{feature.shape[1]}; the network was trained on {stored[2]}×{stored[1]}.",
            advice="Resize it first, or choose a network that takes any size.",
        )
    return feature


class Restores(Protocol):
    """The part of a task that says how an output lies in a picture of another size (`digits.tasks.base.Task`)."""

    of_places: ClassVar[bool]
    moves: ClassVar[str]

    def restored(self, output: np.ndarray, origin: Origin) -> np.ndarray:
        """As `digits.tasks.base.Task.restored`."""


def origin_of_output(
    output: np.ndarray, origin: Origin, meta: Mapping[str, Any], task: Restores, restored: bool = False
) -> Origin | None:
    """Where a kept output, (…, h, w) or boxes (n, 6), comes from in the given picture, `origin` being that of what the network
    was given: all of it, or its middle where the model crops. None: it does not lie over the picture. One that is `restored`
    (see `Fitting`) has another size than the crop."""
    if not task.of_places or task.moves == "boxes":
        return origin if task.of_places else None
    size = tuple(output.shape[-2:])
    if output.ndim < 2 or size == (origin.prepared[1], origin.prepared[0]):
        return origin if output.ndim > 1 else None
    crops = (
        (restored or size == tuple(meta["input_shape"][1:])) and size[0] <= origin.prepared[1] and size[1] <= origin.prepared[0]
    )
    return origin.of_middle(size[0], size[1]) if crops else None


def origin_of_record(described: Mapping[str, Any], original: tuple[int, int], size: tuple[int, int]) -> Origin:
    """As `find_origin_of_record`; the record is the picture where that is not known."""
    return find_origin_of_record(described, original, size) or Origin(size, size)


def find_origin_of_record(described: Mapping[str, Any], original: tuple[int, int], size: tuple[int, int]) -> Origin | None:
    """Where a record of `size` (width, height) comes from in its picture of `original` size, by what its data set says of itself
    (`DatasetInfo.extra`); None where that is not known."""
    if min(original) <= 0:
        return None
    if "resize_mode" in described:
        origin = Preparation.from_json(described).origin(*original)
        if origin.prepared == tuple(size):
            return origin
    return Origin(size, size) if tuple(original) == tuple(size) else None


class Fitting:
    """Records of another data set as a model wants them, and what it makes of them back at their own size; `wanted` is (C, H, W).

    Where an output belongs to places of the picture, sizes are squashed: a place at x of a width w comes to lie at x · W / w.
    Other models get the picture as their own data set would have resized it. `encoding` is that of the records. Pictures that are
    answered in tiles (`tiled`) keep their sizes where the network's input fits into them.
    """

    def __init__(self, meta: Mapping[str, Any], task: Restores, encoding: str = "none", *, tiled: bool = False) -> None:
        how = meta.get("image") or {}
        self.task = task
        self.wanted = tuple(int(n) for n in meta.get("stored_shape") or meta["input_shape"])
        self.least = _least(meta)
        self.any_size = tiled or bool(how.get("keep_size")) or not meta.get("one_size", True)
        self.mode = "squash" if task.of_places else str(how.get("resize_mode") or "squash")
        self.fill = FILLS[fill_of(how)]
        self.dtype = np.dtype((meta.get("preparation") or {}).get("dtype") or "uint8")
        self.encoding = encoding_of(meta.get("image") or {})
        self.compresses = self.encoding[0] == "jpg" != encoding

    def takes(self, shape: tuple[int, ...], dtype: np.dtype | None = None) -> bool:
        """Whether pictures of a shape and a type, by default the model's, need no fitting."""
        return not self.compresses and dtype in (None, self.dtype) and self._has_size(shape)

    def _has_size(self, shape: tuple[int, ...]) -> bool:
        if self.any_size and shape[0] == self.wanted[0]:
            return shape[1] >= self.least[0] and shape[2] >= self.least[1]
        return tuple(shape) == self.wanted

    def note(self, dtype: np.dtype) -> str:
        """What `fitted` converts of features of a type, in words; empty for nothing."""
        return widened(np.zeros(0, dtype), self.dtype)[1] if becomes(dtype, self.dtype) else ""

    def fitted(self, feature: np.ndarray) -> np.ndarray:
        """A feature (C, H, W) with the model's type, channels and size. DataError for types and LoadImageError for channels that
        cannot be converted."""
        if self.takes(feature.shape, feature.dtype):
            return feature
        if not becomes(feature.dtype, self.dtype):
            raise DataError(
                f"The records hold {feature.dtype} values, the model was trained on {self.dtype}.",
                advice="Choose a data set of the same type.",
            )
        feature, _ = widened(feature, self.dtype)
        if not self._has_size(feature.shape):
            picture = with_channels(feature.transpose(1, 2, 0), self.wanted[0])
            feature = resize_array(picture, *self._size(feature.shape), self.mode, self.fill).transpose(2, 0, 1)
        return as_stored(feature, *self.encoding)

    def restored(self, output: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A kept output (…, h, w), or boxes (n, 6), of a picture that had `size` (H, W) before it was fitted, as it would lie
        in that picture."""
        if not self.task.of_places:
            return output
        height, width = self._size((0, *size))
        origin = Origin.of_squashed((size[1], size[0]), (width, height))
        return self.task.restored(output, self._middle(origin, output))

    def _middle(self, origin: Origin, output: np.ndarray) -> Origin:
        """`origin`, or that of the middle that an output lies over, which is then the whole of what is restored."""
        height, width = output.shape[-2:]
        if self.task.moves == "boxes" or origin.prepared == (width, height):
            return origin
        size = [max(1, round(side * scale)) for side, scale in zip((width, height), origin.scale, strict=True)]
        return Origin.of_squashed((size[0], size[1]), (width, height))

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


def _least(meta: Mapping[str, Any]) -> tuple[int, int]:
    """The smallest height and width that a model takes: those of its input, unless it pads smaller pictures itself (`stride`)."""
    height, width = (1, 1) if meta.get("stride") else meta["input_shape"][1:]
    return int(height), int(width)


def takes_arrays(meta: Mapping[str, Any]) -> bool:
    """Whether pictures are read in the type of the records, `.npy` files too; 8 bits are read by Pillow, which knows none."""
    return "input_shape" in meta and _preparation(meta).dtype != EIGHT_BIT


def _preparation(meta: Mapping[str, Any]) -> Preparation:
    channels, height, width = (int(n) for n in meta.get("stored_shape") or meta["input_shape"])
    how = meta.get("image") or {}
    if "dtype" in how:
        return replace(Preparation.from_json(how), channels=channels, min_side=0)
    dtype = str((meta.get("preparation") or {}).get("dtype", "uint8"))
    plain = Preparation(width, height, channels, dtype=dtype_word(dtype, channels), fill=fill_of(how))
    known = {name: how[name] for name in ("width", "height", "resize_mode", "keep_size") if how.get(name)}
    return replace(plain, **{**known, **({"keep_size": True} if meta.get("stride") else {})})


def _values(source: Path | str | bytes) -> np.ndarray:
    """Values as the file holds them, (H, W) or (H, W, C), with 0 for black."""
    if isinstance(source, Path | str):
        return read_stored(source).picture
    with tempfile.NamedTemporaryFile(suffix=SUFFIXES.get(source[:4], ".png")) as file:
        file.write(source)
        file.flush()
        return read_stored(file.name).picture
