"""Databases that are used in place: one bad record is left out, counted and listed, as in every other data set."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import pytest
from PIL import Image

from digits.domain.datasets import HASH_KIND, DatasetSpec
from digits.errors import DataError
from digits.ingest.pipeline import IngestContext
from digits.ingest.prebuilt import ingest_prebuilt
from digits.storage.records.caffe_datum import make_datum, make_encoded, make_mean
from digits.storage.records.open import open_records
from digits.storage.records.writer import MARKER
from digits.testing.runs import make_dataset, striped_pictures
from digits.utils.image import image_to_array, load_image
from tests.ingest.making import Run, make_job

GREY = np.full((1, 6, 5), 7, np.uint8)


def database(path: Path, records: dict[str, bytes]) -> str:
    path.mkdir()
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key.encode(), value)
    return str(path)


def make(tmp_path: Path, spec: dict[str, Any] | None = None, **data: str) -> Run:
    folder = make_job(tmp_path / "jobs", "image-processing", {})
    wanted = DatasetSpec(extension="prebuilt", extension_data=data, **(spec or {}))
    context = IngestContext(lambda event: None, lambda: False, lambda work: work(), 1, lambda error: None)
    return Run(folder, ingest_prebuilt(folder, wanted, context))


def mixture() -> dict[str, bytes]:
    """Eight good pictures, and one bad one of each kind."""
    good = {f"{number:04d}": make_datum(GREY + number, number % 2) for number in range(8)}
    nan = np.full((1, 6, 5), np.nan, np.float32)
    return good | {
        "0002-torn": make_datum(GREY, 0)[:-9],
        "0003-nan": make_datum(nan, 0),
        "0004-colour": make_datum(np.zeros((3, 6, 5), np.uint8), 0),
        "0005-larger": make_datum(np.zeros((1, 7, 5), np.uint8), 0),
        "0006-float": make_datum(np.ones((1, 6, 5), np.float32), 0),
        "0007-no-datum": b"\xff\xff",
    }


def test_one_bad_record_of_each_kind_is_left_out(tmp_path: Path) -> None:
    run = make(tmp_path, train_images=database(tmp_path / "train", mixture()))
    reader = open_records(run.folder.path / "train_db")
    assert reader.column("key", range(len(reader))) == [f"{number:04d}" for number in range(8)]
    np.testing.assert_array_equal(reader.features(range(8))[:, 0, 0, 0], np.arange(8) + 7)
    np.testing.assert_array_equal(reader.labels(range(8)), np.arange(8) % 2)
    problems = {one["entry"]: one["reason"] for one in run.problems()}
    assert problems.keys() == mixture().keys() - {f"{number:04d}" for number in range(8)}
    for entry, words in {"0003-nan": "NaN", "0004-colour": "(3, 6, 5)", "0006-float": "float32", "0002-torn": "no Datum"}.items():
        assert words in problems[entry]
    assert (run.info.problems, run.info.left_out["count"], run.info.splits["train_db"].skipped) == (6, 6, 6)
    assert run.info.splits["train_db"].meta.mean == (10.5,)


def test_types_are_widened_where_most_are_wider(tmp_path: Path) -> None:
    records = {f"{number}": make_datum((GREY + number).astype(np.float32) / 2) for number in range(3)} | {"3": make_datum(GREY)}
    reader = open_records(make(tmp_path, train_images=database(tmp_path / "train", records)).folder.path / "train_db")
    assert (len(reader), reader.features([3]).dtype, reader.features([3]).max()) == (4, np.float32, 7)


def test_labels_of_another_database(tmp_path: Path) -> None:
    pictures = {f"{number}": make_datum(GREY + number) for number in range(6)}
    labels = {f"{number}": make_datum(np.full((1, 1, 2), number, np.float32)) for number in range(5)}
    labels["1"] = make_datum(np.full((1, 1, 3), 1, np.float32))
    run = make(tmp_path, train_images=database(tmp_path / "p", pictures), train_labels=database(tmp_path / "l", labels))
    assert {one["entry"] for one in run.problems()} == {"1", "5"}
    reader = open_records(run.folder.path / "train_db")
    np.testing.assert_array_equal(reader.labels(range(len(reader)))[:, 0, 0, 0], [0, 2, 3, 4])


def unencoded(array: np.ndarray) -> bytes:
    """What Caffe's own `array_to_datum` writes, floats as they lie; values and sizes below 128."""
    values = array.astype("<f4").tobytes()
    sides = bytes(byte for tag, side in zip((8, 16, 24), array.shape, strict=True) for byte in (tag, side))
    return sides + bytes((50, len(values))) + values


