"""Masks that do not have their picture's name: an addition of a pattern, or one that the names share; a mask for each object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from digits.extensions.data.files.additions import naming_of, namings_of
from tests.extensions.data.test_image_segmentation import SIZE, SQUARE, label, lines
from tests.ingest.making import Run, make_job, picture, run_job

EYES = [f"Image_{number:02d}{side}" for number in range(1, 4) for side in "LR"]


def write(folder: Path, names: list[str], masks: bool = False) -> str:
    """Pictures, or masks of which each holds a number of its own in one pixel."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = SQUARE.copy()
        mask[0, 0] = number
        (Image.fromarray(mask) if masks else picture(number, SIZE)).save(path)
    return str(folder)


def run_of(tmp_path: Path, images: str, masks: str, **values: Any) -> Run:
    folders = {"feature_folder": images, "label_folder": masks, "folder_pct_val": 0}
    return run_job(make_job(tmp_path / "jobs", "image-segmentation", {**folders, **values}))


def pairs(run: Run) -> list[tuple[str, int]]:
    """Name of each record's picture, with the number in its mask."""
    sources = run.reader().column("source", range(len(run.reader())))
    return [(Path(source).name, int(label(run, row)[0, 0])) for row, source in enumerate(sources)]


@pytest.mark.parametrize(
    ("pictures", "masks", "naming"),
    [
        ([f"{name}.jpg" for name in EYES], [f"{name}_1stHO.png" for name in EYES], "*_1stHO"),
        ([f"{n}_training.tif" for n in range(21, 26)], [f"{n}_manual1.gif" for n in range(21, 26)], "*_training = *_manual1"),
        ([f"im{n:04d}.ppm" for n in range(1, 5)], [f"im{n:04d}.ah.ppm" for n in range(1, 5)], "*.ah"),
        ([f"img_{n}.png" for n in range(1, 30)], [f"seg_{n}.png" for n in range(1, 30)], "img_* = seg_*"),
        ([f"{n}.png" for n in range(1, 13)], [f"mask ({n}).png" for n in range(1, 13)], "mask (*)"),
        ([f"{n}_sat.jpg" for n in (7, 81)], [f"{n}_mask.png" for n in (7, 81)], "*_sat = *_mask"),
    ],
)
def test_what_names_share(pictures: list[str], masks: list[str], naming: str) -> None:
    (found,) = namings_of([f"/a/{name}" for name in pictures], [f"/b/{name}" for name in masks])
    assert str(found) == naming
    assert naming_of(naming) == found
    matched = found.match("/a", [f"/a/{name}" for name in pictures], "/b", [f"/b/{name}" for name in masks])
    assert matched.pairs == [(f"/a/{first}", f"/b/{second}") for first, second in zip(pictures, masks, strict=True)]


def test_names_that_share_nothing() -> None:
    assert namings_of(["/a/one.png", "/a/two.png"], ["/b/x1.png", "/b/y2.png"]) == []
    assert namings_of(["/a/1.png", "/a/2.png"], ["/b/10.png", "/b/20.png"]) == []  # digits are not torn apart


@pytest.mark.parametrize("pattern", ["_1stHO", "*", "*_a*", "a/*", "* = *", "*_a = b", "a/* = */b*", "a** = b**", "a/* = /b*"])
def test_patterns_that_say_nothing(pattern: str) -> None:
    with pytest.raises(DataError, match="Write a star"):
        naming_of(pattern)


def test_masks_are_found_by_what_their_names_share(tmp_path: Path) -> None:
    images = write(tmp_path / "images", [f"{name}.jpg" for name in EYES])
    masks = write(tmp_path / "manual", [f"{name}_1stHO.png" for name in EYES], masks=True)
    run = run_of(tmp_path, images, masks)
    assert pairs(run) == [(f"{name}.jpg", number) for number, name in enumerate(EYES)]
    (problem,) = run.problems()
    assert "found by what their names share, *_1stHO" in problem["reason"]


def test_masks_of_a_pattern_in_folders_of_their_own(tmp_path: Path) -> None:
    cases = [f"IMD{number:03d}" for number in (2, 3, 4)]
    root = write(tmp_path / "ph2", [f"{case}/{case}_Dermoscopic_Image/{case}.png" for case in cases])
    write(tmp_path / "ph2", [f"{case}/{case}_lesion/{case}_lesion.png" for case in cases], masks=True)
    assert pairs(run_of(tmp_path, root, root)) == [(f"{case}.png", number) for number, case in enumerate(cases)]


