"""DICOM-SEG: segments by label, frames by what they refer to or where they lie, overlaps, fractions and label maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.pixels import pack_bits
from pydicom.sequence import Sequence as Items

from digits.errors import DataError
from digits.extensions.data.dicom.scan import LABEL_MAP
from tests.extensions.data.dicom.making import AXIAL, item, masked, masks_of, reasons, seg_frame, write_seg
from tests.extensions.data.test_dicom import write

TOP, LEFT = np.array([[1, 1], [0, 0]]), np.array([[1, 0], [1, 0]])


def pictures(root: Path, count: int = 1, **tags: Any) -> list[str]:
    """Pictures of one series, a millimetre above each other; their instances."""
    places = [{**AXIAL, "ImagePositionPatient": [0, 0, number], "FrameOfReferenceUID": "1.2.9"} for number in range(count)]
    return [
        write(root / "d" / f"{number}.dcm", np.zeros((2, 2)), SeriesInstanceUID="1.2.3", **place, **tags).SOPInstanceUID
        for number, place in enumerate(places)
    ]


def test_segments_of_several_files_are_joined_by_label(tmp_path: Path) -> None:
    """Each file counts from 1: what is called alike is one class, everything else stays apart."""
    (uid,) = pictures(tmp_path)
    for name, plane, label in (("a", TOP, "Liver"), ("b", LEFT, "Tumour"), ("c", np.array([[0, 0], [0, 1]]), "Liver")):
        write_seg(tmp_path / "m" / f"{name}.dcm", plane[np.newaxis], [seg_frame(uid, segment=1)], {1: label})
    found = masked(tmp_path)
    assert found.userdata["class_labels"] == ["background", "Liver", "Tumour"]
    (entry,) = found.itemize_entries("train_db")
    sample = found.encode_entry(entry)
    assert sample[1][0].tolist() == [[2, 1], [2, 1]]
    assert sample.notes == [("mask", "1 pixels are both Liver and Tumour; they count as Tumour.")]


def test_names_choose_among_the_labels(tmp_path: Path) -> None:
    (uid,) = pictures(tmp_path)
    frames = [seg_frame(uid, segment=number) for number in (1, 2)]
    write_seg(tmp_path / "m" / "s.dcm", np.stack([TOP, LEFT]), frames, {1: "Liver", 2: "Tumour"})
    chosen = masked(tmp_path, class_names="nothing, Tumour")
    assert masks_of(chosen) == {"0.dcm": LEFT.tolist()}
    assert reasons(chosen) == [": The segment 'Liver' is not among the class names; it counts as background."]
    by_number = masked(tmp_path, class_names="back, one, two")
    assert masks_of(by_number) == {"0.dcm": [[2, 1], [2, 0]]}
    with pytest.raises(DataError, match="The segments are called Liver, Tumour"):
        masked(tmp_path, class_names="back, one")


def test_a_slice_of_the_series_without_a_frame_is_background(tmp_path: Path) -> None:
    uids = pictures(tmp_path, 2)
    write_seg(tmp_path / "m" / "s.dcm", TOP[np.newaxis], [seg_frame(uids[1], segment=1)], {1: "Liver"})
    assert masks_of(masked(tmp_path)) == {"0.dcm": [[0, 0], [0, 0]], "1.dcm": TOP.tolist()}


def test_frames_that_name_no_segment(tmp_path: Path) -> None:
    """One segment needs no name; of two nothing tells which is meant, so that the file is none."""
    (uid,) = pictures(tmp_path)
    write_seg(tmp_path / "m" / "s.dcm", TOP[np.newaxis], [seg_frame(uid)], {1: "Liver"})
    assert masks_of(masked(tmp_path)) == {"0.dcm": TOP.tolist()}
    write_seg(tmp_path / "m" / "s.dcm", TOP[np.newaxis], [seg_frame(uid)], {1: "Liver", 2: "Tumour"})
    with pytest.raises(DataError, match=r"s\.dcm: 1 of its 1 frames do not say of which segment"):
        masked(tmp_path)


def test_a_segmentation_of_another_series_is_named(tmp_path: Path) -> None:
    pictures(tmp_path)
    write_seg(tmp_path / "m" / "s.dcm", TOP[np.newaxis], [seg_frame("1.9", segment=1)], {1: "Liver"})
    with pytest.raises(DataError, match=r"s\.dcm: 1 of its 1 frames lie on no picture"):
        masked(tmp_path)


def test_frames_that_refer_to_nothing_are_placed_by_position(tmp_path: Path) -> None:
    """And cut, where they cover less than the picture."""
    pictures(tmp_path, 3)
    frames = [seg_frame(segment=1, position=[0, 0, 2]), seg_frame(segment=1, position=[1, 1, 1]), seg_frame(segment=1)]
    series = Items([item(SeriesInstanceUID="1.2.3")])
    planes = np.stack([TOP, np.ones((2, 2), int), TOP])
    tags = {"FrameOfReferenceUID": "1.2.9", "ReferencedSeriesSequence": series}
    write_seg(tmp_path / "m" / "s.dcm", planes, frames, {1: "Liver"}, **tags)
    found = masked(tmp_path)
    assert masks_of(found) == {"0.dcm": [[0, 0], [0, 0]], "1.dcm": [[0, 0], [0, 1]], "2.dcm": TOP.tolist()}
    assert reasons(found) == ["s.dcm: 1 of its 3 frames lie on no picture of the folder."]


def test_a_frame_that_names_the_whole_series_lies_in_its_plane(tmp_path: Path) -> None:
    uids = pictures(tmp_path, 3)
    frame = seg_frame(segment=1, position=[0, 0, 1])
    origins = Items([item(ReferencedSOPInstanceUID=uid) for uid in uids])
    frame.DerivationImageSequence = Items([item(SourceImageSequence=origins)])
    write_seg(tmp_path / "m" / "s.dcm", TOP[np.newaxis], [frame], {1: "Liver"})
    assert masks_of(masked(tmp_path))["1.dcm"] == TOP.tolist()
    assert masks_of(masked(tmp_path))["0.dcm"] == [[0, 0], [0, 0]]


def test_fractions_count_from_a_half_and_that_is_said(tmp_path: Path) -> None:
    (uid,) = pictures(tmp_path)
    tags = {"SegmentationType": "FRACTIONAL", "MaximumFractionalValue": 100}
    write_seg(tmp_path / "m" / "s.dcm", np.array([[[0, 49], [50, 100]]]), [seg_frame(uid, segment=1)], {1: "Liver"}, **tags)
    found = masked(tmp_path)
    assert masks_of(found) == {"0.dcm": [[0, 0], [1, 1]]}
    assert reasons(found) == ["s.dcm: It is fractional: values from 50 on count as the segment."]


def test_label_maps(tmp_path: Path) -> None:
    (uid,) = pictures(tmp_path)
    tags = {"SOPClassUID": LABEL_MAP, "SegmentationType": "LABELMAP"}
    labels = {0: "Background", 3: "Liver", 7: "Tumour"}
    write_seg(tmp_path / "m" / "s.dcm", np.array([[[0, 3], [7, 3]]]), [seg_frame(uid)], labels, **tags)
    found = masked(tmp_path)
    assert found.userdata["class_labels"] == ["background", "Liver", "Tumour"]
    assert masks_of(found) == {"0.dcm": [[0, 1], [2, 1]]}
    write_seg(tmp_path / "m" / "s.dcm", np.array([[[0, 3], [9, 3]]]), [seg_frame(uid)], labels, **tags)
    found = masked(tmp_path)
    with pytest.raises(DataError, match="s.dcm has pixels of the segment 9, which it does not list"):
        masks_of(found)


def test_a_picture_with_a_mask_of_two_kinds_has_none(tmp_path: Path) -> None:
    from PIL import Image

    uids = pictures(tmp_path, 2)
    write_seg(tmp_path / "m" / "s.dcm", TOP[np.newaxis], [seg_frame(uids[0], segment=1)], {1: "Liver"})
    Image.fromarray(np.ones((2, 2), np.uint8)).save(tmp_path / "m" / "0.png")
    found = masked(tmp_path)
    assert list(masks_of(found)) == ["1.dcm"]
    assert reasons(found) == ["0.dcm: It fits 0.png and s.dcm: none is taken."]


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_frames_of_packed_bits_equal_pydicom(tmp_path: Path, data: st.DataObject) -> None:
    """One bit a pixel, frames that begin within a byte, referring to frames of one picture by number."""
    rows, columns, count = (data.draw(st.integers(1, 5)) for _ in range(3))
    planes = np.array(data.draw(st.lists(st.integers(0, 1), min_size=rows * columns * count, max_size=rows * columns * count)))
    planes = planes.reshape(count, rows, columns)
    places = data.draw(st.lists(st.integers(1, count), min_size=count, max_size=count))
    picture = write(tmp_path / "d" / "a.dcm", np.zeros((count, rows, columns)))
    frames = [seg_frame(picture.SOPInstanceUID, place, segment=1) for place in places]
    packed = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": pack_bits(planes.astype(np.uint8), pad=True)}
    write_seg(tmp_path / "m" / "s.dcm", planes, frames, {1: "Liver"}, **packed)
    read = pydicom.dcmread(tmp_path / "m" / "s.dcm").pixel_array.reshape(planes.shape)
    expected = np.zeros((count, rows, columns), int)
    for place, plane in zip(places, read, strict=True):
        expected[place - 1] |= plane
    assert list(masks_of(masked(tmp_path)).values()) == expected.tolist()
