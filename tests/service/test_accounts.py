"""Accounts and the secrets of a jobs directory."""

from __future__ import annotations

import stat

import pytest

from digits.errors import BadRequest, NotFound
from digits.service import Service, accounts

PASSWORD = "correct horse"


def test_accounts_are_made_checked_changed_and_removed(service: Service) -> None:
    assert not accounts.any_users(service)
    accounts.add_user(service, "ada", PASSWORD)
    accounts.add_user(service, "bo.b-2", PASSWORD)
    assert accounts.list_users(service) == ["ada", "bo.b-2"]
    assert accounts.verify(service, "ada", PASSWORD)
    assert not accounts.verify(service, "ada", "wrong")
    assert not accounts.verify(service, "nobody", PASSWORD)
    before = accounts.fingerprint(service, "ada")
    accounts.change_password(service, "ada", "another horse")
    assert not accounts.verify(service, "ada", PASSWORD)
    assert accounts.fingerprint(service, "ada") != before
    accounts.remove_user(service, "ada")
    assert accounts.fingerprint(service, "ada") == ""
    with pytest.raises(NotFound):
        accounts.remove_user(service, "ada")


@pytest.mark.parametrize("name", ["", "Ada", "1a", "a b", "a/b", "a\n", "ä", "a" * 81])
def test_names_that_are_refused(service: Service, name: str) -> None:
    with pytest.raises(BadRequest, match="lower-case"):
        accounts.add_user(service, name, PASSWORD)


def test_short_passwords_and_taken_names_are_refused(service: Service) -> None:
    with pytest.raises(BadRequest, match="at least 8"):
        accounts.add_user(service, "ada", "short")
    accounts.add_user(service, "ada", PASSWORD)
    with pytest.raises(BadRequest, match="digits user passwd ada"):
        accounts.add_user(service, "ada", PASSWORD)


def test_the_default_user_has_a_name_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in {"Ada Lovelace": "adalovelace", "DOMAIN\\bob": "domainbob", "ümit": "mit", "1234": "digits"}.items():
        monkeypatch.setenv("LOGNAME", given)
        assert accounts.default_user() == expected


def test_secrets_are_for_the_owner_only_and_stay(service: Service) -> None:
    key = accounts.secret_key(service)
    assert len(key) == 32
    assert accounts.secret_key(service) == key
    accounts.new_first_token(service)
    for name in ("secret", "first-token"):
        assert stat.S_IMODE((service.jobs_dir.hidden / name).stat().st_mode) == 0o600
