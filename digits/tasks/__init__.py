"""What a data set or model is about: one module a task, all behind the contract of `tasks.base`.

`get` gives a task by its name (or an older one) that was sent, `recorded` by that of a job, `of` the task that labels make of
it (`of_dataset` those of a whole data set), `infer` that of samples whose source names none. Nothing else compares a task's name
or a label's kind.
"""

from __future__ import annotations

from digits.domain.datasets import TRAIN_DB, DatasetInfo
from digits.errors import BadRequest, StorageError
from digits.tasks.base import Labels, Task
from digits.tasks.classification import Classification
from digits.tasks.detection import Detection
from digits.tasks.generic import Generic
from digits.tasks.image_to_image import ImageToImage
from digits.tasks.multi_label import MultiLabel
from digits.tasks.regression import Regression
from digits.tasks.segmentation import Segmentation

__all__ = [
    "CLASSIFICATION",
    "GENERIC",
    "TASKS",
    "Labels",
    "Task",
    "find",
    "get",
    "infer",
    "of",
    "of_dataset",
    "of_output",
    "recorded",
    "title_of",
    "words_for",
]

TASKS: tuple[Task, ...] = (
    Classification(),
    MultiLabel(),
    Segmentation(),
    Detection(),
    Regression(),
    ImageToImage(),
    Generic(),
)
CLASSIFICATION, GENERIC = TASKS[0], TASKS[-1]  # those with an area of their own, which has their name
_BY_NAME = {name: task for task in TASKS for name in (task.name, *task.aliases)}


def find(name: str) -> Task | None:
    """The task of a name, or of another name that is understood for it; None for any other text."""
    return _BY_NAME.get(name) or _BY_NAME.get(str(name).strip().lower().replace("-", "_").replace(" ", "_"))


def get(name: str) -> Task:
    """As `find`, for what somebody sent. BadRequest where there is none."""
    found = find(name)
    if found is None:
        raise BadRequest(f"There is no task {str(name)[:80]!r}.", advice=f"Tasks are {', '.join(task.name for task in TASKS)}.")
    return found


def recorded(name: str) -> Task:
    """As `find`, for what `job.json` and the row of a job say. StorageError where there is none."""
    found = find(name)
    if found is None:
        raise StorageError(
            f"The job's task is {str(name)[:80]!r} (job.json), which this version of digits does not know.",
            advice="Start the version that made it on this jobs directory, or delete the job.",
        )
    return found


def of(name: str, labels: Labels) -> Task:
    """The task as these labels make it: the named one where they fit it, else the one whose labels they are."""
    named = get(name)
    if named.fits(labels):
        return named
    return next((task for task in TASKS if task is not GENERIC and task.adopts(labels)), GENERIC)


def of_dataset(info: DatasetInfo) -> Task:
    """The task of a whole data set: the named one where the labels of its training split fit it, else the one they make it."""
    return of(info.task, Labels.of_dataset(info)) if TRAIN_DB in info.splits else get(info.task)


def of_output(kind: str, name: str = "") -> Task:
    """The task whose outputs are of this kind, as a result has it; the named one where several are."""
    named = get(name)
    return named if named.output_kind == kind else next((task for task in TASKS if task.output_kind == kind), GENERIC)


def infer(kind: str, has_classes: bool) -> Task:
    """The task of samples whose source names none, by the kind of their labels."""
    return next((task for task in TASKS if task.claims(kind, has_classes)), GENERIC)


def title_of(name: str) -> str:
    """The word for a task on pages; the name itself of one that is not known here, as in a job folder of a newer version."""
    found = find(name)
    return found.title if found else name


def words_for(*names: str) -> str:
    """Tasks in the middle of a sentence for people: `segmentation, image to image`."""
    return ", ".join(title_of(name).lower() for name in names)
