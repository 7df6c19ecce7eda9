"""What is in mask files is what is in the records, whatever their depth, compression or colours; or it is said why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from digits.errors import DataError, LoadImageError
from digits.extensions.data.image_segmentation import kinds
from digits.extensions.data.image_segmentation.classes import Classes, Wanted, of_colour_map, of_masks
from digits.extensions.data.image_segmentation.colour_maps import read_colour_map
from digits.extensions.data.image_segmentation.masks import MaskRules
from digits.extensions.data.images.findings import Findings
from digits.utils.image import load_image
from digits.utils.stored import read_stored
from tests.extensions.data.test_image_segmentation import SIZE, SQUARE, label, lines, make, palette_mask, skipped
from tests.ingest.making import Run, make_job, picture, run_job
from tests.utils.test_stored import grey_png

STEPS = np.repeat(np.arange(4, dtype=np.uint8), 2)[np.newaxis].repeat(6, 0)  # 6×8: 0, 1, 2, 3 from left to right
PLAIN = Wanted(void=("255", "void"))


def blob(seed: int = 0) -> np.ndarray:
    """A white disc on black, (60, 80) uint8."""
    mask = np.zeros((60, 80), np.uint8)
    rng = np.random.default_rng(seed)
    cv2.circle(mask, (int(rng.integers(20, 60)), int(rng.integers(20, 40))), 15, 255, -1)
    return mask


def classes_of(tmp_path: Path, masks: list[Any], wanted: Wanted = PLAIN, **save: Any) -> tuple[Classes, list[str]]:
    """The classes of some masks (arrays or whole files), and what was said of them."""
    said: list[str] = []
    paths = [str(tmp_path / f"{number}{save.get('ending', '.png')}") for number in range(len(masks))]
    options = {name: value for name, value in save.items() if name != "ending"}
    for path, mask in zip(paths, masks, strict=True):
        Image.fromarray(mask).save(path, **options)
    return of_masks(paths, wanted, Findings(lambda problem: said.append(problem["reason"])), lambda: None), said


def over(tmp_path: Path, mask: Path, **values: Any) -> Run:
    """A data set of one picture of 8×6 with a mask file that lies in `tmp_path/masks`."""
    (tmp_path / "images").mkdir(exist_ok=True)
    picture(1, SIZE).save(tmp_path / "images" / f"{mask.stem}.png")
    folders = {"feature_folder": str(tmp_path / "images"), "label_folder": str(mask.parent), "folder_pct_val": 0}
    return run_job(make_job(tmp_path / "jobs", "image-segmentation", {**folders, **values}))


# -- black and white, with what JPEG or a resize made of it ----------------------------------------------------------


def test_jpeg_masks(tmp_path: Path) -> None:
    disc = [blob(seed) for seed in range(3)]
    classes, said = classes_of(tmp_path, disc, ending=".jpg")
    assert classes.labels == ["background", "object"]
    assert len(said) == 1
    assert "3 of 3 masks looked at are JPEG" in said[0]
    for number, mask in enumerate(disc):
        assert (classes.rules.read(str(tmp_path / f"{number}.jpg"))[0] == (mask > 0)).mean() > 0.99


def test_jpeg_masks_of_class_numbers_are_refused(tmp_path: Path) -> None:
    numbers = [np.kron(SQUARE, np.ones((8, 8), np.uint8)) * 3 for _ in range(2)]
    with pytest.raises(DataError, match="All 2 masks are JPEG, e.g. .*0.jpg, which changes the numbers of classes"):
        classes_of(tmp_path, numbers, ending=".jpg")
    Image.fromarray(SQUARE).save(tmp_path / "m.png")
    paths = [str(tmp_path / "m.png"), str(tmp_path / "0.jpg")]
    classes = of_masks(paths, Wanted(), Findings(lambda problem: None), lambda: None)
    assert classes.labels == ["0", "1", "2"]
    with pytest.raises(LoadImageError, match="0.jpg is a JPEG"):
        classes.rules.read(paths[1])


def test_jpeg_masks_of_a_few_far_levels(tmp_path: Path) -> None:
    levels = np.kron(SQUARE, np.ones((8, 8), np.uint8)) * 120
    classes, said = classes_of(tmp_path, [levels], ending=".jpg")
    assert classes.labels == ["0", "120", "240"]
    found = classes.rules.read(str(tmp_path / "0.jpg"))[0]
    counts = found != 255
    assert counts.mean() > 0.9
    assert (found[counts] == levels[counts] // 120).mean() > 0.99
    assert "JPEG" in said[0]


@pytest.mark.parametrize("blur", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("names", [[], ["bg", "obj"]])
def test_smoothed_masks(tmp_path: Path, blur: float, names: list[str]) -> None:
    smooth = [cv2.GaussianBlur(blob(seed), (0, 0), blur) for seed in range(3)]
    wanted = Wanted(lines(tmp_path / "labels.txt", *names) if names else "", ("255", "void"))
    classes, said = classes_of(tmp_path, smooth, wanted)
    assert classes.labels == (names or ["background", "object"])
    assert (classes.rules.read(str(tmp_path / "0.png"))[0] == (smooth[0] >= 128)).all()
    assert len(said) == 1
    assert "Values from 128 on are" in said[0]


def test_smoothed_masks_of_several_levels(tmp_path: Path) -> None:
    levels = [cv2.GaussianBlur(np.kron(SQUARE, np.ones((9, 9), np.uint8)) * 100, (0, 0), 1) for _ in range(2)]
    classes, said = classes_of(tmp_path, levels)
    assert classes.labels == ["0", "100", "200"]
    found = classes.rules.read(str(tmp_path / "0.png"))[0]
    assert {int(value) for value in np.unique(found)} == {0, 1, 2, 255}
    assert "as if smoothed" in said[0]


def test_classes_are_not_taken_for_smoothed_edges(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:60, :80]
    centres, numbers = rng.integers(0, 60, (40, 2)), rng.integers(0, 150, 40)
    nearest = ((rows[..., None] - centres[:, 0]) ** 2 + (columns[..., None] - centres[:, 1]) ** 2).argmin(-1)
    mask = numbers[nearest].astype(np.uint8)
    mask[cv2.Canny(mask, 1, 2) > 0] = 255  # outlines that do not count
    classes, said = classes_of(tmp_path, [mask])
    assert classes.rules.threshold == 0
    assert (classes.rules.read(str(tmp_path / "0.png"))[0][mask == 255] == 255).all()
    assert not said
    exact, said = classes_of(tmp_path, [np.array([[0, 128, 128, 255]] * 4, np.uint8)])
    assert (exact.labels, said) == (["0", "128"], [])


def test_a_threshold_that_was_given(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": SQUARE * 40}, mask_threshold=41)
    assert run.info.class_labels == ("background", "object")
    assert (label(run) == (SQUARE == 2)).all()
    edge = np.array([[0, 0, 64, 128, 192, 255, 255, 255]] * 6, np.uint8)
    assert make(tmp_path, {"a": edge}).info.class_labels == ("background", "object")
    every = make(tmp_path, {"a": edge}, mask_threshold=0, ignore_index="none")
    assert every.info.class_labels == ("0", "64", "128", "192", "255")
    with pytest.raises(DataError, match="names 3 classes; there are two"):
        make(tmp_path, {"a": SQUARE}, mask_threshold=1, class_labels_file=lines(tmp_path / "l.txt", "a", "b", "c"))


@pytest.mark.parametrize(
    ("values", "void", "form", "expected"),
    [
        ((0, 1, 7), "7, 255", {"mask_threshold": 1}, (0, 1, 255)),
        ((0, 200, 100), "0", {"mask_threshold": 150}, (255, 1, 0)),
        ((0, 255, 128), "255, 128", {}, (0, 1, 255)),
        ((0, 65535, 128), "128", {}, (0, 1, 255)),
    ],
)
def test_values_that_do_not_count_beside_two_classes(
    tmp_path: Path, values: tuple[int, ...], void: str, form: dict[str, Any], expected: tuple[int, ...]
) -> None:
    names = lines(tmp_path / "l.txt", "back", "cell")
    mask = np.array(values, np.uint16 if max(values) > 255 else np.uint8)[SQUARE]
    for more in ({}, {"class_labels_file": names}):
        run = make(tmp_path, {"a": mask}, ignore_index=void, **form, **more)
        assert run.info.class_labels == (("back", "cell") if more else ("background", "object"))
        assert (label(run) == np.array(expected)[SQUARE]).all()
        assert run.problems() == []


def test_a_thin_border_that_does_not_count_is_no_edge_of_the_object(tmp_path: Path) -> None:
    mask = blob()
    mask[cv2.Canny(mask, 1, 2) > 0] = 128
    wanted = Wanted(lines(tmp_path / "l.txt", "back", "cell"), ("128", "255"))
    classes, said = classes_of(tmp_path, [mask], wanted)
    assert (classes.labels, said) == (["back", "cell"], [])
    found = classes.rules.read(str(tmp_path / "0.png"))[0]
    assert (found == np.where(mask == 128, 255, mask // 255)).all()


def test_white_beside_numbered_objects_is_said_to_be_object(tmp_path: Path) -> None:
    numbered = np.array([0, 1, 255], np.uint8)[SQUARE]
    classes, said = classes_of(tmp_path, [numbered], Wanted(void=("255", "void"), threshold=1))
    assert (classes.rules.read(str(tmp_path / "0.png"))[0] == (SQUARE > 0)).all()
    (reason,) = said
    assert "255 stands beside other values from the threshold on (1), and is object as they are" in reason
    smooth = [cv2.GaussianBlur(blob(seed), (0, 0), 1) for seed in range(3)]
    apart = [SQUARE % 2, (SQUARE % 2) * 255]  # the object has one number here and another there
    for masks, void, threshold in ((smooth, PLAIN.void, 100), (apart, PLAIN.void, 1), ([numbered], ("7",), 1)):
        assert classes_of(tmp_path, masks, Wanted(void=void, threshold=threshold))[1] == []


def test_names_that_do_not_count_beside_two_classes(tmp_path: Path) -> None:
    names = lines(tmp_path / "l.txt", "back", "cell", "Void")
    assert make(tmp_path, {"a": SQUARE}, mask_threshold=1, class_labels_file=names).info.class_labels == ("back", "cell")


def test_numbers_of_objects_are_said(tmp_path: Path) -> None:
    masks = [np.repeat(np.arange(count, dtype=np.uint8), 3)[np.newaxis].repeat(5, 0) for count in (12, 30, 21)]
    _, said = classes_of(tmp_path, masks)
    assert "seem to number the objects" in said[0]
    _, said = classes_of(tmp_path, [masks[0]] * 3)
    assert not said


@pytest.mark.parametrize("ending", [".jpg", ".png"])
@pytest.mark.parametrize("colours", [[(0, 0, 0), (255, 255, 255)], [(0, 0, 0), (0, 200, 0), (0, 0, 250)]])
def test_colours_that_jpeg_or_smoothing_changed(tmp_path: Path, ending: str, colours: list[tuple[int, int, int]]) -> None:
    classes = np.kron(SQUARE, np.ones((16, 16), np.uint8)) % len(colours)
    painted = np.array(colours, np.uint8)[classes]
    painted = painted if ending == ".jpg" else cv2.GaussianBlur(painted, (0, 0), 1)
    path = str(tmp_path / f"a{ending}")
    Image.fromarray(painted).save(path, **({"quality": 90, "subsampling": 0} if ending == ".jpg" else {}))
    said: list[str] = []
    colour_map = lines(tmp_path / "map.txt", *(" ".join(map(str, colour)) for colour in colours))
    found = of_colour_map(colour_map, PLAIN, [path], Findings(lambda problem: said.append(problem["reason"])))
    mask = found.rules.read(path)[0]
    counts = mask != 255
    assert counts.mean() > 0.85
    assert (mask[counts] == classes[counts]).mean() > 0.99
    assert len(said) == 1


def test_a_wrong_colour_map_is_not_bent(tmp_path: Path) -> None:
    colours = np.array([[0, 0, 0], [250, 0, 0], [0, 0, 100]], np.uint8)
    colour_map = lines(tmp_path / "map.txt", "0 0 0", "255 0 0")
    with pytest.raises(DataError, match="the colour 250 0 0"):
        make(tmp_path, {"a": colours[SQUARE]}, colormap_method="textfile", colormap_text_file=colour_map)


# -- depths, compressions, colours -----------------------------------------------------------------------------------


def test_grey_png_2_bits(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a.png").write_bytes(grey_png(STEPS, 2))
    run = over(tmp_path, tmp_path / "masks/a.png", class_labels_file=lines(tmp_path / "l.txt", "bg", "a", "b", "c"))
    assert run.info.class_labels == ("bg", "a", "b", "c")
    assert (label(run) == STEPS).all()


@pytest.mark.parametrize("options", [{"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_lzw_masks(tmp_path: Path, options: dict[str, Any], dtype: Any) -> None:
    (tmp_path / "masks").mkdir()
    Image.fromarray(STEPS.astype(dtype)).save(tmp_path / "masks/a.tif", **options)
    assert (label(over(tmp_path, tmp_path / "masks/a.tif")) == STEPS).all()


def test_a_stack_of_pages_is_no_mask(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([SQUARE, SQUARE, SQUARE]), photometric="minisblack")
    with pytest.raises(LoadImageError, match="a.tif has 3 pages"):
        MaskRules({0: 0}).read(str(tmp_path / "a.tif"))


def test_transparency_alone_is_no_mask(tmp_path: Path) -> None:
    alpha = np.dstack([SQUARE * 0] * 3 + [SQUARE * 100])
    Image.fromarray(alpha).save(tmp_path / "a.png")
    with pytest.raises(LoadImageError, match="only its transparency differs"):
        MaskRules({0: 0}).read(str(tmp_path / "a.png"))
    Image.fromarray(np.dstack([SQUARE] * 3 + [SQUARE * 0 + 200])).save(tmp_path / "a.png")
    assert (MaskRules({0: 0, 1: 1, 2: 2}).read(str(tmp_path / "a.png"))[0] == SQUARE).all()


def test_panoptic_masks_are_no_class_masks(tmp_path: Path) -> None:
    numbers = SQUARE.astype(np.uint32) * 70_000 + 300
    masks = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=2).astype(np.uint8)
    with pytest.raises(DataError, match="panoptic masks are numbers of objects"):
        make(tmp_path, {"a": masks})


WRITERS = (
    "png 1",
    "png 2",
    "png 4",
    "png 8",
    "png 16",
    "palette",
    "grey in rgb",
    "colours",
    "tiff",
    "tiff_lzw",
    "tiff_deflate",
    "group4",
)


def written(path: Path, classes: np.ndarray, how: str, colours: np.ndarray) -> None:
    """A mask file of one kind with these classes."""
    if how.startswith("png"):
        path.write_bytes(grey_png(classes, int(how.split()[1])))
    elif how == "palette":
        palette_mask(classes, colours.reshape(-1).tolist()).save(path)
    elif how == "colours":
        Image.fromarray(colours[classes]).save(path)
    elif how == "grey in rgb":
        Image.fromarray(np.dstack([classes] * 3)).save(path)
    elif how == "group4":
        Image.fromarray(classes == 1).save(path, format="TIFF", compression=how)
    else:
        options = {} if how == "tiff" else {"compression": how}
        Image.fromarray(classes.astype(np.uint16)).save(path, format="TIFF", **options)


@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), how=st.sampled_from(WRITERS), count=st.integers(2, 16))
def test_any_class_map_comes_back(data: st.DataObject, how: str, count: int, tmp_path: Path) -> None:
    count = min(count, {"png 1": 2, "png 2": 4, "group4": 2}.get(how, 16))
    shape = st.tuples(st.integers(1, 12), st.integers(1, 12))
    classes = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, count - 1)))
    colours = np.random.default_rng(count).permutation(256)[: 3 * count].reshape(count, 3).astype(np.uint8)
    written(tmp_path / "a.png", classes, how, colours)
    if how == "colours":
        codes = {(int(r) << 16) | (int(g) << 8) | int(b): number for number, (r, g, b) in enumerate(colours)}
        rules = MaskRules({}, codes, by_colour=True)
    else:
        names = lines(tmp_path / "l.txt", *(f"class {number}" for number in range(count)))
        wanted = Wanted(names, ("255", "void"))
        rules = of_masks([str(tmp_path / "a.png")], wanted, Findings(lambda problem: None), lambda: None).rules
    assert (rules.read(str(tmp_path / "a.png"))[0] == classes).all()


@pytest.mark.filterwarnings("ignore")  # Pillow's, of what is torn
@pytest.mark.parametrize("how", ["png 4", "palette", "colours", "tiff", "tiff_lzw", "tiff_deflate", "group4"])
def test_torn_masks_are_listed_and_no_more(tmp_path: Path, how: str) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3, 3), np.uint8)
    whole = tmp_path / "whole.png"
    written(whole, np.kron(SQUARE, np.ones((4, 4), np.uint8)), how, colours)
    rng, data, paths = np.random.default_rng(7), whole.read_bytes(), [str(whole)]
    for number in range(40):
        torn = bytearray(data[: rng.integers(1, len(data))] if rng.random() < 0.3 else data)
        torn[rng.integers(0, len(torn))] ^= 1 << rng.integers(8)
        (tmp_path / f"{number}.png").write_bytes(torn)
        paths.append(str(tmp_path / f"{number}.png"))
    if how == "colours":
        rules = MaskRules({}, {0: 0}, by_colour=True, unknown_void=True)
    else:
        rules = of_masks(paths, Wanted(unknown_void=True), Findings(lambda problem: None), lambda: None).rules
    for path in paths:
        message = _fault_of(rules, path)
        assert not message or path in message


def _fault_of(rules: MaskRules, path: str) -> str:
    try:
        rules.read(path)
    except LoadImageError as error:
        return error.message
    return ""


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.uint32])
def test_white_is_zero_is_turned_round_in_pictures(tmp_path: Path, kind: type) -> None:
    values = (np.arange(48).reshape(6, 8) * 5 * 256 ** (np.dtype(kind).itemsize - 1)).astype(kind)
    path = tmp_path / "w.tif"
    tifffile.imwrite(path, values, photometric="miniswhite")
    stored = read_stored(path)
    assert (stored.values == values).all()
    assert (stored.picture == np.iinfo(kind).max - values).all()
    assert stored.picture.dtype == kind
    if kind != np.uint32:  # which does not become eight bits
        assert (np.asarray(load_image(path)) == 255 - np.arange(48).reshape(6, 8) * 5).all()
    tifffile.imwrite(path, values, photometric="minisblack")
    assert (read_stored(path).picture == values).all()


# -- which way up ----------------------------------------------------------------------------------------------------


def turned_set(tmp_path: Path, size: tuple[int, int], mask: np.ndarray, orientation: int = 6, own: int = 0) -> Run:
    """A data set of one JPEG of this stored size with an EXIF orientation, and a mask that may have its own."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir(exist_ok=True)
    exif = Image.Exif()
    exif[274] = orientation
    picture(0, size).save(tmp_path / "images/a.jpg", exif=exif)
    own_exif = Image.Exif()
    own_exif[274] = own or 1
    Image.fromarray(mask).save(tmp_path / "masks/a.png", exif=own_exif)
    folders = {"feature_folder": str(tmp_path / "images"), "label_folder": str(tmp_path / "masks"), "folder_pct_val": 0}
    return run_job(make_job(tmp_path / "jobs", "image-segmentation", folders))


