"""Pairs of pictures (R 6.5, 9.4): shares, separate folders, colours, sizes, autoencoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from digits.extensions.data.image_processing import DataIngestion
from digits.extensions.data.images.pictures import read_picture, remarks
from tests.ingest.making import Run, make_job, picture, run_job

ID = "image-processing"


def folder(place: Path, count: int, seed: int = 0, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> str:
    place.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (place / str(number % 2)).mkdir(exist_ok=True)
        picture(seed + number, size, mode).save(place / str(number % 2) / f"{number}.png")
    return str(place)


def make(tmp_path: Path, **data: Any) -> Run:
    return run_job(make_job(tmp_path / "jobs", ID, {"folder_pct_val": 10, **data}), workers=2)


def test_ten_percent_of_a_hundred_pairs(tmp_path: Path) -> None:
    pairs = {"feature_folder": folder(tmp_path / "a", 100), "label_folder": folder(tmp_path / "b", 100, 500, mode="L")}
    run = make(tmp_path, **pairs)
    assert run.entries() == {"train": 90, "val": 10}
    assert (run.info.task, run.info.feature_shape) == ("processing", (3, 6, 8))
    meta = run.reader().meta
    assert (meta.label_kind, meta.label_shape) == ("array", (1, 6, 8))
    assert 0 <= run.info.extra["seed"] <= 1000
    source = Path(run.reader().column("source", [3])[0])
    partner = tmp_path / "b" / source.parent.name / source.name
    assert (run.reader().labels([3])[0][0] == np.asarray(Image.open(partner))).all()
    again = make(tmp_path, seed=run.info.extra["seed"], **pairs)
    assert again.info.content_hash == run.info.content_hash


def test_separate_validation_folders(tmp_path: Path) -> None:
    run = make(
        tmp_path,
        feature_folder=folder(tmp_path / "a", 100),
        label_folder=folder(tmp_path / "b", 100),
        has_val_folder=True,
        validation_feature_folder=folder(tmp_path / "c", 100, 300),
        validation_label_folder=folder(tmp_path / "d", 100, 300),
    )
    assert run.entries() == {"train": 100, "val": 100}


@pytest.mark.parametrize(("conversion", "channels"), [("none", 1), ("RGB", 3), ("L", 1)])
def test_channels(tmp_path: Path, conversion: str, channels: int) -> None:
    grey = {"feature_folder": folder(tmp_path / "a", 3, mode="L"), "label_folder": folder(tmp_path / "b", 3, mode="L")}
    run = make(tmp_path, channel_conversion=conversion, **grey)
    assert run.info.feature_shape == (channels, 6, 8)


def test_an_autoencoder_has_no_labels_of_its_own(tmp_path: Path) -> None:
    run = make(tmp_path, feature_folder=folder(tmp_path / "a", 10), label_source="image")
    assert run.entries() == {"train": 9, "val": 1}
    assert run.reader().meta.label_kind == "none"
    assert run.info.extra["autoencoder"] is True


def test_one_folder_for_both_pairs_each_picture_with_itself(tmp_path: Path) -> None:
    """As the original's own tests give it."""
    one, other = folder(tmp_path / "a", 4), folder(tmp_path / "b", 2, 70)
    separate = {"has_val_folder": True, "validation_feature_folder": other, "validation_label_folder": other}
    run = make(tmp_path, feature_folder=one, label_folder=one, **separate)
    assert run.entries() == {"train": 4, "val": 2}
    for split in ("train", "val"):
        reader = run.reader(split)
        assert all((reader.feature(n) == reader.labels([n])[0]).all() for n in range(len(reader)))


@pytest.mark.parametrize(("half", "axis", "first"), [("left", 2, 0), ("right", 2, 1), ("top", 1, 0), ("bottom", 1, 1)])
def test_input_and_target_side_by_side_in_one_file(tmp_path: Path, half: str, axis: int, first: int) -> None:
    for number in range(2):
        picture(number, (12, 8)).save(tmp_path / f"{number}.png")
    source = DataIngestion(feature_folder=str(tmp_path), label_source="half", input_half=half)
    sample = source.encode_entry((str(tmp_path / "1.png"),))
    halves = np.split(np.asarray(picture(1, (12, 8))).transpose(2, 0, 1), 2, axis)
    assert (sample[0] == halves[first]).all()
    assert (sample[1] == halves[1 - first]).all()
    assert sample.original_size == (halves[0].shape[2], halves[0].shape[1])


