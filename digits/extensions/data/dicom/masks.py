"""Labels of DICOM pictures: PNG or TIFF by base name, NIfTI volumes by base name, or DICOM-SEG by the picture it refers to."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from digits.errors import DataError
from digits.extensions.data.dicom.scan import SEGMENTATION, Slice, files_below, read_header, without_remarks
from digits.utils.confinement import Confinement
from digits.utils.image import load_array

PICTURES = (".png", ".tif", ".tiff", ".npy")
NIFTI = (".nii", ".nii.gz")
NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
SIZE_OF_HEADER = 348

Index = dict[str, list[tuple[str, int, int]]]  # SOP instance -> file, frame, segment number


@without_remarks()
def index_masks(folder: Path, allowed: Confinement) -> tuple[dict[str, str], Index]:
    """Mask files by base name, and frames of DICOM-SEG files by the instance they refer to. Raises Forbidden."""
    by_name: dict[str, str] = {}
    by_instance: Index = {}
    for path in files_below(folder, allowed):
        name = path.name.lower()
        if name.endswith((*PICTURES, *NIFTI)):
            by_name[base_name(path)] = str(path)
        else:
            header = read_header(path)
            if header is not None and header.get("SOPClassUID") == SEGMENTATION:
                _index_segmentation(path, by_instance)
    return by_name, by_instance


def base_name(path: Path) -> str:
    """The name without its extension, `.nii.gz` counting as one."""
    name = path.name
    for ending in (".nii.gz", *PICTURES, ".nii", ".dcm", ".dicom", ".ima"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def read_mask(one: Slice, by_name: dict[str, str], by_instance: Index) -> NDArray[np.uint8]:
    """Class of every pixel, uint8 (H, W). Raises DataError where a picture has none, or one of another size."""
    if one.uid in by_instance:
        return _read_segmentation(one, by_instance[one.uid])
    path = by_name.get(base_name(Path(one.path)))
    if path is None:
        raise DataError(f"{one} has no mask.", advice="Give the mask file the same base name, or a DICOM-SEG that refers to it.")
    mask = _nifti_slice(Path(path), one.frame) if path.lower().endswith(NIFTI) else load_array(path)
    if mask.ndim == 3:
        raise DataError(f"{path} is a colour picture.", advice="A mask holds class numbers: a palette or grey picture.")
    return _checked(mask, one, path)


def _checked(mask: NDArray[Any], one: Slice, path: str) -> NDArray[np.uint8]:
    if mask.shape != (one.rows, one.columns):
        raise DataError(f"{path} is {mask.shape[1]}x{mask.shape[0]}, its picture {one.columns}x{one.rows} pixels.")
    if mask.min() < 0 or mask.max() > 255:
        raise DataError(
            f"{path} has values from {mask.min()} to {mask.max()}.", advice="Class numbers go from 0 to 254; 255 is ignored."
        )
    return mask.round().astype(np.uint8)


def _index_segmentation(path: Path, found: Index) -> None:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    for frame, groups in enumerate(dataset.get("PerFrameFunctionalGroupsSequence", [])):
        segment = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for derivation in groups.get("DerivationImageSequence", []):
            for source in derivation.get("SourceImageSequence", []):
                found.setdefault(str(source.ReferencedSOPInstanceUID), []).append((str(path), frame, segment))


def _read_segmentation(one: Slice, frames: list[tuple[str, int, int]]) -> NDArray[np.uint8]:
    mask = np.zeros((one.rows, one.columns), np.uint8)
    for path, frame, segment in frames:
        pixels = pydicom.dcmread(path).pixel_array
        plane = pixels if pixels.ndim == 2 else pixels[frame]
        if plane.shape != mask.shape:
            raise DataError(f"{path} is {plane.shape[1]}x{plane.shape[0]}, its picture {one.columns}x{one.rows} pixels.")
        mask[plane > 0] = segment
    return mask


def _nifti_slice(path: Path, frame: int) -> NDArray[Any]:
    """One slice of a NIfTI-1 volume, as rows and columns. Raises DataError."""
    data = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
    if len(data) < SIZE_OF_HEADER or struct.unpack("<i", data[:4])[0] != SIZE_OF_HEADER:
        raise DataError(f"{path} is no little-endian NIfTI-1 file.")
    dims = struct.unpack("<8h", data[40:56])
    kind = NIFTI_TYPES.get(struct.unpack("<h", data[70:72])[0])
    start = int(struct.unpack("<f", data[108:112])[0])
    if kind is None:
        raise DataError(f"{path} holds values of a kind that is not read.", advice="Save the mask as whole numbers.")
    shape = tuple(max(1, size) for size in dims[1:4])
    if frame >= shape[2]:
        raise DataError(f"{path} has {shape[2]} slices; slice {frame + 1} was requested.")
    volume = np.frombuffer(data, f"<{kind}", int(np.prod(shape)), start).reshape(shape, order="F")
    return volume[:, :, frame].T
