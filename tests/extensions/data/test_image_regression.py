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


def test_minus_one_is_no_where_nothing_else_is(tmp_path: Path) -> None:
    run = make(tmp_path, "file,cat,dog,old", "a,1,-1,-1", "b,1,1,-1", value_kind="labels")
    assert numbers(run) == [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
    assert [problem["reason"] for problem in run.problems()] == ["-1 is read as 0, no, and 1 as yes."]
    assert numbers(make(tmp_path, "file,cat,dog", "a,1,-1", "b,0,1", value_kind="labels", value_columns="cat")) == [[1.0], [0.0]]
    with pytest.raises(DataError, match="neither 0 nor 1"):  # what it means beside 0 is not known
        make(tmp_path, "file,cat,dog", "a,-1,-1", "b,0,-1", value_kind="labels", value_columns="cat, dog")


def test_a_table_that_begins_with_the_number_of_its_lines(tmp_path: Path) -> None:
    run = make(tmp_path, "2", "Bald Young ", "a.png -1  1", "b.png  1  1", value_kind="labels")
    assert run.info.class_labels == ("Bald", "Young")
    assert numbers(run) == [[0.0, 1.0], [1.0, 1.0]]
    run = make(tmp_path, "2", "image_id x y", "a.png  69  109", "b.png  70 9.5")
    assert run.info.extra["columns"] == ["x", "y"]
    assert numbers(run) == [[69.0, 109.0], [70.0, 9.5]]


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


def test_regression_labels_with_spaces(tmp_path: Path) -> None:
    findings = ("a,Cardiomegaly|Pleural Effusion", "b,No Finding", "c,Pleural Effusion", "d,Cardiomegaly")
    run = make(tmp_path, "Image Index,Finding Labels", *findings, value_kind="labels")
    assert run.info.class_labels == ("Cardiomegaly", "No Finding", "Pleural Effusion")
    assert numbers(run) == [[1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]]
    run = make(tmp_path, ",image,age", "0,a.png,40", "1,b.png,41")
    assert (run.info.extra["columns"], numbers(run)) == (["age"], [[40.0], [41.0]])


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (("No Finding", "Pleural Effusion"), ("No Finding", "Pleural Effusion")),
        (("cat;big dog", "big dog"), ("big dog", "cat")),
        (("cat+dog|red", "dog"), ("cat+dog", "dog", "red")),
        (("clear primary", "clear water", "water primary", "water"), ("clear", "primary", "water")),
        (('"cat, big dog"', "cat"), ("big dog", "cat")),
    ],
)
def test_one_separator_for_the_whole_column(tmp_path: Path, cells: tuple[str, ...], labels: tuple[str, ...]) -> None:
    lines = (f"{name},{cell}" for name, cell in zip("abcd", cells, strict=False))
    assert make(tmp_path, "file,tags", *lines, value_kind="labels").info.class_labels == labels


CLEAR = ("clear primary", "clear water", "haze primary", "haze water", "clear")


@pytest.mark.parametrize(
    ("train", "val", "expected"),
    [
        (CLEAR, ("clear primary", "haze water", "clear"), [{"clear", "primary"}, {"haze", "water"}, {"clear"}]),
        (("big dog|cat, wild", "cat, wild"), ("cat, wild", "big dog"), [{"cat, wild"}, {"big dog"}]),
        (("big dog", "red", "cat"), ("big dog", "big", "dog", "red"), [{"big dog"}, set(), set(), {"red"}]),
        (("dog|cat", "cat"), ("cat;cow", "dog;cat"), [{"cat"}, {"dog", "cat"}]),
        (("dog", "cat"), ("cat;cow",), [{"cat"}]),
        (("dog|cat", "cat"), ("['cat', 'dog']", "['cat']"), [{"cat", "dog"}, {"cat"}]),
        (("['cat', 'dog']", "['cat']"), ("cat|dog", "cat"), [{"cat", "dog"}, {"cat"}]),
    ],
)
def test_labels_of_validation_are_separated_as_those_of_training(
    tmp_path: Path, train: tuple[str, ...], val: tuple[str, ...], expected: list[set[str]]
) -> None:
    """Unless only their own separator gives labels that there are."""
    for seed, name in enumerate("abcde"):
        (tmp_path / "images").mkdir(exist_ok=True)
        picture(seed).save(tmp_path / "images" / f"{name}.png")
    lines, others = ([f'{name},"{cell}"' for name, cell in zip("abcde", cells, strict=False)] for cells in (train, val))
    (tmp_path / "val.csv").write_text("\n".join(["file,tags", *others]))
    run = make(tmp_path, "file,tags", *lines, value_kind="labels", val_values_file=str(tmp_path / "val.csv"))
    labels, rows = run.info.class_labels, run.reader("val").labels(range(len(val))).tolist()
    assert [{label for label, value in zip(labels, row, strict=True) if value} for row in rows] == expected


