"""`problems.jsonl`: one line for each thing that was left out or found odd, with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from digits.errors import DiskFull, StorageError
from digits.storage.files import is_disk_full
from digits.utils.values import counted

LISTED_DUPLICATES = 1000
SKIPPED, DUPLICATE = "skipped", "duplicate"


class ProblemLog:
    """Writes the list anew. Lines have `kind` (`skipped`, `duplicate`, `class`, `line`, `depth`), `reason`, `entry`, …"""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: dict[str, int] = {}
        self._marked: dict[str, int] = {}
        self._handle: IO[bytes] = open(path, "wb", buffering=0)  # noqa: SIM115 - lives as long as the log

    def add(self, problem: dict[str, Any]) -> None:
        """Append one problem, whole or not at all. Raises DiskFull."""
        self.add_all([problem])

    def add_all(self, problems: list[dict[str, Any]]) -> None:
        """Append problems, all or none of them. Raises DiskFull."""
        lines = [json.dumps(problem, ensure_ascii=True, separators=(",", ":")) + "\n" for problem in problems]
        data, before = "".join(lines).encode(), self._handle.tell()
        try:
            if self._handle.write(data) != len(data):
                raise DiskFull(f"No space left for {self.path}.")
        except (OSError, DiskFull) as error:
            self._handle.truncate(before)
            self._handle.seek(before)
            if is_disk_full(error):
                raise DiskFull(f"No space left for {self.path}.") from error
            raise StorageError(f"{self.path} cannot be written: {error}.") from error
        for problem in problems:
            kind = str(problem.get("kind", SKIPPED))
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def clear(self) -> None:
        """Start the list again."""
        self._handle.truncate(0)
        self._handle.seek(0)
        self.counts.clear()

    def mark(self) -> int:
        """The place to which `rewind` may return."""
        self._marked = dict(self.counts)
        return self._handle.tell()

    def rewind(self, mark: int) -> None:
        """Take back what was added after the mark."""
        self._handle.truncate(mark)
        self._handle.seek(mark)
        self.counts = dict(self._marked)

    def close(self) -> None:
        self._handle.close()


# Kind of problem -> what a warning says of so many of them.
PROBLEM_WORDS: dict[str, Callable[[int], str]] = {
    "class": lambda count: f"{counted(count, 'class', 'classes')} left out.",
    "line": lambda count: f"{counted(count, 'line')} of the text files without a path and the number of a class; skipped.",
    "pair": lambda count: f"{counted(count, 'file')} without a partner of the same name; left out.",
    "box": lambda count: f"{counted(count, 'box', 'boxes')} could not be used unchanged.",
    "unknown-class": lambda count: f"{counted(count, 'class name')} not in the list of classes; such boxes do not count.",
    "annotation": lambda count: f"{counted(count, 'annotation')} could not be used.",
    "mask": lambda count: f"{counted(count, 'mask')} to look at.",
    "empty": lambda count: f"{counted(count, 'picture')} without any object.",
    "one-split": lambda count: f"{counted(count, 'class', 'classes')} in one part of the splits only.",
    "depth": lambda count: "Some pictures have more than 8 bits; they are stored with their upper 8 bits.",
}
