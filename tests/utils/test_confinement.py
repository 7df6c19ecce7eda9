"""One rule says which files may be read, and every reader keeps it."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.config import Settings
from digits.domain.datasets import STAGES
from digits.domain.inference import EvaluationSpec
from digits.errors import DataError, DigitsError, Forbidden, FormErrors
from digits.extensions import loader
from digits.extensions.data.image_object_detection.data import DataIngestion as Boxes
from digits.extensions.data.image_object_detection.formats import FORMATS as BOX_FORMATS
from digits.extensions.data.image_regression.data import DataIngestion as Numbers
from digits.extensions.data.image_segmentation.data import DataIngestion as Masks
from digits.extensions.data.recognition import candidates
from digits.extensions.data.source import ROOTS, FileSource, with_roots
from digits.ingest.encode import samples_of
from digits.ingest.prebuilt import Databases
from digits.service import Service
from digits.service.datasets import databases
from digits.service.datasets.folder_checks import scan_folder
from digits.service.files.confine import confine, readable_file, readable_folder
from digits.storage.records.caffe_datum import DatumDatabase
from digits.storage.records.caffe_writer import write_lmdb
from digits.storage.records.open import open_records
from digits.testing.runs import make_dataset, striped_pictures
from digits.utils import confinement
from digits.utils.confinement import OUTSIDE, Confinement, open_file, read_file, reading_from
from digits.utils.time_limits import within
from tests.extensions.data import test_dicom
from tests.ingest import objects
from tests.ingest.making import FOLDER, TEXTFILE, class_folder, make
from tests.worker.evaluation.test_run import context_for, jobs_dir, pictures, run, write_list

__all__ = ["jobs_dir", "pictures"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`open` is allowed, `secret` is not; links lead from one to the other, and out of `open` by way of itself."""
    for name in ("open", "open/inner", "secret", "open/.digits/uploads", "open/.digits/run"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    for name in ("open/a.png", "open/inner/b.png", "secret/s.png", "open/.digits/secret", "open/.digits/uploads/u.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "open/userdata.pkl").write_bytes(b"x")
    (tmp_path / "open/file_link").symlink_to(tmp_path / "secret/s.png")
    (tmp_path / "open/folder_link").symlink_to(tmp_path / "secret")
    (tmp_path / "open/relative_link").symlink_to("../secret/s.png")
    (tmp_path / "open/second_link").symlink_to("file_link")
    (tmp_path / "open/broken_link").symlink_to(tmp_path / "secret/none.png")
    (tmp_path / "secret/back").symlink_to(tmp_path / "open/a.png")
    (tmp_path / "opener").mkdir()
    return tmp_path


ALLOWED = (
    "open",
    "open/a.png",
    "open/inner/b.png",
    "open/inner/../a.png",
    "open/none.png",
    "secret/back",
    "open/.digits/uploads/u.png",
)
REFUSED = (
    "",
    "secret",
    "secret/s.png",
    "opener",
    "open/../secret/s.png",
    "open/..",
    "open/folder_link",
    "open/folder_link/s.png",
    "open/folder_link/../secret/s.png",
    "open/file_link",
    "open/relative_link",
    "open/second_link",
    "open/broken_link",
    "open/userdata.pkl",
    "open/.digits",
    "open/.digits/secret",
    "open/.digits/uploads/../secret",
    "open/.digits/run",
)


@pytest.mark.parametrize("name", ALLOWED)
def test_what_lies_in_an_allowed_folder_is_open_under_its_real_name(place: Path, name: str) -> None:
    allowed = Confinement([place / "open"])
    assert allowed.allows(place / name)
    assert allowed.refusal(place / name) == ""
    assert allowed.resolve(place / name) == os.path.realpath(place / name)


@pytest.mark.parametrize("name", REFUSED)
def test_everything_else_is_refused_in_the_same_words(place: Path, name: str) -> None:
    allowed = Confinement([place / "open"])
    assert not allowed.allows(place / name)
    assert OUTSIDE in allowed.refusal(place / name)
    with pytest.raises(Forbidden, match="DIGITS_DATA_DIRS"):
        allowed.resolve(place / name)


def fill(source: FileSource, values: dict[str, Any]) -> None:
    """Other values of the form, read as when the source is made."""
    source.userdata |= values
    source.options = source.OPTIONS.read(source.userdata)


def test_without_folders_nothing_is_open(place: Path) -> None:
    assert not any(Confinement().allows(place / name) for name in ALLOWED)
    assert Confinement(["/"]).allows("/etc/passwd")


def test_a_link_beside_a_folder_of_a_link_is_judged_by_where_it_really_ends(place: Path) -> None:
    """`open/folder_link/../a.png` is `a.png` beside `secret`, not the one in `open`."""
    (place / "a.png").write_bytes(b"x")
    assert not Confinement([place / "open"]).allows(place / "open/folder_link/../a.png")


def test_path_fields_keep_the_rule(place: Path) -> None:
    service = Service.open(Settings(jobs_dir=str(place / "jobs"), auth=False, data_dirs=str(place / "open")))
    try:
        for name in REFUSED[1:]:
            for read in (confine, lambda s, text: readable_file(s, text, "f"), lambda s, text: readable_folder(s, text, "f")):
                with pytest.raises(DigitsError, match="outside the folders that digits may read"):
                    read(service, str(place / name))
        assert readable_file(service, str(place / "open/inner/../a.png"), "f") == (place / "open/a.png").resolve()
    finally:
        service.close()


# -- sources: each with a file, a folder and links of both kinds that lead out ------------------------------------------


def boxes_in(place: Path) -> FileSource:
    objects.pictures(place / "in", dict.fromkeys("ab", objects.BOXES["a"]))
    objects.kitti(place / "in", dict.fromkeys("ab", objects.BOXES["a"]))
    return Boxes(train_image_folder=str(place / "in"), train_label_folder=str(place / "in"), annotation_format="kitti")


def masks_in(place: Path) -> FileSource:
    for folder in ("in", "in/masks"):
        (place / folder).mkdir(exist_ok=True)
    for name in "ab":
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(place / f"in/{name}.png")
        Image.fromarray(np.ones((9, 9), np.uint8)).save(place / f"in/{name}_mask.png")
    return Masks(feature_folder=str(place / "in"), label_folder=str(place / "in"), folder_pct_val=0)


def numbers_in(place: Path) -> FileSource:
    (place / "in").mkdir(exist_ok=True)
    for name in "ab":
        Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(place / f"in/{name}.png")
    (place / "in/t.csv").write_text("file,age\na.png,1\nb.png,2\n")
    return Numbers(image_folder=str(place / "in"), values_file=str(place / "in/t.csv"), folder_pct_val=0)


SOURCES = pytest.mark.parametrize("make_source", [boxes_in, masks_in, numbers_in])


@SOURCES
def test_sources_without_folders_read_nothing(tmp_path: Path, make_source: Callable[[Path], FileSource]) -> None:
    source = make_source(tmp_path)
    source.job_folder = tmp_path
    with pytest.raises(DigitsError):
        source.prepare(lambda problem: None)


@SOURCES
def test_sources_leave_out_links_that_lead_out(tmp_path: Path, make_source: Callable[[Path], FileSource]) -> None:
    source = make_source(tmp_path)
    secret = tmp_path / "secret"
    secret.mkdir()
    for name in ("c.png", "d.png"):
        Image.fromarray(np.full((9, 9, 3), 7, np.uint8)).save(secret / name)
    (tmp_path / "in/c.png").symlink_to(secret / "c.png")
    (tmp_path / "in/linked").symlink_to(secret)
    source.userdata[ROOTS] = [str(tmp_path / "in")]
    source.job_folder = tmp_path
    problems: list[dict[str, Any]] = []
    source.prepare(problems.append)
    assert {Path(entry[0]).stem for entry in source.itemize_entries("train_db")} <= {"a", "b"}
    refused = {problem["entry"] for problem in problems if OUTSIDE in problem["reason"]}
    assert {Path(path).name for path in refused} >= {"c.png"}


def test_annotations_behind_links_that_lead_out_are_not_read(tmp_path: Path) -> None:
    """Neither to recognise their format nor to list what is wrong with their lines."""
    source = boxes_in(tmp_path)
    secret = objects.kitti(tmp_path / "secret", {"a": [("token-1234", 1, 1, 5, 5)]})
    for name in "ab":
        (tmp_path / f"in/{name}.txt").unlink()
    (tmp_path / "in/a.txt").symlink_to(Path(secret) / "a.txt")
    (tmp_path / "in/rows.csv").symlink_to(Path(secret) / "a.txt")
    for name in ("auto", "csv", "kitti", "yolo"):
        fill(source, {ROOTS: [str(tmp_path / "in")], "annotation_format": name})
        source.job_folder = tmp_path
        problems: list[dict[str, Any]] = []
        with pytest.raises(DigitsError) as error:
            source.prepare(problems.append)
        assert "token-1234" not in f"{error.value} {problems}"


@pytest.mark.parametrize("field", ["train_label_folder", "train_image_folder", "class_names_file", "train_list_file"])
def test_a_place_of_the_form_outside_is_named(tmp_path: Path, field: str) -> None:
    source = boxes_in(tmp_path)
    objects.pictures(tmp_path / "secret", {"a": objects.BOXES["a"]})
    (tmp_path / "secret/list.txt").write_text("a\n")
    file = field.endswith("_file")
    fill(source, {ROOTS: [str(tmp_path / "in")], field: str(tmp_path / "secret" / ("list.txt" if file else ""))})
    source.job_folder = tmp_path
    with pytest.raises(DigitsError):
        source.prepare(lambda problem: None)


def test_classification_keeps_the_rule(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "in", {"a": 3, "b": 3})
    outside = class_folder(tmp_path / "secret", {"a": 2})
    (root / "a/link.png").symlink_to(outside / "a/000.png")
    (root / "b/linked").symlink_to(outside / "a")
    done = make(tmp_path, FOLDER, folder_train=str(root), folder_pct_val=0, allowed_roots=[str(root)])
    assert done.entries() == {"train": 6}
    assert sum(OUTSIDE in problem["reason"] for problem in done.problems()) == 2, (
        "the file, and the folder without the names in it"
    )
    (tmp_path / "in/labels.txt").write_text("a\nb\n")
    lines = [f"{root}/a/000.png 0", f"{root}/b/000.png 1", f"{root}/a/link.png 0", f"{outside}/a/001.png 0"]
    (tmp_path / "in/list.txt").write_text("\n".join(lines) + "\n")
    listed = make(
        tmp_path,
        TEXTFILE,
        textfile_local_train_images=str(tmp_path / "in/list.txt"),
        textfile_local_labels_file=str(tmp_path / "in/labels.txt"),
        textfile_use_local_files=True,
        allowed_roots=[str(root)],
    )
    assert listed.entries() == {"train": 2}
    with pytest.raises(DigitsError, match="outside the folders"):
        make(tmp_path, FOLDER, folder_train=str(root), folder_pct_val=0, allowed_roots=[])


def test_dicom_keeps_the_rule(tmp_path: Path) -> None:
    for name in ("in/a.dcm", "secret/s.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        test_dicom.write(tmp_path / name, np.ones((4, 4), np.uint16))
    assert test_dicom.source(tmp_path / "in", allowed_roots=[str(tmp_path / "in")]).itemize_entries("train_db")
    with pytest.raises(Forbidden, match="outside the folders"):
        test_dicom.source(tmp_path / "in", allowed_roots=[])
    (tmp_path / "in/linked").symlink_to(tmp_path / "secret")
    with pytest.raises(Forbidden, match="outside the folders"):
        test_dicom.source(tmp_path / "in", allowed_roots=[str(tmp_path / "in")])


def test_evaluations_keep_the_rule(jobs_dir: Any, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / "secret/s.png")
    (pictures / "dark/link.png").symlink_to(tmp_path / "secret/s.png")
    found, _ = run(context_for(jobs_dir, [pictures], source="folder", folder=str(pictures)))
    assert found["skipped"] == 1
    closed = context_for(jobs_dir, [], source="list", list_file="images.txt")
    write_list(closed, [f"{pictures}/dark/0 é.png"])
    with pytest.raises(DigitsError, match="outside the folders"):
        run(closed)
    assert EvaluationSpec.from_json(closed.folder.spec()).roots == ()


def test_the_servers_own_folder_stays_closed_where_a_link_leads_to_it(tmp_path: Path) -> None:
    for name in ("jobs", "data/state/uploads"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("data/a.png", "data/state/secret", "data/state/uploads/u.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "jobs/.digits").symlink_to(tmp_path / "data/state")
    own = Confinement([tmp_path / "data", tmp_path / "jobs"])
    assert own.allows(tmp_path / "data/a.png")
    assert own.allows(tmp_path / "data/state/uploads/u.png")
    for name in ("jobs/.digits/secret", "data/state/secret", "data/state"):
        assert not own.allows(tmp_path / name), name


# -- every source: the same picture outside, named and linked in every way ---------------------------------------------

SECRET = 213  # the value of all pixels of the picture that nobody may see


def solid(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((12, 12, 3), value, np.uint8)).save(path)
    return path


@pytest.fixture
def tempting(tmp_path: Path) -> Path:
    """`in` holds two pictures and links to `secret`, a file and a folder; `in/masks` the same for masks."""
    for folder, value in (("in", 40), ("in/masks", 1), ("in/cats", 40), ("in/dogs", 80)):
        for name in "ab":
            solid(tmp_path / folder / f"{name}.png", value)
    solid(tmp_path / "secret/s.png", SECRET)
    for folder in ("in", "in/masks", "in/cats"):
        (tmp_path / folder / "link.png").symlink_to(tmp_path / "secret/s.png")
        (tmp_path / folder / "linked").symlink_to(tmp_path / "secret")
    return tmp_path


def names_of(place: Path) -> list[str]:
    """How a file may name the secret picture, after two that it may name."""
    ways = [str(place / "secret/s.png"), "../secret/s.png", "linked/s.png", "link.png", f"{place}/in/../secret/s.png"]
    return ["a.png", "b.png", *ways]


def listed_boxes(place: Path, name: str) -> dict[str, Any]:
    boxes = {Path(one).stem if name in ("kitti", "voc", "yolo") else one: [("cat", 1, 1, 5, 5)] for one in names_of(place)}
    labels = place / "in/labels"
    if name == "coco":
        images = [{"id": n, "file_name": one, "width": 12, "height": 12} for n, one in enumerate(boxes)]
        found = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 4, 4]} for n in range(len(images))]
        labels.mkdir()
        (labels / "c.json").write_text(
            json.dumps({"images": images, "annotations": found, "categories": [{"id": 1, "name": "x"}]})
        )
    elif name == "csv":
        labels.mkdir()
        (labels / "t.csv").write_text("filename,xmin,ymin,xmax,ymax,class\n" + "".join(f"{one},1,1,5,5,cat\n" for one in boxes))
    elif name == "cvat":
        labels.mkdir()
        images = "".join(f'<image name="{n}"><box label="x" xtl="1" ytl="1" xbr="5" ybr="5"/></image>' for n in boxes)
        (labels / "c.xml").write_text(f"<annotations>{images}</annotations>")
    elif name == "labelme":
        labels.mkdir()
        for number, one in enumerate(boxes):
            shape = {"label": "x", "shape_type": "rectangle", "points": [[1, 1], [5, 5]]}
            (labels / f"{number}.json").write_text(json.dumps({"imagePath": one, "shapes": [shape]}))
    else:
        getattr(objects, name)(labels, boxes)
    return {"train_image_folder": str(place / "in"), "train_label_folder": str(labels), "annotation_format": name}


def coco_masks(place: Path) -> dict[str, Any]:
    values = listed_boxes(place, "coco")
    file = place / "in/labels/c.json"
    content = json.loads(file.read_text())
    for one in content["annotations"]:
        one["segmentation"] = [[1, 1, 9, 1, 9, 9]]
    file.write_text(json.dumps(content))
    return {
        "feature_folder": values["train_image_folder"],
        "label_folder": str(file),
        "mask_source": "coco",
        "folder_pct_val": 0,
    }


def table_of(place: Path, columns: str, cells: str) -> str:
    file = place / "in/t.csv"
    file.write_text(f"file,{columns}\n" + "".join(f"{name},{cells}\n" for name in names_of(place)))
    return str(file)


def list_of(place: Path) -> dict[str, Any]:
    (place / "in/labels.txt").write_text("x\ny\n")
    lines = [
        f"{name} {number % 2}"
        for number, name in enumerate([f"{place}/in/cats/a.png", f"{place}/in/dogs/a.png", *names_of(place)])
    ]
    (place / "in/list.txt").write_text("\n".join(lines) + "\n")
    values = {"textfile_local_train_images": f"{place}/in/list.txt", "textfile_local_labels_file": f"{place}/in/labels.txt"}
    return {**values, "textfile_use_local_files": True, "textfile_train_folder": f"{place}/in"}


def pairs(place: Path) -> dict[str, Any]:
    return {"feature_folder": str(place / "in"), "label_folder": str(place / "in/masks"), "folder_pct_val": 0}


WAYS: dict[str, list[Callable[[Path], dict[str, Any]]]] = {
    "image-classification-folder": [lambda place: {"folder_train": str(place / "in"), "folder_pct_val": 0}],
    "image-classification-textfile": [list_of],
    "image-segmentation": [pairs, coco_masks],
    "image-processing": [pairs],
    "image-pairs": [lambda place: {"image_folder": str(place / "in"), "folder_pct_val": 0}],
    "image-regression": [lambda p: {"image_folder": f"{p}/in", "values_file": table_of(p, "age", "3"), "folder_pct_val": 0}],
    "image-multi-label": [
        lambda p: {"image_folder": f"{p}/in", "values_file": table_of(p, "u,v", "1,0"), "folder_pct_val": 0},
        lambda p: {"image_folder": f"{p}/in", "label_source": "folders", "folder_pct_val": 0},
    ],
    "image-object-detection": [functools.partial(listed_boxes, name=name) for name in BOX_FORMATS],
}


@pytest.mark.parametrize(("source", "way"), [(name, way) for name, ways in WAYS.items() for way in ways])
def test_no_source_reads_what_lies_outside(tempting: Path, source: str, way: Callable[[Path], dict[str, Any]]) -> None:
    """Files and folders behind links, absolute paths and paths upwards, in folders, lists, tables and annotations."""
    values = way(tempting)
    cls = loader.get("data", source).cls
    made = cls(**with_roots(cls, {"resize_width": 12, "resize_height": 12, **values}, [str(tempting / "in")]))
    made.job_folder = tempting
    problems: list[dict[str, Any]] = []
    made.prepare(problems.append)
    entries = [entry for stage in STAGES for entry in made.itemize_entries(stage)]
    assert len(entries) >= 2
    for entry in entries:
        sample = made.encode_entry(entry)
        assert not (np.asarray(sample[0]) == SECRET).any(), entry
        assert sample[1] is None or np.asarray(sample[1]).dtype.names or not (np.asarray(sample[1]) == SECRET).any(), entry
    assert problems, "what is left out is listed"
    for picture in [path for path in (tempting / "in").rglob("*.png") if not path.is_symlink()]:
        picture.unlink()
        picture.symlink_to(tempting / "secret/s.png")
    for entry in entries:
        with pytest.raises(DataError, match="outside the folders that digits may read"):
            samples_of(made, entry, source)


def test_every_source_of_ours_is_among_them() -> None:
    ours = {one.id for one in loader.all_extensions("data") if one.cls is not None and one.cls.__module__.startswith("digits.")}
    assert ours == {*WAYS, "image-dicom"}


def test_a_folder_of_dicom_files_is_looked_at_within_the_rule(tempting: Path) -> None:
    test_dicom.write(tempting / "secret/s.dcm", np.ones((4, 4), np.uint16))
    (tempting / "in/s.dcm").symlink_to(tempting / "secret/s.dcm")
    assert candidates(str(tempting / "in"), [str(tempting)]).proposals
    found = [one for one in candidates(str(tempting / "in"), [str(tempting / "in")]).proposals if one.extension == "image-dicom"]
    assert found == []
    test_dicom.write(tempting / "in/own.dcm", np.ones((4, 4), np.uint16))
    (own,) = [one for one in candidates(str(tempting / "in"), [str(tempting / "in")]).proposals if one.extension == "image-dicom"]
    assert own.records == 1


def test_counts_of_classes_keep_the_rule(tempting: Path) -> None:
    allowed = Confinement([tempting / "in"])
    seen = dict(scan_folder(tempting / "in", may_read=allowed.allows).classes)
    assert "linked" not in seen
    assert dict(scan_folder(tempting / "in").classes)["linked"] == 1


def lmdb_in(folder: Path, value: int = SECRET) -> Path:
    write_lmdb(folder, [(np.full((1, 4, 4), value, np.uint8), 0)])
    return folder


@pytest.mark.parametrize("where", ["folder", "file"])
def test_databases_keep_the_rule(tmp_path: Path, where: str) -> None:
    (tmp_path / "in").mkdir()
    secret, inside = lmdb_in(tmp_path / "secret"), tmp_path / "in/db"
    if where == "folder":
        inside.symlink_to(secret)
    else:
        inside.mkdir()
        (inside / "data.mdb").symlink_to(secret / "data.mdb")
    allowed = Confinement([tmp_path / "in"])
    with pytest.raises(Forbidden):
        DatumDatabase(inside, allowed)
    with pytest.raises(Forbidden):
        DatumDatabase(inside, Confinement())
    with DatumDatabase(inside, Confinement([tmp_path])) as database:
        assert len(database) == 1
    if where == "file":
        with pytest.raises(Forbidden):
            DatumDatabase(inside)
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), auth=False, data_dirs=str(tmp_path / "in")))
    try:
        with pytest.raises(FormErrors, match="outside the folders"):
            databases.SOURCE.check(service, {"dataset_name": "x", "prebuilt_train_images": str(inside)})
    finally:
        service.close()
    source = Databases(**with_roots(Databases, {"train_images": str(inside)}, [str(tmp_path / "in")]))
    with pytest.raises(Forbidden):
        source.itemize_entries("train_db")


