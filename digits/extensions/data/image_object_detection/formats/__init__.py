"""The formats of annotations. Each reader takes the pictures of a folder and gives a `Reading`; bad lines become findings."""

from __future__ import annotations

from digits.extensions.data.image_object_detection.boxes import Reading
from digits.extensions.data.image_object_detection.formats import coco, csv_boxes, cvat, kitti, labelme, voc, yolo
from digits.extensions.data.image_object_detection.formats.recognise import recognise
from digits.extensions.data.image_object_detection.formats.sources import Request

__all__ = ["FORMATS", "read", "recognise"]

FORMATS = {
    "kitti": ("KITTI text", kitti.read),
    "voc": ("PASCAL VOC XML", voc.read),
    "coco": ("COCO JSON", coco.read),
    "yolo": ("YOLO text", yolo.read),
    "csv": ("CSV", csv_boxes.read),
    "cvat": ("CVAT XML", cvat.read),
    "labelme": ("labelme JSON", labelme.read),
}


def read(name: str, request: Request) -> Reading:
    """Read the annotations of one split. Raises DataError when there are none."""
    return FORMATS[name][1](request)
