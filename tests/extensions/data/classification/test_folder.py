"""Class folders: which pictures end up in which split, exactly."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.domain.events import WarningEvent
from digits.errors import DataError
from tests.ingest.making import class_folder, make, picture, run_job

THREE = {"blue_to_left": 10, "green-to-top": 10, "red-to-right": 10}


def pixels(path: str) -> np.ndarray:
    """A picture's values as (C,H,W)."""
    with Image.open(path) as image:
        return np.asarray(image).transpose(2, 0, 1)


def test_shares_are_exact_and_stratified(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", THREE)
    run = make(tmp_path, folder_train=str(root), folder_pct_val=20, folder_pct_test=10)
    assert run.entries() == {"train": 21, "val": 6, "test": 3}
    assert run.info.class_labels == ("blue to left", "green-to-top", "red-to-right")
    assert [split.class_counts for split in run.info.splits.values()] == [(7, 7, 7), (2, 2, 2), (1, 1, 1)]
    assert run.lines("labels.txt") == list(run.info.class_labels)
    files = [line.rsplit(" ", 1)[0] for name in ("train", "val", "test") for line in run.lines(f"{name}.txt")]
    assert sorted(files) == sorted(map(str, root.rglob("*.png")))


def test_records_hold_the_pictures_in_the_order_of_the_list(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 3, "b": 3})
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0, resize_width=12, resize_height=10)
    reader = run.reader()
    for index, line in enumerate(run.lines("train.txt")):
        path, label = line.rsplit(" ", 1)
        np.testing.assert_array_equal(reader.feature(index), pixels(path))
        assert reader.labels([index])[0] == int(label)
        assert reader.column("source", [index]) == [path]
        assert reader.column("original_size", [index]) == [[12, 10]]
    assert run.info.sizes == ((12, 10, 6),)


def test_mean_and_deviation_are_those_of_the_records(tmp_path: Path) -> None:
    run = make(tmp_path, folder_train=str(class_folder(tmp_path / "in", THREE)))
    values = run.reader().array()
    assert values is not None
    meta = run.info.splits["train_db"].meta
    np.testing.assert_allclose(meta.mean, values.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(meta.std, values.std(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(np.load(run.folder.path / "mean.npy"), values.mean(axis=0), rtol=1e-6)
    with Image.open(run.folder.path / "mean.jpg") as shown:
        assert shown.size == (10, 8)
    assert run.reader().meta == meta


@pytest.mark.parametrize("stage", ["val", "test"])
def test_a_separate_folder_uses_the_training_labels(tmp_path: Path, stage: str) -> None:
    train = class_folder(tmp_path / "train", THREE)
    other = class_folder(tmp_path / "other", {"red-to-right": 4, "unknown": 3, "blue_to_left": 2}, first_seed=100)
    separate = {f"has_{stage}_folder": True, f"folder_{stage}": str(other)}
    run = make(tmp_path, folder_train=str(train), folder_pct_val=0, folder_pct_test=0, **separate)
    assert run.entries() == {"train": 30, stage: 6}
    assert run.info.splits[f"{stage}_db"].class_counts == (2, 0, 4)
    assert [p["label"] for p in run.problems() if p["kind"] == "class"] == ["unknown"]


def test_most_per_class_is_exact_in_every_folder(tmp_path: Path) -> None:
    folders = {
        stage: class_folder(tmp_path / stage, THREE, first_seed=100 * i) for i, stage in enumerate(("train", "val", "test"))
    }
    options = {f"folder_{stage}": str(path) for stage, path in folders.items()}
    options |= {f"folder_{stage}_max_per_class": 5 for stage in folders}  # type: ignore[misc]
    run = make(tmp_path, has_val_folder=True, has_test_folder=True, **options)
    assert [split.class_counts for split in run.info.splits.values()] == [(5, 5, 5)] * 3


def test_a_class_with_too_few_pictures_is_left_out(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {**THREE, "small": 5})
    run = make(tmp_path, folder_train=str(root), folder_train_min_per_class=6)
    assert "small" not in run.info.class_labels
    assert len(run.info.class_labels) == 3
    assert any(p["kind"] == "class" and "5 found, 6 needed" in p["reason"] for p in run.problems())


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    real = class_folder(tmp_path / "real", {"a": 4, "b": 4})
    root = tmp_path / "in"
    (root / "x" / "deep").mkdir(parents=True)
    (root / "x" / "deep" / "loop").symlink_to(root / "x")
    (root / "x" / "linked").symlink_to(real / "a")
    (root / "y").symlink_to(real / "b")
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0)
    assert run.info.splits["train_db"].class_counts == (4, 4)


def test_a_link_gives_no_class_the_pictures_of_another(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 3, "b": 4})
    class_folder(tmp_path / "secret", {"c": 2})
    links = {"b/loop": "..", "b/a": "../a", "b/higher": "../..", "loop": ".", "b/secret": tmp_path / "secret"}
    for link, target in links.items():
        (root / link).symlink_to(target)
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0, allowed_roots=[str(root)])
    assert run.info.class_labels == ("a", "b")
    assert run.info.splits["train_db"].class_counts == (3, 4)
    told = {os.path.relpath(p["entry"], root): p["reason"] for p in run.problems() if p["kind"] == "folder"}
    assert sorted(told) == sorted(links)
    assert "outside" in told["b/secret"]
    assert "secret/" not in str(run.problems())


