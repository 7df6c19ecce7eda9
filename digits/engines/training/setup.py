"""The parts of a training that are the same in every framework: context, calendar, sources, snapshots, files besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.events import LogEvent, WarningEvent
from digits.engines.base import NetworkContext, TrainingRun
from digits.engines.network.checks import NETWORK_FILE, SOFTMAX_NOTE
from digits.engines.training.batches import BatchSource
from digits.engines.training.boxes import typical_sizes
from digits.engines.training.calendar import Calendar, make_calendar
from digits.engines.training.preprocessing import Preprocessing, can_be_compared
from digits.engines.training.snapshots import SnapshotManager
from digits.engines.training.step import Scores, TrainingStep
from digits.engines.training.validation_pictures import PictureFiles
from digits.engines.whole_pictures import STRIDE, stride_of
from digits.errors import TrainingError
from digits.metrics.base import Finite, Metric
from digits.storage.files import atomic, write_json
from digits.tasks import Labels, Task, of
from digits.utils.constants import DEFAULT_BATCH_SIZE

PREPARATION_FILE = "preprocessing.json"
BATCH_OF_ONE_ADVICE = (
    "Choose a batch size of at least 2 (pictures of several sizes need a crop size for that), or a network without batch "
    "normalisation."
)
SHOWN_NAMES = 3  # of variables, in a sentence
COLOURS = 3  # channels of a picture that has hue and saturation


def labels_of(run: TrainingRun) -> Labels:
    """What is known of the labels of a training."""
    return Labels.of_records(run.train.meta, run.info)


def task_of(run: TrainingRun) -> Task:
    """The task of a training, as its labels make it."""
    return of(run.spec.task, labels_of(run))


def make_context(run: TrainingRun, preprocessing: Preprocessing) -> NetworkContext:
    meta = run.train.meta
    label_shape = meta.label_shape
    if follows_feature(run) and label_shape is None:  # of several sizes, as the pictures
        label_shape = np.asarray(run.train.labels(np.array([0]))[0]).shape
    if follows_feature(run) and label_shape is not None and len(label_shape) == 3:
        label_shape = (label_shape[0], *preprocessing.input_shape[1:])
    return NetworkContext(
        task=run.spec.task,
        input_shape=preprocessing.input_shape,
        num_classes=len(run.info.class_labels),
        label_shape=label_shape if task_of(run).has_labels(labels_of(run)) else preprocessing.input_shape,
        class_labels=tuple(run.info.class_labels),
        label_kind=meta.label_kind,
        pretrained=run.spec.start.source == "pretrained",
        box_sizes=typical_sizes(run.train) if task_of(run).moves == "boxes" else (),
        input_scale=preprocessing.std,
    )


def follows_feature(run: TrainingRun) -> bool:
    """Whether labels are arrays of the feature's size that must be cropped and moved with it."""
    return task_of(run).follows_picture(labels_of(run))


def metadata(run: TrainingRun, preprocessing: Preprocessing, context: NetworkContext) -> dict[str, Any]:
    """What travels with the weights: enough to prepare a new picture and to name what comes out."""
    return {
        "version": 1,
        "framework": run.spec.framework,
        "task": context.task,
        "network_name": run.spec.network_name,
        "class_labels": list(context.class_labels),
        "input_shape": list(context.input_shape),
        "stored_shape": list(preprocessing.stored_shape),
        "one_size": run.train.meta.feature_shape is not None,
        STRIDE: stride_of(run.spec, run.train.meta),
        "label_kind": context.label_kind,
        "activation": task_of(run).activation(labels_of(run)),
        "label_shape": None if context.label_shape is None else list(context.label_shape),
        "box_sizes": list(context.box_sizes),
        "options": options_of(run),
        "preparation": preprocessing.to_json(),
        "image": dict(run.info.extra),
        "job_id": run.folder.name,
        "dataset_id": run.spec.dataset_id,
    }


def options_of(run: TrainingRun) -> dict[str, Any]:
    """The settings of the task as they hold while nothing was chosen on the validation split. TrainingError where they do not
    fit the classes."""
    task, names = task_of(run), run.info.class_labels
    for message in task.option_problems(run.spec.options, names).values():
        raise TrainingError(message, advice="Clone the model and correct the field.", code="options")
    return task.own_options(task.settled(run.spec.options, names))


def calendar_of(run: TrainingRun, own_batch_size: int | None, seed: int) -> Calendar:
    """The calendar; `own_batch_size` is the network text's. TrainingError when the records cannot be trained on in batches."""
    spec = run.spec
    if len(run.train) == 0:
        raise TrainingError("The training split of the data set is empty.", advice="Create the data set again.", code="data")
    wanted = spec.batch_size or own_batch_size or DEFAULT_BATCH_SIZE
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
    return make_calendar(spec if has_val else replace(spec, val_interval=0), len(run.train), wanted, seed)


def open_sources(run: TrainingRun, preprocessing: Preprocessing, stack: ExitStack) -> tuple[BatchSource, BatchSource | None]:
    """Batches for training and, where there are records for it, for validation; closed with `stack`."""
    size = (preprocessing.input_shape[1], preprocessing.input_shape[2])
    variable = run.train.meta.feature_shape is None and not run.spec.crop_size

    def source(records: Any) -> BatchSource:
        threads = max(1, run.threads)
        return stack.enter_context(
            BatchSource(records, None if variable else size, crop_labels=follows_feature(run), threads=threads)
        )

    return source(run.train), source(run.val) if run.val is not None and len(run.val) else None


