"""What a job gets comes back from `job.json` with its types, also from jobs made before its settings had fields."""

from __future__ import annotations

import json

from digits.domain.inference import EvaluationSpec
from digits.domain.training import TaskOptions, TrainingSpec

OLD_EVALUATION = {"model_id": "20260101-000000-abcd", "snapshot": "snapshots/epoch_1.safetensors", "epoch": 1.0, "source": "list"}


def test_a_training_comes_back_with_its_types() -> None:
    for options in (TaskOptions(), TaskOptions("root", 0.3), TaskOptions((1.0, 2.0)), TaskOptions(label_thresholds=(0.5, 0.25))):
        spec = TrainingSpec("x", "detection", options=options)
        assert TrainingSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_older_trainings_name_only_what_was_set() -> None:
    for old, read in (
        ({}, TaskOptions()),
        ({"class_weights": "frequency"}, TaskOptions("frequency")),
        ({"class_weights": [1, 2]}, TaskOptions((1, 2))),
        ({"score_threshold": 0.3}, TaskOptions(score_threshold=0.3)),
        ({"label_thresholds": None}, TaskOptions()),
    ):
        assert TrainingSpec.from_json({"dataset_id": "x", "task": "detection", "options": old}).options == read
    assert TrainingSpec.from_json({"dataset_id": "x", "task": "detection"}).options == TaskOptions()


def test_an_evaluation_comes_back_with_its_types() -> None:
    spec = EvaluationSpec(**OLD_EVALUATION, framework="pytorch", roots=("/data", "/more"), allow_urls=True)
    assert EvaluationSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_older_evaluations_have_their_settings_in_a_dictionary() -> None:
    old = {**OLD_EVALUATION, "options": {"framework": "tensorflow", "roots": ["/data"], "allow_urls": True, "closed": True}}
    assert EvaluationSpec.from_json(old) == EvaluationSpec(
        **OLD_EVALUATION, framework="tensorflow", roots=("/data",), allow_urls=True
    )
    assert EvaluationSpec.from_json({**OLD_EVALUATION, "options": {}}) == EvaluationSpec(**OLD_EVALUATION)
