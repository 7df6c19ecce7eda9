"""Bearer tokens: shown once, within a scope, until they expire or are revoked."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from digits.domain.access import Scope
from digits.errors import BadRequest, NotFound, Unauthorized
from digits.service import Service, accounts, tokens
from digits.storage.jobs.tables import TokenRow

PASSWORD = "correct horse"


def test_tokens_are_shown_once_and_go_with_their_account(service: Service) -> None:
    accounts.add_user(service, "ada", PASSWORD)
    text = tokens.add_token(service, "ada", "a script")
    with pytest.raises(NotFound):
        tokens.add_token(service, "nobody", "")
    found = tokens.bearer(service, text)
    assert found is not None
    assert (found.user, found.scope) == ("ada", "run")
    assert tokens.bearer(service, text + "x") is None
    (known,) = tokens.list_tokens(service)
    assert (known.user, known.label, known.id) == ("ada", "a script", tokens.id_of(text))
    assert text not in str(known)
    with pytest.raises(NotFound):
        tokens.remove_token(service, known.id[:3])
    with pytest.raises(NotFound):
        tokens.remove_token(service, known.id, user="bo")
    accounts.remove_user(service, "ada")
    assert tokens.bearer(service, text) is None


def test_a_life_is_stated_and_ends(service: Service) -> None:
    text = tokens.add_token(service, "ada", "", days=7)
    (known,) = tokens.list_tokens(service)
    assert known.expires is not None
    assert abs(known.expires - time.time() - 7 * 86400) < 60
    assert known.last_used is None
    tokens.bearer(service, text)
    (used,) = tokens.list_tokens(service)
    assert used.last_used is not None
    assert abs(used.last_used - time.time()) < 60
    with Session(service.store.engine) as session, session.begin():
        session.execute(update(TokenRow).values(expires=time.time() - 1))
    with pytest.raises(Unauthorized, match="expired on"):
        tokens.bearer(service, text)
    assert not tokens.is_alive(service, text)
    lasting = tokens.add_token(service, "ada", "", days=0)
    assert next(row for row in tokens.list_tokens(service) if row.id == tokens.id_of(lasting)).expires is None
    for days in (-1, 1e9, float("nan")):
        with pytest.raises(BadRequest, match="cannot live"):
            tokens.add_token(service, "ada", "", days=days)


def test_the_first_token_also_works_as_a_bearer_token_until_there_is_an_account(service: Service) -> None:
    text = accounts.new_first_token(service)
    found = tokens.bearer(service, text)
    assert found is not None
    assert (found.user, found.scope) == (accounts.default_user(), "admin")
    accounts.add_user(service, "ada", PASSWORD)
    assert tokens.bearer(service, text) is None
    assert tokens.bearer(service, "") is None


def test_a_scope_holds_those_before_it() -> None:
    assert [[scope.holds(needed) for needed in Scope] for scope in Scope] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
