"""Snapshot files and weights to start from. A snapshot is an ordinary `.keras` file with two more members: our JSON and the
mean picture. Only weights are read from files, never code: models come from network texts."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from digits.engines.tensorflow.hdf5 import check_values, most_unpacked
from digits.engines.tensorflow.snapshot_file import MEMBER
from digits.engines.tensorflow.start import keras
from digits.errors import StorageError, TrainingError
from digits.utils.zips import read_member

MEAN_IMAGE = "digits_mean.npy"
WEIGHTS = "model.weights.h5"
SUFFIX = "keras"


def pack(model: Any, metadata: dict[str, Any], mean_image: np.ndarray | None) -> bytes:
    """The bytes of a snapshot; `mean_image` is float32 (C, H, W). A model of classes of its own that Keras cannot describe is
    kept as weights alone."""
    with tempfile.TemporaryDirectory(prefix="snapshot-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras' remarks about layers without a get_config, and NumPy's about Keras
        file = Path(folder) / f"model.{SUFFIX}"
        try:
            model.save(file)
        except (TypeError, ValueError, NotImplementedError):
            _save_weights_alone(model, file)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(MEMBER, json.dumps(metadata))
            if mean_image is not None:
                archive.writestr(MEAN_IMAGE, _npy(mean_image.astype(np.float32)))
        return file.read_bytes()


def read_metadata(path: Path) -> tuple[dict[str, Any], np.ndarray | None]:
    """Our metadata ({} in a foreign file) and the mean picture float32 (C, H, W). StorageError when the file cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            metadata = json.loads(_member(archive, MEMBER, path)) if MEMBER in names else {}
            mean = np.load(io.BytesIO(_member(archive, MEAN_IMAGE, path)), allow_pickle=False) if MEAN_IMAGE in names else None
    except (OSError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise StorageError(f"{path} is no readable snapshot: {error}.", advice="Choose another snapshot.") from error
    return metadata, mean


def load_into(model: Any, path: Path) -> None:
    """Give a built model the weights of a snapshot of the same network: read once, and looked at before Keras gets them, for they
    may have come with a model of others. StorageError where they do not fit, or lead to other files."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="weights-") as folder:
        warnings.simplefilter("ignore")
        own = Path(folder) / WEIGHTS
        try:
            with zipfile.ZipFile(path) as archive:
                own.write_bytes(_member(archive, WEIGHTS, path))
            with h5py.File(own, "r") as handle:
                check_values(handle, own.stat().st_size)
            model.load_weights(own)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            message = str(error).strip().splitlines()[0]
            raise StorageError(f"{path} does not fit its network text: {message}") from error


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Arrays of any shape of a `.keras` or `.weights.h5` file by their names in it. TrainingError when it is something else."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                return _arrays(io.BytesIO(_member(archive, WEIGHTS, path)))
        return _arrays(path)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"{path} cannot be read as weights of Keras: {error}.",
            advice="Save them with model.save('x.keras') or model.save_weights('x.weights.h5') of Keras 3.",
            code="weights",
        ) from error


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """A file in an archive. Raises ValueError for one that unpacks to far more than the archive."""
    claimed = archive.getinfo(name).file_size
    if claimed > most_unpacked(path.stat().st_size):
        raise ValueError(f"{name} in it claims {claimed:,} bytes")
    return read_member(archive, name, claimed)


def take_over(own: dict[str, Any], weights: dict[str, np.ndarray], source: str, spared: set[str]) -> list[str]:
    """Copy those of `weights` (arrays of any shape by place) that fit the variables of `places_of` by place and shape, but not
    into those of the names `spared`; the names of the variables taken.

    Raises TrainingError when nothing of `source` fits.
    """
    taken: list[str] = []
    for place, variable in own.items():
        value = weights.get(place)
        if value is not None and value.shape == tuple(variable.shape) and variable.path not in spared:
            variable.assign(value)
            taken.append(variable.path)
    if not taken:
        raise TrainingError(
            f"None of the weights of {source} fits this network.",
            advice="Start from a model of the same network, or without weights.",
            code="weights",
        )
    return sorted(taken)


def last_layer(model: Any) -> Any:
    """The last layer that has weights of its own."""
    found = [layer for layer in model._flatten_layers(include_self=False) if layer._trainable_variables]
    return found[-1] if found else model


def places_of(model: Any) -> dict[str, Any]:
    """Each weight by its name in a file that Keras writes of this model.

    The names are found with a file written while each weight is filled with its own number.
    """
    weights = list(model.weights)
    values = [np.asarray(weight.numpy()) for weight in weights]
    with tempfile.TemporaryDirectory(prefix="places-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / WEIGHTS
        for number, weight in enumerate(weights):
            weight.assign(np.full(weight.shape, number + 1, dtype=values[number].dtype))
        model.save_weights(file)
        numbered = _arrays(file)
    for weight, value in zip(weights, values, strict=True):
        weight.assign(value)
    numbers = {place: int(array.flat[0]) - 1 for place, array in numbered.items() if array.size and "seed_generator" not in place}
    return {place: weights[number] for place, number in numbers.items()}


def _arrays(file: Any) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    with h5py.File(file, "r") as handle:
        check_values(handle, _size_of(file))
        handle.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def _size_of(file: Any) -> int:
    return file.getbuffer().nbytes if isinstance(file, io.BytesIO) else Path(file).stat().st_size


def _save_weights_alone(model: Any, file: Path) -> None:
    weights = file.with_name(WEIGHTS)
    model.save_weights(weights)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
        archive.write(weights, WEIGHTS)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
