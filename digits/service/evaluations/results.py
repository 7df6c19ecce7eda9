"""What evaluations found: the numbers, pages of pictures with what the model made of them, masks and boxes to take away."""

from __future__ import annotations

import contextlib
import json
import math
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.domain.classes import NO_CLASS, match_classes
from digits.domain.datasets import IGNORED, VAL_DB, columns_in
from digits.domain.events import BaselineEvent
from digits.domain.inference import OUTPUT, RANKED, EvaluationSpec
from digits.domain.jobs import Status
from digits.domain.metrics import LOSS, beats, facts, nonfinite_text, value_text
from digits.domain.training import TaskOptions
from digits.errors import BadRequest, Conflict, DigitsError, NotFound
from digits.images.addresses import picture_address
from digits.service import Service
from digits.service.damage import require_records, require_usable
from digits.service.datasets.records import find_split
from digits.service.evaluations.in_picture import mask_png
from digits.service.files import confine as paths
from digits.service.files.names import safe_name
from digits.service.models.create import info_of
from digits.service.models.history import read_history
from digits.service.models.validation_samples import META_FILE, class_colours
from digits.service.plugins.host import read_foreign
from digits.storage.events import read_lines
from digits.storage.files import atomic, read_json
from digits.storage.jobs.store import Job
from digits.tasks import Labels, Task, of_output
from digits.tasks.base import CLASSES, MAP
from digits.utils.names import is_address
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np

    from digits.storage.predictions import PredictionReader, Row

TOP = 5  # classes of a picture that are told, and of a top-k accuracy
TOP5 = "accuracy_top5"
NAMED = 5  # classes that a sentence names
MASKS_FILE = "masks.zip"


@dataclass(frozen=True)
class RowsPage:
    """A page of predictions; `total` counts all rows that match."""

    rows: list[Row] = field(default_factory=list)
    total: int = 0


def evaluation_result(service: Service, job: Job) -> dict[str, Any]:
    """The summary (`result.json`) of a finished evaluation.

    Keys of every task: `kind` (what an output is, see `tasks.base`), `task`, `count`, `skipped`, `labelled`, `class_labels`,
    `unknown_classes` (true classes that the model does not know, `label` and `count` each), `missing_classes` (the model's that
    the data set does not have), `options` (settings of the task such as thresholds, with what the training chose), `metrics` (by
    name, None where not known), `nonfinite` (how many outputs hold NaN or infinity), `per_class`, `columns` (metrics of one
    picture), `key` (the metric that decides), `lower_is_better`, `baseline`, `model_id`, `epoch`; where the model did not answer
    plainly `answering` (`tile_overlap`, `tta`), and with test-time augmentation its `gain` (`metrics`: `with`, `without`, `gain`
    each, of the one that decides `low` and `high`; `pictures`). Of one class for each picture
    also `top1`, `top5` (None of five classes or fewer), `loss` (all None without labels), `confusion` (rows
    `[true, predicted, count]`) and `top` (class index →
    `[row, probability]` best first).
    Raises Conflict while it runs, and with the job's own message when it failed.
    """
    _require_done(job)
    require_usable(service, job)
    return _completed(job, dict(read_json(service.folder(job.id).result_file)))


def is_ranked(result: dict[str, Any]) -> bool:
    """Whether the pictures were kept with their most probable classes, so that they can be chosen by them."""
    return "top" in result


def task_of_result(result: dict[str, Any]) -> Task:
    """The task that an evaluation was about."""
    return of_output(result["kind"], result.get("task", ""))


def picture_key(result: dict[str, Any]) -> tuple[str, bool]:
    """The number of one picture by which the worst are found, empty where nothing is known of single ones, and whether the
    highest is the worst."""
    if is_ranked(result):
        return (LOSS, True) if result["labelled"] else ("", False)
    return (result["key"], bool(result["lower_is_better"])) if result["columns"] else ("", False)


