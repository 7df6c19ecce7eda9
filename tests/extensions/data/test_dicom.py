"""The DICOM source on files made here, where every value is known, and on a real CT."""

from __future__ import annotations

import gzip
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    generate_uid,
)

from digits.errors import DataError, JobStopped
from digits.extensions.data import userdata
from digits.extensions.data.dicom import DataIngestion, pixels
from digits.extensions.data.dicom.scan import SEGMENTATION, Slice
from digits.extensions.data.interface import DataIngestionInterface
from digits.testing import DataSourceContract
from digits.utils.confinement import EVERYWHERE

BASE = {
    "labels": "none",
    "mask_folder": "",
    "class_names": "",
    "window_center": None,
    "window_width": None,
    "image_width": None,
    "image_height": None,
    "folder_pct_val": 0,
    "folder_pct_test": 0,
    "split_by": "patient",
    "seed": 0,
}
SECRET = "DOE^JANE"


def write(path: Path, values: np.ndarray, patient: str = SECRET, **tags: Any) -> Dataset:
    """A grey DICOM file of uint16 `values` (rows, columns) or (frames, rows, columns)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.PatientID, dataset.PatientName = patient, patient
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    if values.ndim == 3:
        dataset.NumberOfFrames = len(values)
    dataset.PixelData = values.astype("<u2").tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def source(folder: Path, **values: Any) -> DataIngestion:
    found = DataIngestion(**{**BASE, "dicom_folder": str(folder), "allowed_roots": EVERYWHERE, **values})
    found.prepare(lambda problem: None)
    return found


def only(found: DataIngestion, stage: str = "train_db") -> Any:
    (entry,) = found.itemize_entries(stage)
    return found.encode_entry(entry)


def test_values_are_rescaled_and_keep_their_bits(tmp_path: Path) -> None:
    write(tmp_path / "no-ending", np.array([[0, 1000], [2000, 4000]]), RescaleSlope=1, RescaleIntercept=-1024)
    feature, label = only(source(tmp_path))
    assert feature.dtype == np.int16
    assert feature.tolist() == [[[-1024, -24], [976, 2976]]]
    assert label is None


def test_monochrome1_is_turned_around(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", np.array([[10, 30]]), PhotometricInterpretation="MONOCHROME1")
    assert only(source(tmp_path))[0].tolist() == [[[65525, 65505]]]  # within 16 bits stored, whatever the file's own values are


def test_a_window_gives_eight_bits_as_the_standard_says(tmp_path: Path) -> None:
    write(tmp_path / "a.dcm", np.array([[0, 140, 240, 1000]]), RescaleIntercept=-100, RescaleSlope=1)
    feature, _ = only(source(tmp_path, window_center=40.0, window_width=401.0))
    # PS3.3 C.11.2.1.2: low = 40 - 0.5 - 200 = -160.5, y = (x + 160.5) / 400
    assert feature.tolist() == [[[round(60.5 / 400 * 255), round(200.5 / 400 * 255), round(300.5 / 400 * 255), 255]]]


def test_each_frame_is_an_entry_and_mixed_sizes_become_one(tmp_path: Path) -> None:
    write(tmp_path / "many.dcm", np.stack([np.full((4, 6), i) for i in range(3)]))
    write(tmp_path / "large.dcm", np.full((8, 12), 7))
    found = source(tmp_path, split_by="picture")
    features = [found.encode_entry(entry)[0] for entry in found.itemize_entries("train_db")]
    assert {feature.shape for feature in features} == {(1, 4, 6)}
    assert sorted(int(feature[0, 0, 0]) for feature in features) == [0, 1, 2, 7]


def test_patients_stay_on_one_side_and_leave_no_trace(tmp_path: Path) -> None:
    for patient in range(6):
        for number in range(3):
            write(tmp_path / f"{patient}-{number}.dcm", np.full((2, 2), patient), patient=f"{SECRET}{patient}")
    found = source(tmp_path, folder_pct_val=34, folder_pct_test=16)
    sides = {stage: {s.patient for s in found.itemize_entries(stage)} for stage in ("train_db", "val_db", "test_db")}
    assert [len(side) for side in sides.values()] == [3, 2, 1]
    assert len(set.union(*sides.values())) == 6
    sample = found.encode_entry(found.itemize_entries("train_db")[0])
    assert SECRET not in repr((found.userdata, sample.group, str(found.itemize_entries("train_db")[0])))


def test_odd_values_of_a_header_are_not_quoted_in_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    odd = {"PatientID": f"{SECRET} " * 12, "StudyInstanceUID": f"1.2.{SECRET}", "SOPInstanceUID": f"1.2.{SECRET}"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(tmp_path / "a.dcm", np.zeros((2, 2)), **odd)
    caplog.clear()
    only(source(tmp_path))  # a warning would be an error here
    assert SECRET not in caplog.text


def test_one_class_per_folder(tmp_path: Path) -> None:
    for name in ("no_finding", "tumour"):
        write(tmp_path / name / "deep" / "x.dcm", np.zeros((2, 2)), patient=name)
    found = source(tmp_path, labels="folders")
    assert found.userdata["class_labels"] == ["no finding", "tumour"]
    assert [int(found.encode_entry(entry)[1][0]) for entry in found.itemize_entries("train_db")] == [0, 1]


@pytest.mark.parametrize("ending", [".png", ".tif", ".nii"])
def test_masks_by_base_name(tmp_path: Path, ending: str) -> None:
    mask = np.array([[0, 1, 2], [2, 0, 1]], np.uint8)
    write(tmp_path / "dicom" / "a.dcm", np.zeros((2, 3)))
    (tmp_path / "masks").mkdir()
    path = tmp_path / "masks" / f"a{ending}"
    if ending == ".nii":
        path.write_bytes(nifti(mask))
    else:
        Image.fromarray(mask).save(path)
    found = source(tmp_path / "dicom", labels="masks", mask_folder=str(tmp_path / "masks"))
    assert only(found)[1].tolist() == [mask.tolist()]
    assert found.userdata["class_labels"] == ["0", "1", "2"]


def nifti(mask: np.ndarray) -> bytes:
    """A NIfTI-1 file of one slice: x runs first."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, mask.shape[1], mask.shape[0], 1, 1, 1, 1, 1)
    struct.pack_into("<h", header, 70, 2)
    struct.pack_into("<f", header, 108, 352.0)
    return bytes(header) + mask.T.tobytes(order="F")


