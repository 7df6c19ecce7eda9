"""What a YOLO set says beside its labels: class names, and how many key points an object has. From `data.yaml`, any other YAML
file near by with `names`, or a text file with one name a line (`classes.txt`, `obj.names`)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import yaml

from digits.errors import DataError
from digits.extensions.data.files.text import lines_of, read_text
from digits.extensions.data.image_object_detection.formats.sources import Request
from digits.utils.names import is_hidden
from digits.utils.values import is_digits

YAML = (".yaml", ".yml")
NAMES_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "classes.txt", "obj.names", "names.txt")
LEVELS = 3  # folders above the labels that are searched
LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class Description:
    """`names` by class number; `key_points` are their number and how many values each has, None where there are none.
    `is_yaml`: a YAML file was found, which would say so if labels had key points."""

    path: str = ""
    names: dict[int, str] = field(default_factory=dict)
    key_points: tuple[int, int] | None = None
    is_yaml: bool = False


def description(request: Request) -> Description:
    """What the file of the form says, else what is near by. Raises DataError for a named file that says nothing."""
    found = [description_of(request.names_file)] if request.names_file else []
    folder = request.labels if os.path.isdir(request.labels) else os.path.dirname(request.labels)
    for _ in range(LEVELS):
        found += _in_folder(folder, request)
        folder = os.path.dirname(folder)
    named = next(iter(found), Description())
    first = next((one for one in found if one.is_yaml), Description())
    return Description(named.path, named.names, first.key_points, first.is_yaml)


def description_of(path: str) -> Description:
    """What one file says. Raises DataError."""
    if os.path.getsize(path) > LARGEST_FILE:
        raise DataError(f"{path} is larger than a file of class names.", advice="Name the YAML file of the data set.")
    if not path.lower().endswith(YAML):
        lines = [line.strip() for line in lines_of(path)]
        return Description(path, {number: name for number, name in enumerate(lines) if name})
    content = _yaml(path)
    return Description(path, _names_in(content, path), _key_points_in(content, path), is_yaml=True)


def _yaml(path: str) -> Any:
    try:
        return yaml.load(read_text(path), Loader=yaml.BaseLoader)  # texts only: a class may be called `no` or `1.0`
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{path} is no YAML: {error}.", advice="Correct the file.") from error


def _names_in(content: Any, path: str) -> dict[int, str]:
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if isinstance(names, dict) and all(is_digits(str(key)) and isinstance(name, str) for key, name in names.items()):
        return {int(key): name for key, name in sorted(names.items(), key=lambda item: int(item[0]))}
    raise DataError(f"{path} has no class names.", advice="It needs `names:` with a list, or with numbers and names.")


def _key_points_in(content: dict[str, Any], path: str) -> tuple[int, int] | None:
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    if isinstance(shape, list) and len(shape) == 2 and all(isinstance(side, str) and is_digits(side) for side in shape):
        count, values = map(int, shape)
        if count > 0 and values in (2, 3):
            return count, values
    raise DataError(
        f"{path} has the kpt_shape {shape!r}.", advice="It is the number of key points, and 2 or 3 values of each: [17, 3]."
    )


def _in_folder(folder: str, request: Request) -> list[Description]:
    """What the files of a folder say, those of known names first; other YAML files that contradict each other say nothing."""
    known = [path for name in NAMES_FILES if os.path.isfile(path := os.path.join(folder, name)) and request.may_read(path)]
    others = [path for path in _yaml_files(folder) if path not in known and request.may_read(path)]
    found = [description_of(path) for path in known]
    if found:
        return found
    found = [one for path in others if (one := _of_any_yaml(path))]
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


def _of_any_yaml(path: str) -> Description | None:
    """A YAML file that may be of something else."""
    try:
        return description_of(path)
    except DataError:
        return None