def test_records_that_somebody_names_keep_the_rule(tmp_path: Path) -> None:
    make_dataset(tmp_path / "secret", *striped_pictures(20, 8, 1), class_labels=("left", "right"))
    whole, split = tmp_path / "secret/train_db", tmp_path / "in/train_db"
    shutil.copytree(whole, split)
    allowed = Confinement([tmp_path / "in"])
    assert len(open_records(split, allowed)) == len(open_records(whole))
    marker = json.loads((split / "records.json").read_text())
    shard = marker["shards"][0]["file"]
    for name in (f"../../secret/train_db/{shard}", str(whole / shard)):
        changed = {**marker, "shards": [{**marker["shards"][0], "file": name}]}
        (split / "records.json").write_text(json.dumps(changed))
        with pytest.raises(Forbidden):
            open_records(split, allowed)
    (split / "records.json").write_text(json.dumps(marker))
    (split / shard).unlink()
    (split / shard).symlink_to(whole / shard)
    with pytest.raises(Forbidden):
        open_records(split, allowed)
    lmdb_in(tmp_path / "other")
    (tmp_path / "in/lies").mkdir()
    np.save(tmp_path / "in/lies/keys.npy", np.array([b"0"]))
    external = {"meta": marker["meta"], "shards": [], "external": {"images": str(tmp_path / "other"), "labels": ""}}
    (tmp_path / "in/lies/records.json").write_text(json.dumps(external))
    with pytest.raises(Forbidden):
        open_records(tmp_path / "in/lies", allowed)


