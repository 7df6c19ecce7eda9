"""A training that is done again gives the same, and where it does not, what differs between the two is said."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.config import Settings
from digits.domain.datasets import HASH_KIND
from digits.domain.events import StatusEvent
from digits.domain.jobs import Status
from digits.domain.reproduction import Difference, difference, reasons, verdict
from digits.errors import BadRequest, NotFound
from digits.service import Service
from digits.service.models import moving
from digits.service.models.create import create_models, model_dict
from digits.service.models.reproduce import reproduce
from digits.storage.files import read_json, write_json
from digits.storage.jobs.store import Job
from digits.storage.seals import seal
from digits.worker import training
from digits.worker.reproduction import judge, largest_distance
from digits.worker.runtime import WorkerContext
from tests.service.finished_dataset import class_folder, finished_dataset
from tests.worker.test_export import TEXT

SAME = {("val", 1, "loss"): 0.5, ("train", 1, "loss"): math.nan}
MAE = ("val", 1, "mae")
TORCH = ["torch was 2.1 and is 2.2"]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (SAME, SAME, Difference(2)),
        (SAME, {**SAME, ("val", 1, "loss"): 0.6}, Difference(2, 1, 0, pytest.approx(0.1), "loss (val) at step 1")),
        (
            {("val", 1, "mae"): 1000.0},
            {("val", 1, "mae"): 1001.0},
            Difference(1, 1, 0, pytest.approx(1e-3), "mae (val) at step 1"),
        ),
        (SAME, {("val", 1, "loss"): math.inf}, Difference(1, 1, 1, math.inf, "loss (val) at step 1")),
        ({}, {}, Difference()),
    ],
)
def test_two_runs_are_compared_value_by_value(one: Any, other: Any, found: Difference) -> None:
    assert difference(one, other) == found


def test_what_two_runs_were_made_of_is_compared_where_both_say_it() -> None:
    hashes = [{"dataset": name, "dataset_hash_kind": HASH_KIND} for name in "ab"]
    versions = [{"torch": "2.1", "numpy": "2"}, {"torch": "2.2", "numpy": "2"}]
    one = {"threads": 4, **hashes[0], "versions": versions[0], "settings": {"epochs": 3, "old": 1}}
    other = {"threads": 2, **hashes[1], "seed": 1, "versions": versions[1], "settings": {"epochs": 5}}
    assert reasons(one, other) == [
        "the records of the data set differ",
        "the number of threads differs (4 there, 2 here)",
        "the setting epochs differs (3 there, 5 here)",
        "torch was 2.1 and is 2.2",
    ]
    assert reasons({}, other) == ["numpy was not there and is 2", "torch was not there and is 2.2"]


@pytest.mark.parametrize(
    ("hashes", "kinds", "counts", "said"),
    [
        (("a", "a"), (0, 2), (9, 9), None),
        (("a", "b"), (2, 2), (9, 9), "the records of the data set differ"),
        (("a", "b"), (0, 2), (9, 9), "perhaps the records of the data set, whose hashes are of another kind, differ"),
        (("a", "b"), (0, 0), (9, 9), "perhaps the records"),  # some of the earlier versions counted labels, some did not
        (("", "b"), (0, 2), (9, 9), "whose hashes are not known"),
        (("a", "b"), (0, 2), (9, 8), "other numbers of records (train_db 9 there, train_db 8 here)"),
    ],
)
def test_hashes_of_different_kinds_say_nothing_of_the_records(hashes: Any, kinds: Any, counts: Any, said: str | None) -> None:
    one, other = (
        {"dataset": own, "dataset_hash_kind": kind, "splits": {"train_db": count}}
        for own, kind, count in zip(hashes, kinds, counts, strict=True)
    )
    assert [said in reason for reason in reasons(one, other)] == ([True] if said else [])


@pytest.mark.parametrize(
    ("values", "weights", "causes", "begins"),
    [
        (Difference(9), Difference(4), [], "matches exactly: 9 values and all 4 weight tensors"),
        (Difference(9), Difference(4), TORCH, "matches exactly"),
        (
            Difference(9, 1, 0, 1e-6, "loss"),
            Difference(4),
            ["torch was 2.1 and is 2.2"],
            "within 1e-06: that much differs loss; torch",
        ),
        (Difference(9), Difference(4, 1, 0, 0.5, "fc.weight"), TORCH, "differs because torch was 2.1"),
        (Difference(9, 5, 0, 0.5, "loss"), Difference(4), [], "differs because something that is not recorded"),
        (Difference(9, 0, 3), Difference(4), [], "differs because one of the two has values"),
        (Difference(), Difference(), [], "differs because the two runs have no values in common"),
        (
            Difference(10),
            Difference(),
            [],
            "matches exactly: 10 values are the same, bit for bit; no weights were kept to compare",
        ),
        (Difference(9, 1, 0, 1e-6, "loss"), Difference(), TORCH, "within 1e-06: that much differs loss; no weights were kept"),
        (Difference(10), Difference(0, 0, 8), [], "differs because one of the two has weights that the other has not"),
        (Difference(10), Difference(0, 0, 8), TORCH, "differs because torch was 2.1"),
        (Difference(10), Difference(4, 1, 0, 0.0, ""), [], "differs because something that is not recorded is another: "),
    ],
)
def test_the_verdict_is_one_sentence(values: Difference, weights: Difference, causes: list[str], begins: str) -> None:
    assert verdict(values, weights, causes).startswith(begins)


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ([1.0, math.nan], [1.0, 2.0], math.inf),  # of a run that diverged
        ([math.nan, math.nan], [1.0, 2.0], math.inf),
        ([math.nan, 1.0], [math.nan, 1.25], 0.25),
        ([math.inf, 1.0], [math.inf, 1.25], 0.25),
        ([math.inf], [-math.inf], math.inf),
        ([1000.0], [1001.0], pytest.approx(1e-3)),
        ([], [], 0.0),
    ],
)
def test_weights_that_are_no_numbers_are_far_from_those_that_are(one: list[float], other: list[float], found: float) -> None:
    assert largest_distance(np.array(one, np.float32), np.array(other, np.float32)) == found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    found = open_service(tmp_path_factory.mktemp("first"))
    yield found
    found.close()


def open_service(root: Path) -> Service:
    return Service.open(Settings(jobs_dir=str(root / "jobs"), auth=False, data_dirs=str(root.parent)))


def dataset_in(service: Service, folder: Path) -> Job:
    rng = np.random.default_rng(3)
    features = {
        name: rng.integers(0, 255, (count, 3, 8, 8)).astype(np.uint8) for name, count in (("train_db", 12), ("val_db", 6))
    }
    labels = {name: np.arange(len(found)) % 3 for name, found in features.items()}
    return finished_dataset(service, class_folder(folder / "pictures", per_class=4), features, labels)


def run(service: Service, job: Job) -> None:
    """Train as the worker does."""
    folder = service.folder(job.id)
    context = WorkerContext(folder, service.jobs_dir, folder.request(), 1, 1, (), 60)
    try:
        training.run(context)
        context.emit(seal(folder))
        context.emit(StatusEvent(status="D"))
    finally:
        context.writer.close()
    for state in (Status.WAIT, Status.RUN, Status.DONE):
        service.store.transition(job.id, state)
    folder.write_state({"status": "D", "attempt": 1})


@pytest.fixture(scope="module")
def model(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Job:
    dataset = dataset_in(service, tmp_path_factory.mktemp("data"))
    form = {"model_name": "m", "dataset": dataset.id, "method": "custom", "custom_network": TEXT, "train_epochs": 2}
    (job,) = create_models(service, "classification", {**form, "random_seed": 7, "aug_flip": "fliplr", "batch_size": 4})
    with pytest.raises(BadRequest, match="only a training that is done"):
        reproduce(service, job)
    run(service, job)
    return service.store.get(job.id)


def test_a_training_is_done_again_bit_for_bit(service: Service, model: Job) -> None:
    again = reproduce(service, model, "me")
    assert again.name == "m (done again)"
    assert model_dict(service, again, verbose=True)["verdict"] == ""
    run(service, again)
    said = model_dict(service, service.store.get(again.id), verbose=True)
    assert said["verdict"].startswith("matches exactly"), said
    assert (said["reproduces"], said["reproduction"]["weights"]["compared"]) == (model.id, 2)
    assert "verdict" not in model_dict(service, model, verbose=True)
    folder = service.folder(again.id)
    write_json(folder.capsule_file, {**read_json(folder.capsule_file), "threads": 3})
    events = folder.events_file.read_text().splitlines(keepends=True)
    lines = [line for line in events if not (line.startswith('{"type":"metric"') and '"phase":"val"' in line)]
    folder.events_file.write_text("".join(lines))
    context = WorkerContext(folder, service.jobs_dir, folder.request(), 1, 1, (), 60)
    judge(context, model.id)
    context.writer.close()
    assert "differs because the number of threads differs (1 there, 3 here)" in read_json(folder.reproduction_file)["verdict"]


def test_it_is_done_again_on_another_server_that_has_the_records(service: Service, model: Job, tmp_path: Path) -> None:
    archive = moving.export_model(service, model, tmp_path / "m.tar")
    other = open_service(tmp_path)
    dataset = dataset_in(other, tmp_path)
    job = moving.import_model(other, archive)
    again = reproduce(other, job)
    assert again.dataset_id == dataset.id
    run(other, again)
    assert model_dict(other, other.store.get(again.id), verbose=True)["verdict"].startswith("matches exactly")
    info = other.folder(dataset.id).dataset_file
    info.write_text(json.dumps({**json.loads(info.read_text()), "content_hash": "cd" * 32}))
    with pytest.raises(NotFound, match=r"content hash abab.*Hashes of another kind .* have .*which have as many records"):
        reproduce(other, job)
    named = reproduce(other, job, dataset_id=dataset.id)
    assert named.dataset_id == dataset.id
    found = json.loads(info.read_text())
    info.write_text(json.dumps({**found, "extra": {**found["extra"], "hash_kind": HASH_KIND}}))
    capsule = other.folder(job.id).capsule_file
    write_json(capsule, {**read_json(capsule), "dataset_hash_kind": HASH_KIND})
    with pytest.raises(NotFound, match="content hash abab") as missing:
        reproduce(other, job)
    assert "another kind" not in str(missing.value)
    with pytest.raises(BadRequest, match="has other records"):
        reproduce(other, job, dataset_id=dataset.id)
    other.close()
