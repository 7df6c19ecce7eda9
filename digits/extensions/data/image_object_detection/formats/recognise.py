"""Sees the format of a label folder or file from what its files say. What a reader would refuse is not proposed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from xml.parsers import expat

from digits.errors import DataError
from digits.extensions.data.files.listing import MayRead, files_with
from digits.extensions.data.files.tables import number_of, read_rows
from digits.extensions.data.files.text import lines_of, read_json, read_text, xml_root
from digits.extensions.data.image_object_detection.formats import csv_columns, cvat, kitti, labelme, voc, yolo
from digits.extensions.data.image_object_detection.formats.sources import shown_line, whole_number
from digits.extensions.data.image_object_detection.formats.yolo_names import NAMES_FILES
from digits.extensions.data.images.coco import ADVICE, LISTS, refusal_of

LOOKED_AT = 200  # files
JUDGED = 20  # of them that are of a known format
HEAD = 1 << 16  # bytes of a large file
WHOLE = 1 << 20  # a JSON file up to this size is read whole
ENDINGS = (".xml", ".json", ".csv", ".txt")


def recognise(label_path: str, may_read: MayRead) -> str:
    """The format of a label folder or file, from files that may be read. Raises DataError when it is none of the known ones."""
    if os.path.isfile(label_path):
        found, reason = format_of(label_path)
    else:
        found, reason = _of_folder(label_path, may_read)
    if not found:
        raise DataError(
            f"The format of the annotations in {label_path} is not recognised.{f' {reason}' if reason else ''}",
            advice="Known are KITTI and YOLO text (.txt), PASCAL VOC and CVAT (.xml), COCO and labelme (.json) and CSV; "
            "choose one in the form.",
        )
    return found


def format_of(path: str) -> tuple[str, str]:
    """The format of one file, or nothing and why."""
    judge = _JUDGES.get(os.path.splitext(path)[1].lower())
    try:
        return judge(path) if judge else ("", "")
    except DataError as error:
        return "", str(error)


def _of_folder(folder: str, may_read: MayRead) -> tuple[str, str]:
    reason = ""
    for ending in ENDINGS:
        files = files_with(folder, (ending,), may_read, most=LOOKED_AT)
        counts: Counter[str] = Counter()
        for name, why in map(format_of, files):
            counts[name] += 1
            reason = reason or why
            if name and counts.total() - counts[""] >= JUDGED:
                break
        del counts[""]
        if counts:
            return counts.most_common(1)[0][0], ""
        if ending == ".txt" and _are_empty(files):
            raise DataError(
                f"The {len(files)} text files that were looked at in {folder} are empty: no picture has an object.",
                advice="Check that this is the folder of the annotations, or choose their format in the form.",
            )
    return "", reason


def _are_empty(files: Sequence[str]) -> bool:
    read = [path for path in files if os.path.basename(path) not in NAMES_FILES]
    return bool(read) and not any(line.strip() for path in read for line in lines_of(path))


def _xml(path: str) -> tuple[str, str]:
    """By the name of the root."""
    root = _root_of(path)
    return {voc.ROOT: ("voc", ""), cvat.ROOT: ("cvat", "")}.get(root, ("", f"{path} has the root <{root}>."))


def _root_of(path: str) -> str:
    if os.path.getsize(path) <= HEAD:
        return xml_root(path).tag
    text = read_text(path, HEAD)
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: found.append(name)
    try:
        parser.Parse(text.partition("?>")[2] or text, False)
    except (expat.ExpatError, ValueError) as error:
        if not found:
            raise DataError(f"{path} is no XML: {error}.") from error
    return found[0] if found else ""


def _json(path: str) -> tuple[str, str]:
    if os.path.getsize(path) > WHOLE:
        head = read_text(path, HEAD)
        if '"segments_info"' in head:
            return "", f"{path} is of COCO's panoptic task."
        return ("coco", "") if any(f'"{name}"' in head for name in LISTS) else ("labelme", "") if '"shapes"' in head else ("", "")
    try:
        content = read_json(path)
    except DataError as error:
        return "", f"{error} {ADVICE}"
    if labelme.is_labelme(content):
        return "labelme", ""
    refusal = refusal_of(content)
    return ("", f"{path} is no instances file: {refusal}. {ADVICE}") if refusal else ("coco", "")


def _csv(path: str) -> tuple[str, str]:
    """By its first line where that names columns, else by a first line of the usual order."""
    for _, cells in read_rows(path, HEAD):
        if csv_columns.is_header(cells):
            return ("csv", "") if csv_columns.has_boxes(cells) else ("", f"{path} has no columns of boxes.")
        numbers = [number_of(cell) for cell in cells[1:5]]
        is_usual = len(cells) >= len(csv_columns.USUAL) and (None not in numbers or not any(cells[1:5]))
        return ("csv", "") if is_usual else ("", f"{path} has no columns of boxes.")
    return "", ""


def _text(path: str) -> tuple[str, str]:
    """KITTI lines are a name and 14 numbers or more, YOLO lines a whole number and shares."""
    if os.path.basename(path) in NAMES_FILES:
        return "", ""
    reason = ""
    for words in _some_lines(path):
        if kitti.records(" ".join(words)) and whole_number(words[0]) is None:
            return "kitti", ""
        values = [number_of(word) for word in words[1:]]
        if len(words) >= 5 and whole_number(words[0]) is not None and all(v is not None and 0 <= v <= 1 for v in values[:4]):
            return "yolo", ""
        if len(words) >= 5 and None not in values[-4:]:
            shown = shown_line(" ".join(words))
            reason = (
                reason or f"{path}: {shown} is of neither form. {yolo.FORM if whole_number(words[0]) is not None else kitti.FORM}"
            )
    return "", reason


def _some_lines(path: str, most: int = 3) -> Iterator[list[str]]:
    lines = (line.split() for line in read_text(path, HEAD).splitlines() if line.strip())
    return (words for _, words in zip(range(most), lines, strict=False))


_JUDGES: dict[str, Callable[[str], tuple[str, str]]] = {".xml": _xml, ".json": _json, ".csv": _csv, ".txt": _text}