def _completed(job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """A result of an earlier version with the keys that were not there yet."""
    if "kind" not in result:
        metrics = {"accuracy": result["top1"], TOP5: result["top5"], LOSS: result["loss"]}
        common = {"kind": CLASSES, "task": str(job.task), "metrics": metrics, "columns": [], "key": "accuracy"}
        result = {**common, "lower_is_better": False, "baseline": None, **result}
    if TOP5 in result["metrics"] and len(result["class_labels"]) <= TOP:  # any answer would have 1
        result = {**result, "top5": None, "metrics": {name: v for name, v in result["metrics"].items() if name != TOP5}}
    added = {"options": task_of_result(result).own_options(TaskOptions()), "nonfinite": 0}
    return {**added, "unknown_classes": [], "missing_classes": [], **result}


def _require_done(job: Job) -> None:
    if job.status.is_running:
        raise Conflict(f"{job.name} is {job.status.word}; its result comes when it is done.")
    if job.status != Status.DONE:
        raise Conflict(job.error or job.message or f"{job.name} is {job.status.word}.", advice="Its page says more.")


def baseline_of(service: Service, job: Job, result: dict[str, Any]) -> BaselineEvent | None:
    """What the trivial answer scores on the same pictures: measured with them, or by the training on its validation split,
    which earlier versions left to it."""
    if result.get("baseline"):
        return BaselineEvent(**result["baseline"])
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    model = service.store.find(spec.model_id)
    own = model is not None and spec.split == VAL_DB and spec.dataset_id == model.dataset_id and not spec.limit
    return read_history(service.folder(spec.model_id)).baseline if own else None


def about_classes(result: dict[str, Any]) -> list[str]:
    """What has to be said where the classes are not those of the model: which ones, how many, and how they count."""
    task, said = task_of_result(result), []
    unit = {"records": "pictures"}.get(task.counted, task.counted)
    unknown = [f"“{each['label']}” ({each['count']:,} {unit})" for each in result["unknown_classes"] if each["count"]]
    if unknown:
        said.append(f"The model does not know {_some(unknown)}. {task.unknown_words}")
    if result["missing_classes"]:
        names = _some([f"“{name}”" for name in result["missing_classes"]])
        said.append(f"The data set does not have the model's {names}: {task.missing_words}.")
    return said


def _some(names: list[str]) -> str:
    """The first of some names, and how many there are more."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def verdict(result: dict[str, Any], baseline: BaselineEvent | None) -> list[str]:
    """What has to be said about the numbers: outputs that are none, no better than the trivial answer, classes that were not
    found at all."""
    key, said = result["key"], []
    if result["nonfinite"]:
        said.append(f"{nonfinite_text(result['nonfinite'], result['count'])} (NaN or infinite); these count as wrong.")
    own, trivial = result["metrics"].get(key), baseline.values.get(key) if baseline else None
    if baseline and own is not None and trivial is not None and not _is_better(own, trivial, result["lower_is_better"]):
        compared = f"{facts(key).title} {value_text(key, own)} against {value_text(key, trivial)}"
        said.append(f"The model is no better than the trivial answer ({baseline.description}): {compared}.")
    missing = [f"“{row['label']}”" for row in result["per_class"] if any(row[n] == 0 for n in row if facts(n).missed)]
    if missing:
        said.append(f"{_some(missing)} {'is' if len(missing) == 1 else 'are'} not found in any picture.")
    return said


def _is_better(own: float, trivial: float, lower: bool) -> bool:
    """Whether a metric beats the trivial answer's, or that one is not known."""
    return not math.isfinite(trivial) or beats(own, trivial, lower)


def predictions(service: Service, job: Job, column: str = "") -> PredictionReader:
    """What a finished evaluation kept of each picture. Raises Conflict like `evaluation_result`, BadRequest where a column
    that is needed is not there."""
    _require_done(job)
    require_usable(service, job)
    from digits.storage.predictions import PredictionReader, predictions_file

    reader = PredictionReader(predictions_file(service.folder(job.id).path))
    if column and column not in reader.table.column_names:
        other = "samples" if column == RANKED else "predictions"
        raise BadRequest(f"The evaluation {job.name} keeps no {column}.", advice=f"Ask /evaluations/ID/{other}.json.")
    return reader


def predictions_name(service: Service, job: Job) -> str:
    """The name of the file of predictions in the job's folder."""
    from digits.storage.predictions import predictions_file

    return predictions_file(service.folder(job.id).path).name


def problems(service: Service, job: Job, limit: int) -> list[dict[str, str]]:
    """The first pictures that could not be read: `path` and `reason`."""
    found: list[dict[str, str]] = []
    for _, line in read_lines(service.folder(job.id).problems_file):
        if len(found) >= limit:
            break
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(problem := json.loads(line), dict):
                found.append(problem)
    return found


def prediction_page(
    reader: PredictionReader, *, page: int = 0, size: int = 50, among: Collection[int] | None = None, **selection: Any
) -> RowsPage:
    """One page of what an evaluation kept; `selection` as in `PredictionReader.select` (only, label, predicted, sort,
    descending); of the rows `among` alone where these are given. Raises BadRequest for what it cannot be chosen or sorted by."""
    chosen = chosen_numbers(reader, among=among, **selection)
    return RowsPage(reader.rows(chosen[page * size : (page + 1) * size]), len(chosen))


def chosen_numbers(reader: PredictionReader, *, among: Collection[int] | None = None, **selection: Any) -> np.ndarray:
    """The rows, int64 (n,) in order, that a selection means (see `prediction_page`)."""
    import numpy as np

    chosen_by_class = any(selection.get(name) not in (None, "") for name in ("only", "label", "predicted"))
    if chosen_by_class and not reader.is_ranked:
        raise BadRequest("The pictures of this evaluation have no class each that they could be chosen by.")
    sort = selection.get("sort") or "index"
    if sort not in reader.sorts:
        raise BadRequest(f"sort is {sort!r}; it may be {', '.join(reader.sorts)}.")
    chosen = reader.select(**{**selection, "sort": sort})
    return chosen if among is None else chosen[np.isin(chosen, np.fromiter(among, np.int64, len(among)))]


def sample_page(service: Service, job: Job, result: dict[str, Any], **page: Any) -> dict[str, Any]:
    """A page of pictures as the validation samples have them: `kind`, `class_labels`, `colours`, `total`, `samples`. `result` is
    the evaluation's.

    A sample has `row`, `path`, `record`, `key`, `truth` (null where it is not known), values of its metrics under `metrics`, and
    what `Task.describe_output` gives; but for pictures that were kept with their most probable classes also `input` and `size`.
    `page` is as `prediction_page` has it. Raises BadRequest.
    """
    reader = predictions(service, job)
    found = prediction_page(reader, **page)
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    task, labels = task_of_result(result), result["class_labels"]
    if reader.is_ranked:
        samples = [_ranked(row, result) for row in found.rows]
    else:
        pictures = _Pictures(service, spec, task, labels)
        options = TaskOptions.from_json(result["options"])
        samples = [_with_output(row, task, options, pictures) for row in found.rows]
    split = spec.split.removesuffix("_db")
    return {
        "kind": task.output_kind,
        "class_labels": labels,
        "colours": class_colours(service, job.dataset_id, labels, task),
        "total": found.total,
        "samples": [
            {"row": row.index, "path": row.path, "record": row.record, "key": _key(row, split), **sample}
            for row, sample in zip(found.rows, samples, strict=True)
        ],
    }


def _key(row: Row, split: str) -> str:
    """A short name: the record, or the file without its folders."""
    return f"{split}:{row.record}" if row.record >= 0 else Path(row.path).name


def true_class(row: Row, result: dict[str, Any]) -> str | None:
    """The name of the true class of a picture, also of one that the model does not know; None where no truth is known."""
    if row.label >= 0:
        return str(result["class_labels"][row.label])
    return str(result["unknown_classes"][row.unknown_label]["label"]) if row.unknown_label >= 0 else None


def _ranked(row: Row, result: dict[str, Any]) -> dict[str, Any]:
    """The picture's classes as `Classification.describe_output` has them; ties as they were counted."""
    labels = result["class_labels"]
    return {
        "truth": true_class(row, result),
        "unknown": row.unknown_label >= 0,
        "metrics": {LOSS: row.loss},
        "top": [[labels[number], finite(100 * score)] for number, score in row.top[:TOP]],
        "correct": row.correct,
    }


def _with_output(row: Row, task: Task, options: TaskOptions, found: _Pictures) -> dict[str, Any]:
    import numpy as np

    feature, label, labels = found.feature(row), found.label(row), found.labels
    real = None if label is None else np.asarray(label)
    like = feature if real is None else real
    return {
        "input": picture_address(feature) if feature is not None and min(feature.shape[1:]) > 1 else "",
        "size": task.size_of(row.output) if feature is None else list(feature.shape[:0:-1]),
        "truth": None if real is None else task.describe_label(real, labels),
        "metrics": row.values,
        **task.describe_output(row.output if like is None else task.shown(row.output, like.dtype), real, labels, options),
    }


def truths(service: Service, job: Job, result: dict[str, Any]) -> Callable[[Row], Any] | None:
    """What says the truth of a picture, as records have it but with the numbers of the model's classes, or None of one without.
    None where it lies in records that cannot be read for now: their data set is damaged, or deleted."""
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    if spec.source != "split":
        return lambda row: None
    if not service.store.find(spec.dataset_id):
        return None
    try:
        pictures = _Pictures(service, spec, task_of_result(result), result["class_labels"])
    except DigitsError:
        return None
    return pictures.label if pictures.reader is not None else None


class _Pictures:
    """What the network saw and what is true: of the records of a split, or of files, which bring no truth."""

    def __init__(self, service: Service, spec: EvaluationSpec, task: Task, labels: list[str]) -> None:
        self.service, self.spec, self.task = service, spec, task
        if spec.source == "split":
            require_records(service, spec.dataset_id)
        self.reader = find_split(service, spec.dataset_id, spec.split) if spec.source == "split" else None
        info = info_of(service, spec.dataset_id) if self.reader else None
        self.match = match_classes(info.class_labels if info else (), labels)
        self.void = info.ignored if info else IGNORED
        ignored = self.void if self.match.is_same else NO_CLASS
        columns = columns_in(info.extra) if info else ()
        self.labels = Labels(class_labels=tuple(labels), ignored=ignored, columns=columns, missing=self.match.missing)

    def feature(self, row: Row) -> np.ndarray | None:
        """(C, H, W) as the network got it; None where it is not there (any more)."""
        if self.reader is not None:
            return self.reader.feature(row.record) if 0 <= row.record < len(self.reader) else None
        return self._prepared(row.path) if row.path and not is_address(row.path) else None

    def label(self, row: Row) -> Any:
        """The label with the numbers of the model's classes."""
        labels = self.reader.labels([row.record]) if self.reader is not None and 0 <= row.record < len(self.reader) else None
        return None if labels is None else self._renumbered(labels[0])

    def _prepared(self, path: str) -> np.ndarray | None:
        """A file as the network got it; the plugin host reads it."""
        try:
            found = paths.readable_file(self.service, path, "path")
            roots = [str(root) for root in paths.allowed_roots(self.service)]
            meta = read_json(self.service.folder(self.spec.model_id).path / META_FILE)
            header = {"path": str(found), "allowed_roots": roots, "meta": meta, "dont_resize": self.spec.dont_resize}
            header["tiled"] = self.spec.tile_overlap is not None
            return read_foreign(self.service, "prepared-picture", header).arrays["feature"]
        except DigitsError:
            return None

    def _renumbered(self, label: Any) -> Any:
        import numpy as np

        if self.match.is_same:
            return label
        return self.task.renumbered(np.asarray(label), np.array(self.match.places, np.int64), self.void)


def mask(service: Service, job: Job, row: int) -> bytes:
    """The class of each pixel of one picture, in the pixels of its file, as a grey PNG (16 bits beyond 256 classes). Raises
    NotFound, BadRequest."""
    reader = predictions(service, job, OUTPUT)
    if not 0 <= row < len(reader):
        raise NotFound(f"This evaluation has no row {row}.")
    result = evaluation_result(service, job)
    if result["kind"] != MAP:
        raise BadRequest("Only segmentations have masks.", advice="The JSON of the samples has the outputs.")
    return mask_png(_in_picture(reader.rows([row])[0], result))


def masks_zip(service: Service, job: Job) -> Path:
    """All masks in a zip, named after their pictures; made once and kept with the job. Raises BadRequest."""
    result = evaluation_result(service, job)
    if result["kind"] != MAP:
        raise BadRequest("Only segmentations have masks.")
    path = service.folder(job.id).path / MASKS_FILE
    if path.is_file():
        return path
    reader = predictions(service, job, OUTPUT)
    with atomic(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        for number in range(len(reader)):
            row = reader.rows([number])[0]
            archive.writestr(f"{number:06d}_{safe_name(Path(row.path).stem or 'record')}.png", mask_png(_in_picture(row, result)))
    return path


def _in_picture(row: Row, result: dict[str, Any]) -> np.ndarray:
    """The output of a row, (h, w), at the size of the given picture, (H, W)."""
    from digits.images.place import Origin

    return task_of_result(result).restored(row.output, Origin.of_numbers(row.origin)) if row.origin else row.output
