"""Looking into the records of a data set: pages of a gallery, single pictures, problems, and the figures of the page.

Holds: nothing here reads a whole split; a page of a million records costs what its pictures cost. Pictures leave as 8-bit
PNG or JPEG: wider data are stretched from their 1st to their 99th percentile, which is for the eye only.
"""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digits.domain.datasets import DatasetInfo, SplitInfo
from digits.errors import BadRequest, NotFound
from digits.images.addresses import encode_picture, shown_pair
from digits.service import Service
from digits.service.datasets.contents import SPLITS, require_done
from digits.service.datasets.records import open_split
from digits.storage.events import read_lines
from digits.storage.folders import JobFolder
from digits.storage.jobs.store import Job
from digits.tasks import Labels

if TYPE_CHECKING:
    import numpy as np

    from digits.storage.records.reader import RecordReader

PAGE_SIZES = (10, 25, 50, 100)
DEFAULT_SIZE = 25
MAX_SIZE = 500
WINDOW = 5
THUMB_SIDE = 192
HEAT_BINS = 32
IN_WORDS = ("index", "vector")  # kinds of labels that a table has words for


@dataclass(frozen=True)
class GalleryQuery:
    """What part of which split is wanted. `page` counts from 0; `label` None means all classes."""

    split: str = "train"
    page: int = 0
    size: int = DEFAULT_SIZE
    label: int | None = None


def gallery(service: Service, job: Job, query: GalleryQuery) -> dict[str, Any]:
    """One page of a split: `records` (index, key, label, source, original size, group), `labels` with counts,
    `searchable` by them, `kinds` (`labels` among them where they are pictures), `pages`.

    Raises NotReady while the data set is not done, NotFound for a split it does not have, BadRequest for a wrong class.
    """
    info, split = _split(service, job, query.split)
    labels = [{"index": i, "name": name, "count": n} for i, (name, n) in enumerate(class_counts(info, split))]
    if query.label is not None and not 0 <= query.label < len(labels):
        raise BadRequest(f"There is no class {query.label}; {job.name} has classes 0 to {len(labels) - 1}.")
    reader = open_split(service, job.id, split.name)
    if query.label is not None and not reader.can_find_class:
        raise BadRequest(f"The records of {job.name} cannot be searched by class.", advice="Leave label out.")
    indices, total = _page_indices(reader, query)
    return {
        "job_id": job.id,
        "db": query.split,
        "page": query.page,
        "size": query.size,
        "label": query.label,
        "total": total,
        "pages": max(1, math.ceil(total / query.size)),
        "splits": [name for name, db in SPLITS.items() if db in info.splits],
        "labels": labels,
        "searchable": reader.can_find_class,
        "kinds": ["features", "labels"] if Labels.of_records(split.meta).are_shown else ["features"],
        "records": _records(reader, indices, info.class_labels),
    }


def picture(service: Service, job: Job, split: str, index: int, thumb: bool) -> tuple[bytes, str]:
    """One record's picture and its content type. Raises NotFound when there is no such record."""
    info, found = _split(service, job, split)
    reader = open_split(service, job.id, found.name)
    if not 0 <= index < len(reader):
        raise NotFound(f"{job.name} has no record {index} in its {split} split; it has {len(reader)}.")
    return encode_picture(shown_pair(reader.feature(index), info.extra), THUMB_SIDE if thumb else 0)


def page_window(page: int, pages: int) -> list[int]:
    """The page numbers to link: the current one (beyond the end: the last) and five to either side."""
    middle = min(page, pages - 1)
    return list(range(max(0, middle - WINDOW), min(pages, middle + WINDOW + 1)))


def class_counts(info: DatasetInfo, split: SplitInfo) -> list[tuple[str, int]]:
    """Class names with the number of records that a split has of each."""
    counts = split.class_counts or (0,) * len(info.class_labels)
    return list(zip(info.class_labels, counts, strict=True))


def problems(folder: JobFolder, offset: int = 0, limit: int = 50) -> dict[str, Any]:
    """A part of the list of skipped entries and duplicates: `total` and `problems`, each a dictionary as ingest wrote it."""
    total, found = 0, []
    for _, line in read_lines(folder.problems_file):
        if offset <= total < offset + limit:
            found.append(_problem(line))
        total += 1
    return {"total": total, "offset": offset, "problems": found}


