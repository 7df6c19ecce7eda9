"""Creating image classification data sets: what a form may say, what is stored, what the job is told."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from digits.errors import FormErrors
from digits.service import Service
from digits.service.datasets.classification import SOURCE, ClassificationDatasetForm, create_classification_dataset, read
from digits.service.datasets.contents import dataset_dict, parse_folder_tasks, summary_dict
from digits.service.datasets.folder_checks import scan_folder, scan_list
from digits.utils.image import SUPPORTED_EXTENSIONS
from digits.utils.names import PICTURE_SUFFIXES
from tests.service.finished_dataset import CLASSES, class_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return class_folder(tmp_path / "pictures", 4)


def errors(service: Service, **values: Any) -> dict[str, list[str]]:
    with pytest.raises(FormErrors) as caught:
        create_classification_dataset(service, {"dataset_name": "x", **values})
    return caught.value.errors


def lists(tmp_path: Path, train: str = "a.png 0\nb.png 1\n", labels: str = "cat\ndog\n") -> dict[str, str]:
    (tmp_path / "train.txt").write_text(train)
    (tmp_path / "labels.txt").write_text(labels)
    files = {"train_images": str(tmp_path / "train.txt"), "labels_file": str(tmp_path / "labels.txt")}
    return {"method": "textfile", **{f"textfile_{name}": path for name, path in files.items()}}


def test_a_folder_becomes_a_job(service: Service, folder: Path) -> None:
    job = create_classification_dataset(
        service, {"dataset_name": "pets", "folder_train": str(folder), "folder_pct_val": "20"}, "anna"
    )
    spec = service.folder(job.id).spec()
    assert (job.name, job.owner, job.extension, job.pool) == ("pets", "anna", "image-classification-folder", "create_db")
    assert spec["extension_data"]["folder_train"] == str(folder)
    assert spec["extension_data"]["folder_pct_val"] == 20
    assert spec["feature_encoding"] == "auto"


def test_json_before_the_start_has_no_counts(service: Service, folder: Path) -> None:
    job = create_classification_dataset(service, {"dataset_name": "pets", "folder_train": str(folder), "resize_width": 20})
    assert dataset_dict(service, job) == {"id": job.id, "name": "pets", "status": "Initialized"}
    value = dataset_dict(service, job, verbose=True)
    assert value["directory"] == str(service.folder(job.id).path)
    counts = {"label_count": None, "train_count": None, "val_count": None, "test_count": None}
    assert value["ParseFolderTasks"] == [{"name": "Parse Folder (train/val)", **counts}]
    (train, val) = value["CreateDbTasks"]
    assert (train["name"], val["name"]) == ("Create DB (train)", "Create DB (val)")
    assert (train["image_width"], train["image_height"], train["image_channels"]) == (20, 256, 3)


def test_separate_folders_have_tasks_of_their_own() -> None:
    form = {"method": "folder", "has_val_folder": True, "folder_pct_val": 25, "folder_pct_test": 10}
    assert [task["name"] for task in parse_folder_tasks(form, None)] == ["Parse Folder (train/test)", "Parse Folder (val)"]


def test_everything_wrong_is_said_at_once(service: Service, tmp_path: Path) -> None:
    values = {"folder_train": str(tmp_path / "nowhere"), "folder_pct_val": "60", "folder_pct_test": "40", "resize_width": "wide"}
    found = errors(service, dataset_name="", **values)
    assert set(found) == {"dataset_name", "folder_train", "folder_pct_val", "resize_width"}
    assert "does not exist" in found["folder_train"][0]
    assert "100 %" in found["folder_pct_val"][0]


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"folder_train": ""}, "folder_train", "required"),
        ({"folder_train": "http://host/pictures"}, "folder_train", "upload"),
        ({"method": "s3"}, "method", "not supported yet"),
        ({"folder_train_max_per_class": 1}, "folder_train_max_per_class", "less than"),
        ({"has_val_folder": "y"}, "folder_val", "required"),
        ({"group_pattern": "("}, "group_pattern", "regular expression"),
        ({"dataset_name": "x" * 10_000}, "dataset_name", "255"),
        ({"resize_width": 0}, "resize_width", "at least 1"),
        ({"folder_train_min_per_class": 9}, "folder_train", "two are needed"),
        ({"resize_mode": "stretch"}, "resize_mode", "squash"),
        ({"clone": "20260101-000000-abcd"}, "clone", "not an image classification data set"),
    ],
)
def test_messages_stand_at_their_field(service: Service, folder: Path, values: dict[str, Any], field: str, words: str) -> None:
    found = errors(service, **{"folder_train": str(folder), **values})
    assert words in " ".join(found[field])


def test_folders_that_cannot_be_a_data_set(service: Service, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "0 sub-folders" in errors(service, folder_train=str(empty))["folder_train"][0]
    one = class_folder(tmp_path / "one", classes=CLASSES[:1])
    assert "at least two" in errors(service, folder_train=str(one))["folder_train"][0]
    bare = tmp_path / "bare"
    for name in ("a", "b"):
        (bare / name).mkdir(parents=True)
        (bare / name / "notes.md").write_text("no picture")
    assert "No pictures" in errors(service, folder_train=str(bare))["folder_train"][0]
    file = tmp_path / "file.txt"
    file.write_text("")
    assert "is a file" in errors(service, folder_train=str(file))["folder_train"][0]
    assert "DIGITS_DATA_DIRS" in errors(service, folder_train="/")["folder_train"][0]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "Käfer 🪲", "x" * 255])
def test_odd_names_are_kept(service: Service, folder: Path, name: str) -> None:
    assert create_classification_dataset(service, {"dataset_name": name, "folder_train": str(folder)}).name == name


def test_a_clone_takes_stored_values_over(service: Service, folder: Path) -> None:
    values = {"dataset_name": "first", "folder_train": str(folder), "has_val_folder": "y", "folder_val": str(folder), "seed": 7}
    first = create_classification_dataset(service, values)
    second = create_classification_dataset(service, {"clone": first.id})
    other = create_classification_dataset(service, {"clone": first.id, "dataset_name": "x", "seed": "8", "encoding": "jpg"})
    forms = [service.folder(job.id).request().form for job in (first, second, other)]
    assert forms[0] == forms[1] == forms[2]
    assert other.name == "first"


def test_uploaded_lists_are_copied_and_survive_a_clone(service: Service, tmp_path: Path) -> None:
    first = create_classification_dataset(service, {"dataset_name": "lists", **lists(tmp_path)})
    (tmp_path / "train.txt").unlink()
    second = create_classification_dataset(service, {"clone": first.id})
    for job in (first, second):
        data = service.folder(job.id).spec()["extension_data"]
        assert Path(data["textfile_train_images"]).parent == service.folder(job.id).path
        assert Path(data["textfile_train_images"]).read_text() == "a.png 0\nb.png 1\n"
    assert service.folder(first.id).request().form == service.folder(second.id).request().form
    assert Path(SOURCE.stored(service, first)["textfile_labels_file"]).is_file()


@pytest.mark.parametrize(
    ("train", "labels", "field", "words"),
    [
        ("a.png\n\nb.png one\n", "cat\ndog\n", "textfile_train_images", "no valid line"),
        ("a.png 0\nb.png 2\n", "cat\n\ndog\n", "textfile_train_images", "Line 2 of train.txt has class 2"),
        ("a.png 0\n", "cat\n", "textfile_labels_file", "at least two"),
        ("a.png 0\nb.png 2\n", "# pets\ncat\ndog\n", "textfile_train_images", "there are 2 labels"),
    ],
)
def test_lists_that_cannot_be_used(service: Service, tmp_path: Path, train: str, labels: str, field: str, words: str) -> None:
    assert words in errors(service, **lists(tmp_path, train, labels))[field][0]


@pytest.mark.parametrize("name", ["train", "val", "labels"])
def test_a_file_that_is_no_list_is_said_at_its_field(service: Service, tmp_path: Path, name: str) -> None:
    values = lists(tmp_path)
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(2 << 30)
    field = "textfile_labels_file" if name == "labels" else f"textfile_{name}_images"
    used = {"textfile_use_val": "y"} if name == "val" else {}
    began = time.monotonic()
    said = errors(service, **{**values, **used, field: str(huge)})
    assert time.monotonic() - began < 10
    assert "has more than" in said[field][0]


def test_a_ticked_list_is_required(service: Service, tmp_path: Path) -> None:
    assert errors(service, **lists(tmp_path), textfile_use_val="y") == {"textfile_val_images": ["This field is required."]}


def test_a_table_of_names_needs_no_labels_file(service: Service, tmp_path: Path) -> None:
    values = {**lists(tmp_path, "id,label\na,cat\nb,dog\n"), "textfile_labels_file": "", "textfile_pct_val": "60"}
    spec = service.folder(create_classification_dataset(service, {"dataset_name": "x", **values}).id).spec()
    assert (spec["extension_data"]["textfile_pct_val"], spec["extension_data"]["textfile_labels_file"]) == (60, "")
    scan = scan_list(tmp_path / "train.txt")
    assert (scan.table, scan.valid) == (True, 2)
    assert "leaves nothing to train on" in errors(service, **values, textfile_pct_test="40")["textfile_pct_val"][0]
    assert errors(service, **{**lists(tmp_path), "textfile_labels_file": ""}) == {
        "textfile_labels_file": ["This field is required."]
    }


def test_hdf5_is_never_encoded_and_lmdb_never_compressed(service: Service, folder: Path) -> None:
    values = {"dataset_name": "x", "folder_train": str(folder), "encoding": "png", "compression": "gzip"}
    hdf5 = create_classification_dataset(service, {**values, "backend": "hdf5"})
    lmdb = create_classification_dataset(service, {**values, "backend": "lmdb"})
    tasks = [dataset_dict(service, job, verbose=True)["CreateDbTasks"][0] for job in (hdf5, lmdb)]
    assert [(t["backend"], t["encoding"], t["compression"]) for t in tasks] == [("hdf5", "none", "gzip"), ("lmdb", "png", "none")]


def test_summary_knows_what_was_asked_for(service: Service, folder: Path) -> None:
    job = create_classification_dataset(service, {"dataset_name": "x", "folder_train": str(folder), "keep_size": "y"})
    value = summary_dict(service, job)
    assert (value["image_width"], value["image_channels"], value["total_count"]) == (None, 3, 0)


def test_scan_counts_below_class_folders(tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "pictures", 2, classes=("big_cat", "dog"))
    (folder / "dog" / "more").mkdir()
    (folder / "dog" / "more" / "x.JPG").write_bytes(b"")
    (folder / "dog" / "loop").symlink_to(folder / "dog")
    (folder / "loose.png").write_bytes(b"")
    scan = scan_folder(folder)
    assert scan.classes == [("big cat", 2), ("dog", 3)]
    assert (scan.loose, scan.complete, scan.total) == (1, True, 5)


def test_scan_says_when_time_was_up(folder: Path) -> None:
    scan = scan_folder(folder, seconds=0)
    assert not scan.complete
    assert len(scan.classes) == len(CLASSES)
    assert scan.classes[-1][1] is None


def test_list_scan(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_text("a picture.png 3\nb.png 0\n\nnonsense\n/c d/e.png\t0\n")
    scan = scan_list(file)
    assert (scan.valid, scan.other, scan.classes) == (3, 1, {0: 2, 3: 1})


def test_suffixes_are_those_that_ingest_reads() -> None:
    assert set(SUPPORTED_EXTENSIONS) == set(PICTURE_SUFFIXES)


def test_absent_fields_take_their_defaults() -> None:
    form, found = read({"dataset_name": "x"})
    assert found == {}
    assert (form.folder_pct_val, form.resize_width, form.encoding, form.textfile_use_val) == (25, 256, "auto", False)
    assert ClassificationDatasetForm.model_fields["textfile_use_val"].default is True
