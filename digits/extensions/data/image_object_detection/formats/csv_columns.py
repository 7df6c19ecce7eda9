"""Which column of a table of boxes holds what, by the names in its first line; capitals, blanks and `_` in names do not matter.

Known names: image/filename/file/path/image id, xmin/x0/x1/left, ymin/y0/y1/top, xmax/x1/x2/right, ymax/y1/y2/bottom or width and
height of the box (w, h), class/label/name/category/label name, difficult, crowd, ignore, is group of. Beside corners, width and
height are those of the picture. The names are those of every table of pictures, but `name` and `id` are those of an object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from digits.errors import DataError
from digits.extensions.data.files import columns
from digits.extensions.data.files.columns import plain
from digits.extensions.data.files.tables import number_of
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_IGNORED

OF_OBJECTS = ("name", "id")  # in other tables they may be those of the picture
IMAGE = tuple(word for word in columns.IMAGE if word not in OF_OBJECTS)
CLASS = (*columns.CLASS, "name", "classid", "categoryid", "labelid")
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
    """Places of the columns. Of several that may name the picture the one whose cells in some `rows` do so most often is taken;
    of several for the class the one that `columns.chosen` says, with what is to be said of it in `remark`.

    Raises DataError for a line of names that lacks something.
    """

    def __init__(
        self,
        names: Sequence[str],
        path: str,
        rows: Sequence[Sequence[str]] = (),
        is_picture: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.names = [plain(name) for name in names]
        images = self._places(IMAGE)
        label, self.remark = columns.chosen(self._places(CLASS), names, rows)
        corners = self._all(CORNERS)
        frame = corners or self._all(SIZES)
        if not images or label is None or frame is None:
            raise DataError(
                f"{path}, line 1: the columns are {', '.join(names)}.",
                advice=f"{FORM} Width and height may stand for the last corner.",
            )
        self.image, self.label, self.frame = images[0], label, frame
        if len(images) > 1:
            self.image = max(images, key=lambda place: sum(is_picture(row[place]) for row in rows if place < len(row)))
        self.by_size = corners is None
        sizes = self._all(PICTURE_SIZES)
        self.size = sizes if sizes and not set(sizes) & set(frame) else None
        self.flags = {self.names.index(name): bit for name, bit in FLAGS.items() if name in self.names}

    @property
    def least(self) -> int:
        """Cells that a line must have."""
        return max(self.image, *self.frame) + 1

    def _places(self, known: Sequence[str]) -> list[int]:
        return [place for word in known for place, name in enumerate(self.names) if name == word]

    def _all(self, known: Sequence[Sequence[str]]) -> list[int] | None:
        for names in known:
            if all(name in self.names for name in names):
                return [self.names.index(name) for name in names]
        return None
