"""Text files: their grammar, where relative paths start, and what is said of bad lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from digits.errors import DataError, JobStopped
from digits.extensions.data.classification.lists import ListFile
from digits.utils.names import labelled_line
from tests.ingest.making import TEXTFILE, class_folder, make, make_job, run_job


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    root = class_folder(tmp_path / "in", {"a": 4, "b b": 4})
    lines = [f"{path.relative_to(root)} {int(path.parent.name != 'a')}" for path in sorted(root.rglob("*.png"))]
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "val.txt").write_text("".join(f"{root}/{line}\n" for line in lines[2:6]))
    (tmp_path / "labels.txt").write_text("first class\n\nsecond class\n")
    return {
        "method": "textfile",
        "textfile_train_images": str(tmp_path / "train.txt"),
        "textfile_train_folder": str(root),
        "textfile_use_val": True,
        "textfile_val_images": str(tmp_path / "val.txt"),
        "textfile_labels_file": str(tmp_path / "labels.txt"),
        "textfile_shuffle": False,
    }


def test_relative_and_absolute_paths(tmp_path: Path, values: dict[str, Any]) -> None:
    run = make(tmp_path, TEXTFILE, **values)
    assert run.entries() == {"train": 8, "val": 4}
    assert run.info.class_labels == ("first class", "second class")
    assert run.reader().labels(range(8)).tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert run.info.duplicates == 4


def test_a_remark_in_the_labels_file_moves_no_class(tmp_path: Path, values: dict[str, Any]) -> None:
    (tmp_path / "labels.txt").write_text("# my classes\nfirst class\nsecond class\n")
    run = make(tmp_path, TEXTFILE, **values)
    assert run.info.class_labels == ("first class", "second class")


def test_lists_on_the_server_start_from_their_own_folder(tmp_path: Path, values: dict[str, Any]) -> None:
    (tmp_path / "in" / "list.txt").write_text("a/000.png 0\nb b/000.png 1\n")
    local: dict[str, Any] = {"textfile_use_local_files": True, "textfile_local_train_images": str(tmp_path / "in" / "list.txt")}
    local["textfile_local_labels_file"] = values["textfile_labels_file"]
    run = make(tmp_path, TEXTFILE, **{**values, **local, "textfile_train_folder": "", "textfile_use_val": False})
    assert run.entries() == {"train": 2}


def test_shuffling_mixes_the_order_by_the_seed(tmp_path: Path, values: dict[str, Any]) -> None:
    one, two = (make(tmp_path / name, TEXTFILE, **{**values, "textfile_shuffle": True, "seed": 5}) for name in ("1", "2"))
    assert one.lines("train.txt") == two.lines("train.txt") != sorted(one.lines("train.txt"))


def test_bad_lines_are_skipped_and_listed(tmp_path: Path, values: dict[str, Any]) -> None:
    with open(values["textfile_train_images"], "a") as handle:
        handle.write("no label\nminus.png -1\n\n")
    run = make(tmp_path, TEXTFILE, **values)
    assert run.entries()["train"] == 8
    assert [p["entry"] for p in run.problems() if p["kind"] == "line"] == ["line 9: no label", "line 10: minus.png -1"]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train.txt", "nothing here\n", "no valid line"),
        ("train.txt", "a/000.png 0\na/001.png 2\n", "Line 2 of train.txt has class 2, but there are 2 labels"),
        ("labels.txt", "one\n", "names 1 classes"),
        ("train.txt", "gone.png 0\n", "gone.png cannot be opened"),
    ],
)
def test_lists_that_make_no_data_set(tmp_path: Path, values: dict[str, Any], file: str, text: str, message: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError, match=message):
        make(tmp_path, TEXTFILE, **{**values, "textfile_use_val": False})


@pytest.mark.parametrize(
    ("line", "entry"),
    [
        ("a.png 0", ("a.png", 0)),
        ("  with some spaces.png   12 ", ("with some spaces.png", 12)),
        ("tab.png\t3", ("tab.png", 3)),
        ("no label", None),
        ("minus.png -1", None),
        ("7", None),
        ("", None),
    ],
)
def test_grammar(line: str, entry: tuple[str, int] | None) -> None:
    assert labelled_line(line) == entry


def test_list_files_are_sequences_that_survive_strange_names(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("ünï 1.png 0\n".encode() + b"bad\xff.png 1\n")
    entries = ListFile(path)
    assert len(entries) == 2
    assert entries[0] == ("ünï 1.png", 0)
    assert entries[1][0].encode("utf-8", "surrogateescape") == b"bad\xff.png"
    assert [label for _, label in entries] == [0, 1]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9/1.png", "not a public address"),
        ("https://[::1]/1.png", "not a public address"),
        ("http://127.0.0.1:99999999/1.png", "is not an http(s) address"),
        ("http://[::1/1.png", "is not an http(s) address"),
        ("http:///1.png", "is not an http(s) address"),
    ],
)
def test_addresses_that_lead_nowhere_or_inside_are_skipped(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, address: str, reason: str
) -> None:
    monkeypatch.setenv("DIGITS_ALLOW_URLS", "1")
    with (tmp_path / "train.txt").open("a") as lines:
        lines.write(f"{address} 1\n")
    run = make(tmp_path, TEXTFILE, **values)
    assert run.entries()["train"] == 8
    (problem,) = [problem for problem in run.problems() if problem["kind"] == "skipped"]
    assert problem["entry"] == address
    assert reason in problem["reason"]


def test_addresses_are_fetched_only_where_the_setting_says_so(
    tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIGITS_ALLOW_URLS", raising=False)
    with (tmp_path / "train.txt").open("a") as lines:
        lines.write("https://example.com/1.png 1\n")
    run = make(tmp_path, TEXTFILE, **values)
    (problem,) = [problem for problem in run.problems() if problem["kind"] == "skipped"]
    assert "allow_urls" in problem["reason"]


def test_a_job_can_be_stopped_while_it_looks_at_its_files(tmp_path: Path, values: dict[str, Any]) -> None:
    (tmp_path / "train.txt").write_text("a/0.png 0\n" * 2000)
    folder = make_job(tmp_path / "jobs", TEXTFILE, values)
    with pytest.raises(JobStopped, match="looking at the files"):
        run_job(folder, should_stop=lambda: True)
    assert not folder.userdata_file.exists()
    assert not (folder.path / "train.txt").exists()


def test_lists_whose_pictures_may_not_be_read_name_the_first(tmp_path: Path, values: dict[str, Any]) -> None:
    (tmp_path / "train.txt").write_text("/elsewhere/1.png 0\n/elsewhere/2.png 1\n")
    with pytest.raises(DataError, match=r"The first that cannot be taken is /elsewhere/1\.png: It is outside"):
        make(tmp_path, TEXTFILE, **values, allowed_roots=[str(tmp_path)])
