"""Pairs of pictures: of which classes, from which split, and how both lie in a record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.engines.training.preprocessing import mean_picture
from digits.errors import DataError
from digits.extensions import loader
from digits.extensions.data.source import with_roots
from digits.images.addresses import shown_pair
from digits.utils.confinement import EVERYWHERE
from tests.ingest.making import Run, class_folder, make_job, picture, run_job

ID = "image-pairs"
CLASSES = {"cat": 6, "dog": 6, "owl": 6}


def make(tmp_path: Path, **data: Any) -> Run:
    values = {"image_folder": str(tmp_path / "images"), "folder_pct_val": 34, "seed": 3, **data}
    return run_job(make_job(tmp_path / "jobs", ID, values))


def pairs(run: Run, split: str = "train") -> list[tuple[Path, Path, int]]:
    reader = run.reader(split)
    rows = range(len(reader))
    named = [str(source).split(" + ") for source in reader.column("source", rows)]
    return [(Path(a), Path(b), int(same)) for (a, b), same in zip(named, reader.labels(rows), strict=True)]


def test_each_picture_is_in_a_pair_of_one_class_and_in_one_of_two(tmp_path: Path) -> None:
    class_folder(tmp_path / "images", CLASSES)
    run = make(tmp_path)
    assert (run.info.task, run.info.class_labels) == ("classification", ("different", "same"))
    for split, count in (("train", 12), ("val", 6)):
        found = pairs(run, split)
        assert len(found) == 2 * count
        for first, second, same in found:
            assert first != second
            assert same == (first.parent == second.parent)
        assert set(Counter((first, same) for first, _, same in found).values()) == {1}
        assert run.info.splits[f"{split}_db"].class_counts == (count, count)
    used = [{path for pair in pairs(run, split) for path in pair[:2]} for split in ("train", "val")]
    assert len(used[0]) == 12
    assert not used[0] & used[1], "no picture is in pairs of both splits"


def test_the_first_picture_lies_before_the_second_in_the_channels(tmp_path: Path) -> None:
    class_folder(tmp_path / "images", CLASSES)
    run = make(tmp_path)
    assert run.info.feature_shape == (6, 10, 12)
    reader = run.reader()
    for row, (first, second, _) in enumerate(pairs(run)):
        expected = [np.asarray(Image.open(path)).transpose(2, 0, 1) for path in (first, second)]
        np.testing.assert_array_equal(reader.feature(row), np.concatenate(expected))
        np.testing.assert_array_equal(shown_pair(reader.feature(row), run.info.extra), np.concatenate(expected, axis=2))


def test_both_halves_have_the_mean_and_the_deviation_of_all_pictures(tmp_path: Path) -> None:
    class_folder(tmp_path / "images", CLASSES)
    run = make(tmp_path)
    reader = run.reader()
    pixels = reader.features(range(len(reader))).astype(float).reshape(-1, 2, 3, 10, 12)  # (n, half, C, H, W)
    assert reader.meta.mean == pytest.approx(np.tile(pixels.mean(axis=(0, 1, 3, 4)), 2))
    assert reader.meta.std == pytest.approx(np.tile(pixels.std(axis=(0, 1, 3, 4)), 2))
    expected = np.concatenate([pixels.mean(axis=(0, 1))] * 2)
    np.testing.assert_allclose(mean_picture(reader), expected)
    np.testing.assert_allclose(np.load(run.folder.path / "mean.npy"), expected, rtol=1e-6)


def test_grey_where_most_are_and_one_size(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(4):
            odd = number == 3
            made = picture(number, (14, 10) if odd else (12, 10), "RGB" if odd else "L")
            made.save(tmp_path / "images" / name / f"{number}.png")
    assert make(tmp_path, unequal_sizes="resize").info.feature_shape == (2, 10, 12)
    assert make(tmp_path).info.feature_shape == (2, 32, 32)  # padded
    assert make(tmp_path, resize_width=8, resize_height=9, channel_conversion="RGB").info.feature_shape == (6, 9, 8)


def test_other_folders_and_more_pairs(tmp_path: Path) -> None:
    class_folder(tmp_path / "images", CLASSES)
    class_folder(tmp_path / "other", {"horse": 2, "cow": 1}, first_seed=50)
    run = make(tmp_path, val_image_folder=str(tmp_path / "other"), pairs_per_picture=3)
    found = pairs(run)
    assert len(found) == 3 * 18
    assert abs(sum(same for *_, same in found) - 27) < 1
    assert {path.parent.name for pair in pairs(run, "val") for path in pair[:2]} == {"horse", "cow"}
    assert any("no other picture" in problem["reason"] for problem in run.problems())


def test_groups_stay_in_one_split(tmp_path: Path) -> None:
    class_folder(tmp_path / "images", CLASSES)
    run = make(tmp_path, group_pattern=r"(\d+)\.png")
    numbers = [{path.stem for pair in pairs(run, split) for path in pair[:2]} for split in ("train", "val")]
    assert not numbers[0] & numbers[1]


@pytest.mark.parametrize(
    ("classes", "words"), [({"one": 4}, "pictures of 1 class."), ({".": 3}, "pictures of 0 classes"), ({}, "No pictures below")]
)
def test_what_makes_no_pairs_is_refused(tmp_path: Path, classes: dict[str, int], words: str) -> None:
    (tmp_path / "images").mkdir()
    class_folder(tmp_path / "images", classes)
    with pytest.raises(DataError, match=words):
        make(tmp_path)


def test_two_files_are_tested(tmp_path: Path) -> None:
    class_folder(tmp_path / "images", CLASSES)
    run = make(tmp_path)
    cls = loader.get("data", ID).cls
    first, second = (str(tmp_path / "images" / name) for name in ("cat/000.png", "owl/001.png"))
    values = {"conversion": "RGB", "first_picture": first, "second_picture": second}
    tested = cls(is_inference_db=True, **with_roots(cls, values, EVERYWHERE))
    assert [tested.itemize_entries(stage) for stage in ("train_db", "val_db")] == [[], []]
    feature, label = tested.encode_entry(tested.itemize_entries("test_db")[0])
    assert (feature.shape, label) == (run.info.feature_shape, None)
    nowhere = cls(is_inference_db=True, **with_roots(cls, {**values, "second_picture": str(tmp_path / "none.png")}, EVERYWHERE))
    with pytest.raises(DataError, match="is no file"):
        nowhere.itemize_entries("test_db")
