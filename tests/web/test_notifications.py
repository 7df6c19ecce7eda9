"""Choosing notifications over HTTP and from the command line: what is kept, masked, refused."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from digits.cli import group
from digits.service import Service
from digits.service import notifications as service_of
from digits.service.audit import audit_file
from tests.conftest import USER

HOOK = "https://hooks.slack.com/services/T0/B0/secret"
JSON = {"Accept": "application/json"}


def test_secrets_are_kept_and_never_shown(client: FlaskClient, service: Service) -> None:
    said = client.post("/notifications.json", data={"slack": HOOK, "events": "done, failed", "browser": "1"}).json
    assert (said["choices"]["slack"], said["choices"]["browser"]) == ("https://hooks.slack.com/***", True)
    for answer in (client.get("/notifications.json"), client.get("/notifications")):
        assert answer.status_code == 200
        assert "secret" not in answer.text
    shown = client.get("/notifications.json").json["choices"]
    again = {**shown, "events": [], "email": "<b>@x", "browser": "1"}
    refused = client.post("/notifications.json", json=again)
    assert (refused.status_code, list(refused.json["errors"])) == (400, ["email"])
    assert client.post("/notifications.json", json={**again, "email": "a@b.c"}).status_code == 200
    chosen = service_of.choices_of(service, USER)
    assert (chosen.slack, chosen.email, chosen.events) == (HOOK, "a@b.c", ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("webhook", "ftp://x/y"),
        ("webhook", "http://user:pass@host/"),
        ("webhook", "http://host/\nHost: x"),
        ("webhook", "http://host:99999/"),
        ("ntfy", "https://ntfy.sh/"),
        ("ntfy_token", "a b"),
        ("events", "never"),
        ("scope", "theirs"),
        ("email", "a@b.c, d@e.f"),
        ("email", "a@b.c\nBcc: x@y.z"),
        ("browser", "perhaps"),
        ("unknown", "x"),
    ],
)
def test_what_cannot_be_chosen(client: FlaskClient, service: Service, field: str, value: str) -> None:
    assert client.post("/notifications.json", data={field: value}).status_code == 400
    assert service_of.choices_of(service, USER) == service_of.Choices()


def test_a_token_goes_to_no_other_server_than_it_was_given_for(client: FlaskClient, service: Service) -> None:
    def send(**fields: str) -> int:
        return client.post("/notifications.json", data=fields).status_code

    assert send(ntfy="https://ntfy.sh/one", ntfy_token="tk_1") == 200
    assert send(ntfy="https://ntfy.sh/two") == 200
    for kept in ({}, {"ntfy_token": "***"}):
        refused = client.post("/notifications.json", data={"ntfy": "https://other.example/one", **kept})
        assert refused.json["errors"] == {
            "ntfy_token": ["The one that is kept is for another server. Give the one for this server, or none."]
        }
    chosen = service_of.choices_of(service, USER)
    assert (chosen.ntfy, chosen.ntfy_token) == ("https://ntfy.sh/two", "tk_1")
    assert send(ntfy="https://other.example/one", ntfy_token="") == 200
    assert service_of.choices_of(service, USER).ntfy_token == ""
    assert send(ntfy_token="tk_2") == 200
    assert send(ntfy="") == 200
    assert send(ntfy="https://third.example/one") == 200, "it went with its address"
    assert service_of.choices_of(service, USER).ntfy_token == ""


def test_a_test_goes_to_the_browser_too(client: FlaskClient, service: Service) -> None:
    assert client.post("/notifications/test.json").status_code == 400
    assert client.get("/notifications/new.json").json == {"rows": [], "last": 0}
    client.post("/notifications.json", data={"browser": "1", "webhook": "https://example.org/x"})
    assert client.post("/notifications/test.json").json["sent"] == 2
    found = client.get("/notifications/new.json?after=0").json
    assert [(row["title"], row["state"]) for row in found["rows"]] == [("A test of digits", "sent")]
    assert client.get(f"/notifications/new.json?after={found['last']}").json["rows"] == []
    assert "A test of digits" in client.get("/notifications").text


def test_the_password_of_the_mail_server_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_SMTP_PASSWORD", "hunter2")
    rows = json.loads(CliRunner().invoke(group, ["config", "--json"]).output)
    assert {row["name"]: row["value"] for row in rows}["smtp_password"] == "***"


def test_the_same_from_the_command_line(service: Service) -> None:
    place = ["--user", "anna", "--jobs-dir", str(service.jobs_dir.path)]
    result = CliRunner().invoke(group, ["notifications", "set", "--ntfy", "https://ntfy.sh/topic", "--events", "failed", *place])
    assert json.loads(result.output)["ntfy"] == "https://ntfy.sh/***"
    assert "topic" not in audit_file(service).read_text()
    assert "1 channel" in CliRunner().invoke(group, ["notifications", "test", *place]).output
    shown = json.loads(CliRunner().invoke(group, ["notifications", "show", *place]).output)
    assert (shown["choices"]["events"], [one["state"] for one in shown["log"]]) == (["failed"], ["waiting"])