def test_what_is_opened_is_judged(place: Path) -> None:
    """A link that leads out opens nothing; nor does a pipe."""
    allowed = Confinement([place / "open"])
    with allowed.open(place / "open/a.png") as file:
        assert file.read() == b"x"
    for name in REFUSED[1:]:
        with pytest.raises(Forbidden):
            allowed.open(place / name)
    os.mkfifo(place / "open/pipe")
    with pytest.raises(OSError, match="is a pipe"):
        allowed.open(place / "open/pipe")


def test_a_link_that_changes_between_the_look_and_the_opening_is_judged_anew(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = Confinement([place / "open"])
    (place / "open/turning").symlink_to("a.png")

    def turn(*arguments: Any) -> int:
        """After the look."""
        (place / "open/inner/b.png").unlink()
        (place / "open/inner/b.png").symlink_to(place / "secret/s.png")
        return opening(*arguments)

    opening = os.open
    with reading_from(allowed), open_file(place / "open/turning") as file:
        assert file.read() == b"x"
    with monkeypatch.context() as patched, reading_from(allowed):
        patched.setattr(os, "open", turn)
        with pytest.raises(OSError, match="outside the folders"):
            open_file(place / "open/inner/b.png")
    with reading_from(allowed), pytest.raises(PermissionError, match="outside"):
        open_file(place / "open/broken_link")
    with reading_from(allowed), pytest.raises(FileNotFoundError):
        open_file(place / "open/none.png")
    (place / "open/turning").unlink()
    (place / "open/turning").symlink_to("inner")
    cached = confinement.of_roots((str(place / "open"),))
    (place / "open/inner/c.png").write_bytes(b"first")
    (place / "open/other").mkdir()
    (place / "open/other/c.png").write_bytes(b"second")
    for words, folder in ((b"first", "other"), (b"second", "inner")):
        with reading_from(cached), open_file(place / "open/turning/c.png") as file:
            assert file.read() == words, "a folder's link is followed anew"
        (place / "open/turning").unlink()
        (place / "open/turning").symlink_to(folder)


def test_threads_and_limited_calls_read_from_where_the_work_does(place: Path) -> None:
    with reading_from(Confinement([place / "open"])):
        with pytest.raises(OSError, match="outside the folders"):
            within(20, lambda: open_file(place / "secret/s.png"), "test")
        with ThreadPoolExecutor(1, initializer=confinement.adopt, initargs=confinement.current()) as pool:
            assert isinstance(pool.submit(open_file, place / "secret/s.png").exception(), PermissionError)
        with pytest.raises(IsADirectoryError):
            open_file(place / "open")
    assert confinement.current() == (None, None)
    open_file(place / "secret/s.png").close()


def test_in_a_folder_that_was_judged_links_and_private_names_are_judged_all_the_same(place: Path) -> None:
    (place / "open/turned.png").symlink_to(place / "secret/s.png")
    (place / "open/userdata.pkl").write_bytes(b"x")
    os.mkfifo(place / "open/pipe")
    with reading_from(Confinement([place / "open"])):
        for _ in range(2):
            open_file(place / "open/a.png").close()
            for name, words in {
                "turned.png": "outside",
                "userdata.pkl": "outside",
                "pipe": "is a pipe",
                "inner": "Is a directory",
            }.items():
                for reader in (open_file, read_file):
                    with pytest.raises(OSError, match=words):
                        reader(place / "open" / name)
            for reader in (open_file, read_file):
                with pytest.raises(OSError, match="outside the folders"):
                    reader(f"{place}/open/../secret/s.png")
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            open_file(place / "open/a.png").close()
            open_file(place / "open/inner/b.png").close()
            assert read_file(place / "open/inner/b.png") == b"x"
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 2, "each folder is held open once"


def test_all_of_a_file_is_read_whatever_its_length_is_said_to_be(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the system does not know it, or gives less at once than was wanted."""
    data = os.urandom(100_000)
    (place / "open/long").write_bytes(data)
    (place / "open/empty").write_bytes(b"")
    read = os.read
    with reading_from(Confinement([place / "open"])):
        assert read_file(place / "open/long") == data
        assert read_file(place / "open/empty") == b""
        monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 999)))
        assert read_file(place / "open/long") == data
    assert b"MemTotal" in read_file("/proc/meminfo")


def test_a_file_that_nobody_could_hold_is_refused_before_a_byte_is_read(place: Path) -> None:
    """Its pictures are skipped with the reason; nothing is allocated for what it says it has."""
    with open(place / "open/huge.png", "wb") as file:
        file.truncate(50 << 30)
    with reading_from(Confinement([place / "open"])), pytest.raises(OSError, match=r"it has 50.0 GiB; at most 1.5 are read"):
        read_file(place / "open/huge.png")
