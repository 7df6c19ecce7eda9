"""Each case that was once read wrongly, by its name: the right values out of the samples that become records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.sequence import Sequence as Items

from tests.extensions.data.dicom.making import item, masked, masks_of, reasons, seg_frame, write_nifti, write_seg
from tests.extensions.data.test_dicom import only, source, write

VALUES = np.array([[0, 100, 200, 300], [400, 500, 600, 4095]])


def features(folder: Path, **values: Any) -> dict[str, Any]:
    found = source(folder, **values)
    return {str(entry): found.encode_entry(entry)[0].tolist() for entry in found.itemize_entries("train_db")}


def test_dicom_enhanced_rescale_shared(tmp_path: Path) -> None:
    """Shared by all frames, and each frame's own."""
    shared = item(PixelValueTransformationSequence=Items([item(RescaleSlope=1, RescaleIntercept=-1024)]))
    own = [item(PixelValueTransformationSequence=Items([item(RescaleSlope=n, RescaleIntercept=-10)])) for n in (2, 3)]
    planes = np.stack([np.full((2, 2), 1024), np.full((2, 2), 1124)])
    write(tmp_path / "shared.dcm", planes, SharedFunctionalGroupsSequence=Items([shared]))
    write(
        tmp_path / "own.dcm",
        planes,
        SharedFunctionalGroupsSequence=Items([shared]),
        PerFrameFunctionalGroupsSequence=Items(own),
    )
    found = {name: values[0][0][0] for name, values in features(tmp_path).items()}
    assert found == {"shared.dcm": 0, "shared.dcm#1": 100, "own.dcm": 2038, "own.dcm#1": 3362}


def test_dicom_grey_and_rgb(tmp_path: Path) -> None:
    """Colour among grey values with a meaning is left out and listed."""
    write(tmp_path / "a_grey.dcm", np.full((8, 8), 5))
    write_rgb(tmp_path / "b_rgb.dcm", np.full((8, 8, 3), 5))
    found = source(tmp_path)
    assert [str(entry) for entry in found.itemize_entries("train_db")] == ["a_grey.dcm"]
    assert only(found)[0].tolist() == [np.full((8, 8), 5).tolist()]
    assert reasons(found) == ["b_rgb.dcm: It is a colour picture among grey ones; its values mean something else."]


def test_grey_of_eight_bits_joins_colour_and_the_other_way_round(tmp_path: Path) -> None:
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": bytes([7] * 4)}
    for name in ("a", "b"):
        write_rgb(tmp_path / "colour" / f"{name}.dcm", np.full((2, 2, 3), (200, 100, 50)))
        write(tmp_path / "grey" / f"{name}.dcm", np.full((2, 2), 7), **eight)
    write(tmp_path / "colour" / "c.dcm", np.full((2, 2), 7), **eight)
    write_rgb(tmp_path / "grey" / "c.dcm", np.full((2, 2, 3), (200, 100, 50)))
    assert np.array(features(tmp_path / "colour")["c.dcm"])[:, 0, 0].tolist() == [7, 7, 7]
    luminance = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)  # ITU-R BT.601
    assert np.array(features(tmp_path / "grey")["c.dcm"])[:, 0, 0].tolist() == [luminance]


def write_rgb(path: Path, values: np.ndarray) -> None:
    tags = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    data = values.astype(np.uint8).tobytes()
    write(path, values[:, :, 0], **tags, BitsAllocated=8, BitsStored=8, HighBit=7, PixelData=data)