def test_the_form_says_what_separates(tmp_path: Path) -> None:
    lines = ("file,tags", "a,cat indoors", "b,dog outdoors")
    run = make(tmp_path, *lines, value_kind="labels")
    assert run.info.class_labels == ("cat indoors", "dog outdoors")
    assert ["read as one label" in problem["reason"] for problem in run.problems()] == [True]
    blank = make(tmp_path, *lines, value_kind="labels", label_separator="blank")
    assert (blank.info.class_labels, blank.problems()) == (("cat", "dog", "indoors", "outdoors"), [])


def test_csv_regression_other_folder(tmp_path: Path) -> None:
    """Pictures of another folder are never taken for those that a table names."""
    for seed, name in enumerate(("left/0", "left/1", "right/2")):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(tmp_path / "p" / f"{name}.png")
    lines = ("image,angle", "left/0.png,1", "right/0.png,-5", "left/1.png,2", "left/2.png,7")
    run = make(tmp_path, *lines, image_folder=str(tmp_path / "p"))
    assert numbers(run) == [[1.0], [2.0]]
    assert [problem["entry"].rpartition("line ")[2] for problem in run.problems()] == ["3", "5"]


def test_columns_are_told_by_what_they_hold(tmp_path: Path) -> None:
    """regression_csvs: text with a line break in its cell is no value; years may be names of columns."""
    run = make(tmp_path, "image,note,age", 'a.png,"x', 'y",1', "b.png,z,2", "c.png,z,3")
    assert (run.info.extra["columns"], numbers(run)) == (["age"], [[1.0], [2.0], [3.0]])
    assert [problem["kind"] for problem in run.problems()] == ["column"]
    assert make(tmp_path, "picture,2019,2020", "a,1,2").info.extra["columns"] == ["2019", "2020"]
    assert numbers(make(tmp_path, "file;age", "a;1,5", "b;1.234,5")) == [[1.5], [1234.5]]
    assert numbers(make(tmp_path, "id,score,name", "7,1,a", "9,2,b", value_columns="score")) == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("cells", "values", "said"),
    [
        ("950 1,234 12,500", [950, 1.234, 12.5], ["'1,234' is read as 1.234. Where its mark divides thousands"]),
        ("12,5 1.234 7", [12.5, 1.234, 7], ["'1.234' is read as 1.234. Where its mark divides thousands"]),
        ("12,5 1.234 1.234,5", [12.5, 1234, 1234.5], ["'1.234' is read as 1234: '1.234,5' shows that '.' divides thousands"]),
        ("1,234 -12,500 1,234,567", [1234, -12500, 1234567], ["'1,234' is read as 1234: '1,234,567' shows that ','"]),
        ("1,234 950 1,234.5", [1234, 950, 1234.5], ["'1,234' is read as 1234: '1,234.5' shows that ','"]),
        ("1,234 0,5 12,500", [1.234, 0.5, 12.5], []),
        ("1.234 12.500 950", [1.234, 12.5, 950], []),
        ("1.234 1.5 1,5", [1.234, 1.5, 1.5], []),
        ("1.234 1.5 1.234,5", [1.234, 1.5, 1234.5], ["'1.234' is read as 1.234. Where its mark divides thousands"]),
        ("1,5 1.234,5 2", [1.5, 1234.5, 2], []),
    ],
)
@pytest.mark.parametrize("delimiter", ["\t", ";"])
def test_numbers_that_may_have_marks_between_thousands(
    tmp_path: Path, delimiter: str, cells: str, values: list[float], said: list[str]
) -> None:
    lines = (f"{name}{delimiter}{cell}" for name, cell in zip("abc", cells.split(), strict=True))
    run = make(tmp_path, f"file{delimiter}price", *lines)
    assert numbers(run) == [[pytest.approx(value)] for value in values]
    reasons = [problem["reason"] for problem in run.problems() if problem["kind"] == "column"]
    assert len(reasons) == len(said)
    assert all(text in reason and "the column 'price'" in reason for text, reason in zip(said, reasons, strict=True))


def test_decimal_commas_of_another_column_make_points_doubtful(tmp_path: Path) -> None:
    run = make(tmp_path, "file;size;price", "a;12,5;1.234", "b;7;2.500")
    assert numbers(run) == [[12.5, pytest.approx(1.234)], [7, 2.5]]
    (problem,) = run.problems()
    assert "In the column 'price' '1.234' is read as 1.234." in problem["reason"]
    assert not make(tmp_path, "file;size;price", "a;12;1.234", "b;7;2.500").problems()


def test_what_marks_mean_in_the_training_file_holds_for_validation(tmp_path: Path) -> None:
    val = {"val_values_file": str(tmp_path / "val.csv")}
    (tmp_path / "val.csv").write_text("file;price\nc;1.500\n")
    run = make(tmp_path, "file;price", "a;1.234", "b;1.234,5", **val)
    assert run.reader("val").labels([0]).tolist() == [[1500]]
    assert any("'1.500' is read as 1500: '1.234,5' shows" in problem["reason"] for problem in run.problems())
    run = make(tmp_path, "file;price", "a;12,5", "b;3", **val)
    assert run.reader("val").labels([0]).tolist() == [[1.5]]
    assert any("'1.500' is read as 1.5. Where" in problem["reason"] for problem in run.problems())
    (tmp_path / "val.csv").write_text("file;price\nc;1.500\nd;1.5\n")
    run = make(tmp_path, "file;price", "a;1.234", "b;1.234,5", **val)
    assert run.reader("val").labels([0, 1]).tolist() == [[1.5], [1.5]]
    assert any("'1.500' is read as 1.5. Where" in problem["reason"] for problem in run.problems())


