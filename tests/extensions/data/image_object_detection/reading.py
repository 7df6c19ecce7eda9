"""Reads a small set of boxes without a job: what `prepare` finds, and what `encode_entry` makes of each entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from digits.errors import DataError, LoadImageError
from digits.extensions.data.image_object_detection import DataIngestion
from digits.ingest.encode import samples_of

WIDTH, HEIGHT = 200, 100
Row = tuple[float, ...]  # left, top, right, bottom, class, flags


@dataclass
class Read:
    """Boxes by the picture's name, class names, problems as (kind, entry, reason), and the skipped pictures with the reason."""

    boxes: dict[str, list[Row]] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    problems: list[tuple[str, str, str]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.problems]

    def only(self, kind: str) -> tuple[str, str]:
        """Entry and reason of the one problem of a kind."""
        ((_, entry, reason),) = [problem for problem in self.problems if problem[0] == kind]
        return entry, reason

    def corners(self, name: str) -> list[Row]:
        return [row[:4] for row in self.boxes[name]]


def pictures(folder: Path, *names: str, size: tuple[int, int] = (WIDTH, HEIGHT), orientation: int = 0) -> Path:
    """Grey pictures; with an `orientation` they say in their EXIF how they are turned."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", size, (number * 40 % 256, 90, 90))
        exif = Image.Exif()
        if orientation:
            exif[0x0112] = orientation
        image.save(path, exif=exif)
    return folder


def read(images: Path, labels: Path, **options: Any) -> Read:
    """The training set of a folder of pictures and their annotations. Raises DataError where no data set can be made."""
    source = DataIngestion(train_image_folder=str(images), train_label_folder=str(labels), unequal_sizes="keep", **options)
    source.allowed_roots = ("/",)
    source.job_folder = images.parent
    found = Read()
    source.prepare(lambda problem: found.problems.append((problem["kind"], problem["entry"], problem["reason"])))
    found.classes = list(source.userdata["class_labels"])
    for entry in source.itemize_entries("train_db"):
        name = str(Path(entry[0]).relative_to(images))
        try:
            sample = samples_of(source, entry, "detection")
            found.boxes[name] = [tuple(round(float(value), 3) for value in box.tolist()) for box in sample[1]]
            found.problems += [(kind, entry[0], reason) for kind, reason in sample.notes]
        except LoadImageError as error:
            found.skipped[name] = str(error)
    return found


def refused(images: Path, labels: Path, **options: Any) -> str:
    """What is said where no data set can be made."""
    try:
        read(images, labels, **options)
    except DataError as error:
        return str(error)
    raise AssertionError("A data set was made.")
