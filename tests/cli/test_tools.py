"""`digits tools`: the original's scripts under their names; what they write, other programs and digits read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from digits.cli import group
from digits.cli.tools.lists import percentages
from digits.errors import BadRequest
from digits.storage.records.caffe_datum import DatumDatabase, parse_mean
from tests.service.finished_dataset import CLASSES, class_folder


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(group, ["tools", *map(str, arguments)])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return class_folder(tmp_path / "pictures", 10)


@pytest.fixture
def listing(tmp_path: Path, pictures: Path) -> Path:
    names = [f"{label}/{number}.png {place}" for place, label in enumerate(CLASSES) for number in range(4)]
    file = tmp_path / "list.txt"
    file.write_text("\n".join([*names, "not there.png 1", "a line without a number"]))
    return file


def test_lists_of_a_folder(tmp_path: Path, pictures: Path) -> None:
    files = {name: tmp_path / f"{name}.txt" for name in ("labels", "train", "val", "test")}
    result = run(
        "parse_folder",
        pictures,
        files["labels"],
        "-t",
        files["train"],
        "-v",
        files["val"],
        "-V",
        20,
        "-s",
        files["test"],
        "-S",
        10,
    )
    assert result.exit_code == 0, result.output
    assert files["labels"].read_text().splitlines() == sorted(CLASSES)
    lines = {name: files[name].read_text().splitlines() for name in ("train", "val", "test")}
    assert {name: len(found) for name, found in lines.items()} == {"train": 21, "val": 6, "test": 3}
    assert len({line for found in lines.values() for line in found}) == 30
    path, label = lines["val"][0].rsplit(" ", 1)
    assert Path(path).parent.name == sorted(CLASSES)[int(label)]


def test_two_lists_and_bounds_of_classes(tmp_path: Path, pictures: Path) -> None:
    class_folder(pictures, 3, ("small",))
    labels, val, test = (tmp_path / f"{name}.txt" for name in ("labels", "val", "test"))
    result = run("parse_folder", pictures, labels, "-v", val, "-V", 75, "-s", test, "--min", 4, "--max", 8)
    assert result.exit_code == 0, result.output
    assert labels.read_text().splitlines() == sorted(CLASSES)
    assert [len(file.read_text().splitlines()) for file in (val, test)] == [18, 6]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"train": None}, {"train": 100.0}),
        ({"train": 60, "val": None}, {"train": 60, "val": 40}),
        ({"train": 60, "val": 30, "test": 10}, {"train": 60, "val": 30, "test": 10}),
        ({"train": None, "val": 30, "test": 10}, {"train": 60, "val": 30, "test": 10}),
    ],
)
def test_percentages(given: dict[str, float | None], found: dict[str, float]) -> None:
    assert percentages(given) == found


@pytest.mark.parametrize(
    "given", [{}, {"train": None, "val": None}, {"train": 60, "val": 30}, {"train": 60, "val": 50, "test": None}]
)
def test_percentages_that_do_not_fit(given: dict[str, float | None]) -> None:
    with pytest.raises(BadRequest):
        percentages(given)


@pytest.mark.parametrize("encoding", ["none", "png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_lmdb_that_is_read_again(tmp_path: Path, pictures: Path, listing: Path, encoding: str, channels: int) -> None:
    folder, means = tmp_path / "db", [tmp_path / "mean.binaryproto", tmp_path / "mean.npy", tmp_path / "mean.png"]
    options = [word for mean in means for word in ("-m", mean)]
    result = run("create_db", listing, folder, 8, 12, "-c", channels, "-f", pictures, "-e", encoding, *options)
    assert result.exit_code == 0, result.output
    assert "12 records written, 1 pictures skipped." in result.output
    with DatumDatabase(folder) as database:
        records = list(database.items())
    arrays = np.stack([datum.array for _, datum in records])
    assert arrays.shape == (12, channels, 12, 8)
    assert [datum.label for _, datum in records] == [0] * 4 + [1] * 4 + [2] * 4
    assert records[5][0] == "00000005_1"
    np.testing.assert_allclose(parse_mean(means[0].read_bytes()), np.rint(arrays.mean(axis=0)), atol=1)
    assert np.load(means[1]).shape == (channels, 12, 8)
    with Image.open(means[2]) as picture:
        assert picture.size == (8, 12)
    said = run("analyze_db", folder, "--force-same-shape")
    assert (said.exit_code, f"12 entries found with shape 8x12x{channels}" in said.output) == (0, True)
    assert "Total entries: 12" in run("analyze_db", folder, "--only-count").output
    assert ">>> Datum #11" in run("analyze_db", folder, "--print-data").output


def test_a_map_that_is_too_small_grows_or_is_told(tmp_path: Path, pictures: Path, listing: Path) -> None:
    arguments = ("create_db", listing, tmp_path / "db", 600, 600, "-f", pictures)
    assert run(*arguments, "--lmdb_map_size", 1).exit_code != 0
    arguments = ("create_db", listing, tmp_path / "larger", 800, 800, "-f", pictures)
    assert run(*arguments).exit_code == 0


def test_hdf5_in_several_files(tmp_path: Path, pictures: Path, listing: Path) -> None:
    folder = tmp_path / "db"
    limit = 5 * 3 * 4 * 4
    result = run("create_db", listing, folder, 4, 4, "-b", "hdf5", "-C", "gzip", "-f", pictures, "--hdf5_dset_limit", limit, "-s")
    assert result.exit_code == 0, result.output
    files = (folder / "list.txt").read_text().split()
    assert len(files) == 3
    with h5py.File(files[0]) as file:
        assert (file["data"].shape, file["data"].dtype, file["label"].shape) == ((5, 3, 4, 4), np.float32, (5,))
    assert "HDF5 holds numbers" in str(run("create_db", listing, tmp_path / "x", 4, 4, "-b", "hdf5", "-e", "png").exception)


def test_lists_without_pictures(tmp_path: Path) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text("a.png\n")
    assert "no line with a path" in str(run("create_db", empty, tmp_path / "db", 4, 4).exception)


def test_a_picture_is_resized(tmp_path: Path, pictures: Path) -> None:
    target = tmp_path / "small.png"
    assert run("resize_image", pictures / CLASSES[0] / "0.png", target, 6, 4, "-c", "1", "-m", "crop").exit_code == 0
    with Image.open(target) as picture:
        assert (picture.size, picture.mode) == ((6, 4), "L")
    assert run("resize_image", pictures / CLASSES[0] / "0.png", tmp_path / "small.xyz", 6, 4).exit_code == 2


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert run("device-query", "-v").output == "No devices found.\n"
