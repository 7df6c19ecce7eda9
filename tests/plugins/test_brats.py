"""The BraTS package: which files are one scan, how its slices lie, who is validated with, and what is left out."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from digits.errors import DataError
from digits.testing import DataSourceContract, ViewContract
from tests.examples import example

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plugins" / "brats"))

import digits_data_brats as brats
import digits_view_brats as brats_view
from digits_data_brats.scans import find_scans, patient_of
from digits_data_brats.volumes import shrunk

SIDE, SLICES = 20, 12
KINDS = ("flair", "t1", "t1ce", "t2", "seg")
phantoms = example("phantoms")


def scans(folder: Path, count: int = 4) -> Path:
    phantoms.write(folder, count, SIDE)
    return folder


def prepared(folder: Path, **values: Any) -> tuple[Any, list[str]]:
    """The source of a folder after its look at the files, and what it found odd."""
    given = {"dataset_folder": str(folder), "modality": "all", "pct_val": 0, "allowed_roots": ["/"], **values}
    source = brats.DataIngestion(**given)
    problems: list[dict[str, Any]] = []
    source.prepare(problems.append)
    return source, [f"{problem['entry']}: {problem['reason']}" for problem in problems]


def records(source: Any, stage: str = "train_db") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {str(entry): tuple(source.encode_entry(entry)) for entry in source.itemize_entries(stage)}


def volume(folder: Path, kind: str) -> Path:
    """A file of the first scan."""
    return folder / "HGG" / "Brats_001_1" / f"Brats_001_1_{kind}.nii.gz"


def load(path: Path) -> Any:
    return nibabel.load(path)


def read(path: Path) -> np.ndarray:
    """Slices (N, rows, columns) of a file of the phantoms: its axes lie as the patient's in LPS."""
    return np.asarray(load(path).dataobj).transpose(2, 1, 0)


class TestBrats(DataSourceContract):
    source = brats.DataIngestion
    form_values = {"modality": "all", "neighbours": 1, "pct_val": 30, "filter_method": "threshold", "filter_threshold": 5}
    inference_values = {"validation_record": "0"}

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        return {"dataset_folder": str(scans(tmp_path / "scans")), **self.form_values}


def test_every_slice_is_a_record_of_the_modalities_with_its_classes(tmp_path: Path) -> None:
    source, problems = prepared(scans(tmp_path, 2), channel_conversion="none")
    found = records(source)
    assert len(found) == 2 * SLICES
    feature, label = found["HGG/Brats_001_1, slice 5"]
    planes = [read(volume(tmp_path, kind))[5] for kind in KINDS]
    np.testing.assert_array_equal(feature, planes[:4])
    assert feature.dtype == np.int16
    np.testing.assert_array_equal(label[0], np.searchsorted([0, 1, 2, 4], planes[4]))  # 3 does not occur
    assert source.userdata["class_labels"] == ["background", "necrotic core", "oedema", "enhancing tumour"]
    assert problems == []


def test_neighbours_are_the_slices_below_and_above_and_the_last_ones_stand_for_those_that_are_missing(tmp_path: Path) -> None:
    source, _ = prepared(scans(tmp_path, 1), channel_conversion="none", neighbours=2)
    flair, t2 = (read(volume(tmp_path, kind)) for kind in ("flair", "t2"))
    found = records(source)
    feature = found["HGG/Brats_001_1, slice 5"][0]
    assert feature.shape == (4 * 5, SIDE, SIDE)
    np.testing.assert_array_equal(feature[:5], flair[3:8])
    np.testing.assert_array_equal(feature[15:], t2[3:8])
    np.testing.assert_array_equal(found["HGG/Brats_001_1, slice 0"][0][:5], flair[[0, 0, 0, 1, 2]])


