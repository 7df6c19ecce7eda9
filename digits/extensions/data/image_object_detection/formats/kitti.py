"""KITTI's text files: one object a line, at least 15 columns; columns 5 to 8 are left, top, right, bottom in pixels.

type truncated occluded alpha left top right bottom height width length x y z rotation [score]
"""

from __future__ import annotations

from digits.extensions.data.image_object_detection.boxes import DONT_CARE, Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Request, lines_of, partners
from digits.storage.records.reader import BOX_IGNORED

COLUMNS = 15
FORM = "Expected are 15 columns: type truncated occluded alpha left top right bottom and seven more."


def read(request: Request) -> Reading:
    """Every picture with its boxes; lines of another form are noted."""
    reading = Reading()
    for picture, file in partners(request, ".txt"):
        reading.pictures.append(Annotated(picture, _boxes(file, request), file))
    return reading


def _boxes(file: str, request: Request) -> list[RawBox]:
    boxes = []
    for number, line in enumerate(lines_of(file), start=1):
        words = line.split()
        if not words:
            continue
        box = _box(words, number)
        if box is None:
            request.findings.add("annotation", f"{line.strip()[:100]!r}: {FORM} Left out.", file, request.stage, number)
        else:
            boxes.append(box)
    return boxes


def _box(words: list[str], number: int) -> RawBox | None:
    if len(words) < COLUMNS:
        return None
    try:
        x0, y0, x1, y1 = (float(word) for word in words[4:8])
    except ValueError:
        return None
    return RawBox(x0, y0, x1, y1, words[0], BOX_IGNORED if words[0].lower() == DONT_CARE else 0, number)
