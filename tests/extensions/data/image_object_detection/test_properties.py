"""Random sets in every format: what our reader gives is what was written, and what the reference library of the format reads."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from torchvision.datasets import Kitti, VOCDetection

from digits.errors import DigitsError
from tests.extensions.data.image_object_detection.reading import HEIGHT, WIDTH, pictures, read

NAMES = ("a b.png", "x/1.2.png", "y/1.2.png", "ü.png")
CLASSES = ("cat", "Traffic light", "dog_2", "猫")
ACROSS, DOWN = st.integers(8, WIDTH * 4), st.integers(8, HEIGHT * 4)  # quarters of a pixel; all below 1 would be shares
Box = tuple[str, float, float, float, float]
Set = dict[str, list[Box]]
Writer = Callable[[Path, Set], Path]
checked = settings(derandomize=True, deadline=None, max_examples=25)


def _box(name: str, across: list[int], down: list[int]) -> Box:
    (x0, x1), (y0, y1) = sorted(across), sorted(down)
    return name, x0 / 4, y0 / 4, x1 / 4, y1 / 4


BOXES = st.builds(
    _box,
    st.sampled_from(CLASSES),
    st.lists(ACROSS, min_size=2, max_size=2, unique=True),
    st.lists(DOWN, min_size=2, max_size=2, unique=True),
)
SETS = st.fixed_dictionaries({name: st.lists(BOXES, max_size=4) for name in NAMES}).filter(lambda found: any(found.values()))


def _file(folder: Path, name: str, ending: str, text: str) -> None:
    path = (folder / name).with_suffix(ending) if ending else folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def kitti(place: Path, boxes: Set) -> Path:
    for name, rows in boxes.items():
        lines = [f"{c} 0.50 0 -1.57 {a} {b} {x} {y} 1.5 1.6 3.2 -0.7 1.7 25.0 -1.59" for c, a, b, x, y in rows]
        _file(place / "labels", name, ".txt", "".join(lines) if len(name) % 2 else "\n".join(lines))  # glued, or as it should be
    return place / "labels"


def voc(place: Path, boxes: Set) -> Path:
    for name, rows in boxes.items():
        root = ElementTree.Element("annotation")
        size = ElementTree.SubElement(root, "size")
        for tag, value in (("width", WIDTH), ("height", HEIGHT)):
            ElementTree.SubElement(size, tag).text = str(value)
        for c, *corners in rows:
            item = ElementTree.SubElement(root, "object")
            ElementTree.SubElement(item, "name").text = c
            frame = ElementTree.SubElement(item, "bndbox")
            for tag, corner in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
                ElementTree.SubElement(frame, tag).text = str(corner)
        _file(place / "labels", name, ".xml", ElementTree.tostring(root, encoding="unicode"))
    return place / "labels"


def coco(place: Path, boxes: Set) -> Path:
    images = [{"id": 7 * i, "file_name": name, "width": WIDTH, "height": HEIGHT} for i, name in enumerate(boxes)]
    rows = [(7 * i, *row) for i, found in enumerate(boxes.values()) for row in found]
    annotations = [
        {"id": n, "image_id": i, "category_id": CLASSES.index(c) * 3, "bbox": [a, b, x - a, y - b], "iscrowd": 0, "area": 1.0}
        for n, (i, c, a, b, x, y) in enumerate(rows, start=1)
    ]
    categories = [{"id": number * 3, "name": name} for number, name in enumerate(CLASSES)]
    _file(place, "c.json", "", json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return place / "c.json"


def yolo(place: Path, boxes: Set) -> Path:
    _file(place, "data.yaml", "", f"names: {json.dumps(CLASSES)}\n")
    for name, rows in boxes.items():
        lines = [
            f"{CLASSES.index(c)} {(a + x) / 2 / WIDTH!r} {(b + y) / 2 / HEIGHT!r} {(x - a) / WIDTH!r} {(y - b) / HEIGHT!r}"
            for c, a, b, x, y in rows
        ]
        _file(place / "labels", name, ".txt", "\n".join(lines))
    return place / "labels"


def csv(place: Path, boxes: Set) -> Path:
    lines = ["image;xmin;ymin;xmax;ymax;class"]
    for name, rows in boxes.items():
        lines += [";".join([name, *(str(v).replace(".", ",") for v in corners), c]) for c, *corners in rows] or [f"{name};;;;;"]
    _file(place, "b.csv", "", "\n".join(lines))
    return place / "b.csv"


def cvat(place: Path, boxes: Set) -> Path:
    root = ElementTree.Element("annotations")
    for name, rows in boxes.items():
        image = ElementTree.SubElement(root, "image", name=name, width=str(WIDTH), height=str(HEIGHT))
        for c, a, b, x, y in rows:
            ElementTree.SubElement(image, "box", label=c, xtl=str(a), ytl=str(b), xbr=str(x), ybr=str(y))
    _file(place, "annotations.xml", "", ElementTree.tostring(root, encoding="unicode"))
    return place / "annotations.xml"


def labelme(place: Path, boxes: Set) -> Path:
    for name, rows in boxes.items():
        shapes = [{"label": c, "points": [[x, b], [a, y]], "shape_type": "rectangle", "group_id": None} for c, a, b, x, y in rows]
        content = {"shapes": shapes, "imagePath": Path(name).name, "imageWidth": WIDTH, "imageHeight": HEIGHT}
        _file(place / "labels", name, ".json", json.dumps(content))
    return place / "labels"


WRITERS: dict[str, Writer] = {w.__name__: w for w in (kitti, voc, coco, yolo, csv, cvat, labelme)}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures(tmp_path_factory.mktemp("set") / "images", *NAMES)


@pytest.mark.parametrize("form", WRITERS)
@checked
@given(boxes=SETS)
def test_a_random_set_is_read_as_it_was_written(images: Path, form: str, boxes: Set) -> None:
    with TemporaryDirectory() as folder:
        found = read(images, WRITERS[form](Path(folder), boxes))
        got = {name: [(found.classes[int(row[4])], *row[:4]) for row in rows] for name, rows in found.boxes.items()}
        assert got == {name: [(c, *np.round(corners, 3)) for c, *corners in rows] for name, rows in boxes.items()}
        assert set(found.kinds()) <= {"empty", "note"}  # boxes may stand twice


@checked
@given(boxes=SETS)
def test_coco_as_pycocotools_reads_it(images: Path, boxes: Set) -> None:
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        file = coco(Path(folder), boxes)
        found, api = read(images, file), COCO(str(file))
        for number, picture in api.imgs.items():
            wanted = [
                (api.cats[one["category_id"]]["name"], *one["bbox"][:2], *np.add(one["bbox"][:2], one["bbox"][2:]))
                for one in api.loadAnns(api.getAnnIds(imgIds=number))
            ]
            assert [(found.classes[int(row[4])], *row[:4]) for row in found.boxes[picture["file_name"]]] == wanted


def test_voc_and_kitti_as_torchvision_reads_them(tmp_path: Path) -> None:
    rng = random.Random(0)
    boxes = {f"{number}.png": [_any_box(rng) for _ in range(rng.randrange(1, 4))] for number in range(40)}
    images = pictures(tmp_path / "Kitti/raw/training/image_2", *boxes)
    found = read(images, voc(tmp_path, boxes))
    for name, rows in found.boxes.items():
        tree = ElementTree.parse((tmp_path / "labels" / name).with_suffix(".xml"))
        items = VOCDetection.parse_voc_xml(tree.getroot())["annotation"]["object"]
        wanted = [(i["name"], *(float(i["bndbox"][tag]) for tag in ("xmin", "ymin", "xmax", "ymax"))) for i in items]
        assert [(found.classes[int(row[4])], *row[:4]) for row in rows] == wanted
    labels = images.parent / "label_2"
    for name, rows in boxes.items():
        lines = [f"{c} 0.50 0 -1.57 {a} {b} {x} {y} 1 1 1 1 1 1 1" for c, a, b, x, y in rows]
        _file(labels, name, ".txt", "\n".join(lines).replace("Traffic light", "Traffic_light"))  # torchvision reads no blanks
    found, reference = read(images, labels), Kitti(str(tmp_path))
    for index, path in enumerate(reference.images):
        wanted = [(one["type"], *one["bbox"]) for one in reference._parse_target(index)]
        assert [(found.classes[int(row[4])], *row[:4]) for row in found.boxes[Path(path).name]] == wanted


def _any_box(rng: random.Random) -> Box:
    across, down = rng.sample(range(WIDTH * 4), 2), rng.sample(range(HEIGHT * 4), 2)
    return _box(rng.choice(CLASSES), across, down)


MUTATIONS = 50  # of each format
PIECES = (
    b"nan",
    b"1e999",
    b"-1",
    b"null",
    b"[]",
    b"{}",
    b"\n",
    b" ",
    b",",
    b";",
    b'"',
    b"\xff\xfe",
    b"\0",
    b"<",
    b">",
    b"&a;",
    b"9" * 30,
)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """A file with a few bytes changed, cut, doubled or put in."""
    for _ in range(rng.randint(1, 5)):
        start = rng.randrange(len(data) + 1)
        end = start + rng.randrange(1, 25)
        head, part, rest = data[:start], data[start:end], data[end:]
        data = rng.choice(
            (
                head + rest,
                head + part * 2 + rest,
                head + rng.choice(PIECES) + part + rest,
                head + rng.randbytes(2) + rest,
                head,
                head + part.replace(b"1", b"null").replace(b"2", b"[1]") + rest,
            )
        )
    return data


@pytest.mark.parametrize("form", WRITERS)
def test_files_with_faults_are_read_or_listed(images: Path, tmp_path: Path, form: str) -> None:
    """No mutated file ends in anything but boxes, or problems that name a file."""
    rng = random.Random(form)
    labels = WRITERS[form](tmp_path, {name: [_any_box(rng) for _ in range(3)] for name in NAMES})
    files = [labels] if labels.is_file() else sorted(path for path in labels.rglob("*") if path.is_file())
    places = (str(tmp_path), str(images))
    for _ in range(MUTATIONS):
        file = rng.choice(files)
        kept = file.read_bytes()
        file.write_bytes(mutated(rng, kept))
        problems = _problems(images, labels, form)
        nameless = [text for kind, *text in problems if kind != "class-names" and not any(p in " ".join(text) for p in places)]
        assert not nameless, file.read_bytes()
        file.write_bytes(kept)


ODD = (None, True, [], {}, [0], "", "x", -1, 1e300, float("nan"), 2**70, "1", [[1, 2]], {"id": 1})


@pytest.mark.parametrize("form", ["coco", "labelme"])
def test_json_with_odd_values_is_read_or_listed(images: Path, tmp_path: Path, form: str) -> None:
    rng = random.Random(form)
    labels = WRITERS[form](tmp_path, {name: [_any_box(rng) for _ in range(3)] for name in NAMES})
    file = labels if labels.is_file() else labels / "a b.json"
    content = file.read_text()
    for _ in range(MUTATIONS):
        odd = json.loads(content)
        for _ in range(rng.randint(1, 3)):
            _put_odd_value(rng, odd)
        file.write_text(json.dumps(odd))
        for kind, *text in _problems(images, labels, form):
            assert kind == "class-names" or any(place in " ".join(text) for place in (str(tmp_path), str(images))), odd


def _put_odd_value(rng: random.Random, node: dict[str, Any] | list[Any]) -> None:
    """Replace a value somewhere in a tree of JSON."""
    key: Any = rng.choice(list(node)) if isinstance(node, dict) and node else rng.randrange(len(node)) if node else None
    if key is None:
        return
    if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
        _put_odd_value(rng, node[key])
    else:
        node[key] = copy.deepcopy(rng.choice(ODD))


def _problems(images: Path, labels: Path, form: str) -> list[tuple[str, ...]]:
    try:
        return list(read(images, labels, annotation_format=form).problems)
    except DigitsError as error:
        return [("error", str(error))]
