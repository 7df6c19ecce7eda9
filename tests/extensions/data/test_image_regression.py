"""Regression data sets: numbers of a table, several columns, labels, and lines that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from digits.errors import DataError
from tests.ingest.making import Run, make_job, picture, run_job

ID = "image-regression"


def make(tmp_path: Path, *lines: str, **data: Any) -> Run:
    (tmp_path / "images").mkdir(exist_ok=True)
    for seed, name in enumerate("abcd"):
        picture(seed).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "values.csv").write_text("\n".join(lines) + "\n")
    values = {"image_folder": str(tmp_path / "images"), "values_file": str(tmp_path / "values.csv"), "folder_pct_val": 0}
    return run_job(make_job(tmp_path / "jobs", ID, {**values, **data}))


def numbers(run: Run) -> list[list[float]]:
    return run.reader().labels(range(len(run.reader()))).tolist()


def test_one_column_of_whole_numbers_is_a_vector_of_one(tmp_path: Path) -> None:
    run = make(tmp_path, "file,age", "a.png,3", "b.png,4")
    meta = run.reader().meta
    assert (run.info.task, meta.label_kind, meta.label_shape, meta.label_dtype) == ("regression", "vector", (1,), "float32")
    assert numbers(run) == [[3.0], [4.0]]
    assert run.info.extra["columns"] == ["age"]
    assert run.info.extra["value_ranges"][0]["mean"] == 3.5


def test_several_columns_with_and_without_names(tmp_path: Path) -> None:
    assert numbers(make(tmp_path, "a;1.5;-2", "b;0;7e-1")) == [[1.5, -2.0], [0.0, pytest.approx(0.7)]]
    chosen = make(tmp_path, "x,path,y,z", "1,images/a,2,3", value_columns="z, x", image_column="path")
    assert numbers(chosen) == [[3.0, 1.0]]


@pytest.mark.parametrize("lines", [("file,cat,dog", "a,1,0", "b,1,1"), ("file,labels", "a,cat", "b,dog|cat")])
def test_several_labels_at_once(tmp_path: Path, lines: tuple[str, ...]) -> None:
    run = make(tmp_path, *lines, value_kind="labels")
    assert run.info.class_labels == ("cat", "dog")
    assert numbers(run) == [[1.0, 0.0], [1.0, 1.0]]
    assert run.reader().find_class(1).tolist() == [1]
    assert run.info.splits["train_db"].class_counts == (2, 1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [("b,x", "'x' is no number"), ("b,nan", "'nan' is no number"), ("b", "columns"), ("z,4", "No picture 'z'")],
)
def test_lines_that_cannot_be_used_are_listed(tmp_path: Path, line: str, reason: str) -> None:
    run = make(tmp_path, "file,age", "a,3", line)
    assert numbers(run) == [[3.0]]
    (problem,) = run.problems()
    assert reason in problem["reason"]
    assert problem["entry"] == f"{tmp_path / 'values.csv'}, line 3"


def test_tables_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No line of"):
        make(tmp_path, "file,age", "q,3")
    with pytest.raises(DataError, match="no column 'size'; it has file, age"):
        make(tmp_path, "file,age", "a,3", value_columns="size")
    with pytest.raises(DataError, match="is empty"):
        make(tmp_path)


def test_a_validation_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("file,age\nc,5\n")
    run = make(tmp_path, "file,age", "a,3", "b,4", val_values_file=str(tmp_path / "val.csv"), folder_pct_val=50)
    assert run.entries() == {"train": 2, "val": 1}
    (tmp_path / "val.csv").write_text("file,age,size\nc,5,6\n")
    with pytest.raises(DataError, match="2 columns of values, the training file 1"):
        make(tmp_path, "file,age", "a,3", val_values_file=str(tmp_path / "val.csv"))