def test_exif_square_mask(tmp_path: Path) -> None:
    run = turned_set(tmp_path, (6, 6), SQUARE[:, :6])
    (problem,) = run.problems()
    assert (problem["kind"], Path(problem["entry"]).name) == ("mask", "a.jpg")
    assert "EXIF orientation (6), its mask has none and fits both ways" in problem["reason"]
    assert (label(run) == SQUARE[:, :6]).all()


def test_a_mask_of_the_stored_size_is_turned_with_its_picture(tmp_path: Path) -> None:
    run = turned_set(tmp_path, SIZE, SQUARE)
    assert (label(run) == np.rot90(SQUARE, -1)).all()
    assert "is turned like its picture" in run.problems()[0]["reason"]
    upright = turned_set(tmp_path, SIZE, np.rot90(SQUARE, -1))
    assert (label(upright) == np.rot90(SQUARE, -1)).all()
    assert upright.problems() == []
    both = turned_set(tmp_path, (6, 6), SQUARE[:, :6], own=6)
    assert (label(both) == np.rot90(SQUARE[:, :6], -1)).all()
    assert both.problems() == []


@pytest.mark.parametrize("stored", [True, False])
def test_square_masks_lie_as_most_others_of_their_set(tmp_path: Path, stored: bool) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    exif = Image.Exif()
    exif[274] = 6
    for name, size in (("a", SIZE), ("b", SIZE), ("c", (6, 6))):
        picture(0, size).save(tmp_path / f"images/{name}.jpg", exif=exif)
        mask = SQUARE[:, : size[0]]
        Image.fromarray(mask if stored else np.rot90(mask, -1)).save(tmp_path / f"masks/{name}.png")
    folders = {"feature_folder": str(tmp_path / "images"), "label_folder": str(tmp_path / "masks"), "folder_pct_val": 0}
    run = run_job(make_job(tmp_path / "jobs", "image-segmentation", {**folders, "unequal_sizes": "keep"}))
    sources = [Path(path).stem for path in run.reader().column("source", range(3))]
    assert (label(run, sources.index("c")) == np.rot90(SQUARE[:, :6], -1)).all()
    said = "is turned with it" if stored else "is not turned"
    assert [said in problem["reason"] for problem in run.problems() if "fits both ways" in problem["reason"]] == [True]


