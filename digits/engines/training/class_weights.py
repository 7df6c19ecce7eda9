"""How much each class counts in the loss: as requested, or by how rare it is in the training split."""

from __future__ import annotations

import numpy as np

from digits.domain.datasets import TRAIN_DB
from digits.engines.base import TrainingRun
from digits.engines.training.setup import labels_of, task_of
from digits.errors import TrainingError
from digits.tasks.classification import class_counts

FREQUENCY, ROOT = "frequency", "root"
LEAST, MOST = 0.1, 10.0  # so that a class of a few pixels does not decide alone
SAMPLES = 2000  # maps that are counted, evenly spaced
AT_ONCE = 16


def weights_of(run: TrainingRun) -> list[float] | None:
    """One weight a class, from the options of the training: a list as it is, `frequency`: 1 / (K · share), `root`: its square
    root, both within 0.1 and 10 (0.1 to 10 times what a class of average share counts); None without.

    Raises TrainingError when a list does not fit the classes.
    """
    wanted = run.spec.options.class_weights
    classes = len(run.info.class_labels)
    if not wanted or not classes or not task_of(run).weighs_classes:
        return None
    if wanted in (FREQUENCY, ROOT):
        return by_frequency(counts_of(run), power=0.5 if wanted == ROOT else 1.0)
    if len(wanted) != classes:
        raise TrainingError(
            f"{len(wanted)} class weights are given for {classes} classes.", advice="Give one for each class.", code="data"
        )
    return [float(weight) for weight in wanted]


def by_frequency(counts: np.ndarray, power: float = 1.0) -> list[float]:
    """Weights of K classes that occur `counts` (K,) times: (1 / (K · share)) to the `power`, within 0.1 and 10; a class that
    never occurs counts 1."""
    share = counts / max(counts.sum(), 1)
    weights = np.divide(1.0, share * len(counts), out=np.ones(len(counts)), where=share > 0)
    return [round(float(weight), 4) for weight in (weights**power).clip(LEAST, MOST)]


def counts_of(run: TrainingRun) -> np.ndarray:
    """How many records, or pixels of a sample of records, have each class: float64 (K,)."""
    classes = len(run.info.class_labels)
    split = run.info.splits.get(TRAIN_DB)
    whole = not task_of(run).of_places  # one label a record
    if whole and split and len(split.class_counts) == classes:
        return np.array(split.class_counts, np.float64)
    ignored = task_of(run).ignored_index(labels_of(run))
    counts = np.zeros(classes)
    count = len(run.train) if whole else min(len(run.train), SAMPLES)
    chosen = np.unique(np.linspace(0, len(run.train) - 1, count).astype(np.int64))
    for start in range(0, len(chosen), AT_ONCE):
        counts += class_counts(map(np.asarray, run.train.labels(chosen[start : start + AT_ONCE])), classes, ignored)
    return counts
