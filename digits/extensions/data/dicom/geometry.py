"""Where slices and masks lie in the patient, and which voxel of a mask each pixel of a slice is.

Coordinates are millimetres in LPS (x to the left, y to the back, z to the head), as DICOM gives them. A mask fits a slice only
where its grid is the slice's: turned, mirrored, cut or in another order of slices, but not scaled or shifted by half a voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from digits.extensions.data.dicom.reading import frames_of, item, numbers

Vector = tuple[float, float, float]
Steps = tuple[int, int, int]
TOLERANCE = 0.2  # voxels
TAGS = ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]


@dataclass(frozen=True)
class Plane:
    """A slice (PS3.3 C.7.6.2.1.1): the pixel of a row and a column lies at `origin` + row * `down` + column * `right`."""

    origin: Vector
    down: Vector
    right: Vector

    @property
    def affine(self) -> NDArray[np.float64]:
        """From (column, row, millimetres off the plane) to coordinates, (4, 4)."""
        normal = np.cross(self.right, self.down)
        columns = [self.right, self.down, normal / np.linalg.norm(normal), self.origin]
        return np.vstack([np.array(columns).T, [0, 0, 0, 1]])


@dataclass(frozen=True)
class Placement:
    """Which voxel a pixel is: `start` + row * `down` + column * `right`, whole numbers."""

    start: Steps
    down: Steps
    right: Steps

    def covers(self, shape: tuple[int, ...], rows: int, columns: int) -> bool:
        """Whether every pixel has a voxel in a volume of a shape."""
        corners = np.array(self.start) + [
            np.multiply(self.down, r) + np.multiply(self.right, c) for r in (0, rows - 1) for c in (0, columns - 1)
        ]
        return bool((corners >= 0).all() and (corners < shape[:3]).all())

    def cut(self, volume: NDArray[np.generic], rows: int, columns: int) -> NDArray[np.generic]:
        """The slice (rows, columns) of a volume; 0 where it has no voxel."""
        r, c = np.arange(rows)[:, np.newaxis], np.arange(columns)[np.newaxis]
        places = [s + r * d + c * a for s, d, a in zip(self.start, self.down, self.right, strict=True)]
        inside = np.logical_and.reduce([(p >= 0) & (p < n) for p, n in zip(places, volume.shape, strict=True)])
        clipped = tuple(np.clip(p, 0, n - 1) for p, n in zip(places, volume.shape, strict=True))
        return np.where(inside, volume[clipped], volume.dtype.type(0))


def plane_of(header: pydicom.Dataset, frame: int) -> Plane | None:
    """The plane of a frame; None where the file does not say it."""
    places = {
        "ImagePositionPatient": "PlanePositionSequence",
        "ImageOrientationPatient": "PlaneOrientationSequence",
        "PixelSpacing": "PixelMeasuresSequence",
    }
    found: dict[str, NDArray[np.float64]] = {}
    for name, macro in places.items():
        group = item(header, frame, macro)
        if group is None and name == "ImagePositionPatient" and frames_of(header) > 1:
            return None  # that of the file is that of its first frame
        found[name] = np.array(numbers((group if group is not None else header).get(name)))
    position, directions, spacing = found.values()
    if (len(position), len(directions), len(spacing)) != (3, 6, 2) or not np.isfinite([*position, *directions, *spacing]).all():
        return None
    along_row, along_column = directions[:3], directions[3:]
    if not (spacing > 0).all() or np.linalg.norm(np.cross(along_row, along_column)) < 0.5:
        return None
    return Plane(_vector(position), _vector(along_column * spacing[0]), _vector(along_row * spacing[1]))


def placed(plane: Plane, rows: int, columns: int, affine: NDArray[np.float64]) -> Placement | None:
    """Which voxels of a grid, whose `affine` (4, 4) leads from voxels to coordinates, the pixels of a plane are; None where its
    grid is another one."""
    steps = affine[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(steps)) < 1e-9:
        return None
    inverse = np.linalg.inv(steps)
    start = inverse @ (np.array(plane.origin) - affine[:3, 3])
    down, right = inverse @ np.array(plane.down), inverse @ np.array(plane.right)
    off = [start - np.rint(start), (down - np.rint(down)) * rows, (right - np.rint(right)) * columns]
    if max(np.abs(one).max() for one in off) > TOLERANCE:
        return None
    found = Placement(_steps(start), _steps(down), _steps(right))
    lengths = [sum(map(abs, step)) for step in (found.down, found.right)]
    return found if lengths == [1, 1] else None


def as_it_lies(slice_number: int) -> Placement:
    """Columns along the first axis of a volume, rows along the second, slices along the third."""
    return Placement((0, 0, slice_number), (0, 1, 0), (1, 0, 0))


def assumed(affine: NDArray[np.float64], shape: tuple[int, ...], slice_number: int) -> Placement | None:
    """The placement, by an `affine` (4, 4), of a slice that does not say where it lies: taken as axial, columns to the left, rows
    to the back, slices to the head. None where the axes of the volume are none of these."""
    axes = patient_axes(affine)
    if axes is None:
        return None
    start, steps = [0, 0, 0], [[0, 0, 0] for _ in range(3)]
    for coordinate, (voxel, step) in enumerate(axes):
        steps[coordinate][voxel] = step
        first = slice_number if coordinate == 2 else 0
        start[voxel] = first if step > 0 else shape[voxel] - 1 - first
    right, down, _ = (_steps(np.array(step)) for step in steps)
    return Placement(_steps(np.array(start)), down, right)


def patient_axes(affine: NDArray[np.float64]) -> list[tuple[int, int]] | None:
    """For each coordinate, to the left, the back and the head, the axis of a volume that follows it, and 1 or -1 for its
    direction; `affine` (4, 4) leads from voxels to coordinates. None where the axes are none of these."""
    axes = np.argmax(np.abs(affine[:3, :3]), axis=0).tolist()  # which coordinate each axis of the volume follows
    if sorted(axes) != [0, 1, 2]:
        return None
    return [(axes.index(coordinate), 1 if affine[coordinate, axes.index(coordinate)] > 0 else -1) for coordinate in range(3)]


def axial(
    shape: Sequence[int], affine: NDArray[np.float64]
) -> tuple[Callable[[NDArray[Any]], NDArray[Any]], NDArray[np.float64]] | None:
    """What turns a volume (X, Y, Z) of a `shape` into slices (N, rows, columns) from the feet to the head, rows to the back,
    columns to the left, without a copy; and the affine (4, 4) that leads from (column, row, slice) to coordinates. None where
    the axes of the volume are none of the patient's."""
    axes = patient_axes(affine)
    if axes is None:
        return None
    voxels = np.zeros((4, 4))  # from (column, row, slice) to the voxels of the volume
    voxels[3, 3] = 1
    for coordinate, (voxel, step) in enumerate(axes):
        voxels[voxel, coordinate], voxels[voxel, 3] = step, 0 if step > 0 else shape[voxel] - 1
    order = [voxel for voxel, _ in reversed(axes)]
    turned = tuple(slice(None, None, step) for _, step in reversed(axes))
    return lambda volume: volume.transpose(order)[turned], affine @ voxels


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _steps(values: NDArray[np.float64]) -> Steps:
    x, y, z = (round(float(value)) for value in values)
    return x, y, z
