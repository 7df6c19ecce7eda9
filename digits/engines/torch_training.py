"""A training in PyTorch as a recipe: prepare the data, build the network, join the parts, loop."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import nn

from digits.domain.events import LogEvent, WarningEvent
from digits.engines import checkpoint
from digits.engines.base import DEFAULT_BATCH_SIZE, NetworkContext, TrainingRun
from digits.engines.batches import BatchSource
from digits.engines.loop import TrainingLoop
from digits.engines.losses import default_loss
from digits.engines.metrics import default_best_metric, metrics_for
from digits.engines.network_text import describe, own_frames
from digits.engines.plan import Plan, make_plan, seed_for
from digits.engines.preparation import Preparation, preparation_for, with_measured
from digits.engines.room import wait_for_room
from digits.engines.samples import SampleFilm
from digits.engines.snapshots import SnapshotKeeper
from digits.engines.torch_build import Network, build, check_module, takes_channels_last
from digits.engines.torch_devices import check_devices, companions, make_fabric, set_threads
from digits.engines.torch_inputs import Augmenter, Inputs
from digits.engines.torch_losses import make_loss
from digits.engines.torch_predictor import NETWORK_FILE
from digits.engines.torch_solvers import make_optimizer
from digits.engines.torch_stepper import TorchStepper
from digits.engines.torch_weights import last_layer, read_snapshot, read_weights, same_labels, take_over
from digits.errors import DigitsError, NetworkError, TrainingError
from digits.storage.files import atomic, write_json

PREPARATION_FILE = "preprocessing.json"


def train(run: TrainingRun) -> None:
    """Train as rank 0, with the other processes if there are several devices."""
    check_devices(run)
    found = checkpoint.read(run.folder / "checkpoint")
    set_threads(run, found["threads"] if found else None)
    with companions(run):
        train_rank(run)


def train_rank(run: TrainingRun) -> None:
    """This process's part of a training."""
    torch.set_num_threads(run.threads)
    with _advised(run):
        fabric, remark = make_fabric(run)
        if remark:
            run.emit(WarningEvent(code="precision", message=remark))
        _train(run, fabric)


def _train(run: TrainingRun, fabric: Fabric) -> None:
    seed = seed_for(run.spec, run.folder.name)
    _seed(seed)
    stored = run.train.meta.feature_shape or tuple(run.train.feature(0).shape)
    preparation, mean_image = with_measured(preparation_for(run.spec, run.train.meta, stored), run.train)
    context = make_context(run, preparation)
    network = build(run.spec.network, context)
    _tell_note(run, network)
    check_module(network, context)
    _start_weights(run, network.module)
    channels_last = takes_channels_last(network.module, context)
    plan = _plan(run, network, seed)
    _seed(seed + fabric.global_rank)
    with ExitStack() as stack:
        source, validation = _sources(run, preparation, stack)
        inputs = Inputs(preparation, mean_image, fabric.device)
        if channels_last:
            inputs.layout = torch.channels_last
            network.module.to(memory_format=torch.channels_last)
        stepper = _stepper(run, plan, fabric, network, inputs, validation)
        keeper = _keeper(run, stepper, preparation, context)
        if fabric.global_rank == 0:
            _write_files(run, metadata(run, preparation, context))
        TrainingLoop(run, plan, stepper, source, keeper, SampleFilm(run, validation)).run()


def make_context(run: TrainingRun, preparation: Preparation) -> NetworkContext:
    meta = run.train.meta
    label_shape = meta.label_shape
    if follows_feature(run) and label_shape is not None and len(label_shape) == 3:
        label_shape = (label_shape[0], *preparation.input_shape[1:])
    return NetworkContext(
        task=run.spec.task,
        input_shape=preparation.input_shape,
        num_classes=len(run.info.class_labels),
        label_shape=preparation.input_shape if meta.label_kind == "none" else label_shape,
        class_labels=tuple(run.info.class_labels),
        label_kind=meta.label_kind,
        pretrained=run.spec.start.source == "pretrained",
    )


def follows_feature(run: TrainingRun) -> bool:
    """Whether labels are pictures of the feature's size that must be cropped and moved with it."""
    meta = run.train.meta
    if meta.label_kind not in ("map", "array") or meta.label_shape is None or len(meta.label_shape) != 3:
        return meta.label_kind == "map"
    return (
        run.spec.task in ("segmentation", "processing")
        and meta.feature_shape is not None
        and meta.label_shape[1:] == meta.feature_shape[1:]
    )


def metadata(run: TrainingRun, preparation: Preparation, context: NetworkContext) -> dict[str, Any]:
    """What travels with the weights: enough to prepare a new picture and to name what comes out."""
    return {
        "version": 1,
        "framework": "pytorch",
        "task": context.task,
        "network_name": run.spec.network_name,
        "class_labels": list(context.class_labels),
        "input_shape": list(context.input_shape),
        "stored_shape": list(preparation.stored_shape),
        "label_kind": context.label_kind,
        "label_shape": None if context.label_shape is None else list(context.label_shape),
        "preparation": preparation.to_json(),
        "image": dict(run.info.extra),
        "job_id": run.folder.name,
        "dataset_id": run.spec.dataset_id,
    }


def _plan(run: TrainingRun, network: Network, seed: int) -> Plan:
    spec = run.spec
    if len(run.train) == 0:
        raise TrainingError("The training split of the data set is empty.", advice="Create the data set again.", code="data")
    wanted = spec.batch_size or network.batch_size or DEFAULT_BATCH_SIZE
    if run.train.meta.feature_shape is None and not spec.crop_size and wanted > 1:
        raise TrainingError(
            f"The pictures differ in size, so they cannot be trained in batches of {wanted}.",
            advice="Set the batch size to 1, give a crop size, or resize the pictures in the data set.",
            code="data",
        )
    if wanted > len(run.train):
        message = f"The batch size of {wanted} is larger than the data set; batches have {len(run.train)} pictures."
        run.emit(WarningEvent(code="batch-size", message=message, advice="Choose a smaller batch size."))
    has_val = run.val is not None and len(run.val) > 0
    return make_plan(spec if has_val else replace(spec, val_interval=0), len(run.train), wanted, seed)


