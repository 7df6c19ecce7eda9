"""Evaluations whose outputs are kept whole: their pictures, worst first, masks and boxes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.domain.datasets import IGNORED
from digits.domain.inference import EvaluationSpec, class_places
from digits.domain.training import TaskOptions
from digits.errors import BadRequest, DigitsError, NotFound
from digits.images.addresses import picture_address
from digits.service import Service
from digits.service.evaluations.results import OUTPUT, evaluation_result, predictions
from digits.service.files import confine as paths
from digits.service.files.names import safe_name
from digits.service.models.create import info_of
from digits.service.models.validation_samples import META_FILE, class_colours
from digits.storage.files import atomic, read_json
from digits.storage.jobs.store import Job
from digits.tasks import Task, of_output
from digits.tasks.base import BOXES, MAP
from digits.utils.names import is_address

if TYPE_CHECKING:
    import numpy as np

    from digits.storage.predictions import Row

MASKS_FILE = "masks.zip"


def sample_page(service: Service, job: Job, *, page: int, size: int, sort: str = "", descending: bool = False) -> dict[str, Any]:
    """A page of pictures as the validation samples have them: `kind`, `class_labels`, `colours`, `total`, `samples`.

    A sample has `row`, `path`, `key`, `input`, `truth` (null for files), `size`, `values` of its metrics under `metrics`, and
    what `Task.describe_output` gives. `sort` is a metric of one picture; empty: the order of the list. Raises BadRequest.
    """
    result = evaluation_result(service, job)
    reader = predictions(service, job, OUTPUT)
    if sort and sort not in reader.metrics:
        raise BadRequest(f"sort is {sort!r}; it may be {', '.join(reader.metrics) or 'left out'}.")
    chosen = reader.order(sort, descending)[page * size : (page + 1) * size]
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    task, labels = of_output(result["kind"], result.get("task", "")), result["class_labels"]
    found = _Pictures(service, spec, task, labels)
    options = TaskOptions.from_json(result.get("options", {}))
    return {
        "kind": task.output_kind,
        "class_labels": labels,
        "colours": class_colours(service, job.dataset_id, labels, task),
        "total": len(reader),
        "samples": [_sample(row, task, labels, options, found) for row in reader.rows(chosen)],
    }


def mask(service: Service, job: Job, row: int) -> bytes:
    """The class of each pixel of one picture as a grey PNG (16 bits beyond 256 classes). Raises NotFound, BadRequest."""
    reader = predictions(service, job, OUTPUT)
    if not 0 <= row < len(reader):
        raise NotFound(f"This evaluation has no row {row}.")
    if evaluation_result(service, job)["kind"] != MAP:
        raise BadRequest("Only segmentations have masks.", advice="The JSON of the samples has the outputs.")
    return mask_png(reader.rows([row])[0].output)


def masks_zip(service: Service, job: Job) -> Path:
    """All masks in a zip, named after their pictures; made once and kept with the job. Raises BadRequest."""
    if evaluation_result(service, job)["kind"] != MAP:
        raise BadRequest("Only segmentations have masks.")
    path = service.folder(job.id).path / MASKS_FILE
    if path.is_file():
        return path
    reader = predictions(service, job, OUTPUT)
    with atomic(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        for number in range(len(reader)):
            row = reader.rows([number])[0]
            archive.writestr(f"{number:06d}_{safe_name(Path(row.path).stem or 'record')}.png", mask_png(row.output))
    return path


def coco_results(service: Service, job: Job) -> Iterator[dict[str, Any]]:
    """Detections as COCO's results: `image_id` (the row), `category_id` (class number), `bbox` (x, y, width, height), `score`."""
    if evaluation_result(service, job)["kind"] != BOXES:
        raise BadRequest("Only detections have boxes.")
    reader = predictions(service, job, OUTPUT)
    for number in range(len(reader)):
        for x0, y0, x1, y1, score, label in reader.rows([number])[0].output.astype(float).tolist():
            yield {"image_id": number, "category_id": int(label), "bbox": [x0, y0, x1 - x0, y1 - y0], "score": score}


def mask_png(classes: np.ndarray) -> bytes:
    """A map of classes (H, W) as a grey PNG."""
    import numpy as np
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(classes.astype(np.uint8 if classes.max(initial=0) < 256 else np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


class _Pictures:
    """What the network saw and what is true: of the records of a split, or of files, which bring no truth."""

    def __init__(self, service: Service, spec: EvaluationSpec, task: Task, labels: list[str]) -> None:
        from digits.storage.records.open import find_split

        self.service, self.spec, self.task = service, spec, task
        self.reader = find_split(service.folder(spec.dataset_id), spec.split) if spec.source == "split" else None
        self.split = spec.split.removesuffix("_db")
        info = info_of(service, spec.dataset_id) if self.reader else None
        self.class_labels = list(info.class_labels) if info else []
        self.ignored = info.ignored if info else IGNORED
        self.places = class_places(self.class_labels, labels)

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
        from digits.images.prepare_for_model import Preparer

        try:
            meta = read_json(self.service.folder(self.spec.model_id).path / META_FILE)
            return Preparer(meta, dont_resize=self.spec.dont_resize)(paths.readable_file(self.service, path, "path"))
        except DigitsError:
            return None

    def _renumbered(self, label: Any) -> Any:
        import numpy as np

        if self.places == list(range(len(self.places))):
            return label
        return self.task.renumbered(label, np.array(self.places, np.int64), self.ignored)


def _sample(row: Row, task: Task, labels: list[str], options: TaskOptions, found: _Pictures) -> dict[str, Any]:
    import numpy as np

    feature, label = found.feature(row), found.label(row)
    real = None if label is None else np.asarray(label)
    like = feature if real is None else real
    return {
        "row": row.index,
        "path": row.path,
        "key": f"{found.split}:{row.record}" if row.record >= 0 else Path(row.path).name,
        "input": picture_address(feature) if feature is not None and min(feature.shape[1:]) > 1 else "",
        "size": task.size_of(row.output) if feature is None else list(feature.shape[:0:-1]),
        "truth": None if real is None else task.describe_label(real, labels),
        "metrics": row.values,
        **task.describe_output(row.output if like is None else task.shown(row.output, like.dtype), real, labels, options),
    }
