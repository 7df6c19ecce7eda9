"""Values of one DICOM frame: rescaled to their units or windowed, then MONOCHROME1 turned around; colour as RGB; brought to the
channels, type and size of a data set.

The order is that of the standard: modality transformation, window, and only then the turning (PS3.3 C.7.6.3.1.2: MONOCHROME1
says how the values are shown after the VOI transformation). Values that are not windowed are turned within what the bits stored
can hold after the modality transformation, so that equal values stay equal in all files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from digits.errors import DataError
from digits.extensions.data.dicom import tables
from digits.extensions.data.dicom.reading import frames_of, has_more_bits, open_file, stored_frame, without_remarks
from digits.extensions.data.dicom.tables import Window
from digits.images.arrays import with_channels
from digits.images.place import nearest_pixels
from digits.utils.resizing import scaled

PALETTE, INVERSE = "PALETTE COLOR", "MONOCHROME1"
GREY = ("MONOCHROME1", "MONOCHROME2")
AS_RGB = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")  # what pydicom and its decoders give as RGB
EIGHT_BITS = 8
WIDEST = 65535  # files say 16 bits and hold less: whole numbers are hoped to fit into 16 bits after an intercept of, say, -1024


@dataclass(frozen=True)
class Windowing:
    """Which window gives eight bits: none, one for all, or each file's own."""

    window: Window | None = None
    own: bool = False

    def __bool__(self) -> bool:
        return self.own or self.window is not None


@dataclass(frozen=True)
class Kind:
    """What the values of a frame are, from its header alone: colour or grey, whether 8 bits hold them, and the NumPy type."""

    colour: bool
    eight_bits: bool
    dtype: str
    highest: float = 0.0  # that whole numbers can be
    has_units: bool = False  # the file says how stored values become ones with a unit


@without_remarks()
def kind_of(header: pydicom.Dataset, frame: int) -> Kind:
    """The kind of the values that `read_frame` gives without a window, before the values themselves are known."""
    bits = int(header.get("BitsStored") or 0)
    if int(header.get("SamplesPerPixel") or 1) > 1 or header.get("PhotometricInterpretation") == PALETTE:
        wide = bits > EIGHT_BITS and header.get("PhotometricInterpretation") != PALETTE
        return Kind(True, not wide, "uint16" if wide else "uint8")
    rescale, stored = tables.rescale_of(header, frame), tables.stored_domain(header)
    low, high = rescale.domain(stored) if stored is not None else (0.0, 0.0)
    if stored is None or not rescale.is_whole or high > WIDEST or low < -WIDEST:
        return Kind(False, False, "float32", has_units=rescale.is_said)
    eight_bits = rescale.keeps and low == 0 and bits <= EIGHT_BITS
    return Kind(False, eight_bits, "uint16" if low >= 0 else "int16", high, rescale.is_said)


@without_remarks()
def read_frame(path: str, frame: int, windowing: Windowing | None = None) -> NDArray[Any]:
    """(C, H, W): grey values as uint16, int16 or float32, or as uint8 where they are windowed; RGB as uint8, as uint16 where the
    file has more bits. Raises DataError with the remedy."""
    dataset = open_file(path)
    try:
        values = stored_frame(dataset, frame)
        photometric = str(dataset.get("PhotometricInterpretation") or "MONOCHROME2")
    except Exception as error:  # pydicom and the libraries it decodes with raise many kinds
        raise DataError(
            f"The pixels cannot be read: {type(error).__name__}: {error}",
            advice="For compressed files install pylibjpeg with its plugins (pylibjpeg-libjpeg, pylibjpeg-openjpeg) or gdcm.",
        ) from error
    try:
        if photometric == PALETTE and values.ndim == 2:
            return tables.coloured(values, dataset)
        if values.ndim == 3:
            return _rgb(values, photometric, dataset)
        return _grey(values, dataset, frame, photometric == INVERSE, windowing or Windowing())[np.newaxis]
    except DataError:
        raise
    except Exception as error:  # a damaged header gives values of any kind
        raise DataError(f"The values cannot be made out ({type(error).__name__}).", advice="Export the file again.") from error


@without_remarks()
def remarks_of(path: str, frame: int) -> list[str]:
    """What there is to say of a frame that could be read."""
    dataset = open_file(path)
    if not has_more_bits(dataset, frame):
        return []
    return [f"Some values have more bits than the {dataset.BitsStored} that the file says are stored: those above are cut off."]


def frames_in(path: str) -> int:
    """How many frames a file has. Raises DataError."""
    return frames_of(open_file(path))


