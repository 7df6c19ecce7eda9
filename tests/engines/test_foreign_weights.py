"""Weights that somebody uploads: numbers are read, code never is, and nothing outside the file."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from digits.engines.pytorch import weights as pytorch
from digits.engines.tensorflow.hdf5 import check_values
from digits.errors import DigitsError

EVIDENCE = "ran"


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder / EVIDENCE)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.pkl", "w.joblib", "w.npy", "w.safetensors"])
@pytest.mark.parametrize("how", ["pickle", "torch", "old torch", "numpy", "joblib"])
def test_no_file_of_weights_runs_code(tmp_path: Path, name: str, how: str) -> None:
    file, evil = tmp_path / name, {"state_dict": Evil(tmp_path), "w": torch.zeros(2)}
    with open(file, "wb") as handle:
        if how == "numpy":
            np.lib.format.write_array(handle, np.array([Evil(tmp_path)], object), allow_pickle=True)
        elif how in ("torch", "old torch"):
            torch.save(evil, handle, _use_new_zipfile_serialization=how == "torch")
        else:  # joblib's files are pickles
            pickle.dump(evil, handle, protocol=2)
    with pytest.raises(DigitsError):
        pytorch.read_weights(file)
    assert not (tmp_path / EVIDENCE).exists()


def test_weights_of_numbers_are_read(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "w.pt")
    assert pytorch.read_weights(tmp_path / "w.pt")["w"].tolist() == [1, 1]


def test_a_zip_that_claims_to_be_weights_says_so(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as packed:
        packed.writestr("w/data.pkl", pickle.dumps(Evil(tmp_path), protocol=2))
        packed.writestr("w/version", "3\n")
    with pytest.raises(DigitsError):
        pytorch.read_weights(tmp_path / "w.pt")
    assert not (tmp_path / EVIDENCE).exists()


def hdf5(path: Path, secret: Path, kind: str) -> Path:
    """A file of weights with something in it that leads to `secret`."""
    with h5py.File(path, "w") as file:
        file["layer/vars/0"] = np.ones(4, np.float32)
        if kind == "external link":
            file["layer/vars/1"] = h5py.ExternalLink(str(secret), "/secret")
        elif kind == "external values":
            file.create_dataset("layer/vars/1", (8,), "u1", external=[(str(secret), 0, 8)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4,), "f4")
            layout[:] = h5py.VirtualSource(str(secret), "secret", (4,))
            file.create_virtual_dataset("layer/vars/1", layout)
        elif kind == "claims":
            file.create_dataset("layer/vars/1", (1 << 40,), "f4", chunks=(1 << 20,), compression="gzip")
        elif kind == "soft link":
            file["layer/vars/1"] = h5py.SoftLink("/layer/vars/0")
    return path


@pytest.mark.parametrize("kind", ["external link", "external values", "virtual", "claims", "soft link"])
def test_values_that_lie_in_another_place_are_refused(tmp_path: Path, kind: str) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["secret"] = np.full(4, 7, np.float32)
    file = hdf5(tmp_path / "w.weights.h5", tmp_path / "secret.h5", kind)
    with h5py.File(file) as handle, pytest.raises(ValueError, match=r"another (file|place)|claims"):
        check_values(handle, file.stat().st_size)


def test_values_in_the_file_are_not(tmp_path: Path) -> None:
    file = hdf5(tmp_path / "w.weights.h5", tmp_path / "none", "plain")
    with h5py.File(file) as handle:
        check_values(handle, file.stat().st_size)
