"""Finding DICOM pictures below a folder and splitting them. Of a patient nothing but an unreadable mark is kept."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom import config
from pydicom.errors import InvalidDicomError

from digits.utils.confinement import Confinement

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
TAGS = ["PatientID", "StudyInstanceUID", "SOPInstanceUID", "SOPClassUID", "Rows", "Columns", "NumberOfFrames"]


@dataclass(frozen=True)
class Slice:
    """One frame of one file. `patient` is a mark of this data set's own; `uid` leads to its DICOM-SEG label."""

    path: str
    frame: int
    patient: str
    rows: int
    columns: int
    uid: str

    def __str__(self) -> str:
        return f"{Path(self.path).name}#{self.frame}" if self.frame else Path(self.path).name


def find_slices(folder: Path, allowed: Confinement) -> list[Slice]:
    """Every frame of every DICOM picture below a folder (or of one file), sorted by path; links are followed.

    Raises Forbidden for a file that may not be read.
    """
    salt = secrets.token_bytes(16)
    files = files_below(folder, allowed)
    return [found for path in files for found in _slices(path, salt)]


def files_below(folder: Path, allowed: Confinement) -> Iterator[Path]:
    """All files, sorted within their folders; a file for itself. Raises Forbidden for one that may not be read."""
    allowed.resolve(folder)
    if folder.is_file():
        yield folder
        return
    for root, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(names):
            allowed.resolve(os.path.join(root, name))
            yield Path(root) / name


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """pydicom's remarks on odd values quote them, so in logs they would name patients."""
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    try:
        yield
    finally:
        config.settings.reading_validation_mode = before


def read_header(path: Path) -> pydicom.Dataset | None:
    """The few tags that are needed; None for a file that is no DICOM."""
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError):
        return None


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
def _slices(path: Path, salt: bytes) -> list[Slice]:
    header = read_header(path)
    if header is None or "Rows" not in header or header.get("SOPClassUID") == SEGMENTATION:
        return []
    who = str(header.get("PatientID") or header.get("StudyInstanceUID") or path.parent)
    patient = hashlib.sha256(salt + who.encode()).hexdigest()[:16]
    size, uid = (int(header.Rows), int(header.Columns)), str(header.get("SOPInstanceUID", ""))
    return [Slice(str(path), frame, patient, *size, uid) for frame in range(int(header.get("NumberOfFrames") or 1))]
