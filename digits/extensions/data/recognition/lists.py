"""Text files that name pictures and the numbers of their classes, one a line, with a file of class names near by."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.files.text import read_text, split_lines
from digits.extensions.data.recognition.proposals import Finding, Proposal, Remark, Values
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, split_of
from digits.utils.names import is_remark, labelled_line

EACH, FILES = 20, 60  # that are looked at, of each folder and together
LARGEST = 64 << 20  # bytes
LEAST = 4  # lines
SEEN = 20  # lines whose pictures are looked for
CLASS_WORDS = ("class", "label", "synset", "categor", "words", "names")
SOURCE = "image-classification-textfile"


@dataclass(frozen=True)
class _List:
    """A list of pictures: the folder that its paths begin in, how many lines it has, and the greatest number of a class."""

    path: str
    folder: str
    count: int
    last: int


def find(tree: Tree) -> Iterator[Finding]:
    """The lists of all splits, the longest of each, with the names of their classes."""
    paths = tree.some_files(".txt", each=EACH, most=FILES)
    folders = _by_picture(tree)
    best: dict[str, _List] = {}
    for path in paths:
        if (found := _read(path, folders)) is not None:
            split = split_of(os.path.basename(path)) or "train"
            if split not in best or found.count > best[split].count:
                best[split] = found
    if len(best) == 1:
        best = {"train": next(iter(best.values()))}
    if (train := best.get("train")) is None:
        return
    last = max(found.last for found in best.values())
    said = f"{os.path.basename(train.path)} names {train.count:,} pictures in {train.folder} with the numbers of their classes"
    if names := _names(paths, last, {found.path for found in best.values()}):
        reason = f"{said}, {os.path.basename(names)} what these are called."
        records = sum(found.count for found in best.values())
        yield Proposal(SOURCE, "Image classification (lists)", reason, _values(best, names), records, tree.complete)
    else:
        yield Remark(f"{said}. No file near it says what these are called, one name a line; with one the lists can be used.")


def _by_picture(tree: Tree) -> dict[str, list[Folder]]:
    """Folders by the names of their pictures."""
    found: dict[str, list[Folder]] = {}
    for folder in tree.folders:
        for name in folder.names(IMAGE):
            found.setdefault(name, []).append(folder)
    return found


def _read(path: str, folders: dict[str, list[Folder]]) -> _List | None:
    """The list in a file; None for other files."""
    try:
        if os.path.getsize(path) > LARGEST:
            return None
        head = [line for line in split_lines(read_text(path, 1 << 14))[:SEEN] if line.strip()]
        entries = [labelled_line(line) for line in head]
        if len(entries) < LEAST or None in entries:
            return None
        root = _root(entries[0][0], folders)  # type: ignore[index]
        if not root or not all(os.path.isfile(os.path.join(root, entry[0])) for entry in entries if entry):
            return None
        lines = [entry for line in split_lines(read_text(path)) if (entry := labelled_line(line))]
    except (DataError, OSError):
        return None
    return _List(path, root, len(lines), max(number for _, number in lines))


def _root(name: str, folders: dict[str, list[Folder]]) -> str:
    """The folder in which a path of a list begins; empty where no picture has it."""
    for folder in folders.get(os.path.basename(name), ()):
        inner = os.path.dirname(name.lstrip("/"))
        if not inner:
            return folder.path
        if folder.path.endswith(f"/{inner}"):
            return folder.path[: -len(inner) - 1]
    return ""


def _names(paths: list[str], last: int, lists: set[str]) -> str:
    """A file with so many names of classes, one a line; empty where there is none."""
    found = []
    for path in paths:
        base = os.path.basename(path).lower()
        if path in lists or not any(word in base for word in CLASS_WORDS):
            continue
        try:
            count = sum(bool(line.strip()) and not is_remark(line) for line in split_lines(read_text(path, 1 << 20)))
        except DataError:
            continue
        if count == last + 1:
            found.append((min(place for place, word in enumerate(CLASS_WORDS) if word in base), path))
    return min(found)[1] if found else ""


def _values(best: dict[str, _List], names: str) -> Values:
    values: Values = {"method": "textfile", "textfile_use_local_files": True, "textfile_local_labels_file": names}
    for split, found in best.items():
        values |= {f"textfile_local_{split}_images": found.path, f"textfile_{split}_folder": found.folder}
    values |= {f"textfile_use_{split}": split in best for split in ("val", "test")}
    return values if "val" in best else values | {"textfile_pct_val": 10}
