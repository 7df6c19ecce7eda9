"""From a CSV file to numbers for each picture: one or several columns, columns of 0 and 1, or a column of label names."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.files.tables import read_rows
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.names import PictureNames

IMAGE = ("image", "filename", "file", "path", "file_name", "image_path", "name", "id")
SEPARATORS = re.compile(r"[|;+]|\s+")
FORM = "Expected is one picture a line: its name and a number in each column."


@dataclass(frozen=True)
class Table:
    """Numbers of each picture (in the order of the file) and what they are called."""

    columns: list[str]
    rows: list[tuple[str, list[float]]]


@dataclass(frozen=True)
class Wanted:
    """What the form says: the column of the picture, those of the values (empty: all others), whether they are labels."""

    image: str = ""
    values: tuple[str, ...] = ()
    labels: bool = False


def read_table(
    path: str, names: PictureNames, wanted: Wanted, findings: Findings, stage: str, known: Sequence[str] = ()
) -> Table:
    """Read a file; lines that cannot be used are noted. `known` are the label names of the training file. Raises DataError."""
    lines = list(read_rows(path))
    if not lines:
        raise DataError(f"{path} is empty.", advice=FORM)
    header, body = _header(lines)
    image = _image_column(header, wanted, path)
    values = _value_columns(header, image, wanted, path)
    if wanted.labels and len(values) == 1 and not _are_numbers(body, values):
        return _named_labels(path, names, body, (image, values[0]), findings, stage, known)
    rows = []
    for number, cells in body:
        picture = _picture(cells, image, names, path, number, findings, stage)
        found = _numbers(cells, values, wanted.labels) if picture else "unknown"
        if isinstance(found, str):
            if picture:
                findings.add("annotation", f"{','.join(cells)[:100]!r}: {found} Left out.", path, stage, number, lost=True)
        elif picture:
            rows.append((picture, found))
    return _checked(Table([header[place] for place in values], rows), path)


def _header(lines: list[tuple[int, list[str]]]) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Column names; made up where the first line already holds numbers."""
    first = lines[0][1]
    if any(_number(cell) is not None for cell in first[1:]) or len(lines) == 1:
        return ["image", *(f"value {place}" for place in range(1, len(first)))], lines
    return first, lines[1:]


def _image_column(header: list[str], wanted: Wanted, path: str) -> int:
    if wanted.image:
        return _place(header, wanted.image, path)
    lowered = [name.lower() for name in header]
    return next((lowered.index(name) for name in IMAGE if name in lowered), 0)


def _value_columns(header: list[str], image: int, wanted: Wanted, path: str) -> list[int]:
    places = [_place(header, name, path) for name in wanted.values] or [i for i in range(len(header)) if i != image]
    if not places:
        raise DataError(f"{path} has no column of values beside the picture's name.", advice=FORM)
    return places


def _place(header: list[str], name: str, path: str) -> int:
    if name not in header:
        raise DataError(f"{path} has no column {name!r}; it has {', '.join(header)}.", advice="Correct the column's name.")
    return header.index(name)


def _picture(
    cells: list[str], image: int, names: PictureNames, path: str, number: int, findings: Findings, stage: str
) -> str | None:
    name = cells[image] if len(cells) > image else ""
    found = names.find(name) if name else None
    if found is None:
        findings.add("pair", f"The folder has no picture {name!r}; the line is left out.", path, stage, number, lost=True)
    return found


def _numbers(cells: list[str], places: list[int], labels: bool) -> list[float] | str:
    """The values of a line, or why there are none."""
    if len(cells) <= max(places):
        return f"It has {len(cells)} columns, {max(places) + 1} are needed."
    values = []
    for place in places:
        value = _number(cells[place])
        if value is None or not math.isfinite(value):
            return f"{cells[place]!r} is no number."
        if labels and value not in (0, 1):
            return f"{cells[place]!r} is neither 0 nor 1."
        values.append(value)
    return values


def _named_labels(
    path: str,
    names: PictureNames,
    body: list[tuple[int, list[str]]],
    places: tuple[int, int],
    findings: Findings,
    stage: str,
    known: Sequence[str],
) -> Table:
    """A column such as `cat;indoors`: one number 0 or 1 for each label that occurs."""
    image, column = places
    found = [(number, cells, _words(cells, column)) for number, cells in body]
    labels = list(known) or sorted({word for _, _, words in found for word in words})
    rows = []
    for number, cells, words in found:
        picture = _picture(cells, image, names, path, number, findings, stage)
        unknown = sorted(words - set(labels))
        if unknown:
            findings.add(
                "unknown-class", f"The training file has no label {unknown[0]!r}; it does not count.", path, stage, number
            )
        if picture:
            rows.append((picture, [float(label in words) for label in labels]))
    return _checked(Table(labels, rows), path)


def _words(cells: list[str], column: int) -> set[str]:
    text = cells[column] if len(cells) > column else ""
    return {word for word in SEPARATORS.split(text) if word}


def _are_numbers(body: list[tuple[int, list[str]]], places: list[int]) -> bool:
    return all(_number(cells[place]) is not None for _, cells in body for place in places if place < len(cells))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _checked(table: Table, path: str) -> Table:
    if not table.rows:
        raise DataError(f"No line of {path} could be used.", advice=FORM)
    return table
