"""A few real slices of a heart with their contours, copied out of the Sunnybrook data to where a test's server may read them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

CASE = "SC-HF-I-1"
SLICES = 8
SIDE = 256


@dataclass(frozen=True)
class Sunnybrook:
    """`pictures` has a folder of DICOM files for the case, `contours` the text files; `masks` the same as PNG by base name."""

    pictures: Path
    contours: Path
    masks: Path


def copy_sunnybrook(shared_data: Path, root: Path) -> Sunnybrook:
    """The first `SLICES` pictures of the case that have a contour."""
    source = shared_data / "sunnybrook"
    drawn = source / "Sunnybrook Cardiac MR Database ContoursPart3" / "TrainingDataContours" / "SC-HF-I-01"
    contours = {path.name.split("-")[2]: path for path in drawn.rglob("*-icontour-manual.txt")}
    pictures = [path for path in sorted((source / "challenge_training" / CASE).iterdir()) if number_of(path) in contours]
    made = Sunnybrook(root / "pictures", root / "contours", root / "masks")
    own = made.contours / "SC-HF-I-01" / "contours-manual" / "IRCCI-expert"
    for folder in (made.pictures / CASE, own, made.masks):
        folder.mkdir(parents=True)
    for picture in pictures[:SLICES]:
        contour = contours[number_of(picture)]
        shutil.copyfile(picture, made.pictures / CASE / picture.name)
        shutil.copyfile(contour, own / contour.name)
        _mask_of(contour).save(made.masks / f"{picture.stem}.png")
    return made


def number_of(picture: Path) -> str:
    """Of a slice: `0048` in IM-1180-0048.dcm."""
    return picture.stem.split("-")[-1]


def _mask_of(contour: Path) -> Image.Image:
    mask = Image.new("L", (SIDE, SIDE))
    points = [tuple(map(float, line.split())) for line in contour.read_text().splitlines()]
    ImageDraw.Draw(mask).polygon(points, fill=1)
    return mask
