"""The page of sessions and tokens, its JSON, and that what was ended is ended: for pages, scripts and streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from digits.config import Settings
from digits.domain.access import Scope
from digits.service import Service, accounts, sessions, tokens
from digits.service.audit import audit_file
from digits.web.app import create_app
from digits.web.http.sessions import browser_of
from digits.web.jobs import streams
from tests.builders import make_job

PASSWORD = "correct horse"
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Service]:
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), data_dirs=str(tmp_path)))
    accounts.add_user(service, "ada", PASSWORD)
    yield service
    service.close()


@pytest.fixture
def app(guarded: Service) -> Flask:
    return create_app(guarded)


def logged_in(app: Flask, agent: str = "Firefox") -> FlaskClient:
    client = app.test_client()
    answer = client.post("/login", data={"username": "ada", "password": PASSWORD}, headers={"User-Agent": agent})
    assert answer.status_code == 302
    return client


def cookie_of(client: FlaskClient) -> str:
    """What a thief would copy."""
    (cookie,) = [value for value in client._cookies.values() if value.key.startswith("digits-")]
    return f"{cookie.key}={cookie.value}"


def is_in(app: Flask, cookie: str) -> bool:
    return app.test_client(use_cookies=False).get("/index.json", headers={"Cookie": cookie}).status_code == 200


def test_logging_out_ends_the_session_also_for_a_copy_of_its_cookie(app: Flask) -> None:
    here, there = logged_in(app), logged_in(app)
    copy = cookie_of(here)
    assert is_in(app, copy)
    assert here.post("/logout", headers=FROM_HERE).status_code == 302
    assert not is_in(app, copy)
    assert is_in(app, cookie_of(there))


def test_the_list_ends_one_or_all(app: Flask, guarded: Service) -> None:
    here, phone, lost = logged_in(app), logged_in(app, "Phone"), logged_in(app, "Lost")
    listed = here.get("/sessions.json").json["sessions"]
    assert {row["agent"]: row["current"] for row in listed} == {"Firefox": True, "Phone": False, "Lost": False}
    assert {row["browser"] for row in listed} == {"Firefox", "Phone", "Lost"}
    page = here.get("/sessions").text
    assert "127.0.0.1" in page
    assert "this one" in page
    one = next(row["id"] for row in listed if row["agent"] == "Lost")
    assert here.post(f"/sessions/{one}/end").status_code == 403, "without proof"
    assert here.post(f"/sessions/{one}/end.json", headers=FROM_HERE).json == {"ended": one}
    assert [is_in(app, cookie_of(client)) for client in (here, phone, lost)] == [True, True, False]
    assert here.post(f"/sessions/{one}/end.json", headers=FROM_HERE).status_code == 404
    copy = cookie_of(here)
    assert here.post("/sessions/end.json", headers=FROM_HERE).json == {"ended": 2}
    assert [is_in(app, cookie) for cookie in (copy, cookie_of(phone))] == [False, False]
    assert logged_in(app).get("/sessions.json").status_code == 200


def test_nobody_ends_or_sees_those_of_others(app: Flask, guarded: Service) -> None:
    accounts.add_user(guarded, "mallory", PASSWORD)
    token = tokens.add_token(guarded, "ada", "hers")
    ada = logged_in(app)
    mallory = app.test_client()
    mallory.post("/login", data={"username": "mallory", "password": PASSWORD})
    (own,) = ada.get("/sessions.json").json["sessions"]
    found = mallory.get("/sessions.json").json
    assert own["id"] not in str(found)
    assert found["tokens"] == []
    assert mallory.post(f"/sessions/{own['id']}/end.json", headers=FROM_HERE).status_code == 404
    assert mallory.post(f"/tokens/{tokens.id_of(token)}/revoke.json", headers=FROM_HERE).status_code == 404
    assert is_in(app, cookie_of(ada))


def test_tokens_show_scope_life_and_use_and_are_revoked(app: Flask, guarded: Service) -> None:
    text = tokens.add_token(guarded, "ada", "nightly", Scope.READ, 7)
    client, headers = app.test_client(), {"Authorization": f"Bearer {text}"}
    assert client.get("/index.json", headers=headers).status_code == 200
    browser = logged_in(app)
    (row,) = browser.get("/sessions.json").json["tokens"]
    assert (row["label"], row["scope"], row["user"]) == ("nightly", "read", "ada")
    assert row["last_used"] > row["created"] - 1
    assert "nightly" in browser.get("/sessions").text
    assert browser.post(f"/tokens/{row['id']}/revoke", headers=FROM_HERE).headers["Location"] == "/sessions"
    assert client.get("/index.json", headers=headers).status_code == 401


def test_a_session_of_an_older_version_goes_on_and_can_be_ended(app: Flask, guarded: Service) -> None:
    old = app.test_client()
    with old.session_transaction() as session:
        session.update(user="ada", stamp=accounts.fingerprint(guarded, "ada"), csrf="a form token of then")
    assert old.get("/index.json").status_code == 200
    copy = cookie_of(old)
    assert len(sessions.list_sessions(guarded, "ada")) == 1
    assert old.post("/logout", headers=FROM_HERE).status_code == 302
    assert not is_in(app, copy)


def test_a_stream_ends_with_the_session_it_was_sent_to(app: Flask, guarded: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.0)
    client = logged_in(app)
    job = make_job(guarded, owner="ada")
    answer = client.get(f"/jobs/{job.id}/events")
    pieces: Any = answer.iter_encoded()
    assert next(pieces) == b"retry: 1000\n\n"
    sessions.end_all(guarded, "ada")
    assert list(pieces) == []
    answer.close()
    app.extensions["digits-live"].stop()


def test_a_stream_of_the_printed_address_ends_with_the_first_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LOOK_SECONDS", 0.0)
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), data_dirs=str(tmp_path)))
    app = create_app(service)
    client = app.test_client()
    client.get(f"/?token={accounts.new_first_token(service)}")
    answer = client.get("/events")
    pieces: Any = answer.iter_encoded()
    assert next(pieces) == b"retry: 1000\n\n"
    accounts.add_user(service, "zoe", PASSWORD)
    assert list(pieces) == []
    answer.close()
    app.extensions["digits-live"].stop()
    service.close()


@pytest.mark.parametrize(
    ("agent", "browser"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0", "Firefox on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36", "Chrome on Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1",
            "Safari on iOS",
        ),
        ("curl/8.5.0", "curl"),
        ("", "unknown"),
    ],
)
def test_a_browser_in_short(agent: str, browser: str) -> None:
    assert browser_of(agent) == browser


def test_without_log_in_there_are_none(client: FlaskClient) -> None:
    assert client.get("/sessions.json").status_code == 400


def test_what_the_audit_log_says(app: Flask, guarded: Service) -> None:
    token = tokens.add_token(guarded, "ada", "", Scope.READ)
    job = make_job(guarded, owner="ada")
    app.test_client().post("/login", data={"username": "ada", "password": "wrong"})
    client = logged_in(app)
    client.get("/index.json")
    client.get("/group", query_string={"job_ids[]": job.id, "group_name": "s3cret"}, headers={"Sec-Fetch-Site": "cross-site"})
    client.post("/group", data={"job_ids[]": job.id, "group_name": "s3cret"}, headers=FROM_HERE)
    app.test_client().put(f"/jobs/{job.id}", data={"job_name": "x"}, headers={"Authorization": f"Bearer {token}"})
    client.post("/logout", headers=FROM_HERE)
    text = audit_file(guarded).read_text()
    found = [json.loads(line) for line in text.splitlines()]
    own = f"session {found[1]['session']}"
    assert [(line["who"], line["by"], line["action"], line.get("status")) for line in found] == [
        ("ada", "password", "log-in failed", None),
        ("ada", "password", "log in", None),
        ("ada", own, "group", 403),
        ("ada", own, "group", 200),
        ("ada", f"token {tokens.id_of(token)}", "edit_jobs", 403),
        ("ada", own, "logout", 302),
    ]
    assert found[3] | {"at": ""} == {
        "at": "",
        "who": "ada",
        "by": own,
        "from": "127.0.0.1",
        "action": "group",
        "request": "POST /group",
        "jobs": [job.id],
        "status": 200,
    }
    assert all(line["at"].endswith("+00:00") for line in found)
    assert not any(word in text for word in (PASSWORD, "wrong", "s3cret", token))
