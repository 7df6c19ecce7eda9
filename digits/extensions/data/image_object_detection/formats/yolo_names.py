"""What a YOLO set says beside its labels: class names, and how many key points an object has. From `data.yaml`, any other YAML
file near by with `names`, or a text file with one name a line (`classes.txt`, `obj.names`).

A YAML file may say how many classes there are (`nc`) and not what they are called: their numbers are then their names. What a
file near by says wrongly is a finding; only the file that the form names must be right.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from digits.errors import DataError
from digits.extensions.data.files.text import lines_of
from digits.extensions.data.files.yaml_files import read_yaml
from digits.extensions.data.image_object_detection.boxes import plain_class
from digits.extensions.data.image_object_detection.formats.sources import Request, whole_number
from digits.utils.names import is_hidden, is_remark
from digits.utils.values import counted, is_digits, shown

YAML = (".yaml", ".yml")
NAMES_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "classes.txt", "obj.names", "names.txt")
LEVELS = 3  # folders above the labels that are searched
LARGEST_FILE = 1 << 20
MOST_CLASSES = 100_000  # that a number alone may say


@dataclass(frozen=True)
class Description:
    """`names` by class number; `key_points` are their number and how many values each has, None where there are none.
    `is_yaml`: a YAML file was found, which would say so if labels had key points. `by_number`: the file does not name the
    classes, so their numbers are their names. `remark` is what is to be said of the names."""

    path: str = ""
    names: dict[int, str] = field(default_factory=dict)
    key_points: tuple[int, int] | None = None
    is_yaml: bool = False
    by_number: bool = False
    remark: str = ""


def description(request: Request) -> Description:
    """What the file of the form says, else what is near by. Raises DataError for a named file that says nothing."""
    found = [description_of(request.names_file)] if request.names_file else []
    folder = request.labels if os.path.isdir(request.labels) else os.path.dirname(request.labels)
    for _ in range(LEVELS):
        found += _in_folder(folder, request)
        folder = os.path.dirname(folder)
    named = min(found, key=lambda one: one.by_number, default=Description())
    remarks = [f"{named.path} {named.remark}"] if named.remark else []
    others = set() if request.names_file else {one.path for one in found if not one.by_number and one.names != named.names}
    remarks += [f"{named.path} and {path} name different classes: the first counts." for path in sorted(others)]
    for remark in remarks:
        advice = "Name the right file in the form if that is wrong."
        request.findings.add("class-names", f"{remark} {advice}", request.labels, request.stage)
    first = next((one for one in found if one.is_yaml), Description())
    return Description(named.path, named.names, first.key_points, first.is_yaml)


def description_of(path: str) -> Description:
    """What one file says. Raises DataError."""
    if os.path.getsize(path) > LARGEST_FILE:
        raise DataError(f"{path} is larger than a file of class names.", advice="Name the YAML file of the data set.")
    if not path.lower().endswith(YAML):
        lines = [plain_class(line) for line in lines_of(path) if not is_remark(line)]
        names = {number: name for number, name in enumerate(lines) if name}
        return Description(path, names, remark=_doubled(names))
    content = read_yaml(path)
    names, count = _names_in(content, path), _count_in(content)
    by_number = not names
    remark = _doubled(names)
    if names and count not in (None, len(names)):
        remark = f"says nc: {count}, and names {counted(len(names), 'class', 'classes')}; the names count. {remark}".strip()
    if by_number:
        names = {number: str(number) for number in range(count or 0)}
        remark = f"says how many classes there are, {count}, and not their names: they are called by their numbers."
    return Description(path, names, _key_points_in(content, path), True, by_number, remark)


def _doubled(names: dict[int, str]) -> str:
    """What is to be said of numbers that have one name."""
    numbers: dict[str, list[str]] = defaultdict(list)
    for number, name in names.items():
        numbers[name].append(str(number))
    same = next((name for name, found in numbers.items() if len(found) > 1), None)
    return "" if same is None else f"calls the classes {' and '.join(numbers[same])} {same!r}: they are one class."


def _names_in(content: Any, path: str) -> dict[int, str]:
    """Class names by their numbers; empty where only a number of classes is said. Raises DataError where neither is."""
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if names and isinstance(names, dict) and all(is_digits(str(key)) and isinstance(name, str) for key, name in names.items()):
        ordered = sorted((int(key), name) for key, name in names.items())
        return {number: plain_class(name) or str(number) for number, name in ordered}
    if not names and isinstance(content, dict) and _count_in(content):
        return {}
    raise DataError(f"{path} has no class names.", advice="It needs `names:` with a list, or with numbers and names.")


def _count_in(content: dict[str, Any]) -> int | None:
    count = content.get("nc")
    number = whole_number(count) if isinstance(count, str) else None
    return number if number is not None and number <= MOST_CLASSES else None


def _key_points_in(content: dict[str, Any], path: str) -> tuple[int, int] | None:
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(side, str) and is_digits(side) for side in shape):
        count, values = map(int, shape)
        if count > 0 and values in (2, 3):
            return count, values
    raise DataError(
        f"{path} has the kpt_shape {shown(repr(shape))}.",
        advice="It is the number of key points, and 2 or 3 values of each: [17, 3].",
    )


def _in_folder(folder: str, request: Request) -> list[Description]:
    """What the files of a folder say, those of known names first; other YAML files that contradict each other say nothing."""
    known = [path for name in NAMES_FILES if os.path.isfile(path := os.path.join(folder, name)) and request.may_read(path)]
    others = [path for path in _yaml_files(folder) if path not in known and request.may_read(path)]
    found = [one for path in known if path != request.names_file and (one := _of_known_file(path, request))]
    if found:
        return found
    found = [one for path in others if path != request.names_file and (one := _of_any_yaml(path))]
    for other in found[1:]:
        if (other.names, other.key_points) != (found[0].names, found[0].key_points):
            reason = f"{found[0].path} and {other.path} name different classes: neither is taken. Name the right one in the form."
            request.findings.add("class-names", reason, folder, request.stage)
            return []
    return found[:1]


def _yaml_files(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    paths = [os.path.join(folder, name) for name in names if name.lower().endswith(YAML) and not is_hidden(name)]
    return [path for path in paths if os.path.isfile(path) and os.path.getsize(path) <= LARGEST_FILE]


def _of_known_file(path: str, request: Request) -> Description | None:
    """A file that is called as one of class names; what is wrong with it is noted."""
    try:
        return description_of(path)
    except DataError as error:
        reason = f"{error.message} It is left alone; name a file of class names in the form if they are missing."
        request.findings.add("class-names", reason, path, request.stage)
        return None


def _of_any_yaml(path: str) -> Description | None:
    """A YAML file that may be of something else."""
    try:
        return description_of(path)
    except DataError:
        return None
