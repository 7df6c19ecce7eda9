"""From a network text to a Keras model that was fed zeros and found to fit the data.

Keras' layout is (N, H, W, C); shapes and arrays that leave the engine are channels-first, as everywhere else.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from digits.domain.inference import main_output
from digits.engines.base import LayerRow, NetworkContext, NetworkReport, names_of
from digits.engines.network.checks import (
    SEVERAL,
    SIGMOID_NOTE,
    activation,
    are_probabilities,
    batch_size_of,
    check_callables,
    check_outputs,
    export_shape_of,
    labels_of,
    looks_like_sigmoid,
    needs_scores,
    noise,
    short,
    softmax_note,
    task_of,
    unknown_sizes,
)
from digits.engines.network.own_metrics import declared_in
from digits.engines.network.several_losses import GradientHook, gives_several, gradient_hook, read_entries, with_network
from digits.engines.network.text import DOWNLOAD_SECONDS, WHAT_TO_WRITE, compile_text, run_text
from digits.engines.tensorflow.paths import layer_paths, read_optimizers
from digits.engines.tensorflow.start import keras, tf
from digits.errors import NetworkError

PROBE = 2  # pictures of zeros; one would hide a missing batch axis
MAP_LAYOUT = "(N, H, W, context.num_classes)"
AUXILIARY = "auxiliary"  # outputs whose names begin so serve the loss only


@dataclass
class KerasNetwork:
    """A built model with what its text says beside it. `note` says why pretrained weights are missing, if they are."""

    model: Any
    loss: Callable[..., Any] | None
    metrics: Callable[..., Any] | None
    batch_size: int | None
    note: str = ""
    probabilities: bool = False  # in evaluation mode it ends in a softmax of its own; known once it was checked
    trains_on_probabilities: bool = False  # the same in training mode
    sigmoid: bool = False  # in evaluation mode it seems to end in a sigmoid, where scores are wanted
    declared: dict[str, dict[str, str]] = field(default_factory=dict)  # what it says of its own metrics
    pretrained: bool = False  # `build_network` was told to load published weights, and did
    gradient_hook: GradientHook | None = None  # what the text does with gradients before a step
    export_shape: tuple[int, ...] | None = None  # (C, H, W) of the numbers that exports take in the place of pictures


def build(text: str, context: NetworkContext, *, seed: int = 0, policy: str = "float32") -> KerasNetwork:
    """Run the text and its `build_network`. Pretrained weights that cannot be had are random instead, said in `note`.

    `seed` decides the first weights; `policy` is Keras' name of a precision.
    """
    names = compile_text(text, "tensorflow")
    check_callables(names)
    _check_eager()
    note, model = "", None
    if context.pretrained and "pretrained" not in text:
        note = "This network text has no pretrained weights"
    elif context.pretrained:
        try:
            model = _model(names, context, seed, policy, DOWNLOAD_SECONDS)
        except NetworkError as error:
            note = f"Its pretrained weights cannot be had ({short(error.__cause__ or error)})"
    if model is None:
        model = _model(names, replace(context, pretrained=False), seed, policy)
    return KerasNetwork(
        model,
        with_network(_own_loss(names.get("loss")), model),
        names.get("metrics"),
        batch_size_of(names),
        note,
        declared=declared_in(names),
        pretrained=context.pretrained and not note,
        gradient_hook=gradient_hook(names),
        export_shape=export_shape_of(names),
    )


def report(text: str, context: NetworkContext) -> NetworkReport:
    """Build, probe and describe a network."""
    network = build(text, context)
    worked: list[tuple[Any, tuple[int, ...]]] = []
    show = check_model if context.judged else _show_model
    shapes = show(network, context, lambda layer, output: worked.append((layer, _shape_of(output))))
    paths = layer_paths(network.model)  # known once it has worked
    return NetworkReport(
        parameters=network.model.count_params() if network.model.built else 0,
        output_shapes=shapes,
        layers=tuple(_row(paths.get(id(layer), layer.name), layer, shape) for layer, shape in worked),
        batch_size=network.batch_size,
        has_loss=network.loss is not None,
        has_metrics=network.metrics is not None,
        warnings=tuple(filter(None, (network.note, *mode_notes(network)))),
        graph=_drawn(network.model),
    )


def mode_notes(network: KerasNetwork) -> tuple[str, ...]:
    """What a checked network does differently in evaluation mode and in training mode that its author may not mean."""
    return softmax_note(network.probabilities, network.trains_on_probabilities), SIGMOID_NOTE if network.sigmoid else ""


def _drawn(model: Any) -> str:
    """The graph of the report."""
    from digits.engines.network.graph_file import graph_file  # loads onnx, which trainings and predictors do without
    from digits.engines.tensorflow.graph import graph_of

    try:
        nodes = graph_of(model)
        return base64.b64encode(graph_file(nodes, model.name)).decode() if nodes else ""
    except Exception:  # of layers that a text defines; the table is there all the same
        return ""


def check_model(
    network: KerasNetwork, context: NetworkContext, notify: Callable[[Any, Any], None] | None = None
) -> dict[str, tuple[int, ...]]:
    """Feed zeros of `context.input_shape` and hold the outputs against the labels; shapes without the batch axis. `notify` gets
    each layer with its output for the zeros."""
    with recorded(network.model, lambda layer, _, output: notify(layer, output)) if notify else contextlib.nullcontext():
        outputs = names_of(_probed(network.model, context))
    wrong = [name for name, value in outputs.items() if not tf.is_tensor(value) or not value.dtype.is_floating]
    wanted = wanted_outputs(outputs)
    if wrong or not wanted:
        raise NetworkError(
            f"The network's output {', '.join(wrong)} is no tensor of floating-point numbers.",
            advice="Return a tensor or a dictionary of them.",
        )
    shapes = {name: channels_first(tuple(value.shape[1:])) for name, value in wanted.items()}
    if network.loss is None or needs_scores(context):
        check_outputs(shapes, context, MAP_LAYOUT)
    if network.loss is not None:
        _check_losses(network, context)
    if activation(context) == "softmax":
        seen = are_probabilities(tf.cast(main_output(wanted), tf.float32).numpy())
        network.probabilities = seen and _ends_in_softmax(network.model, context, training=False)
        network.trains_on_probabilities = _trains_on_probabilities(network, context)
    elif activation(context) == "sigmoid":
        network.sigmoid = looks_like_sigmoid(_of_noise(network.model, context, SEVERAL, training=False))
    return shapes


def _show_model(network: KerasNetwork, context: NetworkContext, notify: Callable[[Any, Any], None]) -> dict[str, tuple[int, ...]]:
    """As `check_model`, of a network that no data set is held against."""
    seen: set[int] = set()

    def note(layer: Any, _arguments: Any, output: Any) -> None:
        seen.add(id(layer))
        notify(layer, output)

    try:
        with recorded(network.model, note):
            outputs = wanted_outputs(run_text(lambda: forward_zeros(network.model, context)))
    except NetworkError as error:
        network.note = " ".join(filter(None, (network.note, unknown_sizes(context, error))))
        outputs = {}
    for layer in leaves(network.model):
        if id(layer) not in seen:
            notify(layer, None)
    return {name: channels_first(tuple(value.shape[1:])) for name, value in outputs.items() if tf.is_tensor(value)}


def _probed(model: Any, context: NetworkContext) -> Any:
    """Outputs for zeros; what a network of another layout or of several inputs fails with is explained."""
    try:
        return run_text(lambda: forward_zeros(model, context))
    except NetworkError as error:
        channels, height, width = context.input_shape
        wanted = [tuple(shape)[1:] for shape in _input_shapes(model)]
        if len(wanted) > 1:
            raise NetworkError(
                f"The network has {len(wanted)} inputs; a data set gives it one picture.",
                advice="Begin with one keras.Input((height, width, channels)) and take it apart in the network.",
            ) from error
        if wanted and not _fits((height, width, channels), wanted[0]):
            found = "×".join("any" if n is None else str(n) for n in wanted[0])
            raise NetworkError(
                f"The network takes {found}; the pictures are {height}×{width}×{channels} (height, width, channels).",
                advice="context.input_shape is (channels, height, width): begin with keras.Input((height, width, channels)).",
            ) from error
        raise


def _input_shapes(model: Any) -> list[Any]:
    """Of a model whose inputs are known before it works."""
    try:
        return [value.shape for value in model.inputs or ()]
    except AttributeError:
        return []


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(w in (None, s) for s, w in zip(shape, wanted, strict=True))


def _ends_in_softmax(model: Any, context: NetworkContext, *, training: bool) -> bool:
    return are_probabilities(_of_noise(model, context, PROBE, training=training))


def _of_noise(model: Any, context: NetworkContext, count: int, *, training: bool) -> np.ndarray:
    """The main output (count, …, K) for pictures of noise."""
    channels, height, width = context.input_shape
    found = run_text(lambda: model(noise((count, height, width, channels)), training=training))
    return tf.cast(scored_output(found), tf.float32).numpy()


def _trains_on_probabilities(network: KerasNetwork, context: NetworkContext) -> bool:
    """The same as the network trains; statistics and random states are put back. What it cannot do before a training is not
    concluded from."""
    try:
        with _tried(network.model):
            return _ends_in_softmax(network.model, context, training=True)
    except NetworkError:
        return network.probabilities


@contextlib.contextmanager
def _tried(model: Any) -> Iterator[None]:
    """Whatever works in the block as in a training leaves the statistics and random states of the model as they were."""
    variables = model.non_trainable_variables
    before = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _check_losses(network: KerasNetwork, context: NetworkContext) -> None:
    """NetworkError for a list of losses that cannot move what it names, tried with zeros for pictures and targets. From a loss
    that bears no zeros nothing is concluded: the training says what is wrong with it."""
    channels, height, width = context.input_shape
    x = tf.zeros((PROBE, height, width, channels))
    found: Any = None
    with contextlib.suppress(NetworkError), _tried(network.model):
        found = run_text(lambda: network.loss(network.model(x, training=True), _zero_targets(context, x)))  # type: ignore[misc]
    if gives_several(found):
        read_optimizers(read_entries(found), network.model)


def _zero_targets(context: NetworkContext, x: Any) -> Any:
    """Targets (PROBE, …) as a training has them, all 0; where there are none the pictures `x` (PROBE, H, W, C)."""
    task = task_of(context)
    if task.index_targets:
        return tf.zeros((PROBE, *(context.input_shape[1:] if task.of_places else ())), tf.int64)
    if context.label_shape is None or not task.has_labels(labels_of(context)):
        return x
    return tf.zeros((PROBE, *channels_last(context.label_shape)))


def _own_loss(loss: Any) -> Callable[..., Any] | None:
    """A loss object of Keras takes the targets first."""
    return (lambda outputs, targets: loss(targets, outputs)) if isinstance(loss, keras.losses.Loss) else loss


def _check_eager() -> None:
    if not tf.executing_eagerly():
        raise NetworkError(
            "The network text switched TensorFlow 2's own way of working off (disable_eager_execution).",
            advice="Remove that line; build_network(context) returns a keras.Model and needs no session.",
        )


def forward_zeros(model: Any, context: NetworkContext) -> Any:
    """What the model gives for zeros; it has all its weights afterwards."""
    channels, height, width = context.input_shape
    return model(tf.zeros((PROBE, height, width, channels)), training=False)


def wanted_outputs(outputs: Any) -> dict[str, Any]:
    """Outputs by name, without those that serve the loss only."""
    return {name: value for name, value in names_of(outputs).items() if not name.startswith(AUXILIARY)}


def scored_output(outputs: Any) -> Any:
    """The main one of those (see `domain.inference.main_output`)."""
    return main_output(wanted_outputs(outputs))


def channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(H, W, C) as (C, H, W); other ranks as they are."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape


def channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(C, H, W) as (H, W, C); other ranks as they are."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def leaves(model: Any) -> list[Any]:
    """The layers without layers of their own, inputs left out."""
    layers = model._flatten_layers(include_self=False)
    return [x for x in layers if not isinstance(x, keras.layers.InputLayer) and not list(x._flatten_layers(include_self=False))]


def normalises_batches(model: Any) -> bool:
    """Whether a layer normalises over its batch while the model trains."""
    return any(isinstance(layer, keras.layers.BatchNormalization) and layer.trainable for layer in leaves(model))


def own_variables(layer: Any) -> list[Any]:
    """Its variables, the kernel first, without those of layers in it; none before it is built."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def layers_of(model: Any) -> list[Any]:
    """The layers to look inside: all but inputs, and models that only hold others."""
    layers = model._flatten_layers(include_self=True)
    kept = [x for x in layers if not isinstance(x, keras.Model) or own_variables(x)]
    return [x for x in kept if not isinstance(x, keras.layers.InputLayer)]


