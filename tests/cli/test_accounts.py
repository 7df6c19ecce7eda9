"""`digits token`, `digits user sessions` and `digits config`, and what commands leave in the audit log."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from digits.cli import group
from digits.errors import BadRequest
from digits.service import Service, accounts, sessions, tokens
from digits.service.audit import audit_file
from digits.service.repair import repair
from tests.builders import make_job

PASSWORD = "correct horse"


def run(service: Service, *arguments: str) -> str:
    result = CliRunner().invoke(group, [*arguments, "--jobs-dir", str(service.jobs_dir.path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def lines(service: Service) -> list[dict[str, object]]:
    return [json.loads(line) for line in audit_file(service).read_text().splitlines()]


def test_a_token_with_scope_and_life(service: Service) -> None:
    run(service, "user", "add", "ada", "--password", PASSWORD)
    text = run(service, "token", "add", "ada", "--label", "nightly", "--scope", "read", "--days", "7").strip()
    found = tokens.bearer(service, text)
    assert found is not None
    assert (found.user, found.scope, found.label) == ("ada", "read", "nightly")
    (row,) = json.loads(run(service, "token", "list", "--json"))
    assert (row["id"], row["scope"]) == (tokens.id_of(text), "read")
    assert round((row["expires"] - row["created"]) / 86400) == 7
    assert "nightly" in run(service, "token", "list")
    run(service, "token", "remove", row["id"])
    assert run(service, "token", "list") == ""
    with pytest.raises(BadRequest, match="cannot live"):
        run(service, "token", "add", "ada", "--days", "-3")


def test_sessions_are_shown_and_ended(service: Service) -> None:
    accounts.add_user(service, "ada", PASSWORD)
    secrets = [sessions.begin(service, "ada", f"192.0.2.{number}", "Firefox") for number in (1, 2, 3)]
    assert "from 192.0.2.1" in run(service, "user", "sessions", "ada")
    shown = json.loads(run(service, "user", "sessions", "ada", "--json"))
    own = next(row["id"] for row in shown if row["address"] == "192.0.2.1")
    assert "192.0.2.1" not in run(service, "user", "sessions", "ada", "--end", own)
    assert [sessions.goes_on(service, secret) for secret in secrets] == [False, True, True]
    assert "has no session" in run(service, "user", "sessions", "ada", "--end-all")
    assert not any(sessions.goes_on(service, secret) for secret in secrets)


def test_a_new_password_and_a_removed_account_end_the_sessions(service: Service) -> None:
    accounts.add_user(service, "ada", PASSWORD)
    secret = sessions.begin(service, "ada", "", "")
    run(service, "user", "passwd", "ada", "--password", "another horse")
    assert not sessions.goes_on(service, secret)
    secret = sessions.begin(service, "ada", "", "")
    run(service, "user", "remove", "ada")
    assert not sessions.goes_on(service, secret)


def test_commands_that_change_something_are_recorded_without_their_secrets(service: Service) -> None:
    run(service, "user", "add", "ada", "--password", PASSWORD)
    job = make_job(service)
    run(service, "jobs", "list")
    run(service, "jobs", "abort", job.id)
    found = [(line["action"], line["by"], line["who"]) for line in lines(service)]
    user = accounts.default_user()
    assert found == [("digits user add", "command", user), ("digits jobs abort", "command", user)]
    assert lines(service)[0]["arguments"] == {"name": "ada"}
    assert job.id in str(lines(service)[1]["arguments"])
    assert PASSWORD not in audit_file(service).read_text()
    list(repair(service.settings))
    assert [line["action"] for line in lines(service)][2:] == ["digits doctor --repair"]


def test_configuration_is_shown_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_DATABASE_URL", "postgresql+psycopg://ada:s3 cr@et@db.lab/digits?sslpassword=s3cret")
    for arguments in (["config"], ["config", "--json"]):
        result = CliRunner().invoke(group, arguments, env={"COLUMNS": "400"})
        assert result.exit_code == 0
        assert "s3" not in result.output
        assert "postgresql+psycopg://ada:***@db.lab/digits?sslpassword=***" in result.output
