"""What the columns of a table of pictures hold: whether its first line names them, which one names the pictures, and which file
each line means.

Holds: what the files of the folder are called decides, known words only where that leaves a choice. A column without a name
(such as the index that pandas writes) is no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.files.names import FileNames, Found
from digits.extensions.data.files.tables import Table, number_of, read_table
from digits.extensions.data.images.findings import Findings
from digits.utils.names import is_image_file

LOOKED_AT = 50  # lines that show which column names pictures
IMAGE = (
    *("image", "filename", "file", "path", "imagepath", "filepath", "imagename", "imagefile", "imageindex", "imageid"),
    *("img", "imgpath", "picture", "photo", "name", "id"),
)
CLASS = (
    "class",
    "label",
    "classname",
    "labelname",
    "category",
    "categoryname",
    "classlabel",
    "target",
    "labels",
    "classes",
    "species",
)
Line = tuple[int, list[str]]


@dataclass(frozen=True)
class PictureTable:
    """The lines below the names of the columns, and the file of each picture that a line names. `names` are empty for columns
    that the file does not name, and made up where it names none (`has_names`)."""

    path: str
    names: list[str]
    image: int
    lines: list[Line]
    table: Table
    pictures: dict[str, Found]
    has_names: bool = True

    def picture(self, line: Line, findings: Findings, stage: str) -> str:
        """The picture of a line; empty, with a finding, where there is none."""
        number, cells = line
        name = self.cell(cells, self.image)
        found = self.pictures.get(name, Found(reason="It names no picture."))
        if not found:
            findings.add(
                "pair", f"No picture {name!r}: {found.reason} The line is left out.", self.path, stage, number, lost=True
            )
        return found.path

    def cell(self, cells: Sequence[str], place: int) -> str:
        """What a line has in a column, empty for lines that are too short."""
        return cells[place] if place < len(cells) else ""

    def number(self, cells: Sequence[str], place: int) -> float | None:
        """The number that a line has in a column; None where it has none."""
        return self.table.number(self.cell(cells, place))

    def place(self, name: str) -> int:
        """The column of a name. Raises DataError."""
        if name not in self.names:
            raise DataError(
                f"{self.path} has no column {name!r}; it has {', '.join(filter(None, self.names))}.",
                advice="Correct the column's name.",
            )
        return self.names.index(name)

    @property
    def others(self) -> list[int]:
        """The columns with a name, but for that of the pictures."""
        return [place for place, name in enumerate(self.names) if place != self.image and name]

    def known(self, words: Sequence[str]) -> int | None:
        """The first of the other columns that has one of these names, in the order of the names."""
        named = {plain(self.names[place]): place for place in reversed(self.others)}
        return next((named[word] for word in words if word in named), None)


def read_pictures(path: str, files: FileNames, image: str, form: str) -> PictureTable:
    """The table in a file, of the pictures of a folder; `image` is the name of the column that names them, empty: the one that
    does. `form` says what is expected. Raises DataError."""
    table = read_table(path)
    lines = list(table.rows)
    if not lines:
        raise DataError(f"{path} is empty.", advice=form)
    first = lines[0][1]
    has_names = _are_names(first, files)
    if has_names:
        names, lines = ["" if _is_unnamed(cell) else cell for cell in first], lines[1:]
    else:
        width = max(len(cells) for _, cells in lines)
        names = ["image", *(f"value {place}" for place in range(1, width))]
    found = PictureTable(path, names, 0, lines, table, {})
    column = found.place(image) if image else _naming_pictures(found, files)
    pictures = files.find_all(cell for _, cells in lines if (cell := found.cell(cells, column)))
    return PictureTable(path, names, column, lines, table, pictures, has_names)


def plain(name: str) -> str:
    """A column's name without capitals, blanks and marks, to compare it: `Image_Index` → `imageindex`."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _are_names(cells: Sequence[str], files: FileNames) -> bool:
    """Whether a first line names the columns: it names no picture, and holds a known word or neither numbers nor files."""
    if any(cell and files.find(cell) for cell in cells):
        return False
    if any(plain(cell) in (*IMAGE, *CLASS) for cell in cells):
        return True
    return not any(number_of(cell) is not None or is_image_file(cell) for cell in cells)


def _is_unnamed(cell: str) -> bool:
    return not cell or cell.startswith("Unnamed:")


def _naming_pictures(table: PictureTable, files: FileNames) -> int:
    """The column in which most lines name a picture; of several the one with a better known name, then the first. One with a
    known name needs no more than half of the lines: numbers may be names of files by chance, and pictures may be missing."""
    named = [plain(name) for name in table.names]
    rank = [IMAGE.index(name) if name in IMAGE else len(IMAGE) for name in named]
    looked_at = table.lines[:LOOKED_AT]
    hits = [sum(bool(files.find(table.cell(cells, place))) for _, cells in looked_at) for place in range(len(named))]
    is_known = [rank[place] < len(IMAGE) and 2 * hits[place] >= len(looked_at) for place in range(len(named))]
    return min(range(len(named)), key=lambda place: (not is_known[place], -hits[place], rank[place], place))
