"""Which slice of which NIfTI volume a picture has: by the file's name, by the folder's, or by where both lie in the patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from digits.errors import DataError
from digits.extensions.data.dicom import geometry, nifti
from digits.extensions.data.dicom.geometry import Placement, placed
from digits.extensions.data.dicom.nifti import Header
from digits.extensions.data.dicom.slices import Slice
from digits.extensions.data.files.names import listed, neither, without_ending

AFFINE_ADVICE = "Save the mask with the affine of its series, as dcm2niix, NiBabel and SimpleITK do when they are given it."


@dataclass(frozen=True)
class Volume:
    """A file: its path, its name below the mask folder, and what its header says."""

    path: str
    name: str
    header: Header


@dataclass(frozen=True)
class Place:
    """The slice of a volume that a picture has; else `problem` says why it has none. `note`: what was assumed."""

    volume: Volume | None = None
    placement: Placement | None = None
    problem: str = ""
    note: str = ""


def of_file(slices: Sequence[Slice], volume: Volume) -> dict[tuple[str, int], Place]:
    """The slices of a volume that has the name of one file, whose frames are given in their order."""
    x, y, z, count = volume.header.shape
    places = {}
    seen: dict[Placement, int] = defaultdict(int)
    for order, one in enumerate(slices):
        place = _by_position(one, volume)
        if place is None:
            place = _by_order(one, volume, order, len(slices))
        elif place.placement is not None and count > 1:  # the same place once in each volume
            place = _in_time(place, seen[place.placement], volume)
        if place.placement is not None and not place.placement.covers((x, y, z * count), one.rows, one.columns):
            place = Place(problem=_size(volume, one))
        elif place.placement is not None and count > 1 and place.note == "":
            seen[replace(place.placement, start=(*place.placement.start[:2], place.placement.start[2] % z))] += 1
        places[one.path, one.frame] = place
    return places


def of_series(slices: Sequence[Slice], folder: str, volumes: Sequence[Volume]) -> dict[tuple[str, int], Place]:
    """The slices of volumes for a series of files in a folder; of those that lie there, the ones whose folder or name is nearest
    to the folder's. Slices that no volume has are left out."""
    nearest = max((_nearness(folder, volume) for volume in volumes), default=0)
    near = [volume for volume in volumes if _nearness(folder, volume) == nearest]
    placeable = [one for one in slices if one.plane is not None]
    if not placeable:
        return _of_named_series(slices, near) if nearest else {}
    ends = (placeable[0], placeable[-1])
    fitting = [volume for volume in near if any(_is_placed(one, volume) for one in ends)]
    if not fitting and nearest:
        reason = f"{listed([volume.name for volume in near])} lies elsewhere in the patient, or on another grid. {AFFINE_ADVICE}"
        return {(one.path, one.frame): Place(problem=reason) for one in slices}
    found = {}
    for one in placeable:
        places = [p for volume in fitting if (p := _by_position(one, volume)) is not None and p.placement is not None]
        places = [p for p in places if p.placement.covers(p.volume.header.shape, one.rows, one.columns)]  # type: ignore[union-attr]
        if len(places) > 1:
            names = [p.volume.name for p in places if p.volume is not None]
            found[one.path, one.frame] = Place(problem=f"It lies in {listed(names)}: {neither(names)} is taken.")
        elif places:
            found[one.path, one.frame] = places[0]
    return found


def _is_placed(one: Slice, volume: Volume) -> bool:
    place = _by_position(one, volume)
    return place is not None and place.placement is not None


def _of_named_series(slices: Sequence[Slice], volumes: Sequence[Volume]) -> dict[tuple[str, int], Place]:
    """Slices that do not say where they lie, in the order of their instance numbers."""
    ordered = sorted(slices, key=lambda one: (one.number, one.frame))
    if len(volumes) > 1 or len({(one.number, one.frame) for one in slices}) < len(slices):
        names = [volume.name for volume in volumes]
        reason = "The files of its series say neither where they lie nor in which order" if len(volumes) == 1 else "It may be of"
        problem = Place(problem=f"{reason}: {listed(names)} cannot be used for it. {AFFINE_ADVICE}")
        return {(one.path, one.frame): problem for one in slices}
    found = {}
    for order, one in enumerate(ordered):
        place = _by_order(one, volumes[0], order, len(ordered))
        x, y, z, count = volumes[0].header.shape
        fits = place.placement is None or place.placement.covers((x, y, z * count), one.rows, one.columns)
        found[one.path, one.frame] = place if fits else Place(problem=_size(volumes[0], one))
    return found


def _by_position(one: Slice, volume: Volume) -> Place | None:
    """Where both say where they lie; None where one of them does not."""
    header = volume.header
    if one.plane is None or not header.affine:
        return None
    found = placed(one.plane, one.rows, one.columns, header.matrix)
    if found is not None and found.covers(header.shape, one.rows, one.columns):
        return Place(volume, found)
    if header.means_nothing:
        return None
    return Place(problem=f"{volume.name} lies elsewhere in the patient, or on another grid. {AFFINE_ADVICE}")


def _by_order(one: Slice, volume: Volume, order: int, count: int) -> Place:
    """Where one of both does not say where it lies: the slices in their order, turned as the affine says if it says anything."""
    x, y, z, volumes = volume.header.shape
    if z * volumes != count:
        return Place(problem=f"{volume.name} has {z * volumes} slices, its picture {count}.")
    if volume.header.means_nothing:
        said = f"{volume.name} does not say where it lies: taken as columns, rows, slices." if one.plane is not None else ""
        return Place(volume, geometry.as_it_lies(order), note=said)
    found = geometry.assumed(volume.header.matrix, (x, y, z * volumes), order)
    return Place(volume, found) if found is not None else Place(problem=f"{volume.name} has no axes along the patient's.")


def _in_time(place: Place, before: int, volume: Volume) -> Place:
    """The slice of the volume after `before` others at the same place."""
    if place.placement is None:
        return place
    (x, y, z), steps = place.placement.start, (place.placement.down[2], place.placement.right[2])
    if any(steps) or before >= volume.header.shape[3]:
        return Place(problem=f"{volume.name} has {volume.header.shape[3]} volumes, which cannot be told apart here.")
    return replace(place, placement=replace(place.placement, start=(x, y, z + before * volume.header.shape[2])))


def _size(volume: Volume, one: Slice) -> str:
    x, y, _, _ = volume.header.shape
    return f"{volume.name} is {x}x{y}, its picture {one.columns}x{one.rows} pixels."


def _nearness(folder: str, volume: Volume) -> int:
    """How many folders at the end of `folder` are those of a volume, or end in its own name."""
    parts, own = Path(folder).parts, Path(without_ending(volume.name)).parts
    return max(_common_end(parts, own[:-1]), _common_end(parts, own))


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count


def read_headers(paths: Mapping[str, str]) -> tuple[list[Volume], list[tuple[str, str]]]:
    """The volumes of files (path to name), and (name, reason) of those that cannot be read."""
    volumes: list[Volume] = []
    faults: list[tuple[str, str]] = []
    for path, name in paths.items():
        try:
            volumes.append(Volume(path, name, nifti.read_header(path)))
        except DataError as error:
            faults.append((name, str(error)))
    return volumes, faults