def test_columns_of_another_order_or_name(tmp_path: Path) -> None:
    (tmp_path / "val.csv").write_text("file,size,age\nc,6,5\n")
    run = make(tmp_path, "file,age,size", "a,3,4", val_values_file=str(tmp_path / "val.csv"))
    assert run.reader("val").labels([0]).tolist() == [[5.0, 6.0]]
    (tmp_path / "val.csv").write_text("file,weight,age\nc,6,5\n")
    with pytest.raises(DataError, match=r"are weight, age, those of the training file age, size"):
        make(tmp_path, "file,age,size", "a,3,4", val_values_file=str(tmp_path / "val.csv"))


def test_labels_beside_other_columns(tmp_path: Path) -> None:
    run = make(tmp_path, "file,age,big,red", "a,40,1,0", "b,41,1,1", value_kind="labels")
    assert (run.info.class_labels, numbers(run)) == (("big", "red"), [[1, 0], [1, 1]])
    with pytest.raises(DataError, match="2 that may hold the labels: who, where"):
        make(tmp_path, "file,who,where", "a,x,y", value_kind="labels")


def test_numbers_that_are_names_of_files_by_chance_are_values(tmp_path: Path) -> None:
    """Also where a picture of the column with the name is missing, and none of the other."""
    (tmp_path / "images").mkdir()
    for number in range(5):
        picture(number).save(tmp_path / "images" / f"{number}.png")
    run = make(tmp_path, "image,x", "a.png,0", "b.png,1", "c.png,2", "missing.png,3")
    assert numbers(run) == [[0.0], [1.0], [2.0]]


def test_lines_and_columns_that_contradict_each_other(tmp_path: Path) -> None:
    run = make(tmp_path, "id,file,x,x", "7,a,1,5", "8,a,2,5", "9,b,3,6", "9,b,3,6", 'c,"d', "10,d,4,7,8")
    assert run.info.extra["columns"] == ["id", "x", "x (2)"]  # 9 stands twice, so that it is no number of a line
    assert numbers(run) == [[7, 1, 5], [9, 3, 6]]
    reasons = " ".join(problem["reason"] for problem in run.problems())
    for said in ("Two columns are called 'x'", "Line 2 says something else", "A quote in it is not closed", "It has 5 columns"):
        assert said in reasons
    assert numbers(make(tmp_path, "id,file,x", "7,a,1", "8,b,2")) == [[1], [2]]


@pytest.mark.parametrize(
    "lines",
    [
        ("file,cat,dog", "a,1,-1", "b,1,1", "c,-1,1"),
        ("file,labels", "a,\"['cat']\"", "b,\"['cat', 'dog']\""),
        ("file,labels", "a,[cat]", 'b,"[cat, dog]"'),
        ("file,label", "a,cat", "b,cat", "b,dog"),
    ],
)
def test_labels_in_other_words(tmp_path: Path, lines: tuple[str, ...]) -> None:
    run = make(tmp_path, *lines, value_kind="labels")
    assert run.info.class_labels == ("cat", "dog")
    assert numbers(run)[:2] == [[1.0, 0.0], [1.0, 1.0]]


def test_labels_that_differ_in_capitals_are_said(tmp_path: Path) -> None:
    run = make(tmp_path, "file,labels", "a,cat", "b,dog|Cat", value_kind="labels")
    assert run.info.class_labels == ("Cat", "cat", "dog")
    assert "'Cat' and 'cat' differ in capitals only" in run.problems()[0]["reason"]


def test_pictures_of_one_name_in_several_folders(tmp_path: Path) -> None:
    for seed, name in enumerate(("cat/1", "dog/1", "cow/1", "dog/2")):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(0 if name == "cow/1" else seed).save(path)
    form = {"image_folder": str(tmp_path / "images"), "label_source": "folders", "folder_pct_val": 0}
    run = run_job(make_job(tmp_path / "jobs", "image-multi-label", form))
    assert run.info.class_labels == ("cat", "cow", "dog")
    assert numbers(run) == [[1, 1, 0], [0, 0, 1], [0, 0, 1]]
    (problem,) = run.problems()
    assert "1 name of pictures is in several folders of labels with different contents" in problem["reason"]


def test_whole_numbers_that_float32_does_not_hold_are_said(tmp_path: Path) -> None:
    run = make(tmp_path, "file,value", "a.png,16777217", "b.png,16777218", "c.png,0.1", "d.png,3")
    said = {
        problem["entry"].rsplit("/", 1)[-1]: problem["reason"] for problem in run.problems() if problem["kind"] == "converted"
    }
    assert list(said) == ["a.png"], "others are kept as they are, or to the precision of their fractions"
    assert "The label 16777217 is kept as 16777216" in said["a.png"]
