"""The records of a data set as files again: pictures in folders of their classes, or beside their labels as other programs read
them.

Of each split: pictures as they are stored (PNG or JPEG; what these cannot hold as `.npy`, channels first), masks and pictures to
learn as PNG or `.npy`, boxes as `annotations.json` of COCO's form, numbers as columns of `records.csv`, which names every record.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.domain.datasets import DatasetInfo
from digits.errors import BadRequest, NotFound
from digits.service import Service
from digits.service.datasets.contents import SPLITS, require_done
from digits.service.files.names import safe_name
from digits.storage.files import atomic
from digits.storage.jobs.store import Job
from digits.storage.records.boxes import BOX_DTYPE
from digits.tasks import Labels

if TYPE_CHECKING:
    import numpy as np

    from digits.storage.records.reader import RecordReader

PICTURES, LABELS, TABLE, BOXES, CLASSES = "images", "labels", "records.csv", "annotations.json", "labels.txt"


@dataclass(frozen=True)
class Wanted:
    """Which records: of which splits (none: all), of which class (None: all), at most how many of each split (0: all)."""

    splits: Sequence[str] = ()
    label: int | None = None
    limit: int = 0


def export_records(service: Service, job: Job, folder: Path, wanted: Wanted | None = None) -> dict[str, int]:
    """Write the records into a new or empty folder; how many of each split (`train`, …) there are.

    Raises NotReady while the data set is not done, NotFound for a split it does not have, BadRequest for a folder that holds
    something.
    """
    wanted = wanted or Wanted()
    require_done(service, job)
    info = service.folder(job.id).find_dataset_info()
    if info is None:
        raise NotFound(f"The records of {job.name} are gone.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"{folder} is there already and not empty.", advice="Name a new folder.")
    counts = {}
    for short in wanted.splits or [short for short, name in SPLITS.items() if name in info.splits]:
        if SPLITS.get(short) not in info.splits:
            has = ", ".join(name.removesuffix("_db") for name in info.splits)
            raise NotFound(f"{job.name} has no split {short!r}; it has {has}.")
        counts[short] = _write_split(service, job, info, short, folder / short, wanted)
    if info.class_labels:
        with atomic(folder / CLASSES) as handle:
            handle.write("".join(f"{name}\n" for name in info.class_labels).encode())
    return counts


def _write_split(service: Service, job: Job, info: DatasetInfo, short: str, folder: Path, wanted: Wanted) -> int:
    from digits.storage.records.open import open_split

    reader = open_split(service.folder(job.id), SPLITS[short], info)
    if wanted.label is not None and not reader.can_find_class:
        raise BadRequest(f"The records of {job.name} cannot be searched by class.", advice="Leave the class out.")
    rows = range(len(reader)) if wanted.label is None else reader.find_class(wanted.label).tolist()
    rows = rows[: wanted.limit] if wanted.limit else rows
    columns = list(Labels.of_records(reader.meta, info).columns or info.class_labels)
    writer = _Writer(reader, folder, class_folders(info.class_labels), columns)
    folder.mkdir(parents=True)
    with open(folder / TABLE, "w", newline="", encoding="utf-8") as handle:
        table = csv.writer(handle)
        lines = writer.lines(rows)
        table.writerow(["file", "key", "source", "group", *writer.head(rows)])
        table.writerows(lines)
    writer.finish(info.class_labels)
    return len(rows)


class _Writer:
    """Writes the pictures and labels of one split; `lines` are the rows of its table."""

    def __init__(self, reader: RecordReader, folder: Path, folders: Sequence[str], columns: Sequence[str]) -> None:
        self.reader, self.folder, self.folders, self.columns = reader, folder, folders, columns
        self.annotations: list[tuple[int, str, tuple[int, ...], Any]] = []

    def label(self, row: int) -> Any:
        found = self.reader.labels([row])
        return None if found is None else found[0]

    def head(self, rows: Sequence[int]) -> list[str]:
        """The columns of the labels."""
        import numpy as np

        label = self.label(rows[0]) if len(rows) else None
        if label is None or np.asarray(label).dtype == BOX_DTYPE:
            return []
        shape = np.asarray(label).shape
        if len(shape) == 1:
            named = len(self.columns) == shape[0]
            return list(self.columns) if named else [f"column {place}" for place in range(1, shape[0] + 1)]
        return ["label file"] if shape else ["class", "class name"]

    def lines(self, rows: Iterable[int]) -> Iterator[list[Any]]:
        import numpy as np

        for row in rows:
            label = None if (found := self.label(row)) is None else np.asarray(found)
            is_class = label is not None and label.shape == () and self.folders
            number = int(label) if is_class and label is not None else -1
            below = self.folders[number] if 0 <= number < len(self.folders) else PICTURES
            feature = self.reader.feature(row)
            file = write_picture(
                self.folder / below / f"{row:08d}", feature, self.reader.encoded(row), self.reader.meta.feature_encoding
            )
            named = [str(self.reader.column(name, [row])[0]) for name in ("key", "source", "group")]
            yield [f"{below}/{file}", *named, *self._label_cells(row, label, f"{below}/{file}", feature.shape)]

    def _label_cells(self, row: int, label: np.ndarray | None, file: str, shape: tuple[int, ...]) -> list[Any]:
        if label is None:
            return []
        if label.dtype == BOX_DTYPE:
            self.annotations.append((row + 1, file, shape, label))
            return []
        if label.ndim == 3:
            return [f"{LABELS}/{write_picture(self.folder / LABELS / f'{row:08d}', label)}"]
        if label.ndim:
            return [format(float(number), ".9g") for number in label.ravel()]
        number = int(label)
        return [number, self.columns[number] if 0 <= number < len(self.columns) else ""]

    def finish(self, names: Sequence[str]) -> None:
        """COCO's annotations, where labels are boxes."""
        from digits.metrics.average_precision import coco_annotations

        if not self.annotations:
            return
        images = [
            {"id": number, "file_name": file, "width": shape[2], "height": shape[1]}
            for number, file, shape, _ in self.annotations
        ]
        boxes = [one for number, _, _, found in self.annotations for one in coco_annotations(number, found, len(names))]
        for number, one in enumerate(boxes, start=1):
            one["id"] = number
        categories = [{"id": number, "name": name} for number, name in enumerate(names, start=1)]
        (self.folder / BOXES).write_text(json.dumps({"images": images, "categories": categories, "annotations": boxes}))