# -- files that name classes -----------------------------------------------------------------------------------------

COLOUR_MAPS = {
    "camvid": ["0 0 0\tback", "250 50 83\tred car"],
    "cvat_labelmap": ["# label:color_rgb:parts:actions", "back:0,0,0::", "red car:250,50,83::"],
    "class_dict.csv": ["name,r,g,b", "back,0,0,0", "red car,250,50,83"],
    "names first": ["back 0 0 0", "red car 250 50 83"],
    "numbered": ["0 0 0 0 back", "1 250 50 83 red car"],
    "table": ["id;name;red;green;blue", "0;back;0;0;0", '1;"red car";250;50;83'],
    "brackets": ["back: [0, 0, 0]", "red car: (250, 50, 83)"],
    "windows": ["0,0,0,back\r", "250,50,83,red car\r"],
}


NAMES_OF_PLACES = ("1: cat", "1: dog", "2: car", "2: bus")  # a number of a group, as the masks do not have it


@pytest.mark.parametrize("form", COLOUR_MAPS)
def test_colour_maps_of_every_form(tmp_path: Path, form: str) -> None:
    file = lines(tmp_path / "map.txt", *COLOUR_MAPS[form])
    assert read_colour_map(file) == [((0, 0, 0), "back"), ((250, 50, 83), "red car")]


