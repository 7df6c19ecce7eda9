"""DICOM-SEG: which segments there are, which frames of pictures they cover, and the mask of one frame.

Holds: a segment is a file, a number and a label. Equal labels are one class; different ones stay apart, whatever their numbers.
A frame of a segmentation belongs to the frames that it refers to; where it refers to none, to the slices of its series and frame
of reference that lie in its plane (PS3.3 C.8.20).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pydicom
from numpy.typing import NDArray

from digits.errors import DataError
from digits.extensions.data.dicom.geometry import Placement, Plane, placed, plane_of
from digits.extensions.data.dicom.reading import frames_of, item, numbers, open_file, stored_frame, unreadable, without_remarks
from digits.extensions.data.dicom.scan import LABEL_MAP
from digits.extensions.data.dicom.slices import Part, Slice, Values

BACKGROUND = "background"


@dataclass(frozen=True)
class Reference:
    """A picture that a frame was drawn on; `frames` from 0 on, empty: all of them."""

    uid: str
    frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One frame of a file; `segment` is None where its pixels hold the numbers of several."""

    number: int
    segment: int | None
    references: tuple[Reference, ...]
    plane: Plane | None


@dataclass(frozen=True)
class Segmentation:
    """One file: its segments by number, its frames, what it was drawn on. `least` is the pixel value from which a segment is
    there; `series` and `space` are empty where the file does not say them."""

    path: str
    name: str
    rows: int
    columns: int
    least: int
    fractional: bool
    segments: Mapping[int, str]
    frames: Sequence[Frame]
    series: frozenset[str]
    space: str


@dataclass
class Coverage:
    """Parts by slice, the series and instances that segmentations refer to, and (file, reason) of what could not be placed."""

    parts: dict[tuple[str, int], list[Part]] = field(default_factory=lambda: defaultdict(list))
    series: set[str] = field(default_factory=set)
    instances: set[str] = field(default_factory=set)
    faults: list[tuple[str, str]] = field(default_factory=list)

    def is_background(self, one: Slice) -> bool:
        """Whether somebody looked at a slice: no frame on it means that no segment is there."""
        return (bool(one.series) and one.series in self.series) or (bool(one.uid) and one.uid in self.instances)


@without_remarks()
def read_segmentation(path: str, name: str) -> Segmentation:
    """What a DICOM-SEG or label map says of itself. Raises DataError."""
    dataset = open_file(path)
    try:
        fractional = dataset.get("SegmentationType") == "FRACTIONAL"
        half = (int(dataset.get("MaximumFractionalValue") or 255) + 1) // 2
        by_pixel = dataset.get("SOPClassUID") == LABEL_MAP or dataset.get("SegmentationType") == "LABELMAP"
        segments = {int(s.SegmentNumber): str(s.get("SegmentLabel") or "").strip() for s in dataset.get("SegmentSequence") or []}
        frames = [_frame(dataset, number, by_pixel) for number in range(frames_of(dataset))]
        if len(segments) > 1 and not by_pixel:
            _check_named(dataset)
        used = {frame.segment for frame in frames if frame.segment is not None}
        return Segmentation(
            path,
            name,
            int(dataset.Rows),
            int(dataset.Columns),
            0 if by_pixel else half if fractional else 1,
            fractional,
            {number: segments.get(number) or str(number) for number in sorted({*segments, *used})},
            frames,
            frozenset(
                str(s.SeriesInstanceUID) for s in dataset.get("ReferencedSeriesSequence") or [] if "SeriesInstanceUID" in s
            ),
            str(dataset.get("FrameOfReferenceUID") or ""),
        )
    except DataError:
        raise
    except Exception as error:  # a damaged header gives values of any kind
        raise unreadable(error) from None


def labels_of(files: Iterable[Segmentation]) -> list[str]:
    """The labels of all segments but the background's, in the order of their least number."""
    least: dict[str, int] = {}
    for file in files:
        for number, label in file.segments.items():
            if not is_background(file, number):
                least[label] = min(number, least.get(label, number))
    return sorted(least, key=lambda label: (least[label], list(least).index(label)))


def is_background(file: Segmentation, number: int) -> bool:
    """Whether a segment is what is left over: the number 0 of a label map, or the label that says so."""
    return number == 0 or file.segments.get(number, "").casefold() == BACKGROUND


def cover(files: Sequence[Segmentation], slices: Sequence[Slice]) -> Coverage:
    """Which frames of segmentations lie on which slices."""
    found = Coverage()
    by_uid: dict[str, list[Slice]] = defaultdict(list)
    for one in slices:
        by_uid[one.uid].append(one)
    for file in files:
        found.series |= file.series
        around = [one for one in slices if one.plane is not None and _may_show(one, file)]
        origins = np.array([one.plane.origin for one in around if one.plane is not None]).reshape(-1, 3)
        lost = 0
        for frame in file.frames:
            if frame.references:
                chosen = _referred(file, frame, by_uid)
            else:
                chosen = _in_plane(file, frame, [around[row] for row in _near(frame, origins)])
            found.series |= {one.series for one, _ in chosen}
            found.instances |= {one.uid for one, _ in chosen}
            lost += not chosen
            for one, placement in chosen:
                part = Part(file.path, file.name, frame.number, file.least, _values(file, frame), placement)
                found.parts[one.path, one.frame].append(part)
        if lost:
            found.faults.append((file.name, f"{lost} of its {len(file.frames)} frames lie on no picture of the folder."))
    return found


