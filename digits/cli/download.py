"""`digits download-data`: well-known sets as folders of pictures, from the network or from the original files.

Layout: `train/<class>/*.png`, `test/<class>/*.png`, `labels.txt`, `train.txt` and `test.txt` (a path and a class number a line).
CIFAR-100 has two such trees, `fine/` and `coarse/`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import shutil
import struct
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from digits.errors import ConfigError, DataError

IDX_DTYPES = {8: np.uint8, 9: np.int8, 11: np.int16, 12: np.int32, 13: np.float32, 14: np.float64}
MAX_FILE_BYTES = 1 << 30
TIMEOUT_SECONDS = 60

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
CIFAR_URL = "https://www.cs.toronto.edu/~kriz/"

# MD5 sums as the publishers and torchvision's data set modules give them.
MNIST_FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
FASHION_FILES = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
FASHION_LABELS = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]


@dataclass(frozen=True)
class Pictures:
    """One split: `pixels` (N, H, W) or (N, H, W, 3) uint8, `classes` (N,) integers."""

    pixels: np.ndarray
    classes: np.ndarray


@click.command("download-data")
@click.argument("name", metavar="SET", type=click.Choice(["mnist", "fashion-mnist", "cifar10", "cifar100"]))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--from", "source", type=click.Path(path_type=Path, exists=True), help="Read the original files from this folder or file."
)
@click.option("-c", "--clean", is_flag=True, help="Remove DIR first if it exists.")
def download_data(name: str, folder: Path, source: Path | None, clean: bool) -> None:
    """Write a well-known data set to DIR as one folder of PNG files per class.

    SET is mnist, fashion-mnist, cifar10 or cifar100. With --from nothing is fetched: the original files (idx or pickled
    batches, packed or not) are read from there.
    """
    if clean and folder.exists():
        shutil.rmtree(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty.", advice="Choose another folder or add --clean.")
    write = {"mnist": _mnist, "fashion-mnist": _fashion, "cifar10": _cifar10, "cifar100": _cifar100}[name]
    write(folder, source)
    click.echo(f"{name} stands in {folder}.")


def _mnist(folder: Path, source: Path | None) -> None:
    _write_idx_set(folder, source, MNIST_URL, MNIST_FILES, [str(n) for n in range(10)])


def _fashion(folder: Path, source: Path | None) -> None:
    _write_idx_set(folder, source, FASHION_URL, FASHION_FILES, FASHION_LABELS)


def _write_idx_set(folder: Path, source: Path | None, url: str, sums: dict[str, str], labels: list[str]) -> None:
    arrays = {name: read_idx(_original(name, source, url, md5)) for name, md5 in sums.items()}
    train = Pictures(arrays["train-images-idx3-ubyte.gz"], arrays["train-labels-idx1-ubyte.gz"])
    test = Pictures(arrays["t10k-images-idx3-ubyte.gz"], arrays["t10k-labels-idx1-ubyte.gz"])
    write_tree(folder, labels, {"train": train, "test": test})


def _cifar10(folder: Path, source: Path | None) -> None:
    batches = _cifar_batches("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", source)
    labels = [str(n) for n in batches["batches.meta"]["label_names"]]
    train = [batches[f"data_batch_{n}"] for n in range(1, 6)]
    splits = {"train": _cifar_pictures(train, "labels"), "test": _cifar_pictures([batches["test_batch"]], "labels")}
    write_tree(folder, labels, splits)


def _cifar100(folder: Path, source: Path | None) -> None:
    batches = _cifar_batches("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", source)
    for kind in ("fine", "coarse"):
        labels = [str(n) for n in batches["meta"][f"{kind}_label_names"]]
        splits = {split: _cifar_pictures([batches[split]], f"{kind}_labels") for split in ("train", "test")}
        write_tree(folder / kind, labels, splits)


def write_tree(folder: Path, labels: list[str], splits: dict[str, Pictures]) -> None:
    """Write every picture as PNG below `folder`, with the list files beside."""
    from rich.progress import Progress

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels))
    with Progress() as progress:
        for split, pictures in splits.items():
            bar = progress.add_task(split, total=len(pictures.classes))
            with open(folder / f"{split}.txt", "w", encoding="utf-8") as listing:
                for path, number in _write_split(folder / split, labels, pictures):
                    listing.write(f"{path.absolute()} {number}\n")
                    progress.advance(bar)


def _write_split(folder: Path, labels: list[str], pictures: Pictures) -> Iterator[tuple[Path, int]]:
    from PIL import Image

    for label in labels:
        (folder / label).mkdir(parents=True, exist_ok=True)
    for index, (pixels, number) in enumerate(zip(pictures.pixels, pictures.classes, strict=True)):
        path = folder / labels[number] / f"{index:05d}.png"
        Image.fromarray(pixels).save(path)
        yield path, int(number)


def read_idx(data: bytes) -> np.ndarray:
    """The array in an idx file (packed with gzip or not): shape and type as its head says, (N, 28, 28) uint8 pixels or (N,)
    uint8 labels of MNIST. Raises DataError when it is cut off or something else."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_DTYPES:
        raise DataError("This is not an idx file.", advice="Expected the original files, e.g. train-images-idx3-ubyte.gz.")
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    dtype = np.dtype(IDX_DTYPES[data[2]]).newbyteorder(">")
    body = data[4 + 4 * rank :]
    if len(body) != int(np.prod(shape)) * dtype.itemsize:
        raise DataError(f"The idx file is cut off: {len(body)} bytes of values, expected {int(np.prod(shape)) * dtype.itemsize}.")
    return np.frombuffer(body, dtype).reshape(shape)


