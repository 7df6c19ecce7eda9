"""What an evaluation hands over as files: tables of everything, masks, boxes. The same for pages, JSON and commands."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from digits.domain.inference import OUTPUT, RANKED
from digits.errors import BadRequest, NotFound
from digits.service import Service
from digits.service.evaluations import results as evaluations
from digits.service.evaluations.coco import coco_results, coco_truth
from digits.service.evaluations.parquet import parquet_file
from digits.service.evaluations.results import evaluation_result, is_ranked
from digits.service.evaluations.review import list_lines, review_rows
from digits.storage.jobs.store import Job

CHUNK = 1 << 16
Rows = Iterable[Iterable[Any]]


def prediction_rows(service: Service, job: Job) -> Iterator[list[Any]]:
    """Of classes: path, true class, whether it was found, loss, up to five classes with their probabilities."""
    result = evaluation_result(service, job)
    labels = result["class_labels"]
    reader = evaluations.predictions(service, job, RANKED)
    best = [name for n in range(1, min(5, len(labels)) + 1) for name in (f"prediction {n}", f"probability {n}")]
    head = ["path", "label", "correct", "loss", *best]

    def lines() -> Iterator[list[Any]]:
        for batch in reader.batches():
            for row in batch:
                top = [value for i, score in row.top[:5] for value in (labels[i], f"{score:.6f}")]
                label = evaluations.true_class(row, result)
                yield [row.path, "" if label is None else label, "" if row.correct is None else int(row.correct), row.loss, *top]

    return chain([head], lines())


def confusion_rows(service: Service, job: Job) -> Rows:
    """The confusion matrix: rows true, columns predicted."""
    result = evaluation_result(service, job)
    lines = ([row["label"], *row["cells"], f"{row['accuracy']:.6f}"] for row in confusion(result))
    return chain([["true \\ predicted", *result["class_labels"], "accuracy"]], lines)


def class_rows(service: Service, job: Job) -> Rows:
    """The numbers of each class."""
    result = evaluation_result(service, job)
    per_class, unknown = result["per_class"], [each for each in result["unknown_classes"] if each["count"]]
    keys = list(per_class[0]) if per_class else ["label"]
    lines = [keys, *([row[key] for key in keys] for row in per_class)]
    if unknown:  # a column of its own: how many there are of what the model does not know
        blank = [""] * (len(keys) - 1)
        lines = [[*keys, "unknown"], *([*line, ""] for line in lines[1:])]
        lines += [[each["label"], *blank, each["count"]] for each in unknown]
    return lines


def sample_rows(service: Service, job: Job) -> Rows:
    """The metrics of every picture."""
    reader = evaluations.predictions(service, job, OUTPUT)
    lines = ([number, *values] for number, values in enumerate(reader.values()))
    return chain([["row", "path", "record", *reader.metrics]], lines)


TABLES: Mapping[str, Callable[[Service, Job], Rows]] = {
    "predictions.csv": prediction_rows,
    "confusion.csv": confusion_rows,
    "classes.csv": class_rows,
    "samples.csv": sample_rows,
    "review.csv": review_rows,
}
FILES = (*TABLES, "predictions.parquet", "list.txt", "masks.zip", "coco.json", "coco_truth.json")


def csv_text(rows: Rows) -> Iterator[str]:
    """The rows as CSV, some 64 KiB at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow(row)
        if buffer.tell() > CHUNK:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def file_of(service: Service, job: Job, name: str) -> Iterator[bytes]:
    """The contents of one of `FILES`. NotFound for another name, BadRequest for what an evaluation of this task does not have."""
    if name in TABLES:
        yield from (text.encode() for text in csv_text(TABLES[name](service, job)))
    elif name == "predictions.parquet":
        yield parquet_file(service, job).read_bytes()
    elif name == "list.txt":
        only = "wrong" if is_ranked(evaluation_result(service, job)) else ""
        yield from (line.encode(errors="surrogateescape") for line in list_lines(service, job, only=only))
    elif name == "masks.zip":
        yield evaluations.masks_zip(service, job).read_bytes()
    elif name == "coco.json":
        yield json.dumps(list(coco_results(service, job))).encode()
    elif name == "coco_truth.json":
        yield json.dumps(coco_truth(service, job)).encode()
    else:
        raise NotFound(f"An evaluation has no file {name!r}.", advice=f"There are {', '.join(FILES)}.")


def confusion(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the confusion matrix of classes that are there: `index`, `label`, `cells` (one number per class), `count` and
    `accuracy` of all pictures of the class, also of those that have no class because their scores are no numbers."""
    labels = result["class_labels"]
    if "confusion" not in result:
        raise BadRequest("This evaluation has no confusion matrix.", advice="The JSON of the evaluation has all numbers.")
    cells = [[0] * len(labels) for _ in labels]
    for true, predicted, count in result["confusion"]:
        cells[true][predicted] = count
    return [
        {"index": i, "label": row["label"], "cells": cells[i], "count": row["count"], "accuracy": row["accuracy"]}
        for i, row in enumerate(result["per_class"])
        if row["count"]
    ]
