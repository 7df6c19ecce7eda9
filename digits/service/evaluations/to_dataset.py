"""A new data set of pictures that were chosen in an evaluation, such as the wrong ones, with what is true of them.

Of an evaluation of a split the records are copied with their labels, whatever the task; of files those whose class is known
become a data set of classification, prepared as the model's own; classes that the model does not know follow its own. Pictures
whose label was found wrong in a review, or that are bad, are left out unless they are what was chosen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from digits.domain.datasets import CHOSEN_FILE, CHOSEN_RECORDS, ChosenRecords, DatasetSpec
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Resources
from digits.errors import BadRequest, Conflict, NotFound, StorageError
from digits.service import Service, jobs
from digits.service.damage import require_records
from digits.service.datasets.classification import create_classification_dataset
from digits.service.evaluations import results as evaluations
from digits.service.evaluations.review import VERDICTS, chosen_rows, review_of, write_rows
from digits.service.models.validation_samples import META_FILE
from digits.storage.files import read_json, write_json
from digits.storage.jobs.store import Job
from digits.storage.records import KEYS_FILE
from digits.utils.values import counted

NOT_WORTH = ("label_wrong", "picture_bad")  # verdicts of pictures from which nothing right is learnt
MOST_ROWS = 100_000
LONGEST = 255  # characters of a name


@dataclass(frozen=True)
class Sent:
    """The job of the new data set, how many pictures it gets, and how many of those chosen were left out: for what was said of
    them in the review, and because nothing is known to be true of them."""

    job: Job
    count: int
    left_out: int = 0
    unlabelled: int = 0


@dataclass(frozen=True)
class Choice:
    """Which pictures of an evaluation: these `rows`, else those of `selection` (see `results.chosen_numbers`) in its order,
    the first `most` (0: all). `words` say it."""

    selection: dict[str, Any]
    rows: Sequence[int] = ()
    most: int = 0
    words: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nothing was chosen."""
        named = any(self.selection.get(name) not in (None, "") for name in ("only", "label", "predicted", "among"))
        return not (named or self.rows or self.most)


def choice_of(
    service: Service, job: Job, rows: Sequence[int] = (), most: int = 0, *, review: str = "", **by_class: Any
) -> Choice:
    """The pictures of an evaluation by what was said of them (one of `review.CHOICES`) and by their classes (`only`, `label`,
    `predicted`), the worst first."""
    reader = evaluations.predictions(service, job)
    key, highest = evaluations.picture_key(evaluations.evaluation_result(service, job))
    among = chosen_rows(review_of(service, job), review, len(reader))
    selection = {**by_class, "among": among, "sort": key or "index", "descending": bool(key) and highest}
    return Choice(selection, rows, most, words_of(rows, most, review, **by_class))


def words_of(
    rows: Sequence[int], most: int, review: str, only: str = "", label: int | None = None, predicted: int | None = None
) -> str:
    """What is chosen, in words; empty where nothing is."""
    if rows:
        return "chosen one by one"
    words = [{"wrong": "taken for another class", "right": "recognised"}.get(only, "")]
    words += [f"reviewed: {VERDICTS.get(review, review).lower()}"] if review else []
    words += [
        f"{name} {number}" for name, number in (("true class", label), ("predicted class", predicted)) if number is not None
    ]
    words += [f"the first {most:,}"] if most else []
    return ", ".join(filter(None, words))


def to_dataset(
    service: Service, job: Job, choice: Choice, *, name: str = "", group: str = "", percent_val: float = 0.0, owner: str = ""
) -> Sent:
    """Make the data set. Without a choice those that were wrong are taken, where pictures have a class each. Raises Conflict
    while the evaluation runs, BadRequest where there is nothing to send, NotFound for rows that there are not."""
    if not 0 <= percent_val < 100:
        raise BadRequest(f"percent_val is {percent_val:g}, expected 0 or more and less than 100.")
    if wrong := next((text for text in (name, group) if len(text) > LONGEST), ""):
        raise BadRequest(f"{wrong[:40]!r}… is too long for a name or a group; at most {LONGEST} characters.")
    result = evaluations.evaluation_result(service, job)
    reader = evaluations.predictions(service, job)
    ranked = evaluations.is_ranked(result)
    if choice.is_open:
        if not ranked or not result["labelled"]:
            raise BadRequest(
                "Say which pictures: with `row`, `review`, or `most` for so many of the worst.",
                advice="Only of pictures with a class each it is known which are wrong.",
            )
        choice = Choice({**choice.selection, "only": "wrong"}, words="taken for another class")
    numbers = _rows(choice.rows, len(reader)) if choice.rows else evaluations.chosen_numbers(reader, **choice.selection).tolist()
    review, kept = review_of(service, job), numbers
    if not choice.rows and choice.selection.get("among") is None:
        kept = [row for row in numbers if row not in review or review[row].verdict not in NOT_WORTH]
    left_out = len(numbers) - len(kept)
    kept = kept[: choice.most] if choice.most else kept
    if len(kept) > MOST_ROWS:
        raise BadRequest(
            f"{len(kept):,} pictures are chosen; at most {MOST_ROWS:,} go at once.", advice="Choose fewer with `most`."
        )
    if not kept:
        raise BadRequest("None of the pictures is as it was chosen.", advice="Choose others; see its page.")
    spec = EvaluationSpec.from_json(service.folder(job.id).spec())
    title = name.strip() or f"{job.name}: {choice.words or 'chosen pictures'}"[:LONGEST]
    about = {"evaluation": job.id, "model": spec.model_id, "chosen": choice.words or "chosen pictures"}
    if spec.source == "split":
        records = sorted({row.record for row in reader.rows(kept) if row.record >= 0})
        made = _of_records(service, spec, records, about, title, group, percent_val, owner)
        found = Sent(made, len(records), left_out)
    else:
        found = _of_files(service, job, spec, kept, about, title, group, percent_val, owner, left_out)
    notes = f"{counted(found.count, 'picture')} of the evaluation “{job.name}” (/evaluations/{job.id}), {about['chosen']}."
    jobs.edit(service, found.job, notes=notes)
    return found