def _sources(run: TrainingRun, preparation: Preparation, stack: ExitStack) -> tuple[BatchSource, BatchSource | None]:
    size = (preparation.input_shape[1], preparation.input_shape[2])
    variable = run.train.meta.feature_shape is None and not run.spec.crop_size

    def source(records: Any) -> BatchSource:
        threads = max(1, run.threads)
        return stack.enter_context(
            BatchSource(records, None if variable else size, crop_labels=follows_feature(run), threads=threads)
        )

    return source(run.train), source(run.val) if run.val is not None and len(run.val) else None


def _stepper(
    run: TrainingRun, plan: Plan, fabric: Fabric, network: Network, inputs: Inputs, validation: BatchSource | None
) -> TorchStepper:
    spec = run.spec
    trained = [p for p in network.module.parameters() if p.requires_grad]
    if not trained:
        raise NetworkError("The network has no parameters to train.", advice="Add a layer with weights.")
    network.module.to(fabric.device)
    optimizer = make_optimizer(spec.solver, spec.learning_rate.base, trained, fused=True)
    name = spec.loss or default_loss(spec.task, run.train.meta.label_kind if run.info.class_labels else "vector")
    loss = make_loss(spec.loss if network.loss else name, network.loss, task=spec.task, class_weights=_class_weights(run, fabric))
    augmenter = Augmenter(
        spec.augmentation,
        inputs.preparation.unit,
        plan.seed,
        moves_labels=follows_feature(run),
        index_maps=spec.task == "segmentation",
    )
    return TorchStepper(run, plan, fabric, network, optimizer, loss, inputs, augmenter, validation)


def _class_weights(run: TrainingRun, fabric: Fabric) -> torch.Tensor | None:
    weights = run.spec.options.get("class_weights")
    return torch.tensor(weights, dtype=torch.float32, device=fabric.device) if weights else None


def _keeper(run: TrainingRun, stepper: TorchStepper, preparation: Preparation, context: NetworkContext) -> SnapshotKeeper:
    meta = run.train.meta
    found = metrics_for(run.spec.task, meta.label_kind, meta.label_shape, run.info.class_labels)
    names = [name for metric in found for name in metric.compute()]
    base = metadata(run, preparation, context)

    def make(epoch: float, metrics: dict[str, float]) -> bytes:
        finite = {name: value for name, value in metrics.items() if np.isfinite(value)}
        return stepper.snapshot({**base, "epoch": epoch, "metrics": finite})

    metric = run.spec.best_metric or default_best_metric(run.spec.task, [*names, "loss"])
    return SnapshotKeeper(run.folder, metric, run.spec.keep_snapshots, make, run.emit, lambda work: wait_for_room(run, work))


def _write_files(run: TrainingRun, base: dict[str, Any]) -> None:
    def work() -> None:
        write_json(run.folder / PREPARATION_FILE, base)
        with atomic(run.folder / NETWORK_FILE, "w") as handle:
            handle.write(run.spec.network)

    wait_for_room(run, work)


def _start_weights(run: TrainingRun, module: nn.Module) -> None:
    """Copy what fits of the weights to start from, and say what did and what did not."""
    path = run.start_weights
    if path is None or checkpoint.read(run.folder / "checkpoint"):
        return
    weights = read_weights(path)
    if path.suffix == ".safetensors" and not same_labels(read_snapshot(path)[1], tuple(run.info.class_labels)):
        weights = {name: value for name, value in weights.items() if name not in last_layer(module)}
    taken, new = take_over(module, weights)
    message = f"Weights of {len(taken)} tensors were taken from {_shown(path)}."
    if new:
        message += f" These start anew: {', '.join(new[:20])}{' …' if len(new) > 20 else ''}."
    run.emit(LogEvent(message=message))


def _shown(path: Path) -> str:
    return "/".join(path.parts[-3:])


def _tell_note(run: TrainingRun, network: Network) -> None:
    if network.note:
        message = f"{network.note}: the training starts from random weights."
        run.emit(
            WarningEvent(code="no-pretrained-weights", message=message, advice="Give a file of weights instead, if you have one.")
        )


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
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(run, error) from error
    except Exception as error:
        if isinstance(error, RuntimeError) and "allocate memory" in str(error):
            raise _out_of_memory(run, error) from error
        if "out of bounds" in str(error) and isinstance(error, IndexError | RuntimeError):
            raise _label_range(run, error) from error
        if own_frames(error):
            raise NetworkError(describe(error), advice="Correct the network text.") from error
        raise


def _out_of_memory(run: TrainingRun, error: BaseException) -> TrainingError:
    place = "the GPU" if run.devices else "the machine"
    batch = f" (now {run.spec.batch_size})" if run.spec.batch_size else ""
    return TrainingError(
        f"The memory of {place} is too small for this training: {str(error).splitlines()[0] if str(error) else 'out of memory'}",
        advice=f"Lower the batch size{batch} and accumulate batches instead, crop the pictures or take a smaller network.",
        code="out-of-memory",
    )


def _label_range(run: TrainingRun, error: BaseException) -> TrainingError:
    return TrainingError(
        f"A label is outside the {len(run.info.class_labels)} classes of the data set: {error}.",
        advice="Correct the labels or the list of class labels, and create the data set again.",
        code="data",
    )