def test_pictures_outside_the_allowed_folders_are_not_read(tmp_path: Path) -> None:
    outside = class_folder(tmp_path / "secret", {"a": 1})
    root = class_folder(tmp_path / "in", {"a": 3, "b": 3})
    (root / "a" / "link.png").symlink_to(outside / "a" / "000.png")
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0, allowed_roots=[str(root)])
    assert run.entries() == {"train": 6}
    assert "outside" in run.problems()[0]["reason"]


def test_groups_stay_together(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for label in "ab":
        (root / label).mkdir(parents=True)
        for patient in range(12):
            for slice_number in range(1 + patient % 3):
                picture(hash((label, patient, slice_number)) % 2**31).save(root / label / f"patient{patient}_{slice_number}.png")
    run = make(tmp_path, folder_train=str(root), folder_pct_val=25, folder_pct_test=25, group_pattern=r"patient(\d+)")
    groups = {name: set(run.reader(name).column("group", range(n))) for name, n in run.entries().items()}
    assert groups["train"].isdisjoint(groups["val"] | groups["test"])
    assert groups["val"].isdisjoint(groups["test"])
    assert set.union(*groups.values()) == {str(n) for n in range(12)}
    assert sum(run.entries().values()) == 48
    assert 8 <= run.entries()["val"] <= 16


def test_the_seed_decides_the_split(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", THREE)
    one, same, other = (make(tmp_path / str(i), folder_train=str(root), seed=seed) for i, seed in enumerate((1, 1, 2)))
    assert one.lines("val.txt") == same.lines("val.txt") != other.lines("val.txt")
    assert one.info.content_hash == same.info.content_hash != other.info.content_hash
    (root / sorted(THREE)[0]).rename(root / "another name")  # of the same place in the order
    renamed = make(tmp_path / "renamed", folder_train=str(root), seed=1)
    assert renamed.info.content_hash != one.info.content_hash


def test_copies_across_splits_are_reported(tmp_path: Path) -> None:
    train = class_folder(tmp_path / "train", {"a": 3, "b": 3})
    val = class_folder(tmp_path / "val", {"a": 2, "b": 2}, first_seed=50)
    (val / "b" / "copy.png").write_bytes((train / "a" / "001.png").read_bytes())
    run = make(tmp_path, folder_train=str(train), has_val_folder=True, folder_val=str(val))
    assert run.info.duplicates == 1
    (found,) = [p for p in run.problems() if p["kind"] == "duplicate"]
    assert found["entry"].endswith("val/b/copy.png")
    assert found["copy_of"].endswith("train/a/001.png")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({}, "0 sub-folders"),
        ({"only": 4}, "1 sub-folder"),
        ({"a": 0, "b": 0}, "No pictures"),
        ({"a": 4, "b": 1}, "Only 1 of 2 classes"),
    ],
)
def test_folders_that_make_no_data_set(tmp_path: Path, classes: dict[str, int], message: str) -> None:
    root = tmp_path / "in"
    root.mkdir()
    with pytest.raises(DataError, match=message):
        make(tmp_path, folder_train=str(class_folder(root, classes)))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone cannot be read"):
        make(tmp_path, folder_train=str(tmp_path / "gone"))


def test_what_the_scan_leaves_out_is_counted_too(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 3, "b": 3, "c": 1})
    picture(99).save(tmp_path / "elsewhere.png")
    (root / "a" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    run = make(tmp_path, folder_train=str(root), allowed_roots=[str(root)])
    assert run.info.problems == 1
    warnings = {event.code: event.message for event in run.events if isinstance(event, WarningEvent)}
    assert warnings == {"skipped": "1 entry could not be used; skipped.", "class": "1 class left out."}


def test_names_of_any_bytes_pipes_and_line_breaks(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"plain": 4, "b": 4})
    (root / "b").rename(os.fsdecode(os.fsencode(root) + b"/caf\xe9"))
    (root / "plain" / "000.png").rename(os.fsdecode(os.fsencode(root) + b"/plain/\xff 0.png"))
    (root / "plain" / "001.png").rename(root / "plain" / "two\nlines.png")
    os.mkfifo(root / "plain" / "pipe.png")
    run = make(tmp_path, folder_train=str(root), folder_pct_val=0)
    assert run.info.class_labels == ("caf\\xe9", "plain")
    assert run.entries() == {"train": 7}
    assert run.lines("labels.txt") == ["caf\\xe9", "plain"]
    reasons = " ".join(problem["reason"] for problem in run.problems())
    assert "a line break" in reasons
    assert "is a pipe" in reasons


def test_a_later_start_reports_again_what_the_first_look_found(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 4, "b": 4, "small": 1})
    (root / "a" / "000.png").rename(root / "a" / "two\nlines.png")
    run = make(tmp_path, folder_train=str(root))
    first = run.problems()
    assert [problem["kind"] for problem in first] == ["skipped", "class"]
    again = run_job(run.folder)
    assert again.problems() == first
    assert again.info.problems == run.info.problems