@pytest.mark.parametrize("pattern", ["", "*_1stHO"])
def test_a_mask_of_another_folder_is_not_taken(tmp_path: Path, pattern: str) -> None:
    images = write(tmp_path / "images", ["a/1.png", "a/2.png", "a/3.png"])
    masks = write(tmp_path / "masks", ["b/1_1stHO.png", "a/2_1stHO.png", "a/3_1stHO.png"], masks=True)
    run = run_of(tmp_path, images, masks, mask_pattern=pattern)
    assert pairs(run) == [("2.png", 1), ("3.png", 2)]
    assert {problem["entry"] for problem in run.problems() if problem["kind"] == "pair" and problem["entry"] != masks} == {
        f"{images}/a/1.png",
        f"{masks}/b/1_1stHO.png",
    }


def test_several_masks_for_each_picture_need_a_pattern(tmp_path: Path) -> None:
    images = write(tmp_path / "all", [f"{name}.jpg" for name in EYES])
    write(tmp_path / "all", [f"{name}_{who}.png" for who in ("1stHO", "2ndHO") for name in EYES], masks=True)
    with pytest.raises(DataError, match=r"several masks each, named \*_1stHO and \*_2ndHO.*mask_pattern"):
        run_of(tmp_path, images, images)
    run = run_of(tmp_path, images, images, mask_pattern="*_2ndHO")
    assert [name for name, _ in pairs(run)] == [f"{name}.jpg" for name in EYES]
    assert [number for _, number in pairs(run)] == list(range(len(EYES), 2 * len(EYES)))


def test_a_mask_per_object(tmp_path: Path) -> None:
    stage = tmp_path / "stage1_train"
    for case in ("a1", "b2"):
        write(stage, [f"{case}/images/{case}.png"])
        (stage / case / "masks").mkdir()
        for number in (1, 2):
            Image.fromarray(np.uint8(255) * np.equal(SQUARE, number)).save(stage / case / "masks" / f"{case}{number}f00.png")
    for source in ("folder", "objects"):
        run = run_of(tmp_path, str(stage), str(stage), mask_source=source)
        assert run.info.class_labels == ("background", "object")
        assert len(run.reader()) == 2
        assert (label(run) == (SQUARE > 0)).all()
        (problem,) = run.problems()
        assert "masks of single objects are joined to one class, 'object'" in problem["reason"]


@pytest.mark.parametrize("form", ["masks/{}/object{}.png", "masks/{}_{}.png", "masks/{}_mask{}.png"])
def test_masks_of_objects_in_a_folder_or_numbered(tmp_path: Path, form: str) -> None:
    images = write(tmp_path / "images", ["a1.png", "b2.png"])
    for name in ("a1", "b2"):
        for number in (1, 2):
            path = tmp_path / form.format(name, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.uint8(1) * np.equal(SQUARE, number)).save(path)
    names = lines(tmp_path / "l.txt", "back", "cell")
    run = run_of(tmp_path, images, str(tmp_path / "masks"), mask_source="objects", class_labels_file=names)
    assert run.info.class_labels == ("back", "cell")
    assert (label(run) == (SQUARE > 0)).all()
    assert len(run.reader()) == 2


def test_objects_of_another_size_and_none_at_all(tmp_path: Path) -> None:
    images = write(tmp_path / "images", ["a1.png", "b2.png"])
    masks = write(tmp_path / "masks", [f"{name}/{number}.png" for name in ("a1", "b2") for number in (1, 2)], masks=True)
    Image.fromarray(SQUARE[:3]).save(tmp_path / "masks/b2/2.png")
    run = run_of(tmp_path, images, masks)
    (problem,) = (problem for problem in run.problems() if problem["kind"] == "skipped")
    assert "b2/2.png has 8x3 pixels" in problem["reason"]
    write(tmp_path / "plain", ["a1.png", "b2.png"], masks=True)
    with pytest.raises(DataError, match="No picture in .* has several masks"):
        run_of(tmp_path, images, str(tmp_path / "plain"), mask_source="objects")
