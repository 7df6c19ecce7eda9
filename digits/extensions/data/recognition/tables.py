"""Tables that name pictures: classes, labels or numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.classification.table import one_of_many
from digits.extensions.data.files.columns import CLASS, PictureTable, plain, read_pictures
from digits.extensions.data.files.names import FileNames, listed
from digits.extensions.data.files.tables import COUNTED, is_counted, read_rows
from digits.extensions.data.files.text import read_text
from digits.extensions.data.image_object_detection.formats.csv_columns import CORNERS, SIZES, USUAL
from digits.extensions.data.image_object_detection.formats.recognise import format_of
from digits.extensions.data.image_regression.separators import MARKS
from digits.extensions.data.image_regression.table import flag_columns, values_in
from digits.extensions.data.recognition.proposals import Finding, Proposal, Remark, Values
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, split_of

LARGEST = 64 << 20  # bytes
TABLES = 40
TEXTS = 10  # of a folder
ENOUGH = 0.5  # share of the lines that name a picture
ENDINGS = (".csv", ".tsv")
NO_TRUTH = "submission"  # in the name of a contest's example of what to send in
CLASS_WORDS = ("label", "class", "categor", "species", "diagnos", "breed", "target")
BOXES, MASKS = "image-object-detection", "image-segmentation"
BOX_CELLS = ("bbox", "bboxes", "boxes", "boxesstring", "predictionstring", "box")
RUN_CELLS = ("encodedpixels", "rle", "rlemask", "rlestring", "segmentation")
OTHER_FRAMES = (("x1", "y1", "width", "height"), ("roix1", "roiy1", "roix2", "roiy2"))
PIXEL = re.compile(r"(pixel|px|p)?[_ ]?\d+(x\d+)?", re.IGNORECASE)
PIXELS = 64  # columns
SHORT_WORDS = ("dx", "y")
SMALL = 10  # lines, or classes by name, of which each may come once


def find(tree: Tree) -> Iterator[Finding]:
    """Of each source the tables of its splits, the one with most lines of each."""
    best: dict[str, dict[str, _Table]] = {}
    unread: dict[tuple[str, ...], list[str]] = {}  # files by their columns
    counted = {path for path in tree.some_files(".txt", each=TEXTS, most=TABLES) if is_counted(read_text(path, COUNTED))}
    for folder in tree.folders:
        for path in _tables_in(folder, tree, counted):
            if format_of(path)[0] == "csv":
                continue
            columns = _columns(path)
            if _holds_frames(columns) or _holds_pixels(columns):
                unread.setdefault(columns, []).append(path)
                continue
            if (found := _read(path, _pictures(tree, folder))) is None:
                continue
            if isinstance(found, Remark):
                yield found
                continue
            split = split_of(os.path.relpath(path, tree.root.path)) or "train"
            known = best.setdefault(found.extension, {})
            if split not in known or found.count > known[split].count:
                known[split] = found
    yield from (_unread(columns, paths) for columns, paths in unread.items())
    for extension, splits in best.items():
        if train := splits.get("train"):
            alike = {split: table for split, table in splits.items() if _is_of_the_same(table, train)}
            yield _proposal(extension, alike, tree)


def _tables_in(folder: Folder, tree: Tree, counted: set[str]) -> list[str]:
    found = [path for ending in ENDINGS for path in folder.paths(ending)][:TABLES]
    found += [path for path in folder.paths(".txt") if path in counted] if counted else []
    allowed = (path for path in found if NO_TRUTH not in os.path.basename(path).lower() and tree.may_read(path))
    return [path for path in allowed if os.path.getsize(path) <= LARGEST]


def _columns(path: str) -> tuple[str, ...]:
    """The first line of a table."""
    return tuple(next(iter(read_rows(path, COUNTED)), (0, []))[1])


def _holds_frames(columns: Sequence[str]) -> bool:
    """Whether a table holds boxes or masks, though not as the source of boxes reads them."""
    names = set(map(plain, columns))
    ends = [any(name.endswith(end) for name in names) for end in ("xmin", "xmax", "ymin", "ymax")]
    known = any(set(frame) <= names for frame in (*CORNERS, *SIZES, *OTHER_FRAMES))
    return bool(names & {*BOX_CELLS, *RUN_CELLS}) or known or all(ends)


def _holds_pixels(columns: Sequence[str]) -> bool:
    """Whether a table holds the pictures themselves."""
    return (
        any(plain(name) == "pixels" for name in columns) or sum(PIXEL.fullmatch(name) is not None for name in columns) >= PIXELS
    )


def _unread(columns: Sequence[str], paths: Sequence[str]) -> Remark:
    """A word on tables whose boxes, masks or pictures are not read."""
    file = listed([os.path.basename(path) for path in paths])
    if _holds_pixels(columns):
        advice = "Write each line as a picture file, e.g. PNG in a folder for each class."
        return Remark(f"The columns of {file} hold the pixels of pictures, which are not read. {advice}")
    names = {plain(name): name for name in columns}
    if found := [names[name] for name in BOX_CELLS if name in names]:
        advice = "Write a column each for left, top, right and bottom (or width and height), and one for the class."
        return Remark(f"The column {found[0]} of {file} holds whole boxes, which is not read. {advice}", (BOXES,))
    if found := [names[name] for name in RUN_CELLS if name in names]:
        advice = "Draw them as mask pictures, or write them as COCO's run lengths."
        return Remark(f"The column {found[0]} of {file} holds masks as run lengths, which is not read. {advice}", (MASKS,))
    shown = ", ".join(columns[:12])
    return Remark(f"The columns of {file} hold boxes and are not read: {shown}. Expected are {', '.join(USUAL)}.", (BOXES,))


def _is_of_the_same(table: _Table, train: _Table) -> bool:
    """Whether a table has the columns of the training's: that of the classes, or all."""
    return table.column == train.column if table.extension == "image-classification-textfile" else table.names == train.names


