"""The values of a scan: its modalities and its label as axial slices on one grid, turned as their affines say."""

import math
import os
import threading
from dataclasses import dataclass

import numpy as np

from digits.errors import DataError
from digits.extensions.data.dicom import nifti
from digits.extensions.data.dicom.geometry import axial
from digits.extensions.data.dicom.masks import class_numbers
from digits_data_brats.scans import MODALITIES

MOST_VOXELS = 1 << 27  # of a volume, such as 512x512x512
MILLIMETRES = 0.1  # that the corners of two grids may be apart
DARKEST, BRIGHTEST = 0.5, 99.5  # percentiles of what is not background, which become 1 and 255
OPEN_SCANS = 4  # volumes and label of two


@dataclass(frozen=True)
class Grid:
    """Slices (N), rows and columns of a volume, and where its corners lie in the patient (LPS, millimetres); without a position
    ()."""

    shape: tuple[int, int, int]
    corners: tuple[tuple[float, ...], ...]

    def difference(self, other):
        """In what another grid differs, in words; empty: in nothing."""
        if self.shape != other.shape:
            return f"has {sized(self.shape)}, not {sized(other.shape)}"
        if self.corners and other.corners and np.abs(np.subtract(self.corners, other.corners)).max() > MILLIMETRES:
            return "lies elsewhere in the patient, or has another spacing"
        return ""


def sized(shape):
    """The size of a volume in words."""
    return f"{shape[0]} slices of {shape[2]}x{shape[1]} pixels"


def layout(path, volumes=1):
    """The header of a file of so many volumes, what turns one of them into axial slices (N, rows, columns), and their grid. A
    file that does not say where it lies is taken as columns, rows, slices. Raises DataError, with the file's name."""
    name = os.path.basename(path)
    try:
        header = nifti.read_header(path)
        if math.prod(header.shape) > MOST_VOXELS * volumes:
            raise DataError(f"It says that it has {' x '.join(map(str, header.shape))} voxels.")
        nifti.check_length(path, header)
    except DataError as error:
        raise DataError(f"{name}: {error.message}", advice=error.advice) from error
    if header.shape[3] != volumes:
        raise DataError(f"{name} holds {header.shape[3]} volumes, expected {volumes}.")
    found = axial(header.shape[:3], np.eye(4) if header.means_nothing else header.matrix)
    if found is None:
        raise DataError(f"{name} has no axes along the patient's.", advice="Resample it to axial slices.")
    turn, affine = found
    x, y, z = header.shape[:3]
    shape = turn(np.broadcast_to(np.uint8(0), (x, y, z))).shape
    ends = [(c, r, n, 1) for c in (0, shape[2] - 1) for r in (0, shape[1] - 1) for n in (0, shape[0] - 1)]
    corners = () if header.means_nothing else tuple(tuple((affine @ end)[:3].tolist()) for end in ends)
    return header, turn, Grid(shape, corners)


def check_scan(scan, modalities):
    """The grid of a scan and the type of its values. Raises DataError where modalities are missing or differ in their grid, or a
    file cannot be read."""
    missing = [modality for modality in modalities if modality not in scan.files]
    if missing:
        there = [os.path.basename(path) for path in scan.files.values()]
        raise DataError(f"It has no {' and no '.join(missing)}, only {', '.join(there)}.")
    paths = {modality: scan.files[modality] for modality in modalities}
    layouts = {path: layout(path, len(MODALITIES) if scan.is_stacked else 1) for path in dict.fromkeys(paths.values())}
    (first, (_, _, grid)), *others = layouts.items()
    for path, (_, _, other) in others:
        if found := other.difference(grid):
            raise DataError(f"{os.path.basename(path)} {found}, as {os.path.basename(first)}.")
    if scan.label and (found := layout(scan.label)[2].difference(grid)):
        raise DataError(f"{os.path.basename(scan.label)} {found}, as {os.path.basename(first)}.")
    scaled = any((header.slope, header.intercept) != (1.0, 0.0) for header, _, _ in layouts.values())
    types = [np.dtype(header.dtype).newbyteorder("=") for header, _, _ in layouts.values()]
    return grid, np.dtype(np.float32) if scaled else np.result_type(*types)


def read_label(scan):
    """The label of a scan, uint16 (N, rows, columns). Raises DataError for what is no whole class numbers."""
    _, turn, _ = layout(scan.label)
    return turn(class_numbers(_values(scan.label), os.path.basename(scan.label)).astype(np.uint16))


def read_modalities(scan, modalities, dtype, *, eight_bits):
    """Volumes (modalities, N, rows, columns) of a type, or with `eight_bits` uint8: 0 where there is no signal, 1 to 255 between
    the percentiles of the others. Raises DataError."""
    volumes = []
    for modality in modalities:
        path = scan.files[modality]
        _, turn, _ = layout(path, len(MODALITIES) if scan.is_stacked else 1)
        values = _values(path)
        if scan.is_stacked:
            depth = values.shape[2] // len(MODALITIES)
            place = MODALITIES.index(modality) * depth
            values = values[:, :, place : place + depth]
        if not np.isfinite(values).all():
            raise DataError(f"{os.path.basename(path)} holds NaN or infinity.", advice="Save it again without them.")
        volumes.append(shrunk(turn(values)) if eight_bits else turn(values).astype(dtype))
    return np.stack(volumes)


def shrunk(volume):
    """A volume as uint8."""
    signal = volume != 0
    if not signal.any():
        return np.zeros(volume.shape, np.uint8)
    low, high = np.percentile(volume[signal], (DARKEST, BRIGHTEST)).astype(np.float32)
    scaled = 1 + (volume.astype(np.float32) - low) * (254 / max(high - low, np.finfo(np.float32).tiny))
    return np.where(signal, scaled.round().clip(1, 255), 0).astype(np.uint8)


def _values(path):
    try:
        return nifti.read_volume(path)
    except DataError as error:
        raise DataError(f"{os.path.basename(path)}: {error.message}", advice=error.advice) from error


class ScanCache:
    """What was last read of scans: their slices are asked for one after the other, by several threads at once, of which one
    reads and the others wait."""

    def __init__(self):
        self._lock, self._kept = threading.Lock(), {}

    def get(self, paths, how, read):
        """What `read()` gives of some files, as they are now, read in the way `how`; DataError is kept and raised again."""
        try:
            states = [os.stat(path) for path in paths]
        except OSError as error:
            raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from error
        key = (tuple(paths), tuple((state.st_mtime_ns, state.st_size) for state in states), how)
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= OPEN_SCANS:
                    del self._kept[next(iter(self._kept))]
                self._kept[key] = _result_of(read)
            found = self._kept[key]
        if isinstance(found, DataError):
            raise DataError(found.message, advice=found.advice)
        return found


def _result_of(read):
    try:
        return read()
    except DataError as error:
        return error
