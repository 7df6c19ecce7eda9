"""What data sets and models are for: `dataset.json`, `job.json` and the row say the same, also those of earlier versions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from digits.domain.jobs import Kind, Status
from digits.storage.jobs.store import Job
from digits.supervisor.settling import settle, unsettled
from digits.testing.runs import make_dataset
from tests.builders import make_job
from tests.supervisor.conftest import World

MAPS = (np.arange(6 * 64).reshape(6, 1, 8, 8) % 2).astype(np.uint8)
SORTS = {  # labels (N, …), their kind, class names, and what they are for
    "regression": (np.zeros((6, 2), np.float32), "vector", ()),
    "classification": (np.arange(6) % 2, "index", ("a", "b")),
    "segmentation": (MAPS, "map", ("a", "b")),
    "generic": (MAPS.astype(np.float32), "array", ()),
}


def old_set(world: World, task: str) -> tuple[Job, list[Job]]:
    """A data set of an earlier version, and two models that were requested while it was made: one waits, one is done."""
    dataset = make_job(world.service, Kind.DATASET, status=Status.DONE, task="generic", spec={"task": "generic"})
    labels, kind, names = SORTS[task]
    folder = world.service.folder(dataset.id).path
    make_dataset(
        folder, np.zeros((6, 1, 8, 8), np.uint8), labels, task="generic", label_kind=kind, class_labels=names, validation=2
    )
    spec = {"task": "generic", "dataset_id": dataset.id}
    made = [make_job(world.service, status=status, task="generic", parents=(dataset.id,), spec=spec) for status in ("W", "D")]
    return dataset, made


def told(world: World, job: Job) -> set[str]:
    """Every task that row and files of a job name."""
    folder = world.service.folder(job.id)
    request = folder.request()
    files = [json.loads(folder.dataset_file.read_text())["task"]] if job.kind == Kind.DATASET else []
    return {world.get(job).task, request.task, request.spec["task"], *files}


@pytest.mark.parametrize("task", SORTS)
def test_folders_of_earlier_versions_say_what_their_records_are_for(world: World, task: str) -> None:
    dataset, models = old_set(world, task)
    settle(world.service.jobs_dir, world.service.store, world.get(dataset))
    assert [told(world, job) for job in (dataset, *models)] == [{task}] * 3
    assert (unsettled(world.service.store) == []) == (task != "generic")


def test_the_next_start_settles_them_and_what_only_models_lack(world: World) -> None:
    dataset, models = old_set(world, "segmentation")
    world.supervise()
    assert [told(world, job) for job in (dataset, *models)] == [{"segmentation"}] * 3
    world.service.store.update(models[1].id, task="generic")  # as the version before left it
    world.service.folder(models[1].id).name_task("generic")
    world.supervise()
    assert told(world, models[1]) == {"segmentation"}