def test_a_file_without_two_equal_halves_is_left_out(tmp_path: Path) -> None:
    for number, width in enumerate((12, 13, 12)):
        picture(number, (width, 8)).save(Path(folder(tmp_path / "a", 0)) / f"{number}.png")
    run = make(tmp_path, feature_folder=str(tmp_path / "a"), label_source="half", folder_pct_val=0)
    assert run.entries() == {"train": 2}
    assert (run.reader().meta.feature_shape, run.reader().meta.label_shape) == ((3, 8, 6), (3, 8, 6))
    assert "13 pixels has no two equal halves" in run.problems()[0]["reason"]
    assert run.info.extra["autoencoder"] is False


def test_sixteen_bits_stay(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8) * 900).save(tmp_path / name / "0.png")
    run = make(tmp_path, feature_folder=str(tmp_path / "a"), label_folder=str(tmp_path / "b"), folder_pct_val=0)
    assert run.reader().feature(0).dtype == np.uint16
    assert run.reader().labels([0]).max() == 47 * 900


def test_other_sizes_are_padded_or_resized(tmp_path: Path) -> None:
    folder(tmp_path / "a", 4)
    picture(1, (10, 10)).save(tmp_path / "a/0/0.png")
    values = {"feature_folder": str(tmp_path / "a"), "label_folder": folder(tmp_path / "b", 4), "folder_pct_val": 0}
    assert make(tmp_path, **values).info.feature_shape == (3, 32, 32)
    run = make(tmp_path, resize_width=12, resize_height=4, **values)
    assert run.info.feature_shape == (3, 4, 12)
    assert run.reader().meta.label_shape == (3, 4, 12)


def test_groups_stay_together(tmp_path: Path) -> None:
    run = make(
        tmp_path,
        feature_folder=folder(tmp_path / "a", 12),
        label_folder=folder(tmp_path / "b", 12),
        folder_pct_val=50,
        group_pattern=r"/([01])/\d+\.png",
    )
    assert run.entries() == {"train": 6, "val": 6}
    assert len(set(run.reader("val").column("group", range(6)))) == 1


def test_folders_without_pairs_are_refused(tmp_path: Path) -> None:
    values = {"feature_folder": folder(tmp_path / "a", 2)}
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="No pictures below"):
        make(tmp_path, label_folder=str(tmp_path / "empty"), **values)
    picture(1).save(tmp_path / "empty/other.png")
    with pytest.raises(DataError, match="None of the 2 pictures"):
        make(tmp_path, label_folder=str(tmp_path / "empty"), **values)
    with pytest.raises(DataError, match="cannot be understood"):
        make(tmp_path, label_folder=folder(tmp_path / "b", 2), group_pattern="(", **values)


def test_pairs_in_one_folder_are_told_apart_by_their_names(tmp_path: Path) -> None:
    for number in range(3):
        picture(number).save(tmp_path / f"{number}.png")
        picture(number + 9).save(tmp_path / f"{number}_clean.png")
    run = make(tmp_path, feature_folder=str(tmp_path), label_folder=str(tmp_path), folder_pct_val=0)
    assert run.entries() == {"train": 3}
    assert (run.reader().labels([1])[0] == np.asarray(picture(10)).transpose(2, 0, 1)).all()


def test_pairs_of_one_folder_by_a_pattern(tmp_path: Path) -> None:
    """The scenes of GoPro, with a third version of their pictures, and those of SIDD."""
    for number, place in enumerate(f"{scene}/{kind}" for scene in "ab" for kind in ("blur", "blur_gamma", "sharp")):
        (tmp_path / "gopro" / place).mkdir(parents=True)
        for frame in (1, 2):
            picture(10 * number + frame, (8, 6)).save(tmp_path / "gopro" / place / f"{frame}.png")
    for number, scene in enumerate(("0001_001_S6", "0002_001_S6")):
        (tmp_path / "sidd" / scene).mkdir(parents=True)
        for kind in ("NOISY", "GT"):
            picture(10 * number + len(kind), (8, 6)).save(tmp_path / "sidd" / scene / f"{scene[:4]}_{kind}_SRGB_010.PNG")
    for name, pattern, count in (("gopro", "blur/* = sharp/*", 4), ("sidd", "*_NOISY_* = *_GT_*", 2)):
        root = str(tmp_path / name)
        run = make(tmp_path, feature_folder=root, label_folder=root, label_pattern=pattern, folder_pct_val=0)
        assert (run.entries(), run.problems()) == ({"train": count}, [])
        picked, _, wanted = pattern.replace("*", "").replace("_", "").partition(" = ")
        for row in range(count):
            partner = run.reader().column("source", [row])[0].replace(picked, wanted)
            assert (run.reader().labels([row])[0] == np.asarray(Image.open(partner)).transpose(2, 0, 1)).all()