def test_cvat_labelmap(tmp_path: Path) -> None:
    colour_map = lines(tmp_path / "labelmap.txt", *COLOUR_MAPS["cvat_labelmap"])
    colours = np.array([[0, 0, 0], [250, 50, 83]], np.uint8)
    run = make(tmp_path, {"a": colours[SQUARE % 2]}, colormap_method="textfile", colormap_text_file=colour_map)
    assert run.info.class_labels == ("back", "red car")
    assert (label(run) == SQUARE % 2).all()


@pytest.mark.parametrize("line", ["back:0,0::", "red 1 2 300", "1,2", "a b c", "back:0,0,0:x:y:z:0"])
def test_what_is_no_colour_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="map.txt, line 2: .* is no colour"):
        read_colour_map(lines(tmp_path / "map.txt", "0 0 0 back", line))


def test_a_labels_file_with_values(tmp_path: Path) -> None:
    names = lines(tmp_path / "l.txt", "# of the street", "0: sky", "7: road", "255: void")
    run = make(tmp_path, {"a": np.array([0, 7, 255], np.uint8)[SQUARE]}, class_labels_file=names)
    assert run.info.class_labels == ("sky", "road")
    assert (label(run) == np.array([0, 1, 255])[SQUARE]).all()
    plain = lines(tmp_path / "l.txt", "2 door car", "4 door car", "bus")
    assert make(tmp_path, {"a": SQUARE}, class_labels_file=plain).info.class_labels == ("2 door car", "4 door car", "bus")


