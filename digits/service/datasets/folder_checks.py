"""What can be known of a folder or a list of pictures before any picture is read: used by the form and its live check."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from digits.errors import DataError, FormErrors
from digits.extensions.data.files.class_names import check_number
from digits.extensions.data.files.columns import LOOKED_AT, begins_with_names
from digits.extensions.data.files.listing import MayRead, walk
from digits.extensions.data.files.tables import is_table_file, read_rows
from digits.extensions.data.files.text import lines_naming_files
from digits.service import Service
from digits.service.files.confine import confinement, readable_folder
from digits.utils.names import PICTURE_SUFFIXES, class_name, is_address, is_hidden, is_image_file, labelled_line
from digits.utils.values import counted

SCAN_SECONDS = 1.5
MAX_CLASSES_LISTED = 1000
LIST_LINES = 200_000
TABLE_HEAD = 1 << 16  # bytes of a table that show whether its first line names the columns
Errors = dict[str, list[str]]


@dataclass(frozen=True)
class FolderScan:
    """Classes (sub-folders, sorted) and their numbers of pictures.

    `complete` is False when time ran out: the counts are then lower bounds and None stands for a class not looked at.
    """

    path: str
    classes: list[tuple[str, int | None]] = field(default_factory=list)
    loose: int = 0
    complete: bool = True

    @property
    def total(self) -> int:
        return sum(count or 0 for _, count in self.classes)

    def to_json(self) -> dict[str, Any]:
        listed = [{"label": label, "count": count} for label, count in self.classes[:MAX_CLASSES_LISTED]]
        return {**asdict(self), "classes": listed, "class_count": len(self.classes), "total": self.total}


def scan_folder(path: Path, seconds: float = SCAN_SECONDS, may_read: MayRead = lambda path: True) -> FolderScan:
    """Count the pictures (by suffix, following links to what may be read) in each sub-folder of `path`, for at most `seconds`."""
    deadline = time.monotonic() + seconds
    names, loose = _entries(path, may_read)
    classes: list[tuple[str, int | None]] = []
    complete = True
    for name in names:
        count, whole = _count_pictures(path / name, may_read, deadline) if complete else (None, False)
        complete = complete and whole
        classes.append((class_name(name), count))
    return FolderScan(str(path), classes, loose, complete)


@dataclass(frozen=True)
class ListScan:
    """The valid lines of a text file, the others (skipped when the data set is made), and pictures per class number; of a `table`
    only the lines that do not name its columns."""

    path: str
    valid: int = 0
    other: int = 0
    classes: dict[int, int] = field(default_factory=dict)
    complete: bool = True
    table: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def scan_list(path: Path, most: int = LIST_LINES) -> ListScan:
    """Read at most `most` lines of a list of pictures; of a table they are only counted."""
    if is_table_file(path):
        rows = sum(1 for line in islice(lines_naming_files(path), most) if line.strip())
        head = [cells for _, cells in islice(read_rows(str(path), TABLE_HEAD), LOOKED_AT)]
        return ListScan(str(path), rows - begins_with_names(head), complete=rows < most, table=True)
    valid = other = 0
    classes: dict[int, int] = {}
    for number, line in enumerate(lines_naming_files(path)):
        if number >= most:
            return ListScan(str(path), valid, other, dict(sorted(classes.items())), complete=False)
        entry = labelled_line(line)
        if entry is None:
            other += bool(line.strip())
            continue
        valid += 1
        classes[entry[1]] = classes.get(entry[1], 0) + 1
    return ListScan(str(path), valid, other, dict(sorted(classes.items())))


def check_folder(service: Service, name: str, text: str, fewest: int) -> list[str]:
    if not text:
        return ["This field is required."]
    if is_address(text):
        return [
            f"{text} is a web address; folders are not fetched from the web. Supported are a folder on the server and an upload: "
            "download the pictures (for example with wget -r) and name the folder, or upload them."
        ]
    try:
        path = readable_folder(service, text, name)
    except FormErrors as error:
        return error.errors[name]
    return _check_classes(scan_folder(path, may_read=confinement(service).allows), fewest)


def _check_classes(scan: FolderScan, fewest: int) -> list[str]:
    layout = "Expected is one sub-folder per class with pictures in it, at least two."
    if len(scan.classes) < 2:
        found = f"{scan.loose} pictures and " if scan.loose else ""
        return [f"{scan.path} holds {found}{counted(len(scan.classes), 'sub-folder')}. {layout}"]
    if not scan.complete:
        return []
    enough = [label for label, count in scan.classes if (count or 0) >= fewest]
    if not scan.total:
        return [f"No pictures below {scan.path}. {layout} Known suffixes: {', '.join(PICTURE_SUFFIXES)}."]
    if len(enough) < 2:
        counts = ", ".join(f"{label} ({count})" for label, count in scan.classes[:5])
        return [
            f"Only {counted(len(enough), 'class', 'classes')} in {scan.path} with at least {counted(fewest, 'picture')}; "
            f"two are needed. Found: {counts}. Add pictures or lower the fewest pictures per class."
        ]
    return []


def check_lines(path: Path, labels: int | None) -> list[str]:
    valid = 0
    if is_table_file(path):
        return []
    for number, line in enumerate(lines_naming_files(path), start=1):
        entry = labelled_line(line)
        if entry is None:
            continue
        valid += 1
        if labels is not None:
            try:
                check_number(entry[1], labels, f"Line {number} of {path.name}")
            except DataError as error:
                return [f"{error.message} {error.advice}"]
        if number >= LIST_LINES:
            break
    if valid:
        return []
    return [f"{path.name} has no valid line. Expected is a path, a space and the number of a class, e.g. cats/1.jpg 0."]


def _entries(path: Path, may_read: MayRead) -> tuple[list[str], int]:
    """Sorted names of the sub-folders (links followed, hidden ones left out) and the number of pictures beside them."""
    with os.scandir(path) as entries:
        visible = [entry for entry in entries if not is_hidden(entry.name) and may_read(entry.path)]
    return sorted(e.name for e in visible if e.is_dir()), sum(is_image_file(e.name) for e in visible if not e.is_dir())


def _count_pictures(folder: Path, may_read: MayRead, deadline: float) -> tuple[int, bool]:
    count = 0
    for _, names in walk(folder, may_read):
        count += sum(map(is_image_file, names))
        if time.monotonic() > deadline:
            return count, False
    return count, True
