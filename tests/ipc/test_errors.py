"""An error comes out of another process as it was raised there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import digits.errors
from digits.errors import DigitsError, FormErrors, NotFound, PluginFailure, TrainingError
from digits.ipc.errors import error_from_json, error_to_json
from digits.storage.folders import JobsDir
from digits.storage.lock import Locked

PLAIN = [
    kind
    for kind in vars(digits.errors).values()
    if isinstance(kind, type) and issubclass(kind, DigitsError) and kind is not FormErrors
]


def sent(error: DigitsError, trace: str = "") -> DigitsError:
    return error_from_json(json.loads(json.dumps(error_to_json(error, trace))))


@pytest.mark.parametrize("kind", PLAIN)
def test_every_class_comes_back_as_itself(kind: type[DigitsError]) -> None:
    found = sent(kind("What was found.", advice="What to do."), "line 7")
    assert type(found) is kind
    assert (found.message, found.advice, found.trace) == ("What was found.", "What to do.", "line 7")
    assert found.status == kind.status


def test_fields_of_a_form_and_the_code_of_a_training_come_along() -> None:
    found = sent(FormErrors({"width": ["Too large.", "Not even."]}))
    assert isinstance(found, FormErrors)
    assert found.errors == {"width": ["Too large.", "Not even."]}
    training = sent(TrainingError("The loss is no number.", code="diverged"))
    assert isinstance(training, TrainingError)
    assert training.code == "diverged"


def test_a_class_that_is_not_known_here_keeps_its_words_and_its_status() -> None:
    found = error_from_json({"type": "Unheard", "message": "No.", "advice": "Wait.", "status": 418})
    assert (type(found), str(found), found.status) == (DigitsError, "No. Wait.", 418)
    locked = sent(Locked(JobsDir(Path("/jobs")), {"pid": 7}))
    assert "already in use by process 7" in locked.message
    assert locked.status == Locked.status


@pytest.mark.parametrize("body", ["text", 7, [], {}, {"message": None}, {"type": "FormErrors", "errors": 3}, {"type": ["x"]}])
def test_what_is_no_error_is_one_all_the_same(body: object) -> None:
    assert isinstance(error_from_json(body), DigitsError)


def test_own_status_of_a_failure_is_that_of_its_class() -> None:
    assert sent(PluginFailure("It broke.")).status == 500
    assert sent(NotFound("Gone.")).status == 404
