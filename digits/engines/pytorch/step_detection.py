"""Training a detection network: boxes move with their pictures, the network itself gives the losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from digits.domain.events import WarningEvent
from digits.engines.network.checks import noise, short
from digits.engines.pytorch.boxes import PROBE, boxes_output, detections_of, probe_targets, targets_of, weighted_losses
from digits.engines.pytorch.losses import totals_of
from digits.engines.pytorch.modes import evaluating, let_give_losses, losses_of
from digits.engines.pytorch.random_state import random_state, restore_random_state, same_random_state
from digits.engines.pytorch.step import TorchStep
from digits.engines.training.augmentation import draw
from digits.engines.training.batches import Batch
from digits.engines.training.boxes import Boxes, moved
from digits.engines.training.totals import LossValue, Totals
from digits.metrics.average_precision import BoxPrecision
from digits.metrics.base import Finite, Metric


class DetectionStep(TorchStep):
    """See `TrainingStep` and `engines.pytorch.boxes` for what the network takes and gives. A validation has losses where the
    network gives them in evaluation mode, always the same for the same pictures, and learns nothing meanwhile."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.loss_parts = let_give_losses(self.module)
        self.why_no_loss = self._why_no_loss() if self.validation is not None else ""
        if self.why_no_loss and self.rank == 0:
            message = f"Validations show no loss: {self.why_no_loss}. What decides are their metrics."
            advice = "docs/networks.md says which losses of a detection network can be validated."
            self.run.emit(WarningEvent(code="no-validation-loss", message=message, advice=advice))

    def _why_no_loss(self) -> str:
        """The reason why the losses of a validation cannot be had, tried on pictures of noise; empty where they can. What the
        trial changes is put back."""
        x = torch.from_numpy(noise((PROBE, *self.inputs.preprocessing.input_shape))).to(self.fabric.device)
        before = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        state = random_state(self.on_gpu)
        try:
            with evaluating(self.module), torch.inference_mode(), self.fabric.autocast(), losses_of(self.loss_parts):
                weighted_losses(self.module(x, probe_targets(tuple(x.shape[1:]), x.device)), PROBE)
            drawn = not same_random_state(state, random_state(self.on_gpu))
            learnt = any(not torch.equal(before[name], buffer) for name, buffer in self.module.named_buffers())
        except Exception as error:  # whatever a text does not bear
            return f"the network gives none in evaluation mode ({short(error)})"
        finally:
            restore_random_state(state, self.on_gpu)
            for name, buffer in self.module.named_buffers():
                if not torch.equal(before[name], buffer):
                    buffer.copy_(before[name])
        return "they depend on chance" if drawn else "they change what the network has learnt" if learnt else ""

    def train_batch(self, batch: Batch, epoch: int, rate: float, weight: float, update: bool) -> None:
        x, boxes = self._augmented(batch, epoch)
        x = self.inputs.normalize(x)
        targets = targets_of(boxes, x.device)
        with self._shared(weight > 0):
            values = weighted_losses(self.model(x, targets), len(batch))
        counts = self._backward(values, len(batch) if weight > 0 else 0, update, x, targets)
        if update:
            self._update(rate, counts)

    def _plain_loss(self, module: nn.Module, batch: Batch) -> LossValue:
        x = self.inputs(batch.features)  # (N, C, H, W) float32
        return weighted_losses(module(x, targets_of(batch.labels, x.device)), len(batch))["loss"]

    def _augmented(self, batch: Batch, epoch: int) -> tuple[Tensor, Boxes]:
        x = self.inputs.raw(batch.features)  # (N, C, H, W) float32, stored units
        if not self.augmenter.augmentation.active:
            return x, batch.labels
        x, _ = self.augmenter(x, None, epoch, batch.indices)
        transforms = draw(self.augmenter.augmentation, self.augmenter.seed, epoch, batch.indices)
        return x, moved(batch.labels, self.augmenter.augmentation, transforms, (x.shape[-2], x.shape[-1]))

    def _evaluate_batch(self, batch: Batch, metrics: list[Metric]) -> Totals:
        x = self.inputs(batch.features)  # (N, C, H, W) float32
        values: dict[str, LossValue] = {}
        with self.fabric.autocast():
            outputs = self.module(x)
            if not self.why_no_loss:
                with losses_of(self.loss_parts):
                    values = weighted_losses(self.module(x, targets_of(batch.labels, x.device)), len(batch))
        self.loss_names = tuple(values)
        found = detections_of(outputs, len(self.run.info.class_labels))  # float32 (n, 6) of each picture
        for metric in metrics:
            if isinstance(metric, BoxPrecision | Finite):
                metric.update(found, batch.labels)
        return totals_of(values)

    def predict_samples(self, batch: Batch) -> dict[str, np.ndarray]:
        with evaluating(self.module), torch.inference_mode(), self.fabric.autocast():
            outputs = self.module(self.inputs(batch.features))
        return boxes_output(outputs, len(self.run.info.class_labels))
