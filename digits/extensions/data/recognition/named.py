"""Which pictures a file of annotations names, seen from its beginning and its end."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from xml.sax.saxutils import unescape

from digits.errors import DataError
from digits.extensions.data.files.tables import read_rows
from digits.extensions.data.files.text import decoded
from digits.extensions.data.image_object_detection.formats import csv_columns
from digits.utils.confinement import open_file

HEAD = 8 << 20  # bytes of the beginning, and of the end of a larger file
MOST = 20_000  # names
FILE_NAME = re.compile(r'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
OUTLINES = re.compile(r'"segmentation"\s*:\s*(\[\s*\[|\{)')
IMAGE_ELEMENT = re.compile(r"""<image\s[^>]*?name\s*=\s*["']([^"']+)""")
FRAME = re.compile(r"""<box\s[^>]*?frame\s*=\s*["'](\d{1,18})["']""")


@dataclass(frozen=True)
class Named:
    """Names of pictures, at most 20,000; whether outlines are among the annotations, and whether these are all names."""

    names: tuple[str, ...] = ()
    outlines: bool = False
    complete: bool = True


def named_in(path: str, form: str) -> Named:
    """What a file of COCO, CVAT or a CSV of boxes names. Raises DataError."""
    if form == "csv":
        names, outlines = _first(_of_table(path)), False
    else:
        text = _ends(path)
        names = _first(_of_cvat(text) if form == "cvat" else (_text(found[1]) for found in FILE_NAME.finditer(text)))
        outlines = form == "coco" and OUTLINES.search(text) is not None
    return Named(names, outlines, len(names) < MOST and os.path.getsize(path) <= HEAD)


def _first(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(name for name in names if name), MOST))


def _text(quoted: str) -> str:
    try:
        return str(json.loads(quoted))
    except ValueError:
        return ""


def _ends(path: str) -> str:
    try:
        with open_file(path) as handle:
            data = handle.read(HEAD)
            if os.path.getsize(path) > 2 * HEAD:
                handle.seek(-HEAD, os.SEEK_END)
            return decoded(data) + "\n" + decoded(handle.read(HEAD))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _of_table(path: str) -> Iterator[str]:
    place = 0
    for number, (_, cells) in enumerate(read_rows(path, HEAD)):
        if number == 0 and csv_columns.is_header(cells):
            place = csv_columns.Columns(cells, path).image
        elif place < len(cells):
            yield cells[place]


def _of_cvat(text: str) -> Iterator[str]:
    """Pictures by their names, those of a video by the numbers of their frames."""
    yield from (unescape(name, {"&quot;": '"'}) for name in IMAGE_ELEMENT.findall(text))
    if "<track" in text:
        yield from (f"frame_{int(number):06d}" for number in FRAME.findall(text))
