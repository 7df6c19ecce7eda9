"""Tables that name pictures: classes, labels or numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.classification.table import one_of_many
from digits.extensions.data.files.columns import CLASS, PictureTable, plain, read_pictures
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.image_object_detection.formats.recognise import format_of
from digits.extensions.data.image_regression.separators import MARKS
from digits.extensions.data.recognition.proposals import Proposal, Values
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, split_of

LARGEST = 64 << 20  # bytes
TABLES = 40
ENOUGH = 0.5  # share of the lines that name a picture
ENDINGS = (".csv", ".tsv")
NO_TRUTH = "submission"  # in the name of a contest's example of what to send in
CLASS_WORDS = ("label", "class", "categor", "species", "diagnos", "breed", "target")
SHORT_WORDS = ("dx", "y")
SMALL = 10  # lines, or classes by name, of which each may come once


def find(tree: Tree) -> Iterator[Proposal]:
    """Of each source the tables of its splits, the one with most lines of each."""
    best: dict[str, dict[str, _Table]] = {}
    for folder in tree.folders:
        for path in [path for ending in ENDINGS for path in folder.paths(ending)][:TABLES]:
            if NO_TRUTH in os.path.basename(path).lower() or not tree.may_read(path) or os.path.getsize(path) > LARGEST:
                continue
            if format_of(path)[0] == "csv":
                continue
            if (found := _read(path, _pictures(tree, folder))) is None:
                continue
            split = split_of(os.path.relpath(path, tree.root.path)) or "train"
            known = best.setdefault(found.extension, {})
            if split not in known or found.count > known[split].count:
                known[split] = found
    for extension, splits in best.items():
        if train := splits.get("train"):
            alike = {split: table for split, table in splits.items() if _is_of_the_same(table, train)}
            yield _proposal(extension, alike, tree)


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


def _read(path: str, pictures: Folder) -> _Table | None:
    """What a table is for; None for other tables."""
    names = FileNames(pictures.path, list(pictures.below(IMAGE)))
    try:
        table = read_pictures(path, names, "", "")
    except DataError:
        return None
    count = sum(bool(table.pictures.get(table.cell(cells, table.image))) for _, cells in table.lines)
    if not table.lines or count < ENOUGH * len(table.lines):
        return None
    extension, column = _source_of(table)
    folders = {os.path.dirname(found.path) for found in table.pictures.values() if found}
    said = table.names[column] if column is not None and column != table.known(CLASS) else ""
    return _Table(extension, path, os.path.commonpath(folders), count, frozenset(table.names), said) if extension else None


def _source_of(table: PictureTable) -> tuple[str, int | None]:
    """The source that a table is for, and the column of classes; an empty name for none."""
    if one_of_many(table, table.others):
        return "image-classification-textfile", None
    flags = [values for place in table.others if (values := _values(table, place)) <= {0.0, 1.0}]
    if len(flags) > 1 and {0.0, 1.0} in flags:
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