def test_a_labels_file_that_names_a_value_twice(tmp_path: Path) -> None:
    names = lines(tmp_path / "l.txt", "0: sky", "1: cat", "1: dog", "2: bird")
    with pytest.raises(DataError, match="names the value 1 twice"):
        make(tmp_path, {"a": SQUARE}, class_labels_file=names)
    equal = lines(tmp_path / "l.txt", "0: sky", "1: cat", "1: cat", "2: bird")
    run = make(tmp_path, {"a": SQUARE}, class_labels_file=equal)
    assert (run.info.class_labels, run.problems()) == (("sky", "cat", "bird"), [])
    assert (label(run) == SQUARE).all()
    groups = lines(tmp_path / "l.txt", *NAMES_OF_PLACES)
    by_places = make(tmp_path, {"a": np.array([0, 1, 3], np.uint8)[SQUARE]}, class_labels_file=groups)
    assert by_places.info.class_labels == NAMES_OF_PLACES
    assert "give several classes the number 1: classes are numbered by their places" in by_places.problems()[0]["reason"]
    doors = lines(tmp_path / "l.txt", "2 door car", "2 door van")
    assert make(tmp_path, {"a": SQUARE % 2}, class_labels_file=doors).info.class_labels == ("2 door car", "2 door van")


def test_a_labels_file_with_values_and_one_that_it_lacks(tmp_path: Path) -> None:
    names = lines(tmp_path / "l.txt", "0: sky", "7: road", "8: car")
    masks = {name: np.array(values, np.uint8)[SQUARE] for name, values in {"a": (0, 7, 8), "b": (0, 7, 9)}.items()}
    run = make(tmp_path, masks, class_labels_file=names)
    assert run.info.class_labels == ("sky", "road", "car")
    assert (label(run) == SQUARE).all()
    assert ["b.png has the class number 9" in reason for reason in skipped(run)] == [True]


