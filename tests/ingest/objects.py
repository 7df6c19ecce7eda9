"""Small sets of pictures with boxes, in every format, for the tests of object detection."""

from __future__ import annotations

import json
from pathlib import Path

from tests.ingest.making import picture

SIZE = (40, 30)
Boxes = dict[str, list[tuple[str, float, float, float, float]]]
BOXES: Boxes = {
    "a": [("cat", 4, 5, 14, 20), ("dog", 20, 6, 36, 27)],
    "b": [("dog", 8, 3, 24, 12)],
    "c": [],
    "d": [("cat", 0, 0, 40, 30)],
}


def pictures(folder: Path, names: Boxes = BOXES, size: tuple[int, int] = SIZE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        picture(seed, size).save(folder / f"{name}.png")
    return folder


def kitti(folder: Path, boxes: Boxes = BOXES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in boxes.items():
        lines = [f"{c} 0.00 0 0.00 {x0} {y0} {x1} {y1} 0 0 0 0 0 0 0" for c, x0, y0, x1, y1 in rows]
        (folder / f"{name}.txt").write_text("\n".join(lines))
    return folder


def voc(folder: Path, boxes: Boxes = BOXES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in boxes.items():
        objects = "".join(
            f"<object><name>{c}</name><difficult>0</difficult><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>"
            f"<ymax>{y1}</ymax></bndbox></object>"
            for c, x0, y0, x1, y1 in rows
        )
        (folder / f"{name}.xml").write_text(f"<annotation><filename>{name}.png</filename>{objects}</annotation>")
    return folder


def coco(file: Path, boxes: Boxes = BOXES) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    numbers = {"cat": 3, "dog": 7}
    annotations = [
        {"id": 1, "image_id": i, "category_id": numbers[c], "bbox": [x0, y0, x1 - x0, y1 - y0], "iscrowd": 0}
        for i, rows in enumerate(boxes.values())
        for c, x0, y0, x1, y1 in rows
    ]
    images = [{"id": i, "file_name": f"{name}.png", "width": SIZE[0], "height": SIZE[1]} for i, name in enumerate(boxes)]
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return file


def yolo(folder: Path, boxes: Boxes = BOXES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "data.yaml").write_text("train: images\nnames:\n  0: cat\n  1: dog\n")
    for name, rows in boxes.items():
        lines = [
            f"{int(c == 'dog')} {(x0 + x1) / 2 / SIZE[0]} {(y0 + y1) / 2 / SIZE[1]} {(x1 - x0) / SIZE[0]} {(y1 - y0) / SIZE[1]}"
            for c, x0, y0, x1, y1 in rows
        ]
        if lines:  # no file: no objects
            (folder / f"{name}.txt").write_text("\n".join(lines))
    return folder


def table(file: Path, boxes: Boxes = BOXES) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ["filename,xmin,ymin,xmax,ymax,class"]
    for name, rows in boxes.items():
        lines += [f"{name}.png,{x0},{y0},{x1},{y1},{c}" for c, x0, y0, x1, y1 in rows] or [f"{name}.png,,,,,"]
    file.write_text("\n".join(lines) + "\n")
    return file
