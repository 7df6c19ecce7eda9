"""Reading COCO's JSON of instances: pictures, categories, annotations; and its polygons and run lengths as masks.

Run lengths: counts of pixels, column by column, background first; compressed ones are little groups of five bits plus 48,
each count from the third on a difference to the one two before (the format of the COCO API's masks).
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from digits.errors import DataError
from digits.extensions.data.images.findings import Findings

ADVICE = "Expected is COCO's instances file: an object with `images`, `annotations` and `categories`."


@dataclass
class CocoFile:
    """`pictures` maps a file name to its id; `annotations` an id to its annotations; `categories` id to name, by id."""

    path: str
    pictures: dict[str, int] = field(default_factory=dict)
    categories: dict[int, str] = field(default_factory=dict)
    annotations: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))


def read_coco(path: str, findings: Findings, stage: str) -> CocoFile:
    """Read an instances file; annotations of pictures or categories that it lacks are noted. Raises DataError."""
    content = _load(path)
    result = CocoFile(path)
    for category in content["categories"]:
        number = _number(category, "id", path, "category")
        result.categories[number] = str(category.get("name", number))
    result.categories = dict(sorted(result.categories.items()))
    for picture in content["images"]:
        name = picture.get("file_name") if isinstance(picture, dict) else None
        if not name:
            findings.add("annotation", "A picture has no file_name; it is left out.", path, stage, lost=True)
            continue
        result.pictures[str(name)] = _number(picture, "id", path, f"picture {name}")
    _sort_annotations(content["annotations"], result, findings, stage)
    return result


def looks_like_coco(path: str) -> bool:
    """Whether a JSON file has the keys of an instances file."""
    try:
        _load(path)
    except DataError:
        return False
    return True


def mask_of(segmentation: Any, height: int, width: int) -> np.ndarray:
    """A polygon list or run lengths as a mask (height, width) of bool. Raises ValueError for what is neither."""
    if isinstance(segmentation, dict):
        return _from_runs(segmentation, height, width)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("its segmentation is empty")
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    for polygon in segmentation:
        points = [float(value) for value in polygon]
        if len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            raise ValueError(f"a polygon has {len(points)} numbers, at least three points are needed")
        draw.polygon(list(zip(points[0::2], points[1::2], strict=True)), fill=1)
    return np.asarray(image).astype(bool)


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}.", advice=ADVICE) from error
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in lists):
        missing = [name for name in lists if not isinstance(content, dict) or not isinstance(content.get(name), list)]
        raise DataError(f"{path} lacks the lists {', '.join(missing)}.", advice=ADVICE)
    return content


def _number(item: Any, key: str, path: str, what: str) -> int:
    try:
        return int(item[key])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: a {what} has no whole number as its {key}.", advice=ADVICE) from error


def _sort_annotations(annotations: list[Any], result: CocoFile, findings: Findings, stage: str) -> None:
    known = set(result.pictures.values())
    for position, annotation in enumerate(annotations):
        if not isinstance(annotation, dict):
            findings.add("annotation", f"annotations[{position}] is no object; it is left out.", result.path, stage)
            continue
        name = f"annotation {annotation.get('id', f'at place {position}')}"
        picture, category = annotation.get("image_id"), annotation.get("category_id")
        if picture not in known:
            reason = f"The {name} belongs to image_id {picture!r}, which `images` lacks; left out. Add the picture or drop it."
            findings.add("annotation", reason, result.path, stage)
        elif category not in result.categories:
            reason = f"The {name} has category_id {category!r}, which `categories` lacks; it is left out. Add the category."
            findings.add("annotation", reason, result.path, stage)
        else:
            result.annotations[picture].append(annotation)


def _from_runs(runs: dict[str, Any], height: int, width: int) -> np.ndarray:
    size = runs.get("size")
    counts = runs.get("counts")
    if size != [height, width]:
        raise ValueError(f"its run lengths are for {size}, the picture has {[height, width]} (height, width)")
    lengths = _decompressed(counts) if isinstance(counts, str) else [int(value) for value in counts or ()]
    if sum(lengths) != height * width or min(lengths, default=0) < 0:
        raise ValueError(f"its run lengths make {sum(lengths)} pixels, the picture has {height * width}")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return values.reshape(width, height).T


def _decompressed(text: str) -> list[int]:
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64:
            raise ValueError("its run lengths hold a character that means nothing")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return counts
