"""A snapshot ready to predict, and its layers for looking inside."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from digits.domain.classes import NO_CLASS
from digits.domain.inference import main_output
from digits.engines.base import Candidates, LayerReport, Predictor, array_report, names_of, without_batch
from digits.engines.inside import Attribution, LayerArrays, Target, placed
from digits.engines.network.checks import NETWORK_FILE, PROBABILITIES, context_from
from digits.engines.network.losses import SMALLEST
from digits.engines.parity import EXPORT_SHAPE
from digits.engines.pytorch import explain, inside
from digits.engines.pytorch.boxes import boxes_output, detections_of
from digits.engines.pytorch.build import build, layers_of
from digits.engines.pytorch.candidates import everything, kept_of, sent_of, suppressing_part
from digits.engines.pytorch.inputs import CHANNELS_LAST, Inputs
from digits.engines.pytorch.weights import read_snapshot
from digits.engines.training.boxes import stacked
from digits.engines.training.preprocessing import Preprocessing, in_stored_units, picture_shape
from digits.engines.whole_pictures import cut_back, padded
from digits.errors import BadRequest, StorageError
from digits.tasks import Labels, Task, of
from digits.utils.resizing import centre_part, centre_start


class TorchPredictor(Predictor):
    """See `Predictor`. Bigger pictures than the training's are taken as they are when the network accepts them."""

    def __init__(self, module: nn.Module, meta: dict[str, Any], mean_image: np.ndarray | None, device: torch.device) -> None:
        self.meta = meta
        self.labels = Labels.of_snapshot(meta)
        self.task = of(meta["task"], self.labels)
        self.preprocessing = Preprocessing.from_json(meta["preparation"])
        self.device = device
        self.module = module.to(device).eval()
        self.inputs = Inputs(self.preprocessing, mean_image, device)
        if meta.get(CHANNELS_LAST):  # the training found that the network takes it
            self.inputs.layout = torch.channels_last
            self.module.to(memory_format=torch.channels_last)

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        seen = padded(batch, self.meta)
        return {name: cut_back(value, batch, seen) for name, value in self._predict(seen).items()}

    def _predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            outputs = self.module(self.prepare(batch))  # (N, C, H, W) → (N, …)
        if self.task.moves == "boxes":
            found = boxes_output(outputs, len(self.meta["class_labels"]))
            return {"boxes": found["boxes"] + self._offset(found["boxes"], batch.shape)}
        found = finish_outputs(outputs, self.task, self.labels, self.preprocessing, self.meta.get(PROBABILITIES, False))
        return in_stored_units(found, self.task, self.labels, self.preprocessing, self.inputs.mean_image)

    def scores(self, batch: np.ndarray) -> np.ndarray:
        if self.task.activation(self.labels) != "softmax":
            return main_output(self.predict(batch))
        seen = padded(batch, self.meta)
        with torch.inference_mode():
            output = main_output(names_of(self.module(self.prepare(seen)))).float()  # (N, K) or (N, K, H, W)
        probabilities = self.meta.get(PROBABILITIES, False)
        return cut_back(class_scores(output, len(self.labels.class_labels), probabilities).cpu().numpy(), batch, seen)

    def candidates(self, batch: np.ndarray) -> Candidates | None:
        part = suppressing_part(self.module) if self.task.moves == "boxes" else None
        if part is None:
            return None
        with torch.inference_mode(), everything(part) as suppression:
            rows = detections_of(self.module(self.prepare(batch)), len(self.meta["class_labels"]))  # (n, 6) of each picture
        kept = [kept_of(one, suppression) for one in rows]
        boxes = stacked([one[numbers] for one, numbers in zip(rows, kept, strict=True)])
        sent = [sent_of(one, numbers) for one, numbers in zip(rows, kept, strict=True)]
        placed = [one + self._offset(one, batch.shape) for one in sent]
        return Candidates({"boxes": boxes + self._offset(boxes, batch.shape)}, placed, suppression)

    def _offset(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """What brings rows of boxes (…, 6) into the pixels of the picture that was given, of which the network saw the middle."""
        found = np.zeros_like(rows)
        if self._cuts(shape):
            offsets = [*reversed(self._start(shape))] * 2
            found[..., :4] = np.where(rows[..., 4:5] > 0, np.array(offsets, np.float32), 0)
        return found

    def _cuts(self, shape: tuple[int, ...]) -> bool:
        return self.preprocessing.crops and tuple(shape[2:]) == tuple(self.preprocessing.stored_shape[1:])

    def prepare(self, batch: np.ndarray) -> Tensor:
        """Network input (N, C, h, w) float32: of a picture of the stored size the middle that training crops to, prepared; of
        what is no such picture (`Preprocessing.is_for`) its numbers."""
        if batch.ndim != 4:
            raise BadRequest(f"Pictures come as (N, C, H, W), found shape {batch.shape}.", advice="Add the axis of the batch.")
        x = self.inputs.raw(np.array(batch, order="C"))
        if not self.preprocessing.is_for(batch):
            return x
        size = self.preprocessing.input_shape[1:]
        if self._cuts(batch.shape):
            cut = centre_part(x, (size[0], size[1]))
            x = x if cut is None else cut.contiguous(memory_format=self.inputs.layout)
        return self.inputs.normalize(x)

    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        with torch.inference_mode():
            return look_inside(self.module, self.prepare(padded(feature[None], self.meta)))

    def inside(self, feature: np.ndarray | None, names: Collection[str] | None = None) -> list[LayerArrays]:
        """As `LooksInside.inside`."""
        with torch.inference_mode():
            x = None if feature is None else self.prepare(padded(feature[None], self.meta))
            return inside.layer_arrays(self.module, x, names)

    def methods(self) -> dict[str, str]:
        return explain.methods(self.module)

    def attribute(self, method: str, feature: np.ndarray, target: Target, layer: str = "") -> Attribution:
        """As `LooksInside.attribute`."""
        start = self._start(feature[None].shape)
        if target.box is not None:
            left, top, right, bottom = target.box
            box = (left - start[1], top - start[0], right - start[1], bottom - start[0])
            target = replace(target, box=box)
        x = self.prepare(padded(feature[None], self.meta))  # (1, C, h, w)
        found = explain.attribute(self.module, self.meta, method, x, target, layer)
        return replace(found, values=placed(found.values, feature.shape, start))

    @contextlib.contextmanager
    def random_weights(self, seed: int = 0) -> Iterator[None]:
        with inside.random_weights(self.module, seed):
            yield

    def vector_layer(self) -> str:
        x = self.inputs.raw(np.zeros((1, *self.preprocessing.input_shape), np.float32))
        return inside.vector_layer(self.module, x, of_places=self.task.of_places)

    def vectors(self, batch: np.ndarray, layer: str) -> np.ndarray:
        """As `LooksInside.vectors`."""
        return inside.vectors(self.module, self.prepare(padded(batch, self.meta)), layer)

    def _start(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Row and column at which the network begins to see pictures (N, C, H, W)."""
        if not self._cuts(shape):
            return 0, 0
        height, width = self.preprocessing.input_shape[1:]
        return int(centre_start(shape[2] - height)), int(centre_start(shape[3] - width))

    def close(self) -> None:
        del self.module
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def load_predictor(snapshot: Path, device: str) -> TorchPredictor:
    """The predictor of a snapshot in a model's folder, whose `network.py` is run. Foreign weights raise StorageError."""
    weights, meta, mean_image = read_snapshot(snapshot)
    text_file = snapshot.parent.parent / NETWORK_FILE
    if not meta or not text_file.is_file():
        raise StorageError(f"{snapshot} is no snapshot of a model of digits.", advice="Choose a snapshot in a model's folder.")
    network = build(text_file.read_text(), context_from(meta))
    try:
        network.module.load_state_dict(weights)
    except RuntimeError as error:
        raise StorageError(f"{snapshot} does not fit {NETWORK_FILE}: {str(error).splitlines()[0]}") from error
    return TorchPredictor(network.module, {**meta, EXPORT_SHAPE: network.export_shape}, mean_image, torch.device(device))


def look_inside(module: nn.Module, x: Tensor) -> list[LayerReport]:
    """What the network is given, (1, C, h, w) float32, and the weights and activations of each of its layers."""
    activations: dict[str, np.ndarray] = {}
    parts = layers_of(module)
    handles = [child.register_forward_hook(_recorder(activations, name)) for name, child in parts]
    try:
        module(x)
    finally:
        for handle in handles:
            handle.remove()
    data = LayerReport("data", "Input", 0, None, array_report(x[0].cpu().numpy()))
    return [data, *(_layer(name, child, activations.get(name)) for name, child in parts)]


def finish_outputs(
    outputs: Any, task: Task, labels: Labels, preprocessing: Preprocessing, probabilities: bool
) -> dict[str, np.ndarray]:
    """`finished` outputs as NumPy arrays, float32 (N, …)."""
    found = finished(outputs, task, labels, preprocessing, probabilities)
    return {name: value.detach().cpu().numpy() for name, value in found.items()}


def finished(outputs: Any, task: Task, labels: Labels, preprocessing: Preprocessing, probabilities: bool) -> dict[str, Tensor]:
    """Outputs (N, …) as a predictor gives them, float32: of the main one probabilities (N, K, …) where there are classes, the
    label's units elsewhere; a main output that is a picture as (N, C, H, W), whatever its axes.

    `probabilities` says that they are probabilities already.
    """
    classes = len(labels.class_labels)
    named = {name: value.float() for name, value in names_of(outputs).items()}
    main = main_output(named)
    if shape := picture_shape(task, labels, preprocessing):
        named = {name: pictured(value, shape) if value is main else value for name, value in named.items()}
    if kind := task.activation(labels):
        scored = {name for name, value in named.items() if value is main and value.ndim > 1}
        named |= {name: activated(named[name][:, :classes], kind, probabilities) for name in scored}
    elif preprocessing.label_scale != 1.0:
        named = {name: value * preprocessing.label_scale for name, value in named.items()}
    return named


def class_scores(output: Tensor, classes: int, probabilities: bool) -> Tensor:
    """Of scores before softmax, or `probabilities`, float32 (N, K or more, …): logarithms of the probabilities of the classes
    (N, K), among all that the network gives as its loss has them; of maps the scores (N, K, H, W) as they are."""
    if output.ndim != 2:
        return output[:, :classes]
    scores = output.clamp(min=SMALLEST).log() if probabilities else output
    return scores.log_softmax(dim=1)[:, :classes].clamp(min=torch.finfo(torch.float32).min)  # of a class that cannot be: -inf


def judged(output: Tensor, task: Task, labels: Labels, probabilities: bool) -> Tensor:
    """What metrics are given of a main output, float32: of maps the class of each pixel (N, H, W), of other scores what
    `Predictor.scores` gives (N, K), so that an evaluation counts the same; everything else (N, …) as it is."""
    activation, classes = task.activation(labels), len(labels.class_labels)
    if not activation:
        return output
    if output.ndim == 4:
        best, place = output[:, :classes].max(1)  # (N, K, H, W) → (N, H, W) twice; NaN is above all
        return torch.where(best < torch.inf, place, NO_CLASS)
    if activation == "softmax":
        return class_scores(output, classes, probabilities)  # (N, K), logarithms
    return activated(output[:, :classes], activation, probabilities)  # (N, K) in [0, 1]


def pictured(output: Tensor, shape: tuple[int, ...]) -> Tensor:
    """An output (N, …) of as many numbers as a picture of `shape` (C, H, W) as such pictures (N, C, H, W); others as they are."""
    if tuple(output.shape[1:]) == shape or math.prod(output.shape[1:]) != math.prod(shape):
        return output
    return output.reshape(-1, *shape)


def activated(scores: Tensor, activation: str, probabilities: bool) -> Tensor:
    """Probabilities (N, K, …) of scores: by `sigmoid`, NaN of plus infinity as softmax has it, for a sum that overflowed is no
    certainty; else by `softmax`, where they are no `probabilities` already. Of those the shares of the classes alone."""
    if activation == "sigmoid":
        return torch.where(scores < torch.inf, scores.sigmoid(), torch.nan)
    return scores / scores.sum(dim=1, keepdim=True) if probabilities else scores.softmax(dim=1)


def _recorder(activations: dict[str, np.ndarray], name: str) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        found = _first_tensor(output)
        if found is not None:
            activations[name] = without_batch(found.detach().float().cpu().numpy().copy())  # a later layer may write over it

    return hook


def _first_tensor(output: Any) -> Tensor | None:
    """What a layer gives, of several tensors, such as those of a recurrent one, the first."""
    if isinstance(output, Tensor):
        return output
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, list | tuple) else ()
    return next((found for part in parts if (found := _first_tensor(part)) is not None), None)


def _layer(name: str, module: nn.Module, activation: np.ndarray | None) -> LayerReport:
    weight = _weight(module)
    return LayerReport(
        name=name or "network",
        kind=type(module).__name__,
        parameters=sum(p.numel() for p in module.parameters(recurse=False)),
        weights=None if weight is None else array_report(weight.detach().float().cpu().numpy()),
        activations=None if activation is None else array_report(activation),
    )


def _weight(module: nn.Module) -> Tensor | None:
    """What a layer multiplies by: its `weight`, a buffer where it is frozen; else the largest of its own parameters."""
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor):
        return weight
    return max(module.parameters(recurse=False), key=Tensor.numel, default=None)
