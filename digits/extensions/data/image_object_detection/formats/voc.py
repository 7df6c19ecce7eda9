"""PASCAL VOC's XML, one file a picture. Entities are refused: they have no use here and can blow up or read other files."""

from __future__ import annotations

import os
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from digits.errors import DataError
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Request, partners
from digits.storage.records.reader import BOX_DIFFICULT

LARGEST_FILE = 16 << 20
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read(request: Request) -> Reading:
    """Every picture with its boxes; files and objects that cannot be understood are noted."""
    reading = Reading()
    for picture, file in partners(request, ".xml"):
        try:
            root = parse(file)
        except DataError as error:
            request.findings.add("annotation", f"{error} The picture is left out.", file, request.stage, lost=True)
            continue
        boxes = [_box(item, place, file, request) for place, item in enumerate(root.findall("object"), start=1)]
        reading.pictures.append(Annotated(picture, [box for box in boxes if box is not None], file))
    return reading


def parse(path: str) -> Element:
    """The root element of an XML file. Raises DataError with the line for what is no XML, is too large or has entities."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    try:
        if os.path.getsize(path) > LARGEST_FILE:
            raise DataError(f"It has more than {LARGEST_FILE >> 20} MB.", advice="An annotation is a few kilobytes.")
        with open(path, "rb") as handle:
            parser.ParseFile(handle)
        return builder.close()
    except expat.ExpatError as error:
        raise DataError(f"Line {error.lineno} is no XML: {expat.ErrorString(error.code)}.", advice="Correct the file.") from error
    except OSError as error:
        raise DataError(f"It cannot be read: {error.strerror or error}.") from error


def _refuse(*_: Any) -> Any:
    raise DataError("It declares entities, which are refused.", advice="Remove the DOCTYPE from the file.")


def _box(item: Element, place: int, file: str, request: Request) -> RawBox | None:
    name = (item.findtext("name") or "").strip()
    frame = item.find("bndbox")
    corners = [_number(frame.findtext(tag)) if frame is not None else None for tag in CORNERS]
    if not name or None in corners:
        missing = [tag for tag, value in zip(CORNERS, corners, strict=True) if value is None]
        lacks = "name" if not name else "bndbox" if frame is None else missing[0]
        reason = f"Object {place} has no usable <{lacks}>; left out. An object needs a name and a bndbox with four numbers."
        request.findings.add("annotation", reason, file, request.stage)
        return None
    x0, y0, x1, y1 = (float(value) for value in corners if value is not None)
    difficult = (item.findtext("difficult") or "0").strip() == "1"
    return RawBox(x0 - request.first_pixel, y0 - request.first_pixel, x1, y1, name, BOX_DIFFICULT if difficult else 0)


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