@contextlib.contextmanager
def recorded(model: Any, notify: Callable[[Any, Any, Any], None], layers: Sequence[Any] | None = None) -> Iterator[None]:
    """Call `notify(layer, its arguments, output)` whenever one of the layers, by default each leaf, has worked in the block."""
    changed = leaves(model) if layers is None else layers
    for layer in changed:
        object.__setattr__(layer, "call", _notifying(layer, layer.call, notify))
    try:
        yield
    finally:
        for layer in changed:
            object.__delattr__(layer, "call")


def _notifying(layer: Any, call: Callable[..., Any], notify: Callable[[Any, Any, Any], None]) -> Callable[..., Any]:
    def notifying(*arguments: Any, **options: Any) -> Any:
        output = call(*arguments, **options)
        notify(layer, [arguments, options], output)
        return output

    return notifying


def _model(names: Mapping[str, Any], context: NetworkContext, seed: int, policy: str, seconds: float | None = None) -> Any:
    keras.utils.clear_session(free_memory=False)  # layer names count from the start again
    keras.utils.set_random_seed(seed % 2**32)
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format("channels_last")  # a text may have changed it, this one or one before
    try:
        model = run_text(lambda: names["build_network"](context), seconds)
    finally:
        keras.config.set_dtype_policy("float32")
    if not isinstance(model, keras.Model):
        raise NetworkError(f"build_network gave {type(model).__name__}, expected a keras.Model.", advice=WHAT_TO_WRITE)
    return model


def _shape_of(output: Any) -> tuple[int, ...]:
    return tuple(output.shape[1:]) if tf.is_tensor(output) else ()


def _row(name: str, layer: Any, shape: tuple[int, ...]) -> LayerRow:
    return LayerRow(name, type(layer).__name__, shape, layer.count_params() if layer.built else 0)
