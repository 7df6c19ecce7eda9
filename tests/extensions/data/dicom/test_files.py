"""Which files are pictures: hidden ones, other kinds, damaged ones; and that no mutation of a file ends more than itself."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.sequence import Sequence as Items
from pydicom.uid import MediaStorageDirectoryStorage

from digits.errors import DataError
from digits.extensions.data.dicom.reading import is_dicom
from tests.extensions.data.dicom.making import AXIAL, item, masked, masks_of, reasons, seg_frame, write_nifti, write_seg
from tests.extensions.data.test_dicom import SECRET, only, source, write

MUTATIONS = 20
MADE = ["picture", "enhanced", "seg", "nifti"]


def test_other_files_are_counted_and_hidden_ones_are_not_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "IM1", np.zeros((2, 2)))
    report = write(tmp_path / "report.dcm", np.zeros((2, 2)))
    del report.Rows, report.Columns, report.PixelData
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    directory = write(tmp_path / "sub" / "DICOMDIR", np.zeros((2, 2)), SOPClassUID=MediaStorageDirectoryStorage)
    del directory.Rows
    directory.save_as(tmp_path / "sub" / "DICOMDIR", enforce_file_format=True)
    for name in ("._IM1", ".DS_Store", "Thumbs.db", "a.txt", "b.txt", "c.xml"):
        (tmp_path / name).write_bytes(b"\x08\x00 text" * 30)
    found = source(tmp_path)
    assert [str(entry) for entry in found.itemize_entries("train_db")] == ["IM1"]
    assert reasons(found) == [
        ": 1 DICOM file without a picture (reports, plans, …); not used.",
        ": 3 files of other kinds: .txt (2), .xml (1); not used.",
    ]


@pytest.mark.parametrize(
    "head", [b"\x08\x00", b"\x00\x08\x00\x05CS", b"\x02\x00\x00\x00UL\x04\x00", b"DICM", b"", b"\x08\x00\x05\x00\x0a\0\0\0"]
)
def test_a_file_that_only_begins_like_a_data_set_is_of_another_kind(tmp_path: Path, head: bytes) -> None:
    write(tmp_path / "a.dcm", np.zeros((2, 2)))
    (tmp_path / "b.bin").write_bytes(head + bytes(range(256)))
    assert is_dicom(str(tmp_path / "a.dcm"))
    assert reasons(source(tmp_path)) == [": 1 file of other kinds: .bin (1); not used."]


@pytest.mark.parametrize("implicit", [True, False])
def test_explicit_and_implicit_files_without_preamble(tmp_path: Path, implicit: bool) -> None:
    dataset = write(tmp_path / "a.dcm", np.array([[1, 2]]))
    del dataset.file_meta
    dataset.save_as(tmp_path / "a.dcm", implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert only(source(tmp_path))[0].tolist() == [[[1, 2]]]


def test_a_picture_in_no_class_folder_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "ill" / "a.dcm", np.zeros((2, 2)))
    write(tmp_path / "b.dcm", np.zeros((2, 2)))
    found = source(tmp_path, labels="folders")
    assert found.userdata["class_labels"] == ["ill"]
    assert reasons(found) == ["b.dcm: It lies in no class folder."]


def test_files_with_units_beside_files_without(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", np.ones((1, 2)), RescaleSlope=1, RescaleIntercept=-1024)
    write(tmp_path / "b.dcm", np.ones((1, 2)))
    assert "1 of 2 grey pictures have no RescaleSlope" in "".join(reasons(source(tmp_path)))
    (tmp_path / "a.dcm").unlink()
    assert not reasons(source(tmp_path))


def test_a_slope_of_zero_is_none(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", np.ones((1, 2)), RescaleSlope=0, RescaleIntercept=0)
    write(tmp_path / "b.dcm", np.ones((1, 2)))
    found = source(tmp_path)
    assert [str(entry) for entry in found.itemize_entries("train_db")] == ["b.dcm"]
    assert "a.dcm: Its RescaleSlope is 0" in "".join(reasons(found))


def test_signed_and_unsigned_files_are_of_one_type(tmp_path: Path) -> None:
    """Whatever the values of a slice are: its header says what they may be."""
    write(tmp_path / "a.dcm", np.array([[5]]), BitsStored=12, HighBit=11)
    write(tmp_path / "b.dcm", np.array([[9]]), RescaleSlope=1, RescaleIntercept=-4, BitsStored=12, HighBit=11)
    write(tmp_path / "c.dcm", np.array([[1]]), PixelRepresentation=1)
    found = source(tmp_path)
    encoded = [found.encode_entry(entry)[0] for entry in found.itemize_entries("train_db")]
    assert [(one.dtype, one.tolist()) for one in encoded] == [(np.int16, [[[n]]]) for n in (5, 5, 1)]


def test_black_and_white_masks_are_two_classes(tmp_path: Path) -> None:
    write(tmp_path / "d" / "a.dcm", np.zeros((2, 2)))
    (tmp_path / "m").mkdir()
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(tmp_path / "m" / "a.png")
    (tmp_path / "m" / "b.jpg").write_bytes(b"no matter")
    found = masked(tmp_path)
    assert (masks_of(found), found.userdata["class_labels"]) == ({"a.dcm": [[0, 1], [1, 0]]}, ["background", "object"])
    assert reasons(found) == ["b.jpg: JPEG changes class numbers; it is not used. Save masks as PNG."]


def test_black_and_white_masks_with_grey_edges_are_two_classes_and_jpeg_is_none(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "d" / f"{name}.dcm", np.zeros((40, 40)))
    (tmp_path / "m").mkdir()
    disc = (np.hypot(*np.mgrid[-20:20, -20:20]) < 12).astype(np.uint8)
    drawn = Image.fromarray(disc * 255).resize((20, 20), Image.Resampling.BOX).resize((40, 40), Image.Resampling.BILINEAR)
    drawn.save(tmp_path / "m" / "a.png")
    drawn.save(tmp_path / "m" / "b.png", format="JPEG")
    found = masked(tmp_path)
    assert found.userdata["class_labels"] == ["background", "object"]
    assert np.array_equal(masks_of(found)["a.dcm"], np.asarray(drawn) >= 128)
    assert list(masks_of(found)) == ["a.dcm"]
    assert reasons(found)[0] == "b.dcm: JPEG changes class numbers; it is not used. Save masks as PNG."
    assert "as if smoothed. Values from 128 on are 'object'." in reasons(found)[1]


def test_masks_may_lie_beside_their_pictures(tmp_path: Path) -> None:
    uid = write(tmp_path / "d" / "a.dcm", np.zeros((2, 2))).SOPInstanceUID
    write(tmp_path / "d" / "b.dcm", np.zeros((2, 2)))
    Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).save(tmp_path / "d" / "b.png")
    write_seg(tmp_path / "d" / "seg.dcm", np.ones((1, 2, 2)), [seg_frame(uid, segment=1)], {1: "Liver"})
    (tmp_path / "d" / "notes.txt").write_text("no mask")
    found = source(tmp_path / "d", labels="masks", mask_folder=str(tmp_path / "d"))
    assert found.userdata["class_labels"] == ["0", "1", "Liver"]
    assert masks_of(found) == {"a.dcm": [[2, 2], [2, 2]], "b.dcm": [[0, 1], [1, 0]]}
    assert reasons(found) == [": 1 file of other kinds: .txt (1) in the mask folder; not used."]


def made(root: Path) -> dict[str, Path]:
    """One file of each kind that is read, and what is needed beside it."""
    functional = item(PixelValueTransformationSequence=Items([item(RescaleSlope=1, RescaleIntercept=-4)]))
    picture = write(
        root / "d" / "picture.dcm", np.arange(12).reshape(3, 4), SeriesInstanceUID="1.2", WindowCenter=1, WindowWidth=9
    )
    write(root / "d" / "safe.dcm", np.zeros((3, 4)), PixelPaddingValue=4, **AXIAL, ImagePositionPatient=[0, 0, 0])
    shared = Items([functional])
    write(root / "d" / "enhanced.dcm", np.zeros((2, 3, 4)), SharedFunctionalGroupsSequence=shared)
    write_seg(root / "m" / "seg.dcm", np.ones((1, 3, 4)), [seg_frame(picture.SOPInstanceUID, segment=1)], {1: "Liver"})
    write_nifti(root / "m" / "enhanced.nii", np.zeros((4, 3, 2), "u1"))
    Image.fromarray(np.ones((3, 4), np.uint8)).save(root / "m" / "safe.png")
    places = (root / "d" / "picture.dcm", root / "d" / "enhanced.dcm", root / "m" / "seg.dcm", root / "m" / "enhanced.nii")
    return dict(zip(MADE, places, strict=True))


def mutated(data: bytes, seed: int) -> bytes:
    """A few bytes changed, some cut or doubled."""
    chance, changed = random.Random(seed), bytearray(data)
    for _ in range(chance.randint(1, 6)):
        changed[chance.randrange(len(changed))] = chance.choice([0, 1, 8, 255, chance.randrange(256)])
    if seed % 4 == 0:
        del changed[chance.randrange(len(changed)) :]
    if seed % 7 == 0:
        place = chance.randrange(len(changed) or 1)
        changed[place:place] = changed[place : place + 8]
    return bytes(changed)


def check_mutations(root: Path, path: Path, count: int, **values: Any) -> None:
    """The others are read as before; what is said of the file names it and nobody."""
    whole = path.read_bytes()
    for seed in range(count):
        path.write_bytes(mutated(whole, seed))
        found = source(root / "d", **values)
        texts, encoded = reasons(found), 0
        for entry in found.itemize_entries("train_db"):
            try:
                sample = found.encode_entry(entry)
                encoded += 1
                assert np.isfinite(sample[0]).all()
            except DataError as error:
                texts.append(f"{entry}: {error}")
        assert encoded, (seed, texts)
        assert SECRET not in " ".join(texts), (seed, texts)
    path.write_bytes(whole)


@pytest.mark.parametrize(("kind", "window"), [("picture", "file"), *((kind, "form") for kind in MADE)])
def test_mutated_files_cost_only_themselves(tmp_path: Path, kind: str, window: str) -> None:
    path = made(tmp_path)[kind]
    check_mutations(tmp_path, path, MUTATIONS, labels="masks", mask_folder=str(tmp_path / "m"), window_from=window)


def test_mutated_real_files_cost_only_themselves(tmp_path: Path, shared_data: Path) -> None:
    shutil.copytree(shared_data / "dicom", tmp_path / "d")
    path = sorted((tmp_path / "d").rglob("*.dcm"))[0]
    path.chmod(0o644)
    check_mutations(tmp_path, path, 8, labels="none")
