"""Which column of a table of boxes holds what, by the names in its first line; capitals, blanks and `_` in names do not matter.

Known names: image/filename/file/path/image id, xmin/x0/x1/left, ymin/y0/y1/top, xmax/x1/x2/right, ymax/y1/y2/bottom or width and
height of the box (w, h), class/label/name/category/label name, difficult, crowd, ignore, is group of. Beside corners, width and
height are those of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

from digits.errors import DataError
from digits.extensions.data.files.columns import plain
from digits.extensions.data.files.tables import number_of
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_IGNORED

IMAGE = ("image", "filename", "file", "path", "imagepath", "imagefile", "imagename", "imageid", "img", "imgpath")
CLASS = ("class", "label", "name", "category", "classname", "labelname", "categoryname", "classid", "categoryid", "labelid")
CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("left", "top", "right", "bottom"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("bboxxmin", "bboxymin", "bboxxmax", "bboxymax"),
    ("xtl", "ytl", "xbr", "ybr"),
)
SIZES = (
    ("x", "y", "w", "h"),
    ("left", "top", "width", "height"),
    ("x", "y", "width", "height"),
    ("xmin", "ymin", "w", "h"),
    ("bboxx", "bboxy", "bboxwidth", "bboxheight"),
)
PICTURE_SIZES = (("width", "height"), ("imagewidth", "imageheight"), ("imgwidth", "imgheight"))
FLAGS = {
    "difficult": BOX_DIFFICULT,
    "crowd": BOX_CROWD,
    "iscrowd": BOX_CROWD,
    "isgroupof": BOX_CROWD,
    "ignore": BOX_IGNORED,
}
FORM = "Expected is image, left, top, right, bottom, class."
USUAL = ("image", "xmin", "ymin", "xmax", "ymax", "class")


def is_header(cells: Sequence[str]) -> bool:
    """Whether a first line names columns: a known name, and no number, is in it."""
    return any(plain(cell) in (*IMAGE, *CLASS) for cell in cells) and all(number_of(cell) is None for cell in cells)


def has_boxes(cells: Sequence[str]) -> bool:
    """Whether a first line names the columns of a table of boxes."""
    names = {plain(cell) for cell in cells}
    return bool(names & set(CLASS)) and any(set(frame) <= names for frame in (*CORNERS, *SIZES))


class Columns:
    """Places of the columns. Raises DataError for a line of names that lacks something."""

    def __init__(self, names: Sequence[str], path: str) -> None:
        self.names = [plain(name) for name in names]
        image, label = self._first(IMAGE), self._first(CLASS)
        corners = self._all(CORNERS)
        frame = corners or self._all(SIZES)
        if image is None or label is None or frame is None:
            raise DataError(f"{path}, line 1: the columns are {', '.join(names)}.", advice=f"{FORM} (or width and height).")
        self.image, self.label, self.frame = image, label, frame
        self.by_size = corners is None
        sizes = self._all(PICTURE_SIZES)
        self.size = sizes if sizes and not set(sizes) & set(frame) else None
        self.flags = {self.names.index(name): bit for name, bit in FLAGS.items() if name in self.names}

    @property
    def least(self) -> int:
        """Cells that a line must have."""
        return max(self.image, *self.frame) + 1

    def _first(self, known: Sequence[str]) -> int | None:
        return next((self.names.index(name) for name in known if name in self.names), None)

    def _all(self, known: Sequence[Sequence[str]]) -> list[int] | None:
        for names in known:
            if all(name in self.names for name in names):
                return [self.names.index(name) for name in names]
        return None