def test_a_dicom_seg_file_is_found_by_what_it_refers_to(tmp_path: Path) -> None:
    picture = write(tmp_path / "dicom" / "a.dcm", np.zeros((2, 3)))
    frames = []
    for segment in (1, 2):
        frame, derivation, origin, identity = Dataset(), Dataset(), Dataset(), Dataset()
        origin.ReferencedSOPInstanceUID = picture.SOPInstanceUID
        derivation.SourceImageSequence = Sequence([origin])
        identity.ReferencedSegmentNumber = segment
        frame.DerivationImageSequence, frame.SegmentIdentificationSequence = Sequence([derivation]), Sequence([identity])
        frames.append(frame)
    planes = np.array([[[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 1]]])
    tags = {"SOPClassUID": SEGMENTATION, "PerFrameFunctionalGroupsSequence": Sequence(frames)}
    write(tmp_path / "masks" / "segmentation.dcm", planes, **tags)
    found = source(tmp_path / "dicom", labels="masks", mask_folder=str(tmp_path / "masks"))
    assert only(found)[1].tolist() == [[[1, 0, 0], [0, 2, 2]]]


def test_a_picture_without_mask_is_left_out_and_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / "dicom" / f"{name}.dcm", np.zeros((2, 2)))
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.ones((2, 2), np.uint8)).save(tmp_path / "masks" / "a.png")
    found = source(tmp_path / "dicom", labels="masks", mask_folder=str(tmp_path / "masks"))
    assert [str(entry) for entry in found.itemize_entries("train_db")] == ["a.dcm"]
    problems: list[dict[str, Any]] = []
    found.prepare(problems.append)
    assert problems == [{"kind": "pair", "stage": "", "entry": "b.dcm", "reason": "It has no mask.", "lost": 1}]


def test_a_folder_without_dicom_is_said(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="holds no DICOM pictures"):
        source(tmp_path)


def test_the_form_looks_at_the_first_picture_and_the_job_at_all(tmp_path: Path) -> None:
    """However many files there are; a request to stop is heard in between."""
    for name in ("a", "b"):
        write(tmp_path / "dicom" / f"{name}.dcm", np.zeros((2, 2)))
    (tmp_path / "dicom" / "a.txt").write_text("no picture")
    (tmp_path / "masks").mkdir()
    values = {**BASE, "labels": "masks", "dicom_folder": str(tmp_path / "dicom"), "mask_folder": str(tmp_path / "masks")}
    made = DataIngestion(**values, allowed_roots=EVERYWHERE)
    assert not {"slices", "size", "class_labels"} & made.userdata.keys()
    with pytest.raises(DataError, match="None of the 2 pictures has a mask"):
        made.prepare(lambda problem: None)

    def stop() -> None:
        raise JobStopped("enough")

    made.check_stop = stop  # type: ignore[method-assign]
    with pytest.raises(JobStopped):
        made.prepare(lambda problem: None)


def test_class_numbers_are_not_mixed_when_a_mask_is_resized() -> None:
    mask = np.array([[[0, 9]]], np.uint8)
    assert set(np.unique(pixels.resize(mask, 3, 7, nearest=True))) == {0, 9}


