"""Pictures of one data set that differ in size, in channels, in type: every image source brings them together in the same way."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from digits.domain.events import WarningEvent
from digits.extensions.data.images.sizes import choose, scale_between, scaled
from tests.ingest import objects
from tests.ingest.making import Run, make_job, picture, run_job

SMALL, LARGE = (20, 16), (30, 40)  # width, height
GREY = 4  # the only grey picture


def folder(place: Path, sizes: list[tuple[int, int]], seed: int = 0, grey: tuple[int, ...] = ()) -> str:
    place.mkdir()
    for number, size in enumerate(sizes):
        picture(seed + number, size, "L" if number in grey else "RGB").save(place / f"{number}.png")
    return str(place)


def masks(place: Path, sizes: list[tuple[int, int]]) -> str:
    place.mkdir()
    for number, (width, height) in enumerate(sizes):
        mask = np.zeros((height, width), np.uint8)
        mask[2:5, 3:7] = 1
        Image.fromarray(mask).save(place / f"{number}.png")
    return str(place)


def table(file: Path, count: int) -> str:
    file.write_text("image,value\n" + "".join(f"{number}.png,{number}.5\n" for number in range(count)))
    return str(file)


def segmentation(place: Path, sizes: list[tuple[int, int]], grey: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"feature_folder": folder(place / "a", sizes, grey=grey), "label_folder": masks(place / "b", sizes)}


def processing(place: Path, sizes: list[tuple[int, int]], grey: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"feature_folder": folder(place / "a", sizes, grey=grey), "label_folder": folder(place / "b", sizes, 50, grey)}


def regression(place: Path, sizes: list[tuple[int, int]], grey: tuple[int, ...] = ()) -> dict[str, Any]:
    return {"image_folder": folder(place / "a", sizes, grey=grey), "values_file": table(place / "t.csv", len(sizes))}


def multi_label(place: Path, sizes: list[tuple[int, int]], grey: tuple[int, ...] = ()) -> dict[str, Any]:
    lines = ["image,cat,dog", *(f"{number}.png,{number % 2},1" for number in range(len(sizes)))]
    (place / "t.csv").write_text("\n".join(lines))
    return {"image_folder": folder(place / "a", sizes, grey=grey), "values_file": str(place / "t.csv"), "value_kind": "labels"}


def detection(place: Path, sizes: list[tuple[int, int]], grey: tuple[int, ...] = ()) -> dict[str, Any]:
    boxes: objects.Boxes = {str(number): [("cat", 3, 2, 7, 5)] for number in range(len(sizes))}
    labels = objects.kitti(place / "b", boxes)
    pictures = folder(place / "a", sizes, grey=grey)
    return {"train_image_folder": pictures, "train_label_folder": str(labels), "channel_conversion": "none"}


Form = Callable[..., dict[str, Any]]
SOURCES: dict[str, Form] = {
    "image-segmentation": segmentation,
    "image-processing": processing,
    "image-regression": regression,
    "image-multi-label": multi_label,
    "image-object-detection": detection,
}
every_source = pytest.mark.parametrize("source", sorted(SOURCES))


def make(place: Path, source: str, values: dict[str, Any], spec: dict[str, Any] | None = None, **data: Any) -> Run:
    return run_job(make_job(place / "jobs", source, {"folder_pct_val": 0, "seed": 1, **values, **data}, **(spec or {})))


def numbered(run: Run) -> dict[int, int]:
    """The row of each picture, by the number in its name."""
    return {int(Path(path).stem): row for row, path in enumerate(run.reader().column("source", range(len(run.reader()))))}


def pixels(place: Path, number: int) -> np.ndarray:
    array = np.asarray(Image.open(place / "a" / f"{number}.png"))
    return array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)


def kinds(run: Run) -> list[str]:
    return [problem["kind"] for problem in run.problems()]


@every_source
def test_one_grey_picture_in_a_colour_set_becomes_rgb(tmp_path: Path, source: str) -> None:
    run = make(tmp_path, source, SOURCES[source](tmp_path, [SMALL] * 6, grey=(GREY,)))
    assert run.info.feature_shape == (3, 16, 20)
    rows = numbered(run)
    for number in range(6):
        wanted = np.broadcast_to(pixels(tmp_path, number), (3, 16, 20))
        np.testing.assert_array_equal(run.reader().features([rows[number]])[0], wanted)
    found = [problem for problem in run.problems() if problem["kind"] == "converted"]
    assert {Path(problem["entry"]).stem for problem in found} == {str(GREY)}
    assert len(found) == (2 if source == "image-processing" else 1)  # there the label is a picture as well
    assert run.info.extra["channels"] == 3  # which later pictures get too


def test_one_colour_picture_in_a_grey_set_becomes_grey(tmp_path: Path) -> None:
    run = make(tmp_path, "image-segmentation", segmentation(tmp_path, [SMALL] * 6, grey=(0, 1, 2, 3, 5)))
    assert run.info.feature_shape == (1, 16, 20)
    luma = np.asarray(Image.open(tmp_path / "a" / f"{GREY}.png").convert("L"), np.int16)
    found = run.reader().features([numbered(run)[GREY]])[0, 0].astype(np.int16)
    assert np.abs(found - luma).max() <= 1


@pytest.mark.parametrize(("dtype", "kept"), [(np.uint8, True), (np.int16, False), (np.float32, False)])
def test_one_picture_of_another_type(tmp_path: Path, dtype: type[np.number], kept: bool) -> None:
    values = segmentation(tmp_path, [SMALL] * 6)
    rng = np.random.default_rng(0)
    for number in range(6):
        (tmp_path / "a" / f"{number}.png").unlink()
        array = rng.integers(0, 200, (16, 20)).astype(dtype if number == 3 else np.uint16)
        tifffile.imwrite(tmp_path / "a" / f"{number}.tif", array)
    run = make(tmp_path, "image-segmentation", values)
    assert run.info.splits["train_db"].meta.feature_dtype == "uint16"
    assert kinds(run) == ["converted" if kept else "skipped"]
    if kept:
        stored = run.reader().features([numbered(run)[3]])[0, 0]
        np.testing.assert_array_equal(stored, tifffile.imread(tmp_path / "a" / "3.tif"))
    else:
        assert "Encode all alike, as uint16" in run.problems()[0]["reason"]
        assert run.info.left_out == {"count": 1, "share": 0.1667, "much": True}


def test_nan_in_one_picture(tmp_path: Path) -> None:
    values = processing(tmp_path, [SMALL] * 4)
    for name in "ab":
        for number in range(4):
            (tmp_path / name / f"{number}.png").unlink()
            array = np.full((16, 20), number, np.float32)
            array[3, 3] = np.nan if (name, number) == ("b", 2) else 0
            tifffile.imwrite(tmp_path / name / f"{number}.tif", array)
    run = make(tmp_path, "image-processing", values)
    assert sorted(numbered(run)) == [0, 1, 3]
    (problem,) = run.problems()
    assert (problem["kind"], Path(problem["entry"]).name) == ("skipped", "2.tif")
    assert "1 value of NaN or infinity" in problem["reason"]


@every_source
@pytest.mark.parametrize("how", ["pad", "resize", "keep", "auto"])
def test_pictures_of_two_sizes(tmp_path: Path, source: str, how: str) -> None:
    sizes = [SMALL, SMALL, LARGE, SMALL]
    run = make(tmp_path, source, SOURCES[source](tmp_path, sizes), unequal_sizes=how)
    assert run.entries() == {"train": 4}
    (problem,) = [problem for problem in run.problems() if problem["kind"] == "size"]
    assert "2 sizes, from 20×16 to 30×40" in problem["reason"]
    rows, reader = numbered(run), run.reader()
    shape = {"resize": (3, 16, 20), "keep": None}.get(how, (3, 64, 32))
    assert run.info.feature_shape == shape
    for number, (width, height) in enumerate(sizes):
        feature = reader.feature(rows[number])
        if how != "resize":
            np.testing.assert_array_equal(feature[:, :height, :width], pixels(tmp_path, number))
            assert not feature[:, height:].any()
            assert not feature[:, :, width:].any()
    later = run.info.extra
    assert later["keep_size"] is (how == "keep")
    assert later.get("padding") == ([32, 64] if how in ("pad", "auto") else None)


def test_masks_follow_their_pictures(tmp_path: Path) -> None:
    values = segmentation(tmp_path, [SMALL, LARGE])
    padded = make(tmp_path, "image-segmentation", values)
    mask = padded.reader().labels([numbered(padded)[0]])[0][0]
    assert mask.shape == (64, 32)
    assert (mask[2:5, 3:7] == 1).all()
    assert (mask[16:] == 255).all()
    kept = make(tmp_path, "image-segmentation", values, unequal_sizes="keep")
    assert {label.shape for label in kept.reader().labels([0, 1])} == {(1, 16, 20), (1, 40, 30)}


def test_larger_labels_keep_their_scale(tmp_path: Path) -> None:
    values = {
        "feature_folder": folder(tmp_path / "a", [SMALL, LARGE, SMALL]),
        "label_folder": folder(tmp_path / "b", [(40, 32), (60, 80), (40, 32)], 50),
    }
    padded = make(tmp_path, "image-processing", values)
    assert (padded.info.feature_shape, padded.reader().meta.label_shape) == ((3, 64, 32), (3, 128, 64))
    resized = make(tmp_path, "image-processing", values, unequal_sizes="resize")
    assert (resized.info.feature_shape, resized.reader().meta.label_shape) == ((3, 16, 20), (3, 32, 40))


def test_without_same_shape_sizes_are_kept_unless_somebody_chooses(tmp_path: Path) -> None:
    values = processing(tmp_path, [SMALL, LARGE])
    run = make(tmp_path, "image-processing", values, {"force_same_shape": False})
    assert run.info.feature_shape is None
    chosen = make(tmp_path, "image-processing", values, {"force_same_shape": False}, unequal_sizes="pad")
    assert chosen.info.feature_shape == (3, 64, 32)


def test_a_size_in_the_form_stands_above_the_choice(tmp_path: Path) -> None:
    run = make(tmp_path, "image-segmentation", segmentation(tmp_path, [SMALL, LARGE]), resize_width=9, resize_height=7)
    assert run.info.feature_shape == (3, 7, 9)
    assert kinds(run) == []


def test_what_padding_wastes_is_said() -> None:
    chosen = choose([(10, 10)] * 9 + [(320, 320)], "pad", "squash")
    assert (chosen.padding, chosen.size) == ((320, 320), (0, 0))
    assert "90% of which is empty. Give a width and height" in chosen.words
    assert choose([(10, 10), (0, 0)], "pad", "squash").words == ""


def test_scales_between_pictures_and_labels() -> None:
    assert scale_between([(10, 20), (30, 40)], [(20, 60), (60, 120)]) == (Fraction(2), Fraction(3))
    assert scale_between([(10, 20), (30, 40)], [(20, 60), (60, 60)]) is None
    assert scaled((32, 64), (Fraction(1, 2), Fraction(1, 4))) == (16, 16)
    assert scaled((33, 64), (Fraction(1, 2), Fraction(1, 4))) is None


@pytest.mark.parametrize(("percent", "pattern", "said"), [(10, "/a/", True), (0, "/a/", False), (10, "", False)])
def test_a_share_that_comes_out_empty_is_said(tmp_path: Path, percent: int, pattern: str, said: bool) -> None:
    """All pictures are one group, which cannot be divided."""
    values = segmentation(tmp_path, [SMALL] * 4)
    run = make(tmp_path, "image-segmentation", values, folder_pct_val=percent, group_pattern=pattern)
    warned = [event.message for event in run.events if isinstance(event, WarningEvent) and event.code == "empty-split"]
    assert ("empty-split" in kinds(run)) is bool(warned) is said
    if said:
        assert warned[0].startswith("10 % were asked for validation, but none of the 4 entries fell to it.")


def test_pictures_without_a_partner_are_missing(tmp_path: Path) -> None:
    values = segmentation(tmp_path, [SMALL] * 8)
    for number in (1, 5):
        (tmp_path / "b" / f"{number}.png").unlink()
    assert make(tmp_path, "image-segmentation", values).info.left_out == {"count": 2, "share": 0.25, "much": True}
    (tmp_path / "list.txt").write_text("\n".join(str(number) for number in (0, 2, 3, 4, 6, 7)))
    listed = make(tmp_path, "image-segmentation", values, train_list_file=str(tmp_path / "list.txt"))
    assert listed.info.left_out["count"] == 0  # nobody asked for them