def read_parts(
    one: Slice, parts: Sequence[Part], numbers_of: Mapping[str, int], names: Sequence[str]
) -> tuple[NDArray[np.uint8], list[str]]:
    """The mask (H, W) of a slice, 0 where no segment is, and what is to be said of it: where segments overlap, the class of the
    greatest number counts. `numbers_of` are the classes of labels, `names` those of classes. Raises DataError."""
    mask = np.zeros((one.rows, one.columns), np.uint8)
    overlaps: Counter[tuple[int, int]] = Counter()
    for part in parts:
        found = _classes(one, part, numbers_of)
        both = (mask > 0) & (found > 0) & (mask != found)
        lower, higher = np.minimum(mask, found)[both], np.maximum(mask, found)[both]
        overlaps.update(zip(lower.tolist(), higher.tolist(), strict=True))
        mask = np.maximum(mask, found)
    said = "{count} pixels are both {lower} and {higher}; they count as {higher}."
    return mask, [
        said.format(count=count, lower=names[lower], higher=names[higher]) for (lower, higher), count in sorted(overlaps.items())
    ]


def _frame(dataset: pydicom.Dataset, number: int, by_pixel: bool) -> Frame:
    identity = item(dataset, number, "SegmentIdentificationSequence")
    segment = None if by_pixel else int(identity.ReferencedSegmentNumber) if identity is not None else 1
    return Frame(number, segment, tuple(_references(dataset, number)), plane_of(dataset, number))


def _check_named(dataset: pydicom.Dataset) -> None:
    """Raises DataError where frames of several segments do not say which they are."""
    count = frames_of(dataset)
    silent = sum(item(dataset, number, "SegmentIdentificationSequence") is None for number in range(count))
    if silent:
        raise DataError(f"{silent} of its {count} frames do not say of which segment they are.", advice="Export the file again.")


def _references(dataset: pydicom.Dataset, frame: int) -> Iterable[Reference]:
    derivation = item(dataset, frame, "DerivationImageSequence")
    for source in (derivation.get("SourceImageSequence") or []) if derivation is not None else []:
        frames = tuple(int(number) - 1 for number in numbers(source.get("ReferencedFrameNumber")))
        yield Reference(str(source.get("ReferencedSOPInstanceUID") or ""), frames)


def _may_show(one: Slice, file: Segmentation) -> bool:
    """Whether a slice is of the series and of the frame of reference that a file names; one of both must be named."""
    same_series, same_space = one.series in file.series, bool(file.space) and one.space == file.space
    return same_space and (same_series or not file.series) or (same_series and not (file.space and one.space))


def _near(frame: Frame, origins: NDArray[np.float64]) -> list[int]:
    """The slices, by their `origins` (n, 3), whose planes are at most a millimetre off that of a frame."""
    if frame.plane is None or not len(origins):
        return []
    normal = frame.plane.affine[:3, 2]
    return np.flatnonzero(np.abs((origins - np.array(frame.plane.origin)) @ normal) < 1).tolist()


def _in_plane(file: Segmentation, frame: Frame, slices: Iterable[Slice]) -> list[tuple[Slice, Placement | None]]:
    return [(one, found) for one in slices if (found := _placed(file, frame, one)) is not None]


def _referred(file: Segmentation, frame: Frame, by_uid: Mapping[str, list[Slice]]) -> list[tuple[Slice, Placement | None]]:
    """The slices that a frame refers to: of several among which it does not choose by number, those in its plane."""
    named = [
        (one, bool(reference.frames))
        for reference in frame.references
        for one in by_uid.get(reference.uid, ())
        if not reference.frames or one.frame in reference.frames
    ]
    in_plane = _in_plane(file, frame, [one for one, _ in named])
    if in_plane and len(named) > 1 and not all(exact for _, exact in named):
        return in_plane
    return [(one, _placed(file, frame, one)) for one, _ in named]


def _placed(file: Segmentation, frame: Frame, one: Slice) -> Placement | None:
    """How the pixels of a frame lie on a slice of the same plane; None where the planes differ or are not known."""
    if frame.plane is None or one.plane is None:
        return None
    found = placed(one.plane, one.rows, one.columns, frame.plane.affine)
    return found if found is not None and found.start[2] == 0 else None


def _values(file: Segmentation, frame: Frame) -> Values:
    segments = file.segments if frame.segment is None else [frame.segment]
    return tuple((number, "" if is_background(file, number) else file.segments[number]) for number in segments)


@without_remarks()
def _classes(one: Slice, part: Part, numbers_of: Mapping[str, int]) -> NDArray[np.uint8]:
    """The classes (H, W) of one part, 0 where its segment is not. Raises DataError."""
    dataset = open_file(part.path)
    try:
        plane, padding = stored_frame(dataset, part.frame, raw=True), dataset.get("PixelPaddingValue")
    except Exception as error:  # pydicom and the libraries it decodes with raise many kinds
        raise DataError(f"{part.name}: the pixels cannot be read: {type(error).__name__}: {error}") from error
    if part.placement is not None and plane.ndim == 2:
        plane = part.placement.cut(plane.T[:, :, np.newaxis], one.rows, one.columns)
    if plane.shape != (one.rows, one.columns):
        size = "x".join(map(str, plane.shape[1::-1]))
        raise DataError(f"{part.name} is {size}, its picture {one.columns}x{one.rows} pixels.")
    if part.least:
        return np.where(plane >= part.least, numbers_of.get(part.values[0][1], 0), 0).astype(np.uint8)
    labels = {0: "", **dict(part.values)}
    if isinstance(padding, int):  # what is no segment (PS3.3 C.8.20.2)
        labels.setdefault(padding, "")
    classes = np.zeros(plane.shape, np.uint8)
    for value in np.unique(plane).tolist():
        if value not in labels:
            raise DataError(f"{part.name} has pixels of the segment {value}, which it does not list.")
        classes[plane == value] = numbers_of.get(labels[value], 0)
    return classes
