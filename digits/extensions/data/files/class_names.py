"""Files of class names, one a line, of which the first is class 0; remarks (`digits.utils.names.is_remark`) are none. Which
numbers such a file has a class for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from digits.errors import DataError
from digits.extensions.data.files.names import plain
from digits.extensions.data.files.text import lines_of
from digits.utils.names import is_remark

NUMBERED = re.compile(r"(\d{1,5})\s*[:;,=\t ]\s*(\S.*)")  # a class's number and its name


def read_labels(path: Path) -> list[str]:
    """One class name a line, in composed Unicode; blank lines and remarks are skipped."""
    return [plain(line).strip() for line in lines_of(path) if line.strip() and not is_remark(line)]


def check_number(number: int, labels: int, where: str) -> None:
    """Raises DataError where the number of a class is beyond so many labels: all numbers of its file may then count from 1, and
    each would mean the class before its own."""
    if number >= labels:
        raise DataError(
            f"{where} has class {number}, but there are {labels} labels (0 to {labels - 1}).",
            advice="Numbers count the labels from 0. Add the missing labels, or correct the numbers.",
        )


def in_order(labels: Sequence[str]) -> list[str]:
    """Class names that stand in another order than the numbers before them (`1 dog`, `0 cat`), in that of the numbers and without
    them; empty where they do not say numbers, or say them in their order."""
    found = [NUMBERED.fullmatch(label) for label in labels]
    names = {int(one[1]): one[2] for one in found if one is not None}
    if len(names) < len(labels) or list(names) == sorted(names) or set(names) != set(range(len(labels))):
        return []
    return [names[number] for number in range(len(names))]
