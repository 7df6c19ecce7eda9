"""Of a network with several outputs one answers: to a training, an evaluation, a view and an archive's script alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.domain.datasets import VAL_DB
from digits.domain.events import MetricEvent
from digits.domain.inference import EvaluationSpec, main_output
from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import get_engine
from digits.extensions.view.support import shown_output
from digits.frameworks import frameworks
from digits.service.models.templates import predicting
from digits.storage.folders import JobsDir
from digits.storage.records.open import open_split
from digits.storage.snapshots import snapshot_metadata
from digits.testing.runs import make_dataset, striped_pictures, train
from tests.several_outputs import TEXTS
from tests.worker.evaluation import evaluating

SIDE = 8
DATASET, MODEL, EVALUATION = "20260102-030405-aaaa", "20260102-030405-bbbb", "20260102-030405-cccc"
OUTPUTS = {  # the output that answers, and a network that gives the opposite of it beside it
    "scores": "{'scores': scores, 'embedding': wrong}",
    "zebra": "{'zebra': scores, 'aardvark': wrong}",  # the order counts and not the alphabet
    "output": "{'another': wrong, 'output': scores}",
}


@pytest.fixture(params=["pytorch", "tensorflow"])
def framework(request: pytest.FixtureRequest) -> str:
    if not frameworks()[request.param].is_installed:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


def trained(jobs: JobsDir, framework: str, outputs: str, text_end: str = "") -> list[Any]:
    features, labels = striped_pictures(64, SIDE, seed=3)
    data = make_dataset(
        jobs.path / DATASET, features, labels, task="classification", label_kind="index", class_labels=("left", "right")
    )
    text = TEXTS[framework].replace("OUTPUTS", outputs) + text_end
    spec = TrainingSpec(DATASET, "classification", framework, text, epochs=3, batch_size=8, seed=2, use_mean="pixel")
    rate = LearningRate(0.02, "fixed")
    return train(data, jobs.path / MODEL, TrainingSpec.from_json({**spec.to_json(), "learning_rate": vars(rate)}))


def evaluated(jobs: JobsDir, framework: str, snapshot: str) -> dict[str, Any]:
    where = {"dataset_id": DATASET, "split": VAL_DB, "framework": framework, "roots": (str(jobs.path),)}
    spec = EvaluationSpec(MODEL, snapshot, 3.0, source="split", **where)
    return evaluating.run(evaluating.context_for(jobs, EVALUATION, "classification", spec))


@pytest.mark.parametrize("main", OUTPUTS)
def test_training_evaluation_views_and_archive_take_the_same_output(tmp_path: Path, framework: str, main: str) -> None:
    jobs = JobsDir(tmp_path / "jobs")
    jobs.prepare()
    events = trained(jobs, framework, OUTPUTS[main])
    scored = [e for e in events if isinstance(e, MetricEvent)]
    last = {phase: [e for e in scored if e.phase == phase][-1] for phase in ("train", "val")}
    assert last["val"].decides == "accuracy"
    assert last["train"].values["accuracy"] == last["val"].values["accuracy"] == 1.0
    assert last["val"].values["loss"] < np.log(2) / 2  # of the other output it would be above that of a guess

    (snapshot,) = (jobs.path / MODEL / "snapshots").glob("epoch_3.*")
    predictor = get_engine(framework).load(snapshot)
    records = open_split(jobs.path / DATASET, VAL_DB)
    found = predictor.predict(records.features(np.arange(len(records))))
    predictor.close()
    assert list(found) == list(eval(OUTPUTS[main], {"scores": 0, "wrong": 0}))
    truth = records.labels(np.arange(len(records)))
    np.testing.assert_array_equal(found[main].argmax(axis=1), truth)
    assert main_output(found) is found[main]
    (other,) = (found[name] for name in found if name != main)  # as the network gives it, the opposite of the scores
    np.testing.assert_allclose(found[main], np.exp(-other) / np.exp(-other).sum(axis=1, keepdims=True), rtol=1e-4)
    np.testing.assert_array_equal(shown_output(found), found[main])

    assert evaluated(jobs, framework, f"snapshots/{snapshot.name}")["top1"] == 1.0
    one, meta = {name: values[0] for name, values in found.items()}, snapshot_metadata(snapshot)
    words = predicting.words(one, meta, 1)
    assert words == [f"{found[main][0].max() * 100:6.2f} %  {('left', 'right')[int(truth[0])]}"]
    assert predicting.as_json(one, meta) == dict(zip(("left", "right"), found[main][0].tolist(), strict=True))


def test_a_loss_of_the_text_gets_all_outputs_and_metrics_the_main_one(tmp_path: Path, framework: str) -> None:
    losses = {
        "pytorch": "import torch\ndef loss(outputs, targets):\n"
        "    main = torch.nn.functional.cross_entropy(outputs['output'], targets)\n"
        "    return {'loss': main, 'sum': (outputs['another'] + outputs['output']).abs().sum()}\n",
        "tensorflow": "def loss(outputs, targets):\n"
        "    main = keras.losses.sparse_categorical_crossentropy(targets, outputs['output'], from_logits=True)\n"
        "    apart = keras.ops.sum(keras.ops.abs(outputs['another'] + outputs['output']))\n"
        "    return {'loss': main, 'sum': apart}\n",
    }
    jobs = JobsDir(tmp_path / "jobs")
    jobs.prepare()
    events = trained(jobs, framework, OUTPUTS["output"], losses[framework])
    last = [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1].values
    assert (last["accuracy"], last["sum"]) == (1.0, 0.0)


def test_an_auxiliary_output_of_keras_is_not_the_main_one(tmp_path: Path) -> None:
    if not frameworks()["tensorflow"].is_installed:
        pytest.skip("tensorflow is not installed")
    jobs = JobsDir(tmp_path / "jobs")
    jobs.prepare()
    events = trained(jobs, "tensorflow", "{'auxiliary': wrong, 'scores': scores}")
    assert [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1].values["accuracy"] == 1.0
    (snapshot,) = (jobs.path / MODEL / "snapshots").glob("epoch_3.*")
    assert evaluated(jobs, "tensorflow", f"snapshots/{snapshot.name}")["top1"] == 1.0
