"""How often the verdict of a comparison is wrong about models that are equal, and how often it finds one that is better.

    python benchmarks/verdict_errors.py [--trials 2000]

Every trial draws validation pictures (and seeds) anew from models of which the truth is known, and asks `digits.metrics.verdict`.
The figures stand in docs/comparing.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from digits.metrics import resampling, verdict
from digits.storage.validation_pictures import Ragged

RESAMPLES = 300  # enough for the spread, which is all that the verdict takes of them


def accuracy_run(rng: np.random.Generator, hard: np.ndarray, skill: float, drawn: resampling.Draws) -> verdict.Run:
    """A classifier that is right where the picture is easier than its skill, but for a fifth of chance of its own."""
    right = np.where(rng.random(len(hard)) < 0.2, rng.random(len(hard)) < skill, hard < skill)
    columns = {"rank": np.where(right, 0, 1)}
    value = float(resampling.resampled("accuracy", columns, resampling.once(len(hard)))[0])
    return verdict.Run(value, resampling.resampled("accuracy", columns, drawn), right)


def run_of(name: str, columns: dict[str, Any], count: int, drawn: resampling.Draws) -> verdict.Run:
    """A run, whose answers can be exchanged with another's."""
    value = float(resampling.resampled(name, columns, resampling.once(count))[0])
    return verdict.Run(value, resampling.resampled(name, columns, drawn), None, columns)


def dice_run(rng: np.random.Generator, hard: np.ndarray, skill: float, drawn: resampling.Draws) -> verdict.Run:
    """A segmentation of an object of uneven size: its share of right pixels falls with the picture's difficulty."""
    count = len(hard)
    sizes = np.round(2000 * np.exp(hard * 2)).astype(int)
    share = np.clip(skill - 0.4 * hard + rng.normal(0, 0.1, count), 0, 1)
    shared = np.round(sizes * share)
    columns = {
        "classes": Ragged(np.ones(count, int), np.arange(count)),
        "shared": Ragged(shared, np.arange(count)),
        "pixels": Ragged(2.0 * sizes, np.arange(count)),
        "labelled": Ragged(1.0 * sizes, np.arange(count)),
    }
    return run_of("mean_dice", columns, count, drawn)


def boxes_run(rng: np.random.Generator, hard: np.ndarray, skill: float, drawn: resampling.Draws) -> verdict.Run:
    """A detector: three objects in each picture, found with a chance that falls with difficulty, and false boxes."""
    count = len(hard)
    pictures = np.repeat(np.arange(count), 5)
    real = np.tile([1, 1, 1, 0, 0], count).astype(bool)
    found = np.where(real, rng.random(5 * count) < np.clip(skill + 0.3 - 0.6 * hard[pictures], 0, 1), rng.random(5 * count) < 0.6)
    scores = np.where(real, rng.beta(4, 2, 5 * count), rng.beta(2, 3, 5 * count))
    kept = pictures[found]
    columns = {
        "scores": Ragged(scores[found], kept),
        "classes": Ragged(np.zeros(len(kept), int), kept),
        "right": Ragged(real[found].astype(int), kept),
        "void": Ragged(np.zeros(len(kept), int), kept),
        "objects": Ragged(np.zeros(3 * count, int), np.repeat(np.arange(count), 3)),
    }
    return run_of("map50", columns, count, drawn)


MAKERS: dict[str, Callable[..., verdict.Run]] = {"accuracy": accuracy_run, "mean Dice": dice_run, "mAP@.5": boxes_run}

METRICS = {"accuracy": "accuracy", "mean Dice": "mean_dice", "mAP@.5": "map50"}


def found(rng: np.random.Generator, maker: str, pictures: int, lines: int, seeds: int, spread: float, better: float) -> bool:
    """One trial: whether any line is said to be better. Lines are equal, but for `better` skill of the last one."""
    hard = rng.random(pictures)
    drawn = resampling.draws(pictures, 100 if maker == "mAP@.5" else RESAMPLES, seed=int(rng.integers(2**31)))
    make = MAKERS[maker]

    def line(number: int) -> verdict.Line:
        skill = 0.7 + (better if number == lines - 1 else 0)
        return verdict.Line(str(number), tuple(make(rng, hard, skill + rng.normal(0, spread), drawn) for _ in range(seeds)))

    def swap(one: Any, other: Any) -> float:
        return resampling.swap_test(METRICS[maker], one, other, pictures, len(drawn.weights))

    pairs = verdict.judge([line(n) for n in range(lines)], pictures, lower=False, share=True, swap=swap)
    return any(pair.outcome in ("better", "worse") for pair in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    print("| metric | pictures | lines | seeds each | truth | said to be better |\n|---|---|---|---|---|---|")
    cases = [(m, n, 2, 1, 0.0, 0.0) for m in ("accuracy", "mean Dice") for n in (20, 50, 200, 1000)]
    cases += [("mAP@.5", n, 2, 1, 0.0, 0.0) for n in (20, 50, 200)]
    cases += [("accuracy", 200, 5, 1, 0.0, 0.0), ("mean Dice", 200, 5, 1, 0.0, 0.0)]
    cases += [(m, 200, 2, k, 0.03, 0.0) for m in ("accuracy", "mean Dice") for k in (2, 3, 5)]
    cases += [("mean Dice", 200, 4, 3, 0.03, 0.0)]
    cases += [("accuracy", 200, 2, 1, 0.0, 0.1), ("accuracy", 1000, 2, 1, 0.0, 0.1), ("mean Dice", 200, 2, 3, 0.01, 0.1)]
    for maker, pictures, lines, seeds, spread, better in cases:
        rng = np.random.default_rng([pictures, lines, seeds, len(maker)])
        count = sum(found(rng, maker, pictures, lines, seeds, spread, better) for _ in range(trials))
        truth = f"one better by {better:g}" if better else "equal"
        truth += f", seeds vary by {spread:g}" if spread else ""
        print(f"| {maker} | {pictures:,} | {lines} | {seeds} | {truth} | {100 * count / trials:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
