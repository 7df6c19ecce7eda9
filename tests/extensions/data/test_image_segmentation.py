"""Segmentation data sets: masks of every kind, COCO, and everything that can be wrong with a mask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from digits.extensions.data.images.coco_shapes import mask_of
from tests.ingest.making import Run, make_job, picture, run_job

ID = "image-segmentation"
SIZE = (8, 6)
SQUARE = np.array([[0, 0, 1, 1, 1, 0, 0, 2]] * 4 + [[0] * 8] * 2, np.uint8)  # class 1, and class 2 in the last column


def make(tmp_path: Path, masks: dict[str, Any], spec: dict[str, Any] | None = None, **data: Any) -> Run:
    """A data set of pictures of 8×6 with these masks (arrays or Pillow images, by name)."""
    images, labels = tmp_path / "images", tmp_path / "masks"
    for folder in (images, labels):
        folder.mkdir(exist_ok=True)
    for seed, (name, mask) in enumerate(masks.items()):
        picture(seed, SIZE).save(images / f"{name}.png")
        (mask if isinstance(mask, Image.Image) else Image.fromarray(mask)).save(labels / f"{name}.png")
    values = {"feature_folder": str(images), "label_folder": str(labels), "folder_pct_val": 0, **data}
    return run_job(make_job(tmp_path / "jobs", ID, values, **(spec or {})))


def label(run: Run, index: int = 0) -> np.ndarray:
    return run.reader().labels([index])[0][0]


def lines(path: Path, *texts: str) -> str:
    path.write_text("\n".join(texts) + "\n")
    return str(path)


def palette_mask(classes: np.ndarray, palette: list[int]) -> Image.Image:
    image = Image.fromarray(classes).convert("P")
    image.putpalette(palette + [0] * (768 - len(palette)))
    return image


def skipped(run: Run) -> list[str]:
    return [problem["reason"] for problem in run.problems() if problem["kind"] == "skipped"]


def test_index_masks_without_names(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": SQUARE, "b": SQUARE})
    meta = run.reader().meta
    assert (meta.label_kind, meta.label_shape, meta.label_dtype, run.info.task) == ("map", (1, 6, 8), "uint8", "segmentation")
    assert run.info.class_labels == ("0", "1", "2")
    assert (label(run) == SQUARE).all()
    counted = run.info.extra["labels"]["train_db"]
    assert counted["objects"] == [64, 24, 8]
    assert counted["images"] == [2, 2, 2]
    assert run.info.extra["ignore_index"] == 255


def test_names_and_values_that_do_not_count(tmp_path: Path) -> None:
    names = lines(tmp_path / "labels.txt", "sky", "void", "road")
    run = make(tmp_path, {"a": SQUARE}, class_labels_file=names)
    assert run.info.class_labels == ("sky", "road")
    assert (label(run) == np.array([0, 255, 1])[SQUARE]).all()
    by_number = make(tmp_path, {"a": SQUARE}, ignore_index="2")
    assert by_number.info.class_labels == ("0", "1")
    assert (label(by_number) == np.array([0, 1, 255])[SQUARE]).all()


def test_palette_masks_give_the_colours(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": palette_mask(SQUARE, [0, 0, 0, 200, 10, 20, 30, 40, 50]), "b": SQUARE})
    assert (label(run) == SQUARE).all()
    assert run.info.extra["color_palette"][:9] == [0, 0, 0, 200, 10, 20, 30, 40, 50]
    assert len(run.info.extra["color_palette"]) == 768


def test_masks_with_different_palettes_are_told_of(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": palette_mask(SQUARE, [0, 0, 0, 9, 9, 9]), "b": palette_mask(SQUARE, [0, 0, 0, 8, 8, 8])})
    (problem,) = run.problems()
    assert problem["kind"] == "mask"
    assert "differs from that of" in problem["reason"]


@pytest.mark.parametrize("high", [255, 1])
def test_binary_masks(tmp_path: Path, high: int) -> None:
    mask = (SQUARE == 1).astype(np.uint8) * high
    run = make(tmp_path, {"a": mask, "b": mask}, class_labels_file=lines(tmp_path / "l.txt", "back", "cell"))
    assert run.info.class_labels == ("back", "cell")
    assert (label(run) == (SQUARE == 1)).all()


def test_masks_of_one_bit_and_of_sixteen(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": Image.fromarray(SQUARE == 1)})
    assert (label(run) == (SQUARE == 1)).all()
    deep = SQUARE.astype(np.uint16) * 1000
    run = make(tmp_path, {"a": deep})
    assert run.info.class_labels == ("0", "1000", "2000")
    assert (label(run) == SQUARE).all()


def test_colour_masks_with_a_colour_map(tmp_path: Path) -> None:
    colours = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0]], np.uint8)
    colour_map = lines(tmp_path / "map.txt", "0 0 0 back", "128 0 0 left", "", "0,128,0 right")
    run = make(tmp_path, {"a": colours[SQUARE]}, colormap_method="textfile", colormap_text_file=colour_map)
    assert run.info.class_labels == ("back", "left", "right")
    assert (label(run) == SQUARE).all()
    assert run.info.extra["color_palette"][:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    palette = make(
        tmp_path,
        {"a": palette_mask(SQUARE, [0, 128, 0, 0, 0, 0, 128, 0, 0])},
        colormap_method="textfile",
        colormap_text_file=colour_map,
    )
    assert (label(palette) == np.array([2, 0, 1])[SQUARE]).all()


def test_a_colour_that_the_map_lacks(tmp_path: Path) -> None:
    colours = np.array([[0, 0, 0], [128, 0, 0], [1, 2, 3]], np.uint8)
    colour_map = lines(tmp_path / "map.txt", "0 0 0", "128 0 0")
    values = {"colormap_method": "textfile", "colormap_text_file": colour_map}
    run = make(tmp_path, {"a": colours[SQUARE % 2], "b": colours[SQUARE]}, **values)
    (reason,) = skipped(run)
    assert "b.png has the colour 1 2 3 at x 7, y 0 (4 such pixels)" in reason
    assert run.entries() == {"train": 1}
    void = make(tmp_path, {"a": colours[SQUARE]}, unknown_void=True, **values)
    assert (label(void)[:4, 7] == 255).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [(["0 0"], "line 1"), (["0 0 0", "1 2 300"], "line 2"), (["0 0 0", "0 0 0"], "stands twice"), ([""], "no colours")],
)
def test_colour_maps_that_cannot_be_used(tmp_path: Path, text: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(tmp_path, {"a": SQUARE}, colormap_method="textfile", colormap_text_file=lines(tmp_path / "map.txt", *text))


def test_a_class_number_beyond_the_names_is_skipped_and_listed(tmp_path: Path) -> None:
    names = lines(tmp_path / "labels.txt", "back", "front")
    run = make(tmp_path, {"a": SQUARE, "b": SQUARE % 2}, class_labels_file=names)
    (reason,) = skipped(run)
    assert "a.png has the class number 2 at x 7, y 0 (4 such pixels)" in reason
    assert "Known are 0 to 1" in reason
    with pytest.raises(DataError, match="None of the entries could be read"):
        make(tmp_path, {"a": SQUARE, "b": SQUARE}, class_labels_file=names)


def test_colour_masks_need_a_map(tmp_path: Path) -> None:
    colours = np.array([[0, 0, 0], [128, 0, 0], [1, 2, 3]], np.uint8)[SQUARE]
    with pytest.raises(DataError, match="Choose the colour map from a text file"):
        make(tmp_path, {"a": colours})


def test_masks_of_another_size_are_skipped_and_listed(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": SQUARE, "b": SQUARE[:4]})
    (reason,) = skipped(run)
    assert "b.png: The mask has 8x4 pixels, its picture 8x6." in reason
    assert run.entries() == {"train": 1}


def test_pictures_and_masks_without_a_partner_are_listed(tmp_path: Path) -> None:
    make(tmp_path, {"a": SQUARE, "b": SQUARE})
    (tmp_path / "masks/b.png").rename(tmp_path / "masks/c.png")
    run = make(tmp_path, {"a": SQUARE})
    assert run.entries() == {"train": 1}
    found = {Path(problem["entry"]).name for problem in run.problems() if problem["kind"] == "pair"}
    assert found == {"b.png", "c.png"}
    assert any(getattr(event, "code", "") == "pair" for event in run.events)


def test_one_class_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="segmentation needs two"):
        make(tmp_path, {"a": SQUARE * 0})
    run = make(tmp_path, {"a": SQUARE * 0}, class_labels_file=lines(tmp_path / "l.txt", "back", "front"))
    assert "All masks hold the class 'back' alone" in run.problems()[0]["reason"]
    with pytest.raises(DataError, match="left out"):
        make(tmp_path, {"a": SQUARE * 0 + 9}, class_labels_file=str(tmp_path / "l.txt"), ignore_index="9")


def test_classes_of_one_split_only_are_told_of(tmp_path: Path) -> None:
    values = {
        "has_val_folder": True,
        "validation_feature_folder": str(tmp_path / "vi"),
        "validation_label_folder": str(tmp_path / "vm"),
    }
    for name in ("vi", "vm"):
        (tmp_path / name).mkdir()
    picture(8, SIZE).save(tmp_path / "vi/z.png")
    Image.fromarray(SQUARE % 2).save(tmp_path / "vm/z.png")
    run = make(tmp_path, {"a": SQUARE}, **values)
    assert run.entries() == {"train": 1, "val": 1}
    assert [p["entry"] for p in run.problems() if p["kind"] == "one-split"] == ["2"]


def test_pictures_are_smoothed_and_masks_are_not(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": SQUARE}, resize_width=16, resize_height=12, spec={"label_encoding": "jpg"})
    assert run.info.feature_shape == (3, 12, 16)
    assert run.reader().meta.label_encoding == "png"
    assert (label(run) == SQUARE.repeat(2, 0).repeat(2, 1)).all()
    filled = make(tmp_path, {"a": SQUARE}, resize_width=16, resize_height=16, resize_mode="fill")
    assert (label(filled)[:2] == 255).all()
    assert (label(filled)[2:14] == SQUARE.repeat(2, 0).repeat(2, 1)).all()


def test_known_label_sets(tmp_path: Path) -> None:
    cityscapes = np.array([7, 24, 3], np.uint8)[SQUARE]
    run = make(tmp_path, {"a_gtFine_labelIds": cityscapes, "a_gtFine_instanceIds": cityscapes}, label_set="cityscapes")
    assert run.entries() == {"train": 1}
    assert (label(run) == np.array([0, 11, 255])[SQUARE]).all()
    (tmp_path / "voc").mkdir()
    voc = np.array([[0, 0, 0], [192, 128, 128], [224, 224, 192]], np.uint8)[SQUARE]
    run = make(tmp_path / "voc", {"a": voc}, label_set="voc")
    assert run.info.class_labels[15] == "person"
    assert (label(run) == np.array([0, 15, 255])[SQUARE]).all()


def test_coco_polygons_and_run_lengths(tmp_path: Path) -> None:
    make(tmp_path, {"a": SQUARE, "b": SQUARE})
    runs = {"size": [6, 8], "counts": [0, 6, 42]}
    content = {
        "images": [{"id": 5, "file_name": "a.png"}, {"id": 6, "file_name": "gone.png"}, {"id": 7, "file_name": "b.png"}],
        "categories": [{"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 2, "segmentation": [[2, 1, 5, 1, 5, 3, 2, 3]], "iscrowd": 0},
            {"id": 2, "image_id": 5, "category_id": 1, "segmentation": runs, "iscrowd": 1},
            {"id": 3, "image_id": 5, "category_id": 1, "segmentation": [[1, 2]], "iscrowd": 0},
        ],
    }
    (tmp_path / "c.json").write_text(json.dumps(content))
    run = make(tmp_path, {}, mask_source="coco", label_folder=str(tmp_path / "c.json"))
    assert run.info.class_labels == ("background", "cat", "dog")
    assert (label(run)[1:3, 2:5] == 2).all()  # as pycocotools draws 2,1 to 5,3
    assert (label(run)[:, 0] == 255).all()
    assert (label(run, 1) == 0).all()
    assert sorted(problem["kind"] for problem in run.problems()) == ["annotation", "pair"]


def test_compressed_run_lengths() -> None:
    # Counts 3, 2, 5, 2 of a 3×4 mask: the fourth is written as its difference (0) to the second.
    assert (mask_of({"size": [3, 4], "counts": "3250"}, 3, 4).T.reshape(-1) == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1]).all()
    with pytest.raises(ValueError, match="make 10 pixels"):
        mask_of({"size": [3, 4], "counts": [3, 7]}, 3, 4)


def test_seg_sizes_differ(tmp_path: Path) -> None:
    for name, size in (("a", SIZE), ("b", (4, 5))):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        picture(1, size).save(tmp_path / f"images/{name}.png")
        Image.fromarray(SQUARE[: size[1], : size[0]]).save(tmp_path / f"masks/{name}.png")
    values = {"feature_folder": str(tmp_path / "images"), "label_folder": str(tmp_path / "masks"), "folder_pct_val": 0}
    run = run_job(make_job(tmp_path / "jobs", ID, values))
    assert [problem["kind"] for problem in run.problems()] == ["size"]
    height, width = run.info.feature_shape[1:]
    for row, (rows, columns) in enumerate([(6, 8), (5, 4)]):
        mask = label(run, row)
        assert mask.shape == (height, width)
        assert (mask[:rows, :columns] == SQUARE[:rows, :columns]).all()
        assert (mask[rows:] == 255).all()
        assert (mask[:, columns:] == 255).all()
    resized = run_job(make_job(tmp_path / "jobs", ID, {**values, "resize_width": 8, "resize_height": 6}))
    assert (label(resized) == SQUARE).all()
