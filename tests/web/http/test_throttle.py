"""Guessing passwords: tries sent together, outsiders, and who knows the password."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient

from digits.config import Settings
from digits.service import Service, accounts
from digits.service.audit import audit_file
from digits.web.app import create_app
from digits.web.http import login
from digits.web.http.throttle import LONGEST_PAUSE, MOST_KEYS, Throttle, TooManyTries, keys_of

PASSWORD = "correct horse"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def let_through(throttle: Throttle, clock: Clock, *keys: str, tries: int = 1) -> int:
    """How many of so many tries at this moment are let through."""
    count = 0
    for _ in range(tries):
        try:
            throttle.begin(*keys)
        except TooManyTries:
            continue
        count += 1
    return count


def test_after_five_tries_each_next_one_waits_twice_as_long_up_to_a_minute() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert let_through(throttle, clock, "name ada", tries=100) == 5
    for wait in (1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE):
        clock.now += wait - 0.01
        assert let_through(throttle, clock, "name ada", tries=3) == 0
        clock.now += 0.02
        assert let_through(throttle, clock, "name ada", tries=3) == 1
    assert let_through(throttle, clock, "name bo") == 1
    with pytest.raises(TooManyTries, match="Try again in 6[01] s"):
        throttle.begin("name ada")
    clock.now += 1801
    assert let_through(throttle, clock, "name ada", tries=100) == 5, "half an hour without a try is enough"


def test_tries_sent_together_count_like_tries_one_after_the_other() -> None:
    throttle, start = Throttle(), threading.Barrier(50)

    def guess() -> int:
        start.wait()
        return let_through(throttle, Clock(), "name ada", "address 1")

    with ThreadPoolExecutor(50) as pool:
        assert sum(future.result() for future in [pool.submit(guess) for _ in range(50)]) == 5


def test_one_who_has_an_account_cannot_wash_an_address_with_it() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    mine, theirs = keys_of("mallory", "192.0.2.9", was_in=True), keys_of("ada", "192.0.2.9", was_in=False)
    guesses = 0
    for _ in range(50):
        guesses += let_through(throttle, clock, *theirs)
        assert let_through(throttle, clock, *mine) == 1
        throttle.succeeded(*mine)
    assert guesses == 5


def test_many_names_do_not_make_the_throttle_forget() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert let_through(throttle, clock, "name ada", tries=9) == 5
    for number in range(MOST_KEYS + 10):
        throttle.begin(f"name {number}")
    assert let_through(throttle, clock, "name ada", tries=9) == 0


def from_address(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": address}


def log_in(client: FlaskClient, password: str, address: str, name: str = "ada") -> int:
    data = {"username": name, "password": password}
    return client.post("/login", data=data, environ_base=from_address(address)).status_code


@pytest.fixture
def guarded(service: Service) -> Service:
    accounts.add_user(service, "ada", PASSWORD)
    accounts.add_user(service, "mallory", PASSWORD)
    return Service(Settings(jobs_dir=service.settings.jobs_dir), service.jobs_dir, service.store)


@pytest.fixture
def app(guarded: Service, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application in which everything happens at the same moment, however busy the machine is."""
    monkeypatch.setattr(login, "Throttle", lambda: Throttle(Clock()))
    return create_app(guarded)


def test_a_burst_of_guesses_is_refused_and_the_owner_gets_in_from_where_she_was_before(guarded: Service, app: Flask) -> None:
    assert log_in(app.test_client(), PASSWORD, "192.0.2.1") == 302

    def guess(number: int) -> int:
        return log_in(app.test_client(), f"guess {number}", "198.51.100.66")

    with ThreadPoolExecutor(20) as pool:
        burst = pool.map(guess, range(100))
        owner = [log_in(app.test_client(), PASSWORD, "192.0.2.1") for _ in range(3)]
        found = Counter(burst)
    assert found == {401: 5, 429: 95}
    assert owner == [302, 302, 302]
    assert log_in(app.test_client(), PASSWORD, "192.0.2.99") == 429, "from elsewhere she waits"
    assert log_in(app.test_client(), PASSWORD, "198.51.100.66", "mallory") == 429, "and so does the address"
    assert log_in(app.test_client(), PASSWORD, "192.0.2.50", "mallory") == 302, "which is nothing to others"
    lines = audit_file(guarded).read_text().splitlines()
    assert sum("log-in failed" in line for line in lines) == 5
    assert 1 <= sum("log-in refused" in line for line in lines) <= 3, "not one for each of them"
    assert "guess" not in "".join(lines)


def test_guesses_from_an_address_that_was_in_are_slowed_down_too(app: Flask) -> None:
    assert log_in(app.test_client(), PASSWORD, "192.0.2.1") == 302
    codes = [log_in(app.test_client(), "wrong", "192.0.2.1") for _ in range(8)]
    assert codes == [401] * 5 + [429] * 3


def test_names_that_cannot_be_and_passwords_without_end_are_only_wrong(app: Flask) -> None:
    for name, password in (("a\0b", "x"), ("Ada", PASSWORD), ("a" * 5000, "x"), ("ada", "x" * 100_000)):
        assert log_in(app.test_client(), password, "192.0.2.3", name) == 401
