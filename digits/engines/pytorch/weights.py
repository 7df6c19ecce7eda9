"""Snapshot files (safetensors with a JSON header) and weights to start from; nothing here unpickles code."""

from __future__ import annotations

import json
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from digits.errors import StorageError, TrainingError

HEADER = "digits"  # key of the metadata whose value is our JSON
MEAN_TENSOR = "digits.mean_image"


def pack(module: nn.Module, metadata: dict[str, Any], mean_image: np.ndarray | None) -> bytes:
    """The bytes of a snapshot; `mean_image` is float32 (C, H, W). Tensors that share memory are written once each."""
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in module.state_dict().items()}
    if mean_image is not None:
        tensors[MEAN_TENSOR] = torch.from_numpy(np.ascontiguousarray(mean_image, dtype=np.float32))
    return safetensors.torch.save(tensors, {HEADER: json.dumps(metadata), "format": "pt"})


def read_snapshot(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], np.ndarray | None]:
    """Weights (each of its tensor's shape), our metadata ({} in a foreign file) and the mean picture float32 (C, H, W).
    StorageError when the file cannot be read."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(HEADER, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no iterator
    except (OSError, RuntimeError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise StorageError(f"{path} is no readable snapshot: {error}.", advice="Choose another snapshot.") from error
    mean = tensors.pop(MEAN_TENSOR, None)
    return tensors, metadata, None if mean is None else mean.numpy()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by name, tensors of any shape, of a `.safetensors` file or of a file of `torch.save` that holds tensors only.
    StorageError for a broken `.safetensors` file, TrainingError for anything else."""
    if path.suffix == ".safetensors":
        return read_snapshot(path)[0]
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # its reader raises anything, from KeyError to OverflowError, for a file that lies
        # PyTorch's own words advise to run what the file holds
        said = (
            "it holds more than numbers, or is cut"
            if isinstance(error, UnpicklingError)
            else str(error).split("\n")[0] or repr(error)
        )
        raise TrainingError(
            f"{path.name} cannot be read as weights: {said}.",
            advice="Save them with torch.save(model.state_dict(), path) or as .safetensors.",
            code="weights",
        ) from error
    value = value.get("state_dict", value.get("model", value)) if isinstance(value, dict) else value
    if not isinstance(value, dict) or not any(isinstance(v, Tensor) for v in value.values()):
        raise TrainingError(
            f"{path} holds no state_dict.", advice="Save it with torch.save(model.state_dict(), path).", code="weights"
        )
    return {name.removeprefix("module."): v for name, v in value.items() if isinstance(v, Tensor)}


def take_over(module: nn.Module, weights: dict[str, Tensor], source: str) -> list[str]:
    """Copy those of `weights` (tensors of any shape by name) that fit by name and shape; the names of the tensors taken.

    Raises TrainingError when nothing of `source` fits.
    """
    own = module.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise TrainingError(
            f"None of the weights of {source} fits this network.",
            advice="Start from a model of the same network, or without weights.",
            code="weights",
        )
    module.load_state_dict(fitting, strict=False)
    return sorted(fitting)


def same_labels(metadata: dict[str, Any], class_labels: tuple[str, ...]) -> bool:
    """Whether a snapshot was made for the same classes in the same order."""
    return not metadata or tuple(metadata.get("class_labels", ())) == tuple(class_labels)


def last_layer(module: nn.Module) -> list[str]:
    """Names of the tensors of the last layer that has weights of its own."""
    layers = [name for name, child in module.named_modules() if child._parameters]
    return [f"{layers[-1]}.{name}" for name in module.get_submodule(layers[-1]).state_dict()] if layers else []