def test_eight_bits_are_alike_from_scan_to_scan(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = np.where(rng.random((3, 40, 40)) < 0.5, rng.normal(500, 50, (3, 40, 40)), 0).astype(np.float32)
    one, other = shrunk(values), shrunk(values * 8)
    np.testing.assert_array_equal(one, other)
    assert ((one == 0) == (values == 0)).all()
    assert (one[values != 0].min(), one.max()) == (1, 255)
    assert not shrunk(np.zeros((1, 2, 2))).any()
    source, _ = prepared(scans(tmp_path, 1), modality="Flair", channel_conversion="RGB")
    (feature, _), *_ = records(source).values()
    assert (feature.shape, feature.dtype) == ((3, SIDE, SIDE), np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_no_patient_is_on_both_sides_of_a_split(seed: int, tmp_path: Path) -> None:
    source, problems = prepared(scans(tmp_path, 8), pct_val=40, seed=seed)
    sides = [{entry.scan.patient for entry in source.itemize_entries(stage)} for stage in ("train_db", "val_db")]
    assert not sides[0] & sides[1]
    assert sorted(sides[0] | sides[1]) == [f"Brats_{number:03d}" for number in range(1, 7)]
    assert len(sides[1]) in (2, 3)  # 40 % of eight scans, of which two patients have two
    assert ": 8 scans are of 6 patients, by their names; all of a patient stay together." in problems
    assert all(source.encode_entry(entry).group == entry.scan.patient for entry in source.itemize_entries("val_db")[:2])


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("BraTS-GLI-00005-101", "BraTS-GLI-00005"),
        ("Brats18_2013_2_1", "Brats18_2013_2"),
        ("UPENN-GBM-00001_11", "UPENN-GBM-00001"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BRATS_001", "BRATS_001"),
        ("TCGA-02-0006", "TCGA-02-0006"),
    ],
)
def test_the_patient_of_a_scan(name: str, patient: str) -> None:
    assert patient_of(name) == patient


def test_numbers_that_would_make_all_one_patient_are_no_examinations(tmp_path: Path) -> None:
    scans(tmp_path / "plain", 1)
    (tmp_path / "year").mkdir()
    for number in range(4):
        for kind in KINDS:
            shutil.copy(volume(tmp_path / "plain", kind), tmp_path / "year" / f"2013_{number:03d}_{kind}.nii.gz")
    source, _ = prepared(tmp_path / "year", pct_val=25)
    assert [len({entry.scan.name for entry in source.itemize_entries(stage)}) for stage in ("train_db", "val_db")] == [3, 1]
    source, _ = prepared(tmp_path / "year", pct_val=25, patient_pattern="(2013_00)[01]")
    names = [{entry.scan.name for entry in source.itemize_entries(stage)} for stage in ("train_db", "val_db")]
    assert any({"2013_000", "2013_001"} <= side for side in names)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "LAS", "SPR", "PIR", "AIL"])
def test_axes_turned_in_the_files_give_the_same_records(codes: str, tmp_path: Path) -> None:
    """A modality or the label alone stored in other axes, with the affine that says so (by NiBabel)."""
    expected = records(prepared(scans(tmp_path / "plain", 1), channel_conversion="none")[0])
    scans(tmp_path / "turned", 1)
    for kind in ("t1", "seg") if codes != "SPR" else KINDS:
        path = volume(tmp_path / "turned", kind)
        image = load(path)
        wanted = nibabel.orientations.axcodes2ornt(codes)
        turn = nibabel.orientations.ornt_transform(nibabel.orientations.io_orientation(image.affine), wanted)
        nibabel.save(image.as_reoriented(turn), path)
    found = records(prepared(tmp_path / "turned", channel_conversion="none")[0])
    assert found.keys() == expected.keys()
    for name, (feature, label) in found.items():
        np.testing.assert_array_equal(feature, expected[name][0])
        np.testing.assert_array_equal(label, expected[name][1])


