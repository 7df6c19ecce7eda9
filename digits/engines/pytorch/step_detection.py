"""Training a detection network: boxes move with their pictures, the network itself gives the losses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from digits.engines.pytorch.boxes import boxes_output, detections_of, targets_of, weighted_losses
from digits.engines.pytorch.step import TorchStep, totals_of
from digits.engines.training.augmentation import draw
from digits.engines.training.batches import Batch
from digits.engines.training.boxes import Boxes, moved
from digits.engines.training.totals import Totals
from digits.metrics.average_precision import BoxPrecision
from digits.metrics.base import Metric


class DetectionStep(TorchStep):
    """See `TrainingStep` and `engines.pytorch.boxes` for what the network takes and gives."""

    def train_batch(self, batch: Batch, epoch: int, rate: float, weight: float, update: bool) -> None:
        x, boxes = self._augmented(batch, epoch)
        x = self.inputs.normalize(x)
        with self._no_sync(not update):
            values = weighted_losses(self.model(x, targets_of(boxes, x.device)), len(batch))
            counts = self._backward(values["loss"], weight > 0, update)
        if update:
            self._update(rate, counts)
        if weight > 0:
            self._count(values, len(batch))

    def _augmented(self, batch: Batch, epoch: int) -> tuple[Tensor, Boxes]:
        x = self.inputs.raw(batch.features)  # (N, C, H, W) float32, stored units
        if not self.augmenter.augmentation.active:
            return x, batch.labels
        x, _ = self.augmenter(x, None, epoch, batch.indices)
        transforms = draw(self.augmenter.augmentation, self.augmenter.seed, epoch, batch.indices)
        return x, moved(batch.labels, self.augmenter.augmentation, transforms, (x.shape[-2], x.shape[-1]))

    def _evaluate_batch(self, batch: Batch, metrics: list[Metric]) -> Totals:
        x = self.inputs(batch.features)  # (N, C, H, W) float32
        with self.fabric.autocast():
            outputs = self.module(x)
            with losses_of(self.module):
                values = weighted_losses(self.module(x, targets_of(batch.labels, x.device)), len(batch))
        self.loss_names = tuple(values)
        found = detections_of(outputs, len(self.run.info.class_labels))  # float32 (n, 6) of each picture
        for metric in metrics:
            if isinstance(metric, BoxPrecision):
                metric.update(found, batch.labels)
        return totals_of(values)

    def predict_samples(self, batch: Batch) -> dict[str, np.ndarray]:
        self.module.eval()
        with torch.inference_mode(), self.fabric.autocast():
            outputs = self.module(self.inputs(batch.features))
        self.module.train()
        return boxes_output(outputs, len(self.run.info.class_labels))


@contextlib.contextmanager
def losses_of(module: nn.Module) -> Iterator[None]:
    """The network gives losses, as in training, but learns nothing: normalisation keeps its statistics, nothing drops out."""
    module.train()
    for child in module.modules():
        if isinstance(child, _BatchNorm | nn.Dropout | nn.Dropout2d):
            child.eval()
    try:
        yield
    finally:
        module.eval()
