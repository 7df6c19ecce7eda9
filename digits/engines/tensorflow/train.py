"""A training in TensorFlow: prepare the data, build the network, join the parts, loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from digits.domain.events import WarningEvent
from digits.engines.base import NetworkContext, TrainingRun
from digits.engines.network.text import correction, describe, own_frames
from digits.engines.tensorflow.build import KerasNetwork, build, check_model, mode_notes, normalises_batches
from digits.engines.tensorflow.inputs import Augmenter, Inputs
from digits.engines.tensorflow.losses import make_loss
from digits.engines.tensorflow.optimizers import make_optimizer
from digits.engines.tensorflow.start import start, tf
from digits.engines.tensorflow.step import TensorflowStep
from digits.engines.tensorflow.weights import SUFFIX, last_layer, places_of, read_metadata, read_weights, take_over
from digits.engines.training import checkpoint
from digits.engines.training.batches import BatchSource
from digits.engines.training.calendar import Calendar, seed_for
from digits.engines.training.class_weights import weights_of
from digits.engines.training.loop import TrainingLoop
from digits.engines.training.preprocessing import preprocessing_for, with_measured
from digits.engines.training.setup import (
    calendar_of,
    follows_feature,
    label_range,
    labels_of,
    make_context,
    make_snapshot_manager,
    metadata,
    open_sources,
    out_of_memory,
    report_batch_of_one,
    report_colours,
    report_modes,
    report_no_weights,
    report_note,
    report_start,
    task_of,
    write_files,
)
from digits.engines.training.validation_samples import ValidationSamples
from digits.errors import DigitsError, NetworkError, TrainingError
from digits.utils.cores import usable_cores
from digits.utils.memory import is_out_of_memory

NO_WEIGHTS_ADVICE = (
    "Add a layer with weights if it is to learn; of layers of your own only those made with add_weight count, no tf.Variable."
)
POLICIES = {"32-true": "float32", "16-mixed": "mixed_float16", "bf16-mixed": "mixed_bfloat16"}

# What TensorFlow says of a label without a score: our own check, its loss, a lookup. Which comes first is its choice.
OUT_OF_BOUNDS = ("out of bounds", "outside the valid range", "is not in [0")


def train(run: TrainingRun) -> None:
    """Train on the CPU or on one GPU."""
    found = checkpoint.read(run.folder / "checkpoint")
    run.threads = (found["threads"] if found else 0) or run.spec.threads or run.threads or usable_cores()
    start(run.threads, gpu=bool(run.devices), repeatable=not run.devices)
    check_devices(run)
    with _advised(run), opened(run) as loop:
        loop.run()


def check_devices(run: TrainingRun) -> None:
    """TrainingError for GPUs that this process does not see, and for more than one."""
    wanted = max(len(run.devices), run.spec.gpu_count)
    seen = len(tf.config.list_physical_devices("GPU"))
    if wanted > 1:
        raise TrainingError(
            f"The training asks for {wanted} GPUs; with TensorFlow it uses one.",
            advice="Choose one GPU, or PyTorch for several.",
            code="no-gpu",
        )
    if wanted > seen:
        raise TrainingError(
            f"The training asks for a GPU; TensorFlow sees {seen or 'none'}.",
            advice="Train on the CPU (0 GPUs), or install a build of TensorFlow for your GPU; `digits doctor` says more.",
            code="no-gpu",
        )


@contextmanager
def opened(run: TrainingRun) -> Iterator[TrainingLoop]:
    """The loop of a training with all that it needs, before its first step."""
    seed = seed_for(run.spec, run.folder.name)
    stored = run.train.meta.feature_shape or tuple(run.train.feature(0).shape)
    preprocessing, mean_image = with_measured(
        preprocessing_for(run.spec, run.train.meta, stored), run.train, run.spec.augmentation
    )
    context = make_context(run, preprocessing)
    network = build(run.spec.network, _open_size(run, context), seed=seed, policy=_policy(run))
    report_note(run, network.note)
    report_colours(run, preprocessing)
    check_model(network, context)
    report_modes(run, mode_notes(network))
    from_trained = _start_weights(run, network.model) or network.pretrained
    calendar = calendar_of(run, network.batch_size, seed)
    report_batch_of_one(run, calendar, normalises_batches(network.model))
    with ExitStack() as stack:
        sources = open_sources(run, preprocessing, stack)
        training_step = _training_step(run, calendar, network, Inputs(preprocessing, mean_image), sources)
        snapshot_manager = make_snapshot_manager(run, training_step, preprocessing, context, SUFFIX)
        write_files(run, metadata(run, preprocessing, context))
        samples = ValidationSamples(run, sources[1])
        yield TrainingLoop(run, calendar, training_step, sources[0], snapshot_manager, samples, from_trained)


def _open_size(run: TrainingRun, context: NetworkContext) -> NetworkContext:
    """Where pictures differ in size and are not cropped, height and width are None, as Keras has it."""
    if run.train.meta.feature_shape is not None or run.spec.crop_size:
        return context
    shape: Any = (context.input_shape[0], None, None)
    return replace(context, input_shape=shape)


def _training_step(
    run: TrainingRun, calendar: Calendar, network: KerasNetwork, inputs: Inputs, sources: tuple[BatchSource, BatchSource | None]
) -> TensorflowStep:
    spec = run.spec
    if not network.model.trainable_variables:
        report_no_weights(run, NO_WEIGHTS_ADVICE)
    scaled = _policy_name(run) == "mixed_float16"
    task, labels = task_of(run), labels_of(run)
    make = partial(
        make_loss,
        spec.loss or ("" if network.loss else task.default_loss),
        network.loss,
        ignored=task.ignored_index(labels),
        class_weights=weights_of(run),
    )
    losses = make(probabilities=network.trains_on_probabilities), make(probabilities=network.probabilities)
    augmenter = Augmenter(
        spec.augmentation,
        inputs.preprocessing.unit,
        calendar.seed,
        moves_labels=follows_feature(run),
        index_maps=task.moves == "map",
        floor=inputs.preprocessing.floor,
    )
    optimizers = partial(make_optimizer, rate=spec.learning_rate.base, scaled=scaled)
    return TensorflowStep(run, calendar, network, optimizers, losses, inputs, augmenter, sources)


def _policy(run: TrainingRun) -> str:
    """Keras' name of the run's precision; a remark where the one requested does not exist."""
    name = _policy_name(run)
    if name != POLICIES[run.spec.precision]:
        message = "Half precision (16-mixed) exists on GPUs only; bf16-mixed is used instead."
        run.emit(WarningEvent(code="precision", message=message))
    return name


def _policy_name(run: TrainingRun) -> str:
    wanted = POLICIES[run.spec.precision]
    return "mixed_bfloat16" if wanted == "mixed_float16" and not run.devices else wanted


def _start_weights(run: TrainingRun, model: Any) -> bool:
    """Copy what fits of the weights to start from, and say what did and what did not; whether anything did."""
    if not run.weight_files or not model.weights or checkpoint.read(run.folder / "checkpoint"):
        return False
    counts, own = {}, places_of(model)
    new = {variable.path for variable in own.values()}
    for path in run.weight_files:
        before = read_metadata(path)[0] if path.suffix == f".{SUFFIX}" else {}
        other = bool(before) and tuple(before.get("class_labels", ())) != tuple(run.info.class_labels)
        spared = {variable.path for variable in last_layer(model).weights} if other else set()
        taken = take_over(own, read_weights(path), path.name, spared)
        counts[path] = len(taken)
        new -= set(taken)
    report_start(run, counts, sorted(new))
    return True


@contextmanager
def _advised(run: TrainingRun) -> Iterator[None]:
    """Failures inside the training as errors that say what to do."""
    try:
        yield
    except DigitsError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise out_of_memory(run, error) from error
        if isinstance(error, tf.errors.InvalidArgumentError) and any(words in str(error) for words in OUT_OF_BOUNDS):
            raise label_range(run, ValueError(str(error).splitlines()[0])) from error
        if own_frames(error):
            raise NetworkError(describe(error), advice=_advice(error)) from error
        raise


def _advice(error: Exception) -> str:
    if isinstance(error, tf.errors.OperatorNotAllowedInGraphError) or "SymbolicTensor" in str(error):
        return (
            "loss and metrics are compiled with the step, so tensors have no values yet: write keras.ops.where instead of `if`, "
            "and functions of keras.ops instead of those of NumPy."
        )
    return correction(error)
