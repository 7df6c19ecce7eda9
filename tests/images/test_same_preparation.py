"""A picture is prepared alike when a data set is made of it, when a model of that data set gets it, and in an archive.

Each task's source makes real records, in every way of resizing that its form has; the files they came from are then prepared by
what `dataset.json` says, as a predictor and as `predict.py` do it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from digits.engines.pytorch.inputs import Inputs
from digits.engines.training.preprocessing import Preprocessing
from digits.errors import LoadImageError
from digits.images.place import NOISE, ZERO, fill_of
from digits.images.prepare import Preparation, dtype_word
from digits.images.prepare_for_model import Fitting, Preparer
from digits.service.models.templates.predicting import read_feature
from digits.storage.records.codec import as_stored, can_encode, decode, encode
from digits.tasks import Labels, of
from tests.ingest import objects
from tests.ingest.making import FOLDER, Run, make_job, picture, run_job

SIZES = {"a": (31, 47), "b": (47, 31), "c": (20, 24), "d": (90, 10)}  # width, height
WIDTH, HEIGHT = 24, 20
SIZE = {"resize_width": WIDTH, "resize_height": HEIGHT}


def pictures(folder: Path, mode: str = "RGB", first: int = 0) -> Path:
    folder.mkdir(parents=True)
    for seed, (name, size) in enumerate(SIZES.items(), first):
        picture(seed, size, mode).save(folder / f"{name}.png")
    return folder


def classification(place: Path, **values: Any) -> tuple[str, dict[str, Any]]:
    for first, name in enumerate(("left", "right")):
        pictures(place / "classes" / name, first=4 * first)
    return FOLDER, {"folder_train": str(place / "classes"), "folder_pct_val": 0, "resize_channels": 3, **SIZE, **values}


def segmentation(place: Path, **values: Any) -> tuple[str, dict[str, Any]]:
    (place / "masks").mkdir()
    for name, (width, height) in SIZES.items():
        Image.fromarray((np.arange(width * height).reshape(height, width) % 3).astype(np.uint8)).save(place / f"masks/{name}.png")
    folders = {"feature_folder": str(pictures(place / "images")), "label_folder": str(place / "masks"), "folder_pct_val": 0}
    return "image-segmentation", {**folders, **SIZE, **values}


def processing(place: Path, **values: Any) -> tuple[str, dict[str, Any]]:
    folders = {"feature_folder": str(pictures(place / "images", "L")), "label_source": "image", "folder_pct_val": 0}
    return "image-processing", {**folders, **SIZE, **values}


def detection(place: Path, **values: Any) -> tuple[str, dict[str, Any]]:
    boxes: objects.Boxes = {name: [("cat", 1, 1, 8, 8)] for name in SIZES}
    folders = {
        "train_image_folder": str(pictures(place / "images")),
        "train_label_folder": str(objects.kitti(place / "boxes", boxes)),
    }
    return "image-object-detection", {**folders, "resize_image_width": WIDTH, "resize_image_height": HEIGHT, **values}


def regression(place: Path, **values: Any) -> tuple[str, dict[str, Any]]:
    (place / "values.csv").write_text("file,age\n" + "".join(f"{name}.png,{n}\n" for n, name in enumerate(SIZES)))
    table = {"image_folder": str(pictures(place / "images")), "values_file": str(place / "values.csv"), "folder_pct_val": 0}
    return "image-regression", {**table, **SIZE, **values}


def multi_label(place: Path, **values: Any) -> tuple[str, dict[str, Any]]:
    (place / "labels.csv").write_text("file,cat,dog\n" + "".join(f"{name}.png,1,{n % 2}\n" for n, name in enumerate(SIZES)))
    table = {"image_folder": str(pictures(place / "images")), "values_file": str(place / "labels.csv"), "folder_pct_val": 0}
    return "image-multi-label", {**table, **SIZE, **values}


SOURCES = (classification, multi_label, segmentation, detection, regression, processing)
CASES = [(source, mode) for source in SOURCES for mode in ("squash", "crop", "fill")] + [(classification, "half_crop")]


def made(
    tmp_path: Path, source: Callable[..., tuple[str, dict[str, Any]]], spec: dict[str, Any] | None = None, **values: Any
) -> Run:
    extension, data = source(tmp_path, **values)
    return run_job(make_job(tmp_path / "jobs", extension, data, **(spec or {})))


def meta_of(run: Run) -> dict[str, Any]:
    """What a snapshot says of a network that takes these records as they are (`engines.training.setup.metadata`)."""
    meta = run.reader().meta
    shape = list(meta.feature_shape or ())
    return {
        "task": run.info.task,
        "class_labels": list(run.info.class_labels),
        "label_kind": meta.label_kind,
        "label_shape": meta.label_shape,
        "input_shape": shape,
        "stored_shape": shape,
        "preparation": {"dtype": meta.feature_dtype},
        "image": dict(run.info.extra),
    }


def check_all(run: Run, meta: dict[str, Any]) -> None:
    """Every record against what the predictor and the archive make of its file."""
    reader = run.reader()
    assert len(reader) >= len(SIZES)
    for row in range(len(reader)):
        (path,) = reader.column("source", [row])
        stored = reader.feature(row)
        np.testing.assert_array_equal(Preparer(meta)(path), stored, err_msg=path)
        np.testing.assert_array_equal(Preparer(meta)(Path(path).read_bytes()), stored, err_msg=path)
        np.testing.assert_array_equal(read_feature(path, meta), stored, err_msg=path)


@pytest.mark.parametrize(("source", "mode"), CASES, ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_a_model_gets_a_picture_as_its_data_set_stored_it(
    tmp_path: Path, source: Callable[..., tuple[str, dict[str, Any]]], mode: str
) -> None:
    run = made(tmp_path, source, resize_mode=mode)
    meta = meta_of(run)
    assert fill_of(run.info.extra) == (NOISE if source is classification else ZERO)
    check_all(run, meta)
    if mode == "fill" and source is not classification:
        edge = run.reader().feature(run.reader().column("source", range(4)).index(str(tmp_path / "images" / "d.png")))
        assert edge[:, 0].max() == edge[:, -1].max() == 0


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_data_sets_made_before_the_padding_was_recorded_are_prepared_as_they_were_made(
    tmp_path: Path, source: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    run = made(tmp_path, source, resize_mode="fill")
    meta = meta_of(run)
    del meta["image"]["fill"]
    check_all(run, meta)


@pytest.mark.parametrize("size", [(0, 0), (WIDTH, HEIGHT)])
@pytest.mark.parametrize("padding", [(96, 64), (0, 0)])
def test_detection_pads_before_it_resizes(tmp_path: Path, size: tuple[int, int], padding: tuple[int, int]) -> None:
    """Without a padding in the form, pictures of several sizes that are not resized are padded to the largest."""
    sizes = dict(zip(("resize_image_width", "resize_image_height"), size, strict=True))
    pads = dict(zip(("padding_image_width", "padding_image_height"), padding, strict=True))
    run = made(tmp_path, detection, **sizes, **pads)
    check_all(run, meta_of(run))


def test_a_picture_larger_than_the_padding_is_shrunk_into_it(tmp_path: Path) -> None:
    """Such a picture is no record, but a model may be asked about it."""
    meta = meta_of(made(tmp_path, detection, resize_image_width=0, resize_image_height=0))
    assert meta["stored_shape"] == [3, 64, 96]
    Image.new("RGB", (384, 64), (200, 100, 50)).save(tmp_path / "long.png")
    found = Preparer(meta)(tmp_path / "long.png")
    assert found[:, :16].min() == 50
    assert found[:, 16:].max() == 0
    np.testing.assert_array_equal(read_feature(tmp_path / "long.png", meta), found)


@pytest.mark.parametrize("mode", ["squash", "crop", "fill"])
def test_wide_pictures_too(tmp_path: Path, mode: str) -> None:
    """16-bit pictures keep their values; what is padded is zero."""
    (tmp_path / "images").mkdir()
    for seed, (name, (width, height)) in enumerate(SIZES.items()):
        values = np.random.default_rng(seed).integers(300, 60_000, (height, width)).astype(np.uint16)
        Image.fromarray(values).save(tmp_path / "images" / f"{name}.png")
    values = {
        "feature_folder": str(tmp_path / "images"),
        "label_source": "image",
        "folder_pct_val": 0,
        **SIZE,
        "resize_mode": mode,
    }
    run = run_job(make_job(tmp_path / "jobs", "image-processing", values))
    assert run.reader().meta.feature_dtype == "uint16"
    check_all(run, meta_of(run))


@pytest.mark.parametrize("dtype", ["int64", "float64", "float32", "uint16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_records_of_a_plugin_take_pictures_in_their_own_type(tmp_path: Path, dtype: str, channels: int) -> None:
    """Nobody knows how the plugin read its files: values stay what 8 bits hold, and grey, palette and colour all do."""
    shape = [channels, HEIGHT, WIDTH]
    meta = {"input_shape": shape, "stored_shape": shape, "preparation": {"dtype": dtype}, "image": {"feature_encoding": "none"}}
    plain = {**meta, "preparation": {"dtype": "uint8"}}
    for name, mode in (("colour", "RGB"), ("grey", "L"), ("palette", "P"), ("clear", "RGBA")):
        path = tmp_path / f"{name}.png"
        picture(1, (31, 47)).convert(mode).save(path)
        found, wanted = Preparer(meta)(path), Preparer(plain)(path)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(Preparer(meta)(path.read_bytes()), found)
        np.testing.assert_array_equal(read_feature(path, meta), found)
    own = np.arange(HEIGHT * WIDTH * channels).reshape(HEIGHT, WIDTH, channels).astype(dtype)
    np.save(tmp_path / "own.npy", own)
    np.testing.assert_array_equal(Preparer(meta)(tmp_path / "own.npy"), own.transpose(2, 0, 1))


def test_records_of_a_plugin_take_no_values_that_they_cannot_hold(tmp_path: Path) -> None:
    meta = {"input_shape": [1, 4, 4], "stored_shape": [1, 4, 4], "preparation": {"dtype": "int64"}, "image": {}}
    np.save(tmp_path / "floats.npy", np.full((4, 4), 0.5))
    with pytest.raises(LoadImageError, match="float64 values, the data set int64"):
        Preparer(meta)(tmp_path / "floats.npy")


@pytest.mark.parametrize("source", [classification, regression, multi_label], ids=lambda source: source.__name__)
def test_a_record_of_another_data_set_is_padded_as_the_models_own(
    tmp_path: Path, source: Callable[..., tuple[str, dict[str, Any]]]
) -> None:
    run = made(tmp_path, source, resize_mode="fill")
    meta = meta_of(run)
    fitting = Fitting(meta, of(meta["task"], Labels.of_snapshot(meta)))
    for row in range(len(run.reader())):
        (path,) = run.reader().column("source", [row])
        other = np.asarray(Image.open(path)).transpose(2, 0, 1)  # as a data set that keeps sizes stores it
        np.testing.assert_array_equal(fitting.fitted(other), run.reader().feature(row))


@pytest.mark.parametrize(
    ("source", "spec"),
    [
        *((source, {"feature_encoding": "jpg"}) for source in SOURCES),
        (classification, {"feature_encoding": "jpg", "jpeg_quality": 40}),
        (processing, {"feature_encoding": "png"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "-".join(map(str, value.values())),
)
def test_a_picture_comes_through_the_compression_that_the_records_went_through(
    tmp_path: Path, source: Callable[..., tuple[str, dict[str, Any]]], spec: dict[str, Any]
) -> None:
    run = made(tmp_path, source, spec, resize_mode="fill")
    meta = meta_of(run)
    check_all(run, meta)
    raw = {**meta, "image": {**meta["image"], "feature_encoding": "none"}}
    (path,) = run.reader().column("source", [0])
    differs = np.abs(Preparer(raw)(path).astype(int) - run.reader().feature(0)).max()
    assert (differs > 0) == (spec["feature_encoding"] == "jpg")


def test_records_of_other_data_sets_are_compressed_once(tmp_path: Path) -> None:
    meta = meta_of(made(tmp_path, classification, {"feature_encoding": "jpg"}))
    task = of(meta["task"], Labels.of_snapshot(meta))
    feature = np.random.default_rng(0).integers(0, 256, tuple(meta["stored_shape"]), np.uint8)
    assert Fitting(meta, task, "jpg").takes(feature.shape)
    for encoding in ("none", "png"):
        fitting = Fitting(meta, task, encoding)
        assert not fitting.takes(feature.shape)
        np.testing.assert_array_equal(fitting.fitted(feature), as_stored(feature, "jpg"))
    plain = {**meta, "image": {**meta["image"], "feature_encoding": "none"}}
    assert Fitting(plain, task, "none").takes(feature.shape)


KINDS = [("uint8", c) for c in (1, 3, 4, 6)] + [("uint16", c) for c in (1, 3, 5)] + [("float32", 1), ("float32", 3)]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(KINDS),
    encoding=st.sampled_from(["none", "png", "jpg"]),
    quality=st.integers(30, 95),
    mode=st.sampled_from(["squash", "crop", "fill", "half_crop"]),
    fill=st.sampled_from([NOISE, ZERO]),
    size=st.tuples(st.integers(4, 40), st.integers(4, 40)),
    mean=st.sampled_from(["none", "pixel"]),
    seed=st.integers(0, 2**31),
)
def test_the_input_of_the_training_is_that_of_the_prediction_bit_for_bit(
    tmp_path: Path,
    kind: tuple[str, int],
    encoding: str,
    quality: int,
    mode: str,
    fill: str,
    size: tuple[int, int],
    mean: str,
    seed: int,
) -> None:
    """File → feature → bytes of a record → input of a training, against file → input of a prediction."""
    dtype, channels = kind
    encoding = encoding if can_encode(np.dtype(dtype), channels, encoding) else "none"
    low, high = (0, 60_000) if dtype == "uint16" else (0, 256)
    values = np.random.default_rng(seed).uniform(low, high, (*size, channels)).astype(dtype)
    path = tmp_path / f"{dtype}-{channels}.tif"
    layout: dict[str, Any] = {"planarconfig": "contig"} if channels > 1 else {}
    shown = values if channels > 1 else values[..., 0]
    tifffile.imwrite(path, shown, photometric="rgb" if channels == 3 else "minisblack", **layout)
    preparation = Preparation(WIDTH, HEIGHT, channels, mode, dtype=dtype_word(dtype, channels), fill=fill)
    feature, *_ = preparation.read(str(path))

    stored = feature if encoding == "none" else decode(encode(feature, encoding, quality))
    shape: Any = stored.shape
    preprocessing = Preprocessing(shape, shape, mean, (20.0,) * channels if mean == "pixel" else (), std=3.5, dtype=dtype)
    inputs = Inputs(preprocessing, None, torch.device("cpu"))
    seen = inputs(np.ascontiguousarray(stored)[np.newaxis].copy())

    described = {**preparation.to_json(), "feature_encoding": encoding, "jpeg_quality": quality}
    meta = {"input_shape": shape, "stored_shape": shape, "preparation": preprocessing.to_json(), "image": described}
    for source in (path, path.read_bytes()):
        found = Preparer(meta)(source)
        assert found.dtype == dtype
        np.testing.assert_array_equal(inputs(np.array(found[np.newaxis], order="C")).numpy(), seen.numpy())
    np.testing.assert_array_equal(read_feature(path, meta), stored)