@pytest.mark.parametrize("form", [{}, {"mask_threshold": 100}])
def test_two_names_with_values_are_in_the_order_of_these(tmp_path: Path, form: dict[str, Any]) -> None:
    names = lines(tmp_path / "l.txt", "255: cell", "0: back")
    run = make(tmp_path, {"a": SQUARE % 2 * 255}, class_labels_file=names, **form)
    assert run.info.class_labels == ("back", "cell")
    assert (label(run) == SQUARE % 2).all()


def test_values_without_a_name_are_said_before(tmp_path: Path) -> None:
    names = lines(tmp_path / "l.txt", "car", "person")
    run = make(tmp_path, {"a": SQUARE, "b": SQUARE % 2}, class_labels_file=names)
    (reason,) = (problem["reason"] for problem in run.problems() if problem["kind"] == "mask")
    assert "values without a name: 2" in reason
    assert "lack a name for what is 0" in reason
    assert len(skipped(run)) == 1


# -- what files are --------------------------------------------------------------------------------------------------


def kind(tmp_path: Path, masks: list[np.ndarray], ending: str = ".png") -> str:
    paths = [str(tmp_path / f"{number}{ending}") for number in range(len(masks))]
    for path, mask in zip(paths, masks, strict=True):
        Image.fromarray(mask).save(path)
    return kinds.kind_of(paths)


