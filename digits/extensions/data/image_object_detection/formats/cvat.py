"""CVAT's XML, one file for all pictures: `<image>` with its `<box>` elements, or the `<track>` elements of a video.

A turned box becomes the upright one around it; of polygons, ellipses and masks the box around them is taken. Polylines, points,
cuboids and skeletons are no boxes: counted and left out. Of a video, frame 7 is the picture `frame_000007`. A file may hold only
the key frames of a track: boxes between them are then interpolated, as CVAT does it.
"""

from __future__ import annotations

import math
import os
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from xml.etree.ElementTree import Element

from digits.errors import DataError
from digits.extensions.data.files.listing import files_with
from digits.extensions.data.files.names import FileNames, stem
from digits.extensions.data.files.tables import number_of
from digits.extensions.data.files.text import xml_root
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading, plain_class
from digits.extensions.data.image_object_detection.formats.sources import Boxes, Request
from digits.extensions.data.image_object_detection.formats.words import Corners, box_around, says_yes, turned_box
from digits.extensions.data.images.frames import size_in, size_of_two
from digits.utils.values import counted, is_digits

ROOT = "annotations"
CORNERS = ("xtl", "ytl", "xbr", "ybr")
ELLIPSE, MASK = ("cx", "cy", "rx", "ry"), ("left", "top", "width", "height")
READ = frozenset({"box", "polygon", "ellipse", "mask"})
NO_BOXES = frozenset({"polyline", "points", "cuboid", "skeleton"})
FRAME = re.compile(r"(?:.*/)?frame_(\d{1,18})")
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
    names = [plain_class(label.findtext("name") or "") for label in root.iter("label")]
    return [name for name in names if name]


class _File:
    """One file: what is wrong with its shapes becomes findings."""

    def __init__(self, file: str, request: Request) -> None:
        self.file, self.request = file, request
        self.others: Counter[str] = Counter()
        self.frames: list[int] | None = None  # numbers of the pictures that are frames of a video; looked for when asked for

    def pictures(self, root: Element) -> dict[str, Boxes]:
        """Boxes by the name of their picture."""
        found: dict[str, Boxes] = {}
        for place, image in enumerate(root.findall("image"), start=1):
            name = image.get("name", "")
            if not name:
                self._note(f"Image {place} has no name; left out.")
                continue
            said = Boxes(size=size_in(image.get("width"), image.get("height")))
            for item in image:
                self._add(item, item.get("label", ""), said, name)
            if name in found:
                self._join(found[name], said, name)
            else:
                found[name] = said
        self._tracks(root, found)
        if self.others:
            counts = ", ".join(f"{count} {shape}" for shape, count in self.others.most_common())
            self._note(f"Only boxes, and those around polygons, ellipses and masks, are read; left out: {counts}.")
        return found

    def _join(self, before: Boxes, here: Boxes, name: str) -> None:
        """Take in what is said of a picture that was listed before."""
        before.refused += here.refused
        differs = ""
        if here.boxes:
            before.size, differs = size_of_two(before.size, here.size, has_objects=bool(before.boxes))
        if differs:
            before.refused += len(here.boxes)
            self._note(f"It lists {name} more than once. {differs} before: {counted(len(here.boxes), 'box', 'boxes')} left out.")
            return
        before.boxes = list(dict.fromkeys(before.boxes + here.boxes))
        reason = f"It lists {name} more than once: the boxes are joined, equal ones once."
        self.request.findings.add("note", reason, self.file, self.request.stage)

    def _tracks(self, root: Element, found: dict[str, Boxes]) -> None:
        size = size_in(root.findtext("meta//original_size/width"), root.findtext("meta//original_size/height"))
        between = 0
        for track in root.findall("track"):
            label, frames = track.get("label", ""), list[tuple[int, Element]]()
            for item in track:
                number = item.get("frame", "")
                if not is_digits(number):
                    self._note(f"A {item.tag} of track {track.get('id')} has no frame number; left out.")
                    continue
                frames.append((int(number), item))
                if not says_yes(item.get("outside")):
                    name = f"frame_{int(number):06d}"
                    self._add(item, label, found.setdefault(name, Boxes(size=size)), name)
            for name, box in self._between(frames, label):
                said = found.setdefault(name, Boxes(size=size))
                between += 1
                if box is None:
                    self.others["shape between key frames"] += 1
                    said.refused += 1
                else:
                    said.boxes.append(box)
        if between:
            reason = (
                f"It has only key frames of some tracks; {counted(between, 'object')} between them, where boxes are interpolated."
            )
            self.request.findings.add("note", reason, self.file, self.request.stage)

    def _between(self, frames: list[tuple[int, Element]], label: str) -> Iterator[tuple[str, RawBox | None]]:
        """The pictures between two frames of a track that do not follow each other, with the box there (None: no box)."""
        for (first, start), (last, end) in pairwise(sorted(frames, key=lambda frame: frame[0])):
            if last - first < 2 or says_yes(start.get("outside")) or start.tag not in READ:
                continue
            for number in self._pictures_between(first, last):
                yield f"frame_{number:06d}", _interpolated(start, end, (number - first) / (last - first), label)

    def _pictures_between(self, first: int, last: int) -> list[int]:
        """The numbers of the frames between two that are pictures of the folder."""
        if self.frames is None:
            numbers = (FRAME.fullmatch(stem(path)) for path in self.request.pictures)
            self.frames = sorted({int(number[1]) for number in numbers if number})
        return self.frames[bisect_right(self.frames, first) : bisect_left(self.frames, last)]

    def _add(self, item: Element, label: str, said: Boxes, name: str) -> None:
        if item.tag in NO_BOXES:
            self.others[item.tag] += 1
            said.refused += 1
            return
        if item.tag not in READ or says_yes(item.get("outside")):
            return
        corners, lacks = _corners(item) if label else (None, "label")
        if corners is None:
            said.refused += 1
            self._note(f"A {item.tag} of {name} has no usable {lacks}; left out.")
            return
        said.boxes.append(RawBox(*corners, label))

    def _note(self, reason: str) -> None:
        self.request.findings.add("annotation", reason, self.file, self.request.stage)


