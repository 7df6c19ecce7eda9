"""Multi-label data sets: from a table or from a folder for each label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from digits.errors import DataError
from tests.ingest.making import Run, make_job, picture, run_job

ID = "image-multi-label"


def make(tmp_path: Path, **data: Any) -> Run:
    values = {"image_folder": str(tmp_path / "images"), "folder_pct_val": 0, **data}
    return run_job(make_job(tmp_path / "jobs", ID, values))


def make_of_table(tmp_path: Path, names: str, table: str) -> Run:
    """Of one picture for each letter of `names`, and a table of their labels."""
    (tmp_path / "images").mkdir()
    for seed, name in enumerate(names):
        picture(seed).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels.csv").write_text(table)
    return make(tmp_path, values_file=str(tmp_path / "labels.csv"))


def labels(run: Run) -> dict[str, list[float]]:
    reader = run.reader()
    rows = range(len(reader))
    names = [Path(path).stem for path in reader.column("source", rows)]
    return dict(zip(names, reader.labels(rows).tolist(), strict=True))


@pytest.mark.parametrize("lines", [("file,cat,dog", "a,1,0", "b,1,1", "c,0,0"), ("file,labels", "a,cat", "b,dog|cat", "c,")])
def test_a_table_of_zeros_and_ones_or_of_names(tmp_path: Path, lines: tuple[str, ...]) -> None:
    run = make_of_table(tmp_path, "abc", "\n".join(lines) + "\n")
    assert labels(run) == {"a": [1, 0], "b": [1, 1], "c": [0, 0]}
    assert (run.info.task, run.reader().meta.label_kind) == ("multi_label", "vector")
    assert run.info.class_labels == ("cat", "dog")
    assert run.info.splits["train_db"].class_counts == (2, 1)
    assert run.info.extra["labels"]["train_db"]["empty"] == 1


def test_a_label_that_is_not_known_is_no_label(tmp_path: Path) -> None:
    run = make_of_table(tmp_path, "abcde", "file,labels\na,cat\nb,nan\nc,dog|NaN\nd,\ne,dog\n")
    assert run.info.class_labels == ("cat", "dog")
    assert labels(run) == {"a": [1, 0], "d": [0, 0], "e": [0, 1]}
    assert [problem["entry"].rsplit("line ")[-1] for problem in run.problems() if "not known" in problem["reason"]] == ["3", "4"]


def test_a_plus_that_belongs_to_a_name_separates_nothing(tmp_path: Path) -> None:
    run = make_of_table(tmp_path, "abc", "file,labels\na,c++\nb,c\nc,c++\n")
    assert labels(run) == {"a": [0, 1], "b": [1, 0], "c": [0, 1]}
    assert run.info.class_labels == ("c", "c++")


def test_a_picture_in_several_folders_has_several_labels(tmp_path: Path) -> None:
    for label, names in {"cat": "ab", "dog": "bc"}.items():
        (tmp_path / "images" / label).mkdir(parents=True)
        for seed, name in enumerate("abc"):
            if name in names:
                picture(seed).save(tmp_path / "images" / label / f"{name}.png")
    picture(9).save(tmp_path / "images" / "stray.png")
    run = make(tmp_path, label_source="folders")
    assert labels(run) == {"a": [1, 0], "b": [1, 1], "c": [0, 1]}
    assert any("lies in no folder" in problem["reason"] for problem in run.problems())


def test_a_label_whose_folder_is_a_link_to_that_of_another(tmp_path: Path) -> None:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    (tmp_path / "images" / "dog").mkdir()
    for seed, name in enumerate(("cat/a", "cat/b", "dog/c")):
        picture(seed).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images" / "pet").symlink_to("cat")
    run = make(tmp_path, label_source="folders")
    assert run.info.class_labels == ("cat", "dog", "pet")
    assert labels(run) == {"a": [1, 0, 1], "b": [1, 0, 1], "c": [0, 1, 0]}
    with pytest.raises(DataError, match="No pictures below"):
        make(tmp_path, label_source="folders", allowed_roots=[str(tmp_path / "elsewhere")])


def test_labels_that_teach_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    picture(1).save(tmp_path / "images" / "a.png")
    (tmp_path / "labels.csv").write_text("file,cat,dog\na,0,0\n")
    with pytest.raises(DataError, match="None of the training pictures has a label"):
        make(tmp_path, values_file=str(tmp_path / "labels.csv"))
