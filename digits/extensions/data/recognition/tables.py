"""Tables that name pictures: classes, labels or numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator

from digits.errors import DataError
from digits.extensions.data.classification.table import one_of_many
from digits.extensions.data.files.columns import CLASS, PictureTable, read_pictures
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.image_object_detection.formats.recognise import format_of
from digits.extensions.data.image_regression.separators import MARKS
from digits.extensions.data.recognition.proposals import Proposal, Values
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, split_of

LARGEST = 64 << 20  # bytes
TABLES = 40
ENOUGH = 0.5  # share of the lines that name a picture
ENDINGS = (".csv", ".tsv")
Found = tuple[str, str, int, Values]  # extension, split, records, fields


def find(tree: Tree) -> Iterator[Proposal]:
    """Of each source the tables of its splits, the one with most lines of each."""
    best: dict[str, dict[str, tuple[int, str, str]]] = {}
    for folder in tree.folders:
        for path in [path for ending in ENDINGS for path in folder.paths(ending)][:TABLES]:
            if not tree.may_read(path) or os.path.getsize(path) > LARGEST or format_of(path)[0] == "csv":
                continue
            if (found := _read(path, _pictures(tree, folder))) is None:
                continue
            extension, pictures, count = found
            split = split_of(os.path.relpath(path, tree.root.path)) or "train"
            known = best.setdefault(extension, {})
            if split not in known or count > known[split][0]:
                known[split] = count, path, pictures
    for extension, splits in best.items():
        if "train" in splits:
            yield _proposal(extension, splits, tree)


def _pictures(tree: Tree, folder: Folder) -> Folder:
    """Where the pictures of a table lie: below its folder, else anywhere."""
    return folder if folder.below(IMAGE) else tree.root


def _read(path: str, pictures: Folder) -> tuple[str, str, int] | None:
    """The source that a table is for, its folder of pictures, and how many lines name one; None for other tables."""
    names = FileNames(pictures.path, list(pictures.below(IMAGE)))
    try:
        table = read_pictures(path, names, "", "")
    except DataError:
        return None
    count = sum(bool(table.pictures.get(table.cell(cells, table.image))) for _, cells in table.lines)
    if not table.lines or count < ENOUGH * len(table.lines):
        return None
    extension = _source_of(table)
    folders = {os.path.dirname(found.path) for found in table.pictures.values() if found}
    return (extension, os.path.commonpath(folders), count) if extension else None


def _source_of(table: PictureTable) -> str:
    flags = [place for place in table.others if _values(table, place) <= {0.0, 1.0}]
    if one_of_many(table, table.others):
        return "image-classification-textfile"
    if len(flags) > 1:
        return "image-multi-label"
    texts = [place for place in table.others if None in _values(table, place)]
    named = table.known(CLASS)
    column = named if named is not None else texts[0] if len(texts) == 1 and len(table.others) == 1 else None
    if column is not None:
        cells = {table.cell(cells, column) for _, cells in table.lines}
        if column in texts and any(mark in cell for mark in MARKS for cell in cells):
            return "image-multi-label"
        values = _values(table, column) - {None}
        if 2 <= len(cells) <= max(2, len(table.lines) // 2) and all(
            float(value).is_integer() for value in values if value is not None
        ):
            return "image-classification-textfile"
    return "image-regression" if any(None not in _values(table, place) for place in table.others) else ""


def _values(table: PictureTable, place: int) -> set[float | None]:
    return {table.number(cells, place) for _, cells in table.lines}


def _proposal(extension: str, splits: dict[str, tuple[int, str, str]], tree: Tree) -> Proposal:
    count, path, pictures = splits["train"]
    reason = f"{os.path.basename(path)} names {count:,} pictures in {pictures}"
    records = sum(number for number, _, _ in splits.values())
    if extension == "image-classification-textfile":
        values: Values = {"method": "textfile", "textfile_use_local_files": True}
        for split, (_, file, folder) in splits.items():
            values |= {f"textfile_local_{split}_images": file, f"textfile_{split}_folder": folder}
        values |= {f"textfile_use_{split}": split in splits for split in ("val", "test")}
        values |= {} if "val" in splits else {"textfile_pct_val": 10}
        return Proposal(extension, "Image classification (table)", f"{reason} and their classes.", values, records, tree.complete)
    values = {"image_folder": pictures, "values_file": path}
    for split, (_, file, folder) in splits.items():
        values |= {f"{split}_image_folder": folder, f"{split}_values_file": file} if split != "train" else {}
    if extension == "image-multi-label":
        return Proposal(extension, "Multi-label classification", f"{reason} and their labels.", values, records, tree.complete)
    return Proposal(extension, "Regression (table)", f"{reason} and numbers.", values, records, tree.complete)
