"""Data sets of records that were chosen of another: records as they are, everything that is counted counted anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.datasets import CHOSEN_FILE, CHOSEN_RECORDS, TRAIN_DB, VAL_DB, DatasetInfo, DatasetSpec
from digits.errors import DataError
from digits.ingest.chosen import divided, ingest_chosen
from digits.ingest.pipeline import IngestContext
from digits.storage.files import write_json
from digits.storage.folders import JobFolder
from digits.storage.records.boxes import BOX_DTYPE
from digits.storage.records.open import open_split
from digits.testing.runs import make_dataset

FEATURES = np.random.default_rng(3).integers(0, 256, (12, 3, 8, 6)).astype(np.uint8)
BOXES = [np.array([(0, 0, n % 5 + 1, 4, n % 2, 0)], BOX_DTYPE) for n in range(12)]


def chosen(tmp_path: Path, rows: list[int], **said: Any) -> DatasetInfo:
    folder = JobFolder(tmp_path / "new")
    folder.path.mkdir()
    write_json(folder.path / CHOSEN_FILE, rows)
    spec = DatasetSpec(
        CHOSEN_RECORDS, extension_data={"dataset_id": "old", "split": VAL_DB, "made_from": {"evaluation": "e"}, **said}
    )
    context = IngestContext(lambda event: None, lambda: False, lambda work: work(), 1, lambda error: None)
    return ingest_chosen(folder, spec, context)


@pytest.mark.parametrize(
    ("task", "kind", "labels"),
    [
        ("classification", "index", np.arange(12) % 3),
        ("segmentation", "map", np.random.default_rng(4).integers(0, 3, (12, 1, 8, 6)).astype(np.uint8)),
        ("detection", "boxes", BOXES),
        ("regression", "vector", np.random.default_rng(5).random((12, 2)).astype(np.float32)),
    ],
)
def test_records_are_copied_as_they_are(tmp_path: Path, task: str, kind: str, labels: Any) -> None:
    classes = ("a", "b", "c") if kind in ("index", "map", "boxes") else ()
    make_dataset(tmp_path / "old", FEATURES, labels, task=task, label_kind=kind, class_labels=classes, validation=8)
    info = chosen(tmp_path, [6, 1, 6, 3])
    assert (info.task, info.class_labels, list(info.splits)) == (task, classes, [TRAIN_DB])
    old, new = open_split(tmp_path / "old", VAL_DB), open_split(tmp_path / "new", TRAIN_DB)
    assert len(new) == info.splits[TRAIN_DB].entries == 3
    assert np.array_equal(new.features([0, 1, 2]), old.features([1, 3, 6]))
    for ours, theirs in zip(new.labels([0, 1, 2]), old.labels([1, 3, 6]), strict=True):
        assert np.array_equal(ours, theirs)
    assert new.column("key", [0, 1, 2]) == old.column("key", [1, 3, 6])
    means = FEATURES[4:][[1, 3, 6]].mean(axis=(0, 2, 3))
    assert np.allclose(info.splits[TRAIN_DB].meta.mean, means)
    assert new.meta.mean == info.splits[TRAIN_DB].meta.mean
    assert info.extra["made_from"] == {"evaluation": "e"}
    assert info.content_hash
    assert info.mean_image
    if kind == "index":
        assert info.splits[TRAIN_DB].class_counts == tuple(np.bincount(labels[4:][[1, 3, 6]], minlength=3))


def test_some_are_for_the_validation_and_groups_stay_together(tmp_path: Path) -> None:
    make_dataset(tmp_path / "old", FEATURES, np.arange(12) % 2, class_labels=("a", "b"), validation=10)
    info = chosen(tmp_path, list(range(10)), percent_val=20.0)
    assert [info.splits[name].entries for name in (TRAIN_DB, VAL_DB)] == [8, 2]
    groups = ["x", "y", "x", "", "y", "z", "z", ""]
    train, val = divided(groups, 40)
    assert sorted(train + val) == list(range(8))
    assert {groups[n] for n in train}.isdisjoint({groups[n] for n in val} - {""})
    assert divided(["", ""], 0) == ([0, 1], [])


def test_records_that_are_gone_leave_nothing(tmp_path: Path) -> None:
    make_dataset(tmp_path / "old", FEATURES, np.arange(12) % 2, class_labels=("a", "b"), validation=4)
    with pytest.raises(DataError, match="not in the data set any more"):
        chosen(tmp_path, [2, 4])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [CHOSEN_FILE]
