"""A predictor as one module of torch, from stored units to finished outputs: what every exporter of this engine writes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from digits.engines.base import Predictor
from digits.engines.network.checks import PROBABILITIES
from digits.engines.parity import EXPORT_SHAPE
from digits.engines.prepared import input_shape
from digits.engines.pytorch.inputs import whiten
from digits.engines.pytorch.predictor import TorchPredictor, finished
from digits.engines.training.preprocessing import learns_its_input
from digits.utils.resizing import centre_start

EXAMPLES = 2  # pictures that the network is traced with; a batch of one would be taken for the only size
SEPARATE = "The network's detections cannot be written: it suppresses overlapping boxes picture by picture."
WAY_OUT = "Train the standard detector, or give the network a method candidates(images) as docs/networks.md describes it."
OTHER_ENGINE = "Only models of PyTorch are written in this format."


def check(predictor: Predictor) -> list[str]:
    """Why a predictor cannot be written by an exporter of this engine."""
    if not isinstance(predictor, TorchPredictor):
        return [OTHER_ENGINE]
    if predictor.task.moves == "boxes" and not callable(getattr(predictor.module, "candidates", None)):
        return [f"{SEPARATE} {WAY_OUT}"]
    return []


def example(predictor: Predictor, *, prepared: bool = False) -> Tensor:
    """Zeros (2, C, H, W) float32 of the stored size, of what is `prepared`, or of the numbers that exports take instead of
    pictures."""
    return torch.zeros(EXAMPLES, *input_shape(predictor.meta, prepared=prepared))


def output_names(portable: Portable, features: Tensor) -> list[str]:
    """Names of what `Portable` gives for features (N, C, H, W) float32, in its order."""
    with torch.no_grad():
        return list(portable(features))


class Portable(nn.Module):
    """Features (N, C, H, W) float32 in stored units, of the stored size → outputs by name, as `Predictor.predict` gives them.

    Where exports take numbers instead of pictures these are the features, as they are. A detection gives `boxes` (N, M, 6) of a
    fixed M: rows of zeros fill up. On the CPU, without gradients.

    Where they are `prepared` they are (N, C, h, w) as `digits.engines.prepared` says, and boxes count in their pixels.
    """

    def __init__(self, predictor: TorchPredictor, *, prepared: bool = False) -> None:
        super().__init__()
        self.prepared = prepared
        self.task, self.labels, preprocessing = predictor.task, predictor.labels, predictor.preprocessing
        self.preprocessing = preprocessing
        self.takes_numbers = bool(predictor.meta.get(EXPORT_SHAPE))
        self.probabilities = bool(predictor.meta.get(PROBABILITIES, False))
        self.network = predictor.module.cpu().eval().to(memory_format=torch.contiguous_format)
        size = preprocessing.input_shape[1:]
        spare = [have - want for have, want in zip(preprocessing.stored_shape[1:], size, strict=True)]
        self.top, self.left = centre_start(spare[0]), centre_start(spare[1])
        self.height, self.width = size
        found = predictor.inputs.mean_for(size)
        mean = torch.zeros(1, 1, 1) if found is None else found.detach().clone().cpu()
        self.register_buffer("mean", mean)
        self.register_buffer("rest", self._rest(mean))
        self.requires_grad_(False)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """As the class says: features (N, C, H, W) float32 in stored units → outputs (N, …) float32 by name."""
        if self.takes_numbers:
            return self._finished(self.network(features))
        x = self._with_the_rest(features) if self.prepared else self._scaled(features)
        x = whiten(x) if self.preprocessing.whitening else x
        if self.task.moves == "boxes":
            return {"boxes": self._boxes(*self.network.candidates(x))}
        return self._finished(self.network(x))

    def _scaled(self, features: Tensor) -> Tensor:
        """(N, C, H, W) in stored units → (N, C, h, w): the middle, without the mean, scaled."""
        x = features[..., self.top : self.top + self.height, self.left : self.left + self.width]
        return (x - self.mean) * (1.0 / self.preprocessing.std)  # mean (C, h, w) or (C, 1, 1)

    def _rest(self, mean: Tensor) -> Tensor | None:
        """What is still to be added to prepared pictures, from which only the mean of each channel was subtracted: (C, h, w)."""
        if self.preprocessing.mean_kind == "none" or mean.shape[-2:] == (1, 1):
            return None
        per_channel = torch.tensor(self.preprocessing.pixel_mean, dtype=mean.dtype).reshape(-1, 1, 1)
        return (per_channel - mean) * (1.0 / self.preprocessing.std)

    def _with_the_rest(self, prepared: Tensor) -> Tensor:
        return prepared if self.rest is None else prepared + self.rest

    def _finished(self, outputs: Any) -> dict[str, Tensor]:
        found = finished(outputs, self.task, self.labels, self.preprocessing, self.probabilities)
        if learns_its_input(self.task, self.labels, self.preprocessing.whitening):
            channels = self.preprocessing.stored_shape[0]
            is_picture = {name: value.ndim == 4 and value.shape[1] == channels for name, value in found.items()}
            found = {n: value * self.preprocessing.std + self.mean if is_picture[n] else value for n, value in found.items()}
        return found

    def _boxes(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """Rows of left, top, right, bottom in pixels of the picture, score, class (N, M, 6): what is left, best first."""
        kept = scores * self._stays(boxes, scores, labels).to(scores.dtype)  # (N, M)
        scores, order = kept.topk(kept.shape[1])
        corner = [0, 0] if self.prepared else [self.left, self.top]
        boxes = boxes.gather(1, order[:, :, None].expand(-1, -1, 4)) + boxes.new_tensor(corner * 2)
        rows = torch.cat([boxes, scores[:, :, None], labels.gather(1, order)[:, :, None].to(boxes.dtype)], dim=2)
        return rows * (scores > 0)[:, :, None]

    def _stays(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """1 for boxes that no better one of their picture and class overlaps, (N, M).

        One suppression for all pictures and classes: each class is put beside the other, each picture below the other, so that
        none of two can overlap.
        """
        count, most = scores.shape
        far = float(max(self.height, self.width) + 1)
        picture = torch.arange(count, dtype=boxes.dtype)[:, None].expand(-1, most)
        corner = torch.stack([labels.to(boxes.dtype), picture], dim=2) * far  # (N, M, 2)
        apart = boxes + torch.cat([corner, corner], dim=2)
        kept = torch.ops.torchvision.nms(apart.reshape(-1, 4), scores.reshape(-1), float(self.network.nms_thresh))
        marks = torch.zeros_like(scores).reshape(-1).scatter(0, kept, 1.0)
        return marks.reshape(count, most)
