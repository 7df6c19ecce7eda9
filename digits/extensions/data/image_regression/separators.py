"""What stands between the labels in one cell: one mark for the whole column, so that names with blanks stay whole."""

from __future__ import annotations

from collections.abc import Sequence

MARKS = ("|", ";", ",", "+")  # a column that has one of the first is separated by it, whatever else stands in its cells
AUTOMATIC, BLANK, NONE = "", "blank", "none"


def separator_of(cells: Sequence[str]) -> str:
    """The separator of a column of label names: a mark, a blank, or NONE where each cell is one label.

    Blanks separate only where that makes fewer different labels than there are different cells (`clear primary`,
    `clear water`, `primary water`, `haze primary`, `clear`): else they belong to the names (`No Finding`).
    """
    for mark in MARKS:
        if any(mark in cell for cell in cells):
            return mark
    different = {cell for cell in cells if cell}
    words = {word for cell in different for word in cell.split()}
    return BLANK if len(words) < len(different) else NONE


def words_of(cell: str, separator: str) -> list[str]:
    """The labels in a cell, without blanks around them."""
    parts = [cell] if separator == NONE else cell.split() if separator == BLANK else cell.split(separator)
    return [part.strip() for part in parts if part.strip()]