def test_dicom_monochrome1_window(tmp_path: Path) -> None:
    """The window first, then black and white change places."""
    write(tmp_path / "a.dcm", VALUES, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
    write(tmp_path / "b.dcm", VALUES, BitsStored=12, HighBit=11)
    found = features(tmp_path, window_center=300.0, window_width=401.0)
    assert found["a.dcm"] == [[[255, 255, 191, 127], [63, 0, 0, 0]]]
    assert found["b.dcm"] == [[[0, 0, 64, 128], [192, 255, 255, 255]]]


def test_monochrome1_is_turned_within_the_bits_stored(tmp_path: Path) -> None:
    """Of 12 bits, of signed ones, and after a rescale: never by the values that a file happens to have."""
    turned = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    write(tmp_path / "a.dcm", np.array([[10, 30]]), **turned)
    write(tmp_path / "b.dcm", np.array([[10, 30]]), PixelRepresentation=1, **turned)
    write(tmp_path / "c.dcm", np.array([[10, 30]]), RescaleSlope=2, RescaleIntercept=-100, **turned)
    assert features(tmp_path) == {"a.dcm": [[[4085, 4065]]], "b.dcm": [[[-11, -31]]], "c.dcm": [[[8070, 8030]]]}


def test_dicom_palette(tmp_path: Path) -> None:
    tables = {"Red": [255, 0, 0, 10], "Green": [0, 255, 0, 20], "Blue": [0, 0, 255, 30]}
    tags: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, entries in tables.items():
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = (np.array(entries) * 257).astype("<u2").tobytes()
    write(tmp_path / "a.dcm", np.array([[0, 1], [2, 3]]), **tags)
    feature, _ = only(source(tmp_path))
    assert feature.dtype == np.uint8
    assert feature.reshape(3, 4).tolist() == list(tables.values())


def test_dicom_no_preamble(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", VALUES)
    dataset = write(tmp_path / "b.dcm", VALUES)
    del dataset.file_meta
    dataset.save_as(tmp_path / "b.dcm", implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert (tmp_path / "b.dcm").read_bytes()[:2] == b"\x08\x00"
    assert features(tmp_path) == {"a.dcm": [VALUES.tolist()], "b.dcm": [VALUES.tolist()]}


def test_dicom_same_name_two_series(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / "d" / f"s{number}" / "IM1.dcm", np.zeros((2, 2)))
        (tmp_path / "m" / f"s{number}").mkdir(parents=True)
        Image.fromarray(np.full((2, 2), number, np.uint8)).save(tmp_path / "m" / f"s{number}" / "IM1.png")
    assert masks_of(masked(tmp_path)) == {f"s{n}/IM1.dcm": [[n, n], [n, n]] for n in (1, 2)}


def test_a_mask_that_fits_two_pictures_fits_none(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / "d" / f"s{number}" / "IM1.dcm", np.zeros((2, 2)))
    write(tmp_path / "d" / "s2" / "IM2.dcm", np.zeros((2, 2)))
    (tmp_path / "m").mkdir()
    for name in ("IM1", "IM2"):
        Image.fromarray(np.ones((2, 2), np.uint8)).save(tmp_path / "m" / f"{name}.png")
    found = masked(tmp_path)
    assert list(masks_of(found)) == ["s2/IM2.dcm"]
    assert all("s1/IM1.dcm and s2/IM1.dcm" in reason for reason in reasons(found))
    assert len(reasons(found)) == 2


def test_dicom_seg_multiframe(tmp_path: Path) -> None:
    picture = write(tmp_path / "d" / "a.dcm", np.zeros((3, 2, 2)))
    write_seg(tmp_path / "m" / "s.dcm", np.ones((1, 2, 2)), [seg_frame(picture.SOPInstanceUID, 2, 1)], {1: "Liver"})
    found = masked(tmp_path)
    assert masks_of(found) == {"a.dcm": [[0, 0], [0, 0]], "a.dcm#1": [[1, 1], [1, 1]], "a.dcm#2": [[0, 0], [0, 0]]}
    assert found.userdata["class_labels"] == ["background", "Liver"]


def test_dicom_nifti_flipped(tmp_path: Path) -> None:
    """dcm2niix turns the rows of axial slices, and says so in the affine."""
    plane = np.zeros((8, 8), np.uint8)
    plane[1, 2] = 1
    write(tmp_path / "d" / "vol.dcm", np.zeros((2, 8, 8)))
    volume = np.stack([plane.T[:, ::-1], plane.T[:, ::-1] * 0], axis=2)
    write_nifti(tmp_path / "m" / "vol.nii", volume, np.array([[-1, 0, 0, 0], [0, 1, 0, -7], [0, 0, 1, 0], [0, 0, 0, 1]]))
    assert masks_of(masked(tmp_path)) == {"vol.dcm": plane.tolist(), "vol.dcm#1": (plane * 0).tolist()}
