"""What people say of the pictures of an evaluation: the label is wrong, the picture is bad, the model is wrong.

Each verdict is a line of `review.jsonl` in the job's folder, so that nothing is lost and several may look at once; of a picture
the last line counts, and one without a verdict takes it back.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.domain.classes import NO_CLASS
from digits.errors import BadRequest, NotFound
from digits.service import Service
from digits.service.evaluations import results as evaluations
from digits.storage.events import read_lines
from digits.storage.files import atomic, cannot_write
from digits.storage.jobs.store import Job

if TYPE_CHECKING:
    import numpy as np

FILE = "review.jsonl"
VERDICTS = {"label_wrong": "Label wrong", "picture_bad": "Picture bad", "model_wrong": "Model wrong"}
ANY, NONE = "any", "none"
CHOICES = (ANY, NONE, *VERDICTS)  # by which pictures are chosen
MOST_AT_ONCE = 10_000
LIST_FILE, LABELS_FILE = "chosen_pictures.txt", "chosen_labels.txt"
_writing = threading.Lock()  # one process writes


@dataclass(frozen=True)
class Verdict:
    """On one picture: `row` of the evaluation, a key of `VERDICTS`, who said it and when (seconds since 1970)."""

    row: int
    verdict: str
    user: str
    time: float


def review_of(service: Service, job: Job) -> dict[int, Verdict]:
    """What is said of each picture, by row; lines that cannot be read are left out."""
    found: dict[int, Verdict] = {}
    path = service.folder(job.id).path / FILE
    for _, line in read_lines(path) if path.is_file() else ():
        with contextlib.suppress(ValueError, RecursionError, TypeError, KeyError):
            value = json.loads(line)
            row, verdict = int(value["row"]), str(value["verdict"])
            found.pop(row, None)
            if verdict in VERDICTS:
                found[row] = Verdict(row, verdict, str(value.get("user", "")), float(value.get("time", 0)))
    return found


def counts_of(review: dict[int, Verdict]) -> dict[str, int]:
    """How many pictures have each verdict."""
    counts = Counter(each.verdict for each in review.values())
    return {name: counts[name] for name in VERDICTS}


def judge(service: Service, job: Job, rows: Sequence[int], verdict: str, user: str) -> None:
    """Say `verdict` of pictures, or take back what was said (empty). BadRequest, NotFound for rows that there are not."""
    if verdict and verdict not in VERDICTS:
        raise BadRequest(
            f"verdict is {verdict!r}, expected one of {', '.join(VERDICTS)}.", advice="Leave it empty to take one back."
        )
    if not rows or len(rows) > MOST_AT_ONCE:
        raise BadRequest(f"Send 1 to {MOST_AT_ONCE:,} rows.", advice="`row` may be repeated.")
    count = len(evaluations.predictions(service, job))
    if wrong := [row for row in rows if not 0 <= row < count]:
        raise NotFound(f"This evaluation has no row {wrong[0]}; it has {count:,}.")
    now = time.time()
    lines = "".join(json.dumps({"row": row, "verdict": verdict, "user": user, "time": now}) + "\n" for row in rows)
    path = service.folder(job.id).path / FILE
    with _writing:
        try:
            _append(path, lines.encode())
        except OSError as error:
            raise cannot_write(error, path) from error


def _append(path: Path, data: bytes) -> None:
    """Add whole lines; a line that a crash left torn is ended before them."""
    with open(path, "ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            data = (b"" if file.read(1) == b"\n" else b"\n") + data
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def chosen_rows(review: dict[int, Verdict], wanted: str, count: int) -> set[int] | None:
    """The rows that a choice of `CHOICES` means, of `count`; None: all."""
    if not wanted:
        return None
    if wanted == NONE:
        return set(range(count)) - set(review)
    return {row for row, each in review.items() if wanted in (ANY, each.verdict)}


def review_rows(service: Service, job: Job) -> Iterator[list[Any]]:
    """A table of what was said: row, path, record, true and predicted class where there are such, verdict, user, time."""
    review = review_of(service, job)
    result = evaluations.evaluation_result(service, job)
    reader, labels = evaluations.predictions(service, job), result["class_labels"]
    numbers = sorted(row for row in review if row < len(reader))

    def lines() -> Iterator[list[Any]]:
        for row in reader.rows(numbers):
            said = review[row.index]
            true = evaluations.true_class(row, result) if reader.is_ranked else None
            best = labels[row.top[0][0]] if row.top else ""
            yield [row.index, row.path, row.record, true or "", best, said.verdict, said.user, f"{said.time:.0f}"]

    return chain([["row", "path", "record", "label", "predicted", "verdict", "user", "time"]], lines())


def list_lines(service: Service, job: Job, **selection: Any) -> Iterator[str]:
    """Lines `path [class-number]` of the chosen pictures (see `results.prediction_page`), as a list of pictures has them; the
    number is that of the true class among the model's. Pictures without a file (a path) are left out."""
    reader = evaluations.predictions(service, job)
    numbers = evaluations.chosen_numbers(reader, **selection)  # refused here, not while the answer is on its way

    def lines() -> Iterator[str]:
        for start in range(0, len(numbers), 4096):
            for row in reader.rows(numbers[start : start + 4096]):
                if row.path and "\n" not in row.path:
                    yield f"{row.path} {row.label}\n" if row.label >= 0 else f"{row.path}\n"

    return lines()


