"""What a failed evaluation means to who waits for it: a list none of whose pictures may be read is no error of the server."""

from __future__ import annotations

import pytest

from digits.domain.events import AttemptEvent, ErrorEvent
from digits.domain.jobs import Kind, Status
from digits.errors import DataError, DigitsError, Forbidden, LimitExceeded, LoadImageError
from digits.service import Service
from digits.service.evaluations.create import failure
from digits.storage.events import EventWriter
from digits.worker.failures import error_event
from tests.builders import make_job


@pytest.mark.parametrize("error", [DataError("None could be read."), LoadImageError("x"), Forbidden("x"), LimitExceeded("x")])
def test_what_was_sent_is_the_reason(service: Service, error: DigitsError) -> None:
    assert _failure(service, error_event(error)).status == 400


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), MemoryError(), DigitsError("The model failed.")])
def test_everything_else_is_ours(service: Service, error: Exception) -> None:
    assert _failure(service, error_event(error)).status == 500


def _failure(service: Service, event: ErrorEvent) -> DigitsError:
    job = make_job(service, Kind.EVALUATION, status=Status.ERROR)
    writer = EventWriter(service.folder(job.id).events_file, 1)
    writer.emit(AttemptEvent())
    writer.emit(event)
    writer.close()
    return failure(service, job)
