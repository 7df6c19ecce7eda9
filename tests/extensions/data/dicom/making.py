"""DICOM-SEG and NIfTI files whose every voxel is known, and what a source makes of a folder."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from digits.extensions.data.dicom import DataIngestion
from digits.extensions.data.dicom.scan import SEGMENTATION
from tests.extensions.data.test_dicom import source, write

KINDS = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "u2": 512}
AXIAL = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}


def item(**values: Any) -> Dataset:
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def seg_frame(uid: str = "", frames: Any = None, segment: int | None = None, position: Sequence[float] = ()) -> Dataset:
    """The functional groups of one frame: what it refers to, its segment, where it lies."""
    made = Dataset()
    if uid:
        origin = (
            item(ReferencedSOPInstanceUID=uid)
            if frames is None
            else item(ReferencedSOPInstanceUID=uid, ReferencedFrameNumber=frames)
        )
        made.DerivationImageSequence = Items([item(SourceImageSequence=Items([origin]))])
    if segment is not None:
        made.SegmentIdentificationSequence = Items([item(ReferencedSegmentNumber=segment)])
    if len(position):
        made.PlanePositionSequence = Items([item(ImagePositionPatient=list(position))])
    return made


def write_seg(path: Path, planes: np.ndarray, frames: Sequence[Dataset], labels: dict[int, str], **tags: Any) -> None:
    """Planes (frames, rows, columns) of 8 bits as a segmentation; `labels` by segment number."""
    segments = Items([item(SegmentNumber=number, SegmentLabel=label) for number, label in labels.items()])
    shared = item(
        PlaneOrientationSequence=Items([item(ImageOrientationPatient=AXIAL["ImageOrientationPatient"])]),
        PixelMeasuresSequence=Items([item(PixelSpacing=AXIAL["PixelSpacing"])]),
    )
    values = {
        "SOPClassUID": SEGMENTATION,
        "SegmentationType": "BINARY",
        "SegmentSequence": segments,
        "SharedFunctionalGroupsSequence": Items([shared]),
        "PerFrameFunctionalGroupsSequence": Items(list(frames)),
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelData": planes.astype(np.uint8).tobytes() + b"\0" * (planes.size % 2),
    }
    write(path, planes, **values | tags)


def write_nifti(
    path: Path,
    volume: np.ndarray,
    affine: np.ndarray | None = None,
    *,
    order: str = "<",
    slope: tuple[float, float] = (0.0, 0.0),
    quaternion: bool = False,
) -> Path:
    """A NIfTI-1 file of an array (x, y, z, …); `affine` leads from voxels to RAS, None: it says no position. With `quaternion`
    the qform says half a turn about the z axis, and where the affine moves it."""
    header = bytearray(352)
    struct.pack_into(f"{order}i", header, 0, 348)
    dims = [volume.ndim, *volume.shape, *[1] * (7 - volume.ndim)]
    struct.pack_into(f"{order}8h", header, 40, *dims)
    struct.pack_into(f"{order}h", header, 70, KINDS[volume.dtype.str[1:]])
    struct.pack_into(f"{order}8f", header, 76, *[1.0] * 8)
    struct.pack_into(f"{order}f", header, 108, 352.0)
    struct.pack_into(f"{order}2f", header, 112, *slope)
    header[344:348] = b"n+1\0"
    if affine is not None and quaternion:
        struct.pack_into(f"{order}2h", header, 252, 1, 0)
        struct.pack_into(f"{order}6f", header, 256, 0.0, 0.0, 1.0, *affine[:3, 3])
    elif affine is not None:
        struct.pack_into(f"{order}2h", header, 252, 0, 1)
        struct.pack_into(f"{order}12f", header, 280, *affine[:3].ravel())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(header) + volume.astype(volume.dtype.newbyteorder(order)).tobytes(order="F"))
    return path


def masked(root: Path, **values: Any) -> DataIngestion:
    """The source of the pictures in `d` and the masks in `m` below a folder."""
    return source(root / "d", labels="masks", mask_folder=str(root / "m"), **values)


def masks_of(found: DataIngestion) -> dict[str, Any]:
    """The mask (H, W) of each entry as lists."""
    entries = found.itemize_entries("train_db")
    return {str(entry): found.encode_entry(entry)[1][0].tolist() for entry in entries}


def reasons(found: DataIngestion) -> list[str]:
    """What was found odd, each with its file."""
    problems: list[dict[str, Any]] = []
    found.prepare(problems.append)
    return [f"{problem['entry']}: {problem['reason']}" for problem in problems]
