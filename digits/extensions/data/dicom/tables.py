"""From stored values to what they mean: lookup tables, rescaling, windows and palettes of DICOM PS3.3.

Values are arrays (H, W). A domain is the least and the greatest value that the bits of a file can give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import apply_color_lut

from digits.errors import DataError
from digits.extensions.data.dicom.reading import item, numbers

Domain = tuple[float, float]
FULL = 1 << 16  # a table that says 0 entries has so many
COLOURS = ("Red", "Green", "Blue")
EIGHT_BITS = 255


@dataclass(frozen=True)
class Table:
    """Entries (n,) of unsigned numbers of `bits` bits; the value `first` has entry 0, values outside have the outer entries."""

    entries: NDArray[Any]
    first: int
    bits: int

    def look_up(self, values: NDArray[Any]) -> NDArray[Any]:
        """The entries (H, W), of their own type, of values (H, W)."""
        first = self.first - FULL if self.first >= FULL // 2 and values.min(initial=0) < 0 else self.first
        places = np.floor(values).astype(np.int64) - first
        return self.entries[np.clip(places, 0, len(self.entries) - 1)]


@dataclass(frozen=True)
class Rescale:
    """The modality transformation of a frame (PS3.3 C.11.1): a table, or slope and intercept; `is_said`: the file has one."""

    table: Table | None = None
    slope: float = 1.0
    intercept: float = 0.0
    is_said: bool = False

    def values(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Stored values (H, W) in their units, float64; unchanged where nothing is said."""
        if self.table is not None:
            return self.table.look_up(stored)
        if (self.slope, self.intercept) == (1.0, 0.0):
            return stored
        return stored.astype(np.float64) * self.slope + self.intercept

    def domain(self, stored: Domain) -> Domain:
        if self.table is not None:
            return 0, 2**self.table.bits - 1
        ends = [end * self.slope + self.intercept for end in stored]
        return min(ends), max(ends)

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers stay whole."""
        return self.table is not None or (self.slope.is_integer() and self.intercept.is_integer())

    @property
    def keeps(self) -> bool:
        """Whether values stay as they are stored."""
        return self.table is None and (self.slope, self.intercept) == (1.0, 0.0)


def rescale_of(dataset: pydicom.Dataset, frame: int) -> Rescale:
    """That of a frame's own functional group, else of the shared one, else of the file. Raises DataError for a slope of 0."""
    group = item(dataset, frame, "PixelValueTransformationSequence")
    for place in (group, dataset):
        if place is None:
            continue
        if place.get("ModalityLUTSequence"):
            return Rescale(table_of(place.ModalityLUTSequence[0], dataset), is_said=True)
        slope, intercept = numbers(place.get("RescaleSlope")), numbers(place.get("RescaleIntercept"))
        if slope and intercept:
            if slope[0] == 0:
                raise DataError("Its RescaleSlope is 0, which makes all values one.", advice="Correct the slope.")
            return Rescale(slope=slope[0], intercept=intercept[0], is_said=True)
    return Rescale()


def stored_domain(dataset: pydicom.Dataset) -> Domain | None:
    """What the bits stored of a file can hold; None for numbers with a point."""
    bits = int(dataset.get("BitsStored") or dataset.get("BitsAllocated") or 0)
    if not bits or bits > 32 or "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        return None
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if dataset.get("PixelRepresentation") else (0, 2**bits - 1)


def table_of(lut: pydicom.Dataset, dataset: pydicom.Dataset) -> Table:
    """The table of an item with LUTDescriptor and LUTData; `dataset` is the file it stands in."""
    count, first, bits = (int(value) for value in lut.LUTDescriptor)
    return Table(_entries(lut.LUTData, count % FULL or FULL, bits, dataset), first, bits)


