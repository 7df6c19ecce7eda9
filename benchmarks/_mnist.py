"""MNIST for benchmarks, or pictures that stand in for it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

MNIST = 60_000  # pictures


def read_mnist(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return read_idx(folder, "train-images"), read_idx(folder, "train-labels").astype(np.int64)


def repeated_digits() -> tuple[np.ndarray, np.ndarray]:
    """As many pictures of 28×28 as MNIST has."""
    small = load_digits()
    pictures = np.kron(small.images * 15.9, np.ones((3, 3))).astype(np.uint8)
    pictures = np.pad(pictures, ((0, 0), (2, 2), (2, 2)))
    return np.resize(pictures, (MNIST, 28, 28)), np.resize(small.target, MNIST).astype(np.int64)


def read_idx(folder: Path, name: str) -> np.ndarray:
    """An array of an idx file, gzipped or not."""
    file = next(folder.glob(f"{name}*"))
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
