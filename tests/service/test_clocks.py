"""A clock that is set by an hour, either way: what lasts some seconds goes by a clock that nobody sets.

Of jobs, heartbeats and processes `supervisor/test_loop.py` shows it; who guesses passwords is counted by such a clock too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from digits.domain.notifications import Choices, Message
from digits.engines.training.checkpoint import CheckpointClock
from digits.ingest.silence import SilenceWatch
from digits.service import Service, accounts, sessions, tokens
from digits.service.models import stores
from digits.service.serving.traffic import Traffic
from digits.storage.notifications import Notifications
from digits.utils.time_limits import SignsOfLife
from tests.service.serving.test_traffic import VERSION

SetClock = Callable[[], None]


@pytest.fixture(params=[1, -1], ids=["an hour on", "an hour back"])
def set_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Sets the clock when it is called."""
    now = time.time
    return lambda: monkeypatch.setattr(time, "time", lambda: now() + 3600 * request.param)


def test_who_is_in_stays_in(service: Service, set_clock: SetClock) -> None:
    accounts.add_user(service, "ada", "correct horse")
    secret, token = sessions.begin(service, "ada", "127.0.0.1", ""), tokens.add_token(service, "ada", "", days=1)
    set_clock()
    assert sessions.use(service, "ada", secret)
    assert [one.user for one in sessions.list_sessions(service, "ada")] == ["ada"]
    assert tokens.bearer(service, token) is not None


def test_what_is_said_of_the_last_minute_is_of_the_last_minute(set_clock: SetClock) -> None:
    traffic = Traffic()
    traffic.record("n", 1, 200, 0.1)
    set_clock()
    assert traffic.describe("n", VERSION)["per_minute"] == 1


def test_a_notification_that_was_never_tried_is_due(service: Service, set_clock: SetClock) -> None:
    notifications = Notifications(service.store.engine)
    choices = Choices(webhook="http://127.0.0.1/hook")
    assert notifications.add("ada", choices, "j", "k", Message("done", "title", "text")) == 1
    set_clock()
    assert len(notifications.due(time.time())) == 1


def test_a_store_that_failed_is_asked_again_after_a_minute(
    tmp_path: Path, set_clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "store")
    assert stores.read_store(place).error
    set_clock()
    Path(place).mkdir()
    assert stores.read_store(place).error, "within the minute it is not asked"
    passed = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: passed)
    assert not stores.read_store(place).error


def test_checkpoints_and_signs_of_life_go_by_what_has_passed(set_clock: SetClock) -> None:
    clock, signs, ended = CheckpointClock(60), SignsOfLife(), list[Exception]()
    watch = SilenceWatch("x", 30.0, lambda event: None, ended.append)
    with watch.watching("__init__"):
        set_clock()
        assert not clock.is_due()
        assert signs.silence < 60
        time.sleep(0.05)
    assert not ended
