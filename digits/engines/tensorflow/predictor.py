"""A snapshot of a Keras model ready to predict, and its layers for looking inside."""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.classes import NO_CLASS
from digits.domain.inference import main_output
from digits.engines.base import LayerReport, NetworkContext, Predictor, array_report, without_batch
from digits.engines.inside import Attribution, LayerArrays, Target, placed
from digits.engines.network.checks import NETWORK_FILE, PROBABILITIES, context_from
from digits.engines.network.losses import SMALLEST
from digits.engines.parity import EXPORT_SHAPE
from digits.engines.tensorflow import inside
from digits.engines.tensorflow.build import KerasNetwork, build, forward_zeros, layers_of, own_variables, recorded, wanted_outputs
from digits.engines.tensorflow.inputs import Inputs, centre
from digits.engines.tensorflow.paths import layer_paths
from digits.engines.tensorflow.start import start, tf
from digits.engines.tensorflow.weights import load_into, read_metadata
from digits.engines.training.preprocessing import Preprocessing, in_stored_units, picture_shape
from digits.engines.whole_pictures import cut_back, padded
from digits.errors import BadRequest, NetworkError, StorageError
from digits.tasks import Labels, Task, of
from digits.utils.resizing import centre_start

SIZES = 4  # picture sizes for which a network is kept; a network of Keras is built for one


class TensorflowPredictor(Predictor):
    """See `Predictor`. Bigger pictures than the training's are taken as they are when the network can be built for them."""

    def __init__(self, text: str, snapshot: Path, meta: dict[str, Any], mean_image: np.ndarray | None, device: str) -> None:
        self.meta = dict(meta)
        self.labels = Labels.of_snapshot(meta)
        self.task = of(meta["task"], self.labels)
        self.preprocessing = Preprocessing.from_json(meta["preparation"])
        self.inputs = Inputs(self.preprocessing, mean_image)
        self.device = device
        self._text, self._snapshot = text, snapshot
        self._networks: OrderedDict[tuple[int, int, int], Any] = OrderedDict()
        channels, height, width = self.preprocessing.input_shape
        self.model = self.model_for((height, width, channels))

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        seen = padded(batch, self.meta)
        return {name: cut_back(value, batch, seen) for name, value in self._predict(seen).items()}

    def _predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        x = self.prepare(batch)  # (N, h, w, C) float32
        with tf.device(self.device):
            outputs = self._model_taking(batch, x)(x, training=False)
        found = finish_outputs(outputs, self.task, self.labels, self.preprocessing, self.meta.get(PROBABILITIES, False))
        return in_stored_units(found, self.task, self.labels, self.preprocessing, self.inputs.mean_image)

    def scores(self, batch: np.ndarray) -> np.ndarray:
        if self.task.activation(self.labels) != "softmax":
            return main_output(self.predict(batch))
        seen = padded(batch, self.meta)
        x = self.prepare(seen)  # (N, h, w, C) float32
        with tf.device(self.device):
            output = tf.cast(main_output(wanted_outputs(self.model_for(tuple(x.shape[1:]))(x, training=False))), tf.float32)
            found = class_scores(output, len(self.labels.class_labels), self.meta.get(PROBABILITIES, False))
        return cut_back(channels_first_array(found.numpy()), batch, seen)

    def prepare(self, batch: np.ndarray) -> Any:
        """Network input (N, h, w, C) float32: of a picture of the stored size the middle that training crops to, prepared; of
        what is no such picture (`Preprocessing.is_for`) its numbers."""
        if batch.ndim != 4:
            raise BadRequest(f"Pictures come as (N, C, H, W), found shape {batch.shape}.", advice="Add the axis of the batch.")
        if not self.preprocessing.is_for(batch):
            return self.inputs.raw(tf.constant(np.ascontiguousarray(batch)))
        size = (self.preprocessing.input_shape[1], self.preprocessing.input_shape[2])
        if self.preprocessing.crops and tuple(batch.shape[2:]) == tuple(self.preprocessing.stored_shape[1:]):
            cut = centre(batch, size)
            batch = batch if cut is None else cut
        return self.inputs(tf.constant(np.ascontiguousarray(batch)))

    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        batch = padded(feature[None], self.meta)
        x = self.prepare(batch)  # (1, h, w, C) float32
        with tf.device(self.device):
            return look_inside(self._model_taking(batch, x), x)

    def inside(self, feature: np.ndarray | None, names: Collection[str] | None = None) -> list[LayerArrays]:
        """As `LooksInside.inside`."""
        if feature is None:
            return inside.layer_arrays(self.model, None, names)
        model, x = self._of(feature[None])
        with tf.device(self.device):
            return inside.layer_arrays(model, x, names)

    def methods(self) -> dict[str, str]:
        return inside.methods(self.model)

    def attribute(self, method: str, feature: np.ndarray, target: Target, layer: str = "") -> Attribution:
        """As `LooksInside.attribute`."""
        model, x = self._of(feature[None])
        with tf.device(self.device):
            found = inside.attribute(model, self.meta, method, x, target, layer)
        cuts = self.preprocessing.crops and feature.shape[1:] == tuple(self.preprocessing.stored_shape[1:])
        seen = zip(feature.shape[1:], self.preprocessing.input_shape[1:], strict=True)
        top, left = (int(centre_start(have - want)) if cuts else 0 for have, want in seen)
        return replace(found, values=placed(found.values, feature.shape, (top, left)))

    @contextlib.contextmanager
    def random_weights(self, seed: int = 0) -> Iterator[None]:
        with inside.random_weights(list(self._networks.values()), seed):
            yield

    def vector_layer(self) -> str:
        channels, height, width = self.preprocessing.input_shape
        return inside.vector_layer(self.model, tf.zeros((1, height, width, channels)), of_places=self.task.of_places)

    def vectors(self, batch: np.ndarray, layer: str) -> np.ndarray:
        """As `LooksInside.vectors`."""
        model, x = self._of(batch)
        with tf.device(self.device):
            return inside.vectors(model, x, layer)

    def _of(self, batch: np.ndarray) -> tuple[Any, Any]:
        """The network for features (N, C, H, W), and what it is given, (N, h, w, C)."""
        seen = padded(batch, self.meta)
        x = self.prepare(seen)
        return self._model_taking(seen, x), x

    def close(self) -> None:
        self._networks.clear()
        self.model = None

    def _model_taking(self, batch: np.ndarray, x: Any) -> Any:
        """The network for a batch (N, C, h, w), prepared x (N, h, w, C): what is no picture goes to that of the training's
        pictures where it takes it, as a generator takes numbers."""
        if not self.preprocessing.is_for(batch):
            with contextlib.suppress(ValueError, TypeError, tf.errors.InvalidArgumentError):
                self.model(x[:1], training=False)
                return self.model
        return self.model_for(tuple(x.shape[1:]))

    def model_for(self, size: tuple[int, int, int]) -> Any:
        """The network for pictures of a size (H, W, C), with the snapshot's weights."""
        if size in self._networks:
            self._networks.move_to_end(size)
            return self._networks[size]
        context = context_from(self.meta)
        with tf.device(self.device):
            network = self._built(replace(context, input_shape=(size[2], size[0], size[1])))
            self.meta[EXPORT_SHAPE] = network.export_shape
            load_into(network.model, self._snapshot)
        self._networks[size] = network.model
        if len(self._networks) > SIZES:
            self._networks.popitem(last=False)
        return network.model

    def _built(self, context: NetworkContext) -> KerasNetwork:
        network = build(self._text, context)
        try:
            forward_zeros(network.model, context)
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            size = "×".join(str(n) for n in context.input_shape[1:])
            raise NetworkError(f"The network does not take pictures of {size}: {error}") from error
        return network


