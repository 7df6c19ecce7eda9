"""Names of pictures: which extensions they have, which files are hidden, which are addresses, how a line of a list names one, and
how they are shown.

A line is a path, or a path, blanks and the number of a class. Only a last word in ASCII digits (a sign before them, at most
18 of them) is a number; a path may hold blanks, and a line of one word is a path.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from importlib.util import find_spec


def _with(module: str, *suffixes: str) -> tuple[str, ...]:
    """Suffixes of pictures that only a module can read."""
    try:
        return suffixes if find_spec(module) is not None else ()
    except ImportError:
        return ()


PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".webp", ".gif"),
    *(".tga", ".jp2", ".j2k"),
    *_with("PIL._avif", ".avif"),
    *_with("pillow_heif", ".heic", ".heif"),
)
LITTER = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx"})  # what operating systems leave behind
DELIMITERS = (",", ";", "\t")  # of the cells of a table
BETWEEN = re.compile(r"(?<=[^_\s])[_\s]+(?=[^_\s])")
BLANKS = re.compile(r"\s+")
REMARK = re.compile(r"(#+\s+)+(?=\S)")  # what a remark begins with; `#` and `#tag` may be names of classes
LINE = re.compile(r"(?P<path>.*\S)\s+(?P<label>[-+]?[0-9]{1,18})")


def is_image_file(name: str) -> bool:
    """Whether a file name ends like a picture that `digits.utils.image` reads."""
    return name.lower().endswith(PICTURE_SUFFIXES)


def is_input_file(name: str) -> bool:
    """Whether a file name ends like what a model is asked about: a picture, or an array in a file, which some models take."""
    return is_image_file(name) or name.lower().endswith(".npy")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name belongs to the system and not to the data: `.DS_Store`, `._1.png`, `Thumbs.db`, …"""
    return name.startswith(".") or name.lower() in LITTER


def is_address(path: str) -> bool:
    """Whether a path is an http(s) address."""
    return path.lower().startswith(("http://", "https://"))


def split_line(line: str) -> tuple[str, int | None]:
    """Path and class number of a line of a list; None where it ends in no number."""
    text = line.strip()
    found = LINE.fullmatch(text)
    return (found["path"], int(found["label"])) if found else (text, None)


def labelled_line(line: str) -> tuple[str, int] | None:
    """Path and class number of a line that must have both; None for one that has not, or a number below 0."""
    path, label = split_line(line)
    return None if label is None or label < 0 else (path, label)


def is_remark(line: str) -> bool:
    """Whether a line of a file of class names is a remark on them, `# my classes`, and no class."""
    return REMARK.match(line.strip()) is not None


def is_table(lines: Iterable[str]) -> bool:
    """Whether the first lines of a list are rows of a table, such as `1.jpg,cat`, and not paths with the number of a class."""
    filled = [line for line in lines if line.strip()]
    paths = [entry[0] for line in filled if (entry := labelled_line(line))]
    common = set(DELIMITERS).intersection(*(set(DELIMITERS) & set(line) for line in filled)) if filled else set()
    return bool(common) and not any(is_image_file(path) for path in paths)


def class_name(folder: str) -> str:
    """The name of the class whose folder has this name: `_` between words is a blank, as the original has it, and runs of blanks
    are one, as are composed and decomposed Unicode. A line of a labels file can hold it: not empty, without blanks around, and no
    remark."""
    name = unicodedata.normalize("NFC", readable(folder)).strip("\ufeff \t")
    plain = BLANKS.sub(" ", BETWEEN.sub(" ", name)).strip()
    if found := REMARK.match(plain):
        plain = found[0].replace(" ", "") + plain[found.end() :]
    return plain or "".join(f"\\x{ord(character):02x}" for character in folder)


def readable(name: str) -> str:
    """A file's name as it can be shown and stored: bytes that are no UTF-8 become `\\xe9`, so that names stay different."""
    return os.fsencode(name).decode(errors="backslashreplace")