def _pictures(tree: Tree, folder: Folder) -> Folder:
    """Where the pictures of a table lie: below its folder, else anywhere."""
    return folder if folder.below(IMAGE) else tree.root


@dataclass(frozen=True)
class _Table:
    """The source that a table is for, its folder of pictures, how many lines name one, and the column of the classes where that
    must be said."""

    extension: str
    path: str
    pictures: str
    count: int
    names: frozenset[str]
    column: str = ""


def _read(path: str, pictures: Folder) -> _Table | Remark | None:
    """What a table is for, or a word on it; None for other tables."""
    names = FileNames(pictures.path, list(pictures.below(IMAGE)))
    try:
        table = read_pictures(path, names, "", "")
    except DataError:
        return None
    count = sum(bool(table.pictures.get(table.cell(cells, table.image))) for _, cells in table.lines)
    if not table.lines or count < ENOUGH * len(table.lines):
        return None
    if unclear := _unclear(table):
        shown = listed(unclear)
        return Remark(
            f"{os.path.basename(path)} has columns of 1, 0, -1 or nothing ({shown}), and what -1 and nothing mean is not known: "
            "write 0 or 1 for each picture, and it can be used for several labels at once.",
            ("image-multi-label",),
        )
    extension, column = _source_of(table)
    folders = {os.path.dirname(found.path) for found in table.pictures.values() if found}
    said = table.names[column] if column is not None and column != table.known(CLASS) else ""
    return _Table(extension, path, os.path.commonpath(folders), count, frozenset(table.names), said) if extension else None


def _source_of(table: PictureTable) -> tuple[str, int | None]:
    """The source that a table is for, and the column of classes; an empty name for none."""
    if one_of_many(table, table.others):
        return "image-classification-textfile", None
    flags = [values for place in flag_columns(table, table.others) if None not in (values := _values(table, place))]
    if len(flags) > 1 and any(len(values) > 1 for values in flags):
        return "image-multi-label", None
    for column in _class_columns(table):
        cells = {cell for _, row in table.lines if (cell := table.cell(row, column))}
        values = _values(table, column)
        if None in values and any(mark in cell for mark in MARKS for cell in cells):
            return "image-multi-label", None
        most = max(SMALL if None in values else 2, len(table.lines) // 2)
        if 2 <= len(cells) <= most and all(float(value).is_integer() for value in values if value is not None):
            return "image-classification-textfile", column
    numbers = any(None not in _values(table, place) for place in table.others)
    return ("image-regression" if numbers else ""), None


def _unclear(table: PictureTable) -> list[str]:
    """The columns that say yes, no and something else; empty where there are fewer than two."""
    found = []
    for place in table.others:
        values, has_empty = values_in(table, place), None in _values(table, place)
        if values and values <= {-1, 0, 1} and (has_empty or {-1, 0} <= values):
            found.append(table.names[place])
    return found if len(found) > 1 else []


def _class_columns(table: PictureTable) -> list[int]:
    """Columns that may hold the class, the likelier first: of known names, words before numbers; else the only other one."""
    named = [place for place in table.others if _says_class(table.names[place])]
    if not named and len(table.others) == 1 and None in _values(table, table.others[0]):
        return table.others
    known = table.known(CLASS)
    return sorted(named, key=lambda place: (None not in _values(table, place), place != known))


def _says_class(name: str) -> bool:
    word = plain(name)
    return word in (*CLASS, *SHORT_WORDS) or any(one in word for one in CLASS_WORDS)


def _values(table: PictureTable, place: int) -> set[float | None]:
    return {table.number(cells, place) for _, cells in table.lines}


def _proposal(extension: str, splits: dict[str, _Table], tree: Tree) -> Proposal:
    train = splits["train"]
    reason = f"{os.path.basename(train.path)} names {train.count:,} pictures in {train.pictures}"
    records = sum(table.count for table in splits.values())
    if extension == "image-classification-textfile":
        values: Values = {"method": "textfile", "textfile_use_local_files": True}
        for split, table in splits.items():
            values |= {f"textfile_local_{split}_images": table.path, f"textfile_{split}_folder": table.pictures}
        values |= {f"textfile_use_{split}": split in splits for split in ("val", "test")}
        values |= {} if "val" in splits else {"textfile_pct_val": 10}
        values |= {"textfile_class_column": train.column} if train.column else {}
        return Proposal(extension, "Image classification (table)", f"{reason} and their classes.", values, records, tree.complete)
    values = {"image_folder": train.pictures, "values_file": train.path}
    for split, table in splits.items():
        values |= {f"{split}_image_folder": table.pictures, f"{split}_values_file": table.path} if split != "train" else {}
    if extension == "image-multi-label":
        return Proposal(extension, "Multi-label classification", f"{reason} and their labels.", values, records, tree.complete)
    return Proposal(extension, "Regression (table)", f"{reason} and numbers.", values, records, tree.complete)