def _original(name: str, source: Path | None, url: str, md5: str) -> bytes:
    if source is not None:
        for candidate in (source / name, source / name.removesuffix(".gz")):
            if candidate.is_file():
                return candidate.read_bytes()
        raise DataError(f"{source / name} does not exist.", advice=f"{source} must hold the original files: {name} and its like.")
    return _fetch(url + name, md5)


def _fetch(url: str, md5: str) -> bytes:
    click.echo(f"fetching {url}")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            data: bytes = answer.read(MAX_FILE_BYTES)
    except (urllib.error.URLError, OSError) as error:
        raise DataError(
            f"{url} cannot be fetched: {error}.",
            advice="Get the original files some other way and name their folder with --from.",
        ) from error
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
        raise DataError(f"{url} is not the file that was expected (its MD5 sum differs).")
    return data


def _cifar_batches(archive: str, md5: str, source: Path | None) -> dict[str, dict[str, Any]]:
    if source is not None and source.is_dir() and not (source / archive).is_file():
        files = ((path.name, path.read_bytes()) for path in sorted(source.rglob("*")) if path.is_file())
        return _unpickle_all(files)
    if source is not None:
        data = (source / archive if source.is_dir() else source).read_bytes()
    else:
        data = _fetch(CIFAR_URL + archive, md5)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = ((Path(m.name).name, handle.read()) for m in tar if m.isfile() and (handle := tar.extractfile(m)))
        return _unpickle_all(members)


def _unpickle_all(files: Iterable[tuple[str, bytes]]) -> dict[str, dict[str, Any]]:
    batches = {name: _unpickle(data) for name, data in files if not name.endswith((".html", ".txt~"))}
    if not batches:
        raise DataError(
            "No CIFAR batches found.", advice="Name the folder or archive of the Python version of CIFAR with --from."
        )
    return batches


class _ArraysOnly(pickle.Unpickler):
    """Reads the batches of CIFAR, which hold lists, texts and NumPy arrays, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.split(".")[0], name) in {("numpy", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}:
            if name == "_reconstruct":
                return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            import _codecs

            return _codecs.encode
        raise DataError(f"The batch file wants to load {module}.{name}; this is not an original CIFAR file.")


def _unpickle(data: bytes) -> dict[str, Any]:
    try:
        value = _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, ValueError, IndexError) as error:
        raise DataError(f"A CIFAR batch cannot be read: {error}.") from error
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else {}


def _cifar_pictures(batches: list[dict[str, Any]], key: str) -> Pictures:
    rows = np.concatenate([np.asarray(batch["data"], np.uint8) for batch in batches])
    classes = np.concatenate([np.asarray(batch[key], np.int64) for batch in batches])
    return Pictures(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), classes)