def _problem(line: bytes) -> dict[str, Any]:
    """An entry that was left out, or that its line is damaged."""
    with contextlib.suppress(ValueError, RecursionError):
        if isinstance(value := json.loads(line), dict):
            return value
    return {"split": "", "path": "", "reason": "This line of the list is damaged."}


def statistics(service: Service, job: Job) -> dict[str, Any]:
    """All figures of a data set that is done, ready for JSON; empty before."""
    info = service.folder(job.id).find_dataset_info()
    if info is None:
        return {}
    total = sum(split.entries for split in info.splits.values())
    return {
        "total": total,
        "task": info.task,
        "class_labels": list(info.class_labels),
        "labels": {short_name(name): counted for name, counted in info.extra.get("labels", {}).items()},
        "feature_shape": list(info.feature_shape) if info.feature_shape else None,
        "splits": {short_name(name): _split_dict(split, total) for name, split in info.splits.items()},
        "sizes": [list(row) for row in info.sizes],
        "size_map": size_map(info.sizes),
        "problems": info.problems,
        "left_out": info.left_out,
        "duplicates": info.duplicates,
        "content_hash": info.content_hash,
        "mean_image": info.mean_image,
    }


def size_map(sizes: tuple[tuple[int, int, int], ...]) -> dict[str, Any] | None:
    """The original sizes counted on a grid: `x` widths, `y` heights (lower edges), `z` rows of counts; None for a single size."""
    if len(sizes) < 2:
        return None
    widths, heights = _edges([w for w, _, _ in sizes]), _edges([h for _, h, _ in sizes])
    counts = [[0] * len(widths) for _ in heights]
    for width, height, count in sizes:
        counts[_bin(height, heights)][_bin(width, widths)] += count
    return {"x": widths, "y": heights, "z": counts}


def short_name(name: str) -> str:
    """`train` for `train_db`."""
    return name.removesuffix("_db")


def _split(service: Service, job: Job, name: str) -> tuple[DatasetInfo, SplitInfo]:
    require_done(service, job)
    info = service.folder(job.id).find_dataset_info()
    if info is None:
        raise NotFound(f"The records of {job.name} are gone: {service.folder(job.id).dataset_file} does not exist.")
    split = info.splits.get(SPLITS.get(name, name))
    if split is None:
        raise NotFound(f"{job.name} has no split {name!r}; it has {', '.join(map(short_name, info.splits))}.")
    return info, split


def _page_indices(reader: RecordReader, query: GalleryQuery) -> tuple[np.ndarray, int]:
    import numpy as np

    start = query.page * query.size
    if query.label is None:
        return np.arange(start, min(start + query.size, len(reader))), len(reader)
    found = reader.find_class(query.label)
    return found[start : start + query.size], len(found)


def _records(reader: RecordReader, indices: np.ndarray, names: tuple[str, ...]) -> list[dict[str, Any]]:
    if not len(indices):
        return []
    columns = {name: reader.column(name, indices) for name in ("key", "source", "original_size", "group", "shape")}
    from digits.tasks.label_forms import table_label

    kind = reader.meta.label_kind
    labels = reader.labels(indices) if kind in IN_WORDS else None  # others are shown as pictures
    rows = []
    for at, index in enumerate(indices):
        row: dict[str, Any] = {"index": int(index), **{name: _plain(values[at]) for name, values in columns.items()}}
        label, name = table_label(kind, None if labels is None else labels[at], names)
        rows.append({**row, "label": label, "label_name": name})
    return rows


def _split_dict(split: SplitInfo, total: int) -> dict[str, Any]:
    meta = split.meta
    return {
        "entries": split.entries,
        "percent": round(100 * split.entries / total, 2) if total else 0.0,
        "class_counts": list(split.class_counts),
        "skipped": split.skipped,
        "bytes": split.bytes,
        "mean": list(meta.mean),
        "std": list(meta.std),
        "dtype": meta.feature_dtype,
        "encoding": meta.feature_encoding,
        "shape": list(meta.feature_shape) if meta.feature_shape else None,
    }


def _edges(values: list[int]) -> list[int]:
    low, high = min(values), max(values)
    step = max(1, math.ceil((high - low + 1) / HEAT_BINS))
    return list(range(low, high + 1, step))


def _bin(value: int, edges: list[int]) -> int:
    step = edges[1] - edges[0] if len(edges) > 1 else 1
    return min((value - edges[0]) // step, len(edges) - 1)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