def _corners(item: Element) -> tuple[Corners | None, str]:
    """The upright box of a shape, or what it lacks."""
    if item.tag == "polygon":
        points = [[number_of(value) for value in point.split(",")] for point in item.get("points", "").split(";")]
        whole = [(point[0], point[1]) for point in points if len(point) == 2 and point[0] is not None and point[1] is not None]
        if len(whole) < len(points) or len(whole) < 3:
            return None, "points"
        return box_around(whole), ""
    keys = {"box": CORNERS, "ellipse": ELLIPSE, "mask": MASK}[item.tag]
    values = _values(item, keys)
    a, b, c, d, turn = (0.0 if value is None else value for value in values)
    if None in values:
        return None, (*keys, "rotation")[values.index(None)]
    if item.tag == "mask":
        return (a, b, a + c, b + d), ""
    if item.tag == "ellipse":
        cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        across, down = math.hypot(c * cosine, d * sine), math.hypot(c * sine, d * cosine)
        return (a - across, b - down, a + across, b + down), ""
    return turned_box((a, b, c, d), turn), ""


def _values(item: Element, keys: tuple[str, ...]) -> list[float | None]:
    """Numbers of a shape, and its rotation in degrees."""
    return [number_of(item.get(key)) for key in keys] + [number_of(item.get("rotation", "0"))]


def _interpolated(start: Element, end: Element, share: float, label: str) -> RawBox | None:
    """The box between two key frames, a share of the way from the first to the second, turned the shorter way round; None where
    they are no boxes."""
    first, second = _values(start, CORNERS), _values(end, CORNERS)
    if {start.tag, end.tag} != {"box"} or None in first or None in second or not label:
        return None
    steps = [(a or 0.0, (b or 0.0) - (a or 0.0)) for a, b in zip(first, second, strict=True)]
    x0, y0, x1, y1 = (value + share * step for value, step in steps[:4])
    turn = steps[4][0] + share * ((steps[4][1] + 180) % 360 - 180)
    return RawBox(*turned_box((x0, y0, x1, y1), turn), label)