def rewritten(path: Path, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
    image = load(path)
    values, affine = change(np.asarray(image.dataobj), np.array(image.affine))
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def truncated(folder: Path) -> None:
    path = volume(folder, "t1")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncated_label(folder: Path) -> None:
    path = volume(folder, "seg")
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))


def without_t2(folder: Path) -> None:
    volume(folder, "t2").unlink()


def without_label(folder: Path) -> None:
    volume(folder, "seg").unlink()


def other_shape(folder: Path) -> None:
    rewritten(volume(folder, "t2"), lambda values, affine: (values[:-2], affine))


def other_spacing(folder: Path) -> None:
    rewritten(volume(folder, "t2"), lambda values, affine: (values, affine @ np.diag([1.1, 1, 1, 1])))


def elsewhere(folder: Path) -> None:
    def move(values: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        affine[2, 3] += 13
        return values, affine

    rewritten(volume(folder, "seg"), move)


def fractions(folder: Path) -> None:
    rewritten(volume(folder, "seg"), lambda values, affine: (values.astype(np.float32) * 0.5, affine))


def negative(folder: Path) -> None:
    rewritten(volume(folder, "seg"), lambda values, affine: (values.astype(np.int16) - 1, affine))


def a_picture(folder: Path) -> None:
    shutil.copy(volume(folder, "t1"), volume(folder, "seg"))


def four_dimensions(folder: Path) -> None:
    rewritten(volume(folder, "t1"), lambda values, affine: (np.stack([values] * 3, axis=3), affine))


def huge(folder: Path) -> None:
    path = volume(folder, "flair")
    data = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<3h", data, 42, 2000, 2000, 2000)
    path.write_bytes(gzip.compress(bytes(data)))


def no_nifti(folder: Path) -> None:
    volume(folder, "flair").write_bytes(b"hello" * 100)


def empty(folder: Path) -> None:
    volume(folder, "flair").write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (truncated, "Brats_001_1_t1.nii.gz: It cannot be read: EOFError"),
        (truncated_label, "Brats_001_1_seg.nii.gz: It ends after"),
        (without_t2, "It has no T2, only"),
        (without_label, "It has no label."),
        (other_shape, "has 12 slices of 18x20 pixels, not 12 slices of 20x20 pixels"),
        (other_spacing, "lies elsewhere in the patient, or has another spacing"),
        (elsewhere, "Brats_001_1_seg.nii.gz lies elsewhere in the patient"),
        (fractions, "holds numbers that are no whole class numbers"),
        (negative, "holds values from -1 to 3"),
        (a_picture, "values, as a picture does, not a label"),
        (four_dimensions, "holds 3 volumes, expected 1"),
        (huge, "It says that it has 2000 x 2000 x 2000 x 1 voxels"),
        (no_nifti, "It is no NIfTI file"),
        (empty, "It is no NIfTI file"),
    ],
)
def test_a_scan_that_cannot_be_used_is_listed_and_the_others_go_on(
    harm: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    harm(scans(tmp_path, 2))
    source, problems = prepared(tmp_path)
    assert {entry.scan.name for entry in source.itemize_entries("train_db")} == {"HGG/Brats_002_1"}
    (problem,) = problems
    assert problem.startswith("HGG/Brats_001_1: ")
    assert words in problem


def test_values_that_are_damaged_inside_cost_their_slices(tmp_path: Path) -> None:
    path = volume(scans(tmp_path, 1), "t1")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    source, _ = prepared(tmp_path)
    with pytest.raises(DataError, match="Brats_001_1_t1.nii.gz: It cannot be read"):
        source.encode_entry(source.itemize_entries("train_db")[0])
    rewritten(volume(tmp_path, "t2"), lambda values, affine: (np.where(values > 0, np.nan, 0.0).astype(np.float32), affine))
    source, _ = prepared(tmp_path, modality="T2")
    with pytest.raises(DataError, match="t2.nii.gz holds NaN"):
        source.encode_entry(source.itemize_entries("train_db")[0])


def test_slices_are_chosen_by_their_tumour(tmp_path: Path) -> None:
    scans(tmp_path, 1)
    areas = (read(volume(tmp_path, "seg")) > 0).sum(axis=(1, 2))
    by_method = {
        method: [entry.number for entry in prepared(tmp_path, filter_method=method, **more)[0].itemize_entries("train_db")]
        for method, more in (("all", {}), ("max", {}), ("threshold", {"filter_threshold": 12}))
    }
    assert by_method["all"] == list(range(SLICES))
    assert [areas[number] for number in by_method["max"]] == [areas.max()]
    assert by_method["threshold"] == np.flatnonzero(areas >= 12).tolist()
    with pytest.raises(DataError, match="None of the scans .* No slice has as many pixels of a tumour"):
        prepared(tmp_path, filter_method="threshold", filter_threshold=10_000)


def test_classes_may_be_named_and_joined(tmp_path: Path) -> None:
    scans(tmp_path, 1)
    assert prepared(tmp_path, class_names="none, core, swelling, rim")[0].userdata["class_labels"][2] == "swelling"
    with pytest.raises(DataError, match="2 class names were given for 4 classes. The values that occur are 0, 1, 2, 4"):
        prepared(tmp_path, class_names="none, tumour")
    source, _ = prepared(tmp_path, regions="whole")
    assert source.userdata["class_labels"] == ["background", "tumour"]
    for entry, (_, label) in zip(source.itemize_entries("train_db"), records(source).values(), strict=True):
        np.testing.assert_array_equal(label[0], read(volume(tmp_path, "seg"))[entry.number] > 0)


def test_groups_are_folders_and_scans_of_another_size_are_scaled_and_named(tmp_path: Path) -> None:
    scans(tmp_path, 2)
    phantoms.write(tmp_path / "other", 1, 2 * SIDE, seed=5)
    (tmp_path / "other" / "HGG" / "Brats_001_1").rename(tmp_path / "LGG")
    source, problems = prepared(tmp_path)
    assert problems == ["LGG: It has 12 slices of 40x40 pixels; they are scaled to the size of most."]
    assert {feature.shape for feature, _ in records(source).values()} == {(4, SIDE, SIDE)}
    source, _ = prepared(tmp_path, group_id="LGG", picture_size=16)
    assert {(feature.shape, label.shape) for feature, label in records(source).values()} == {((4, 16, 16), (1, 16, 16))}
    with pytest.raises(DataError, match="no scans in a folder HGG"):
        prepared(tmp_path / "LGG", group_id="HGG")


def placed(folder: Path, layout: str) -> Path:
    """One scan, laid out in another way; the folder that is named."""
    scans(folder / "plain", 1)
    root = folder / layout
    for kind in KINDS:
        path = volume(folder / "plain", kind)
        targets = {
            "flat": root / f"P7_{kind}.nii.gz",
            "numbered": root / "P7" / f"VSD.Brain.MR_{kind}.54{len(kind)}" / f"VSD.Brain.MR_{kind}.54{len(kind)}.nii.gz",
            "unpacked": root / "P7" / f"P7_{kind}.nii" / f"P7_{kind}.nii.gz",
            "newer": root / "P7" / f"P7-{dict(zip(KINDS, ('t2f', 't1n', 't1c', 't2w', 'seg'), strict=True))[kind]}.nii.gz",
            "upper": root / "P7" / f"P7_{kind.upper()}.NII.GZ",
        }
        targets[layout].parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, targets[layout])
    return root


