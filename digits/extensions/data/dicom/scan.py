"""Finding DICOM pictures below a folder and splitting them. Of a patient nothing but an unreadable mark is kept."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pydicom

from digits.errors import DataError
from digits.extensions.data.dicom import geometry
from digits.extensions.data.dicom.pixels import kind_of
from digits.extensions.data.dicom.reading import frames_of, read_header, unreadable, without_remarks
from digits.extensions.data.dicom.slices import Slice
from digits.extensions.data.files.listing import tree
from digits.extensions.data.files.names import below
from digits.utils.confinement import Confinement

DIRECTORY = "1.2.840.10008.1.3.10"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
TAGS = [
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "InstanceNumber"),
    *("Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored"),
    *("PixelRepresentation", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *geometry.TAGS,
]


@dataclass
class Found:
    """What lies below a folder: pictures, (file, reason) of DICOM files that cannot be read, how many DICOM files are no
    pictures, and how many files are of other kinds, by ending."""

    slices: list[Slice] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    without_pixels: int = 0
    others: Counter[str] = field(default_factory=Counter)


def holds_pictures(folder: Path, allowed: Confinement, seconds: float) -> bool:
    """Whether a DICOM picture lies below a folder; one that is not looked through in so many seconds is believed to hold some.
    Raises Forbidden for a file that may not be read."""
    ends = time.monotonic() + seconds
    for path in files_below(folder, allowed):
        with contextlib.suppress(DataError):
            if _is_picture(read_header(path, TAGS)):
                return True
        if time.monotonic() > ends:
            return True
    return False


def find_slices(
    folder: Path, allowed: Confinement, mask_folder: str = "", check_stop: Callable[[], None] = lambda: None
) -> Found:
    """Every frame of every DICOM picture below a folder (or of one file), sorted by path; links are followed. Nothing else
    below a mask folder is counted. `check_stop` is called for each file, and may raise.

    Raises Forbidden for a file that may not be read.
    """
    salt = secrets.token_bytes(16)
    found = Found()
    for path in files_below(folder, allowed):
        check_stop()
        name = below(str(folder), path) if folder.is_dir() else Path(path).name
        try:
            header = read_header(path, TAGS)
            if header is not None and _is_picture(header):
                found.slices += _slices(path, name, header, salt)
            elif mask_folder and is_below(path, mask_folder):
                continue
            elif header is None:
                found.others[os.path.splitext(path)[1].lower()] += 1
            elif header.get("SOPClassUID") != DIRECTORY:
                found.without_pixels += 1
        except DataError as error:
            found.damaged.append((name, str(error)))
    return found


def _is_picture(header: pydicom.Dataset | None) -> bool:
    return header is not None and "Rows" in header and header.get("SOPClassUID") not in (SEGMENTATION, LABEL_MAP)


def is_below(path: str, folder: str) -> bool:
    """Whether a file lies below a folder, by their paths."""
    return os.path.abspath(path).startswith(os.path.abspath(folder).rstrip("/") + "/")


def files_below(folder: Path, allowed: Confinement) -> Iterator[str]:
    """All files, sorted within their folders; a file for itself. Raises Forbidden for a file or folder that may not be read."""
    allowed.resolve(folder)
    if folder.is_file():
        yield str(folder)
        return
    for root, _, names in tree(folder, allowed.allows, lambda path, _: allowed.resolve(path)):
        for name in names:
            path = os.path.join(root, name)
            allowed.resolve(path)
            yield path


def split(slices: Sequence[Slice], by: str, pct_val: float, pct_test: float, seed: int) -> dict[str, list[Slice]]:
    """Slices by stage; all of one patient (or each slice for itself) on one side."""
    groups: dict[str, list[Slice]] = {}
    for number, one in enumerate(slices):
        groups.setdefault(one.patient if by == "patient" else str(number), []).append(one)
    names = sorted(groups, key=lambda name: groups[name][0].path)
    random.Random(seed).shuffle(names)
    val, test = (_share(len(names), percent) for percent in (pct_val, pct_test))
    parts = {"val_db": names[:val], "test_db": names[val : val + test], "train_db": names[val + test :]}
    return {
        stage: sorted((s for name in part for s in groups[name]), key=lambda s: (s.path, s.frame))
        for stage, part in parts.items()
    }


def _share(count: int, percent: float) -> int:
    """At least one of several when anything is asked for."""
    return max(1, round(count * percent / 100)) if percent > 0 and count > 1 else 0


@without_remarks()
def _slices(path: str, name: str, header: pydicom.Dataset, salt: bytes) -> list[Slice]:
    """The frames of a file. Raises DataError for a header that makes no sense."""
    try:
        who = str(header.get("PatientID") or header.get("StudyInstanceUID") or os.path.dirname(path))
        patient = hashlib.sha256(salt + who.encode(errors="replace")).hexdigest()[:16]
        rows, columns, frames = int(header.Rows), int(header.Columns), frames_of(header)
        if rows < 1 or columns < 1:
            raise DataError(f"It says that it has {frames} frames of {columns}x{rows} pixels.")
        uid, series, space = (
            str(header.get(tag) or "") for tag in ("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
        )
        number = int(header.get("InstanceNumber") or 0)
        first = Slice(path, 0, patient, rows, columns, uid, name, series, space, number)
        return [
            replace(first, frame=frame, plane=geometry.plane_of(header, frame), kind=kind_of(header, frame))
            for frame in range(frames)
        ]
    except DataError:
        raise
    except Exception as error:  # a damaged header gives values of any kind
        raise unreadable(error) from None