def _rows(rows: Sequence[int], count: int) -> list[int]:
    if wrong := [row for row in rows if not 0 <= row < count]:
        raise NotFound(f"This evaluation has no row {wrong[0]}; it has {count:,}.")
    return list(dict.fromkeys(rows))


def _of_records(
    service: Service,
    spec: EvaluationSpec,
    records: Collection[int],
    about: dict[str, str],
    name: str,
    group: str,
    percent_val: float,
    owner: str,
) -> Job:
    """The job that copies records of the split that was evaluated."""
    source = service.store.find(spec.dataset_id)
    if source is None:
        raise Conflict(
            "The data set that was evaluated is gone, so its records cannot be copied.", advice="Evaluate another one."
        )
    require_records(service, source.id)
    if (service.folder(source.id).path / spec.split / KEYS_FILE).is_file():
        raise BadRequest(
            f"{source.name} is used in place where it lies, in a database of others, of which no part can be copied.",
            advice="Take the list of the pictures (list.txt).",
        )
    chosen = ChosenRecords(source.id, spec.split, percent_val, about)
    with jobs.claimed_job_id(service) as job_id:
        write_json(service.folder(job_id).path / CHOSEN_FILE, list(records))
        return jobs.create_job(
            service,
            job_id=job_id,
            kind=Kind.DATASET,
            task=source.task,
            type_name=source.type_name,
            name=name,
            group=group,
            owner=owner,
            form={"dataset_name": name, "group_name": group, **about, "records": f"{len(records):,} of {source.name}"},
            spec=DatasetSpec(CHOSEN_RECORDS, task=str(source.task), extension_data=asdict(chosen)).to_json(),
            resources=Resources("analyze_db"),
            extension=CHOSEN_RECORDS,
            summary={key: source.summary[key] for key in ("channels", "backend", "width", "height") if key in source.summary},
        )


def _of_files(
    service: Service,
    job: Job,
    spec: EvaluationSpec,
    rows: Sequence[int],
    about: dict[str, str],
    name: str,
    group: str,
    percent_val: float,
    owner: str,
    left_out: int,
) -> Sent:
    """A data set of classification out of files whose class is known, prepared as the model's own pictures."""
    if not evaluations.is_ranked(evaluations.evaluation_result(service, job)):
        raise BadRequest(
            "What is true of these files is not known: of files only classes can be, by the list or folder they stand in.",
            advice="Evaluate a split of a data set, or take the list of the pictures (list.txt).",
        )
    listed, labels, count = write_rows(service, job, rows, only_known=True)
    if not count:
        raise BadRequest(
            "The class of none of these pictures is known.", advice="Take their list (list.txt), or label them first."
        )
    values = {
        "dataset_name": name,
        "group_name": group,
        "method": "textfile",
        "textfile_train_images": str(listed),
        "textfile_labels_file": str(labels),
        "textfile_use_val": "",
        "textfile_pct_val": f"{percent_val:g}",
        **_preparation(service, spec),
    }
    made = create_classification_dataset(service, values, owner)
    return Sent(made, count, left_out, len(rows) - count)


def _preparation(service: Service, spec: EvaluationSpec) -> dict[str, Any]:
    """How the model's own pictures were prepared, as fields of the form."""
    try:
        meta = read_json(service.folder(spec.model_id).path / META_FILE)
    except StorageError as error:
        raise Conflict(
            "The model that was evaluated is gone, and with it how its pictures were prepared.",
            advice="Take the list of the pictures (list.txt).",
        ) from error
    how = meta.get("image") or {}
    channels, height, width = meta.get("stored_shape") or meta["input_shape"]
    size = {"resize_width": how.get("width") or width, "resize_height": how.get("height") or height}
    mode = {"resize_mode": how["resize_mode"]} if how.get("resize_mode") else {}
    keeps = {"keep_size": "1"} if how.get("keep_size") else {}
    lossy = {"encoding": "jpg"} if how.get("feature_encoding") == "jpg" else {}
    return {**size, **mode, **keeps, **lossy, "resize_channels": channels if channels in (1, 3) else 0}
