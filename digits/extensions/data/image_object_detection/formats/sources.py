"""What every reader gets, how label files are found, and what the readers of one file a picture have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from digits.errors import DataError
from digits.extensions.data.files.listing import MayRead, files_with
from digits.extensions.data.files.pairs import match
from digits.extensions.data.files.tables import number_of
from digits.extensions.data.files.text import lines_of
from digits.extensions.data.image_object_detection.boxes import Annotated, RawBox
from digits.extensions.data.images.findings import Findings

SHOWN = 100  # characters of a line in messages


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


@dataclass
class Boxes:
    """What one label file says: boxes, how many objects could not be read, and the size that it states of its picture."""

    boxes: list[RawBox] = field(default_factory=list)
    refused: int = 0
    size: tuple[int, int] = (0, 0)


def read_each(
    request: Request,
    ending: str,
    read_file: Callable[[str, str], Boxes],
    *,
    relative: bool = False,
    without_file_is_empty: bool = False,
    others: Collection[str] = (),
) -> list[Annotated]:
    """Every picture with what `read_file(picture, file)` finds in its label file; a file that cannot be read is noted and left
    out with its picture."""
    found = []
    for picture, file in partners(request, ending, without_file_is_empty, others):
        try:
            read = read_file(picture, file) if file else Boxes()
        except DataError as error:
            request.findings.add("annotation", f"{error} The picture is left out.", file, request.stage, lost=True)
            continue
        found.append(Annotated(picture, read.boxes, file, relative, read.size, read.refused, has_file=bool(file)))
    return found


def partners(
    request: Request, ending: str, without_file_is_empty: bool = False, others: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """Pictures with their label files, in the order of the pictures; what has no partner is noted.

    With `without_file_is_empty` a picture without a file comes with an empty name. Files among `others` are no label files.
    Raises DataError when nothing matches.
    """
    files = [file for file in files_with(request.labels, (ending,), request.may_read) if file not in others]
    if not files:
        raise DataError(f"No {ending} files below {request.labels}.", advice="Name the folder that holds the annotations.")
    found = match(request.root, request.pictures, request.labels, files, both_additions=False)
    if not found.pairs:
        raise DataError(
            f"None of the {len(request.pictures)} pictures in {request.root} has a {ending} file of its name in {request.labels} "
            f"(e.g. {request.pictures[0]} and {files[0]}).",
            advice="A picture and its annotation must have the same name but for the extension.",
        )
    if found.unpaired_features:
        report_missing(request, ending, found.unpaired_features, without_file_is_empty)
    for path in found.unpaired_labels:
        request.findings.add("pair", f"No picture of this name in {request.root}; left out.", path, request.stage)
    for picture, reason in found.unclear:
        request.findings.add("pair", reason, picture, request.stage, lost=True)
    partner = dict(found.pairs)
    unclear = {picture for picture, _ in found.unclear}
    for picture in request.pictures:
        if picture in partner:
            yield picture, partner[picture]
        elif without_file_is_empty and picture not in unclear:
            yield picture, ""


def report_missing(request: Request, ending: str, pictures: Sequence[str], without_file_is_empty: bool) -> None:
    """Note the pictures without a label file: how many they are, so that a wrong folder shows, and those that are left out."""
    taken = "they count as pictures without an object" if without_file_is_empty else "they are left out"
    reason = f"{len(pictures)} of {len(request.pictures)} pictures have no label file ({ending}); {taken}. Check the folder."
    request.findings.add("no-label-file", reason, request.labels, request.stage)
    for picture in () if without_file_is_empty else pictures:
        reason = f"No {ending} file of this name in {request.labels}; left out. An empty file says that there is no object."
        request.findings.add("pair", reason, picture, request.stage, lost=True)


def text_lines(path: str) -> Iterator[tuple[int, str]]:
    """Number and text of every line of a file that is not blank. Raises DataError."""
    return ((number, line) for number, line in enumerate(lines_of(path), start=1) if line.strip())


def shown_line(text: str) -> str:
    """A line in a message."""
    return repr(text.strip()[:SHOWN])


def whole_number(text: str | None) -> int | None:
    """The number from 0 on that a text writes, also as `1.0` or `1e+00`; None for anything else."""
    value = number_of(text)
    return int(value) if value is not None and math.isfinite(value) and value >= 0 and value == int(value) else None