def write_list(service: Service, job: Job, **selection: Any) -> tuple[Path, Path | None, int]:
    """Write the chosen pictures as a list into the job's folder, with the names of the classes where pictures have one each: what
    *New data set* takes. The two files and the number of pictures. BadRequest where there is none."""
    reader = evaluations.predictions(service, job)
    found = write_rows(service, job, evaluations.chosen_numbers(reader, **selection))
    if not found[2]:
        raise BadRequest("None of the pictures is as it was chosen, or none of them has a file.", advice="Choose others.")
    return found


def write_rows(
    service: Service, job: Job, numbers: Sequence[int] | np.ndarray, *, only_known: bool = False
) -> tuple[Path, Path | None, int]:
    """Write the pictures of rows `numbers` (n,) that have a file (a path) as `path [class-number]`, and the names of the classes
    where pictures have one each: the model's, then those of these pictures that it does not know. `only_known` leaves out
    pictures without a class. The two files and the number of pictures."""
    result, reader = evaluations.evaluation_result(service, job), evaluations.predictions(service, job)
    folder = service.folder(job.id).path
    found: list[tuple[str, int, int]] = []
    for start in range(0, len(numbers), 4096):
        rows = reader.rows(numbers[start : start + 4096])
        found += [(row.path, row.label, row.unknown_label) for row in rows if row.path and "\n" not in row.path]
    names, others = list(result["class_labels"]), sorted({other for *_, other in found if other >= 0})
    places = {other: len(names) + place for place, other in enumerate(others)}
    names += [str(result["unknown_classes"][other]["label"]) for other in others]
    listed = [(path, label if label >= 0 else places.get(other, NO_CLASS)) for path, label, other in found]
    listed = [(path, number) for path, number in listed if number >= 0 or not only_known]
    with atomic(folder / LIST_FILE, "w") as file:
        file.writelines(f"{path} {number}\n" if number >= 0 else f"{path}\n" for path, number in listed)
    if not evaluations.is_ranked(result):
        return folder / LIST_FILE, None, len(listed)
    with atomic(folder / LABELS_FILE, "w") as file:
        file.writelines(f"{name}\n" for name in names)
    return folder / LIST_FILE, folder / LABELS_FILE, len(listed)


def as_json(review: dict[int, Verdict]) -> dict[str, Any]:
    """`counts` by verdict, and `rows`: what is said of each picture."""
    return {"counts": counts_of(review), "rows": {str(row): asdict(each) for row, each in sorted(review.items())}}
