"""Pictures and what is known of them: folders, and lists of attributes as CelebA has them."""

import os
from dataclasses import dataclass
from pathlib import Path

from digits.extensions.data.files.listing import walk
from digits.utils.image import is_image_file


@dataclass(frozen=True)
class Picture:
    """A picture file; `label` is a number for each attribute, empty where none are known. `refusal` says why it may not be
    read."""

    path: str
    label: tuple[float, ...] = ()
    refusal: str = ""

    def __str__(self):
        return self.path


@dataclass(frozen=True)
class AttributeList:
    """The rows of a list, each a name and numbers, and the names of the attributes."""

    names: list[str]
    rows: list[tuple[str, tuple[float, ...]]]


def pictures_below(folder):
    """Paths of the pictures below a folder, sorted; hidden files and folders are left out."""
    found = []
    for root, names in walk(folder):
        found += [os.path.join(root, name) for name in names if is_image_file(name)]
    return found


def holds_pictures(folder):
    """The folder itself, or the only one in it (in it …), that has pictures; None where there is none, as in archives that were
    unpacked into a folder of their own name."""
    with os.scandir(folder) as entries:
        folders = []
        for entry in entries:
            if entry.is_file() and is_image_file(entry.name):
                return folder
            folders += [entry.path] if entry.is_dir() else []
    return holds_pictures(folders[0]) if len(folders) == 1 else None


def pictures_of_classes(folder):
    """The pictures of each sub-folder, whose attributes are 1 for it and 0 for the others, and the names of the sub-folders that
    have some: numbers by their size."""
    names = sorted((entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")), key=_order)
    found = {name: pictures_below(os.path.join(folder, name)) for name in names}
    labels = [name for name in names if found[name]]
    return [Picture(path, tuple(float(one == name) for one in labels)) for name in labels for path in found[name]], labels


def listed_pictures(file, folder, most=None):
    """The pictures of an attribute list, at most `most`, and the attributes' names."""
    table = read_list(file)
    return [_listed(folder, name, values) for name, values in table.rows[:most]], table.names


def _listed(folder, name, values):
    path = os.path.normpath(os.path.join(folder, name))
    is_inside = Path(os.path.normpath(folder)) in Path(path).parents
    return Picture(path, values, "" if is_inside else f"it does not lie in the folder {folder}")


def read_list(file):
    """A list of attributes: a line of names, perhaps after one with the number of pictures, then lines of a file's name and a
    number for each attribute, between blanks or commas. Raises ValueError naming the line."""
    lines = [(number, line.strip()) for number, line in enumerate(_lines(file), 1) if line.strip()]
    if lines and lines[0][1].isdecimal():
        lines = lines[1:]
    if not lines:
        raise ValueError(f"{file} lists no pictures")
    split = _by_commas if "," in lines[0][1] else str.split
    first = split(lines[0][1])
    has_names = not _is_number(first[-1])
    rows = lines[1:] if has_names else lines
    count = _numbers_at_the_end(split(rows[0][1])) if rows else len(first)
    if count < 1:
        raise ValueError(f"{file} has no attributes in line {rows[0][0]}: a name and a number for each attribute are expected")
    names = first[-count:] if has_names else [f"attribute {number}" for number in range(count)]
    if len(names) < count:
        raise ValueError(f"{file} names {len(names)} attributes, but line {rows[0][0]} has {count} numbers")
    return AttributeList(names, [_row(file, number, split(line), count) for number, line in rows])


def _row(file, number, words, count):
    name, values = " ".join(words[:-count]), words[-count:]
    if not name or not all(map(_is_number, values)):
        raise ValueError(f"line {number} of {file} is not a file name and {count} numbers")
    return name, tuple(map(float, values))


def _numbers_at_the_end(words):
    """How many of a line's words are attributes; the first is always (a part of) the file's name."""
    count = 0
    while count < len(words) - 1 and _is_number(words[-1 - count]):
        count += 1
    return count


def _lines(file):
    with open(file, encoding="utf-8-sig", errors="replace") as lines:
        return lines.read().split("\n")


def _by_commas(line):
    return [word.strip().strip('"') for word in line.split(",")]


def _is_number(word):
    try:
        float(word)
    except ValueError:
        return False
    return True


def _order(name):
    return (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
