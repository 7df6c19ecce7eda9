"""Which entry goes into which split: text files that name them, groups that stay together, or shares drawn by the seed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

import numpy as np

from digits.domain.datasets import STAGES
from digits.errors import DataError
from digits.extensions.data.classification.lists import read_lines
from digits.extensions.data.classification.split import by_group, split_counts
from digits.extensions.data.images.pairing import base_name


def drawn(groups: Sequence[str], percent_val: float, percent_test: float, seed: int) -> np.ndarray:
    """Split number, int8 (n,), of each entry: 0 train, 1 val, 2 test; entries with the same non-empty group share one."""
    rng = np.random.default_rng(seed)
    count = len(groups)
    if any(groups):
        numbers = np.unique([g or f"\0{i}" for i, g in enumerate(groups)], return_inverse=True)[1]
        return by_group(np.zeros(count, int), numbers, percent_val, percent_test, rng)
    stages = np.zeros(count, np.int8)
    order = rng.permutation(count)
    _, val, test = split_counts(count, percent_val, percent_test)
    stages[order[:val]], stages[order[val : val + test]] = 1, 2
    return stages


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


def by_lists(names: Sequence[str], lists: dict[str, set[str]]) -> np.ndarray:
    """Split number, int8 (n,), of each name as text files say; -1 for one that no list names."""
    number = {name: STAGES.index(stage) for stage, listed in reversed(list(lists.items())) for name in listed}
    return np.array([number.get(base_name(name), -1) for name in names], np.int8)


def read_split_list(path: str) -> set[str]:
    """Base names in a text file with one picture a line; what follows the first white space does not count. Raises DataError."""
    if not os.path.isfile(path):
        raise DataError(f"The list {path} does not exist.", advice="Correct its path.")
    found = {base_name(line.split()[0]) for line in read_lines_of(path) if line.strip()}
    if not found:
        raise DataError(f"The list {path} is empty.", advice="It should name one picture a line, with or without its extension.")
    return found


def read_lines_of(path: str) -> list[str]:
    """All lines of a text file."""
    from pathlib import Path

    return list(read_lines(Path(path)))
