"""A training in PyTorch: prepare the data, build the network, join the parts, loop."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from digits.domain.events import WarningEvent
from digits.engines.base import TrainingRun
from digits.engines.network.text import correction, describe, own_frames
from digits.engines.pytorch.build import TorchNetwork, build, check_module, mode_notes, takes_channels_last
from digits.engines.pytorch.devices import OneDevice, check_devices, make_fabric, set_threads
from digits.engines.pytorch.dynamo import without_dynamo
from digits.engines.pytorch.exchange import place
from digits.engines.pytorch.inputs import Augmenter, Inputs
from digits.engines.pytorch.losses import make_loss
from digits.engines.pytorch.modes import normalises_batches
from digits.engines.pytorch.optimizers import make_optimizer
from digits.engines.pytorch.ranks import broke_off, ranks
from digits.engines.pytorch.step import TorchStep
from digits.engines.pytorch.step_detection import DetectionStep
from digits.engines.pytorch.weights import last_layer, read_snapshot, read_weights, same_labels, take_over
from digits.engines.training import checkpoint
from digits.engines.training.augmentation import outside
from digits.engines.training.batches import BatchSource
from digits.engines.training.calendar import Calendar, seed_for
from digits.engines.training.class_weights import weights_of
from digits.engines.training.loop import TrainingLoop
from digits.engines.training.preprocessing import preprocessing_for, with_measured
from digits.engines.training.setup import (
    batch_of_one,
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
from digits.errors import DigitsError, NetworkError, ProcessLost
from digits.utils.memory import is_out_of_memory

if TYPE_CHECKING:
    from digits.engines.pytorch.fabric import Fabric

ONE_VALUE = "more than 1 value per channel"  # what torch's batch normalisation says of a batch of one


def train(run: TrainingRun) -> None:
    """Train as rank 0, with the other processes if there are several devices."""
    check_devices(run)
    found = checkpoint.read(run.folder / "checkpoint")
    set_threads(run, found["threads"] if found else None)
    with ranks(run) as store:
        train_rank(run, store)


def train_rank(run: TrainingRun, store: dist.Store | None) -> None:
    """This process's part of a training; by `store` it meets the others, if there are any."""
    torch.set_num_threads(run.threads)
    with _advised(run):
        fabric, remark = make_fabric(run, store)
        if remark:
            run.emit(WarningEvent(code="precision", message=remark))
        with opened(run, fabric) as loop:
            loop.run()


@contextmanager
def opened(run: TrainingRun, fabric: Fabric | OneDevice) -> Iterator[TrainingLoop]:
    """The loop of a training with all that it needs, before its first step."""
    seed = seed_for(run.spec, run.folder.name)
    _seed(seed)
    stored = run.train.meta.feature_shape or tuple(run.train.feature(0).shape)
    preprocessing, mean_image = with_measured(
        preprocessing_for(run.spec, run.train.meta, stored), run.train, run.spec.augmentation
    )
    context = make_context(run, preprocessing)
    network = build(run.spec.network, context)
    report_note(run, network.note)
    report_colours(run, preprocessing)
    check_module(network, context)
    report_modes(run, mode_notes(network))
    from_trained = _start_weights(run, network.module) or network.pretrained
    channels_last = takes_channels_last(network.module, context)
    calendar = calendar_of(run, network.batch_size, seed)
    report_batch_of_one(run, calendar, normalises_batches(network.module))
    _seed(seed + place()[0])
    with ExitStack() as stack:
        source, validation = open_sources(run, preprocessing, stack)
        inputs = Inputs(preprocessing, mean_image, fabric.device)
        if channels_last:
            inputs.layout = torch.channels_last
            network.module.to(memory_format=torch.channels_last)
        training_step = _training_step(run, calendar, fabric, network, inputs, validation)
        snapshot_manager = make_snapshot_manager(run, training_step, preprocessing, context, "safetensors")
        if place()[0] == 0:
            write_files(run, metadata(run, preprocessing, context))
        samples = ValidationSamples(run, validation)
        yield TrainingLoop(run, calendar, training_step, source, snapshot_manager, samples, from_trained)


def _training_step(
    run: TrainingRun,
    calendar: Calendar,
    fabric: Fabric | OneDevice,
    network: TorchNetwork,
    inputs: Inputs,
    validation: BatchSource | None,
) -> TorchStep:
    spec = run.spec
    trained = [p for p in network.module.parameters() if p.requires_grad]
    network.module.to(fabric.device)
    if not trained:
        report_no_weights(run)
        trained = [nn.Parameter(torch.zeros(1, device=fabric.device))]  # an optimizer wants one
    with without_dynamo():
        optimizer = make_optimizer(spec.solver, spec.learning_rate.base, trained, fused=True)
    task, labels = task_of(run), labels_of(run)
    make = partial(
        make_loss,
        spec.loss or ("" if network.loss else task.default_loss),
        network.loss,
        ignored=task.ignored_index(labels),
        class_weights=_class_weights(run, fabric),
    )
    losses = make(probabilities=network.trains_on_probabilities), make(probabilities=network.probabilities)
    augmenter = Augmenter(
        spec.augmentation,
        inputs.preprocessing.unit,
        calendar.seed,
        moves_labels=follows_feature(run),
        index_maps=task.moves == "map",
        floor=inputs.preprocessing.floor,
        outside=outside(task.moves),
    )
    training_step = DetectionStep if task.moves == "boxes" else TorchStep
    return training_step(run, calendar, fabric, network, optimizer, losses, inputs, augmenter, validation)


def _class_weights(run: TrainingRun, fabric: Fabric | OneDevice) -> torch.Tensor | None:
    weights = weights_of(run)
    return torch.tensor(weights, dtype=torch.float32, device=fabric.device) if weights else None


def _start_weights(run: TrainingRun, module: nn.Module) -> bool:
    """Copy what fits of the weights to start from, and say what did and what did not; whether anything did."""
    if not run.weight_files or not module.state_dict() or checkpoint.read(run.folder / "checkpoint"):
        return False
    counts, new = {}, set(module.state_dict())
    for path in run.weight_files:
        weights = read_weights(path)
        if path.suffix == ".safetensors" and not same_labels(read_snapshot(path)[1], tuple(run.info.class_labels)):
            weights = {name: value for name, value in weights.items() if name not in last_layer(module)}
        taken = take_over(module, weights, path.name)
        counts[path] = len(taken)
        new -= set(taken)
    report_start(run, counts, sorted(new))
    return True


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


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
        if broke_off(error):
            raise ProcessLost("the exchange between the processes of the training broke off") from error
        if "out of bounds" in str(error) and isinstance(error, IndexError | RuntimeError):
            raise label_range(run, error) from error
        if isinstance(error, ValueError) and ONE_VALUE in str(error):
            raise batch_of_one(error) from error
        if own_frames(error):
            raise NetworkError(describe(error), advice=correction(error)) from error
        raise
