"""Sets as people have them that were once read wrongly, one test each: what is in the files is what is in the records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from digits.storage.records.reader import BOX_DIFFICULT
from tests.extensions.data.image_object_detection.reading import HEIGHT, WIDTH, pictures, read

BOX = (80, 30, 120, 70)  # 0.5 0.5 0.2 0.4 of the pictures


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return pictures(tmp_path / "images", "a0.png", "a1.png")


def texts(folder: Path, files: dict[str, str | bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def coco(
    tmp_path: Path, pictures: list[dict[str, Any]], boxes: list[dict[str, Any]], names: dict[Any, str], mark: str = ""
) -> Path:
    path = tmp_path / "c.json"
    content = {
        "images": pictures,
        "annotations": [{"id": number, **box} for number, box in enumerate(boxes, start=1)],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
    }
    path.write_text(mark + json.dumps(content))
    return path


def entry(number: Any, name: str, *size: int) -> dict[str, Any]:
    return {"id": number, "file_name": name, **dict(zip(("width", "height"), size, strict=False))}


def boxed(picture: Any, *box: float, category: Any = 5) -> dict[str, Any]:
    return {"image_id": picture, "category_id": category, "bbox": list(box)}


TWO = [entry(0, "a0.png"), entry(1, "a1.png")]


def test_appledouble_labels(images: Path, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"._a{number:03d}.txt": b"\x00\x05\x16\x07Mac OS X" for number in range(210)}
    labels = texts(tmp_path / "labels", {**files, "a0.txt": "0 0.5 0.5 0.2 0.4\n", "a1.txt": "0 0.5 0.5 0.2 0.4\n"})
    found = read(images, labels)
    assert found.boxes == {"a0.png": [(*BOX, 0, 0)], "a1.png": [(*BOX, 0, 0)]}
    assert not found.problems


def test_coco_bom(images: Path, tmp_path: Path) -> None:
    file = coco(tmp_path, TWO, [boxed(0, 10, 10, 20, 20), boxed(1, 30, 30, 20, 20)], {5: "x"}, mark="\ufeff")
    assert read(images, file).boxes == {"a0.png": [(10, 10, 30, 30, 0, 0)], "a1.png": [(30, 30, 50, 50, 0, 0)]}


@pytest.mark.parametrize("odd", [[0], {"a": 1}, None, float("nan"), "zero", True])
def test_coco_image_id_list(images: Path, tmp_path: Path, odd: Any) -> None:
    file = coco(tmp_path, TWO, [boxed(odd, 10, 10, 20, 20), boxed(1, 30, 30, 20, 20)], {5: "x"})
    found = read(images, file)
    assert found.boxes["a1.png"] == [(30, 30, 50, 50, 0, 0)]
    assert "The annotation 1 belongs to image_id" in found.problems[0][2]
    assert not found.boxes.get("a0.png")


def test_coco_image_id_list_of_a_picture_leaves_it_out(images: Path, tmp_path: Path) -> None:
    found = read(images, coco(tmp_path, TWO, [boxed([0], 1, 1, 2, 2), boxed(1, 30, 30, 20, 20)], {5: "x"}))
    assert list(found.boxes) == ["a1.png"]  # it has an object, so it is no background


@pytest.mark.parametrize("odd", [[5], {}, None, "five"])
def test_coco_categories_that_are_none(images: Path, tmp_path: Path, odd: Any) -> None:
    file = coco(tmp_path, TWO, [boxed(0, 10, 10, 20, 20, category=odd), boxed(1, 30, 30, 20, 20)], {5: "x"})
    found = read(images, file)
    assert found.boxes == {"a1.png": [(30, 30, 50, 50, 0, 0)]}
    assert ["category_id" in reason or "no background" in reason for _, _, reason in found.problems] == [True, True]


def test_coco_one_file_two_ids(images: Path, tmp_path: Path) -> None:
    listed = [entry(0, "a0.png"), entry(7, "a0.png"), entry(1, "a1.png")]
    boxes = [boxed(0, 10, 10, 20, 20), boxed(7, 50, 50, 20, 20), boxed(7, 10, 10, 20, 20), boxed(1, 1, 1, 5, 5)]
    found = read(images, coco(tmp_path, listed, boxes, {5: "x"}))
    assert found.boxes["a0.png"] == [(10, 10, 30, 30, 0, 0), (50, 50, 70, 70, 0, 0)]
    assert found.boxes["a1.png"] == [(1, 1, 6, 6, 0, 0)]
    assert "ids 0, 7" in found.only("note")[1]


def test_coco_one_id_two_files(images: Path, tmp_path: Path) -> None:
    listed = [entry(0, "a0.png"), entry(0, "a1.png"), entry(2, "a1.png")]
    found = read(images, coco(tmp_path, listed, [boxed(0, 10, 10, 20, 20), boxed(2, 1, 1, 5, 5)], {5: "x"}))
    assert found.boxes == {"a1.png": [(1, 1, 6, 6, 0, 0)]}
    assert any("stands for a0.png and a1.png: both" in reason for _, _, reason in found.problems)


def test_coco_other_folder(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", "left/1.png", "left/2.png")
    listed = [entry(0, "left/1.png"), entry(1, "right/1.png"), entry(2, "left/2.png")]
    boxes = [boxed(0, 10, 10, 20, 20), boxed(1, 130, 30, 20, 20, category=6), boxed(2, 1, 1, 5, 5)]
    found = read(images, coco(tmp_path, listed, boxes, {5: "x", 6: "y"}))
    assert found.boxes == {"left/1.png": [(10, 10, 30, 30, 0, 0)], "left/2.png": [(1, 1, 6, 6, 0, 0)]}
    assert found.only("pair")[0] == "right/1.png"


def test_coco_seg_double_category(images: Path, tmp_path: Path) -> None:
    boxes = [boxed(0, 1, 1, 5, 5, category=1), boxed(1, 1, 1, 5, 5, category=2)]
    found = read(images, coco(tmp_path, TWO, boxes, {1: "x", 2: "x", 3: "background"}))
    assert found.classes == ["x", "background"]
    assert [rows[0][4] for rows in found.boxes.values()] == [0, 0]
    assert "1 and 2 are all called 'x'" in found.only("class-names")[1]


def test_coco_string_ids(images: Path, tmp_path: Path) -> None:
    listed = [entry("0000", "a0.png"), entry("0001", "a1.png")]
    boxes = [boxed("0000", 10, 10, 20, 20, category="5"), boxed("0001", 30, 30, 20, 20)]
    found = read(images, coco(tmp_path, listed, boxes, {5: "x"}))
    assert found.boxes == {"a0.png": [(10, 10, 30, 30, 0, 0)], "a1.png": [(30, 30, 50, 50, 0, 0)]}
    assert not found.problems


def test_coco_size_contradicts(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", "a0.jpg", size=(200, 100), orientation=6)
    pictures(images, "a1.jpg", size=(100, 200))
    listed = [entry(0, "a0.jpg", 200, 100), entry(1, "a1.jpg", 50, 100)]
    found = read(images, coco(tmp_path, listed, [boxed(0, 10, 10, 40, 20), boxed(1, 5, 5, 10, 10)], {5: "x"}))
    assert found.corners("a0.jpg") == [(70, 10, 90, 50)]  # turned by a quarter, clockwise
    assert found.corners("a1.jpg") == [(10, 10, 30, 30)]  # twice as large
    reasons = [reason for kind, _, reason in found.problems if kind == "stated-size"]
    assert ["200x100" in reasons[0], "100x200" in reasons[0], "50x100" in reasons[1], "100x200" in reasons[1]] == [True] * 4


def test_csv_decimal_comma_boxes(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    for text in (
        "image;xmin;ymin;xmax;ymax;class\na0.png;1,5;1;11;11;c\na1.png;1;1;11;11;c\n",
        "image\txmin\tymin\txmax\tymax\tclass\na0.png\t1,5\t1\t11\t11\tc\na1.png\t1\t1\t11\t11\tc\n",
        'image,xmin,ymin,xmax,ymax,class\na0.png,1.5,1,11,11,c\n"a1.png",1,1,11,11,"c"\n',
    ):
        file.write_text(text)
        assert read(images, file).boxes == {"a0.png": [(1.5, 1, 11, 11, 0, 0)], "a1.png": [(1, 1, 11, 11, 0, 0)]}


def test_csv_corners_that_may_have_marks_between_thousands(images: Path, tmp_path: Path) -> None:
    pictures(images, "a0.png", size=(1300, 60))
    file = tmp_path / "b.csv"
    head = "image;xmin;ymin;xmax;ymax;class"
    file.write_text(f"{head}\na0.png;1.000;1;1.234,5;11;c\na0.png;2;1;1.200;11;c\na1.png;1;1;11;11;c\n")
    found = read(images, file)
    assert found.boxes == {"a0.png": [(1000, 1, 1234.5, 11, 0, 0), (2, 1, 1200, 11, 0, 0)], "a1.png": [(1, 1, 11, 11, 0, 0)]}
    assert "In a corner '1.000' is read as 1000: '1.234,5' shows that '.' divides thousands" in found.only("column")[1]
    file.write_text(f"{head}\na0.png;1;1;12,500;11;c\na1.png;1;1;11;11;c\n")
    found = read(images, file)
    assert found.boxes == {"a0.png": [(1, 1, 12.5, 11, 0, 0)], "a1.png": [(1, 1, 11, 11, 0, 0)]}
    assert "In a corner '12,500' is read as 12.5." in found.only("column")[1]


@pytest.mark.parametrize("yes", ["TRUE", "1.0", "yes", "1", "True", "Y"])
def test_csv_difficult_true(images: Path, tmp_path: Path, yes: str) -> None:
    file = tmp_path / "b.csv"
    file.write_text(f"image,xmin,ymin,xmax,ymax,class,difficult\na0.png,1,1,11,11,c,{yes}\na1.png,1,1,11,11,c,0.0\n")
    assert read(images, file).boxes == {"a0.png": [(1, 1, 11, 11, 0, BOX_DIFFICULT)], "a1.png": [(1, 1, 11, 11, 0, 0)]}


def test_kitti_14_columns(images: Path, tmp_path: Path) -> None:
    labels = texts(
        tmp_path / "labels",
        {"a0.txt": "UAV 0 0 1 1 41 50 0 0 0 0 0 0 0", "a1.txt": "UAV 0.00 0 0.00 30 20 90 60 0 0 0 0 0 0 0 0.99"},
    )
    found = read(images, labels)
    assert found.boxes == {"a1.png": [(30, 20, 90, 60, 0, 0)]}
    (_, place, reason), (_, picture, left_out) = found.problems
    assert (place, picture) == (f"{labels}/a0.txt, line 1", str(images / "a0.png"))
    assert "15 columns" in reason
    assert "no background" in left_out


def test_kitti_class_with_space(images: Path, tmp_path: Path) -> None:
    labels = texts(
        tmp_path / "labels",
        {
            "a0.txt": "traffic light 0.00 0 0.00 100 20 150 60 0 0 0 0 0 0 0\nCar 0.00 0 0.00 10 10 50 50 0 0 0 0 0 0 0\n",
            "a1.txt": "traffic light 0.00 0 0.00 30 20 90 60 0 0 0 0 0 0 0\n",
        },
    )
    found = read(images, labels)
    assert found.classes == ["Car", "traffic light"]
    assert found.boxes == {
        "a0.png": [(100, 20, 150, 60, 1, 0), (10, 10, 50, 50, 0, 0)],
        "a1.png": [(30, 20, 90, 60, 1, 0)],
    }


def test_labelstudio_yolo(images: Path, tmp_path: Path) -> None:
    texts(tmp_path / "labels", {"a0.txt": "1 0.5 0.5 0.2 0.4\n", "a1.txt": "0 0.5 0.5 0.2 0.4\n"})
    texts(tmp_path, {"classes.txt": "cat\ndog\n", "notes.json": '{"categories":[{"id":0,"name":"cat"}],"info":{}}'})
    for labels in (tmp_path / "labels", tmp_path):
        found = read(images, labels)
        assert found.classes == ["cat", "dog"]
        assert found.boxes == {"a0.png": [(*BOX, 1, 0)], "a1.png": [(*BOX, 0, 0)]}


def voc(name: str, box: tuple[int, ...], encoding: str = "", size: tuple[int, int] = (WIDTH, HEIGHT)) -> str:
    corners = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    first = f'<?xml version="1.0" encoding="{encoding}"?>\n' if encoding else ""
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"{first}<annotation>{stated}<object><name>{name}</name><bndbox>{corners}</bndbox></object></annotation>"


def test_voc_gb2312(images: Path, tmp_path: Path) -> None:
    labels = texts(
        tmp_path / "labels",
        {"a0.xml": voc("猫", (10, 10, 50, 50), "gb2312").encode("gb2312"), "a1.xml": voc("cat", (1, 1, 11, 11))},
    )
    found = read(images, labels)
    assert found.classes == ["cat", "猫"]
    assert found.boxes == {"a0.png": [(10, 10, 50, 50, 1, 0)], "a1.png": [(1, 1, 11, 11, 0, 0)]}


def test_voc_unknown_encoding(images: Path, tmp_path: Path) -> None:
    labels = texts(tmp_path / "labels", {"a0.xml": voc("cat", (10, 10, 50, 50), "foo-8"), "a1.xml": voc("cat", (1, 1, 11, 11))})
    found = read(images, labels)
    assert found.boxes == {"a1.png": [(1, 1, 11, 11, 0, 0)]}
    assert found.only("annotation")[0] == f"{labels}/a0.xml"
    assert "foo-8" in found.only("annotation")[1]


def yolo(tmp_path: Path, description: str | bytes, **labels: str) -> Path:
    texts(tmp_path, {"data.yaml": description})
    return texts(tmp_path / "labels", {f"{name}.txt": text for name, text in labels.items()})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_yolo_bom(images: Path, tmp_path: Path, encoding: str) -> None:
    labels = yolo(tmp_path, "names: [cat, dog]\n".encode(encoding))
    texts(labels, {"a0.txt": "1 0.5 0.5 0.2 0.4\n0 0.25 0.5 0.1 0.2\n".encode(encoding), "a1.txt": ""})
    found = read(images, labels)
    assert found.boxes == {"a0.png": [(*BOX, 1, 0), (40, 40, 60, 60, 0, 0)], "a1.png": []}


def test_yolo_remarks_among_the_names(images: Path, tmp_path: Path) -> None:
    labels = texts(tmp_path / "labels", {"a0.txt": "1 0.5 0.5 0.2 0.4\n", "a1.txt": "", "classes.txt": "# mine\ncat\n#tag\n"})
    found = read(images, labels)
    assert (found.classes, found.boxes["a0.png"]) == (["cat", "#tag"], [(*BOX, 1, 0)])


def test_yolo_class_as_float(images: Path, tmp_path: Path) -> None:
    labels = yolo(
        tmp_path,
        "names: [cat, dog]\n",
        a0="1.000000000000000000e+00 5.0e-01 5.0e-01 2.0e-01 4.0e-01\n0.5 0.5 0.5 0.2 0.4\n",
        a1="1.0 0.25 0.5 0.1 0.2\n",
    )
    found = read(images, labels)
    assert found.boxes == {"a0.png": [(*BOX, 1, 0)], "a1.png": [(40, 40, 60, 60, 1, 0)]}
    assert found.only("annotation")[0].endswith("a0.txt, line 2")


def test_yolo_classes_a_a(images: Path, tmp_path: Path) -> None:
    labels = yolo(tmp_path, "names: ['a','A','b']\n", a0="0 0.5 0.5 0.2 0.4\n1 0.5 0.5 0.2 0.4\n", a1="2 0.5 0.5 0.2 0.4\n")
    found = read(images, labels)
    assert found.classes == ["a", "A", "b"]
    assert [[row[4] for row in rows] for rows in found.boxes.values()] == [[0, 1], [2]]
    found = read(images, labels, custom_classes="b, A")  # `a` is another class
    assert [[row[4] for row in rows] for rows in found.boxes.values()] == [[-1, 1], [0]]


def test_yolo_pose_2d(images: Path, tmp_path: Path) -> None:
    labels = yolo(
        tmp_path,
        "kpt_shape: [3, 2]\nnames:\n  0: tiger\n",
        a0="0 0.5 0.5 0.2 0.4 0.45 0.4 0.5 0.5 0.55 0.6\n",
        a1="0 0.25 0.5 0.1 0.2 0.22 0.45 0.25 0.5 0.27 0.55\n0 0.25 0.5 0.1 0.2 0.22 0.45\n",
    )
    found = read(images, labels)
    assert found.boxes == {"a0.png": [(*BOX, 0, 0)], "a1.png": [(40, 40, 60, 60, 0, 0)]}
    assert "kpt_shape [3, 2] it has 5 or 11" in found.only("annotation")[1]
