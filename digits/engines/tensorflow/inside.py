"""Arrays of the layers of a Keras model, and why it answers so: by gradients on a tape, where PyTorch has captum.

The same methods as `engines.pytorch.explain`, but attention rollout. Of a model that ends in a softmax the logarithm of the
probability is derived, which is the score less what all classes share.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from digits.domain.inference import main_output
from digits.domain.inside import ATTENTION_ROLLOUT, GRAD_CAM, HIRES_CAM, INPUT_LAYER, INTEGRATED_GRADIENTS, METHODS, SALIENCY
from digits.engines.base import without_batch
from digits.engines.inside import (
    NO_PICTURE,
    NO_TENSOR,
    NOT_USED,
    Attribution,
    LayerArrays,
    Target,
    check_layer,
    gradient_steps,
    pooled,
)
from digits.engines.network.checks import PROBABILITIES
from digits.engines.network.losses import SMALLEST
from digits.engines.tensorflow.build import layers_of, own_variables, recorded, wanted_outputs
from digits.engines.tensorflow.paths import layer_paths
from digits.engines.tensorflow.start import keras, tf
from digits.errors import BadRequest
from digits.tasks import Labels, of

NO_MAPS = "The network has no convolution whose maps could be weighed."
NO_ROLLOUT = "Attention rollout is there for PyTorch models only."
NO_GRADIENT = "No gradient reaches the picture: the network computes what nothing can be derived from."
CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.SeparableConv2D, keras.layers.DepthwiseConv2D, keras.layers.Conv2DTranspose)
Uses = dict[str, list[list[Any]]]  # of each layer, the tensors that each of its uses gave


def named_layers(model: Any) -> list[tuple[str, Any]]:
    """The layers to look inside by their paths, in the order of the model."""
    paths = layer_paths(model)
    order = {key: place for place, key in enumerate(paths)}
    parts = sorted(layers_of(model), key=lambda layer: order.get(id(layer), len(order)))
    return [(paths.get(id(layer), layer.name), layer) for layer in parts]


def layer_arrays(model: Any, x: Any, names: Collection[str] | None) -> list[LayerArrays]:
    """As `LooksInside.inside`, for network input (1, h, w, C) or None."""
    parts = named_layers(model)
    for name in names or ():
        check_layer(name, [INPUT_LAYER, *(known for known, _ in parts)])
    wanted = [(name, layer) for name, layer in parts if names is None or name in names]
    uses: Uses = {}
    if x is not None:
        with _kept(model, wanted, uses):
            model(x, training=False)
    given = [LayerArrays(INPUT_LAYER, "Input", 0, activations={"output": _first(x)})] if x is not None else []
    chosen = given if names is None or INPUT_LAYER in names else []
    return [*chosen, *(_layer(name, layer, uses.get(name), x is not None) for name, layer in wanted)]


def methods(model: Any) -> dict[str, str]:
    """As `LooksInside.methods`."""
    cam = "" if any(isinstance(layer, CONVOLUTIONS) for _, layer in named_layers(model)) else NO_MAPS
    reasons = {GRAD_CAM: cam, HIRES_CAM: cam, ATTENTION_ROLLOUT: NO_ROLLOUT}
    return {name: reasons.get(name, "") for name in METHODS}


def attribute(model: Any, meta: Mapping[str, Any], method: str, x: Any, target: Target, layer: str) -> Attribution:
    """The map (h, w) of network input (1, h, w, C); see `LooksInside.attribute`."""
    if reason := methods(model)[method]:
        raise BadRequest(reason)
    if method in (GRAD_CAM, HIRES_CAM):
        return _cam(model, meta, method, x, target, layer)
    gradient = _gradient_of(lambda given: _score(model(given, training=False), meta, target))
    if method == SALIENCY:
        return Attribution(np.abs(gradient(x)).max(axis=-1)[0])
    assert method == INTEGRATED_GRADIENTS
    count, said = gradient_steps(model.count_params(), "CPU" in str(x.device))
    places, weights = np.polynomial.legendre.leggauss(count)  # over [-1, 1]
    steps = zip((places + 1) / 2, weights / 2, strict=True)
    mean = sum(gradient(x * float(place)) * weight for place, weight in steps)  # (1, h, w, C)
    found = (np.asarray(mean) * x.numpy())[0].sum(axis=-1)
    ends = [float(_score(model(given, training=False), meta, target)[0]) for given in (x, tf.zeros_like(x))]
    return Attribution(found.astype(np.float32), note=said, total=float(found.sum()), difference=ends[0] - ends[1])


def vectors(model: Any, x: Any, layer: str) -> np.ndarray:
    """Vectors (N, D) float32 of network input (N, h, w, C), averaged over places or tokens."""
    parts = named_layers(model)
    check_layer(layer, [name for name, _ in parts])
    uses: Uses = {}
    with _kept(model, [part for part in parts if part[0] == layer], uses):
        model(x, training=False)
    value = uses[layer][-1][0] if uses.get(layer) and uses[layer][-1] else None
    if value is None or len(value.shape) < 2 or value.shape[0] != x.shape[0]:
        raise BadRequest(f"{layer} gives no array for each picture.", advice="Choose another layer.")
    return pooled(_channels_first(value))


def vector_layer(model: Any, x: Any, *, of_places: bool) -> str:
    """As `engines.pytorch.inside.vector_layer`, for input (1, h, w, C)."""
    uses: Uses = {}
    parts = named_layers(model)
    with _kept(model, parts, uses):
        model(x, training=False)
    shapes = [(name, tuple(found[-1][0].shape)) for name, found in uses.items() if found[-1]]
    usable = [(name, shape) for name, shape in shapes if len(shape) > 1 and shape[0] == x.shape[0]]
    maps = [(name, math.prod(shape[1:3])) for name, shape in usable if len(shape) == 4]
    if of_places and maps:
        least = min(size for _, size in maps)
        return [name for name, size in maps if size == least][-1]
    known = dict(parts)
    learnt = [place for place, (name, _) in enumerate(usable) if known[name]._trainable_variables]
    if not usable:
        raise BadRequest("No layer gives an array for each picture.")
    return usable[max(0, learnt[-1] - 1) if learnt else -1][0]


@contextlib.contextmanager
def random_weights(models: Sequence[Any], seed: int) -> Iterator[None]:
    """As `LooksInside.random_weights`, of networks for several sizes alike."""
    variables = [variable for model in models for variable in model.trainable_variables]
    before = [variable.numpy() for variable in variables]
    random = [np.random.default_rng(seed + place) for place in range(len(variables))]
    try:
        for variable, values, draw in zip(variables, before, random, strict=True):
            finite = bool(np.isfinite(values).all())
            made = draw.normal(values.mean(), values.std(), values.shape) if finite else np.zeros(values.shape)
            variable.assign(made.astype(values.dtype))
        yield
    finally:
        for variable, values in zip(variables, before, strict=True):
            variable.assign(values)


def _cam(model: Any, meta: Mapping[str, Any], method: str, x: Any, target: Target, wanted: str) -> Attribution:
    uses: Uses = {}
    parts = named_layers(model)
    with tf.GradientTape() as tape, _kept(model, parts, uses):
        tape.watch(x)
        score = _score(model(x, training=False), meta, target)[0]
    maps = {name: found[0][0] for name, found in uses.items() if len(found) == 1 and found[0]}
    if wanted:
        check_layer(wanted, [name for name, _ in parts])
        if wanted not in maps or len(maps[wanted].shape) != 4:
            raise BadRequest(f"{wanted} gives no maps (C, h, w), or several.", advice="Choose a layer with maps, or none.")
        maps = {wanted: maps[wanted]}
    usable = {name: one for name, one in maps.items() if len(one.shape) == 4 and (wanted or one.shape[1] * one.shape[2] > 1)}
    gradients = dict(zip(usable, tape.gradient(score, list(usable.values())), strict=True))
    reached = [name for name, found in gradients.items() if found is not None and (wanted or np.any(found.numpy()))]
    if not reached:
        raise BadRequest("No layer of the network gives maps (C, h, w) that the score depends on.", advice="Use occlusion.")
    least = min(usable[name].shape[1] * usable[name].shape[2] for name in reached)
    name = [one for one in reached if usable[one].shape[1] * usable[one].shape[2] == least][-1]
    values, gradient = tf.cast(usable[name], tf.float32)[0], tf.cast(gradients[name], tf.float32)[0]  # (h', w', C)
    weights = tf.reduce_mean(gradient, axis=(0, 1)) if method == GRAD_CAM else gradient
    cam = tf.nn.relu(tf.reduce_sum(values * weights, axis=-1))
    whole = tf.image.resize(cam[None, ..., None], x.shape[1:3]).numpy()[0, ..., 0]
    note = "" if whole.any() else "Nothing in this layer speaks for it, so the map is empty."
    return Attribution(whole.astype(np.float32), layer=name, note=note)


def _gradient_of(score: Callable[[Any], Any]) -> Callable[[Any], np.ndarray]:
    """The gradient (N, h, w, C) of a score at input (N, h, w, C)."""

    def gradient(x: Any) -> np.ndarray:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(score(x))
        found = tape.gradient(value, x)
        if found is None:
            raise BadRequest(NO_GRADIENT, advice="Use occlusion, which takes predictions alone.")
        return np.asarray(found)

    return gradient


def _score(outputs: Any, meta: Mapping[str, Any], target: Target) -> Any:
    """The score (N,) before the softmax; of a map (N, h, w, K) its mean over the region."""
    labels = Labels.of_snapshot(meta)
    output = tf.cast(main_output(wanted_outputs(outputs)), tf.float32)
    if of(meta["task"], labels).activation(labels) and len(output.shape) > 1:
        output = output[..., : len(labels.class_labels)]
        output = tf.math.log(tf.maximum(output, SMALLEST)) if meta.get(PROBABILITIES, False) else output
    if len(output.shape) != 4:
        return tf.reshape(output, (output.shape[0], -1))[:, target.index]
    chosen, region = output[..., target.index], target.region  # (N, h, w)
    if region is None or not region.any() or any(a > b for a, b in zip(region.shape, chosen.shape[1:], strict=True)):
        return tf.reduce_mean(chosen, axis=(1, 2))
    mask = np.zeros(chosen.shape[1:], np.float32)
    mask[: region.shape[0], : region.shape[1]] = region
    return tf.reduce_sum(chosen * mask, axis=(1, 2)) / mask.sum()


@contextlib.contextmanager
def _kept(model: Any, parts: Sequence[tuple[str, Any]], uses: Uses) -> Iterator[None]:
    """In the block `uses` gets what each of the parts gives, in the order of their first work."""
    names = {id(layer): name for name, layer in parts}

    def keep(layer: Any, _: Any, output: Any) -> None:
        if tf.executing_eagerly():
            uses.setdefault(names[id(layer)], []).append([one for one in tf.nest.flatten(output) if tf.is_tensor(one)])

    with recorded(model, keep, [layer for _, layer in parts]):
        yield


def _layer(name: str, layer: Any, uses: list[list[Any]] | None, has_picture: bool) -> LayerArrays:
    found = uses[-1] if uses else []
    activations = {f"output{place or ''}": _first(value) for place, value in enumerate(found)}
    reason = "" if activations else NO_PICTURE if not has_picture else NOT_USED if uses is None else NO_TENSOR
    note = f"The network used it {len(uses)} times; shown is the last." if uses and len(uses) > 1 else ""
    variables = own_variables(layer)
    parameters = sum(math.prod(variable.shape) for variable in variables)
    arrays = {str(variable.name): _kernel(np.asarray(variable)) for variable in variables}
    weights = {key: values.astype(np.float32) for key, values in arrays.items() if values.dtype.kind in "fiub"}
    return LayerArrays(name, type(layer).__name__, parameters, weights, activations, reason, note)


def _kernel(values: np.ndarray) -> np.ndarray:
    """A kernel (H, W, in, out) as (out, in, H, W), a matrix (in, out) as (out, in)."""
    axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(values.ndim)
    return values if axes is None else values.transpose(axes)


def _first(value: Any) -> np.ndarray:
    return without_batch(_channels_first(value))


def _channels_first(value: Any) -> np.ndarray:
    """(N, C, h, w) of (N, h, w, C); other ranks as they are."""
    array: np.ndarray = tf.cast(value, tf.float32).numpy()
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)) if array.ndim == 4 else array
