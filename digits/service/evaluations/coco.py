"""Detections as files that COCO's own tools read: results, and what is true of the same pictures, with the ids of the COCO file
that the data set was made from, else with numbers of rows and classes. Boxes are in the pixels of the pictures' files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.domain.classes import match_classes
from digits.domain.datasets import COCO_IDS_FILE
from digits.domain.inference import OUTPUT, EvaluationSpec
from digits.errors import BadRequest
from digits.service import Service
from digits.service.damage import require_records
from digits.service.datasets.records import find_split
from digits.service.evaluations.results import evaluation_result, predictions
from digits.service.models.create import info_of
from digits.storage.files import read_json
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job
from digits.tasks.base import BOXES
from digits.utils.values import is_digits

if TYPE_CHECKING:
    import numpy as np

    from digits.images.place import Origin
    from digits.storage.predictions import PredictionReader, Row
    from digits.storage.records.reader import RecordReader

Id = int | str


@dataclass(frozen=True)
class Ids:
    """`images` has the id of a picture by its path, `categories` that of a class by its name; empty for data of another form."""

    images: Mapping[str, Id] = field(default_factory=dict)
    categories: Mapping[str, Id] = field(default_factory=dict)

    @classmethod
    def of_dataset(cls, dataset: JobFolder, split: str = "") -> Ids:
        """Those of the files that a data set was made from; each split may have a file of its own."""
        file = dataset.path / COCO_IDS_FILE
        if not file.is_file():
            return cls()
        kept = read_json(file)
        return cls(kept["images"], (kept.get("splits") or {}).get(split) or kept["categories"])

    def of_picture(self, row: Row) -> Id:
        """The id of a picture; where the file gives none, the row, or a number above all that it gives."""
        found = self.images.get(row.path)
        return self._new_images.numbered(row.index) if found is None else found

    @cached_property
    def _new_images(self) -> NewIds:
        return NewIds.beside(self.images.values())

    def of_classes(self, model: Sequence[str], own: Sequence[str]) -> tuple[list[Id], list[Id]]:
        """The ids of the model's classes and of those of a data set, by their names, found as classes of another data set are;
        without any the model's numbers, and others behind them."""
        known = list(self.categories) or list(model)
        numbers: list[Id] = list(self.categories.values()) or list(range(len(known)))
        new = NewIds.beside(numbers)
        ids: dict[str, Id] = {}
        for names in (model, own):
            for name, place in zip(names, match_classes(names, known).places, strict=True):
                ids.setdefault(name, numbers[place] if place >= 0 else new.numbered(len(ids)))
        return [ids[name] for name in model], [ids[name] for name in own]


@dataclass(frozen=True)
class NewIds:
    """Ids beside those of a file, of their type, for COCO's tools sort them: whole numbers from `first` on, or texts of them."""

    first: int
    are_texts: bool = False

    @classmethod
    def beside(cls, ids: Iterable[Id]) -> NewIds:
        known = list(ids)
        numbers = [int(one) for one in known if isinstance(one, int) or is_digits(one)]
        return cls(max(numbers, default=-1) + 1, bool(known) and all(isinstance(one, str) for one in known))

    def numbered(self, place: int) -> Id:
        return str(self.first + place) if self.are_texts else self.first + place


def coco_results(service: Service, job: Job) -> Iterator[dict[str, Any]]:
    """Detections as COCO's results, `image_id`, `category_id`, `bbox` (left, top, width, height) and `score`; those that are no
    numbers are left out. BadRequest for other tasks."""
    import numpy as np

    reader, ids, names = _opened(service, job)
    classes, _ = ids.of_classes(names, ())
    for row in _rows(reader):
        image = ids.of_picture(row)
        boxes = row.output if not row.origin else _origin(row).boxes(row.output.astype(np.float64))
        for x0, y0, x1, y1, score, label in boxes[np.isfinite(boxes).all(axis=1)].astype(float).tolist():
            yield {"image_id": image, "category_id": classes[int(label)], "bbox": [x0, y0, x1 - x0, y1 - y0], "score": score}


def coco_truth(service: Service, job: Job) -> dict[str, Any]:
    """What is true of the pictures of an evaluation as COCO's annotations: `images`, `categories`, `annotations` (none of files,
    of which nothing is known). Results are compared with it where the data set was not made from a file of COCO's."""
    reader, ids, names = _opened(service, job)
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    records, own_names = _records(service, spec)
    classes, own_classes = ids.of_classes(names, own_names)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for row in _rows(reader):
        origin = _origin(row) if row.origin else None
        size = origin.size if origin else (0, 0)
        image = ids.of_picture(row)
        images.append({"id": image, "file_name": Path(row.path).name, "width": size[0], "height": size[1]})
        boxes = records.labels([row.record]) if records is not None and row.record >= 0 else None
        if boxes is not None:
            annotations += _annotations(boxes[0], image, own_classes, origin)
    for number, annotation in enumerate(annotations, start=1):  # 0 is none to COCO's tools
        annotation["id"] = number
    named = dict(zip([*own_classes, *classes], [*own_names, *names], strict=True))
    return {
        "info": {"description": job.name},
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in named.items()],
        "annotations": annotations,
    }


def _annotations(boxes: np.ndarray, image: Id, classes: Sequence[Id], origin: Origin | None) -> Iterator[dict[str, Any]]:
    """Of boxes (n,) of `BOX_DTYPE`; what is to be ignored is a crowd, which COCO's tools ignore."""
    from digits.metrics.average_precision import coco_annotations
    from digits.storage.records.boxes import coordinates

    moved = boxes.copy()
    if origin is not None:
        for name, values in zip(("x0", "y0", "x1", "y1"), origin.boxes(coordinates(boxes)).T, strict=True):
            moved[name] = values
    for annotation in coco_annotations(image, moved, len(classes)):
        yield {**annotation, "category_id": classes[annotation["category_id"] - 1]}


def _opened(service: Service, job: Job) -> tuple[PredictionReader, Ids, list[str]]:
    """What an evaluation of boxes kept, the ids of its data set (of files those of the model's) and the model's classes."""
    result = evaluation_result(service, job)
    if result["kind"] != BOXES:
        raise BadRequest("Only detections have boxes.")
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    dataset = spec.dataset_id or job.dataset_id
    split = spec.split if spec.source == "split" else ""
    ids = Ids.of_dataset(service.folder(dataset), split) if dataset else Ids()
    return predictions(service, job, OUTPUT), ids, list(result["class_labels"])


def _records(service: Service, spec: EvaluationSpec) -> tuple[RecordReader | None, list[str]]:
    """The records that were evaluated, and the classes of their data set; none of files."""
    info = info_of(service, spec.dataset_id) if spec.source == "split" else None
    if info is None:
        return None, []
    require_records(service, spec.dataset_id)
    return find_split(service, spec.dataset_id, spec.split), list(info.class_labels)


def _rows(reader: PredictionReader) -> Iterator[Row]:
    for batch in reader.batches():
        yield from batch


def _origin(row: Row) -> Origin:
    from digits.images.place import Origin

    return Origin.of_numbers(row.origin)
