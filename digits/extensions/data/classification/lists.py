"""Where pictures of classes are listed: folders named like classes, and text files of `path label-number` lines, read without
holding them in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digits.errors import DataError
from digits.utils.names import class_name, is_hidden, labelled_line

BLOCK = 1 << 20
ENCODING, ERRORS = "utf-8", "surrogateescape"  # names that are no UTF-8 survive

Entry = tuple[str, int]


def class_folders(root: Path) -> dict[str, list[Path]]:
    """Label (see `digits.utils.names.class_name`) to its folders, sorted by folder name; hidden ones are left out.

    Raises DataError when `root` cannot be listed.
    """
    try:
        names = sorted(e.name for e in os.scandir(root) if not is_hidden(e.name) and e.is_dir())
    except OSError as error:
        raise DataError(f"The folder {root} cannot be read: {error.strerror or error}.") from error
    folders: dict[str, list[Path]] = {}
    for name in names:
        folders.setdefault(class_name(name), []).append(root / name)
    return folders


class ListFile(Sequence[Entry]):
    """The entries of a list, found by their byte offsets: eight bytes of memory each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ends = _line_ends(path)
        self._handle = os.open(path, os.O_RDONLY)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Entry:  # type: ignore[override]
        entry = labelled_line(self.line(index))
        if entry is None:
            raise ValueError(f"{self.path}, line {index + 1}: {self.line(index)!r} is no path with a class number")
        return entry

    def line(self, index: int) -> str:
        """The text of one line without its end."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = int(self._ends[index - 1]) if index else 0
        data = os.pread(self._handle, int(self._ends[index]) - start, start)
        return data.decode(ENCODING, ERRORS).rstrip("\n")

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __del__(self) -> None:
        self.close()


def _line_ends(path: Path) -> np.ndarray:
    """Offset behind each line (int64). Every line must end with a line break, as `ListWriter` writes them."""
    found, offset = [], 0
    with open(path, "rb") as handle:
        while block := handle.read(BLOCK):
            found.append(np.flatnonzero(np.frombuffer(block, np.uint8) == 10) + (offset + 1))
            offset += len(block)
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)
