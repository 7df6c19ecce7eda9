"""YOLO's text files: `class x y width height` a line, the centre and size as shares of the picture; names in a YAML file.

A line with more pairs is a polygon, of which the box around it is taken. A picture without a file has no objects.
"""

from __future__ import annotations

import math
import os
from typing import Any

import yaml

from digits.errors import DataError
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox, Reading
from digits.extensions.data.image_object_detection.formats.sources import Request, lines_of, partners
from digits.utils.values import is_digits

NAMES_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "classes.txt", "obj.names", "names.txt")
LEVELS = 3  # folders above the labels that are searched for the names
LARGEST_FILE = 1 << 20
SLACK = 1e-3  # rounding of the programs that write these files
FORM = "Expected are a class number and the shares x y width height, each from 0 to 1."


def read(request: Request) -> Reading:
    """Every picture with its boxes as shares; lines of another form are noted."""
    names = _names(request)
    reading = Reading(declared=list(names.values()))
    for picture, file in partners(request, ".txt", without_file_is_empty=True):
        boxes = _boxes(file, names, request) if file else []
        reading.pictures.append(Annotated(picture, boxes, file, relative=True))
    return reading


def names_of(path: str) -> dict[int, str]:
    """Class names of a YAML file (`names`: a list, or numbers with names) or of a text file with one a line. Raises DataError."""
    if os.path.getsize(path) > LARGEST_FILE:
        raise DataError(f"{path} is larger than a file of class names.", advice="Name the YAML file of the data set.")
    if not path.lower().endswith((".yaml", ".yml")):
        return dict(enumerate(line.strip() for line in lines_of(path) if line.strip()))
    try:
        with open(path, encoding="utf-8") as handle:
            content = yaml.safe_load(handle)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} is no YAML: {error}.", advice="Correct the file.") from error
    return _names_in(content, path)


def _names_in(content: Any, path: str) -> dict[int, str]:
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and all(is_digits(str(key)) for key in names):
        return {int(key): str(name) for key, name in sorted(names.items(), key=lambda item: int(item[0]))}
    raise DataError(f"{path} has no class names.", advice="It needs `names:` with a list, or with numbers and names.")


def _names(request: Request) -> dict[int, str]:
    path = request.names_file or _find_names(request)
    return names_of(path) if path else {}


def _find_names(request: Request) -> str:
    folder = request.labels
    for _ in range(LEVELS):
        for name in NAMES_FILES:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and request.may_read(path):
                return path
        folder = os.path.dirname(folder)
    return ""


def _boxes(file: str, names: dict[int, str], request: Request) -> list[RawBox]:
    boxes = []
    for number, line in enumerate(lines_of(file), start=1):
        words = line.split()
        if not words or os.path.basename(file) in NAMES_FILES:
            continue
        box, reason = _box(words, number, names)
        if box is None:
            request.findings.add("annotation", f"{line.strip()[:100]!r}: {reason} Left out.", file, request.stage, number)
        else:
            boxes.append(box)
    return boxes


def _box(words: list[str], line: int, names: dict[int, str]) -> tuple[RawBox | None, str]:
    if len(words) < 5 or not is_digits(words[0]):
        return None, FORM
    try:
        values = [float(word) for word in words[1:]]
    except ValueError:
        return None, FORM
    if not all(math.isfinite(value) for value in values):
        return None, f"A value is no number. {FORM}"
    if max(values) > 1 + SLACK or min(values) < -SLACK:
        return None, "A share is below 0 or above 1. Divide pixels by the width or height of the picture."
    number = int(words[0])
    if names and number not in names:
        return None, f"There is no class {number}; the names have {len(names)}. Add its name, or correct the number."
    return RawBox(*_corners(values), names.get(number, str(number)), 0, line), ""


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    if len(values) >= 6 and len(values) % 2 == 0:
        return min(values[0::2]), min(values[1::2]), max(values[0::2]), max(values[1::2])
    x, y, width, height = values[:4]
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
