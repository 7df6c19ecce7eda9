"""Every parser of ours gets files that somebody bent: cut, doubled, with other bytes and other numbers. It reads them or says
what is wrong, as its contract names it, in seconds; nothing else ever leaves it.

`DIGITS_MUTATIONS=2000` makes a campaign of it: so many examples for each parser.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from digits.errors import DigitsError
from digits.extensions.data.dicom import nifti, pixels, scan
from digits.extensions.data.dicom.segmentation import read_segmentation
from digits.extensions.data.files.class_names import read_labels
from digits.extensions.data.files.tables import read_table
from digits.extensions.data.files.text import read_json, read_text, xml_root
from digits.extensions.data.image_object_detection import formats
from digits.extensions.data.image_object_detection.formats.sources import Request
from digits.extensions.data.image_object_detection.formats.yolo_names import description_of
from digits.extensions.data.image_segmentation.colour_maps import read_colour_map
from digits.extensions.data.images.coco_shapes import mask_of, runs_of
from digits.extensions.data.images.findings import Findings
from digits.storage.records.caffe_datum import check_lmdb, make_datum, make_mean, parse_datum, parse_mean
from digits.storage.records.caffe_writer import write_lmdb
from digits.utils.confinement import Confinement
from digits.utils.image import load_array, load_image
from tests.extensions.data import test_dicom
from tests.extensions.data.test_claims import nifti_header
from tests.ingest import objects

EXAMPLES = int(os.environ.get("DIGITS_MUTATIONS", "12"))
SECONDS = 10.0
NUMBERS = (
    b"0",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"9" * 5000,
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"[" * 500,
    b"\0" * 8,
)
Read = Callable[[Path], Any]


def picture_bytes(kind: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    values = np.arange(12 * 10 * (3 if mode == "RGB" else 1)).reshape((12, 10, 3) if mode == "RGB" else (12, 10)) % 251
    Image.fromarray(values.astype(np.uint8)).save(file, kind)
    return file.getvalue()


def of_file(write: Callable[[Path], Any]) -> Callable[[Path], bytes]:
    """The bytes of the one file that `write` makes at a path."""

    def made(folder: Path) -> bytes:
        path = folder / "seed"
        write(path)
        return (path if path.is_file() else next(p for p in path.rglob("*") if p.is_file())).read_bytes()

    return made


def npy(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.arange(60, dtype=np.float32).reshape(6, 10))


def dicom_seg(path: Path) -> None:
    dataset = test_dicom.write(path, np.ones((3, 4, 4), np.uint16))
    dataset.SOPClassUID = scan.SEGMENTATION
    dataset.save_as(path, enforce_file_format=True)


def nifti_file(path: Path) -> None:
    path.write_bytes(bytes(nifti_header((4, 3, 2))) + bytes(96))


def table_of_boxes(name: str) -> Read:
    """Reads a label file of one format, for the pictures `a` to `d`."""

    def read(path: Path) -> Any:
        folder = path.parent
        pictures = [str(folder / f"{one}.png") for one in "abcd"]
        endings = {"voc": ".xml", "kitti": ".txt", "yolo": ".txt", "cvat": ".xml", "csv": ".csv"}
        labels = folder / "labels"
        labels.mkdir(exist_ok=True)
        (labels / f"a{endings.get(name, '.json')}").write_bytes(path.read_bytes())
        request = Request(str(folder), pictures, str(labels), "train_db", Findings(lambda problem: None), lambda path: True)
        return formats.read(name, request)

    return read


def shapes(path: Path) -> Any:
    found = read_json(path)
    return [
        runs_of(one) if isinstance(one, dict) else mask_of(one, 10, 12) for one in (found if isinstance(found, list) else [found])
    ]


def database(path: Path) -> Any:
    folder = path.parent / "db"
    folder.mkdir(exist_ok=True)
    (folder / "data.mdb").write_bytes(path.read_bytes())
    check_lmdb(folder, Confinement(["/"]))


COCO_SHAPES = json.dumps([[[1, 1, 9, 1, 9, 9]], {"size": [4, 3], "counts": [2, 4, 6]}, {"size": [2, 2], "counts": "04"}]).encode()
YAML = b"nc: 2\nnames: &n [cat, dog]\nother: *n\nkpt_shape: [17, 3]\n"
PARSERS: dict[str, tuple[Callable[[Path], bytes], str, Read]] = {
    "png": (lambda _: picture_bytes("png"), "a.png", lambda path: (load_image(str(path)), load_array(path))),
    "jpeg": (lambda _: picture_bytes("jpeg"), "a.jpg", lambda path: load_image(str(path))),
    "gif": (lambda _: picture_bytes("gif", "L"), "a.gif", lambda path: load_array(path)),
    "bmp": (lambda _: picture_bytes("bmp"), "a.bmp", lambda path: load_array(path)),
    "ppm": (lambda _: picture_bytes("ppm"), "a.ppm", lambda path: load_array(path)),
    "tiff": (of_file(lambda path: tifffile.imwrite(path, np.ones((9, 8), np.uint16))), "a.tif", load_array),
    "packed tiff": (of_file(lambda path: Image.new("L", (9, 8)).save(path, "tiff", compression="tiff_lzw")), "a.tif", load_array),
    "npy": (of_file(npy), "a.npy", load_array),
    "dicom": (
        of_file(lambda path: test_dicom.write(path, np.ones((3, 4, 4), np.uint16), RescaleSlope=2, RescaleIntercept=1)),
        "a.dcm",
        lambda path: [pixels.read_frame(one.path, one.frame) for one in scan.find_slices(path, Confinement(["/"])).slices],
    ),
    "dicom seg": (of_file(dicom_seg), "a.dcm", lambda path: read_segmentation(str(path), "a")),
    "nifti": (of_file(nifti_file), "a.nii", lambda path: nifti.read_volume(str(path))),
    "packed nifti": (lambda f: gzip.compress(of_file(nifti_file)(f)), "a.nii.gz", lambda path: nifti.read_volume(str(path))),
    "datum": (lambda _: make_datum(np.ones((3, 4, 5), np.uint8), 7), "a", lambda path: parse_datum(path.read_bytes())),
    "mean": (lambda _: make_mean(np.ones((3, 4, 5), np.float32)), "a", lambda path: parse_mean(path.read_bytes())),
    "lmdb": (of_file(lambda path: write_lmdb(path, [(np.ones((1, 4, 4), np.uint8), 1)])), "a", database),
    "yaml": (lambda _: YAML, "data.yaml", lambda path: description_of(str(path))),
    "class names": (lambda _: "é\ncat\n\ndog\n".encode("utf-16"), "classes.txt", lambda path: description_of(str(path))),
    "xml": (of_file(lambda path: objects.voc(path, {"a": objects.BOXES["a"]})), "a.xml", xml_root),
    "table": (of_file(objects.table), "t.csv", lambda path: list(read_table(str(path)).rows)),
    "text": (lambda _: "sep=;\né;ü\n".encode("utf-16-le"), "a.txt", read_text),
    "labels": (lambda _: b"cat\ndog\n", "labels.txt", read_labels),
    "colours": (lambda _: b"255 0 0 cat\n0 255 0 dog\n", "m.txt", lambda path: read_colour_map(str(path))),
    "shapes": (lambda _: COCO_SHAPES, "a.json", shapes),
    "voc": (of_file(lambda path: objects.voc(path, {"a": objects.BOXES["a"]})), "x", table_of_boxes("voc")),
    "coco": (of_file(objects.coco), "x", table_of_boxes("coco")),
    "kitti": (of_file(lambda path: objects.kitti(path, {"a": objects.BOXES["a"]})), "x", table_of_boxes("kitti")),
    "yolo": (of_file(lambda path: objects.yolo(path / "in", {"a": objects.BOXES["a"]})), "x", table_of_boxes("yolo")),
    "csv": (of_file(objects.table), "x", table_of_boxes("csv")),
}


def bent(data: st.DataObject, content: bytes) -> bytes:
    """A file after some accidents."""
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(content) - 1, 0)))
        match data.draw(st.sampled_from(["byte", "cut", "drop", "double", "insert", "number"])):
            case "byte":
                content = content[:at] + bytes([data.draw(st.integers(0, 255))]) + content[at + 1 :]
            case "cut":
                content = content[:at]
            case "drop":
                content = content[:at] + content[at + data.draw(st.integers(1, 64)) :]
            case "double":
                content = content[:at] + content[max(at - 64, 0) : at] * data.draw(st.integers(1, 9)) + content[at:]
            case "insert":
                content = content[:at] + data.draw(st.binary(max_size=16)) + content[at:]
            case "number":
                content = content[:at] + data.draw(st.sampled_from(NUMBERS)) + content[at + data.draw(st.integers(0, 8)) :]
    return content


@pytest.mark.parametrize("name", PARSERS)
def test_no_damage_is_more_than_a_refusal(tmp_path: Path, name: str) -> None:
    make, file, read = PARSERS[name]
    whole = make(tmp_path)
    (tmp_path / "bent").mkdir()
    if file == "x":  # of pictures that are there
        for one in "abcd":
            (tmp_path / f"bent/{one}.png").write_bytes(picture_bytes("png"))

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES < 100, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.data())
    def check(data: st.DataObject) -> None:
        path = tmp_path / "bent" / file
        path.write_bytes(bent(data, whole))
        began = time.monotonic()
        try:
            read(path)
        except (DigitsError, ValueError, IndexError):
            pass
        assert time.monotonic() - began < SECONDS

    check()
