"""NIfTI masks: every voxel lands on the pixel that lies at its place in the patient, however the volume is turned."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digits.errors import DataError
from digits.extensions.data.dicom import nifti
from tests.extensions.data.dicom.making import masked, masks_of, reasons, write_nifti
from tests.extensions.data.test_dicom import write

RAS = np.diag([-1.0, -1, 1, 1])  # from LPS
SHAPE = (3, 4, 5)  # slices, rows, columns
LABELS = np.random.default_rng(3).integers(0, 4, SHAPE).astype(np.uint8)
FEW = settings(max_examples=30, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def series(folder: Path, directions: np.ndarray, spacing: tuple[float, float, float], origin: np.ndarray, order: Any) -> None:
    """A file for each slice; `directions` has the unit vectors of rows, columns and slices, `order` the names of the slices."""
    along_row, along_column, along_slices = directions
    for number, name in enumerate(order):
        position = origin + along_slices * spacing[2] * number
        tags = {
            "ImageOrientationPatient": [*along_row, *along_column],
            "ImagePositionPatient": list(position),
            "PixelSpacing": [spacing[0], spacing[1]],
            "SeriesInstanceUID": "1.2.3",
        }
        write(folder / f"{name}.dcm", np.zeros(SHAPE[1:]), **tags)


@FEW
@given(data=st.data(), compressed=st.booleans(), order=st.sampled_from("<>"))
def test_a_volume_of_a_series_is_found_by_position(tmp_path: Path, data: st.DataObject, compressed: bool, order: str) -> None:
    """The oracle: a voxel's place by the affine alone. Axes are permuted and mirrored, files named in any order."""
    for old in tmp_path.rglob("*.*"):
        old.unlink()
    quarter = data.draw(st.floats(-3, 3))
    turn = np.array([[np.cos(quarter), -np.sin(quarter), 0], [np.sin(quarter), np.cos(quarter), 0], [0, 0, 1]])
    spacing = (data.draw(st.floats(0.3, 3)), data.draw(st.floats(0.3, 3)), data.draw(st.floats(0.5, 9)))
    origin = np.array([data.draw(st.floats(-200, 200)) for _ in range(3)])
    names = data.draw(st.permutations(range(SHAPE[0])))
    directions = np.eye(3) @ turn.T
    series(tmp_path / "d" / "case7", directions, spacing, origin, names)
    # (column, row, slice) -> LPS, then axes permuted and mirrored
    affine = np.eye(4)
    affine[:3] = np.column_stack([directions[0] * spacing[1], directions[1] * spacing[0], directions[2] * spacing[2], origin])
    axes = data.draw(st.permutations(range(3)))
    mirrored = data.draw(st.lists(st.booleans(), min_size=3, max_size=3))
    volume, change = LABELS.transpose(2, 1, 0).transpose(axes), np.zeros((4, 4))
    change[3, 3] = 1
    for new, old in enumerate(axes):
        size = volume.shape[new]
        change[old, new], change[old, 3] = (-1, size - 1) if mirrored[new] else (1, 0)
        volume = np.flip(volume, new) if mirrored[new] else volume
    path = write_nifti(tmp_path / "m" / "case7.nii", volume, RAS @ affine @ change, order=order)
    if compressed:
        path.with_name("case7.nii.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    expected = {f"case7/{name}.dcm": LABELS[number].tolist() for number, name in enumerate(names)}
    assert masks_of(masked(tmp_path)) == expected


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_types_and_scaling(tmp_path: Path, kind: str) -> None:
    path = write_nifti(tmp_path / "a.nii", np.arange(6).reshape(1, 2, 3).astype(kind), slope=(2.0, -1.0))
    np.testing.assert_array_equal(nifti.read_volume(str(path)), np.arange(6).reshape(1, 2, 3) * 2.0 - 1)


def test_the_qform_counts_where_there_is_no_sform(tmp_path: Path) -> None:
    """Half a turn about z: x and y point the other way, which in LPS is as DICOM has them."""
    move = np.eye(4)
    move[:3, 3] = (10, 20, 30)
    header = nifti.read_header(str(write_nifti(tmp_path / "a.nii", np.zeros((2, 2, 2), "u1"), move, quaternion=True)))
    np.testing.assert_allclose(header.matrix, [[1, 0, 0, -10], [0, 1, 0, -20], [0, 0, 1, 30], [0, 0, 0, 1]], atol=1e-6)


def test_a_volume_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    series(tmp_path / "d" / "s1", np.eye(3), (1, 1, 1), np.zeros(3), range(3))
    moved = RAS @ np.array([[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    write_nifti(tmp_path / "m" / "s1.nii", LABELS.transpose(2, 1, 0), moved)
    with pytest.raises(DataError, match="s1.nii lies elsewhere in the patient, or on another grid"):
        masked(tmp_path)


def test_two_volumes_of_one_place_are_both_named(tmp_path: Path) -> None:
    series(tmp_path / "d", np.eye(3), (1, 1, 1), np.zeros(3), range(3))
    for name in ("liver", "spleen"):
        write_nifti(tmp_path / "m" / f"{name}.nii", LABELS.transpose(2, 1, 0), RAS)
    with pytest.raises(DataError, match="It lies in liver.nii and spleen.nii: neither is taken"):
        masked(tmp_path)


def test_volumes_of_two_patients_are_told_apart_by_folder(tmp_path: Path) -> None:
    for name, labels in (("p1", LABELS), ("p2", LABELS[::-1])):
        series(tmp_path / "d" / name, np.eye(3), (1, 1, 1), np.zeros(3), range(3))
        write_nifti(tmp_path / "m" / name / "mask.nii", labels.transpose(2, 1, 0), RAS)
    found = masks_of(masked(tmp_path))
    assert [found[f"p1/{n}.dcm"] for n in range(3)] == LABELS.tolist()
    assert [found[f"p2/{n}.dcm"] for n in range(3)] == LABELS[::-1].tolist()


def test_a_series_without_positions_goes_by_instance_number(tmp_path: Path) -> None:
    for number, name in enumerate("cab"):
        write(tmp_path / "d" / "s1" / f"{name}.dcm", np.zeros(SHAPE[1:]), InstanceNumber=number + 1, SeriesInstanceUID="1.2")
    write_nifti(tmp_path / "m" / "s1.nii", LABELS.transpose(2, 1, 0))
    assert masks_of(masked(tmp_path)) == {f"s1/{name}.dcm": LABELS[number].tolist() for number, name in enumerate("cab")}


def test_a_volume_in_time_gives_each_frame_its_own(tmp_path: Path) -> None:
    labels = np.stack([LABELS, LABELS[:, ::-1]])  # two times
    write(tmp_path / "d" / "a.dcm", np.zeros((6, *SHAPE[1:])))
    write_nifti(tmp_path / "m" / "a.nii", labels.transpose(3, 2, 1, 0), RAS)
    found = list(masks_of(masked(tmp_path)).values())
    assert found == [labels[time, place].tolist() for time, place in itertools.product(range(2), range(3))]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data[:400], "It ends after 400 of 412 bytes"),
        (lambda data: b"x" * 600, "It is no NIfTI file"),
        (lambda data: data[:40] + b"\0\0" + data[42:], "It has the dimensions"),
        (lambda data: data[:70] + b"\x80\0" + data[72:], "values of a kind that is not read"),
        (lambda data: data[:344] + b"ni1\0" + data[348:], "another file"),
        (lambda data: gzip.compress(data)[:60], "cannot be read: EOFError"),
    ],
)
def test_damaged_volumes_are_listed(tmp_path: Path, change: Any, reason: str) -> None:
    write(tmp_path / "d" / "a.dcm", np.zeros((3, 4, 5)))
    write(tmp_path / "d" / "b.dcm", np.zeros((3, 4, 5)))
    for name in ("a", "b"):
        write_nifti(tmp_path / "m" / f"{name}.nii", LABELS.transpose(2, 1, 0))
    path = tmp_path / "m" / "a.nii"
    path.write_bytes(change(path.read_bytes()))
    found = masked(tmp_path)
    texts = reasons(found)
    for entry in found.itemize_entries("train_db"):
        try:
            found.encode_entry(entry)
        except DataError as error:
            texts.append(str(error))
    assert any(reason in text and "a.nii" in text for text in texts), texts


def test_soft_masks_are_no_classes(tmp_path: Path) -> None:
    write(tmp_path / "d" / "a.dcm", np.zeros((3, 4, 5)))
    write(tmp_path / "d" / "b.dcm", np.zeros((3, 4, 5)))
    write_nifti(tmp_path / "m" / "a.nii", LABELS.transpose(2, 1, 0) * np.float32(0.3))
    write_nifti(tmp_path / "m" / "b.nii", LABELS.transpose(2, 1, 0))
    found = masked(tmp_path)
    with pytest.raises(DataError, match="a.nii holds numbers that are no whole class numbers"):
        found.encode_entry(found.itemize_entries("train_db")[0])


@FEW
@given(data=st.data())
def test_headers_and_values_are_those_of_nibabel(tmp_path: Path, data: st.DataObject) -> None:
    """Random types, shapes, scalings, forms and codes, NIfTI-1 and 2, compressed or not, written by nibabel and read by both."""
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    kind = data.draw(st.sampled_from(["u1", "i1", "i2", "u2", "i4", "f4", "f8"]))
    shape = tuple(draw.integers(1, 6, 3 + data.draw(st.booleans())).tolist())
    values = draw.integers(0, 100, shape).astype(kind)
    affine = np.eye(4)
    affine[:3, :3] = np.linalg.qr(draw.normal(size=(3, 3)))[0] * draw.uniform(0.3, 4, 3)
    affine[:3, 3] = draw.uniform(-99, 99, 3)
    made = data.draw(st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]))(values, affine)
    made.set_qform(affine, code=data.draw(st.integers(0, 4)))
    made.set_sform(affine if data.draw(st.booleans()) else None, code=data.draw(st.integers(0, 4)))
    if data.draw(st.booleans()):
        made.header.set_slope_inter(data.draw(st.sampled_from([1.0, 0.5, -2.0])), data.draw(st.sampled_from([0.0, 3.0])))
    path = tmp_path / data.draw(st.sampled_from(["a.nii", "a.nii.gz"]))
    nibabel.save(made, path)
    read = type(made).from_filename(path)
    expected = np.asanyarray(read.dataobj)
    found = nifti.read_volume(str(path))
    np.testing.assert_allclose(found, expected.reshape((*shape[:2], -1), order="F"), rtol=1e-6)
    if read.header["qform_code"] or read.header["sform_code"]:
        np.testing.assert_allclose(RAS @ nifti.read_header(str(path)).matrix, read.affine, atol=2e-3)
