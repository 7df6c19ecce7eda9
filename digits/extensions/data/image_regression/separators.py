"""What stands between the labels in one cell: one mark for the whole column, so that names with blanks stay whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MARKS = ("|", ";", ",", "+")  # a column that has one of the first is separated by it, whatever else stands in its cells
QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")
UNKNOWN = frozenset({"nan", "<na>"})  # what programs write where they know nothing; it names no label
AUTOMATIC, BLANK, NONE = "", "blank", "none"


def separator_of(cells: Sequence[str]) -> str:
    """The separator of a column of label names: a mark, a blank, or NONE where each cell is one label.

    Blanks separate only where that makes fewer different labels than there are different cells (`clear primary`,
    `clear water`, `primary water`, `haze primary`, `clear`): else they belong to the names (`No Finding`).
    """
    for mark in MARKS:
        if any(mark in cell for cell in cells) and not (mark == "+" and _belongs_to_names(mark, cells)):
            return mark
    different = {cell for cell in cells if cell}
    words = {word for cell in different for word in cell.split()}
    return BLANK if len(words) < len(different) else NONE


def _belongs_to_names(mark: str, cells: Sequence[str]) -> bool:
    """Whether a mark stands where nothing follows or goes before in a cell, as in `c++`."""
    return any(not part.strip() for cell in cells if mark in cell for part in cell.split(mark))


def says_nothing(words: Iterable[str]) -> bool:
    """Whether one of the labels of a cell is none, but what stands for a value that is not known."""
    return any(word.lower() in UNKNOWN for word in words)


def separator_beside(cells: Sequence[str], training: str, labels: Sequence[str]) -> str:
    """The separator of a column of validation or test: that of the training file, unless more cells hold the training file's
    labels by the column's own (files of two programs). `training` is AUTOMATIC where that file has lists or no such column."""
    own, known = separator_of(cells), set(labels)
    if training == AUTOMATIC:
        return own

    def known_cells(separator: str) -> tuple[int, int]:
        """So many hold known labels alone, so many one at least."""
        found = [set(words_of(cell, separator)) for cell in set(cells) if cell]
        return sum(words <= known for words in found), sum(bool(words & known) for words in found)

    return max((training, own), key=known_cells)


def words_of(cell: str, separator: str) -> list[str]:
    """The labels in a cell, without blanks around them."""
    parts = [cell] if separator == NONE else cell.split() if separator == BLANK else cell.split(separator)
    return [part.strip() for part in parts if part.strip()]


def words_of_lists(cells: Sequence[str]) -> list[list[str]]:
    """The labels of each cell where all are lists as programs write them (`['cat', 'dog']`, `[cat, dog]`); empty where they are
    not."""
    if not any(cells) or not all(cell.startswith("[") and cell.endswith("]") for cell in cells if cell):
        return []
    return [_words_of_list(cell[1:-1]) for cell in cells]


def _words_of_list(text: str) -> list[str]:
    quoted = [(first or second).strip() for first, second in QUOTED.findall(text)]
    if QUOTED.sub("", text).strip(" ,\n"):  # more than quoted words
        quoted = [part.strip() for part in text.split(",")]
    return [word for word in quoted if word]
