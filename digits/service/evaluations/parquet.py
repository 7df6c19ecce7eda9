"""What an evaluation kept of each picture as one Parquet file, readable without digits: numbers and names, no packed arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.service import Service
from digits.service.evaluations import results as evaluations
from digits.storage.files import atomic
from digits.storage.jobs.store import Job
from digits.tasks.base import BOXES, CLASSES, NUMBERS
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from digits.storage.predictions import Row

FILE = "predictions.parquet"
WITHOUT_TRUTHS = "predictions_without_truths.parquet"
AT_ONCE = 4096
MOST_NUMBERS = 1 << 20  # probabilities that are written at a time
EVERY = "probabilities"
WITH_TRUTH = (CLASSES, NUMBERS)


def parquet_file(service: Service, job: Job) -> Path:
    """The file, made once and kept with the job; columns are `row`, `path`, `record` (-1 of a file), then

    * of one class for each picture `label`, `predicted` (names, null where not known), `probability`, `correct`, `loss`, `best`
      (names, best first) and `scores` of these, and of at most 1,000 classes `probabilities` (all, in the order of the classes);
    * of every other task its metrics of one picture; of numbers and labels `output` and, where it is known, `truth`; of boxes
      `boxes` (left, top, right, bottom in the record's pixels, score, class). Maps and pictures are not in it.

    The schema's metadata has `class_labels` as JSON. A file without the truth that records have, since these cannot be read for
    now, is made anew each time. Raises Conflict, StorageError.
    """
    import json

    import numpy as np
    import pyarrow.parquet as pq

    path = service.folder(job.id).path / FILE
    if path.is_file():
        return path
    result = evaluations.evaluation_result(service, job)
    reader = evaluations.predictions(service, job)
    about = {b"class_labels": json.dumps(result["class_labels"]).encode(), b"name": job.name.encode(errors="replace")}
    every = reader.probabilities() if reader.is_ranked else None
    truth = evaluations.truths(service, job, result) if result["kind"] in WITH_TRUTH else _nothing
    if truth is None:
        path, truth = path.with_name(WITHOUT_TRUTHS), _nothing
    step = AT_ONCE if every is None else max(1, min(AT_ONCE, MOST_NUMBERS // every.shape[1]))
    schema = (_ranked_schema(every is not None) if reader.is_ranked else _schema(result, reader.metrics)).with_metadata(about)
    with atomic(path) as handle, pq.ParquetWriter(handle, schema, compression="zstd") as writer:
        for rows in reader.batches(AT_ONCE):
            if reader.is_ranked:
                values = [_ranked(row, result) for row in rows]
            else:
                values = [_with_output(row, truth(row), result) for row in rows]
            for part in range(0, len(rows), step):
                some = slice(part, part + step)
                numbers = None if every is None else every[np.array([row.index for row in rows[some]])]
                writer.write_table(_table(values[some], schema, numbers))
    return path


def _nothing(row: Row) -> None:
    """The truth where none is written."""


def _table(values: Sequence[dict[str, Any]], schema: pa.Schema, probabilities: np.ndarray | None) -> pa.Table:
    """Rows as a table; `probabilities` (n, K) of them, null where they are no numbers."""
    import numpy as np
    import pyarrow as pa

    if probabilities is None:
        return pa.Table.from_pylist(list(values), schema=schema)
    table = pa.Table.from_pylist(list(values), schema=schema.remove(schema.get_field_index(EVERY)))
    flat = probabilities.ravel()
    numbers = pa.array(flat, pa.float32(), mask=~np.isfinite(flat))
    ends = np.arange(len(probabilities) + 1, dtype=np.int32) * probabilities.shape[1]
    return table.append_column(schema.field(EVERY), pa.ListArray.from_arrays(pa.array(ends), numbers))


def _fields() -> list[tuple[str, Any]]:
    import pyarrow as pa

    return [("row", pa.int64()), ("path", pa.string()), ("record", pa.int64())]


def _ranked_schema(has_all: bool) -> pa.Schema:
    import pyarrow as pa

    named = [("label", pa.string()), ("predicted", pa.string()), ("probability", pa.float64()), ("correct", pa.bool_())]
    lists = [("loss", pa.float64()), ("best", pa.list_(pa.string())), ("scores", pa.list_(pa.float32()))]
    return pa.schema([*_fields(), *named, *lists, *([(EVERY, pa.list_(pa.float32()))] if has_all else [])])


def _schema(result: dict[str, Any], metrics: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    box = [(name, pa.float32()) for name in ("x0", "y0", "x1", "y1", "score")]
    own: list[tuple[str, Any]] = []
    if result["kind"] == BOXES:
        own = [("boxes", pa.list_(pa.struct([*box, ("label", pa.string())])))]
    elif result["kind"] in WITH_TRUTH:
        own = [("output", pa.list_(pa.float32())), ("truth", pa.list_(pa.float64()))]
    return pa.schema([*_fields(), *((name, pa.float64()) for name in metrics), *own])


def _ranked(row: Row, result: dict[str, Any]) -> dict[str, Any]:
    labels = result["class_labels"]
    return {
        "row": row.index,
        "path": row.path,
        "record": row.record,
        "label": evaluations.true_class(row, result),
        "predicted": labels[row.top[0][0]] if row.top else None,
        "probability": row.top[0][1] if row.top else None,
        "correct": row.correct,
        "loss": row.loss,
        "best": [labels[number] for number, _ in row.top],
        "scores": [score for _, score in row.top],
    }


def _with_output(row: Row, truth: Any, result: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"row": row.index, "path": row.path, "record": row.record, **row.values}
    labels = dict(enumerate(result["class_labels"]))
    if result["kind"] == BOXES:
        names = ("x0", "y0", "x1", "y1", "score")
        found["boxes"] = [
            {**dict(zip(names, box[:5], strict=True)), "label": labels.get(int(box[5])) if math.isfinite(box[5]) else None}
            for box in row.output.reshape(-1, 6).astype(float).tolist()
        ]
    elif result["kind"] in WITH_TRUTH:
        found |= {"output": _numbers(row.output), "truth": None if truth is None else _numbers(truth)}
    return found


def _numbers(array: Any) -> list[float | None]:
    import numpy as np

    return [finite(value) for value in np.asarray(array).ravel().astype(float).tolist()]
