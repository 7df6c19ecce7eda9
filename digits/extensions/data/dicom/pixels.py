"""Values of one DICOM frame: rescaled to their units, MONOCHROME1 turned around, windowed where asked, brought to one size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_modality_lut, pixel_array

from digits.errors import DataError
from digits.extensions.data.dicom.scan import without_remarks
from digits.images.place import nearest_pixels
from digits.utils.resizing import scaled


@without_remarks()
def read_frame(path: str, frame: int) -> NDArray[Any]:
    """(C, H, W): rescaled grey values as int16, uint16 or float32, or RGB as uint8. Raises DataError with the remedy."""
    try:
        dataset = pydicom.dcmread(path)
        single = int(dataset.get("NumberOfFrames") or 1) == 1
        values = pixel_array(dataset, index=None if single else frame)
    except Exception as error:  # pydicom and the libraries it decodes with raise many kinds
        raise DataError(
            f"The pixels cannot be read: {type(error).__name__}: {error}",
            advice="For compressed files install pylibjpeg with its plugins (pylibjpeg-libjpeg, pylibjpeg-openjpeg) or gdcm.",
        ) from error
    if values.ndim == 3:
        return np.ascontiguousarray(values.transpose(2, 0, 1))
    grey = np.asarray(apply_modality_lut(values, dataset))
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        grey = grey.max() + grey.min() - grey
    return compact(grey)[np.newaxis]


def compact(values: NDArray[Any]) -> NDArray[Any]:
    """Grey values (H, W): whole numbers as uint16 or int16 where they fit, everything else as float32."""
    whole = values.dtype.kind in "iu" or bool(np.equal(values, np.round(values)).all())
    if whole:
        for kind in (np.uint16, np.int16):
            limits = np.iinfo(kind)
            if limits.min <= values.min() and values.max() <= limits.max:
                return values.astype(kind)
    return values.astype(np.float32)


def window(values: NDArray[Any], centre: float, width: float) -> NDArray[np.uint8]:
    """The linear function of DICOM PS3.3 C.11.2.1.2, uint8 (C, H, W): `width` units around `centre` of `values` (C, H, W)
    spread over 0 to 255."""
    low = centre - 0.5 - (width - 1) / 2
    unit = (values.astype(np.float64) - low) / max(width - 1, 1e-6)
    return (unit.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def resize(array: NDArray[Any], height: int, width: int, *, nearest: bool = False) -> NDArray[Any]:
    """(C, H, W) at another size, dtype kept; `nearest` for class numbers."""
    resized = nearest_pixels if nearest else scaled
    return resized(array.transpose(1, 2, 0), (width, height)).transpose(2, 0, 1)
