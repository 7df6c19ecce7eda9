"""Which entry goes into which split: text files that name them, groups that stay together, or shares drawn by the seed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from digits.domain.datasets import STAGES
from digits.errors import DataError
from digits.extensions.data.classification.split import by_group, stratified
from digits.extensions.data.files.names import FileNames, Found, below, listed, neither
from digits.extensions.data.files.pairs import base_name
from digits.extensions.data.files.text import lines_of
from digits.extensions.data.images.findings import Findings
from digits.utils.names import is_image_file, split_line

QUOTED = re.compile(r"""(["'])(.+?)\1""")
SEPARATORS = re.compile(r"[\s,;]+")


def drawn(
    groups: Sequence[str], percent_val: float, percent_test: float, seed: int, classes: np.ndarray | None = None
) -> np.ndarray:
    """Split number, int8 (n,), of each entry: 0 train, 1 val, 2 test; of each class, integers (n,), the same share. Entries of
    one non-empty group are in one split."""
    rng = np.random.default_rng(seed)
    classes = np.zeros(len(groups), int) if classes is None else classes
    if not any(groups):
        return stratified(classes, percent_val, percent_test, rng)
    numbers = np.unique([g or f"\0{i}" for i, g in enumerate(groups)], return_inverse=True)[1]
    return by_group(classes, numbers, percent_val, percent_test, rng)


def group_finder(pattern: str) -> Callable[[str], str]:
    """What a regular expression finds in a path (its first bracket, without one the whole match). Raises DataError."""
    if not pattern:
        return lambda path: ""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(
            f"The pattern {pattern!r} cannot be understood: {error}.", advice="Correct the regular expression."
        ) from error

    def find(path: str) -> str:
        found = compiled.search(path)
        return "" if found is None else ((found[1] if compiled.groups else found[0]) or "")

    return find


def by_lists(root: str, pictures: Sequence[str], files: Mapping[str, str], findings: Findings) -> np.ndarray:
    """Split number, int8 (n,), of each picture below a folder, as text files (by split) say; -1 for one that no list names.

    What a list names and is not there, what it does not tell apart and what several lists name is noted. Raises DataError.
    """
    listing = _Listing(root, pictures)
    lost = {stage: listing.read(stage, file, findings) for stage, file in files.items()}
    for stage, lines in lost.items():
        listing.read_shorter(lines, stage, files[stage], findings)
    if pictures and (listing.numbers < 0).all():
        raise DataError(
            f"None of the lists names a picture below {root}, e.g. {pictures[0]}.{findings.first_of(['list'])}",
            advice="A list names one picture a line, by its path below the folder, with or without its extension.",
        )
    for row in np.flatnonzero(listing.numbers < 0).tolist():
        findings.add("pair", "None of the lists names it; it is left out.", pictures[row])
    return listing.numbers


class _Listing:
    """Which picture is in which split so far."""

    def __init__(self, root: str, pictures: Sequence[str]) -> None:
        self._root, self._pictures = root.rstrip("/"), pictures
        self._names = FileNames(root, pictures)
        self._rows = {path: row for row, path in enumerate(pictures)}
        self.numbers = np.full(len(pictures), -1, np.int8)

    def read(self, stage: str, file: str, findings: Findings) -> list[tuple[int, str]]:
        """Take what a list names; the lines that name nothing are given back, with their numbers."""
        lines = [(number, line.strip()) for number, line in enumerate(lines_of(file), start=1)]
        if not any(line for _, line in lines):
            advice = "It should name one picture a line, with or without its extension."
            raise DataError(f"The list {file} is empty.", advice=advice)
        lost = []
        for number, line in lines:
            found = _first_found(self._names, line) if line else Found()
            if found:
                self._take(found.path, stage, findings)
            elif found.several:
                findings.add("list", f"{line[:100]!r}: {found.reason}", file, stage, number, lost=True)
            elif line and not line.startswith("#"):
                lost.append((number, line))
        return lost

    def read_shorter(self, lines: list[tuple[int, str]], stage: str, file: str, findings: Findings) -> None:
        """Look for such lines among the pictures that are left, both without a known addition."""
        if not lines:
            return
        by_name: dict[str, list[str]] = defaultdict(list)
        for row in np.flatnonzero(self.numbers < 0).tolist():
            path = self._pictures[row]
            by_name[f"{self._root}/{base_name(below(self._root, path))}"].append(path)
        names = FileNames(self._root, list(by_name))
        for number, line in lines:
            found = next((one for text in readings(line) if (one := names.find(base_name(text)))), Found())
            files = by_name[found.path] if found else []
            if len(files) == 1:
                self._take(files[0], stage, findings)
                continue
            reason = "No picture of the data set has this name."
            if files:
                reason = f"It fits {listed(files)}: {neither(files)} is taken."
            findings.add("list", f"{line[:100]!r}: {reason}", file, stage, number, lost=True)

    def _take(self, path: str, stage: str, findings: Findings) -> None:
        row, number = self._rows[path], STAGES.index(stage)
        if self.numbers[row] < 0:
            self.numbers[row] = number
        elif self.numbers[row] != number:
            first, other = (name.removesuffix("_db") for name in (STAGES[self.numbers[row]], stage))
            findings.add("list", f"It stands in the lists of {first} and {other}; it is taken for {first} alone.", path, stage)


def _first_found(names: FileNames, line: str) -> Found:
    """What the longest part of a line that names anything stands for."""
    for text in readings(line):
        found = names.find(text)
        if (found and (found.certain or not _ends_of_pictures(text))) or found.several:
            return found
    return Found()


def readings(line: str) -> Iterator[str]:
    """What a line of a list may name, the longest first: all of it; all before columns of numbers, a tab, or what follows the
    extension of a picture. Names may hold blanks and dots, and stand in quotation marks."""
    yield line
    if found := QUOTED.match(line):
        yield found[2]
    text = line
    while (shorter := split_line(text)[0]) != text:
        yield shorter
        text = shorter
    if "\t" in line:
        yield line.partition("\t")[0].strip()
    yield from (line[:end] for end in reversed(_ends_of_pictures(line)))


def _ends_of_pictures(line: str) -> list[int]:
    """Where, within a line, a name ends that has the extension of a picture."""
    return [found.start() for found in SEPARATORS.finditer(line) if is_image_file(line[: found.start()])]
