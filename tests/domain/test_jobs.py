"""The state machine's names, colours and history (the original's test_status)."""

from __future__ import annotations

import pickle

import pytest

from digits.domain.jobs import FINISHED, LEGAL_MOVES, RUNNING, Status, StatusHistory, css


def test_a_wait_directly_before_a_run_is_not_kept() -> None:
    history = StatusHistory([(Status.INIT, 0.0)])
    history.add(Status.WAIT, 10.0)
    history.add(Status.RUN, 10.5)
    assert [status for status, _ in history.entries] == [Status.INIT, Status.RUN]


def test_a_longer_wait_is_kept() -> None:
    history = StatusHistory([(Status.INIT, 0.0)])
    history.add(Status.WAIT, 10.0)
    history.add(Status.RUN, 11.0)
    assert len(history.entries) == 3


def test_the_same_state_twice_is_kept_once() -> None:
    history = StatusHistory()
    history.add(Status.RUN, 1.0)
    history.add(Status.RUN, 2.0)
    assert history.entries == [(Status.RUN, 1.0)]


def test_an_empty_history_reads_as_init() -> None:
    assert StatusHistory().current == Status.INIT


def test_a_history_survives_json() -> None:
    history = StatusHistory([(Status.INIT, 1.5), (Status.ERROR, 2.5)])
    assert StatusHistory.from_json(history.to_json()).entries == history.entries
    assert StatusHistory.from_json(None).entries == []


def test_colours() -> None:
    assert Status.ERROR.css == "danger"
    assert css("nonsense") == "default"


def test_equal_to_the_letter_not_to_a_number() -> None:
    assert Status.RUN == "R"
    assert Status.RUN != 2
    assert str(Status.RUN) == f"{Status.RUN}" == "R"


def test_words() -> None:
    assert [status.word for status in Status] == ["Initialized", "Waiting", "Running", "Done", "Aborted", "Error"]


def test_pickling() -> None:
    assert pickle.loads(pickle.dumps(Status.WAIT)) is Status.WAIT


@pytest.mark.parametrize("status", Status)
def test_every_state_runs_or_is_finished_and_has_moves(status: Status) -> None:
    assert (status in RUNNING) != (status in FINISHED)
    assert status.is_running == (status in RUNNING)
    assert status not in LEGAL_MOVES[status]
