"""Any data plugin: what its samples may be, and what is said when they are something else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.errors import DataError, JobStopped, PluginError
from tests.ingest.making import Run, make_job, run_job

pytestmark = pytest.mark.usefixtures("plugin_site")


def make(tmp_path: Path, case: str, spec: dict[str, Any] | None = None, workers: int = 1, **data: Any) -> Run:
    return run_job(make_job(tmp_path / "jobs", "test-source", {"case": case, **data}, **(spec or {})), workers=workers)


@pytest.mark.parametrize("mode", ["processes", "threads", "serial"])
def test_records_keep_the_order_of_the_entries(tmp_path: Path, mode: str) -> None:
    run = make(tmp_path, "pair", count=250, val_count=7, mode=mode, workers=2)
    assert run.entries() == {"train": 250, "val": 7}
    assert run.reader().features(range(250))[:, 0, 0, 0].tolist() == list(range(250))
    assert run.reader().column("key", [0, 249]) == ["000000000", "000000249"]
    assert run.info.task == "classification"


def test_processes_are_others_and_threads_are_not(tmp_path: Path) -> None:
    spawned = make(tmp_path / "p", "where", count=100, workers=2).reader().features(range(100))
    assert os.getpid() not in set(spawned.reshape(-1).tolist())
    own = make(tmp_path / "t", "where", count=100, workers=2, mode="threads").reader().features(range(100))
    assert set(own.reshape(-1).tolist()) == {os.getpid()}


def test_lists_give_several_records_and_empty_ones_none(tmp_path: Path) -> None:
    run = make(tmp_path, "list")
    assert run.entries() == {"train": 12}
    assert run.info.problems == 4
    assert run.reader().column("key", range(4)) == ["000000001/0", "000000002/0", "000000002/1", "000000004/0"]


@pytest.mark.parametrize(
    ("case", "kind", "dtype", "shape", "task"),
    [
        ("numpy scalar", "index", "int64", (), "classification"),
        ("size one", "index", "int64", (), "classification"),
        ("float", "vector", "float32", (1,), "regression"),
        ("mark", "index", "int64", (), "regression"),
        ("array", "array", "float32", (1, 1, 2), "regression"),
        ("map", "array", "uint8", (1, 4, 5), "generic"),
        ("no label", "none", "int64", (), "generic"),
    ],
)
def test_kinds_of_labels(tmp_path: Path, case: str, kind: str, dtype: str, shape: tuple[int, ...], task: str) -> None:
    run = make(tmp_path, case)
    meta = run.reader().meta
    assert (meta.label_kind, meta.label_dtype, meta.label_shape, run.info.task) == (kind, dtype, shape, task)
    labels = run.reader().labels([4])
    if kind == "index":
        assert labels.tolist() == [4 + 1_000_000 * (case == "mark")]
    elif case == "float":
        assert labels.tolist() == [[4.5]]


def test_class_labels_make_it_classification_or_segmentation(tmp_path: Path) -> None:
    scalar = make(tmp_path / "a", "pair", class_labels=["even", "odd"])
    assert scalar.info.task == "classification"
    assert scalar.info.splits["train_db"].class_counts == (6, 6)
    image = make(tmp_path / "b", "map", class_labels=["back", "front"], spec={"label_encoding": "png"})
    assert image.info.task == "segmentation"
    assert image.reader().meta.label_encoding == "png"
    assert (image.reader().labels([1]) == 1).all()


def test_labels_of_several_channels_are_arrays_whatever_classes_there_are(tmp_path: Path) -> None:
    run = make(tmp_path, "colour map", class_labels=["back", "front"])
    meta = run.reader().meta
    assert (meta.label_kind, meta.label_shape, run.info.task) == ("array", (3, 4, 5), "generic")


def test_samples_that_a_plugin_draws_while_it_lists_them_differ_between_splits(tmp_path: Path) -> None:
    run = make(tmp_path, "drawn", count=6, val_count=6)
    train, val = (run.reader(split).features(range(6))[:, 0, 0, 0].tolist() for split in ("train", "val"))
    assert len({*train, *val}) == 12
    seed = run.info.extra["random_seed"]
    assert any(str(seed) in str(event) for event in run.events)  # recorded where its owner sees it too


def test_a_split_of_nothing_but_copies_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"every record of val_db \(4\) is an exact copy") as caught:
        make(tmp_path, "all copies", count=6, val_count=4)
    assert "itemize_entries" in caught.value.advice
    assert not list(tmp_path.glob("jobs/*/*_db"))


def test_data_of_a_few_kinds_are_alike_in_every_split(tmp_path: Path) -> None:
    run = make(tmp_path, "few kinds", count=12, val_count=5)
    assert (run.entries(), run.info.duplicates) == ({"train": 12, "val": 5}, 5)


def test_whole_numbers_without_names_are_classes_by_their_numbers(tmp_path: Path) -> None:
    run = make(tmp_path / "a", "pair", count=5, val_count=3)
    assert (run.info.task, run.info.class_labels) == ("classification", ("0", "1"))
    assert {name: split.class_counts for name, split in run.info.splits.items()} == {"train_db": (3, 2), "val_db": (1, 2)}
    assert make(tmp_path / "b", "mark").info.class_labels == ()  # numbers far beyond those of classes
    assert make(tmp_path / "c", "sign").info.class_labels == ()  # negative ones


def test_masks_of_a_source_that_names_no_classes_have_numbers_for_names(tmp_path: Path) -> None:
    run = make(tmp_path, "map", says="segmentation")
    assert (run.info.task, run.info.class_labels) == ("segmentation", ("0", "1"))


def test_entries_that_cannot_be_read_are_skipped(tmp_path: Path) -> None:
    run = make(tmp_path, "unreadable")
    assert run.entries() == {"train": 11}
    assert run.problems() == [{"kind": "skipped", "stage": "train_db", "entry": "3", "reason": "3 is torn."}]


@pytest.mark.parametrize(
    ("case", "entry", "message"),
    [
        ("flat", "entry 0", r"shape \(4, 5\)"),
        ("object", "entry 0", "type object"),
        ("ragged", "entry 0", "makes no array"),
        ("ragged label", "entry 0", "makes no array"),
        ("complex", "entry 0", "type complex128"),
        ("word", "entry 0", "not numbers"),
        ("nan", "entry 0", "NaN"),
        ("none", "entry 0", "returned None"),
        ("feature none", "entry 0", "feature is None"),
        ("three", "entry 0", "a tuple of 3 values"),
        ("vector label", "entry 0", "scalar or a 3-D"),
    ],
)
def test_what_is_wrong_is_said_with_plugin_and_entry(tmp_path: Path, case: str, entry: str, message: str) -> None:
    with pytest.raises(PluginError, match=message) as caught:
        make(tmp_path, case)
    assert "Test source" in caught.value.message
    assert caught.value.advice
    assert f", {entry}: " in caught.value.message


def test_labels_beyond_the_class_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="label is 5, but there are 2 class labels"):
        make(tmp_path, "label beyond", class_labels=["a", "b"])


def test_shapes_may_differ_where_that_is_allowed(tmp_path: Path) -> None:
    run = make(tmp_path, "shape", spec={"force_same_shape": False})
    assert run.reader().meta.feature_encoding == "raw"
    assert run.info.feature_shape is None
    assert run.reader().feature(11).shape == (1, 4, 6)


def test_an_entry_at_which_a_process_dies_is_left_out(tmp_path: Path) -> None:
    run = make(tmp_path, "dies", count=200, workers=2)
    reader = run.reader()
    assert reader.column("key", range(len(reader))) == [f"{number:09d}" for number in range(200) if number != 90]
    assert reader.features(range(len(reader)))[:, 0, 0, 0].tolist() == [number for number in range(200) if number != 90]
    (problem,) = run.problems()
    assert problem["entry"] == "90"
    assert "process that encoded it died" in problem["reason"]


def test_processes_that_die_at_each_entry_are_explained_and_nothing_stays(tmp_path: Path) -> None:
    folder = make_job(tmp_path / "jobs", "test-source", {"case": "dies in a pool", "count": 200})
    with pytest.raises(PluginError, match="a process that encodes entries died"):
        run_job(folder, workers=2)
    assert not (folder.path / "train_db").exists()
    assert not folder.dataset_file.exists()


def test_a_source_without_entries_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found no entries"):
        make(tmp_path, "pair", count=0)


def test_an_empty_split_leaves_no_records(tmp_path: Path) -> None:
    run = make(tmp_path, "pair", count=5)
    assert list(run.info.splits) == ["train_db"]
    assert not (run.folder.path / "val_db").exists()


def test_userdata_is_frozen_once(tmp_path: Path) -> None:
    run = make(tmp_path, "pair", count=5)
    frozen = run.folder.userdata_file.read_bytes()
    assert run.folder.userdata_file.stat().st_mode & 0o777 == 0o600
    again = run_job(run.folder)
    assert run.folder.userdata_file.read_bytes() == frozen
    assert again.info.content_hash == run.info.content_hash
    np.testing.assert_array_equal(again.reader().labels(range(5)), [0, 1, 0, 1, 0])


@pytest.mark.parametrize(("count", "mode"), [(30, "processes"), (60, "serial")])
def test_slow_entries_that_are_encoded_in_place_are_all_there(tmp_path: Path, count: int, mode: str) -> None:
    run = make(tmp_path, "slower", count=count, mode=mode)
    assert run.entries() == {"train": count}


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("text", "returned str"),
        ("mapping", "returned dict"),
        ("nothing", "returned None"),
        ("number", "failed with TypeError"),
        ("leaving", "failed with SystemExit: 4"),
    ],
)
def test_entries_that_are_no_list_end_the_job_with_a_reason(tmp_path: Path, case: str, words: str) -> None:
    with pytest.raises(PluginError, match=words) as caught:
        make(tmp_path, case)
    assert "Test source" in caught.value.message
    assert "itemize_entries('train_db')" in caught.value.message
    assert caught.value.advice


def test_a_generator_is_listed(tmp_path: Path) -> None:
    assert make(tmp_path, "generator").entries() == {"train": 3}


def test_an_entry_at_which_the_plugin_leaves_is_skipped(tmp_path: Path) -> None:
    run = make(tmp_path, "exits", count=40, workers=2)
    assert run.entries() == {"train": 39}
    (problem,) = run.problems()
    assert problem["entry"] == "11"
    assert "SystemExit: 3" in problem["reason"]


def test_a_million_entries_are_listed_at_once_and_a_stop_is_heard(tmp_path: Path) -> None:
    heard: list[str] = []
    folder = make_job(tmp_path / "jobs", "test-source", {"case": "million", "mode": "serial"})

    def should_stop() -> bool:
        heard.append("asked")
        return len(heard) > 3

    with pytest.raises(JobStopped):
        run_job(folder, should_stop=should_stop)
    assert not (folder.path / "train_db").exists()
