"""Lines, elements and frames of another form than the expected one: read right, or left out and said, never read as something
else."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.storage.records.reader import BOX_IGNORED
from tests.extensions.data.image_object_detection.reading import HEIGHT, WIDTH, pictures, read
from tests.extensions.data.image_object_detection.test_cases import BOX, TWO, boxed, coco, entry, texts, voc, yolo

ONE, OTHER = "0 0.500000 0.500000 0.200000 0.400000", "1 0.300000 0.300000 0.100000 0.100000"
OTHER_BOX = (50, 25, 70, 35)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return pictures(tmp_path / "images", "a0.png", "a1.png")


# -- YOLO -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", ["names: [x, y]", ""])
def test_yolo_glued_records_are_read_one_by_one(images: Path, tmp_path: Path, names: str) -> None:
    labels = texts(tmp_path / "labels", {"a0.txt": ONE + OTHER + ONE, "a1.txt": f"{ONE} 0.900000{OTHER} 0.800000"})
    if names:
        texts(tmp_path, {"set.yaml": names})
    found = read(images, labels, annotation_format="yolo")
    assert found.boxes["a0.png"] == [(*BOX, 0, 0), (*OTHER_BOX, 1, 0), (*BOX, 0, 0)]
    assert found.boxes["a1.png"] == [(*BOX, 0, 0), (*OTHER_BOX, 1, 0)]


@pytest.mark.parametrize(
    "line",
    [
        "0 0.5 0.5 0.2 0.41 0.3 0.3 0.1 0.15",  # no equal numbers of digits
        "0 0.5 0.5 0.2 0.41 0.3 0.3 0.1 1",
        "0 0.500000 0.500000 0.200000 0.4000007 0.300000 0.300000 0.100000 0.100000",  # no class 7
        "0 0.500000 0.500000 0.200000 0.4000001 0.300000 0.300000 0.700000 0.100000",  # no box within the picture
        "0 0.512345 0.534567 0.212345 0.0412345 0.312345 0.312345 0.712345 0.112345",  # six digits that count in each
    ],
)
def test_yolo_polygons_are_not_taken_for_glued_records(images: Path, tmp_path: Path, line: str) -> None:
    labels = yolo(tmp_path, "names: [x, y]", a0=line, a1=ONE)
    x, y = (np.array(line.split()[first::2], float) for first in (1, 2))
    corners = np.round([x.min() * WIDTH, y.min() * HEIGHT, x.max() * WIDTH, y.max() * HEIGHT], 3)
    assert np.array_equal(read(images, labels, annotation_format="yolo").corners("a0.png"), [corners])


# -- CSV ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "image,xmin,ymin,xmax,ymax,class\n"])
@pytest.mark.parametrize("end", ["cata1.png,50,20,70,40,dog", "cat, small"])
def test_csv_lines_with_more_cells_than_others(images: Path, tmp_path: Path, header: str, end: str) -> None:
    (tmp_path / "b.csv").write_text(f"{header}a0.png,10,20,30,40,{end}\na1.png,1,2,30,40,dog,,\n")
    found = read(images, tmp_path / "b.csv")
    assert (found.boxes, found.classes) == ({"a1.png": [(1, 2, 30, 40, 0, 0)]}, ["dog"])
    assert "columns, others have 6" in found.only("annotation")[1]


def test_csv_of_glued_lines_alone_is_none(images: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("a0.png,10,20,30,40,cata1.png,50,20,70,40,dog\na1.png,1,2,30,40,dog")
    assert list(read(images, tmp_path / "b.csv").boxes) == ["a1.png"]


def test_csv_columns_that_no_name_stands_over(images: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("image,xmin,ymin,xmax,ymax,class\na0.png,1,2,30,40,dog,0.9\na1.png,1,2,30,40,dog,0.8\n")
    assert read(images, tmp_path / "b.csv").boxes == dict.fromkeys(["a0.png", "a1.png"], [(1, 2, 30, 40, 0, 0)])


def test_csv_quotes_that_are_not_closed(images: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text('a1.png,1,2,30,40,dog\na0.png,1,2,30,40,"cat\na1.png,1,2,30,40,dog\n')
    found = read(images, tmp_path / "b.csv")
    assert (found.boxes, found.classes) == ({"a1.png": [(1, 2, 30, 40, 0, 0)] * 2}, ["dog"])
    assert "over several lines" in found.only("annotation")[1]


def test_csv_sizes_that_contradict_each_other(images: Path, tmp_path: Path) -> None:
    sizes = ["a0.png,200,100", "a0.png,100,50", "a1.png,,", "a1.png,200,100"]
    lines = "".join(f"{start},dog,1,2,30,40\n" for start in sizes)
    (tmp_path / "b.csv").write_text(f"filename,width,height,class,xmin,ymin,xmax,ymax\n{lines}")
    found = read(images, tmp_path / "b.csv")
    assert found.boxes == {"a0.png": [(1, 2, 30, 40, 0, 0)], "a1.png": [(1, 2, 30, 40, 0, 0)] * 2}
    assert "100x50 pixels here and 200x100 in a line before" in found.only("annotation")[1]


def test_csv_shares_may_be_rounded_beyond_one(images: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("image,x,y,w,h,class\na0.png,0.7,0.1,0.30000001,0.2,dog\na1.png,-0.0000001,0.1,0.5,0.2,dog\n")
    assert read(images, tmp_path / "b.csv").boxes == {"a0.png": [(140, 10, 200, 30, 0, 0)], "a1.png": [(0, 10, 100, 30, 0, 0)]}


def test_csv_columns_that_may_hold_the_same(images: Path, tmp_path: Path) -> None:
    lines = ["image,file name,x min,y min,x max,y max,class,label,label id", "0,a0.png,1,2,30,40,animal,dog,1"]
    (tmp_path / "b.csv").write_text("\n".join([*lines, "1,a1.png,1,2,30,40,animal,nan,2", "1,a1.png,1,2,31,40,animal,cat,2"]))
    found = read(images, tmp_path / "b.csv")
    assert found.classes == ["cat", "dog"]
    assert found.boxes == {"a0.png": [(1, 2, 30, 40, 1, 0)], "a1.png": [(1, 2, 31, 40, 0, 0)]}
    assert found.only("column")[1].startswith("'label' is taken, though 'class'")
    assert "It names no class" in found.only("annotation")[1]


# -- names of classes -----------------------------------------------------------------------------------------------


def test_numbers_that_are_written_in_two_ways(images: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("a0.png,1,2,30,40,1.0\na1.png,1,2,30,40,1\n")
    found = read(images, tmp_path / "b.csv")
    assert found.classes == ["1", "1.0"]
    assert "Map one to the other with 1.0=1." in found.only("class-names")[1]
    assert read(images, tmp_path / "b.csv", custom_classes="1, 1.0=1").classes == ["1"]


@pytest.mark.parametrize("name", ["DontCare", "DONTCARE", "dont_care", "Don't care"])
def test_what_does_not_count_in_any_spelling(images: Path, tmp_path: Path, name: str) -> None:
    numbers = "0.00 0 -1.57 80.00 30.00 120.00 70.00 1 1 1 1 1 1 0.10"
    found = read(images, texts(tmp_path / "labels", {"a0.txt": f"Car {numbers}\n{name} {numbers}", "a1.txt": f"Car {numbers}"}))
    assert found.classes == ["Car"]
    assert found.boxes["a0.png"] == [(*BOX, 0, 0), (*BOX, -1, BOX_IGNORED)]


# -- shares where pixels are expected -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["coco", "voc", "csv"])
def test_shares_are_no_pixels(images: Path, tmp_path: Path, form: str) -> None:
    shares, whole = (0.1, 0.2, 0.5, 0.6), (1, 1, 5, 5)
    if form == "coco":
        labels = coco(tmp_path, TWO, [boxed(0, 0.1, 0.2, 0.4, 0.4), boxed(1, 1, 1, 4, 4)], {5: "c"})
    elif form == "voc":
        labels = texts(tmp_path / "labels", {"a0.xml": voc("c", shares), "a1.xml": voc("c", whole)})  # type: ignore[arg-type]
    else:
        labels = tmp_path / "b.csv"
        labels.write_text("a0.png,0.1,0.2,0.5,0.6,c\na1.png,1,1,5,5,c\n")
    found = read(images, labels)
    assert found.boxes == {"a1.png": [(*whole, 0, 0)]}
    assert "smaller than a pixel" in found.only("box")[1]


# -- VOC ------------------------------------------------------------------------------------------------------------

BOUNDS = "<bndbox><xmin>80</xmin><ymin>30</ymin><xmax>120</xmax><ymax>70</ymax></bndbox>"
OBJECT = f"<object><name>Big\n  dog</name>{BOUNDS}</object>"


@pytest.mark.parametrize(
    "inner", [f"<objects>{OBJECT}</objects>", OBJECT.replace("object", "Object").replace("bndbox", "BndBox"), OBJECT]
)
def test_voc_objects_wherever_they_stand(images: Path, tmp_path: Path, inner: str) -> None:
    two = f"<object><name>car</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>{OBJECT}</object>"
    files: dict[str, str | bytes] = {
        "a0.xml": f"<annotation>{inner}</annotation>",
        "a1.xml": f"<annotation>{two}</annotation>",
    }
    found = read(images, texts(tmp_path / "labels", files), annotation_format="voc")
    assert found.classes == ["Big dog", "car"]
    assert found.boxes == {"a0.png": [(*BOX, 0, 0)], "a1.png": [(1, 1, 9, 9, 1, 0), (*BOX, 0, 0)]}


def test_voc_object_with_several_boxes_is_left_out(images: Path, tmp_path: Path) -> None:
    two = f"<annotation><object><name>c</name>{BOUNDS}{BOUNDS}</object></annotation>"
    found = read(images, texts(tmp_path / "labels", {"a0.xml": two, "a1.xml": voc("c", (1, 1, 5, 5))}))
    assert list(found.boxes) == ["a1.png"]
    assert "it has several" in found.only("annotation")[1]


def test_voc_file_that_names_another_picture(images: Path, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"a{number}.xml": voc("c", (number, 1, 5, 5)).replace("<object>", f"<filename>{name}</filename><object>")
        for number, name in enumerate(["C:\\x\\a1.png", "elsewhere.png"])
    }
    found = read(images, texts(tmp_path / "labels", files))
    assert [rows[0][0] for rows in found.boxes.values()] == [0, 1]  # by the name of the file
    place, reason = found.only("note")
    assert place.endswith("a0.xml")
    assert "It says that it is of a1.png" in reason


# -- COCO and CVAT --------------------------------------------------------------------------------------------------


def test_coco_run_lengths_of_another_size(images: Path, tmp_path: Path) -> None:
    runs = {"size": [WIDTH, HEIGHT], "counts": [10, 5, WIDTH * HEIGHT - 15]}  # width and height changed places
    annotations = [{"image_id": 0, "category_id": 5, "segmentation": runs}, boxed(1, 1, 1, 4, 4)]
    found = read(images, coco(tmp_path, [entry(0, "a0.png", WIDTH, HEIGHT), TWO[1]], annotations, {5: "c"}))
    assert list(found.boxes) == ["a1.png"]
    assert "100x200 pixels, its picture's 200x100" in found.only("annotation")[1]


def test_cvat_lists_a_picture_twice(images: Path, tmp_path: Path) -> None:
    box = '<box label="c" xtl="80" ytl="30" xbr="120" ybr="70"/>'
    image = '<image name="a0.png" width="200" height="100">{}</image>'
    more = box.replace("80", "90")
    (tmp_path / "c.xml").write_text(f"<annotations>{image.format(box)}{image.format(box + more)}</annotations>")
    found = read(images, tmp_path / "c.xml")
    assert found.corners("a0.png") == [BOX, (90, 30, 120, 70)]
    assert "more than once" in found.only("note")[1]


# -- a picture that is mentioned twice ------------------------------------------------------------------------------

Mention = tuple[tuple[int, int] | None, tuple[int, ...]]  # the size that it states, and its box, if any


def mentions(tmp_path: Path, how: str, first: Mention, second: Mention) -> Path:
    """Annotations in which the picture a0.png is mentioned twice."""
    both = (first, second)
    if how == "coco":
        listed = [entry(number, "a0.png", *(size or ())) for number, (size, _) in enumerate(both)]
        corners = [(number, *box) for number, (_, box) in enumerate(both) if box]
        return coco(tmp_path, listed, [boxed(number, x0, y0, x1 - x0, y1 - y0) for number, x0, y0, x1, y1 in corners], {5: "c"})
    if how == "cvat":
        images = []
        for size, box in both:
            stated = f'width="{size[0]}" height="{size[1]}"' if size else ""
            sides = " ".join(f'{name}="{value}"' for name, value in zip(("xtl", "ytl", "xbr", "ybr"), box, strict=False))
            images.append(f'<image name="a0.png" {stated}>' + f'<box label="c" {sides}/>' * bool(box) + "</image>")
        return texts(tmp_path, {"c.xml": f"<annotations>{''.join(images)}</annotations>"}) / "c.xml"
    header = "filename,width,height,xmin,ymin,xmax,ymax,class"
    rows = [",".join(map(str, (*(size or ("", "")), *(box or ("",) * 4)))) for size, box in both]
    return texts(tmp_path / "tables", {f"{place}.csv": f"{header}\na0.png,{row},c\n" for place, row in enumerate(rows)})


@pytest.mark.parametrize("how", ["csv", "cvat", "coco"])
def test_a_picture_of_two_sizes(tmp_path: Path, how: str) -> None:
    images = pictures(tmp_path / "images", "a0.png")
    whole, half = (WIDTH, HEIGHT), (WIDTH // 2, HEIGHT // 2)
    small, large, same = (5, 10, 15, 20), (100, 60, 180, 90), (10, 20, 30, 40)
    found = read(images, mentions(tmp_path, how, (half, small), (whole, large)))
    assert found.corners("a0.png") == [same]  # as half of the picture, which is what its own mention states
    assert "The picture has 200x100 pixels here and 100x50 before: 1 " in found.only("annotation")[1]
    for mentioned in (((whole, small), (None, large)), ((None, small), (whole, large)), ((half, ()), (whole, large))):
        found = read(images, mentions(tmp_path, how, *mentioned))
        assert found.corners("a0.png") == [box for _, box in mentioned if box]
        assert "annotation" not in found.kinds()


# -- pictures that are turned ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("orientation", "size", "stated", "unclear"),
    [
        (3, (200, 100), (200, 100), True),
        (6, (100, 100), (100, 100), True),
        (6, (200, 100), (0, 0), True),
        (6, (200, 100), (100, 200), False),  # for the turned picture
        (1, (200, 100), (0, 0), False),
    ],
)
def test_boxes_that_fit_a_turned_picture_both_ways(
    tmp_path: Path, orientation: int, size: tuple[int, int], stated: tuple[int, int], unclear: bool
) -> None:
    images = pictures(tmp_path / "images", "a0.png", size=size, orientation=orientation)
    found = read(images, texts(tmp_path / "labels", {"a0.xml": voc("c", (1, 2, 30, 40), size=stated)}))
    assert found.boxes == {"a0.png": [(1, 2, 30, 40, 0, 0)]}
    said: list[Any] = [reason for kind, _, reason in found.problems if kind == "label"]
    assert [f"orientation ({orientation})" in reason and "both ways" in reason for reason in said] == [True] * unclear


def test_shares_are_those_of_the_turned_picture(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", "a0.png", size=(100, 200), orientation=6)
    found = read(images, texts(tmp_path / "labels", {"a0.txt": ONE}))
    assert found.corners("a0.png") == [BOX]
    assert not found.problems


def test_class_names_in_composed_and_decomposed_unicode_are_one(images: Path, tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, " café") for form in ("NFC", "NFD")]
    file = coco(tmp_path, TWO, [boxed(0, 1, 2, 3, 4), boxed(1, 1, 2, 3, 4, category=6)], dict(zip((5, 6), names, strict=True)))
    assert read(images, file).classes == ["café"]
    boxes = "".join(f"a{number}.png,1,2,30,40,{name}\n" for number, name in enumerate(names))
    (tmp_path / "b.csv").write_text(boxes, encoding="utf-8")
    assert read(images, tmp_path / "b.csv").classes == ["café"]
    assert read(images, tmp_path / "b.csv", custom_classes=names[1]).classes == ["café"]


def test_boxes_that_stand_twice_are_said(images: Path, tmp_path: Path) -> None:
    found = read(images, coco(tmp_path, TWO, [boxed(0, 1, 2, 3, 4), boxed(0, 1, 2, 3, 4), boxed(1, 1, 2, 3, 4)], {5: "x"}))
    assert [len(boxes) for boxes in found.boxes.values()] == [2, 1]
    assert "1 copy of boxes" in found.only("note")[1]


def test_coco_corners_in_place_of_sizes_are_said(images: Path, tmp_path: Path) -> None:
    sized = [entry(0, "a0.png", WIDTH, HEIGHT), entry(1, "a1.png", WIDTH, HEIGHT)]
    corners = [(80, 50, 190, 90), (120, 60, 150, 80), (100, 51, 199, 99)]
    found = read(images, coco(tmp_path, sized, [boxed(number % 2, *box) for number, box in enumerate(corners)], {5: "x"}))
    assert any("3 of 3 boxes reach beyond their pictures" in reason for _, _, reason in found.problems)
    sizes = [(150, 60, 190, 90), (20, 10, 30, 20), (1, 1, 3, 3)]
    found = read(images, coco(tmp_path, sized, [boxed(number % 2, *box) for number, box in enumerate(sizes)], {5: "x"}))
    assert not any("seem to be left" in reason for _, _, reason in found.problems)


def test_coco_category_without_a_name(images: Path, tmp_path: Path) -> None:
    found = read(images, coco(tmp_path, TWO, [boxed(0, 1, 2, 3, 4), boxed(1, 1, 2, 3, 4)], {5: None}))  # type: ignore[dict-item]
    assert found.classes == ["5"]
    assert "has no name; it is called by its id" in found.only("class-names")[1]


def test_voc_objects_that_are_deleted_or_say_something_odd(images: Path, tmp_path: Path) -> None:
    def item(inner: str, corners: str = "") -> str:
        box = f"<xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax>{corners}"
        return f"<object><name>cat</name>{inner}<bndbox>{box}</bndbox></object>"

    odd = item("<deleted>1</deleted>") + item("<difficult>maybe</difficult>") + item("", "<xmin>9</xmin>")
    whole = item("<difficult>Unspecified</difficult>")
    labels = texts(
        tmp_path / "labels",
        {f"a{number}.xml": f"<annotation>{objects}</annotation>" for number, objects in enumerate((odd, whole))},
    )
    found = read(images, labels)
    assert found.boxes == dict.fromkeys(["a0.png", "a1.png"], [(1, 2, 30, 40, 0, 0)])
    reasons = " ".join(reason for _, _, reason in found.problems)
    assert "Object 2 is difficult 'maybe'" in reasons
    assert "a corner stands twice in it" in reasons
