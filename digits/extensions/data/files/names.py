"""Which file a name stands for: the one place that decides it for tables, annotation files and lists of splits.

Looked for in this order, the whole name first and only then without its ending; the first that fits counts:

1. the path below the folder;
2. the longest end: the name is an end of a file's path, or a file's path below the folder is an end of the name;
3. the base name, where all files lie in the folder itself, so that nothing but the name can tell them apart.

What nothing fits is looked for once more without regard to capitals. Composed and decomposed Unicode are one, `\\` is `/`, a name
in bytes that are no UTF-8 is the same however it was read. A name that fits several files stands for none: the reason names them.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from digits.extensions.data.files.text import decoded
from digits.utils.names import PICTURE_SUFFIXES

ENDINGS = frozenset(
    {
        *PICTURE_SUFFIXES,
        *(".avif", ".heic", ".heif", ".ico", ".dcm", ".dicom", ".ima", ".nii", ".npy", ".npz", ".mat"),
        *(".txt", ".xml", ".json", ".csv"),
    }
)
DOUBLE_ENDINGS = (".nii.gz",)
Spelling = Callable[[str], str]


@dataclass(frozen=True)
class Found:
    """The file that a name stands for; where there is none (`path` empty, false in a condition) `reason` says why, and `several`
    has those that fit equally well. `certain`: nothing in the name speaks against the file."""

    path: str = ""
    reason: str = ""
    several: tuple[str, ...] = ()
    certain: bool = True

    def __bool__(self) -> bool:
        return bool(self.path)


class FileNames:
    """The files below a folder by their names. Looking a name up takes the same time however many files there are."""

    def __init__(self, root: str, paths: Sequence[str]) -> None:
        self._root = root.rstrip("/")
        self._paths = paths
        self._below = [below(self._root, path) for path in paths]
        self._exact = dict(zip(self._below, range(len(paths)), strict=True))
        self._flat = not any("/" in path for path in self._below)
        self._spelled: dict[Spelling, list[str]] = {}
        self._tables: dict[tuple[Spelling, int], dict[str, list[int]]] = {}

    def find(self, name: str) -> Found:
        """The file that a name stands for. Nothing else is ever opened by a name of an annotation file."""
        if name in self._exact:
            return Found(self._paths[self._exact[name]])
        for spelled, spelling, certain in _spellings(name):
            rows, is_end = self._rows(spelled, spelling)
            if len(rows) == 1:
                return Found(self._paths[rows[0]], certain=certain and is_end)
            if rows:
                return self._unclear(rows)
        return Found(reason="The folder has no file of this name.")

    def find_all(self, names: Iterable[str]) -> dict[str, Found]:
        """Every name with what it stands for, as `find` says, but for what contradicts: a file that one name stands for by its
        path is not given to another by less, and several names of which each has only less stand for nothing."""
        found = {name: self.find(name) for name in names}
        claims: dict[str, list[str]] = defaultdict(list)
        for name, one in found.items():
            if one:
                claims[one.path].append(name)
        for path, claiming in claims.items():
            doubtful = {_path_of(name) for name in claiming if not found[name].certain}
            sure = next((name for name in claiming if found[name].certain), "")
            if len(claiming) == 1 or not doubtful or (len(doubtful) == 1 and not sure):
                continue
            for name in claiming:
                if not found[name].certain:
                    other = sure or next(one for one in claiming if _path_of(one) != _path_of(name))
                    found[name] = Found(reason=f"By its name it could be {path}, but so could {other}. {self._advice}")
        return found

    @property
    def _advice(self) -> str:
        return f"Write the path below {self._root}."

    def _unclear(self, rows: list[int]) -> Found:
        files = tuple(self._below[row] for row in rows)
        return Found(reason=f"It fits {listed(files)}: {neither(files)} is taken. {self._advice}", several=files)

    def _rows(self, name: str, spelling: Spelling) -> tuple[list[int], bool]:
        """The files that fit a name, of which their first level that fits counts; whether the whole name is an end of theirs."""
        if rows := self._table(spelling, 0).get(name):
            return rows, True
        parts = name.count("/") + 1
        if rows := self._table(spelling, parts).get(name):
            return rows, True
        for tail in _tails(name):
            if ("/" in tail or self._flat) and (rows := self._table(spelling, 0).get(tail)):
                return rows, False
        return [], False

    def _table(self, spelling: Spelling, parts: int) -> dict[str, list[int]]:
        """Numbers of files by the last `parts` parts of their whole path; with 0 by the path below the folder."""
        if spelling not in self._spelled:
            self._spelled[spelling] = [spelling(path) for path in self._below]
        if (spelling, parts) not in self._tables:
            root, table = spelling(self._root + "/"), dict[str, list[int]]()
            for row, path in enumerate(self._spelled[spelling]):
                if key := last_parts(root + path, parts) if parts else path:
                    table.setdefault(key, []).append(row)
            self._tables[spelling, parts] = table
        return self._tables[spelling, parts]


def on_disk(path: str) -> str:
    """A path as the file system spells it, where a list spells it otherwise: another encoding, Unicode composed or not, `\\`."""
    if path.isascii() and "\\" not in path:
        return path
    composed = plain(path)
    for spelled in (path, composed, unicodedata.normalize("NFD", composed), composed.replace("\\", "/")):
        if "\0" not in spelled and os.path.exists(spelled):
            return spelled
    return path


def below(root: str, path: str) -> str:
    """A path without the folder that it lies below."""
    return path[len(root) + 1 :] if path.startswith(root + "/") else os.path.relpath(path, root or "/")


def last_parts(path: str, count: int) -> str:
    """The last parts of a path; empty where it has fewer."""
    parts = path.lstrip("/").rsplit("/", count)
    return "/".join(parts[-count:]) if len(parts) >= count else ""


def without_ending(name: str) -> str:
    """A name or path without the ending of a picture, mask or annotation (`.nii.gz` is one); every other dot belongs to it."""
    for ending in DOUBLE_ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    stem, ending = os.path.splitext(name)
    return stem if ending.lower() in ENDINGS else name


def plain(name: str) -> str:
    """The one spelling of a name: composed Unicode, and bytes that are no UTF-8 as in text files."""
    if name.isascii():
        return name
    try:
        data = name.encode("utf-8", "surrogateescape")
        name = decoded(data)
    except UnicodeEncodeError:  # half a character, as JSON can write it
        pass
    return unicodedata.normalize("NFC", name)


def stem(name: str) -> str:
    """The plain name without its ending."""
    return without_ending(plain(name))


def _plain_folded(name: str) -> str:
    return plain(name).casefold()


def _stem_folded(name: str) -> str:
    return stem(name).casefold()


def listed(files: Sequence[str]) -> str:
    """`a/1.png and b/1.png`; of more than three the first two and how many more."""
    shown = list(files) if len(files) <= 3 else [*files[:2], f"{len(files) - 2} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def neither(files: Sequence[str]) -> str:
    """The word for none of them."""
    return "neither" if len(files) == 2 else "none"


def _spellings(name: str) -> Iterator[tuple[str, Spelling, bool]]:
    """How a name may be spelled, what files are spelled alike with, and whether that takes nothing away from the name."""
    path = _path_of(name)
    if not path:
        return
    yield path, plain, True
    yield path, stem, True
    yield without_ending(path), stem, False
    folded = path.casefold()
    yield folded, _plain_folded, False
    yield folded, _stem_folded, False
    yield without_ending(path).casefold(), _stem_folded, False


def _path_of(name: str) -> str:
    """A name as a path: `\\` is `/`, what leads to the same folder or out of it is left away."""
    path = os.path.normpath(plain(name).strip().replace("\\", "/")).lstrip("/")
    while path.startswith("../"):
        path = path[3:]
    return "" if path in (".", "..") else path


def _tails(path: str) -> Iterator[str]:
    """A path without its first folder, without its first two, …"""
    while "/" in path:
        path = path.partition("/")[2]
        yield path