def load_predictor(snapshot: Path, device: str) -> TensorflowPredictor:
    """The predictor of a snapshot in a model's folder, whose `network.py` is run. Foreign weights raise StorageError."""
    meta, mean_image = read_metadata(snapshot)
    text_file = snapshot.parent.parent / NETWORK_FILE
    if not meta or not text_file.is_file():
        raise StorageError(f"{snapshot} is no snapshot of a model of digits.", advice="Choose a snapshot in a model's folder.")
    start(gpu=device != "cpu")
    name = "/CPU:0" if device == "cpu" else f"/GPU:{device.partition(':')[2] or 0}"
    return TensorflowPredictor(text_file.read_text(), snapshot, meta, mean_image, name)


def look_inside(model: Any, x: Any) -> list[LayerReport]:
    """What the network is given, (1, h, w, C) float32, and the weights and activations of each of its layers."""
    activations: dict[int, np.ndarray] = {}

    def keep(layer: Any, _: Any, output: Any) -> None:
        found = next(filter(tf.is_tensor, tf.nest.flatten(output)), None)  # of several, as of a recurrent layer, the first
        if found is not None and tf.executing_eagerly():
            activations[id(layer)] = without_batch(channels_first_array(tf.cast(found, tf.float32).numpy()))

    order = {key: place for place, key in enumerate(layer_paths(model))}
    parts = sorted(layers_of(model), key=lambda layer: order.get(id(layer), len(order)))
    with recorded(model, keep, parts):
        model(x, training=False)
    data = LayerReport("data", "Input", 0, None, array_report(channels_first_array(x.numpy())[0]))
    paths = layer_paths(model)
    return [data, *(_layer(paths.get(id(layer), layer.name), layer, activations.get(id(layer))) for layer in parts)]


