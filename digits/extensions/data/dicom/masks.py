"""Labels of DICOM pictures: PNG or TIFF by path, NIfTI volumes by path or place, DICOM-SEG by the pictures they refer to.

Holds: a picture has one mask or none. Where several fit, it has none and the reason names them.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError, LoadImageError
from digits.extensions.data.dicom import nifti, volumes
from digits.extensions.data.dicom.classes import Classes
from digits.extensions.data.dicom.geometry import Placement, as_it_lies
from digits.extensions.data.dicom.reading import read_header
from digits.extensions.data.dicom.scan import DIRECTORY, LABEL_MAP, SEGMENTATION, files_below, is_below
from digits.extensions.data.dicom.segmentation import Coverage, Segmentation, read_parts, read_segmentation
from digits.extensions.data.dicom.slices import Mask, Part, Slice
from digits.extensions.data.files.names import below, without_ending
from digits.extensions.data.files.pairs import match
from digits.extensions.data.image_segmentation.masks import read_values
from digits.utils.confinement import Confinement

PICTURES = (".png", ".tif", ".tiff", ".npy", ".bmp", ".pgm", ".gif")
JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
LOSSY = "JPEG changes class numbers; it is not used. Save masks as PNG."
VALUES = 1 << 16
ROUNDING = 1e-3  # that whole numbers may be off after a slope
NO_MASK = "has no mask"
NAMES_ADVICE = "Give the mask file the path of the picture below its folder, or a DICOM-SEG that refers to it."


@dataclass
class MaskFiles:
    """What lies in a mask folder: pictures, volumes by path, segmentations, (file, reason) of what cannot be used, and how many
    files are of other kinds, by ending."""

    root: str
    pictures: list[str] = field(default_factory=list)
    volumes: dict[str, volumes.Volume] = field(default_factory=dict)
    segmentations: list[Segmentation] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


def find_masks(folder: Path, allowed: Confinement, root: str) -> MaskFiles:
    """The masks below a folder; pictures below `root` are not counted as files of other kinds. Raises Forbidden."""
    found = MaskFiles(str(folder).rstrip("/"))
    nifti_files = {}
    for path in files_below(folder, allowed):
        name, lower = below(found.root, path), path.lower()
        if lower.endswith(nifti.ENDINGS):
            nifti_files[path] = name
        elif lower.endswith(PICTURES):
            found.pictures.append(path)
        elif lower.endswith(JPEG):
            found.faults.append((name, LOSSY))
        else:
            _add_segmentation(path, name, found, root)
    headers, faults = volumes.read_headers(nifti_files)
    found.volumes = {volume.path: volume for volume in headers}
    found.faults += faults
    return found


def assign(slices: Sequence[Slice], root: str, found: MaskFiles, coverage: Coverage) -> list[Slice]:
    """The slices, each with its mask or the reason why it has none."""
    by_name, leftover = _by_names(slices, root, found)
    by_place = _by_places([one for one in slices if (one.path, one.frame) not in by_name], leftover)
    assigned = []
    for one in slices:
        key = (one.path, one.frame)
        named, parts = by_name.get(key) or by_place.get(key), tuple(coverage.parts.get(key, ()))
        if parts and named is not None and not named.problem:
            files = " and ".join(sorted({part.name for part in parts} | {named.name}))
            mask = Mask(problem=f"It fits {files}: none is taken.")
        elif parts:
            mask = Mask(parts=parts)
        elif named is None and coverage.is_background(one):
            mask = Mask(parts=())
        else:
            mask = named or Mask(problem=NO_MASK)
        assigned.append(replace(one, mask=mask))
    return assigned


def read_mask(one: Slice, classes: Classes) -> tuple[NDArray[np.uint8], list[str]]:
    """The mask (H, W) of a slice, and what is to be said of it. Raises DataError where it has none that can be used."""
    mask = one.mask or Mask(problem=NO_MASK)
    if mask.problem:
        said = f"{one} has no mask." if mask.problem == NO_MASK else f"{one}: {mask.problem}"
        raise DataError(said, advice=NAMES_ADVICE if mask.problem == NO_MASK else "")
    notes = [mask.note] if mask.note else []
    if mask.parts is not None:
        drawn, overlaps = read_parts(one, mask.parts, classes.labels, classes.names)
        return drawn, notes + overlaps
    values = values_of(one, mask)
    if classes.values is None:
        return values.astype(np.uint8), notes
    table = np.full(VALUES, -1, np.int16)
    table[list(classes.values)] = list(classes.values.values())
    numbered = table[values]
    if (numbered < 0).any():
        row, column = np.argwhere(numbered < 0)[0]
        raise DataError(
            f"{mask.name} has the class number {values[row, column]} at x {column}, y {row}, which no class has.",
            advice="Name all classes, or none.",
        )
    return numbered.astype(np.uint8), notes


def values_of(one: Slice, mask: Mask) -> NDArray[Any]:
    """Values (H, W) of a picture or of the slice of a volume, from 0 to 65535. Raises DataError."""
    if mask.placement is not None:
        return _of_volume(one, mask, mask.placement)
    try:
        values = read_values(mask.path)
    except LoadImageError as error:
        raise DataError(f"{mask.name}: {error.message}", advice=error.advice) from error
    if values.shape != (one.rows, one.columns):
        height, width = values.shape
        raise DataError(f"{mask.name} is {width}x{height}, its picture {one.columns}x{one.rows} pixels.")
    return values


def _of_volume(one: Slice, mask: Mask, placement: Placement) -> NDArray[np.int64]:
    try:
        volume = nifti.read_volume(mask.path)
    except DataError as error:
        raise DataError(f"{mask.name}: {error.message}", advice=error.advice) from error
    return class_numbers(placement.cut(volume, one.rows, one.columns), mask.name)


def class_numbers(values: NDArray[Any], name: str) -> NDArray[np.int64]:
    """The values of a mask (any shape) as whole numbers from 0 to 65535. Raises DataError, with the name of its file, for
    others."""
    if values.dtype.kind == "f" and not (np.isfinite(values) & (np.abs(values - np.rint(values)) < ROUNDING)).all():
        raise DataError(f"{name} holds numbers that are no whole class numbers.", advice="Save the mask as whole numbers.")
    low, high = values.min(), values.max()
    if low < 0 or high >= VALUES:
        raise DataError(f"{name} holds values from {low:g} to {high:g}.", advice=f"A mask has values from 0 to {VALUES - 1}.")
    return np.rint(values).astype(np.int64)


def _add_segmentation(path: str, name: str, found: MaskFiles, root: str) -> None:
    try:
        header = read_header(path, ["SOPClassUID"])
        kind = None if header is None else header.get("SOPClassUID")
        if kind in (SEGMENTATION, LABEL_MAP):
            found.segmentations.append(read_segmentation(path, name))
        elif header is None:
            found.others[os.path.splitext(path)[1].lower()] += 1
        elif kind != DIRECTORY and not is_below(path, root):
            found.others["DICOM without segments"] += 1
    except DataError as error:
        found.faults.append((name, str(error)))


def _by_names(slices: Sequence[Slice], root: str, found: MaskFiles) -> tuple[dict[tuple[str, int], Mask], list[volumes.Volume]]:
    """Masks by the paths of picture and mask, and the volumes that no file has the path of."""
    frames: dict[str, list[Slice]] = defaultdict(list)
    for one in slices:
        frames[one.path].append(one)
    pairs = match(root, list(frames), found.root, [*found.pictures, *found.volumes])
    masks: dict[tuple[str, int], Mask] = {}
    for picture, path in pairs.pairs:
        masks |= dict(_of_file(frames[picture], path, found))
    for picture, reason in pairs.unclear:
        masks |= {(one.path, one.frame): Mask(problem=reason) for one in frames[picture]}
    taken = {path for _, path in pairs.pairs}
    return masks, [volume for path, volume in found.volumes.items() if path not in taken]


def _of_file(frames: Sequence[Slice], path: str, found: MaskFiles) -> Iterator[tuple[tuple[str, int], Mask]]:
    name = below(found.root, path)
    if path in found.volumes:
        yield from _as_masks(volumes.of_file(frames, found.volumes[path]))
        return
    for one in frames:
        problem = f"{name} is one picture, {one.name} has {len(frames)} frames." if len(frames) > 1 else ""
        yield (one.path, one.frame), Mask(problem=problem) if problem else Mask(path, name)


def _by_places(slices: Sequence[Slice], left: Sequence[volumes.Volume]) -> dict[tuple[str, int], Mask]:
    """Volumes of whole series, which lie in several files."""
    if not left:
        return {}
    series: dict[tuple[str, str], list[Slice]] = defaultdict(list)
    for one in slices:
        series[os.path.dirname(one.path), one.series].append(one)
    found: dict[tuple[str, int], Mask] = {}
    for (folder, _), some in series.items():
        found |= dict(_as_masks(volumes.of_series(some, folder, left)))
    return found


def _as_masks(places: dict[tuple[str, int], volumes.Place]) -> Iterator[tuple[tuple[str, int], Mask]]:
    for key, place in places.items():
        if place.volume is None:
            yield key, Mask(problem=place.problem)
        else:
            yield key, Mask(place.volume.path, place.volume.name, place.placement, note=place.note)


def of_older_job(one: Slice, userdata: Mapping[str, Any]) -> tuple[Slice, Classes]:
    """A slice with its mask, in a data set of a version that kept masks by base name and by SOP instance."""
    names = [str(name) for name in userdata["class_labels"]]
    classes = Classes(names, labels={str(number): number for number in range(len(names))})
    path = userdata["masks_by_name"].get(without_ending(os.path.basename(one.path)), "")
    if frames := userdata["masks_by_instance"].get(one.uid):
        parts = (Part(file, os.path.basename(file), frame, 1, ((1, str(number)),)) for file, frame, number in frames)
        mask = Mask(parts=tuple(parts))
    elif path:
        mask = Mask(path, os.path.basename(path), as_it_lies(one.frame) if path.lower().endswith(nifti.ENDINGS) else None)
    else:
        mask = Mask(problem=NO_MASK)
    return replace(one, mask=mask), classes