def class_folders(names: Sequence[str]) -> list[str]:
    """A folder name for each class, all different."""
    found: list[str] = []
    for number, name in enumerate(names):
        plain = safe_name(name.replace("/", "_").replace("\\", "_"))
        taken = plain.lower() in (other.lower() for other in found)
        found.append(f"{plain} {number}" if taken else plain)
    return found


def write_picture(stem: Path, array: np.ndarray, encoded: bytes | None = None, encoding: str = "png") -> str:
    """Write (C, H, W) as PNG where that loses nothing (8 bits grey or RGB, 16 bits grey), else as `.npy`; what is `encoded` (of
    the form `encoding`) as it is. The file's name."""
    import numpy as np
    from PIL import Image

    stem.parent.mkdir(parents=True, exist_ok=True)
    if encoded is not None:
        stem.with_suffix(f".{encoding}").write_bytes(encoded)
        return f"{stem.name}.{encoding}"
    eight = array.dtype == np.uint8 and array.shape[0] in (1, 3)
    small = array.dtype.kind in "iub" and array.shape[0] == 1 and array.size and array.min() >= 0 and array.max() < 2**16
    if not eight and not small:
        np.save(stem.with_suffix(".npy"), array)
        return f"{stem.name}.npy"
    plane = array[0] if array.shape[0] == 1 else np.ascontiguousarray(array.transpose(1, 2, 0))
    if not eight:
        plane = plane.astype(np.uint8 if array.max() < 256 and array.dtype != np.uint16 else np.uint16)
    Image.fromarray(plane).save(stem.with_suffix(".png"))
    return f"{stem.name}.png"