def compact(values: NDArray[Any]) -> NDArray[Any]:
    """Grey values (H, W): whole numbers as uint16 or int16 where they fit, everything else as float32. Raises DataError for
    values that are no numbers or too large."""
    if values.dtype.kind == "f":
        bad = int(np.count_nonzero(~(np.abs(values) <= np.finfo(np.float32).max)))
        if bad:
            raise DataError(f"{bad} of its values are no finite numbers of 32 bits.", advice="Correct the slope or the values.")
    if values.dtype.kind in "iu" or bool(np.equal(values, np.round(values)).all()):
        for kind in (np.uint16, np.int16):
            limits = np.iinfo(kind)
            if limits.min <= values.min() and values.max() <= limits.max:
                return values.astype(kind)
    return values.astype(np.float32)


def window(values: NDArray[Any], centre: float, width: float) -> NDArray[np.uint8]:
    """The linear function of DICOM PS3.3 C.11.2.1.2, uint8 (C, H, W): `width` units around `centre` of `values` (C, H, W)
    spread over 0 to 255."""
    return _eight_bits(Window(centre, width).share(values))


def fitted(values: NDArray[Any], channels: int, dtype: str, *, eight_bits: bool) -> NDArray[Any]:
    """A frame (C, H, W) with the channels and the type of a data set; grey and colour turn into each other only where both have
    `eight_bits`. Raises DataError for values that would change."""
    if len(values) != channels:
        if not eight_bits:
            found, wanted = ("colour", "grey") if len(values) == 3 else ("grey", "colour")
            raise DataError(f"It is a {found} picture among {wanted} ones; its values mean something else.")
        values = with_channels(values.transpose(1, 2, 0), channels).transpose(2, 0, 1)
    if values.dtype == dtype:
        return values
    if values.dtype.kind != "f" or dtype != "float32":
        low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype != "float32" else (-(2**24), 2**24)
        if values.min() < low or values.max() > high or (values.dtype.kind == "f" and (values != np.rint(values)).any()):
            raise DataError(
                f"It has values from {values.min():g} to {values.max():g}; the data set holds {dtype}.",
                advice="Give a window, or leave such files out.",
            )
    return values.astype(dtype)


def resize(array: NDArray[Any], height: int, width: int, *, nearest: bool = False) -> NDArray[Any]:
    """(C, H, W) at another size, dtype kept; `nearest` for class numbers."""
    resized = nearest_pixels if nearest else scaled
    return resized(array.transpose(1, 2, 0), (width, height)).transpose(2, 0, 1)


def _grey(stored: NDArray[Any], dataset: pydicom.Dataset, frame: int, turned: bool, windowing: Windowing) -> NDArray[Any]:
    """Stored values (H, W) rescaled, or windowed to uint8."""
    rescale, bounds = tables.rescale_of(dataset, frame), tables.stored_domain(dataset)
    values = rescale.values(stored)
    domain = rescale.domain(bounds) if bounds is not None else None
    if not windowing:
        return compact((sum(domain) if domain is not None else 0) - values.astype(np.float64) if turned else values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError("Some of its values are no finite numbers.", advice="Correct the slope or the values.")
    share = windowing.window.share(values) if windowing.window else tables.own_share(dataset, frame, values, domain)
    shown = 255 - _eight_bits(share) if turned else _eight_bits(share)
    shown[_padding(stored, dataset)] = 0
    return shown


def _eight_bits(share: NDArray[np.float64]) -> NDArray[np.uint8]:
    return (share.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _padding(stored: NDArray[Any], dataset: pydicom.Dataset) -> NDArray[np.bool_]:
    """Which pixels (H, W) only fill the rectangle: they take no part in windows and are black (PS3.3 C.7.5.1.1.2)."""
    values = [dataset.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    ends = [_signed(int(value), stored) for value in values if isinstance(value, int)]
    return (stored >= min(ends)) & (stored <= max(ends)) if ends else np.zeros(stored.shape, bool)


def _signed(value: int, stored: NDArray[Any]) -> int:
    """A padding value as the pixels hold it: some files write that of signed pixels as an unsigned number."""
    limits = np.iinfo(stored.dtype) if stored.dtype.kind in "iu" else None
    return value - (1 << limits.bits) if limits is not None and value > limits.max else value


def _rgb(values: NDArray[Any], photometric: str, dataset: pydicom.Dataset) -> NDArray[Any]:
    """Samples (H, W, 3) as (3, H, W)."""
    if photometric not in AS_RGB or values.shape[2] != 3:
        raise DataError(
            f"It has {values.shape[2]} samples in each pixel as {photometric[:16]}, which is not read.",
            advice="Convert it to RGB, grey or a palette.",
        )
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    return planes.astype(np.uint8) if int(dataset.get("BitsStored") or EIGHT_BITS) <= EIGHT_BITS else planes
