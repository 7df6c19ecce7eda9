"""Boxes of an annotation file as boxes of the picture that was read: in its pixels, in its frame, within its edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digits.extensions.data.image_object_detection.boxes import OVERSHOOT
from digits.extensions.data.images.base import skip
from digits.extensions.data.images.frames import frame_of, unclear_turn
from digits.extensions.data.images.sizes import Size
from digits.storage.records.reader import BOX_DTYPE
from digits.utils.values import counted

LISTED_FAULTS = 3
Notes = list[tuple[str, str]]  # kind and reason


@dataclass(frozen=True)
class Rows:
    """What an entry keeps of a picture's boxes: rows of x0, y0, x1, y1, class, flags, line; `relative` ones are shares. `stated`
    is the size that the `file` says the picture has."""

    rows: list[list[float]]
    relative: bool
    file: str
    stated: Size


def in_picture(path: str, given: Rows, size: Size, orientation: int = 1) -> tuple[np.ndarray, Notes]:
    """Boxes (n,) of `BOX_DTYPE` in pixels of a picture of (width, height), clipped to it; those that lie outside of it are left
    out. Both are noted. `orientation` is that of the file, from which the picture was turned.

    Raises LoadImageError where no object is left, and where some lie outside of a picture that is not of the stated size.
    """
    table = np.array(given.rows, np.float64).reshape(-1, 7)
    notes: Notes = []
    fits = True
    if given.relative:
        table[:, :4] *= np.array([*size, *size])
    elif len(table):
        frame = frame_of(given.stated, size, orientation, (table[:, [0, 2]].max(), table[:, [1, 3]].max()))
        table[:, :4] = frame.boxes(table[:, :4])
        fits = frame.fits
        notes += [("stated-size", f"{given.file}: {frame.note}")] if frame.note else []
        unclear = unclear_turn(given.stated, size, orientation)
        notes += [("label", f"{given.file}: {unclear}")] if unclear else []
    clipped = np.clip(table[:, :4], 0, [*size, *size])
    kept = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    beyond = np.abs(clipped - table[:, :4]).max(axis=1, initial=0) > OVERSHOOT
    has_objects = bool((table[:, 4] >= 0).any())
    if has_objects and not (kept.any() if fits else kept.all()):
        reason = " ".join([*(reason for _, reason in notes), _outside(table[~kept][0], size, False, given.file)])
        raise skip(path, f"{_count(kept)} outside the picture. {reason}", "Check its annotations.")
    faults = [
        ("box", _outside(row, size, bool(stays), given.file)) for row, stays in zip(table[beyond], kept[beyond], strict=True)
    ]
    boxes = np.zeros(int(kept.sum()), BOX_DTYPE)
    for place, name in enumerate(("x0", "y0", "x1", "y1")):
        boxes[name] = clipped[kept, place]
    boxes["class"], boxes["flags"] = table[kept, 4], table[kept, 5]
    more = [("box", f"{len(faults) - LISTED_FAULTS} more.")] if len(faults) > LISTED_FAULTS else []
    return boxes, notes + faults[:LISTED_FAULTS] + more


def _count(kept: np.ndarray) -> str:
    out = int((~kept).sum())
    return f"{'All' if out == len(kept) else out} of its {counted(len(kept), 'box', 'boxes')} {'lies' if out == 1 else 'lie'}"


def _outside(row: np.ndarray, size: Size, stays: bool, file: str) -> str:
    corners = ", ".join(f"{value:g}" for value in np.round(row[:4], 1))
    done = "clipped to it" if stays else "left out"
    where = "partly" if stays else "wholly"
    line = f", line {int(row[6])}" if row[6] else ""
    origin = f"{file}{line}: " if file else ""
    text = f"The box ({corners}) lies {where} outside the picture of {size[0]}x{size[1]} pixels; {done}. Check its coordinates."
    return origin + text
