"""Which picture goes into which split: per class and exact, or by groups that must stay together.

Rows are numbers of pictures; `classes` holds the class of each row. The answer is one small integer per row: 0 train,
1 validation, 2 test.
"""

from __future__ import annotations

import numpy as np

TRAIN, VAL, TEST = 0, 1, 2


def split_counts(count: int, percent_val: float, percent_test: float) -> tuple[int, int, int]:
    """How many of `count` pictures go to train, val and test.

    Rounded to the nearest; each split that is asked for gets at least one as long as there are as many pictures as splits.
    """
    wanted = [0 if p <= 0 else max(1, int(count * p / 100 + 0.5)) for p in (percent_val, percent_test)]
    while sum(wanted) >= count and max(wanted) > 0:
        wanted[1 if wanted[1] >= wanted[0] else 0] -= 1
    return count - sum(wanted), wanted[0], wanted[1]


def stratified(classes: np.ndarray, percent_val: float, percent_test: float, rng: np.random.Generator) -> np.ndarray:
    """Split each class by itself, at random: int8 (n,), 0 train, 1 val, 2 test, of `classes` (n,) integers."""
    stages = np.zeros(len(classes), np.int8)
    for number in np.unique(classes):
        rows = rng.permutation(np.flatnonzero(classes == number))
        _, val, test = split_counts(len(rows), percent_val, percent_test)
        stages[rows[:val]] = VAL
        stages[rows[val : val + test]] = TEST
    return stages


def by_group(
    classes: np.ndarray, groups: np.ndarray, percent_val: float, percent_test: float, rng: np.random.Generator
) -> np.ndarray:
    """Split so that all rows of a group land together, as near to the percentages per class as the groups allow: int8 (n,).

    `classes` and `groups` are (n,) integers. Large groups are placed first, each where its classes are most wanted. Every split
    that is asked for gets a group as long as there are enough groups.
    """
    targets = _targets(classes, percent_val, percent_test)
    remaining = targets.copy()
    order = _largest_first(groups, rng)
    rows_of = _rows_by_group(groups)
    stage_of_group = np.zeros(len(rows_of), np.int8)
    for group in order:
        numbers, counts = np.unique(classes[rows_of[group]], return_counts=True)
        scores = (counts * remaining[:, numbers] / np.maximum(targets[:, numbers], 1)).sum(axis=1)
        scores[targets.sum(axis=1) == 0] = -np.inf
        stage = int(np.argmax(scores))
        stage_of_group[group] = stage
        remaining[stage, numbers] -= counts
    _fill_empty(stage_of_group, order, targets)
    return stage_of_group[groups]


def _targets(classes: np.ndarray, percent_val: float, percent_test: float) -> np.ndarray:
    """Pictures wanted per split and class, (3, classes)."""
    counts = np.bincount(classes)
    return np.array([split_counts(int(n), percent_val, percent_test) if n else (0, 0, 0) for n in counts], float).T


def _largest_first(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sizes = np.bincount(groups)
    shuffled = rng.permutation(len(sizes))
    return shuffled[np.argsort(-sizes[shuffled], kind="stable")]


def _rows_by_group(groups: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.cumsum(np.bincount(groups))[:-1])


def _fill_empty(stage_of_group: np.ndarray, order: np.ndarray, targets: np.ndarray) -> None:
    """Give a split that is wanted but got nothing the smallest group of one that has several."""
    for stage in range(3):
        if targets[stage].sum() == 0 or (stage_of_group == stage).any():
            continue
        counts = np.bincount(stage_of_group, minlength=3)
        donor = next((g for g in order[::-1] if counts[stage_of_group[g]] > 1), None)
        if donor is not None:
            stage_of_group[donor] = stage