@pytest.mark.parametrize("layout", ["flat", "numbered", "unpacked", "newer", "upper"])
def test_scans_are_found_in_the_layouts_of_the_challenges(layout: str, tmp_path: Path) -> None:
    root = placed(tmp_path, layout)
    expected = records(prepared(tmp_path / "plain")[0])
    source, problems = prepared(root)
    assert problems == []
    assert {entry.scan.name for entry in source.itemize_entries("train_db")} == {"P7"}
    for (feature, label), (wanted, classes) in zip(records(source).values(), expected.values(), strict=True):
        np.testing.assert_array_equal(feature, wanted)
        np.testing.assert_array_equal(label, classes)


def test_volumes_of_four_dimensions_hold_the_modalities(tmp_path: Path) -> None:
    scans(tmp_path / "plain", 1)
    images = [load(volume(tmp_path / "plain", kind)) for kind in KINDS]
    for folder, data in (
        ("imagesTr", np.stack([np.asarray(image.dataobj) for image in images[:4]], axis=3)),
        ("labelsTr", np.asarray(images[4].dataobj)),
    ):
        (tmp_path / "set" / folder).mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(data, images[0].affine), tmp_path / "set" / folder / "BRATS_007.nii.gz")
    names = {"0": "background", "1": "core", "2": "edema", "4": "rim"}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps({"labels": names}))
    source, problems = prepared(tmp_path / "set")
    assert problems == [": 1 file of other kinds: .json (1); not read."]
    assert source.userdata["class_labels"] == list(names.values())
    expected = records(prepared(tmp_path / "plain")[0]).values()
    for (feature, label), (wanted, classes) in zip(records(source).values(), expected, strict=True):
        np.testing.assert_array_equal(feature, wanted)
        np.testing.assert_array_equal(label, classes)


