"""PASCAL VOC's XML, one file a picture. Of an object counts what is its own: parts and polygons within it are not read.

Objects may stand within other elements, also within objects. Capitals in the names of elements do not matter."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from xml.etree.ElementTree import Element

from digits.errors import DataError
from digits.extensions.data.files.tables import number_of
from digits.extensions.data.files.text import xml_root
from digits.extensions.data.image_object_detection.boxes import RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Boxes, Request, read_each
from digits.extensions.data.image_object_detection.formats.words import Corners, says_yes, turned_box, yes_or_no
from digits.extensions.data.images.frames import size_in
from digits.storage.records.reader import BOX_DIFFICULT

LARGEST_FILE = 16 << 20
ROOT = "annotation"
UNSPECIFIED = "unspecified"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
TURNED = ("cx", "cy", "w", "h", "angle")  # roLabelImg's robndbox, the angle in radians


def read(request: Request) -> Reading:
    """Every picture with its boxes; files and objects that cannot be understood are noted."""
    names = {os.path.basename(path) for path in request.pictures}
    return Reading(read_each(request, ".xml", lambda picture, file: _boxes(picture, file, names, request)))


def _boxes(picture: str, file: str, names: Collection[str], request: Request) -> Boxes:
    root = xml_root(file, LARGEST_FILE)
    for element in root.iter():
        element.tag = element.tag.lower()
    if root.tag != ROOT:
        raise DataError(f"Its root is <{root.tag}>, not <{ROOT}>.", advice="A file of PASCAL VOC is expected.")
    named = os.path.basename((root.findtext("filename") or "").strip().replace("\\", "/"))
    if named in names and named != os.path.basename(picture):
        reason = f"It says that it is of {named}, but is called as {picture}, for which it is taken. Check which it is of."
        request.findings.add("note", reason, file, request.stage)
    size = root.find("size")
    found = Boxes() if size is None else Boxes(size=size_in(size.findtext("width"), size.findtext("height")))
    for place, item in enumerate(root.iter("object"), start=1):
        if says_yes(item.findtext("deleted")):  # which LabelMe keeps in the file
            continue
        if yes_or_no(difficult := (item.findtext("difficult") or "").strip()) is None and difficult.lower() != UNSPECIFIED:
            reason = f"Object {place} is difficult {difficult[:20]!r}, expected 0 or 1; taken as one that is not."
            request.findings.add("label", reason, file, request.stage)
        box, lacks = _box(item, request.first_pixel)
        if box is not None:
            found.boxes.append(box)
            continue
        found.refused += 1
        reason = f"Object {place} has no usable {lacks}; left out. An object needs a name and a bndbox with four numbers."
        request.findings.add("annotation", reason, file, request.stage)
    return found


def _box(item: Element, first_pixel: int) -> tuple[RawBox | None, str]:
    """The box of an object, or the element that it lacks."""
    name = " ".join((item.findtext("name") or "").split())
    if not name:
        return None, "<name>"
    if len(item.findall("bndbox")) > 1:
        return None, "<bndbox>: it has several"
    frame = item.find("bndbox")
    corners: Corners
    if frame is None and (turned := item.find("robndbox")) is not None:
        values = [number_of(turned.findtext(tag)) for tag in TURNED]
        if None in values:
            return None, f"<{TURNED[values.index(None)]}>"
        x, y, width, height, angle = (value for value in values if value is not None)
        corners = turned_box((x - width / 2, y - height / 2, x + width / 2, y + height / 2), math.degrees(angle))
    elif frame is None:
        return None, "<bndbox>"
    else:
        texts = {corner.tag: corner.text for corner in frame}
        if sum(corner.tag in CORNERS for corner in frame) > len(CORNERS):
            return None, "<bndbox>: a corner stands twice in it"
        x0, y0, x1, y1 = map(number_of, map(texts.get, CORNERS))
        if x0 is None or y0 is None or x1 is None or y1 is None:
            return None, f"<{CORNERS[(x0, y0, x1, y1).index(None)]}>"
        corners = (x0 - first_pixel, y0 - first_pixel, x1, y1)
    difficult = item.findtext("difficult")
    return RawBox(*corners, name, BOX_DIFFICULT if difficult and says_yes(difficult) else 0), ""
