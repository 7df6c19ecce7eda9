"""The right file in the records: pairs, lists of splits and class names, read back out of data sets that were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digits.errors import DataError
from digits.extensions.data.classification.lists import class_folders
from digits.extensions.data.files.class_names import read_labels
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.splitting import by_lists
from digits.utils.names import class_name
from tests.ingest.making import FOLDER, TEXTFILE, Run, make, make_job, picture, run_job

SIZE = (12, 10)


def masked(tmp_path: Path, values: dict[str, int]) -> tuple[Path, Path]:
    """Pictures, and masks that hold one value each besides 0."""
    for number, (name, value) in enumerate(values.items()):
        for kind in ("images", "masks"):
            (tmp_path / kind / name).parent.mkdir(parents=True, exist_ok=True)
        picture(number, SIZE).save(tmp_path / "images" / name)
        mask = np.zeros(SIZE[::-1], np.uint8)
        mask[2:] = value
        Image.fromarray(mask).save(tmp_path / "masks" / name)
    return tmp_path / "images", tmp_path / "masks"


def segmentation(tmp_path: Path, values: dict[str, int], **data: str) -> Run:
    images, masks = masked(tmp_path, values)
    form = {"feature_folder": str(images), "label_folder": str(masks), "folder_pct_val": 0, **data}
    return run_job(make_job(tmp_path / "jobs", "image-segmentation", form))


def values_of(run: Run, split: str = "train") -> dict[str, int]:
    """The value of the mask of each picture."""
    reader = run.reader(split)
    rows = range(len(reader))
    names = [Path(path).relative_to(Path(path).parents[1]).as_posix() for path in reader.column("source", rows)]
    return {name: int(mask.max()) for name, mask in zip(names, reader.labels(rows), strict=True)}


def test_pairs_masks_of_exact_names(tmp_path: Path) -> None:
    run = segmentation(tmp_path, {"cell_1_L.png": 1, "cell_1.png": 2, "x.png": 3})
    assert values_of(run) == {"images/cell_1_L.png": 1, "images/cell_1.png": 2, "images/x.png": 3}


def test_pairs_names_ending_in_known_words(tmp_path: Path) -> None:
    boxes = {"room_noisy": 3, "room_clean": 5, "b": 7}
    for number, (name, left) in enumerate(boxes.items()):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "labels").mkdir(exist_ok=True)
        picture(number, (40, 30)).save(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels" / f"{name}.txt").write_text(f"car 0 0 0 {left} 4 20 22 0 0 0 0 0 0 0\n")
    form = {"train_image_folder": str(tmp_path / "images"), "train_label_folder": str(tmp_path / "labels")}
    run = run_job(make_job(tmp_path / "jobs", "image-object-detection", form))
    reader = run.reader()
    found = {Path(reader.column("source", [row])[0]).stem: reader.labels([row])[0]["x0"].tolist() for row in range(3)}
    assert found == {name: [float(left)] for name, left in boxes.items()}


def test_split_lists_with_folders_segmentation(tmp_path: Path) -> None:
    names = {f"{folder}/0000{number}.png": 1 for folder in ("bear", "swan") for number in range(3)}
    (tmp_path / "train.txt").write_text("".join(f"bear/0000{number}.png\n" for number in range(3)))
    (tmp_path / "val.txt").write_text("".join(f"swan/0000{number}\n" for number in range(3)))
    run = segmentation(tmp_path, names, train_list_file=str(tmp_path / "train.txt"), val_list_file=str(tmp_path / "val.txt"))
    assert set(values_of(run)) == {f"bear/0000{number}.png" for number in range(3)}
    assert set(values_of(run, "val")) == {f"swan/0000{number}.png" for number in range(3)}


def test_split_lists_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("my img 0.png\nmy img 1.png\n")
    (tmp_path / "val.txt").write_bytes("\ufeffmy img 2.png\r\nmy img 3.png\r\n".encode("utf-16-le"))
    run = segmentation(
        tmp_path,
        {f"my img {number}.png": number + 1 for number in range(4)},
        train_list_file=str(tmp_path / "train.txt"),
        val_list_file=str(tmp_path / "val.txt"),
    )
    assert values_of(run) == {"images/my img 0.png": 1, "images/my img 1.png": 2}
    assert values_of(run, "val") == {"images/my img 2.png": 3, "images/my img 3.png": 4}


def listed(tmp_path: Path, pictures: list[str], *lines: str) -> tuple[list[str], list[str]]:
    """The pictures that a list names, and what is said of its lines."""
    (tmp_path / "train.txt").write_text("\n".join(lines))
    said: list[str] = []
    findings = Findings(lambda problem: said.append(problem["reason"]) if problem["kind"] == "list" else None)
    numbers = by_lists("/set", [f"/set/{name}" for name in pictures], {"train_db": str(tmp_path / "train.txt")}, findings)
    return [name for name, number in zip(pictures, numbers, strict=True) if number == 0], said


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("2007_000032  1", "2007_000032.jpg"),
        ("2007_000032 -1", "2007_000032.jpg"),
        ("/SegNet/train/2007_000032.jpg /SegNet/trainannot/2007_000033.png", "2007_000032.jpg"),
        ("2007_000032.jpg,2007_000033.png", "2007_000032.jpg"),
        ("JPEGImages\\2007_000032.jpg", "2007_000032.jpg"),
        ('"a b.c.jpg" 1', "a b.c.jpg"),
        ("a b.c", "a b.c.jpg"),
        ("a b.c.jpg\tcat", "a b.c.jpg"),
        ("a 1", "a 1.jpg"),
        ("a 1 1", "a 1.jpg"),
        ("2007_000033_gt.png", "2007_000033.jpg"),
    ],
)
def test_lines_of_lists(tmp_path: Path, line: str, named: str) -> None:
    pictures = ["2007_000032.jpg", "2007_000033.jpg", "a b.c.jpg", "a 1.jpg", "a.jpg"]
    assert listed(tmp_path, pictures, line) == ([named], [])


def test_lines_that_name_nothing_or_several_are_listed(tmp_path: Path) -> None:
    found, said = listed(tmp_path, ["left/1.png", "right/1.png", "my.png"], "left/1.png", "1.png", "my img 9.png", "# all", "")
    assert found == ["left/1.png"]
    assert "It fits left/1.png and right/1.png: neither is taken." in said[0]
    assert "'my img 9.png': No picture" in said[1]
    assert len(said) == 2
    with pytest.raises(DataError, match="None of the lists names a picture"):
        listed(tmp_path, ["1.png"], "7.png")


def test_what_stands_in_two_lists_is_said(tmp_path: Path) -> None:
    files = {}
    for stage in ("train", "val"):
        (tmp_path / f"{stage}.txt").write_text(f"1.png\n{stage}.png\n")
        files[f"{stage}_db"] = str(tmp_path / f"{stage}.txt")
    said: list[str] = []
    numbers = by_lists(
        "/s", ["/s/1.png", "/s/train.png", "/s/val.png"], files, Findings(lambda problem: said.append(problem["reason"]))
    )
    assert numbers.tolist() == [0, 0, 1]
    assert said == ["It stands in the lists of train and val; it is taken for train alone."]


def test_other_endings(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        place = tmp_path / "in" / folder
        (place / "__MACOSX").mkdir(parents=True)
        for number, name in enumerate(("0.png", "x.jfif", "x.JPE", "x.jp2", "x.tga", "x.pbm", "x.dib")):
            kind = {".jfif": "JPEG", ".JPE": "JPEG", ".jp2": "JPEG2000", ".tga": "TGA", ".pbm": "PPM", ".dib": "DIB"}
            image = picture(number + 10 * (folder == "b"))
            (image.convert("1") if name == "x.pbm" else image).save(place / name, kind.get(Path(name).suffix))
        for name in ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._1.png"):
            (place / name).write_bytes(b"\0\5\x16\7")
    for name in ("x.heic", "y.heic", "x"):
        (tmp_path / "in/a" / name).write_bytes(b"other")
    run = make(tmp_path, folder_train=str(tmp_path / "in"), folder_pct_val=0)
    assert run.entries() == {"train": 14}
    assert [(p["kind"], p["reason"]) for p in run.problems()] == [
        ("other-files", "3 files of other kinds: .heic (2), no ending (1). They are not read.")
    ]


def test_class_underscore(tmp_path: Path) -> None:
    number = 0
    for name in ("_", "A", "a", "red__rose", "_x"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for _ in range(2):
            picture(number).save(tmp_path / "in" / name / f"{number}.png")
            number += 1
    run = make(tmp_path, FOLDER, folder_train=str(tmp_path / "in"), folder_pct_val=0)
    assert run.info.class_labels == ("A", "_", "_x", "a", "red rose")
    folder = run.folder.path
    again = make(
        tmp_path / "again",
        TEXTFILE,
        textfile_use_local_files=True,
        textfile_shuffle=False,
        textfile_local_labels_file=str(folder / "labels.txt"),
        textfile_local_train_images=str(folder / "train.txt"),
    )
    assert again.info.class_labels == run.info.class_labels
    assert again.info.content_hash == run.info.content_hash


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1, max_size=5))
def test_every_class_name_survives_its_labels_file(tmp_path_factory: pytest.TempPathFactory, folders: list[str]) -> None:
    labels = [class_name(name) for name in folders]
    file = tmp_path_factory.mktemp("labels") / "labels.txt"
    file.write_bytes("".join(f"{label}\n" for label in labels).encode())
    assert read_labels(file) == labels
    assert [class_name(label) for label in labels] == labels


def test_remarks_in_a_file_of_class_names_are_no_classes(tmp_path: Path) -> None:
    """`#` and `#tag` are names, and a folder that is called like a remark gives a class that its labels file keeps."""
    (tmp_path / "labels.txt").write_text("\ufeff# my classes\nbg\n  ## of the street\n#\n#tag\n#\tpets\ncat\n")
    assert read_labels(tmp_path / "labels.txt") == ["bg", "#", "#tag", "cat"]
    for number, name in enumerate(("# a", "## # b", "#", "c")):
        (tmp_path / "in" / name).mkdir(parents=True)
        for row in range(2):
            picture(2 * number + row).save(tmp_path / "in" / name / f"{row}.png")
    run = make(tmp_path, FOLDER, folder_train=str(tmp_path / "in"), folder_pct_val=0)
    assert run.info.class_labels == ("#", "#a", "###b", "c")
    assert read_labels(run.folder.path / "labels.txt") == list(run.info.class_labels)


def test_folders_of_one_class_are_said(tmp_path: Path) -> None:
    for number, name in enumerate(("red_rose", "red rose", "tulip")):
        (tmp_path / "in" / name).mkdir(parents=True)
        for row in range(2):
            picture(2 * number + row).save(tmp_path / "in" / name / f"{row}.png")
    assert [len(paths) for paths in class_folders(tmp_path / "in").values()] == [2, 1]
    run = make(tmp_path, folder_train=str(tmp_path / "in"), folder_pct_val=0)
    assert run.info.class_labels == ("red rose", "tulip")
    assert [p["reason"] for p in run.problems()] == ["The folders red rose and red_rose are one class."]


def test_a_list_in_another_encoding_names_its_files(tmp_path: Path) -> None:
    for number, name in enumerate(("é.png", "b.png", "e\u0301x.png", "d.png")):
        picture(number).save(tmp_path / name)
    (tmp_path / "labels.txt").write_text("ä\nb\n")
    (tmp_path / "list.txt").write_bytes("é.png 0\r\nb.png 1\r\nd.png 0\r\n".encode("cp1252"))
    (tmp_path / "more.txt").write_text("\u00e9x.png 0\n")
    run = make(
        tmp_path,
        TEXTFILE,
        textfile_use_local_files=True,
        textfile_use_val=True,
        textfile_local_labels_file=str(tmp_path / "labels.txt"),
        textfile_local_train_images=str(tmp_path / "list.txt"),
        textfile_local_val_images=str(tmp_path / "more.txt"),
    )
    assert run.entries() == {"train": 3, "val": 1}
    assert run.info.class_labels == ("ä", "b")


def test_boxes_of_a_name_with_another_addition_are_not_taken(tmp_path: Path) -> None:
    for place in ("images", "labels"):
        (tmp_path / place).mkdir()
    for number, (name, label) in enumerate((("a", "a"), ("room_noisy", "room_clean"))):
        picture(number, (40, 30)).save(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels" / f"{label}.txt").write_text("car 0 0 0 3 4 20 22 0 0 0 0 0 0 0\n")
    form = {"train_image_folder": str(tmp_path / "images"), "train_label_folder": str(tmp_path / "labels")}
    run = run_job(make_job(tmp_path / "jobs", "image-object-detection", form))
    assert run.entries() == {"train": 1}
    assert {Path(problem["entry"]).name for problem in run.problems() if problem["kind"] == "pair"} == {
        "room_noisy.png",
        "room_clean.txt",
    }
