"""Classification from tables of pictures and class names, as contests give them."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from digits.errors import DataError
from digits.utils.names import is_table
from tests.ingest.making import TEXTFILE, Run, make, picture


def run_of(tmp_path: Path, text: str, names: str = "x0.jpg x1.jpg x2.jpg x3.jpg", **more: Any) -> Run:
    root = tmp_path / "train"
    for seed, name in enumerate(names.split()):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(root / name)
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    values = {"textfile_use_local_files": True, "textfile_local_train_images": str(tmp_path / "list.csv")}
    values |= {"textfile_train_folder": str(root), "textfile_shuffle": False}
    return make(tmp_path / "out", TEXTFILE, **{**values, **more})


def classes(run: Run) -> dict[str, str]:
    """Class name by file name, out of the records."""
    reader, labels = run.reader(), run.info.class_labels
    rows = range(len(reader))
    paths = reader.column("source", rows)
    return {Path(path).name: labels[number] for path, number in zip(paths, reader.labels(rows).tolist(), strict=True)}


CAT_AND_DOG = {"x0.jpg": "cat", "x1.jpg": "dog", "x2.jpg": "cat", "x3.jpg": "dog"}


@pytest.mark.parametrize(
    "text",
    [
        "id,breed\nx0,cat\nx1,dog\nx2,cat\nx3,dog\n",
        "x0.jpg;cat\nx1.jpg;dog\nx2.jpg;cat\nx3.jpg;dog\n",
        ",file name,label,fold\n0,x0.jpg,cat,1\n1,x1.jpg,dog,1\n2,x2.jpg,cat,2\n3,x3.jpg,dog,2\n",
        "image,cat,dog\nx0,1,0\nx1,0.0,1.0\nx2,1,0\nx3,0,1\n",
        "Label\tImage\ncat\ttrain/x0.jpg\ndog\ttrain/x1.jpg\ncat\ttrain\\x2.jpg\ndog\tX3.JPG\n",
    ],
    ids=["kaggle_csv_class_names", "no names of columns", "index of pandas", "one of many", "tabs and paths"],
)
def test_names_of_classes(tmp_path: Path, text: str) -> None:
    run = run_of(tmp_path, text)
    assert run.info.class_labels == ("cat", "dog")
    assert classes(run) == CAT_AND_DOG
    assert not run.problems()


def test_numbers_are_classes_by_their_value_or_count_the_labels(tmp_path: Path) -> None:
    text = "id,label\nx0,10\nx1,9\nx2,10\nx3,9\n"
    assert run_of(tmp_path / "a", text).info.class_labels == ("9", "10")
    (tmp_path / "labels.txt").write_text("zero\none\n")
    labels = {"textfile_local_labels_file": str(tmp_path / "labels.txt")}
    run = run_of(tmp_path / "b", "id,label\nx0,1\nx1,0\nx2,1\nx3,0\n", **labels)
    assert classes(run) == {"x0.jpg": "one", "x1.jpg": "zero", "x2.jpg": "one", "x3.jpg": "zero"}
    run = run_of(tmp_path / "c", "x0.jpg,one\nx1.jpg,zero\nx2.jpg,two\n", **labels)
    assert classes(run) == {"x0.jpg": "one", "x1.jpg": "zero"}
    assert ["'two' is not among the 2 labels" in problem["reason"] for problem in run.problems()] == [True]


def labels_file(tmp_path: Path, *labels: str) -> dict[str, str]:
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    return {"textfile_local_labels_file": str(tmp_path / "labels.txt")}


def test_a_number_beyond_the_labels_file_is_an_error_as_in_lists(tmp_path: Path) -> None:
    """Numbers from 1 on would each mean the class before their own."""
    text = "id,label\nx0,1\nx1,2\nx2,3\n"
    with pytest.raises(DataError, match=r"Line 4 of .*list.csv has class 3, but there are 3 labels \(0 to 2\)") as error:
        run_of(tmp_path, text, **labels_file(tmp_path, "cat", "dog", "cow"))
    assert "count the labels from 0" in error.value.advice
    run = run_of(tmp_path / "again", text, **labels_file(tmp_path, "none", "cat", "dog", "cow"))
    assert classes(run) == {"x0.jpg": "cat", "x1.jpg": "dog", "x2.jpg": "cow"}


@pytest.mark.parametrize(("labels", "cells"), [("01 02 03", "1 2 1"), ("5 6 7", "0 1 1"), ("5 6 none", "0 1 1")])
def test_numbers_do_not_count_labels_that_are_numbers(tmp_path: Path, labels: str, cells: str) -> None:
    """A spreadsheet has taken the zeros in front away, or the numbers are of other classes: none means a place in the file."""
    rows = "".join(f"x{row},{cell}\n" for row, cell in enumerate(cells.split()))
    said = rf"no valid line\. The first problem: .*line 2: The class '{cells[0]}' is not among the 3"
    with pytest.raises(DataError, match=said):
        run_of(tmp_path, f"id,label\n{rows}", **labels_file(tmp_path, *labels.split()))


def test_numbers_of_a_validation_table_do_not_count_the_numbers_of_the_training_table(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("id,label\nx0,0\nx1,1\nx2,7\n")
    val = {"textfile_use_val": True, "textfile_local_val_images": str(tmp_path / "val.csv")}
    run = run_of(tmp_path, "id,label\nx0,5\nx1,6\nx2,7\n", **val, textfile_val_folder=str(tmp_path / "train"))
    assert run.reader("val").labels([0]).tolist() == [run.info.class_labels.index("7")]
    lines = [problem["entry"].rpartition("line ")[2] for problem in run.problems() if problem["kind"] == "annotation"]
    assert lines == ["2", "3"]
    (tmp_path / "val.csv").write_text("id,label\nx0,0\nx1,1\n")
    with pytest.raises(DataError, match=r"val\.csv has no valid line"):
        run_of(tmp_path / "b", "id,label\nx0,5\nx1,6\nx2,7\n", **val, textfile_val_folder=str(tmp_path / "train"))


def test_numbers_of_a_validation_table_that_count_names_are_said(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("id,label\nx3,0\nx1,1\n")
    val = {"textfile_use_val": True, "textfile_local_val_images": str(tmp_path / "val.csv")}
    val |= {"textfile_val_folder": str(tmp_path / "train")}
    run = run_of(tmp_path, "id,label\nx0,dog\nx2,cat\n", **val)
    assert run.reader("val").labels([0, 1]).tolist() == [0, 1]
    assert ["0 is 'cat'" in problem["reason"] for problem in run.problems() if problem["kind"] == "class-names"] == [True]
    run = run_of(tmp_path / "b", "id,label\nx0,dog\nx2,cat\n", **{**val, **labels_file(tmp_path, "dog", "cat")})
    assert not any(problem["kind"] == "class-names" for problem in run.problems())


def test_labels_that_are_digits_are_found_by_their_names(tmp_path: Path) -> None:
    run = run_of(tmp_path, "id,label\nx0,3\nx1,1\nx2,2\n", **labels_file(tmp_path, "3", "2", "1", "0"))
    assert classes(run) == {"x0.jpg": "3", "x1.jpg": "1", "x2.jpg": "2"}


def test_names_of_columns_that_are_names_of_pictures_are_no_record(tmp_path: Path) -> None:
    run = run_of(tmp_path, "image,label\na,cat\nb,dog\n", "image.png a.png b.png")
    assert (run.info.class_labels, classes(run)) == (("cat", "dog"), {"a.png": "cat", "b.png": "dog"})


def test_lines_that_contradict_or_fit_nothing_are_listed(tmp_path: Path) -> None:
    text = "id,label\nx0,cat\nx0,dog\nx0,cat\nx1,dog\ngone,dog\nx2,\n1,cat\n"
    run = run_of(tmp_path, text, "x0.jpg x1.jpg x2.jpg a/1.png b/1.png")
    assert classes(run) == {"x0.jpg": "cat", "x1.jpg": "dog"}
    found = {problem["entry"].rpartition("line ")[2]: problem["reason"] for problem in run.problems()}
    assert found.keys() == {"3", "6", "7", "8"}
    assert "a/1.png and b/1.png" in found["8"]
    assert run.info.left_out["count"] == 4


def test_shares_of_a_list_without_others(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(20)]
    text = "".join(f"{name},{'ab'[number % 2]}\n" for number, name in enumerate(names))
    run = run_of(tmp_path, text, " ".join(names), textfile_pct_val=20, textfile_pct_test=10)
    assert run.entries() == {"train": 14, "val": 4, "test": 2}
    assert [split.class_counts for split in run.info.splits.values()] == [(7, 7), (2, 2), (1, 1)]
    grouped = run_of(tmp_path / "g", text, " ".join(names), textfile_pct_val=20, group_pattern=r"(\d)\d?\.jpg")
    parts = [{Path(line).name[0] for line in grouped.lines(f"{name}.txt")} for name in ("train", "val")]
    assert parts[1]
    assert not parts[0] & parts[1]


def test_tables_that_say_too_little(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Which column of .*: breed, owner"):
        run_of(tmp_path, "id,breed,owner\nx0,cat,a\nx1,dog,b\n")
    chosen = run_of(tmp_path, "id,breed,owner\nx0,cat,a\nx1,dog,b\n", textfile_class_column="breed")
    assert classes(chosen) == {"x0.jpg": "cat", "x1.jpg": "dog"}
    with pytest.raises(DataError, match="names one class, 'cat'"):
        run_of(tmp_path, "id,breed\nx0,cat\n")
    with pytest.raises(DataError, match="No line of .* could be used. The first problem: .*line 2: No picture 'q'"):
        run_of(tmp_path, "id,breed\nq,cat\n")


@pytest.mark.parametrize(
    ("lines", "table"),
    [
        (["a,b.jpg 0", "c.jpg 1"], False),
        (["a,b.jpg 0"], False),
        (["a.jpg, 0", "b.jpg, 1"], True),
        (["a.jpg\t0", "b.jpg\t1"], False),
        (["my cat.jpg,0"], True),
        (["a.jpg 0"], False),
        (["no label"], False),
        (["id,label", "x 1,cat 2"], True),
        ([], False),
    ],
)
def test_what_is_a_table(lines: list[str], table: bool) -> None:
    assert is_table(lines) is table


def test_a_random_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    draw = random.Random(3)
    labels = [f"c {number}, or 'x'" for number in range(5)]
    truth = {f"{number:02}.b.png": draw.choice(labels) for number in range(30)}
    rows = "".join(f'"{label}",{name.removesuffix(".png")}\n' for name, label in truth.items())
    run = run_of(tmp_path, f"category,id\n{rows}", " ".join(truth))
    assert classes(run) == truth


def test_columns_and_cells_that_may_mean_several_things(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a", "id,class,label\nx0,animal,cat\nx1,animal,dog\nx2,animal,cat\nx3,animal,dog\n")
    assert classes(run) == CAT_AND_DOG
    assert "'label' is taken, though 'class' may hold it too" in run.problems()[0]["reason"]
    run = run_of(tmp_path / "b", 'id,label\nx0,1.0\nx1,2\nx2,"1\nx3,nan\n')
    assert classes(run) == {"x0.jpg": "1", "x1.jpg": "2"}
    assert {problem["entry"].rpartition("line ")[2] for problem in run.problems()} == {"4", "5"}
    run = run_of(tmp_path / "c", "id,label\nx0,cat\nx1,Cat\nx2,cafe\u0301\nx3,caf\u00e9\n")
    assert run.info.class_labels == ("Cat", "caf\u00e9", "cat")
    assert "differ in capitals only" in run.problems()[0]["reason"]


def test_a_labels_file_that_names_two_classes_alike(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("cat\ndog\ncat\n")
    labels = {"textfile_local_labels_file": str(tmp_path / "labels.txt")}
    run = run_of(tmp_path, "id,label\nx0,cat\nx1,dog\n", **labels)
    assert run.reader().labels(range(2)).tolist() == [0, 1]
    assert "names 2 classes 'cat'" in run.problems()[0]["reason"]


def test_a_labels_file_that_says_a_number_twice(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0: cat\n0: dog\n1: car\n")
    labels = {"textfile_local_labels_file": str(tmp_path / "labels.txt")}
    run = run_of(tmp_path, "id,label\nx0,0\nx1,2\n", **labels)
    assert classes(run) == {"x0.jpg": "0: cat", "x1.jpg": "1: car"}
    assert "give several classes the number 0: classes are numbered by their places" in run.problems()[0]["reason"]


def test_a_labels_file_that_says_numbers_in_another_order(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("1 dog\n0: cat\n")
    labels = {"textfile_local_labels_file": str(tmp_path / "labels.txt")}
    run = run_of(tmp_path, "id,label\nx0,0\nx1,1\n", **labels)
    assert classes(run) == {"x0.jpg": "cat", "x1.jpg": "dog"}
    assert "say other numbers than their places" in run.problems()[0]["reason"]
