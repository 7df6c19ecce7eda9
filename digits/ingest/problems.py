"""`problems.jsonl`: one line for each thing that was left out or found odd, with its reason."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from digits.domain.datasets import TEST_DB, VAL_DB
from digits.errors import DiskFull
from digits.storage.files import cannot_write
from digits.utils.values import counted, is_number

LISTED_DUPLICATES = 1000
LISTED_CONVERSIONS = 1000
SKIPPED, DUPLICATE, CONTRADICTION, CONVERTED, EMPTY_SPLIT, MORE = (
    "skipped",
    "duplicate",
    "contradiction",
    "converted",
    "empty-split",
    "more",
)


SHARES = {VAL_DB: ("folder_pct_val", "validation"), TEST_DB: ("folder_pct_test", "testing")}
LISTS = ("train_list_file", "val_list_file", "test_list_file")


def empty_shares(values: Mapping[str, Any], counts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """One problem for each share that the values of a form ask for and that came out empty; `counts` are entries by stage."""
    if any(values.get(name) for name in LISTS):  # these say what goes where
        return
    total = sum(counts.values())
    for stage, (name, purpose) in SHARES.items():
        share = str(values.get(name) or "")
        if total and not counts.get(stage) and is_number(share) and float(share) > 0:
            reason = (
                f"{float(share):g} % were asked for {purpose}, but none of the {counted(total, 'entry', 'entries')} fell to it."
            )
            yield {"kind": EMPTY_SPLIT, "stage": stage, "entry": "", "reason": f"{reason} Ask for more, or add entries."}


class ProblemLog:
    """Writes the list anew. Lines have `kind` (one of `PROBLEM_WORDS`, `skipped`, `duplicate`, `more`), `reason`, `entry`, …

    `lost` counts the records that the data set could have and lacks: one for each skipped entry, and what a line says under
    `lost`. A line `more` stands for `count` problems of the kind `of` that are not listed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: dict[str, int] = {}
        self.lost = 0
        self._marked: tuple[dict[str, int], int] = ({}, 0)
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
            with contextlib.suppress(OSError):  # a disk that is read-only has taken nothing
                self._handle.truncate(before)
            self._handle.seek(before)
            raise cannot_write(error, self.path) from error
        for problem in problems:
            kind = str(problem.get("kind", SKIPPED))
            self.count(kind)
            self.lost += int(problem.get("lost", kind == SKIPPED))
            if kind == MORE and "of" in problem:
                self.count(str(problem["of"]), int(problem["count"]))

    def count(self, kind: str, number: int = 1) -> None:
        """Count problems of a kind, which need not be listed."""
        self.counts[kind] = self.counts.get(kind, 0) + number

    def clear(self) -> None:
        """Start the list again."""
        self._handle.truncate(0)
        self._handle.seek(0)
        self.counts.clear()
        self.lost = 0

    def mark(self) -> int:
        """The place to which `rewind` may return."""
        self._marked = dict(self.counts), self.lost
        return self._handle.tell()

    def rewind(self, mark: int) -> None:
        """Take back what was added after the mark."""
        self._handle.truncate(mark)
        self._handle.seek(mark)
        self.counts, self.lost = dict(self._marked[0]), self._marked[1]

    def close(self) -> None:
        self._handle.close()


# Kind of problem -> what a warning says of so many of them.
PROBLEM_WORDS: dict[str, Callable[[int], str]] = {
    "class": lambda count: f"{counted(count, 'class', 'classes')} left out.",
    "line": lambda count: f"{counted(count, 'line')} of the text files without a path and the number of a class; skipped.",
    "pair": lambda count: f"{counted(count, 'file')} without a partner of the same name; left out.",
    "list": lambda count: f"{counted(count, 'line')} of the lists of splits that name no picture, or one of another split.",
    "other-files": lambda count: "Files of other kinds lie among the pictures; they are not read.",
    "folder": lambda count: f"{counted(count, 'link')} to folders not followed: what they lead to is not to be read here.",
    "box": lambda count: f"{counted(count, 'box', 'boxes')} could not be used unchanged.",
    "unknown-class": lambda count: f"{counted(count, 'class name')} not in the list of classes; such boxes do not count.",
    "class-names": lambda count: f"{counted(count, 'class name')} to look at.",
    "stated-size": lambda count: f"{counted(count, 'picture')} of another size than their annotations are for.",
    "no-label-file": lambda count: "Some pictures have no label file.",
    "note": lambda count: f"{counted(count, 'note')} on the files.",
    "annotation": lambda count: f"{counted(count, 'annotation')} could not be used.",
    "mask": lambda count: f"{counted(count, 'mask')} to look at.",
    "label": lambda count: f"{counted(count, 'label')} to look at.",
    "empty": lambda count: f"{counted(count, 'picture')} without any object.",
    "one-split": lambda count: f"{counted(count, 'class', 'classes')} in one part of the splits only.",
    CONVERTED: lambda count: f"{counted(count, 'entry', 'entries')} of other channels or another type than most; converted.",
    CONTRADICTION: lambda count: f"{counted(count, 'exact copy', 'exact copies')} of a picture with another label.",
    "column": lambda count: f"{counted(count, 'column')} of a table to look at.",
    "size": lambda count: "Pictures of several sizes.",
    "depth": lambda count: "Some pictures have more than 8 bits; they are stored with their upper 8 bits.",
}
