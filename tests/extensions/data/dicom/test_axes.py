"""How volumes are turned to axial slices, against NiBabel, and how files that end too early are seen."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digits.errors import DataError
from digits.extensions.data.dicom import nifti
from digits.extensions.data.dicom.geometry import axial
from tests.extensions.data.dicom.making import write_nifti

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@given(
    axes=st.permutations(range(3)),
    flips=st.tuples(*[st.sampled_from([1, -1])] * 3),
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    tilt=st.floats(-0.3, 0.3),
)
def test_slices_lie_as_nibabel_says(axes: list[int], flips: tuple[int, ...], shape: tuple[int, int, int], tilt: float) -> None:
    turn = np.zeros((3, 3))
    turn[axes, range(3)] = flips
    lean = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = lean @ turn * (1.0, 1.5, 3.0), (5, -7, 11)
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    image = nibabel.Nifti1Image(values, affine)
    wanted = nibabel.orientations.axcodes2ornt("LPS")
    change = nibabel.orientations.ornt_transform(nibabel.orientations.io_orientation(affine), wanted)
    expected = image.as_reoriented(change)

    found = axial(shape, RAS_TO_LPS @ affine)
    assert found is not None
    turned, places = found
    np.testing.assert_array_equal(turned(values), np.asarray(expected.dataobj).transpose(2, 1, 0))
    np.testing.assert_allclose(RAS_TO_LPS @ places, expected.affine, atol=1e-9)


def test_axes_between_the_patients_are_none() -> None:
    affine = np.eye(4)
    affine[:3, :3] = [[1, 0.9, 0], [1, 0.9, 0.1], [0, 0.1, 1]]
    assert axial((2, 2, 2), affine) is None


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_as_long_as_its_header_says_or_that_is_said(packed: bool, tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 1000, (9, 8, 7)).astype(np.int16)
    data = write_nifti(tmp_path / "whole.nii", volume).read_bytes()

    def check(content: bytes) -> None:
        path = tmp_path / "v.nii"
        path.write_bytes(content)
        nifti.check_length(str(path), nifti.read_header(str(path)))

    pack = gzip.compress if packed else bytes
    for whole in (pack(data), pack(data + b"more"), pack(data[:600]) + pack(data[600:]) if packed else data):
        check(whole)
    with pytest.raises(DataError, match=f"It ends after {len(data) - 1} of {len(data)} bytes"):
        check(pack(data[:-1]))
    with pytest.raises(DataError, match="EOFError" if packed else "It ends after"):
        check(pack(data)[:-30])