def finish_outputs(
    outputs: Any, task: Task, labels: Labels, preprocessing: Preprocessing, probabilities: bool
) -> dict[str, np.ndarray]:
    """`finished` outputs as NumPy arrays, float32, channels-first: (N, K), (N, C, H, W)."""
    found = finished(outputs, task, labels, preprocessing, probabilities)
    return {name: channels_first_array(value.numpy()) for name, value in found.items()}


def finished(outputs: Any, task: Task, labels: Labels, preprocessing: Preprocessing, probabilities: bool) -> dict[str, Any]:
    """Outputs as a predictor gives them: of the main one probabilities where there are classes, the label's units elsewhere; a
    main output that is a picture as such, whatever its axes; float32 tensors in Keras' layout. `probabilities` says that they
    are probabilities already.
    """
    classes = len(labels.class_labels)
    named = {name: tf.cast(value, tf.float32) for name, value in wanted_outputs(outputs).items()}
    main = main_output(named)
    if shape := picture_shape(task, labels, preprocessing):
        named = {name: pictured(value, (*shape[1:], shape[0])) if value is main else value for name, value in named.items()}
    if kind := task.activation(labels):
        scored = {name for name, value in named.items() if value is main and value.ndim > 1}
        named |= {name: activated(named[name][..., :classes], kind, probabilities) for name in scored}
    elif preprocessing.label_scale != 1.0:
        named = {name: value * preprocessing.label_scale for name, value in named.items()}
    return named


def class_scores(output: Any, classes: int, probabilities: bool) -> Any:
    """Of scores before softmax, or `probabilities`, float32 (N, K or more) or (N, H, W, K or more): logarithms of the
    probabilities of the classes (N, K), among all that the network gives as its loss has them; of maps the scores as they are."""
    if len(output.shape) != 2:
        return output[..., :classes]
    scores = tf.math.log(tf.maximum(output, SMALLEST)) if probabilities else output
    logs = tf.nn.log_softmax(scores)[:, :classes]
    return tf.where(logs < tf.float32.min, tf.float32.min, logs)  # of a class that cannot be: -inf


def judged(output: Any, task: Task, labels: Labels, probabilities: bool) -> Any:
    """What metrics are given of a main output, float32 in Keras' layout: of maps the class of each pixel (N, H, W), of other
    scores what `Predictor.scores` gives (N, K), so that an evaluation counts the same; everything else as it is."""
    activation, classes = task.activation(labels), len(labels.class_labels)
    if not activation:
        return output
    if len(output.shape) == 4:
        scores = output[..., :classes]  # (N, H, W, K) → (N, H, W)
        return tf.where(tf.reduce_all(scores < np.inf, axis=-1), tf.argmax(scores, axis=-1), NO_CLASS)
    if activation == "softmax":
        return class_scores(output, classes, probabilities)  # (N, K), logarithms
    return activated(output[:, :classes], activation, probabilities)  # (N, K) in [0, 1]


def pictured(output: Any, shape: tuple[Any, ...]) -> Any:
    """An output (N, …) of as many numbers as a picture of `shape` (H, W, C) as such pictures (N, H, W, C); others as they are,
    and where sizes are not known yet."""
    own = tuple(output.shape[1:]) if output.shape.rank else (None,)
    if own == shape or None in own or None in shape or math.prod(own) != math.prod(shape):
        return output
    return tf.reshape(output, (-1, *shape))


def activated(scores: Any, activation: str, probabilities: bool) -> Any:
    """Probabilities (N, …, K) of scores: by `sigmoid`, NaN of plus infinity as softmax has it, for a sum that overflowed is no
    certainty; else by `softmax`, where they are no `probabilities` already. Of those the shares of the classes alone."""
    if activation == "sigmoid":
        return tf.where(scores < np.inf, tf.math.sigmoid(scores), np.nan)
    return scores / tf.reduce_sum(scores, axis=-1, keepdims=True) if probabilities else tf.nn.softmax(scores)


def channels_first_array(array: np.ndarray) -> np.ndarray:
    """(N, H, W, C) as (N, C, H, W); other ranks as they are."""
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)) if array.ndim == 4 else array


def channels_last_array(array: np.ndarray) -> np.ndarray:
    """(N, C, H, W) as (N, H, W, C); other ranks as they are."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)) if array.ndim == 4 else array


def _layer(name: str, layer: Any, activation: np.ndarray | None) -> LayerReport:
    variables = own_variables(layer)
    return LayerReport(
        name=name,
        kind=type(layer).__name__,
        parameters=sum(math.prod(variable.shape) for variable in variables),
        weights=array_report(_outputs_first(np.asarray(variables[0]))) if variables else None,
        activations=None if activation is None else array_report(activation),
    )


def _outputs_first(kernel: np.ndarray) -> np.ndarray:
    """A kernel (H, W, in, out) as (out, in, H, W), a matrix (in, out) as (out, in)."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(kernel.ndim)
    return kernel if axes is None else kernel.transpose(axes)