@pytest.mark.parametrize("written", [unencoded, make_datum])
def test_three_numbers_are_no_colour(tmp_path: Path, written: Callable[[np.ndarray], bytes]) -> None:
    """Labels and features of three numbers stay in their order, with the mean; a label that is a picture in colour is BGR."""
    numbers = np.array([1, 2, 3], np.float32).reshape(3, 1, 1)
    records = database(tmp_path / "numbers", {f"{number}": written(numbers + 10 * number) for number in range(3)})
    colours = database(tmp_path / "colours", {f"{number}": unencoded(np.tile(numbers, (1, 1, 2))) for number in range(3)})
    (tmp_path / "mean.binaryproto").write_bytes(make_mean(numbers[::-1]))
    mean = str(tmp_path / "mean.binaryproto")
    run = make(tmp_path, train_images=records, train_labels=colours, val_images=colours, val_labels=records, mean_file=mean)
    train, val = (open_records(run.folder.path / split) for split in ("train_db", "val_db"))
    for found in (train.features([1]), val.labels([1])):
        np.testing.assert_array_equal(found.ravel(), [11, 12, 13])
    for found in (train.labels([1]), val.features([1])):
        np.testing.assert_array_equal(found[0, :, 0, 0], [3, 2, 1])
    assert run.info.splits["train_db"].meta.mean == (1, 2, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_encoded_pictures_of_16_bits_keep_their_numbers(tmp_path: Path, channels: int) -> None:
    """Two that differ in the lower 8 bits alone, as measured depths do."""
    shape = (channels, 4, 6)
    pictures = [np.arange(np.prod(shape), dtype=np.uint16).reshape(shape) * step + 700 for step in (1, 2)]
    files = [cv2.imencode(".png", np.ascontiguousarray(one.transpose(1, 2, 0)[:, :, ::-1]))[1].tobytes() for one in pictures]
    records = database(tmp_path / "deep", {f"{i}": make_encoded(file, shape, i) for i, file in enumerate(files)})
    run = make(tmp_path, train_images=records)
    train = open_records(run.folder.path / "train_db")
    assert train.meta.feature_dtype == "uint16"
    np.testing.assert_array_equal(train.features([0, 1]), pictures)
    marker = run.folder.path / "train_db" / MARKER
    known = json.loads(marker.read_text())
    marker.write_text(json.dumps(known | {"meta": known["meta"] | {"feature_dtype": "uint8"}}))
    older = open_records(run.folder.path / "train_db").features([0])[0]
    expected = image_to_array(load_image(io.BytesIO(files[0])))
    np.testing.assert_array_equal(older, expected.reshape(4, 6, channels).transpose(2, 0, 1))


@pytest.mark.parametrize(("share", "works"), [(0.43, True), (0.42, False)])
def test_more_than_the_share_ends_the_job(tmp_path: Path, share: float, works: bool) -> None:
    """6 of 14 are bad."""
    source = database(tmp_path / "train", mixture())
    if works:
        assert make(tmp_path, {"max_left_out": share}, train_images=source).info.problems == 6
        return
    with pytest.raises(DataError, match="6 of 14 entries cannot be used, more than the 42%"):
        make(tmp_path, {"max_left_out": share}, train_images=source)


def test_the_content_hash_is_of_records_and_labels_and_of_no_path(tmp_path: Path) -> None:
    good = {f"{number:04d}": make_datum(GREY + number, number % 2) for number in range(8)}
    encoded = io.BytesIO()
    Image.fromarray(GREY[0]).save(encoded, "PNG")
    packed = {**good, "0008": make_encoded(encoded.getvalue(), GREY.shape, 1)}

    def hash_of(name: str, records: dict[str, bytes], **more: str) -> str:
        (tmp_path / name).mkdir()
        found = make(tmp_path / name, train_images=database(tmp_path / name / "train", records), **more).info
        assert found.hash_kind == HASH_KIND
        return found.content_hash

    known = hash_of("first", packed)
    assert known == hash_of("elsewhere", packed)
    others = [
        hash_of("label", {**packed, "0003": make_datum(GREY + 3, 0)}),
        hash_of("pixel", {**packed, "0003": make_datum(GREY, 1)}),
        hash_of("fewer", good),
        hash_of("unlabelled", packed, ignore_labels="y"),
    ]
    assert len({known, *others}) == 5
    labels = {key: make_datum(np.full((1, 1, 2), 1, np.float32)) for key in good}
    paired = [hash_of(f"l{n}", good, train_labels=database(tmp_path / f"labels{n}", labels)) for n in range(2)]
    assert paired[0] == paired[1] not in (known, *others)


def test_records_of_ours_have_the_hash_that_they_were_made_with(tmp_path: Path) -> None:
    features, labels = striped_pictures(12, 8, seed=1)
    one, other = (make_dataset(tmp_path / name, features, labels, class_labels=("a", "b")) for name in ("one", "other"))
    found = [make(tmp_path / f"jobs{n}", train_images=str(folder / "train_db")).info for n, folder in enumerate((one, other))]
    assert found[0].content_hash == found[1].content_hash != ""
    turned = make_dataset(tmp_path / "turned", features, 1 - labels, class_labels=("a", "b"))
    assert make(tmp_path / "jobs3", train_images=str(turned / "train_db")).info.content_hash != found[0].content_hash


def split_of(folder: Path, classes: tuple[str, ...], side: int = 8, channels: int = 1) -> str:
    """The records of a data set with these classes."""
    features, labels = striped_pictures(12, side, 1)
    features = np.repeat(features[:, :1], channels, axis=1)
    make_dataset(folder, features, labels % len(classes), class_labels=classes)
    return str(folder / "train_db")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (("cat", "dog"), ""),
        (("cat", "dog", "ox"), ""),
        (("0", "1"), ""),
        (("dog", "cat"), "Class 0 is 'dog' in val_db and 'cat' in train_db."),
        (("ant", "cat", "dog"), "Class 0 is 'cat' in train_db and 'ant' in val_db."),
        (("cat", "ant"), "Class 1 is"),
    ],
)
def test_splits_that_name_one_class_differently_are_refused(tmp_path: Path, classes: tuple[str, ...], said: str) -> None:
    """Records have numbers alone: cats of one split were called ants, as the names of the longer list were taken."""
    data = {"train_images": split_of(tmp_path / "a", ("cat", "dog")), "val_images": split_of(tmp_path / "b", classes)}
    if said:
        with pytest.raises(DataError, match=said):
            make(tmp_path, **data)
    else:
        assert make(tmp_path, **data).info.class_labels == (classes if classes[0] == "cat" else ("cat", "dog"))


def test_splits_of_other_shapes_are_refused_or_said(tmp_path: Path) -> None:
    train = split_of(tmp_path / "a", ("cat", "dog"))
    larger, colour = split_of(tmp_path / "b", ("cat", "dog"), side=12), split_of(tmp_path / "c", ("cat", "dog"), channels=3)
    with pytest.raises(DataError, match=r"those of the validation \(3, 8, 8\)"):
        make(tmp_path, {"force_same_shape": False}, train_images=train, val_images=colour)
    folder = make_job(tmp_path / "others", "image-processing", {})
    wanted = DatasetSpec(
        extension="prebuilt", extension_data={"train_images": train, "val_images": larger}, force_same_shape=False
    )
    said: list[str] = []
    ingest_prebuilt(
        folder,
        wanted,
        IngestContext(
            lambda event: said.append(getattr(event, "message", "")), lambda: False, lambda work: work(), 1, lambda error: None
        ),
    )
    assert any("(1, 12, 12): what a network of a fixed size sees" in one for one in said)
