"""`digits download-data` writes the folder layout from original files, and refuses what is not one."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from digits.cli.download import download_data, read_idx
from digits.errors import DataError


def idx(array: np.ndarray) -> bytes:
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def mnist_files(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    for split, count in (("train", 20), ("t10k", 10)):
        images = np.arange(count * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(count, 28, 28)
        labels = (np.arange(count) % 10).astype(np.uint8)
        (folder / f"{split}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(idx(labels))
    return folder


def test_mnist_from_originals(mnist_files: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = CliRunner().invoke(download_data, ["mnist", str(target), "--from", str(mnist_files)])
    assert result.exit_code == 0, result.output
    assert (target / "labels.txt").read_text().split() == list("0123456789")
    lines = (target / "train.txt").read_text().splitlines()
    assert len(lines) == 20
    path, number = lines[3].rsplit(" ", 1)
    assert number == "3"
    expected = np.arange(20 * 784, dtype=np.uint32).astype(np.uint8).reshape(20, 28, 28)[3]
    assert np.array_equal(np.asarray(Image.open(path)), expected)
    assert len(list((target / "test").glob("*/*.png"))) == 10


def test_a_folder_with_files_is_not_touched(mnist_files: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    result = CliRunner().invoke(download_data, ["mnist", str(tmp_path), "--from", str(mnist_files)])
    assert result.exit_code != 0
    assert "not empty" in str(result.exception)


def test_cifar100_has_two_trees(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (4, 3072), np.uint8)
    batch = {"data": rows, "fine_labels": [0, 1, 1, 0], "coarse_labels": [0, 0, 0, 0]}
    meta = {"fine_label_names": ["apple", "bear"], "coarse_label_names": ["things"]}
    archive = tmp_path / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, value in {"train": batch, "test": batch, "meta": meta}.items():
            data = pickle.dumps(value, protocol=2)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    result = CliRunner().invoke(download_data, ["cifar100", str(tmp_path / "out"), "--from", str(archive)])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "out/fine/train/bear").iterdir())) == 2
    picture = np.asarray(Image.open(tmp_path / "out/coarse/test/things/00002.png"))
    assert np.array_equal(picture, rows[2].reshape(3, 32, 32).transpose(1, 2, 0))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, ("/nonexistent/pwned",))


def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(Evil(), protocol=2))
    result = CliRunner().invoke(download_data, ["cifar10", str(tmp_path / "out"), "--from", str(tmp_path)])
    assert isinstance(result.exception, DataError)
    assert "not an original CIFAR file" in str(result.exception)


@pytest.mark.parametrize("data", [b"", b"\x89PNG....", idx(np.zeros((3, 4), np.uint8))[:-1]])
def test_broken_idx(data: bytes) -> None:
    with pytest.raises(DataError):
        read_idx(data)
