"""What each format may hold beside the usual, read right or refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from digits.extensions.data.image_object_detection.formats import kitti
from digits.extensions.data.image_object_detection.formats.recognise import format_of
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_IGNORED
from tests.extensions.data.image_object_detection.reading import pictures, read, refused
from tests.extensions.data.image_object_detection.test_cases import BOX, boxed, coco, entry, texts, voc, yolo

NUMBERS = "0.00 0 0.00 10 20 30 40 0 0 0 0 0 0 0.00"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return pictures(tmp_path / "images", "a0.png", "a1.png")


# -- KITTI ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (f"car {NUMBERS}", ["car"]),
        (f"car {NUMBERS} 0.9", ["car"]),
        (f"car {NUMBERS}truck {NUMBERS}", ["car", "truck"]),
        (f"car {NUMBERS} 0.9truck {NUMBERS} 1e-1van {NUMBERS}", ["car", "truck", "van"]),
        (f"car {NUMBERS} traffic light {NUMBERS}", ["car", "traffic light"]),
        (f"car {NUMBERS}traffic light {NUMBERS}", ["car", "traffic light"]),
        (f"person sitting {NUMBERS} 0.9", ["person sitting"]),
        (f"No. 2 sign {NUMBERS}", ["No. 2 sign"]),
        (f"car2 {NUMBERS}", ["car2"]),
        (f"car {NUMBERS}2wheeler {NUMBERS}3d box {NUMBERS}", ["car", "2wheeler", "3d box"]),
        (f"car {NUMBERS[:-4]}02wheeler {NUMBERS}", ["car", "2wheeler"]),
        (f"DontCare -1 -1 -10 10 20 30 40 -1 -1 -1 -1000 -1000 -1000 -10car {NUMBERS}", ["DontCare", "car"]),
        (f"3 {NUMBERS}", ["3"]),
        (f"car 2 {NUMBERS}", []),  # a number of the name, no score
        (f"0 1 car {NUMBERS}", []),  # KITTI's tracking: frame and track first
        (f"car {NUMBERS} 1 2", []),
        (f"car {NUMBERS[:-5]}", []),
        (f"car {NUMBERS} truck 1 2 3", []),
        (f"{NUMBERS} {NUMBERS}", []),
        ("car 0 0 0 a b c d 0 0 0 0 0 0 0", []),
        (f"car {NUMBERS} truck", []),
    ],
)
def test_kitti_records_of_a_line(line: str, names: list[str]) -> None:
    found = kitti.records(line)
    assert [name for name, _ in found] == names
    assert all(numbers[3:7] == [10, 20, 30, 40] for _, numbers in found)


def test_kitti_glued_records_are_read_one_by_one(images: Path, tmp_path: Path) -> None:
    labels = texts(
        tmp_path / "labels", {"a0.txt": f"car {NUMBERS}" * 3, "a1.txt": f"car {NUMBERS}\ncar {NUMBERS[:-5]}pedestrian 1"}
    )
    found = read(images, labels)
    assert [len(rows) for rows in found.boxes.values()] == [3, 1]
    assert found.only("annotation")[0].endswith("a1.txt, line 2")


@pytest.mark.parametrize(
    ("line", "reason"), [("UAV 0 0 1 1 41 50 0 0 0 0 0 0 0", "15 columns"), ("0 50 50 20 40", "shares x y width height")]
)
def test_lines_that_no_format_has_say_what_is_expected(images: Path, tmp_path: Path, line: str, reason: str) -> None:
    labels = texts(tmp_path / "labels", {"a0.txt": line, "a1.txt": line})
    said = refused(images, labels)
    assert "not recognised" in said
    assert f"{labels}/a0.txt: {line!r}" in said
    assert reason in said


def test_pictures_without_a_label_file_are_counted_apart(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", *(f"{number}.png" for number in range(5)))
    labels = texts(tmp_path / "labels", {"0.txt": f"car {NUMBERS}", "1.txt": ""})
    found = read(images, labels)
    assert {name: len(rows) for name, rows in found.boxes.items()} == {"0.png": 1, "1.png": 0}
    assert found.only("no-label-file")[1].startswith("3 of 5 pictures have no label file (.txt); they are left out")
    assert found.only("empty")[0].endswith("1.png")
    labels = texts(tmp_path / "yolo", {"0.txt": "0 0.5 0.5 0.1 0.1", "1.txt": ""})
    found = read(images, labels)
    assert len(found.boxes) == 5
    assert found.only("no-label-file")[1].startswith("3 of 5 pictures have no label file (.txt); they count as pictures without")
    assert found.only("empty")[0].endswith("1.png")


# -- YOLO -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "line", "corners", "reason"),
    [
        ("names: [x]", "0 0.5 0.5 0.2 0.4 0.875", BOX, ""),  # a score
        ("names: [x]", "0 0.5 0.5 0.2 0.4 17", BOX, ""),  # a track
        ("names: [x]", "0 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7", BOX, ""),  # four corners
        ("names: [x]", "0 0.4 0.3 0.6 0.3 0.5 0.7", BOX, ""),
        ("names: [x]", "0 0.4 0.3 0.6 0.3 0.5 0.7 0.1", None, "no box, and no polygon"),
        ("names: [x]", "0 0.5 0.5 0.2 0.4 0.9 17", None, "above 1"),
        ("names: [x]", "-1 0.5 0.5 0.2 0.4", None, "class number"),
        ("names: [x]", "0 0.5 0.5 0.2 1_0", None, "class number"),
        ("names: [x]\nkpt_shape: [2, 3]", "0 0.5 0.5 0.2 0.4 0.5 0.5 2 0 0 0", BOX, ""),
        ("names: [x]\nkpt_shape: [2, 3]", "0 0.5 0.5 0.2 0.4", BOX, ""),
        ("names: [x]\nkpt_shape: [2, 3]", "0 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7", None, "it has 5 or 11"),
        ("", "0 0.5 0.5 0.2 0.4 0.45 0.4 0.5 0.5 0.55 0.6", None, "kpt_shape"),  # nothing tells: refused
        ("", "0 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7 0.1 0.5", (20, 30, 120, 70), ""),  # a point outside of the box: a polygon
    ],
)
def test_yolo_lines(images: Path, tmp_path: Path, description: str, line: str, corners: Any, reason: str) -> None:
    labels = texts(tmp_path / "labels", {"a0.txt": line, "a1.txt": "0 0.5 0.5 0.2 0.4"})
    if description:
        texts(tmp_path, {"my set.yaml": description})
    found = read(images, labels, annotation_format="yolo")
    assert found.corners("a1.png") == [BOX]
    assert found.boxes.get("a0.png") == ([(*corners, 0, 0)] if corners else None)
    if reason:
        assert any(reason in text and place.endswith("a0.txt, line 1") for _, place, text in found.problems)


def test_yolo_names_of_any_yaml_near_by(images: Path, tmp_path: Path) -> None:
    labels = texts(tmp_path / "labels", {"a0.txt": "1 0.5 0.5 0.2 0.4", "a1.txt": "0 0.5 0.5 0.2 0.4"})
    texts(
        tmp_path,
        {"blood.yaml": "train: images\nnames: {0: cell, 1: plate}\n", "hyp.yaml": "lr0: 0.01\n", "._x.yaml": "names: [q]"},
    )
    assert read(images, labels).classes == ["cell", "plate"]
    texts(tmp_path, {"other.yaml": "names: [plate, cell]\n"})
    found = read(images, labels)
    assert found.classes == ["0", "1"]
    assert "blood.yaml" in found.only("class-names")[1]
    assert "other.yaml" in found.only("class-names")[1]


@pytest.mark.parametrize(
    ("yaml", "classes", "said"),
    [
        ("train: [images/a, images/b]\nval: val.txt\nnc: 3\n", ["0", "1", "2"], "says how many classes there are, 3"),
        ("nc: 3\nnames: [cat, dog]", ["cat", "dog"], "says nc: 3, and names 2 classes"),
        ("names: [cat, dog, cat]", ["cat", "dog"], "calls the classes 0 and 2 'cat'"),
        ("names: cat", ["0"], "has no class names"),
        ("names:\n\t- cat", ["0"], "is no YAML"),
    ],
)
def test_yolo_number_of_classes_alone(images: Path, tmp_path: Path, yaml: str, classes: list[str], said: str) -> None:
    found = read(images, yolo(tmp_path, yaml, a0="0 0.5 0.5 0.2 0.4", a1=""))
    assert (found.classes, found.corners("a0.png")) == (classes, [BOX])
    assert said in found.only("class-names")[1]


def test_yolo_files_of_names_that_differ(images: Path, tmp_path: Path) -> None:
    labels = yolo(tmp_path, "names: [cat, dog]", a0="0 0.5 0.5 0.2 0.4", a1="1e300 0.5 0.5 0.2 0.4\n1 0.5 0.5 0.2 0.4")
    texts(labels, {"classes.txt": "dog\ncat\n"})
    found = read(images, labels)
    assert found.classes == ["dog", "cat"]
    assert "name different classes: the first counts" in found.only("class-names")[1]
    assert "There is no class 1000" in found.only("annotation")[1]


# -- COCO -----------------------------------------------------------------------------------------------------------


def test_coco_boxes_of_shapes(images: Path, tmp_path: Path) -> None:
    runs = {"size": [100, 200], "counts": [100 * 30 + 10, 20, 80, 20, 100 * 200 - 3130]}
    shapes: list[dict[str, Any]] = [
        {"segmentation": [[1, 1, 2, 2], [10, 10, 30, 12, 20, 40]]},
        {"segmentation": runs, "iscrowd": 1},
        {"bbox": [1, 2, 3, 4], "ignore": 1, "keypoints": [1, 2, 2], "num_keypoints": 1},
        {"bbox": [1, 2, "3", 4]},
        {"bbox": "1234"},
        {"bbox": [1, 2, None, 4]},
        {"segmentation": []},
    ]
    boxes = [{"image_id": 0, "category_id": 5, **shape} for shape in shapes]
    found = read(images, coco(tmp_path, [entry(0, "a0.png")], boxes, {5: "x"}))
    assert found.boxes["a0.png"] == [
        (10, 10, 30, 40, 0, 0),
        (30, 10, 32, 30, 0, BOX_CROWD),
        (1, 2, 4, 6, -1, BOX_IGNORED),
        (1, 2, 4, 6, 0, 0),
    ]
    assert found.kinds().count("annotation") == 3


def test_other_json_of_coco_is_refused_with_its_kind(images: Path, tmp_path: Path) -> None:
    file = coco(tmp_path, [entry(0, "a0.png")], [], {1: "x"})
    content = json.loads(file.read_text())
    panoptic = {
        **content,
        "annotations": [{"image_id": 0, "file_name": "a0.png", "segments_info": [{"id": 9, "category_id": 1}]}],
    }
    captions = {"images": content["images"], "annotations": [{"id": 1, "image_id": 0, "caption": "A cat."}]}
    results = [{"image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]
    for other, kind in ((panoptic, "panoptic"), (captions, "captions"), (results, "results")):
        file.write_text(json.dumps(other))
        assert kind in refused(images, file)
        assert kind in refused(images, file, annotation_format="coco")
        assert format_of(str(file))[0] == ""


def test_coco_of_a_folder_is_the_file_with_most_pictures(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "annotations"
    folder.mkdir()
    one = coco(tmp_path, [entry(0, "a0.png")], [boxed(0, 1, 1, 5, 5)], {5: "x"})
    one.rename(folder / "instances_a.json")
    two = coco(tmp_path, [entry(0, "a0.png"), entry(1, "a1.png")], [boxed(1, 10, 10, 20, 20)], {5: "x"})
    two.rename(folder / "instances_b.json")
    (folder / "notes.json").write_text("{}")
    assert read(images, folder).boxes == {"a0.png": [], "a1.png": [(10, 10, 30, 30, 0, 0)]}


def test_classes_that_ids_tell_apart(images: Path, tmp_path: Path) -> None:
    boxes = [boxed(0, 1, 1, 5, 5, category=1), boxed(1, 1, 1, 5, 5, category=2)]
    file = coco(tmp_path, [entry(0, "a0.png"), entry(1, "a1.png")], boxes, {1: "Pt", 2: "PT"})
    found = read(images, file)
    assert found.classes == ["Pt", "PT"]
    assert [rows[0][4] for rows in found.boxes.values()] == [0, 1]
    labels = texts(tmp_path / "labels", {"a0.xml": voc("Pt", (1, 1, 5, 5)), "a1.xml": voc("PT", (1, 1, 5, 5))})
    found = read(images, labels)
    assert found.classes == ["PT"]  # names are all that there is: one class, which is said
    assert "'Pt' (1 box)" in found.only("class-names")[1]
    found = read(images, labels, custom_classes="Pt, PT")
    assert [rows[0][4] for rows in found.boxes.values()] == [0, 1]


# -- VOC ------------------------------------------------------------------------------------------------------------


def test_voc_objects_have_parts_polygons_and_turned_boxes(images: Path, tmp_path: Path) -> None:
    def box(tag: str, **values: Any) -> str:
        return f"<{tag}>{''.join(f'<{name}>{value}</{name}>' for name, value in values.items())}</{tag}>"

    own = box("bndbox", ymax=70.0, xmin=80.0, ymin="3.0e1", xmax=120.4)
    part = f"<part><name>head</name>{box('bndbox', xmin=1, ymin=1, xmax=2, ymax=2)}</part>"
    polygon = "<polygon><x1>1</x1><y1>2</y1></polygon>"
    turned = box("robndbox", cx=100, cy=50, w=40, h=20, angle=1.5707963267948966)
    objects = [
        f"{part}<name>cat</name>{polygon}<difficult>True</difficult>{own}",
        f"<name>cat</name>{turned}",
        f"<name>cat</name>{part}",
    ]
    text = "<annotation>" + "".join(f"<object>{item}</object>" for item in objects) + "</annotation>"
    labels = texts(tmp_path / "labels", {"a0.xml": text, "a1.xml": voc("cat", (1, 1, 5, 5), size=(0, 0))})
    found = read(images, labels)
    assert found.boxes["a0.png"] == [(80, 30, 120.4, 70, 0, BOX_DIFFICULT), (90, 30, 110, 70, 0, 0)]
    assert found.boxes["a1.png"] == [(1, 1, 5, 5, 0, 0)]
    assert "Object 3 has no usable <bndbox>" in found.only("annotation")[1]


# -- labelme --------------------------------------------------------------------------------------------------------


def labelme(name: str, *shapes: tuple[str, str, Any, Any], size: tuple[int, int] = (200, 100)) -> str:
    listed = [{"label": label, "shape_type": kind, "points": points, "group_id": group} for label, kind, points, group in shapes]
    return json.dumps({"version": "5.0.1", "shapes": listed, "imagePath": name, "imageWidth": size[0], "imageHeight": size[1]})


def test_labelme(images: Path, tmp_path: Path) -> None:
    labels = texts(
        tmp_path / "labels",
        {
            "a0.json": labelme(
                "..\\images\\a0.png",
                ("cat", "rectangle", [[120, 70], [80, 30]], None),
                ("cat", "polygon", [[10, 10], [30, 10], [20, 40]], 1),
                ("cat", "polygon", [[50, 20], [60, 20], [55, 50]], 1),
                ("dog", "circle", [[50, 50], [53, 54]], None),
                ("dog", "point", [[1, 1]], None),
                ("dog", "rectangle", [[1, "x"], [2, 2]], None),
            ),
            "x.json": labelme("a1.png", ("dog", "rectangle", [[1, 1], [5, 5]], None), size=(100, 50)),
            "y.json": labelme("nowhere.png", ("dog", "rectangle", [[1, 1], [5, 5]], None)),
        },
    )
    found = read(images, labels)
    assert found.boxes == {
        "a0.png": [(80, 30, 120, 70, 0, 0), (10, 10, 60, 50, 0, 0), (45, 45, 55, 55, 1, 0)],
        "a1.png": [(2, 2, 10, 10, 1, 0)],
    }
    assert [Path(place).name for kind, place, _ in found.problems if kind == "annotation"] == ["a0.json", "a0.json", "y.json"]


def test_labelme_of_two_names_is_left_out(images: Path, tmp_path: Path) -> None:
    shape = ("dog", "rectangle", [[1, 1], [5, 5]], None)
    labels = texts(tmp_path / "labels", {"a0.json": labelme("a1.png", shape), "a1.json": labelme("a1.png", shape)})
    found = read(images, labels)
    assert list(found.boxes) == ["a1.png"]
    assert "a0.png is called alike" in found.only("annotation")[1]


# -- CSV ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "filename,width,height,class,xmin,ymin,xmax,ymax\na0.png,200,100,c,80,30,120,70\na1.png,100,50,c,40,15,60,35\n",
        ",image_path,x,y,w,h,label\n0,a0.png,80,30,40,40,c\n1,a1.png,80,30,40,40,c\n",
        "Image ID;X Min;Y Min;X Max;Y Max;Class Name\na0;80;30;120;70;c\na1;80;30;120;70;c\n",
        "a0.png,80,30,120,70,c\nimages/a1.png,80,30,120,70,c\n",
        'image,xmin,ymin,xmax,ymax,class,note\na0.png,80,30,120,70,c,"x; y, z"\na1.png,80,30,120,70,c,\n',
        '"image","left","top","right","bottom","class","a;b;c;d;e;f;g;h"\na0,80,30,120,70,c,\na1,80,30,120,70,c,\n',
        "image,xmin,ymin,xmax,ymax,class\na0.png,0.4,0.3,0.6,0.7,c\na1.png,0.4,0.3,0.6,0.7,c\n",
    ],
)
def test_csv_headers(images: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "b.csv"
    file.write_text(text)
    found = read(images, file)
    assert found.boxes == {"a0.png": [(*BOX, 0, 0)], "a1.png": [(*BOX, 0, 0)]}


def test_csv_of_openimages(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    head = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
    rows = "a0,xclick,/m/01,1,0.4,0.6,0.3,0.7,0,0,1,0,0\na1,xclick,/m/02,1,0,1,0,1,0,0,0,0,0\n"
    folder.mkdir()
    texts(folder, {"boxes.csv": head + rows, "class-descriptions-boxable.csv": "/m/01,Cat\n/m/02,Dog\n"})
    for labels in (folder, folder / "boxes.csv"):
        found = read(images, labels)
        assert found.classes == ["Cat", "Dog"]
        assert found.boxes == {"a0.png": [(*BOX, 0, BOX_CROWD)], "a1.png": [(0, 0, 200, 100, 1, 0)]}


def test_csv_lines_that_say_nothing_clear(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "b.csv"
    lines = ["a0.png,1,1,11,11,c,maybe", "zz.png,1,1,11,11,c,0", "zz.png,2,2,11,11,c,0", "a1.png,1,1,11,11,c,0", ",1,1,2,2,c,0"]
    file.write_text("image,xmin,ymin,xmax,ymax,class,difficult\n" + "\n".join(lines))
    found = read(images, file)
    assert found.boxes == {"a1.png": [(1, 1, 11, 11, 0, 0)]}
    reasons = [f"{place.rpartition(', ')[2]}: {reason}" for kind, place, reason in found.problems if kind == "annotation"]
    assert any(text.startswith("line 2") and "expected yes or no" in text for text in reasons)
    assert any(text.startswith("line 3") and "So are 1 more lines of it" in text for text in reasons)
    assert any(text.startswith("line 6") and "names no picture" in text for text in reasons)


# -- what belongs to no picture of this size ------------------------------------------------------------------------


def test_boxes_that_are_all_outside_leave_no_background(images: Path, tmp_path: Path) -> None:
    labels = texts(tmp_path / "labels", {"a0.xml": voc("c", (300, 10, 320, 20)), "a1.xml": voc("c", (1, 1, 5, 5))})
    found = read(images, labels)
    assert list(found.boxes) == ["a1.png"]
    assert "All of its 1 box lies outside the picture" in found.skipped["a0.png"]


@pytest.mark.parametrize(
    ("size", "box", "corners", "words"),
    [
        ((100, 50), (10, 10, 20, 20), (20, 20, 40, 40), "scaled"),
        ((100, 50), (10, 10, 150, 20), (10, 10, 150, 20), "reach beyond"),  # the stated size cannot be true
        ((300, 100), (10, 10, 20, 20), (10, 10, 20, 20), "another shape"),
        ((300, 100), (210, 10, 220, 20), None, "another shape"),  # of another picture
        ((100, 200), (10, 10, 20, 20), (10, 10, 20, 20), "another shape"),  # no EXIF turns it
        ((0, 0), (10, 10, 20, 20), (10, 10, 20, 20), ""),
    ],
)
def test_stated_sizes(images: Path, tmp_path: Path, size: tuple[int, int], box: Any, corners: Any, words: str) -> None:
    labels = texts(tmp_path / "labels", {"a0.xml": voc("c", box, size=size), "a1.xml": voc("c", (1, 1, 5, 5))})
    found = read(images, labels)
    assert found.boxes.get("a0.png") == ([(*corners, 0, 0)] if corners else None)
    said = found.skipped.get("a0.png") or " ".join(reason for kind, _, reason in found.problems if kind == "stated-size")
    assert words in said
    assert bool(said) == bool(words)


def test_yolo_without_description_of_the_set_names_classes_by_number(images: Path, tmp_path: Path) -> None:
    labels = texts(tmp_path / "labels", {"a0.txt": "10 0.5 0.5 0.2 0.4", "a1.txt": "2 0.5 0.5 0.2 0.4"})
    assert read(images, labels).classes == ["2", "10"]
    assert read(images, yolo(tmp_path, "names: {2: two, 10: ten}")).classes == ["two", "ten"]