def _entries(data: Any, count: int, bits: int, dataset: pydicom.Dataset) -> NDArray[Any]:
    """Numbers of 8 bits stand in one byte or in two."""
    if not isinstance(data, bytes):
        values = [data] if isinstance(data, int) else list(data)
        return np.array(values, np.int64).astype(np.uint16)[:count]
    little = dataset.original_encoding[1] is not False
    kind = np.dtype(np.uint8) if bits <= 8 and len(data) < 2 * count else np.dtype("<u2" if little else ">u2")
    entries = np.frombuffer(data, kind, min(count, len(data) // kind.itemsize))
    if not len(entries):
        raise DataError("A lookup table of the file is empty.")
    return entries


# -- windows ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3: a part of the values spread over 0 to 1."""

    centre: float
    width: float
    function: str = "LINEAR"  # LINEAR | LINEAR_EXACT | SIGMOID

    def share(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values (H, W) as numbers from 0 to 1."""
        values = values.astype(np.float64)
        if self.function == "SIGMOID":
            return 1 / (1 + np.exp(np.clip(-4 * (values - self.centre) / self.width, -700, 700)))
        exact = self.function == "LINEAR_EXACT"
        centre, width = (self.centre, self.width) if exact else (self.centre - 0.5, max(self.width - 1, 0.0))
        inside = (values - centre) / (width or 1.0) + 0.5
        return np.where(values <= centre - width / 2, 0.0, np.where(values > centre + width / 2, 1.0, inside))


def own_share(dataset: pydicom.Dataset, frame: int, values: NDArray[Any], domain: Domain | None) -> NDArray[np.float64]:
    """Values (H, W) from 0 to 1 by the table or the first window of a file; without one the whole domain is spread."""
    place = next((p for p in (item(dataset, frame, "FrameVOILUTSequence"), dataset) if p is not None and _has_view(p)), None)
    if place is not None and place.get("VOILUTSequence"):
        table = table_of(place.VOILUTSequence[0], dataset)
        return table.look_up(values) / (2**table.bits - 1)
    if place is not None:
        centre, width = numbers(place.WindowCenter)[0], numbers(place.WindowWidth)[0]
        function = str(place.get("VOILUTFunction") or "LINEAR").upper()
        if not width > 0 or function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
            raise DataError(f"The window of the file has the width {width:g} and the function {function}.")
        return Window(centre, width, function).share(values)
    low, high = domain if domain is not None else (float(values.min()), float(values.max()))
    return (values.astype(np.float64) - low) / max(high - low, 1e-12)


def _has_view(place: pydicom.Dataset) -> bool:
    return bool(place.get("VOILUTSequence")) or bool(numbers(place.get("WindowCenter")) and numbers(place.get("WindowWidth")))


# -- palettes -----------------------------------------------------------------------------------------------------


def coloured(indices: NDArray[Any], dataset: pydicom.Dataset) -> NDArray[np.uint8]:
    """PALETTE COLOR as RGB, uint8 (3, H, W): of 16-bit entries the upper half (PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6)."""
    descriptors = [[int(v) for v in dataset[f"{colour}PaletteColorLookupTableDescriptor"].value] for colour in COLOURS]
    if "RedPaletteColorLookupTableData" in dataset:
        data = [dataset[f"{colour}PaletteColorLookupTableData"].value for colour in COLOURS]
        tables = [
            Table(_entries(one, count % FULL or FULL, bits, dataset), first, bits)
            for one, (count, first, bits) in zip(data, descriptors, strict=True)
        ]
    else:
        tables = _of_segments(dataset, *descriptors[0])
    whole = any(table.bits > 8 and table.entries.max() > EIGHT_BITS for table in tables)
    planes = [table.look_up(indices) for table in tables]
    return np.stack([plane >> 8 if whole else plane for plane in planes]).astype(np.uint8)


def _of_segments(dataset: pydicom.Dataset, count: int, first: int, bits: int) -> list[Table]:
    """Tables that are written in segments (PS3.3 C.7.9.2), which pydicom expands."""
    count = count % FULL or FULL
    if bits <= 8 and count > EIGHT_BITS + 1:
        raise DataError(f"The segmented palette has {count} entries of 8 bits, which is not read.")
    places = np.arange(count, dtype=np.int32) + first
    rgb = apply_color_lut(places[np.newaxis], dataset)[0]
    return [Table(rgb[:, channel], first, bits) for channel in range(3)]
