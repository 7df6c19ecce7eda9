"""One network on its device: a training step, a validation, its state. The loop that calls it is `engines.training.loop`."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from digits.domain.inference import main_output
from digits.domain.metrics import LOSS
from digits.domain.training import SYNCHRONISED
from digits.engines.base import TrainingRun, names_of
from digits.engines.network.checks import PROBABILITIES
from digits.engines.network.several_losses import GradientHook, JointLoss, moves_in
from digits.engines.pytorch.batch_norm import SharedBatchNorm
from digits.engines.pytorch.build import TorchNetwork
from digits.engines.pytorch.devices import OneDevice
from digits.engines.pytorch.dynamo import without_dynamo
from digits.engines.pytorch.exchange import from_rank_0, gather, place, share_buffers, share_network, sum_numbers
from digits.engines.pytorch.finite import all_finite, watched
from digits.engines.pytorch.gradients import GroupGradients
from digits.engines.pytorch.graph import graph_of
from digits.engines.pytorch.inputs import CHANNELS_LAST, Augmenter, Inputs
from digits.engines.pytorch.losses import Loss, own_metrics, totals_of
from digits.engines.pytorch.modes import evaluating
from digits.engines.pytorch.origin import origin_in, spoilt_in
from digits.engines.pytorch.predictor import finish_outputs, judged, pictured
from digits.engines.pytorch.random_state import kept_random_state, random_state, restore_random_state
from digits.engines.pytorch.several_losses import SeveralLosses, change_gradients, separate, settle
from digits.engines.pytorch.traces import TorchRecorder
from digits.engines.pytorch.weights import pack
from digits.engines.pytorch.window import Window, detached, number_of
from digits.engines.training.batches import Batch, BatchSource
from digits.engines.training.calendar import Calendar
from digits.engines.training.loop import evaluation_parts
from digits.engines.training.loss_watch import Divergence, LossWatch
from digits.engines.training.origin import Origin, Spoilt
from digits.engines.training.preprocessing import (
    beside_features,
    gives_pictures,
    in_stored_units,
    in_units_of_loss,
    learns_its_input,
)
from digits.engines.training.setup import labels_of, metric_scale, task_of, validation_metrics
from digits.engines.training.step import Pictures, Scores, TrainingStep, scores_of
from digits.engines.training.tensorboard import graph_def
from digits.engines.training.totals import LossValue, Totals, restored, value_of, wrong_parts
from digits.engines.training.trace_parts import BACKWARD, DATA, FORWARD, OPTIMIZER
from digits.engines.training.traces import Recorder
from digits.errors import JobStopped
from digits.metrics.base import Metric, add_batch

if TYPE_CHECKING:
    from digits.engines.pytorch.fabric import Fabric

NOTHING_COUNTS = LossValue(())


class TorchStep(TrainingStep):
    """See `TrainingStep`. `validation` may be None: then nothing is ever evaluated."""

    def __init__(
        self,
        run: TrainingRun,
        calendar: Calendar,
        fabric: Fabric | OneDevice,
        network: TorchNetwork,
        optimizer: torch.optim.Optimizer,
        losses: tuple[Loss, Loss],
        inputs: Inputs,
        augmenter: Augmenter,
        validation: BatchSource | None,
    ) -> None:
        self.run, self.calendar, self.fabric, self.network = run, calendar, fabric, network
        self.rank, self.world = place()
        self.module: nn.Module = network.module
        self.learns = any(parameter.requires_grad for parameter in self.module.parameters())
        self.model: Any = network.module
        self.optimizer: Any = optimizer  # or, once it is known that the text has several losses, those
        if not isinstance(fabric, OneDevice):
            self.model, self.optimizer = fabric.setup(network.module, optimizer)
        self.loss, self.validation_loss = losses  # of outputs in training mode, and in evaluation mode
        self.inputs, self.augmenter, self.validation = inputs, augmenter, validation
        self.labels, self.task = labels_of(run), task_of(run)
        self.classes = len(self.labels.class_labels) if self.task.counts_hits else 0
        self.learns_input = learns_its_input(self.task, self.labels, inputs.preprocessing.whitening)
        self.scale = metric_scale(run)
        self.has_own_loss = not run.spec.loss and network.loss is not None
        self.loss_names: tuple[str, ...] = ()  # of what the loss gave in the last validation
        self.several = False  # whether that was several losses
        self.on_gpu = fabric.device.type == "cuda"
        self.window = Window(self.on_gpu)
        self.backward = Tensor.backward if isinstance(fabric, OneDevice) else fabric.backward
        self.gradients: Any = GroupGradients(list(self.module.parameters()), self.backward, fabric.device, self.world)
        self.settled = False  # whether it is known that the losses are those of a training that goes on
        self.synchronised = run.spec.batch_norm == SYNCHRONISED
        if self.world > 1:
            share_network(self.module)
        self.watch = LossWatch(value_of, wrong_parts)
        self.watched = watched(self.module)
        self.origin: Origin | None = None  # of the first loss that was no number, or ...
        self.spoilt: Spoilt | None = None  # ... what was in the weights then

    # -- training -----------------------------------------------------------------------------------------------

    def train_batch(self, batch: Batch, epoch: int, rate: float, weight: float, update: bool) -> None:
        x = self.inputs.raw(batch.features)  # (N, C, H, W) float32, stored units
        y = self.targets(batch.labels, x)  # (N,), (N, H, W) int64, or (N, …) float32
        if self.augmenter.augmentation.active:
            x, y = self.augmenter(x, y, epoch, batch.indices)
        x = self.inputs.normalize(x)  # (N, C, H, W) float32, prepared
        y = x.clone() if y is None else y
        meter = self.meter
        if meter is not None:
            meter.mark(DATA)
        with self._shared(weight > 0):
            outputs = self.model(x)
        values = self.loss(outputs, y)
        if meter is not None:
            meter.mark(FORWARD)
        counts = self._backward(values, len(batch) if weight > 0 else 0, update, x)
        if meter is not None:
            meter.mark(BACKWARD)
            meter.gradient_norm = self._gradient_norm() if update else None
            meter.begin()
        if update:
            self._update(rate, counts)
        if meter is not None:
            meter.mark(OPTIMIZER)
        if weight > 0 and self.classes:
            self._count_hits(outputs, y)

    def _backward(self, values: dict[str, LossValue], records: int, update: bool, *given: Any) -> Callable[[], bool]:
        """Of so many records that count, and what the network was given for them. Gives whether anything counts in the group that
        an `update` closes."""
        loss, counts = values["loss"], records > 0
        self._note(values if counts else {}, given)
        if isinstance(loss, JointLoss) and not self.settled:
            settle(self, loss)
        counted = self.gradients.close(loss, counts) if update else self.gradients.add(loss, counts)
        self._share_buffers(records)
        return counted

    def _note(self, values: dict[str, LossValue], given: tuple[Any, ...]) -> None:
        """The values of a batch, for reports and for the watch; none where nothing counts."""
        note = detached if self.on_gpu else number_of
        noted = {name: value.noted(note) for name, value in values.items()}
        for name, value in noted.items():
            self.window.add(name, value)
        self.watch.add(noted.get("loss", NOTHING_COUNTS), None if self.on_gpu else lambda: self._look(given))

    def _look(self, given: tuple[Any, ...]) -> bool:
        """At a loss that is no number, before the weights move: whether they are numbers, and where it comes from."""
        sound = all_finite(self.watched)
        if self.origin is None and self.spoilt is None:
            self.origin = self._origin(given) if sound else None
            self.spoilt = None if sound else spoilt_in(self.module)
        return sound

    def _origin(self, given: tuple[Any, ...]) -> Origin | None:
        def again() -> None:
            with self.fabric.autocast():
                self.module(*given)

        return origin_in(self.module, again)

    def _update(self, rate: float, counts: Callable[[], bool]) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with without_dynamo():
            if counts():
                if self.network.gradient_hook is not None and not isinstance(self.optimizer, SeveralLosses):
                    self._change_gradients(self.network.gradient_hook)
                self.optimizer.step()
        self.gradients.clear()

    def _gradient_norm(self) -> float | None:
        """Of all weights together, before the text's hook changes them; None where there are no gradients."""
        found = [p.grad for p in self.module.parameters() if p.grad is not None and p.grad.layout is torch.strided]
        if not found:
            return None
        scale = self.scaler.get_scale() if self.scaler is not None else 1.0
        norms = [norm.float() for norm in torch._foreach_norm(found)]
        return float(torch.linalg.vector_norm(torch.stack(norms))) / scale

    def finish(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize(self.fabric.device)

    def _change_gradients(self, hook: GradientHook) -> None:
        optimizer = self.optimizer if isinstance(self.fabric, OneDevice) else self.optimizer.optimizer
        change_gradients(hook, self.gradients.parameters, LOSS, optimizer, self.scaler)

    def _share_buffers(self, records: int) -> None:
        """The statistics of all ranks are equal after every batch: what is validated is what a snapshot holds."""
        if self.world > 1:
            share_buffers(self.module, records, average=not self.synchronised)

    def _shared(self, counts: bool) -> contextlib.AbstractContextManager[Any]:
        """For a forward pass: normalises over all ranks, where that was requested or the share of one is too small for itself."""
        together = self.world > 1 and (self.synchronised or self.smallest_share < 2)
        return SharedBatchNorm(counts) if together else contextlib.nullcontext()

    def _count_hits(self, outputs: Any, y: Tensor) -> None:
        scores = main_output(names_of(outputs)).detach()
        self.window.add_hits(scores if scores.shape[1] == self.classes else scores[:, : self.classes], y)

    def take(self) -> Totals:
        if self.window.is_finite:
            self.watch.settle()
        totals, self.window = self.window.totals, Window(self.on_gpu)
        return self._over_ranks(totals, ())[0]

    def healthy(self) -> bool:
        own = self.window.is_finite and all_finite([*self.watched, *self._moments()])
        return own if self.world == 1 else bool(sum_numbers(np.array([0.0 if own else 1.0]))[0] == 0)

    def _moments(self) -> list[Tensor]:
        """The optimizer's own numbers, such as sums of squares, on the device."""
        kept = (value for state in self.optimizer.state.values() for value in state.values() if isinstance(value, Tensor))
        return [value for value in kept if value.is_floating_point() and value.device == self.fabric.device]

    def divergence(self) -> Divergence:
        own = self.watch.found(lambda: all_finite(self.watched))
        own = replace(own, scaled=self.scaler is not None, own_loss=self.has_own_loss, origin=self.origin, spoilt=self.spoilt)
        return own if self.world == 1 else max(gather(own), key=lambda one: (one.ago, one.origin is not None))

    @property
    def scaler(self) -> Any:
        """What scales gradients for half precision; None where nothing does."""
        return None if isinstance(self.fabric, OneDevice) else getattr(self.fabric.strategy.precision, "scaler", None)

    def training_loss(self, batch: Batch) -> float:
        state, module = self.remember(), copy.deepcopy(self.module)  # a text's loss may ask for the network itself
        try:
            with torch.no_grad(), self.fabric.autocast():
                return value_of(self._plain_loss(module, batch)) or 0.0
        finally:
            self.recall(state)

    def _plain_loss(self, module: nn.Module, batch: Batch) -> LossValue:
        x = self.inputs(batch.features)  # (N, C, H, W) float32
        y = self.targets(batch.labels, x)
        return self.loss(module(x), x if y is None else y)["loss"]

    def targets(self, labels: Any, x: Tensor) -> Any:
        """Labels of a batch on the device of `x`: class indices int64 (N, …), everything else float32 (N, …), divided by the
        label scale; None where the label is the picture."""
        if labels is None:
            return None
        targets = torch.from_numpy(self.task.targets(labels)).to(x.device)
        return targets if self.task.index_targets else targets / self.inputs.preprocessing.label_scale

    # -- validation ---------------------------------------------------------------------------------------------

    def evaluate(self) -> Scores:
        if self.validation is None:
            return Scores({}, {}, {})
        totals, metrics = Totals(), self._metrics()
        parts = evaluation_parts(len(self.validation.records), self.calendar.batch_size, self.rank, self.world)
        batches = self.validation.stream([part for part in parts if len(part)])
        with evaluating(self.module), torch.inference_mode():
            for part in parts:
                if self.agree((self.run.should_stop(),))[0]:
                    raise JobStopped("The training was stopped during a validation.")
                self.run.motion.moved()
                if len(part):
                    totals.add(self._evaluate_batch(next(batches), metrics))
        return self._scores(totals, metrics, np.concatenate(parts))

    def _evaluate_batch(self, batch: Batch, metrics: list[Metric]) -> Totals:
        x = self.inputs(batch.features)  # (N, C, H, W) float32
        y = self.targets(batch.labels, x)  # (N,), (N, H, W) int64, or (N, …) float32
        y = x if y is None else y
        outputs = self._forward(x)
        values = self.validation_loss(outputs, y)
        self.loss_names, self.several = tuple(values), isinstance(values["loss"], JointLoss)
        if self.network.metrics is not None:
            values |= own_metrics(self.network.metrics, outputs, y, self.task.ignored_index(self.labels))
        self._update_metrics(metrics, main_output(names_of(outputs)), y, batch.features)
        return totals_of(values)

    def _forward(self, x: Tensor) -> Any:
        """Forward of the bare module in the run's precision: no exchange between processes."""
        with self.fabric.autocast():
            outputs = self.module(x)
        return {name: value.float() for name, value in outputs.items()} if isinstance(outputs, dict) else _float(outputs)

    def _update_metrics(self, metrics: list[Metric], output: Tensor, y: Tensor, features: np.ndarray) -> None:
        if not metrics:
            return
        output = judged(output, self.task, self.labels, self.network.probabilities)
        made = (pictured(output, tuple(y.shape[1:])) if gives_pictures(self.task, self.labels) else output).cpu().numpy()
        truth = y.cpu().numpy()
        if self.learns_input:
            made, truth = beside_features(made, features, self.inputs.preprocessing, self.inputs.mean_image, self.scale)
        add_batch(metrics, made, truth)

    def _metrics(self) -> list[Metric]:
        return validation_metrics(self.run)

    def _scores(self, totals: Totals, metrics: list[Metric], records: np.ndarray) -> Scores:
        totals, losses = self._over_ranks(totals, self.loss_names)
        if self.world > 1:
            for metric in metrics:
                metric.totals = sum_numbers(metric.totals)
                self._join(metric)
            records = np.concatenate(gather(records))
        found = scores_of(totals.means(), metrics, losses, self.network.declared, self.several)
        return replace(found, pictures=Pictures(records, metrics))

    def _over_ranks(self, own: Totals, names: tuple[str, ...]) -> tuple[Totals, tuple[str, ...]]:
        """The totals of all processes and the names that any of them has. Each brings what it has: one without a record, or
        with names of its own, is no less a part of it."""
        if self.world == 1:
            return own, names
        totals, found = Totals(), gather((own.sums, own.weights, names))
        for sums, weights, _ in found:
            totals.add(Totals(sums, weights))
        return totals, tuple(dict.fromkeys(name for *_, more in found for name in more))

    def _join(self, metric: Metric) -> None:
        """Bring together what a metric keeps that is no sum."""
        own = metric.parts()
        if own is not None:
            metric.join(gather(own))
        kept = gather((metric.keeps, metric.kept()))
        metric.keeps = all(keeps for keeps, _ in kept)
        metric.take_kept([one for _, part in kept for one in part])

    def loss_of(self, outputs: np.ndarray, targets: np.ndarray) -> Totals | None:
        if self.has_own_loss or not self.task.default_loss:
            return None
        outputs, targets = in_units_of_loss(outputs, targets, self.task, self.labels, self.inputs.preprocessing)
        output, y = (torch.tensor(array, device=self.fabric.device) for array in (outputs, targets))
        with torch.inference_mode():
            return totals_of(self.validation_loss(output.softmax(dim=1) if self.network.probabilities else output, y))

    def predict_samples(self, batch: Batch) -> dict[str, np.ndarray]:
        with evaluating(self.module), torch.inference_mode():
            outputs = self._forward(self.inputs(batch.features))  # (N, …) float32
        preprocessing = self.inputs.preprocessing
        found = finish_outputs(outputs, self.task, self.labels, preprocessing, self.network.probabilities)
        return in_stored_units(found, self.task, self.labels, preprocessing, self.inputs.mean_image)

    def graph(self) -> bytes:
        """Drawn from one black picture; what the network draws at random meanwhile is drawn again afterwards."""
        x = torch.zeros((1, *self.inputs.preprocessing.input_shape), device=self.fabric.device)
        state = random_state(self.on_gpu)
        try:
            with evaluating(self.module), torch.no_grad(), self.fabric.autocast():
                return graph_def(graph_of(self.module, x))
        finally:
            restore_random_state(state, self.on_gpu)

    def recorder(self) -> Recorder:
        return TorchRecorder(self.module, self.on_gpu)

    # -- state --------------------------------------------------------------------------------------------------

    def snapshot(self, metadata: dict[str, Any]) -> bytes:
        metadata = {**metadata, CHANNELS_LAST: self.inputs.layout is torch.channels_last}
        metadata[PROBABILITIES] = self.network.probabilities
        return pack(self.module, metadata, self.inputs.mean_image)

    def state(self, loop: dict[str, Any]) -> bytes:
        window = self.window.totals
        own = {"random": random_state(self.on_gpu), "sums": window.sums, "weights": window.weights}
        processes = [own] if self.world == 1 else gather(own)
        if self.rank != 0:
            return b""
        buffer = io.BytesIO()  # and not the file itself: a full disk must show as an OSError of our own write
        with without_dynamo():
            optimizer = self.optimizer.state_dict()
        state = {
            "module": self.module.state_dict(),
            "optimizer": optimizer,
            "precision": {} if isinstance(self.fabric, OneDevice) else self.fabric.strategy.precision.state_dict(),
            "processes": processes,
            "loop": loop,
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def load_state(self, path: Path) -> dict[str, Any]:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.module.load_state_dict(state["module"])
        if moves := moves_in(state["optimizer"]):
            separate(self, moves)
        with without_dynamo():
            self.optimizer.load_state_dict(state["optimizer"])
        if not isinstance(self.fabric, OneDevice):
            self.fabric.strategy.precision.load_state_dict(state["precision"])
        own = state["processes"][self.rank % len(state["processes"])]
        self.window = Window(self.on_gpu, restored(own))
        restore_random_state(own["random"], self.on_gpu)
        return state["loop"]

    def remember(self) -> Any:
        return kept_random_state(self.on_gpu), [buffer.clone() for buffer in self.module.buffers()], self.window.copy()

    def recall(self, state: Any) -> None:
        put_back, buffers, self.window = state
        put_back()
        with torch.no_grad():
            for buffer, value in zip(self.module.buffers(), buffers, strict=True):
                buffer.copy_(value)

    def agree(self, wishes: tuple[bool, ...]) -> tuple[bool, ...]:
        return wishes if self.world == 1 else from_rank_0(wishes)


def _float(outputs: Any) -> Any:
    if isinstance(outputs, list | tuple):
        return [_float(value) for value in outputs]
    return outputs.float() if outputs.is_floating_point() else outputs