def test_files_that_no_scan_claims_are_listed() -> None:
    paths = ["/d/a/a_flair.nii", "/d/a/a_seg.nii", "/d/a/a_seg2_seg.nii", "/d/b/labels/c_seg.nii.gz"]
    found, faults = find_scans("/d", paths)
    assert [(scan.name, scan.label) for scan in found] == [("a/a", "/d/a/a_seg.nii")]
    assert sorted(name for name, _ in faults) == ["a/a_seg2_seg.nii", "b/labels/c_seg.nii.gz"]


def test_files_of_two_patients_are_never_one_scan() -> None:
    """Also where there is one of each kind; a label of another name is taken where all others have the name of their folder."""
    for paths in (
        ["/d/P1/P1_flair.nii", "/d/P2/P2_seg.nii"],
        ["/d/P1_flair.nii", "/d/P2_seg.nii"],
        ["/d/x/P1_flair.nii", "/d/x/P1_t1.nii", "/d/x/P2_seg.nii"],
    ):
        found, faults = find_scans("/d", paths)
        assert [(len(scan.files), scan.label) for scan in found] == [(len(paths) - 1, "")]
        assert len(faults) == 1
    named = [f"/d/BraTS20_355/BraTS20_355_{kind}.nii" for kind in KINDS[:4]]
    ((scan,), _) = find_scans("/d", [*named, "/d/BraTS20_355/W39_1998.09.19_Segm.nii"])
    assert (scan.name, len(scan.files), scan.label[-9:]) == ("BraTS20_355", 4, "_Segm.nii")


def test_a_scan_of_the_validation_split_and_a_file_are_tested(tmp_path: Path) -> None:
    source, _ = prepared(scans(tmp_path, 4), pct_val=30, filter_method="max")
    kept = source.userdata
    (scan, numbers), *_ = kept["scans"]["val_db"]
    tester = brats.DataIngestion(True, **kept, validation_record="0", test_image_file="", test_slice=None)
    (entry,) = tester.itemize_entries("test_db")
    assert (entry.scan, [entry.number]) == (scan, numbers)
    assert tester.encode_entry(entry)[1] is not None
    file = scan.files["T1"]
    tester = brats.DataIngestion(True, **kept, validation_record="none", test_image_file=file, test_slice=None)
    entries = tester.itemize_entries("test_db")
    assert [one.number for one in entries] == list(range(SLICES))
    feature, label = tester.encode_entry(entries[numbers[0]])
    np.testing.assert_array_equal(feature, source.encode_entry(entry)[0])
    assert label is None
    tester = brats.DataIngestion(True, **kept, validation_record="none", test_image_file=file, test_slice=SLICES)
    with pytest.raises(DataError, match="has 12 slices, from 0 on; there is none with the number 12"):
        tester.encode_entry(tester.itemize_entries("test_db")[0])
    alone = tmp_path / "alone" / "x.nii.gz"
    alone.parent.mkdir()
    shutil.copy(file, alone)
    tester = brats.DataIngestion(True, **kept, validation_record="none", test_image_file=str(alone), test_slice=1)
    with pytest.raises(DataError, match="x.nii.gz holds 1 volumes, expected 4"):
        tester.itemize_entries("test_db")
    with pytest.raises(DataError, match="Nothing was chosen"):
        brats.DataIngestion(True, **kept, validation_record="none", test_image_file="", test_slice=None).itemize_entries(
            "test_db"
        )


