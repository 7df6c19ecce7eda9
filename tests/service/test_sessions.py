"""Sessions: a copy of a cookie is worth nothing once its session has ended."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from digits.errors import NotFound
from digits.service import Service, sessions
from digits.storage.jobs.tables import SessionRow
from digits.utils.addresses import network

HERE, AGENT = "192.0.2.7", "Firefox"


def test_a_session_is_listed_and_ends_by_itself_or_with_all(service: Service) -> None:
    first, second = (sessions.begin(service, "ada", HERE, AGENT) for _ in range(2))
    other = sessions.begin(service, "bo", HERE, AGENT)
    listed = sessions.list_sessions(service, "ada")
    assert {row.id for row in listed} == {sessions.digest(text)[:12] for text in (first, second)}
    assert {(row.address, row.agent) for row in listed} == {(HERE, AGENT)}
    assert first not in str(listed)
    assert not sessions.use(service, "bo", first), "a session belongs to its user"
    with pytest.raises(NotFound):
        sessions.end(service, "bo", listed[0].id)
    sessions.end(service, "ada", sessions.digest(first)[:12])
    assert (sessions.use(service, "ada", first), sessions.use(service, "ada", second)) == (False, True)
    assert sessions.end_all(service, "ada") == 1
    assert not sessions.use(service, "ada", second)
    assert not sessions.goes_on(service, second)
    assert sessions.list_sessions(service, "ada") == []
    assert sessions.use(service, "bo", other)
    assert sessions.use(service, "ada", sessions.begin(service, "ada", HERE, AGENT)), "one may log in again"


def test_a_session_of_an_older_version_goes_on_until_it_is_ended(service: Service) -> None:
    assert sessions.adopt(service, "ada", "form token of then", HERE, AGENT)
    (row,) = sessions.list_sessions(service, "ada")
    sessions.end(service, "ada", row.id)
    assert not sessions.adopt(service, "ada", "form token of then", HERE, AGENT)
    assert sessions.adopt(service, "ada", "of another browser", HERE, AGENT)
    sessions.end_all(service, "ada")
    for secret in ("of another browser", "never seen so far"):
        assert not sessions.adopt(service, "ada", secret, HERE, AGENT)
    assert sessions.adopt(service, "bo", "never seen so far", HERE, AGENT)


def test_a_session_of_an_older_version_ends_30_days_after_its_last_use_too(service: Service) -> None:
    assert sessions.adopt(service, "ada", "form token of then", HERE, AGENT)
    for days, goes_on in ((29, True), (29, True), (31, False)):
        with Session(service.store.engine) as session, session.begin():
            session.execute(update(SessionRow).values(last_used=SessionRow.last_used - days * 86400))
        assert sessions.adopt(service, "ada", "form token of then", HERE, AGENT) is goes_on


def test_a_session_ends_30_days_after_its_last_use_and_is_forgotten_later(service: Service) -> None:
    secret = sessions.begin(service, "ada", HERE, AGENT)

    def last_used(days: float) -> None:
        with Session(service.store.engine) as session, session.begin():
            session.execute(update(SessionRow).values(last_used=time.time() - days * 86400))

    last_used(29)
    assert sessions.use(service, "ada", secret), "and with this the days begin anew"
    assert sessions.list_sessions(service, "ada")[0].expires > time.time() + 29 * 86400
    last_used(31)
    assert not sessions.use(service, "ada", secret)
    assert sessions.was_in(service, "ada", HERE)
    last_used(91)
    sessions.begin(service, "bo", HERE, AGENT)
    assert not sessions.was_in(service, "ada", HERE)


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.2.8", False),
        ("", False),
        ("2001:db8::7", False),
    ],
)
def test_an_address_that_was_in_before(service: Service, address: str, same: bool) -> None:
    sessions.begin(service, "ada", HERE, AGENT)
    assert sessions.was_in(service, "ada", address) is same
    assert not sessions.was_in(service, "bo", HERE)


def test_ipv6_counts_by_network() -> None:
    assert network("2001:db8::7") == network("2001:db8::ffff:1") != network("2001:db8:0:1::7")
