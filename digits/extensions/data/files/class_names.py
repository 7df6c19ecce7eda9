"""Files of class names, one a line, of which the first is class 0; remarks (`digits.utils.names.is_remark`) are none. Which
numbers such a file has a class for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from digits.errors import DataError
from digits.extensions.data.files.names import plain
from digits.extensions.data.files.text import LARGEST_LABELS, lines_of
from digits.extensions.data.images.findings import Findings
from digits.utils.names import is_remark

NUMBERED = re.compile(r"(\d{1,5})\s*[:;,=\t ]\s*(\S.*)")  # a class's number and its name
BEHIND = re.compile(r"\S.*?[\s:;,=]+\d{1,5}")  # a name and a number behind it
MARKED = re.compile(r"\d{1,5} *[:;,=\t]\s*[^\W\d]")  # the same, but neither `2 door car` nor `16:9`


def read_labels(path: Path) -> list[str]:
    """One class name a line, in composed Unicode; blank lines and remarks are skipped."""
    return [plain(line).strip() for line in lines_of(path, LARGEST_LABELS) if line.strip() and not is_remark(line)]


def check_number(number: int, labels: int, where: str) -> None:
    """Raises DataError where the number of a class is beyond so many labels: all numbers of its file may then count from 1, and
    each would mean the class before its own."""
    if number >= labels:
        raise DataError(
            f"{where} has class {number}, but there are {labels} labels (0 to {labels - 1}).",
            advice="Numbers count the labels from 0. Add the missing labels, or correct the numbers.",
        )


def numbered(labels: Sequence[str]) -> list[tuple[int, str]]:
    """Number and name of each line of a labels file where all have both (`7: road`), equal lines once; empty where one lacks
    them."""
    found = [one for label in labels if (one := NUMBERED.fullmatch(label))]
    return list(dict.fromkeys((int(one[1]), one[2]) for one in found)) if len(found) == len(labels) else []


def are_marked(labels: Sequence[str]) -> bool:
    """Whether lines that all have a number and a name cannot be names alone, as `2 door car` is one."""
    return bool(labels) and all(MARKED.match(label) for label in labels)


def said_twice(labels: Sequence[str]) -> int | None:
    """The first number that has two names, in lines that all have a number and a name."""
    counts = Counter(number for number, _ in numbered(labels))
    return next((number for number, count in counts.items() if count > 1), None)


def say_twice(number: int, file: str, findings: Findings) -> None:
    """Say that a labels file gives a number to several classes, where it is read by its places."""
    reason = f"Its lines give several classes the number {number}: classes are numbered by their places, from 0 on."
    findings.add("class-names", reason, file)


def as_meant(labels: Sequence[str]) -> tuple[list[str], str]:
    """The names of a labels file in the order of the numbers that its lines say, and what is to be said of such numbers; empty
    where there are none."""
    if found := in_order(labels):
        return (
            found,
            f"Its lines say other numbers than their places, e.g. {labels[0]!r}: classes have the numbers that they say.",
        )
    return list(labels), said_of_numbers(labels)


def said_of_numbers(labels: Sequence[str]) -> str:
    """What is to be said where every line has a number before or behind its name; empty where one has none."""
    for form, where in ((NUMBERED, "begin"), (BEHIND, "end")):
        if len(labels) > 1 and all(form.fullmatch(label) for label in labels):
            taken = f"Its lines {where} with numbers, e.g. {labels[0]!r}, which are taken as part of the names"
            return f"{taken}: classes are numbered by their lines, from 0 on. If the numbers mean others, correct the file."
    return ""


def in_order(labels: Sequence[str]) -> list[str]:
    """Class names that stand in another order than the numbers before them (`1 dog`, `0 cat`), in that of the numbers and without
    them; empty where they do not say numbers, or say them in their order."""
    names = dict(numbered(labels))
    if len(names) < len(labels) or list(names) == sorted(names) or set(names) != set(range(len(labels))):
        return []
    return [names[number] for number in range(len(names))]
