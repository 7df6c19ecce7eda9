"""CVAT's XML, one file for all pictures: `<image>` with its `<box>` elements, or the `<track>` elements of a video.

A turned box becomes the upright one around it. Polygons, polylines, points, ellipses, masks and skeletons are no boxes: counted
and left out. Of a video, frame 7 is the picture `frame_000007`.
"""

from __future__ import annotations

import os
from collections import Counter
from xml.etree.ElementTree import Element

from digits.errors import DataError
from digits.extensions.data.files.listing import files_with
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.files.tables import number_of
from digits.extensions.data.files.text import xml_root
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Boxes, Request
from digits.extensions.data.image_object_detection.formats.words import says_yes, turned_box
from digits.extensions.data.images.frames import size_in
from digits.utils.values import is_digits

ROOT = "annotations"
CORNERS = ("xtl", "ytl", "xbr", "ybr")
SHAPES = ("polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton")
ADVICE = "Name CVAT's annotations.xml (CVAT for images), and the folder of its pictures."


def read(request: Request) -> Reading:
    """Every listed picture that the folder has, in the order of its path."""
    files = [request.labels] if os.path.isfile(request.labels) else files_with(request.labels, (".xml",), request.may_read)
    names = FileNames(request.root, request.pictures)
    found: dict[str, Annotated] = {}
    declared: dict[str, None] = {}
    for file in files:
        try:
            root = xml_root(file)
            if root.tag != ROOT:
                raise DataError(f"{file} is no file of CVAT: its root is <{root.tag}>.", advice=ADVICE)
        except DataError as error:
            if len(files) == 1:
                raise DataError(f"{file}: {error.message}", advice=error.advice) from error
            request.findings.add("annotation", f"{error} The file is left out.", file, request.stage)
            continue
        declared |= dict.fromkeys(_declared(root))
        _take(found, _File(file, request).pictures(root), names, file, request)
    if not found:
        raise DataError(f"No picture that {request.labels} lists is in {request.root}.", advice=ADVICE)
    for path in request.pictures:
        if path not in found:
            request.findings.add("pair", f"{request.labels} does not list it; left out.", path, request.stage)
    return Reading([found[path] for path in sorted(found)], list(declared))


def _take(found: dict[str, Annotated], said: dict[str, Boxes], names: FileNames, file: str, request: Request) -> None:
    """Put what a file says to the pictures that it names."""
    files = names.find_all(said)
    for name, boxes in said.items():
        path = files[name].path
        if not path:
            request.findings.add("pair", f"{file} lists it: {files[name].reason} Left out.", name, request.stage, lost=True)
        elif path in found:
            request.findings.add(
                "annotation", f"{found[path].source} and {file} both list it; the first counts.", path, request.stage
            )
        else:
            found[path] = Annotated(path, boxes.boxes, file, size=boxes.size, refused=boxes.refused)


def _declared(root: Element) -> list[str]:
    """Names of the labels in the order of the task."""
    names = [(label.findtext("name") or "").strip() for label in root.iter("label")]
    return [name for name in names if name]


class _File:
    """One file: what is wrong with its shapes becomes findings."""

    def __init__(self, file: str, request: Request) -> None:
        self.file, self.request = file, request
        self.others: Counter[str] = Counter()

    def pictures(self, root: Element) -> dict[str, Boxes]:
        """Boxes by the name of their picture."""
        found: dict[str, Boxes] = {}
        for place, image in enumerate(root.findall("image"), start=1):
            name = image.get("name", "")
            if not name:
                self._note(f"Image {place} has no name; left out.")
                continue
            again = name in found
            said = found.setdefault(name, Boxes(size=size_in(image.get("width"), image.get("height"))))
            for item in image:
                self._add(item, item.get("label", ""), said, name)
            if again:
                said.boxes = list(dict.fromkeys(said.boxes))
                reason = f"It lists {name} more than once: the boxes are joined, equal ones once."
                self.request.findings.add("note", reason, self.file, self.request.stage)
        self._tracks(root, found)
        if self.others:
            counts = ", ".join(f"{count} {shape}" for shape, count in self.others.most_common())
            self._note(f"Only boxes are read; left out: {counts}.")
        return found

    def _tracks(self, root: Element, found: dict[str, Boxes]) -> None:
        size = size_in(root.findtext("meta//original_size/width"), root.findtext("meta//original_size/height"))
        for track in root.findall("track"):
            for item in track:
                number = item.get("frame", "")
                if not is_digits(number):
                    self._note(f"A {item.tag} of track {track.get('id')} has no frame number; left out.")
                elif not says_yes(item.get("outside")):
                    name = f"frame_{int(number):06d}"
                    self._add(item, track.get("label", ""), found.setdefault(name, Boxes(size=size)), name)

    def _add(self, item: Element, label: str, said: Boxes, name: str) -> None:
        if item.tag in SHAPES:
            self.others[item.tag] += 1
            said.refused += 1
            return
        if item.tag != "box" or says_yes(item.get("outside")):
            return
        corners = [number_of(item.get(key)) for key in CORNERS]
        rotation = number_of(item.get("rotation", "0"))
        if not label or None in corners or rotation is None:
            said.refused += 1
            lacks = "label" if not label else "rotation" if rotation is None else CORNERS[corners.index(None)]
            self._note(f"A box of {name} has no usable {lacks}; left out.")
            return
        x0, y0, x1, y1 = (corner for corner in corners if corner is not None)
        said.boxes.append(RawBox(*turned_box((x0, y0, x1, y1), rotation), label))

    def _note(self, reason: str) -> None:
        self.request.findings.add("annotation", reason, self.file, self.request.stage)
