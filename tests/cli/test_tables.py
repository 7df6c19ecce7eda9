"""Jobs that commands are told by name."""

from __future__ import annotations

import pytest

from digits.cli.tables import find_job
from digits.service import Service
from tests.builders import make_job


def test_of_several_jobs_of_a_name_the_newest_is_taken_and_said(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    first = make_job(service, name="mnist")
    assert find_job(service, "mnist").id == first.id
    assert capsys.readouterr().err == ""
    second = make_job(service, name="mnist")
    assert find_job(service, "mnist").id == second.id
    assert capsys.readouterr().err == f"2 jobs are called 'mnist'; taken is the newest, {second.id}.\n"
    assert find_job(service, first.id).id == first.id
    assert capsys.readouterr().err == ""