def make_snapshot_manager(
    run: TrainingRun, training_step: TrainingStep, preprocessing: Preprocessing, context: NetworkContext, suffix: str
) -> SnapshotManager:
    """Who writes the snapshots, as files that end in `.suffix`."""
    base = metadata(run, preprocessing, context)

    def make(epoch: float, scores: Scores) -> bytes:
        finite = {name: value for name, value in scores.values.items() if np.isfinite(value)}
        options = {**base["options"], **scores.chosen}
        return training_step.snapshot({**base, "options": options, "epoch": epoch, "metrics": finite})

    return SnapshotManager(
        run.folder, run.spec.keep_snapshots, make, run.emit, run.retry_when_disk_full, suffix, PictureFiles(run)
    )


def metrics_of(run: TrainingRun) -> list[Metric]:
    """New metrics for the training's task and labels; none where outputs are in units of their own."""
    task, labels = task_of(run), labels_of(run)
    if not can_be_compared(task, labels, run.spec.augmentation.whitening):
        return []
    return task.metrics(task.compared(labels), run.spec.options)


def metric_scale(run: TrainingRun) -> float:
    """What outputs and labels are divided by for the metrics."""
    task, labels = task_of(run), labels_of(run)
    return task.label_scale(task.compared(labels))


def validation_metrics(run: TrainingRun) -> list[Metric]:
    """What a validation counts: the metrics, and outputs that are no numbers."""
    scores = task_of(run).activation(labels_of(run)) == "softmax"
    found = [*metrics_of(run), Finite(scores)]
    for metric in found:
        metric.keeps = True
    return found


def write_files(run: TrainingRun, base: dict[str, Any]) -> None:
    """The network text and the metadata, where a predictor and a reader find them."""

    def work() -> None:
        write_json(run.folder / PREPARATION_FILE, base)
        with atomic(run.folder / NETWORK_FILE, "w") as handle:
            handle.write(run.spec.network)

    run.retry_when_disk_full(work)


def report_start(run: TrainingRun, taken: Mapping[Path, int], new: list[str]) -> None:
    """Say how many tensors came from each file of weights (`taken`) and which start anew."""
    files = [f"Weights of {count} tensors were taken from {'/'.join(path.parts[-3:])}." for path, count in taken.items()]
    anew = [f"These start anew: {', '.join(new[:20])}{' …' if len(new) > 20 else ''}."] if new else []
    run.emit(LogEvent(message=" ".join(files + anew)))


def report_note(run: TrainingRun, note: str) -> None:
    """Say why the pretrained weights that were requested are not used, if there is a reason."""
    if note:
        message = f"{note}: the training starts from random weights."
        run.emit(
            WarningEvent(code="no-pretrained-weights", message=message, advice="Give a file of weights instead, if you have one.")
        )


def report_colours(run: TrainingRun, preprocessing: Preprocessing) -> None:
    """Say that pictures of other than three channels have no colours to shift, if that was requested."""
    channels = preprocessing.stored_shape[0]
    if run.spec.augmentation.shifts_colours and channels != COLOURS:
        message = f"Colours are shifted in pictures of {COLOURS} channels; these have {channels} and stay as they are."
        run.emit(WarningEvent(code="augmentation", message=message, advice="Use contrast and noise instead."))


def report_batch_of_one(run: TrainingRun, calendar: Calendar, normalises: bool) -> None:
    """Advise against batches of one picture for a network that `normalises` over its batch."""
    if normalises and calendar.batch_size == 1:
        message = (
            "The batches have one picture each, and the network normalises over its batch: it learns from that picture alone."
        )
        run.emit(WarningEvent(code="batch-of-one", message=message, advice=BATCH_OF_ONE_ADVICE))


def batch_of_one(error: BaseException) -> TrainingError:
    """The error of a batch that is too small to normalise over."""
    return TrainingError(
        f"A batch of one picture has nothing to normalise over: {error}.", advice=BATCH_OF_ONE_ADVICE, code="batch-of-one"
    )


def report_no_weights(run: TrainingRun, advice: str = "Add a layer with weights if it is to learn.") -> None:
    """Say that the network is what it is, so that its training is done at once."""
    message = "The network has no weights to train: it stays as it is, and the training is done at once."
    run.emit(WarningEvent(code="no-weights", message=message, advice=advice))


def report_left_out(run: TrainingRun, names: Sequence[str]) -> None:
    """Say which trainable variables no loss of several moves."""
    if names:
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        message = f"No loss moves {', '.join(names[:SHOWN_NAMES])}{more}: they stay as they are."
        run.emit(WarningEvent(code="left-out", message=message, advice="Name them in the vars of a loss, or freeze them."))


def report_modes(run: TrainingRun, notes: Iterable[str]) -> None:
    """Say what a network does differently while it trains (see `engines.network.checks`)."""
    for note in filter(None, notes):
        if note != SOFTMAX_NOTE:  # no harm: the form says it
            run.emit(WarningEvent(code="modes", message=note))


def out_of_memory(run: TrainingRun, error: BaseException) -> TrainingError:
    """The error of a training that memory was too small for."""
    place = "the GPU" if run.devices else "the machine"
    batch = f" (now {run.spec.batch_size})" if run.spec.batch_size else ""
    return TrainingError(
        f"The memory of {place} is too small for this training: {str(error).splitlines()[0] if str(error) else 'out of memory'}",
        advice=f"Lower the batch size{batch} and accumulate batches instead, crop the pictures or take a smaller network.",
        code="out-of-memory",
    )


def label_range(run: TrainingRun, error: BaseException) -> TrainingError:
    """The error of a class index that the network has no score for."""
    return TrainingError(
        f"A label is outside the {len(run.info.class_labels)} classes of the data set: {error}.",
        advice="Correct the labels or the list of class labels, and create the data set again.",
        code="data",
    )
