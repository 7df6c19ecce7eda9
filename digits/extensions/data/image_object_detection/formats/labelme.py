"""labelme's JSON, one file a picture: rectangles, and the boxes around polygons, circles and masks.

The picture is the one that `imagePath` names, as labelme takes it, else the one of the file's own name. Polygons of one label and
group_id are parts of one object. Points and lines are no boxes: left out and said.
"""

from __future__ import annotations

import math
import os
from typing import Any

from digits.errors import DataError
from digits.extensions.data.files.listing import files_with
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.files.text import read_json
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Boxes, Request, report_missing
from digits.extensions.data.image_object_detection.formats.words import Corners, box_around, says_yes
from digits.extensions.data.images.frames import size_in
from digits.storage.records.reader import BOX_DIFFICULT

LEAST_POINTS = {"rectangle": 2, "polygon": 3, "circle": 2, "mask": 2, "rotation": 3, "oriented_rectangle": 3}
ADVICE = "Expected is labelme's JSON, an object with `shapes` and `imagePath`."


def read(request: Request) -> Reading:
    """Every picture that has a file, in the order of its path; what has no partner is noted."""
    files = [request.labels] if os.path.isfile(request.labels) else files_with(request.labels, (".json",), request.may_read)
    names = FileNames(request.root, request.pictures)
    found: dict[str, Annotated] = {}
    for file in files:
        try:
            content = read_json(file)
            if not is_labelme(content):
                raise DataError(f"{file} is no file of labelme.", advice=ADVICE)
            path = _picture(content, file, names, request)
            if path in found:
                raise DataError(f"{found[path].source} is of the same picture, {path}.", advice="Keep one of them.")
            said = _boxes(content, file, request)
        except DataError as error:
            request.findings.add("annotation", f"{error} Left out.", file, request.stage, lost=True)
            continue
        found[path] = Annotated(path, said.boxes, file, size=said.size, refused=said.refused)
    if not found:
        reason = f"No JSON file in {request.labels} is of a picture of {request.root}.{request.findings.first_of(['annotation'])}"
        raise DataError(reason, advice=ADVICE)
    if missing := [path for path in request.pictures if path not in found]:
        report_missing(request, ".json", missing, without_file_is_empty=False)
    return Reading([found[path] for path in sorted(found)])


def is_labelme(content: Any) -> bool:
    """Whether a parsed JSON file is labelme's."""
    return isinstance(content, dict) and isinstance(content.get("shapes"), list) and "imagePath" in content


def _picture(content: dict[str, Any], file: str, names: FileNames, request: Request) -> str:
    """The picture of a file. Raises DataError where there is none, or its two names stand for two."""
    given = content["imagePath"] if isinstance(content["imagePath"], str) else ""
    below = os.path.relpath(file, request.labels) if os.path.isdir(request.labels) else os.path.basename(file)
    named, own = names.find(os.path.join(os.path.dirname(below), given.replace("\\", "/"))), names.find(below)
    if named and own and named.path != own.path:
        raise DataError(
            f"It names {named.path}, but {own.path} is called alike.", advice="Correct imagePath, or the file's name."
        )
    if not named and not own:
        raise DataError(f"It names the picture {given!r}: {named.reason}", advice=ADVICE)
    return named.path or own.path


def _boxes(content: dict[str, Any], file: str, request: Request) -> Boxes:
    said = Boxes(size=size_in(content.get("imageWidth"), content.get("imageHeight")))
    parts: dict[tuple[str, Any], int] = {}
    for place, shape in enumerate(content["shapes"], start=1):
        box, reason = _box(shape)
        if box is None:
            said.refused += 1
            request.findings.add("annotation", f"Shape {place} {reason}; left out.", file, request.stage)
            continue
        group = shape.get("group_id")
        key = (box.name, str(group))
        if group is not None and key in parts:
            said.boxes[parts[key]] = _together(said.boxes[parts[key]], box)
            continue
        parts[key] = len(said.boxes)
        said.boxes.append(box)
    return said


def _box(shape: Any) -> tuple[RawBox | None, str]:
    """The box of a shape, or why it has none."""
    if not isinstance(shape, dict):
        return None, "is no object"
    label, kind = shape.get("label"), str(shape.get("shape_type") or "polygon")
    if not isinstance(label, str) or not label.strip():
        return None, "has no label"
    if kind not in LEAST_POINTS:
        return None, f"({label}) is a {kind}, which is no box"
    try:
        points = [(float(x), float(y)) for x, y in shape.get("points") or ()]
    except (TypeError, ValueError, OverflowError):
        return None, f"({label}) has points that are no numbers"
    if len(points) < LEAST_POINTS[kind]:
        return None, f"({label}) is a {kind} of {len(points)} points, at least {LEAST_POINTS[kind]} are needed"
    corners = _around_circle(points) if kind == "circle" else box_around(points)
    return RawBox(*corners, label.strip(), BOX_DIFFICULT if says_yes(shape.get("difficult")) else 0), ""


def _around_circle(points: list[tuple[float, float]]) -> Corners:
    (x, y), edge = points[0], points[1]
    radius = math.dist((x, y), edge)
    return x - radius, y - radius, x + radius, y + radius


def _together(first: RawBox, second: RawBox) -> RawBox:
    corners = box_around([(first.x0, first.y0), (first.x1, first.y1), (second.x0, second.y0), (second.x1, second.y1)])
    return RawBox(*corners, first.name, first.flags | second.flags)