def test_labels_that_are_larger_and_named_shorter(tmp_path: Path) -> None:
    for place, size, name in (("X2", (8, 6), "{}x2"), ("HR", (16, 12), "{}")):
        (tmp_path / place).mkdir()
        for number in (1, 2):
            picture(number, size).save(tmp_path / place / f"{name.format(f'{number:04}')}.png")
    folders = {"feature_folder": str(tmp_path / "X2"), "label_folder": str(tmp_path / "HR")}
    run = make(tmp_path, label_pattern="*x2 = *", folder_pct_val=0, **folders)
    assert (run.entries(), run.info.feature_shape, run.reader().meta.label_shape) == ({"train": 2}, (3, 6, 8), (3, 12, 16))


def test_a_png_beside_a_jpeg_of_its_name_is_the_label(tmp_path: Path) -> None:
    for number in range(3):
        picture(number).save(tmp_path / f"{number}.jpg")
        picture(number + 9).save(tmp_path / f"{number}.png")
    run = make(tmp_path, feature_folder=str(tmp_path), label_folder=str(tmp_path), folder_pct_val=0)
    assert run.entries() == {"train": 3}
    assert (run.reader().labels([1])[0] == np.asarray(picture(10)).transpose(2, 0, 1)).all()


def test_a_second_start_tells_again_what_the_first_one_found(tmp_path: Path) -> None:
    values = {"feature_folder": folder(tmp_path / "a", 4), "label_folder": folder(tmp_path / "b", 3), "folder_pct_val": 0}
    job = make_job(tmp_path / "jobs", ID, values)
    first = run_job(job).problems()
    assert [Path(problem["entry"]).name for problem in first] == ["3.png"]
    picture(77, (8, 6)).save(tmp_path / "b/1/3.png")
    second = run_job(job)
    assert second.problems() == first
    assert second.entries() == {"train": 3}


def test_a_label_of_a_turned_picture_is_turned_with_it_or_said(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    picture(0, (8, 6)).save(tmp_path / "a/1.jpg", exif=exif)
    small = np.asarray(picture(1, (4, 3)))
    Image.fromarray(small).save(tmp_path / "b/1.png")
    picture(2, (6, 6)).save(tmp_path / "a/2.jpg", exif=exif)
    picture(3, (6, 6)).save(tmp_path / "b/2.png")
    values = {"feature_folder": str(tmp_path / "a"), "label_folder": str(tmp_path / "b"), "folder_pct_val": 0}
    run = run_job(make_job(tmp_path / "jobs", ID, values, force_same_shape=0))
    reasons = [problem["reason"] for problem in run.problems() if problem["kind"] == "label"]
    assert "The label is turned like its picture" in reasons[0]
    assert "fits both ways" in reasons[1]
    reader = run.reader()
    assert reader.feature(0).shape == (3, 8, 6)
    assert reader.labels([0])[0].shape[1] > reader.labels([0])[0].shape[2]


def test_a_picture_of_several_pages_is_said(tmp_path: Path) -> None:
    pages = [picture(seed, (8, 6)) for seed in range(3)]
    pages[0].save(tmp_path / "1.tif", save_all=True, append_images=pages[1:])
    assert [reason for _, reason in remarks(str(tmp_path / "1.tif"))] == [
        "It has 3 pages, of which the first is read. Save each as a file of its own to have all."
    ]
    pages[0].save(tmp_path / "2.tif")
    assert remarks(str(tmp_path / "2.tif")) == []
    assert (read_picture(str(tmp_path / "1.tif"), "none") == np.asarray(pages[0])).all()
