"""What every reader gets, and how label files are found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.pairing import match

MayRead = Callable[[str], bool]


@dataclass(frozen=True)
class Request:
    """One split: its pictures (absolute paths below `root`), its label folder or file, and where findings go.

    `names_file` may hold class names (YOLO); `first_pixel` is the coordinate of the first pixel in the files (VOC: 0 or 1).
    `may_read` says whether a file may be opened.
    """

    root: str
    pictures: Sequence[str]
    labels: str
    stage: str
    findings: Findings
    may_read: MayRead
    names_file: str = ""
    first_pixel: int = 0


def files_with(folder: str, endings: tuple[str, ...], may_read: MayRead, most: int = 0) -> list[str]:
    """Files below a folder with one of the extensions that may be read, sorted; at most `most` where that is given."""
    found: list[str] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (os.path.join(root, name) for name in sorted(names) if name.lower().endswith(endings))
        found += filter(may_read, paths)
        if most and len(found) >= most:
            return found[:most]
    return found


def partners(request: Request, ending: str, without_file_is_empty: bool = False) -> Iterator[tuple[str, str]]:
    """Pictures with their label files, in the order of the pictures; what has no partner is noted.

    With `without_file_is_empty` a picture without a file comes with an empty name. Raises DataError when nothing matches.
    """
    files = files_with(request.labels, (ending,), request.may_read)
    if not files:
        raise DataError(f"No {ending} files below {request.labels}.", advice="Name the folder that holds the annotations.")
    found = match(request.root, request.pictures, request.labels, files)
    if not found.pairs:
        raise DataError(
            f"None of the {len(request.pictures)} pictures in {request.root} has a {ending} file of its name in {request.labels} "
            f"(e.g. {request.pictures[0]} and {files[0]}).",
            advice="A picture and its annotation must have the same name but for the extension.",
        )
    for path in found.unpaired_labels:
        request.findings.add("pair", f"No picture of this name in {request.root}; left out.", path, request.stage)
    partner = dict(found.pairs)
    for picture in request.pictures:
        if picture in partner:
            yield picture, partner[picture]
        elif without_file_is_empty:
            yield picture, ""
        else:
            reason = f"No {ending} file of this name in {request.labels}; left out. An empty file says that there is no object."
            request.findings.add("pair", reason, picture, request.stage, lost=True)


def lines_of(path: str) -> list[str]:
    """The lines of a text file. Raises DataError."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as handle:
            return handle.read().splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
