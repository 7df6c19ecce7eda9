"""A COCO file and its pictures cut to the first of them, so that a trial of a large one is quick."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from digits.errors import DataError
from digits.extensions.data.files.text import read_text
from digits.extensions.data.recognition.proposals import PAIR_FIELDS, Values

SMALL = 1 << 20  # bytes of a file that is not cut
IMAGES, ANNOTATIONS, PICTURES = 1000, 4000, 100  # that are read of a file, and kept
BOX_FIELDS = {split: (f"{split}_image_folder", f"{split}_label_folder") for split in PAIR_FIELDS}


def shortened(values: Values, place: Path) -> Values:
    """The values of a proposal with, in place of folders of pictures that have a large COCO file, some of them in the folder
    `place`: links to pictures, and what the file says of these. Others stay as they are."""
    changed: Values = {}
    for number, (pictures, labels) in enumerate((*BOX_FIELDS.values(), *PAIR_FIELDS.values())):
        folder, file = (str(values.get(name, "")) for name in (pictures, labels))
        if file.lower().endswith(".json") and os.path.isfile(file) and os.path.getsize(file) > SMALL:
            target = place / str(number)
            if content := _cut(file, folder, target):
                (place / f"{number}.json").write_text(json.dumps(content))
                changed |= {pictures: str(target), labels: str(place / f"{number}.json")}
    return {**values, **changed}


def _cut(file: str, folder: str, target: Path) -> dict[str, Any]:
    """What a file says of the first pictures that lie in a folder under the very names that it gives them, which are linked in
    `target`; empty where none of these has an annotation."""
    try:
        text = read_text(file)
    except DataError:
        return {}
    annotations = [one for one in islice(_objects(text, "annotations"), ANNOTATIONS) if "image_id" in one]
    told = {str(one["image_id"]) for one in annotations}
    images = []
    for one in islice(_objects(text, "images"), IMAGES):
        name = one.get("file_name")
        if str(one.get("id")) not in told or not isinstance(name, str) or name.startswith("/") or ".." in name.split("/"):
            continue
        if os.path.isfile(path := os.path.join(folder, name)):
            images.append(one)
            _link(path, target / name)
            if len(images) == PICTURES:
                break
    kept = {str(one["id"]) for one in images}
    annotations = [one for one in annotations if str(one["image_id"]) in kept]
    content = {"images": images, "annotations": annotations, "categories": list(_objects(text, "categories"))}
    return content if annotations else {}


def _objects(text: str, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a list, one after the other; it ends where something else stands."""
    found, decoder = re.search(rf'"{name}"\s*:\s*\[', text), json.JSONDecoder()
    place = found.end() if found else len(text)
    between = re.compile(r"[\s,]*")
    while (start := between.match(text, place).end()) < len(text) and text[start] == "{":  # type: ignore[union-attr]
        try:
            value, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return
        yield value


def _link(path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        target.symlink_to(os.path.abspath(path))
