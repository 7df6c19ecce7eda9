"""What a data set, and each model requested before this was known, is for: `dataset.json` says it, folder and row follow.

Only the records show what a plugin's data set, or one of databases, is for. Folders of earlier versions say there what was known
before the records, or leave the models of such a data set at that; they are brought up to date here.
"""

from __future__ import annotations

from dataclasses import replace

from digits.domain.jobs import Kind, Status
from digits.storage.files import write_json
from digits.storage.folders import JobsDir
from digits.storage.jobs.store import Job, JobQuery, JobStore
from digits.tasks import GENERIC, of_dataset


def unsettled(store: JobStore) -> list[Job]:
    """Whole data sets whose row, or whose model's row, does not say what they are for; those of which nothing says it too."""
    open_sets = store.query(JobQuery(kind=Kind.DATASET, task=GENERIC.name, statuses=[str(Status.DONE)])).jobs
    models = store.query(JobQuery(kind=Kind.MODEL, task=GENERIC.name)).jobs
    parents = [store.find(dataset_id) for dataset_id in {model.dataset_id for model in models} - {job.id for job in open_sets}]
    return open_sets + [job for job in parents if job is not None and job.status == Status.DONE]


def settle(jobs_dir: JobsDir, store: JobStore, dataset: Job) -> None:
    """Let files and row of a whole data set, and of its models, say what its records are for. Raises StorageError."""
    folder = jobs_dir.folder(dataset.id)
    info = folder.find_dataset_info()
    if info is None:
        return
    task = of_dataset(info).name
    if task != info.task:
        write_json(folder.dataset_file, replace(info, task=task).to_json())
    folder.settle_task()
    if task != dataset.task:
        store.update(dataset.id, task=task)
    for model in store.children(dataset.id):
        if model.kind == Kind.MODEL and model.task == GENERIC.name != task:
            jobs_dir.folder(model.id).name_task(task)
            store.update(model.id, task=task)