@pytest.mark.parametrize("syntax", [RLELossless, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless])
def test_transfer_syntaxes(tmp_path: Path, syntax: UID) -> None:
    """What pydicom reads by itself is read; where a decoder is missing the entry says which packages have one."""
    values = np.arange(6000, dtype=np.uint16).reshape(60, 100)
    dataset = write(tmp_path / "a.dcm", values)
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    elif syntax == JPEG2000Lossless:
        dataset.PixelData, dataset.file_meta.TransferSyntaxUID = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)]), syntax
        dataset["PixelData"].VR = "OB"
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = values.astype(">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes()
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    if syntax == JPEG2000Lossless:
        with pytest.raises(DataError, match="pylibjpeg"):
            only(source(tmp_path))
    else:
        np.testing.assert_array_equal(only(source(tmp_path))[0][0], values)


def test_compressed_nifti_volumes_give_each_frame_its_slice(tmp_path: Path) -> None:
    write(tmp_path / "dicom" / "a.dcm", np.zeros((2, 2, 3)))
    planes = np.array([[[0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 0, 0]]], np.uint8)
    header = bytearray(nifti(planes[0])[:352])
    struct.pack_into("<8h", header, 40, 3, 3, 2, 2, 1, 1, 1, 1)
    volume = planes.transpose(2, 1, 0)  # x, y, slice
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.nii.gz").write_bytes(gzip.compress(bytes(header) + volume.tobytes(order="F")))
    found = source(tmp_path / "dicom", labels="masks", mask_folder=str(tmp_path / "masks"))
    labels = [found.encode_entry(entry)[1] for entry in found.itemize_entries("train_db")]
    assert [label[0].tolist() for label in labels] == planes.tolist()


@pytest.mark.parametrize("labels", ["masks", "folders"])
def test_a_data_set_of_an_older_version_is_tested_with_its_records(tmp_path: Path, labels: str) -> None:
    """Its slices have no more than path, frame, patient, size and instance, its masks lie in two tables."""
    write(tmp_path / "no_finding" / "a.dcm", np.zeros((2, 2)))
    (tmp_path / "a.nii").write_bytes(nifti(np.array([[0, 1], [2, 0]], np.uint8)))
    kept = {
        **BASE,
        "labels": labels,
        "dicom_folder": str(tmp_path),
        "allowed_roots": EVERYWHERE,
        "size": (2, 2),
        "slices": {"val_db": [Slice(str(tmp_path / "no_finding" / "a.dcm"), 0, "x", 2, 2, "1.2")]},
        "masks_by_name": {"a": str(tmp_path / "a.nii")},
        "masks_by_instance": {},
        "class_labels": ["0", "1", "2"] if labels == "masks" else ["ill", "no finding"],
    }
    record = userdata.for_inference(DataIngestion, kept, {"test_path": "", "validation_record": "0"})
    (entry,) = record.itemize_entries("test_db")
    feature, label = record.encode_entry(entry)
    assert feature.tolist() == [[[0, 0], [0, 0]]]
    assert label.tolist() == ([[[0, 1], [2, 0]]] if labels == "masks" else [1])


class TestMasks(DataSourceContract):
    """With masks and a validation split: the form to test a model with takes a record or any file."""

    source = DataIngestion
    inference_values = {"validation_record": "0"}

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "masks").mkdir()
        for number in range(4):
            write(tmp_path / "dicom" / f"{number}.dcm", np.full((6, 8), number), patient=f"{SECRET}{number}")
            Image.fromarray(np.full((6, 8), number % 2, np.uint8)).save(tmp_path / "masks" / f"{number}.png")
        places = {"dicom_folder": str(tmp_path / "dicom"), "mask_folder": str(tmp_path / "masks")}
        return {**places, "labels": "masks", "class_names": "back, front", "folder_pct_val": 50}

    def test_a_record_comes_with_its_label_and_a_file_without(self, instance: DataIngestionInterface, tmp_path: Path) -> None:
        stored = instance.get_user_data()
        record = userdata.for_inference(DataIngestion, stored, {"test_path": "", "validation_record": "1"})
        (entry,) = record.itemize_entries("test_db")
        assert record.encode_entry(entry)[1].shape == (1, 6, 8)
        write(tmp_path / "new" / "x", np.full((3, 4), 9))
        chosen = userdata.for_inference(DataIngestion, stored, {"test_path": str(tmp_path / "new"), "validation_record": "none"})
        (entry,) = chosen.itemize_entries("test_db")
        feature, label = chosen.encode_entry(entry)
        assert (feature.shape, label) == ((1, 6, 8), None)  # brought to the size of the data set
        assert SECRET not in repr((stored, entry, str(entry)))

    @pytest.mark.parametrize("name", ["", "notes.txt"])
    def test_nothing_to_test_is_said(self, instance: DataIngestionInterface, tmp_path: Path, name: str) -> None:
        (tmp_path / "notes.txt").write_text("no picture")
        path = str(tmp_path / name) if name else ""
        chosen = userdata.for_inference(DataIngestion, instance.get_user_data(), {"test_path": path, "validation_record": "none"})
        with pytest.raises(DataError, match="no DICOM picture" if name else "Nothing was chosen"):
            chosen.itemize_entries("test_db")


class TestRealSeries(DataSourceContract):
    source = DataIngestion

    @pytest.fixture
    def values(self, shared_data: Path) -> dict[str, Any]:
        return {"dicom_folder": str(shared_data / "dicom"), "labels": "none", "folder_pct_val": 0}