def test_kinds_of_masks(tmp_path: Path) -> None:
    large, colours = np.kron(SQUARE, np.ones((8, 8), np.uint8)), np.array([[0, 0, 0], [200, 10, 10], [10, 200, 10]], np.uint8)
    assert kind(tmp_path, [SQUARE, SQUARE % 2]) == kinds.CLASSES
    assert kind(tmp_path, [blob(0), blob(1)]) == kinds.BINARY
    assert kind(tmp_path, [cv2.GaussianBlur(blob(0), (0, 0), 2)]) == kinds.BINARY
    assert kind(tmp_path, [blob(0), blob(1)], ".jpg") == kinds.BINARY
    assert kind(tmp_path, [colours[large], colours[large % 2]]) == kinds.COLOURS
    rng = np.random.default_rng(0)
    panoptic = [rng.integers(1, 256, (3, 3)).astype(np.uint8)[large] for _ in range(3)]
    assert kind(tmp_path, panoptic) == kinds.PANOPTIC
    assert kind(tmp_path, [np.arange(count * 4).reshape(4, count).astype(np.uint8) for count in (5, 8, 15)]) == kinds.OBJECTS
    assert kind(tmp_path, [np.asarray(picture(seed, (60, 40))) for seed in range(2)]) == ""


def test_object_that_is_one_here_and_white_there(tmp_path: Path) -> None:
    _, said = classes_of(tmp_path, [SQUARE % 2, (SQUARE % 2) * 255])
    assert "seems to be 1 in 1 masks and 255 in 1 masks" in said[0]
    _, said = classes_of(tmp_path, [(SQUARE % 2) * 255, (SQUARE % 2).astype(np.uint16) * 65535])
    assert "seems to be 255 in 1 masks and 65535 in 1 masks" in said[0]
    _, said = classes_of(tmp_path, [SQUARE % 2, np.array([0, 1, 255], np.uint8)[SQUARE]])
    assert not said