def test_what_the_original_asked_for_and_its_defaults() -> None:
    from flask import Flask

    from digits.plugin_host.binding import request_with

    app = Flask("forms")
    app.config.update(WTF_CSRF_ENABLED=False)
    with request_with(app, None):
        form = {field.name: field.data for field in brats.DataIngestion.get_dataset_form()}
    expected = {"dataset_folder": None, "modality": "Flair", "channel_conversion": "L", "pct_val": 10}
    assert {name: form[name] for name in expected} == expected
    assert {"group_id", "filter_method"} < set(form)
    with request_with(app, {"dataset_folder": "/tmp", "modality": "all", "channel_conversion": "RGB"}):
        wrong = brats.DataIngestion.get_dataset_form()
        assert not wrong.validate()
        assert wrong.errors == {
            "channel_conversion": ["RGB is made of one channel or three, not of 4: choose another conversion."]
        }


def test_scans_are_recognised(tmp_path: Path) -> None:
    (found,) = brats.DataIngestion.recognise(str(scans(tmp_path / "s", 2)))
    assert (found["records"], found["values"]["modality"]) == (2, "all")
    assert brats.DataIngestion.recognise(str(tmp_path / "s" / "HGG" / "nothing")) == []


class TestBratsView(ViewContract):
    view = brats_view.Visualization

    @pytest.fixture
    def outputs(self) -> dict[str, np.ndarray]:
        return {"output": np.random.default_rng(0).random((3, 8, 12), np.float32)}

    def test_shows_the_slice_of_a_modality_and_counts_over_all_slices(self, app: Any) -> None:
        from digits.plugin_host import binding, rendering
        from digits.plugin_host.view import DatasetView
        from digits.utils.image import embed_image_html

        rng = np.random.default_rng(1)
        pictures = rng.integers(0, 256, (4, 8, 12, 12), np.uint8)
        truths, scores = rng.integers(0, 3, (4, 1, 8, 12), np.uint8), rng.random((4, 3, 8, 12))
        made = {"modality": "all", "neighbours": 1, "class_labels": ["background", "core", "rim"]}
        with binding.request_with(app, {}):
            view = brats_view.Visualization(DatasetView(extension_userdata=made), modality="T1c", colormap="dataset")
            samples = enumerate(zip(pictures, scores, truths, strict=True))
            shown = [view.process_data(i, picture, {"output": score}, truth) for i, (picture, score, truth) in samples]
            html = rendering.render("images-brats", *view.get_header_template(), nonce="x")
        assert shown[0]["input"] == embed_image_html(np.ascontiguousarray(pictures[0, :, :, 7]))  # 2 · 3 + 1
        found, truth = scores.argmax(axis=1), truths[:, 0]
        for number, name in ((1, "core"), (2, "rim")):
            dice = 2 * ((found == number) & (truth == number)).sum() / ((found == number).sum() + (truth == number).sum())
            assert f"{name} <strong>{dice:.3f}</strong>" in html
        assert "Dice of all pixels of 4 slices" in html
