"""What the worker leaves beyond the metrics: made of a split, of files without a truth, in millimetres where a file says them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from digits.domain.inference import EvaluationSpec
from digits.images.place import Origin
from digits.metrics.analysis.base import Evaluated
from digits.storage.files import read_json
from digits.storage.predictions import ANALYSIS_FILE, NO_ORIGIN, writing_predictions
from digits.storage.predictions import PredictionReader as Reader
from digits.tasks import Labels, of
from digits.worker.evaluation.spacing import Spacings
from tests.predictor.fake_engine import LABELS
from tests.worker.evaluation.test_run import DATASET_ID, context_for, jobs_dir, make_dataset, run, write_list

__all__ = ["jobs_dir"]


def test_a_split_is_told_of_with_what_was_handed_on(jobs_dir) -> None:
    levels = np.array([10, 120, 250] * 30, np.uint8)
    truth = np.where(np.arange(90) % 9 == 0, 1, np.arange(90) % 3)  # some labels are not true
    make_dataset(jobs_dir, LABELS, np.tile(levels[:, None, None, None], (1, 1, 8, 8)), truth)
    handed = {"temperature": 1.5, "temperature_from": "20260101-000009-dddd"}
    context = context_for(jobs_dir, source="split", split="val_db", dataset_id=DATASET_ID, **handed)
    result, _ = run(context)
    told = read_json(context.folder.path / ANALYSIS_FILE)
    assert told["top_k"][0]["accuracy"] == result["metrics"]["accuracy"] == pytest.approx(80 / 90)
    assert (told["calibration"]["how"], told["calibration"]["temperature"]) == ("given", 1.5)
    assert told["intervals"]["accuracy"]["low"] < 80 / 90 < told["intervals"]["accuracy"]["high"]
    assert [row["positives"] for row in told["curves"]["classes"]] == np.bincount(truth).tolist()


def test_files_without_a_truth_leave_nothing_to_tell(jobs_dir, tmp_path) -> None:
    from PIL import Image

    Image.new("L", (9, 9), 200).save(tmp_path / "a.png")
    context = context_for(jobs_dir, [tmp_path], source="list", list_file="images.txt", folder=str(tmp_path))
    write_list(context, ["a.png"])
    result, _ = run(context)
    told = read_json(context.folder.path / ANALYSIS_FILE)
    assert result["labelled"] == 0
    assert (told["curves"], told["calibration"], told["top_k"], told["intervals"]) == (None, None, [], {})


def dicom(path: Path, spacing: list[float] | None) -> str:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = generate_uid()
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = generate_uid()
    if spacing is not None:
        header.PixelSpacing = spacing
    header.save_as(path, enforce_file_format=True)
    return str(path)


def test_spacing_is_that_of_the_file_and_of_the_outputs_pixels(tmp_path: Path) -> None:
    known, unknown = dicom(tmp_path / "a.dcm", [0.5, 0.8]), dicom(tmp_path / "b.dcm", None)
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    halved = Origin.of_squashed((200, 100), (100, 50)).numbers
    spacings = Spacings(EvaluationSpec("m", "s", 1.0, "split", roots=(str(tmp_path),)))
    paths = [known, unknown, str(tmp_path / "c.png"), str(tmp_path / "gone.dcm"), known, "http://example.org/a.dcm", ""]
    found = spacings.of(paths, [halved] * 4 + [NO_ORIGIN] + [halved] * 2)
    assert found == [pytest.approx((1.0, 1.6)), None, None, None, None, None, None]
    outside = Spacings(EvaluationSpec("m", "s", 1.0, "split", roots=(str(tmp_path / "other"),)))
    assert outside.of([known], [halved]) == [None], "it may not be read"


def test_distances_in_millimetres_are_kept_where_the_size_of_a_pixel_is_known(tmp_path: Path) -> None:
    labels = Labels("map", (1, 20, 20), "uint8", ("back", "cell"), (1, 20, 20))
    analysis = of("segmentation", labels).analysis(labels, labels, in_mm=True)
    real, made = np.zeros((2, 1, 20, 20), np.uint8), np.zeros((2, 20, 20), np.uint8)
    real[:, 0, 5:10, 5:10], made[:, 8:13, 5:10] = 1, 1
    real[1, 0, 15:] = 255  # is to be ignored
    values = analysis.add(list(made), list(real), [(2.0, 2.0), None])
    with writing_predictions(tmp_path / "p.arrow", analysis.columns) as writer:
        writer.append(["a", "b"], [0, 1], values)
    assert values["hd95"][0] * 2 == values["hd95_mm"][0]
    assert math.isnan(values["hd95_mm"][1])
    told = analysis.summary(Evaluated(Reader(tmp_path / "p.arrow")))["boundaries"]
    assert told["unit"] == "mm"
    assert told["means"]["hd95_mm"] == values["hd95_mm"][0]
    assert told["per_class"][1]["hd95"] == 3.0