def test_values_of_a_few_pixels_of_one_mask_are_said(tmp_path: Path) -> None:
    masks = [np.kron(SQUARE, np.ones((8, 8), np.uint8)) for _ in range(12)]
    masks[7][0, 0] = 9
    classes, said = classes_of(tmp_path, masks)
    assert len(said) == 1
    assert "one mask alone have the values 9, which become classes" in said[0]
    assert len(classes.labels) == 10
    masks[8][0, 0] = 9
    assert classes_of(tmp_path, masks)[1] == []


def test_black_and_white_with_a_name_for_what_does_not_count(tmp_path: Path) -> None:
    wanted = Wanted(lines(tmp_path / "l.txt", "back", "cell", "void"), ("255", "void"))
    classes, _ = classes_of(tmp_path, [blob()], wanted)
    assert classes.labels == ["back", "cell"]
    assert (classes.rules.read(str(tmp_path / "0.png"))[0] == blob() // 255).all()


def test_a_labels_file_that_does_not_name_what_is_zero(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": SQUARE}, class_labels_file=lines(tmp_path / "l.txt", "1 cat", "2: dog"))
    assert run.info.class_labels == ("background", "cat", "dog")
    assert (label(run) == SQUARE).all()
    assert "It does not name 0" in run.problems()[0]["reason"]


def test_names_that_stand_twice_are_one_class(tmp_path: Path) -> None:
    run = make(tmp_path, {"a": SQUARE}, class_labels_file=lines(tmp_path / "l.txt", "back", "cat", "cat"))
    assert run.info.class_labels == ("back", "cat")
    assert (label(run) == (SQUARE > 0)).all()
    assert "calls 2 classes 'cat': they are one" in run.problems()[0]["reason"]
    colours = lines(tmp_path / "c.txt", "0 0 0 back", "100 100 100 cat", "200 200 200 cat")
    run = make(tmp_path, {"a": np.dstack([SQUARE * 100] * 3)}, colormap_method="textfile", colormap_text_file=colours)
    assert (label(run) == (SQUARE > 0)).all()
    assert run.info.extra["color_palette"][:9] == [0, 0, 0, 100, 100, 100, 0, 0, 0]
