"""One Keras model on its device: a compiled training step, a validation, its state. `engines.training.loop` calls it.

The step is a `tf.function` with an open batch axis, traced once for each of its three forms (whole, accumulating, closing a
group of accumulated batches); a smaller last batch is no new trace. Records go in as they lie in the memory map; layout, mean
and augmentation are part of the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.metrics import LOSS
from digits.engines.base import TrainingRun
from digits.engines.network.checks import PROBABILITIES
from digits.engines.network.several_losses import JointLoss
from digits.engines.tensorflow.build import KerasNetwork, scored_output
from digits.engines.tensorflow.finite import all_finite, watched
from digits.engines.tensorflow.inputs import Augmenter, Inputs
from digits.engines.tensorflow.losses import Loss, own_metrics
from digits.engines.tensorflow.origin import origin_in, spoilt_in
from digits.engines.tensorflow.predictor import channels_first_array, channels_last_array, finish_outputs, judged, pictured
from digits.engines.tensorflow.several_losses import LossGroup, LossGroups, Maker
from digits.engines.tensorflow.start import tf
from digits.engines.tensorflow.step_state import put_back, remembered, restore_state, state_bytes
from digits.engines.tensorflow.step_values import as_float, samples_of, stacked, totals_by_name, totals_of
from digits.engines.tensorflow.weights import pack
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
from digits.engines.training.step import HITS, Pictures, Scores, TrainingStep, scores_of
from digits.engines.training.totals import LossValue, Totals, one_part, value_of
from digits.engines.training.trace_parts import COMPUTE, FORWARD
from digits.engines.training.traces import Recorder
from digits.errors import JobStopped
from digits.metrics.base import Metric, add_batch

CPU = "/CPU:0"


class TensorflowStep(TrainingStep):
    """See `TrainingStep`. `validation` may be None: then nothing is ever evaluated."""

    def __init__(
        self,
        run: TrainingRun,
        calendar: Calendar,
        network: KerasNetwork,
        make_optimizer: Maker,
        losses: tuple[Loss, Loss],
        inputs: Inputs,
        augmenter: Augmenter,
        sources: tuple[BatchSource, BatchSource | None],
    ) -> None:
        self.run, self.calendar, self.network, self.model = run, calendar, network, network.model
        self.loss, self.validation_loss = losses  # of outputs in training mode, and in evaluation mode
        self.inputs, self.augmenter = inputs, augmenter
        self.source, self.validation = sources
        self.device = "/GPU:0" if run.devices else CPU
        self.labels, self.task = labels_of(run), task_of(run)
        self.classes = len(self.labels.class_labels) if self.task.counts_hits else 0
        self.learns_input = learns_its_input(self.task, self.labels, inputs.preprocessing.whitening)
        self.scale = metric_scale(run)
        self.loss_names: tuple[str, ...] = ()  # of what the loss gives, and whether that is several losses: ...
        self.has_several = False  # ... known when a validation is traced
        self.dtype = np.dtype(run.train.meta.feature_dtype)
        self.names: tuple[str, ...] = ()  # of each part of the values of a step, known when it is traced
        self.pending: list[Any] = []  # of each step float32 (2, parts): sums and weights
        self.functions: dict[str, Any] = {}
        self.variables = self.model.trainable_variables
        self.learns = bool(self.variables)
        self.has_own_loss = not run.spec.loss and network.loss is not None
        self.groups = LossGroups(run, network, make_optimizer, apart=self.has_own_loss)
        self.watch = LossWatch(self._loss_of, self._wrong_in)
        self.watched = watched(self.model)
        self.origin: Origin | None = None  # of the first loss that was no number, or ...
        self.spoilt: Spoilt | None = None  # ... what was in the weights then

    # -- training -----------------------------------------------------------------------------------------------

    def train_batch(self, batch: Batch, epoch: int, rate: float, weight: float, update: bool) -> None:
        data = self._data(batch)
        active = self.augmenter.augmentation.active
        drawn = self.augmenter.transforms(epoch, batch.indices, batch.features.shape[1:]) if active else {}
        name = "whole" if self.calendar.accumulation == 1 else "close" if update else "add"
        with tf.device(self.device):
            if name != "whole" and not self.groups.are_open:
                self._accumulate(data)
            form, work = self.groups.form(name), self._close if update else self._add
            made = self._function(form, work, data, drawn)(data, drawn, np.float32(rate), self.meter is not None)
            values, finite, norm = made
        self._measure(norm, update)
        self.functions[self.groups.form(name)] = self.functions.pop(form)  # the losses may be known only since it was traced
        self.groups.steps += update
        self.pending.append(values)
        self.watch.add(values, finite if self.device == CPU else None)
        if self.device == CPU:
            self._look(values, finite, data, drawn)

    def _measure(self, norm: Any, update: bool) -> None:
        if self.meter is not None:
            self.meter.gradient_norm = float(norm.numpy()) if update else None  # waits for the device
            self.meter.mark(COMPUTE)

    def _look(self, values: Any, finite: Any, data: dict[str, Any], drawn: dict[str, Any]) -> None:
        """Where the first loss that is no number comes from, or what is in weights that were none before a step. What is made of
        such a loss does not move the weights."""
        if self.origin is not None or self.spoilt is not None:
            return
        if not finite.numpy():
            self.spoilt = spoilt_in(self.model)
        elif not np.isfinite(values.numpy()).all():
            x, _ = self._prepared({name: tf.constant(value) for name, value in data.items()}, drawn)
            self.origin = origin_in(self.model, x)

    def _add(self, data: dict[str, Any], drawn: dict[str, Any], rate: Any, measured: Any) -> Any:
        """A batch after which others of its group follow."""
        with tf.GradientTape(persistent=True) as tape:
            values, _ = self._trained(data, drawn)
            due = [(group, *group.parts(loss)) for group, loss in self.groups.of(values["loss"]) if self.groups.is_due(group)]
        for group, terms, weights in due:
            group.add(tape, terms, weights)
        return self._joined(values), self._finite_before(), tf.constant(0.0)

    def _close(self, data: dict[str, Any], drawn: dict[str, Any], rate: Any, measured: Any) -> Any:
        """The last batch of a group, or the only one: the weights move. Only of a step that is `measured` the norm of the
        gradients is taken."""
        with tf.GradientTape(persistent=self.has_own_loss) as tape:
            values, further = self._trained(data, drawn)
            found = [(group, group.measured(loss, further)) for group, loss in self.groups.of(values["loss"])]
        finite = self._finite_before()
        self.groups.check_reached(tape, values["loss"], further)
        due = [(group, seen, group.closed(tape, seen)) for group, seen in found if self.groups.is_due(group)]
        sound = tf.reduce_all([seen.is_sound for _, seen in found])
        squares = [lambda g=group, found=gradients: g.square_norm(found) for group, _, gradients in due]
        norm = tf.cond(measured, lambda: tf.sqrt(tf.add_n([square() for square in squares])), lambda: tf.constant(0.0))
        for group, seen, gradients in due:
            self._move(group, gradients, rate, seen.counts & sound)
        return self._joined(values), finite, norm

    def _move(self, group: LossGroup, gradients: list[Any], rate: Any, wanted: Any) -> None:
        """A step of an optimizer, unless nothing counted or a loss is no number: then the training ends, and the weights are left
        as they were."""

        def move() -> Any:
            group.move(gradients, rate)
            return tf.constant(True)

        tf.cond(wanted, move, lambda: tf.constant(False))

    def _finite_before(self) -> Any:
        """Whether the weights are numbers before they move; on a GPU nobody looks. The loss may hide it, for Keras' relu makes 0
        of NaN."""
        return all_finite(self.watched) if self.device == CPU else tf.constant(True)

    def _trained(self, data: dict[str, Any], drawn: dict[str, Any]) -> tuple[dict[str, LossValue], int]:
        """As `_forward`; where the text has several losses each has its optimizer from the first call on."""
        values, further = self._forward(data, drawn)
        if isinstance(values["loss"], JointLoss):
            with tf.init_scope(), tf.device(self.device):
                if self.groups.settle(values["loss"]):
                    self.functions.pop("finite", None)  # it looks at the optimizer's numbers
        return values, further

    def _accumulate(self, data: dict[str, Any]) -> None:
        """Make room for the gradients of several batches. How many parts the loss has only its call says; it is traced, and not
        run."""
        parts: list[int] = []

        def look(data: dict[str, Any]) -> Any:
            values, _ = self._trained(data, {})
            parts[:] = [len(loss.parts) for _, loss in self.groups.of(values["loss"])]
            return tf.constant(0)

        tf.function(look, input_signature=[self._specs(data)], autograph=False).get_concrete_function()
        for group, count in zip(self.groups, parts, strict=True):
            group.accumulate(count)

    # -- forward ------------------------------------------------------------------------------------------------

    def _forward(self, data: dict[str, Any], drawn: dict[str, Any]) -> tuple[dict[str, LossValue], int]:
        """The values of a batch, and how many parts of its loss are not of the data (see `_losses`)."""
        x, y = self._prepared(data, drawn)
        with tf.name_scope(FORWARD):  # names in a trace; they cost nothing
            outputs = self.model(x, training=True)
        values, further = self._losses(self.loss, outputs, y)
        if self.classes:
            values[HITS] = one_part(self._hits(outputs, y), samples_of(y))
        return values, further

    def _prepared(self, data: dict[str, Any], drawn: dict[str, Any]) -> tuple[Any, Any]:
        x, y = self.inputs.raw(data["features"]), self._targets(data)  # (N, H, W, C) float32, stored units; y (N,), (N, H, W), …
        if drawn:
            x, y = self.augmenter(x, y, drawn)
        x = self.inputs.normalize(x)  # prepared
        return x, x if y is None else y

    def _losses(self, loss: Loss, outputs: Any, y: Any) -> tuple[dict[str, LossValue], int]:
        """The loss with what layers add to it (regularization: a mean over samples, or the same for every batch), and the
        number of parts that this is: the last ones."""
        values = dict(loss(as_float(outputs), y))
        if not self.model.losses:
            return values, 0
        samples = samples_of(y)
        values["loss"] += one_part(tf.cast(tf.add_n(self.model.losses), tf.float32) * samples, samples)
        return values, 1

    def _hits(self, outputs: Any, y: Any) -> Any:
        """How many have their one highest score at their class (see `metrics.accuracy.rank`); NaN is not below any score."""
        scores = scored_output(outputs)[:, : self.classes]  # (N, K)
        last = tf.cast(tf.shape(scores)[1] - 1, y.dtype)
        known = tf.clip_by_value(y, 0, last)  # a label out of bounds is refused by the loss, in words
        own = tf.gather(scores, known, batch_dims=1)[:, None]  # (N, 1)
        alone = tf.reduce_sum(tf.cast(tf.logical_not(scores < own), tf.int32), axis=1) == 1
        return tf.reduce_sum(tf.cast(tf.logical_and(alone, own[:, 0] < np.inf), tf.float32))

    def _joined(self, values: dict[str, LossValue]) -> Any:
        self.names = tuple(name for name, value in values.items() for _ in value.parts)
        return stacked([part for value in values.values() for part in value.parts])

    def take(self) -> Totals:
        totals = Totals()
        for values in self.pending:
            totals.add(totals_by_name(self.names, values))
        if self._finite_losses():
            self.watch.settle()
        self.pending = []
        return totals

    def healthy(self) -> bool:
        if "finite" not in self.functions:
            self.functions["finite"] = tf.function(lambda: all_finite([*self.watched, *self.groups.moments]), autograph=False)
        return self._finite_losses() and bool(self.functions["finite"]())

    def _finite_losses(self) -> bool:
        return all(bool(np.isfinite(values.numpy()).all()) for values in self.pending)

    @property
    def spoiled(self) -> bool:
        return self.watch.spoiled

    def training_loss(self, batch: Batch) -> float:
        kept = [tf.identity(v.value) for v in self.model.non_trainable_variables]
        with tf.device(self.device):
            values, _ = self._forward({name: tf.constant(value) for name, value in self._data(batch).items()}, {})
        for variable, value in zip(self.model.non_trainable_variables, kept, strict=True):
            variable.assign(value)
        return value_of(values["loss"]) or 0.0

    def divergence(self) -> Divergence:
        found = self.watch.found(lambda: bool(all_finite(self.watched)))
        scaled = self.groups.are_scaled
        return replace(found, scaled=scaled, own_loss=self.has_own_loss, origin=self.origin, spoilt=self.spoilt)

    def _loss_of(self, values: Any) -> float | None:
        """The loss among the values of a step; None where nothing counts."""
        return totals_by_name(self.names, values).means().get(LOSS)

    def _wrong_in(self, values: Any) -> tuple[str, ...]:
        """Which of several losses are no numbers."""
        means = totals_by_name(self.names, values).means()
        return tuple(one.name for one in self.groups.several if not np.isfinite(means.get(one.name, 0.0)))

    # -- data ---------------------------------------------------------------------------------------------------

    def _data(self, batch: Batch) -> dict[str, np.ndarray]:
        """What a step is given: `features` (N, C, H, W) as stored and, where there are any, `labels`."""
        features = np.ascontiguousarray(batch.features.astype(self.dtype, copy=False))
        return {"features": features} if batch.labels is None else {"features": features, "labels": self._labels(batch.labels)}

    def _labels(self, labels: Any) -> np.ndarray:
        """Class indices as int64 (N,) or (N, H, W), everything else as float32."""
        return self.task.targets(labels)

    def _targets(self, data: dict[str, Any]) -> Any:
        """Labels in Keras' layout, numbers scaled; None where the label is the picture."""
        if "labels" not in data:
            return None
        y = data["labels"]
        if y.dtype.is_integer:
            return y
        y = tf.transpose(y, (0, 2, 3, 1)) if len(y.shape) == 4 else y
        return y / np.float32(self.inputs.preprocessing.label_scale)

    def _function(self, name: str, work: Callable[..., Any], data: dict[str, Any], drawn: dict[str, Any]) -> Any:
        """`work` compiled for any number of samples such as these."""
        if name not in self.functions:
            signature = [self._specs(data), self._specs(drawn), tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.bool)]
            signature = signature[:1] if name == "evaluate" else signature
            self.functions[name] = tf.function(work, input_signature=signature, autograph=False)
        return self.functions[name]

    def _specs(self, arrays: dict[str, Any]) -> dict[str, Any]:
        return {name: _spec(value, self.source.size is None) for name, value in arrays.items()}

    # -- validation ---------------------------------------------------------------------------------------------

    def evaluate(self) -> Scores:
        if self.validation is None:
            return Scores({}, {}, {})
        totals, metrics = Totals(), self._metrics()
        parts = evaluation_parts(len(self.validation.records), self.calendar.batch_size, 0, 1)
        for batch in self.validation.stream(parts):
            if self.run.should_stop():
                raise JobStopped("The training was stopped during a validation.")
            self.run.motion.moved()
            totals.add(self._evaluate_batch(batch, metrics))
        found = scores_of(totals.means(), metrics, self.loss_names, self.network.declared, self.has_several)
        return replace(found, pictures=Pictures(np.concatenate(parts), metrics))

    def _evaluate_batch(self, batch: Batch, metrics: list[Metric]) -> Totals:
        data = self._data(batch)
        with tf.device(self.device):
            values, output, y = self._function("evaluate", self._evaluation, data, {})(data)
        made, truth = channels_first_array(output.numpy()), channels_first_array(y.numpy())
        if self.learns_input:
            made, truth = beside_features(made, batch.features, self.inputs.preprocessing, self.inputs.mean_image, self.scale)
        add_batch(metrics, made, truth)
        return totals_of(values)

    def _evaluation(self, data: dict[str, Any]) -> tuple[dict[str, Any], Any, Any]:
        """Losses and metrics float32 (2, parts), the main output (of maps the classes), and the targets."""
        x, y = self.inputs(data["features"]), self._targets(data)  # (N, H, W, C) float32
        y = x if y is None else y
        outputs = self.model(x, training=False)
        values, _ = self._losses(self.validation_loss, outputs, y)
        self.loss_names, self.has_several = tuple(values), isinstance(values["loss"], JointLoss)
        if self.network.metrics is not None:
            values |= own_metrics(self.network.metrics, as_float(outputs), y, self.task.ignored_index(self.labels))
        output = judged(tf.cast(scored_output(outputs), tf.float32), self.task, self.labels, self.network.probabilities)
        output = pictured(output, tuple(y.shape[1:])) if gives_pictures(self.task, self.labels) else output
        return {name: stacked(value.parts) for name, value in values.items()}, output, y

    def _metrics(self) -> list[Metric]:
        return validation_metrics(self.run)

    def loss_of(self, outputs: np.ndarray, targets: np.ndarray) -> Totals | None:
        if self.has_own_loss:
            return None
        outputs, targets = in_units_of_loss(outputs, targets, self.task, self.labels, self.inputs.preprocessing)
        with tf.device(self.device):
            output, y = (tf.constant(channels_last_array(array)) for array in (outputs, targets))
            values = self.validation_loss(tf.nn.softmax(output) if self.network.probabilities else output, y)
        return totals_of({name: stacked(value.parts) for name, value in values.items()})

    def predict_samples(self, batch: Batch) -> dict[str, np.ndarray]:
        features = np.ascontiguousarray(batch.features.astype(self.dtype, copy=False))
        with tf.device(self.device):
            outputs = self.model(self.inputs(tf.constant(features)), training=False)
        preprocessing = self.inputs.preprocessing
        found = finish_outputs(outputs, self.task, self.labels, preprocessing, self.network.probabilities)
        return in_stored_units(found, self.task, self.labels, preprocessing, self.inputs.mean_image)

    def graph(self) -> bytes:
        function = self.functions.get("evaluate")
        return function.get_concrete_function().graph.as_graph_def().SerializeToString() if function else b""

    def recorder(self) -> Recorder | None:
        try:
            from digits.engines.tensorflow.traces import TensorflowRecorder
        except ImportError:  # a version of TensorFlow without the classes of what its profiler writes
            return None
        return TensorflowRecorder()

    # -- state --------------------------------------------------------------------------------------------------

    def snapshot(self, metadata: dict[str, Any]) -> bytes:
        return pack(self.model, {**metadata, PROBABILITIES: self.network.probabilities}, self.inputs.mean_image)

    def state(self, loop: dict[str, Any]) -> bytes:
        return state_bytes(self._state_variables(), self.names, self.pending, loop, self.groups.state())

    def load_state(self, path: Path) -> dict[str, Any]:
        def variables(known: dict[str, Any]) -> list[Any]:
            self.groups.load_state(known)
            return self._state_variables()

        loop, self.names, self.pending = restore_state(path, variables)
        return loop

    def remember(self) -> Any:
        return remembered(self.model.non_trainable_variables), list(self.pending)

    def recall(self, state: Any) -> None:
        kept, self.pending = state
        put_back(kept, self.model.non_trainable_variables)

    def _state_variables(self) -> list[Any]:
        """Weights, statistics, the counters of random layers and the optimizers' own numbers, in a fixed order."""
        return [*self.model.variables, *self.groups.moments]


def _spec(array: np.ndarray, free: bool) -> Any:
    """Any number of samples of the array's shape; `free` leaves the sizes of pictures open too."""
    shape = [None] * (array.ndim - 1) if free and array.ndim > 2 else list(array.shape[1:])
    if free and array.ndim == 4:
        shape[0] = array.shape[1]
    return tf.TensorSpec([None, *shape], array.dtype)
