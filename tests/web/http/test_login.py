"""Who gets in, by which door, and what happens to everybody else (DESIGN promise 4, R 8.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from digits.config import Settings
from digits.service import Service, accounts, tokens
from digits.web.app import create_app
from digits.web.http.security import STATIC_ENDPOINTS
from tests.builders import make_job

PASSWORD = "correct horse"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Service]:
    """A service with log-in on."""
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), data_dirs=str(tmp_path)))
    yield service
    service.close()


@pytest.fixture
def app(guarded: Service) -> Flask:
    return create_app(guarded)


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    return app.test_client()


def same_origin() -> dict[str, str]:
    return {"Sec-Fetch-Site": "same-origin"}


READS = ["/", "/index.json", "/completed_jobs.json", "/jobs.json", "/queue", "/machine.json", "/info", "/uploads", "/browse.json",
         "/autocomplete/path?query=/", "/events", "/files/20200101-000000-abcd/a", "/openapi.json", "/foo"]  # fmt: skip


@pytest.mark.parametrize("address", READS)
def test_nothing_is_shown_to_a_stranger(stranger: FlaskClient, address: str) -> None:
    page = stranger.get(address, headers={"Accept": "text/html"})
    assert page.status_code in (302, 401)
    if page.status_code == 302:
        assert page.headers["Location"].startswith("/login?next=")
    answer = stranger.get(address, headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert "digits token add" in answer.json["error"]["description"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_every_route_is_closed_unless_it_is_meant_to_be_open(app: Flask, stranger: FlaskClient) -> None:
    """Whatever its method and whatever stands in its address."""
    opened = set()
    for rule in app.url_map.iter_rules():
        address = re.sub(r"<[^>]*>", "1", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            with stranger.open(address, method=method, headers={"Accept": "application/json"}) as answer:
                if answer.status_code != 401:
                    opened.add(rule.endpoint)
    # Netron's page is a package's files without any data, for a frame that sends no cookies; orchestrators ask `/v2/health`
    assert opened <= {"auth.login", "auth.login_json", "auth.log_in", "auth.log_in_json", "auth.logout", "system.health",
                      "models.netron", "models.netron_file", "serving.live", "serving.ready", *STATIC_ENDPOINTS}  # fmt: skip


def test_the_printed_address_opens_the_first_session(guarded: Service, stranger: FlaskClient) -> None:
    token = accounts.new_first_token(guarded)
    assert stranger.get("/?token=wrong").status_code == 302
    answer = stranger.get(f"/queue?a=b&token={token}")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/queue?a=b", "the token leaves the address"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert stranger.get("/info.json").json["user"] == accounts.default_user()


def test_a_session_outlives_the_token_of_the_next_start_but_not_the_first_account(
    guarded: Service, stranger: FlaskClient
) -> None:
    old = accounts.new_first_token(guarded)
    stranger.get(f"/?token={old}")
    new = accounts.new_first_token(guarded)
    assert stranger.get("/index.json").status_code == 200
    assert not accounts.opens_first_session(guarded, old)
    accounts.add_user(guarded, "ada", PASSWORD)
    assert stranger.get("/index.json").status_code == 401
    assert stranger.get(f"/index.json?token={new}").status_code == 401
    accounts.remove_user(guarded, "ada")
    assert stranger.get("/index.json").status_code == 401, "what has ended opens nothing when the last account goes, either"


def test_accounts_log_in_with_a_password_and_go_where_they_wanted(guarded: Service, stranger: FlaskClient) -> None:
    accounts.add_user(guarded, "ada", PASSWORD)
    assert "Password" in stranger.get("/login").text
    wrong = stranger.post("/login", data={"username": "ada", "password": "wrong"})
    assert wrong.status_code == 401
    answer = stranger.post("/login", data={"username": "ada", "password": PASSWORD, "next": "/queue"})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/queue"
    assert stranger.get("/info.json").json["user"] == "ada"
    assert stranger.post("/logout").status_code == 403
    assert stranger.get("/logout").status_code == 403, "a link does not log out"
    assert stranger.post("/logout", headers=same_origin()).status_code == 302
    assert stranger.get("/index.json").status_code == 401


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil"]
)
def test_next_never_leads_elsewhere(guarded: Service, stranger: FlaskClient, target: str) -> None:
    accounts.add_user(guarded, "ada", PASSWORD)
    answer = stranger.post("/login", data={"username": "ada", "password": PASSWORD, "next": target})
    assert answer.headers["Location"] == "/"


def test_a_log_in_leads_to_nothing_that_changes_something(guarded: Service, stranger: FlaskClient) -> None:
    """Else a link on another site could have it done by the log-in, which comes from a page of this server."""
    accounts.add_user(guarded, "ada", PASSWORD)
    for target, leads in {
        "/group?job_ids[]=1": "/",
        "/logout": "/",
        "/models/images/classification/classify_many?job_id=1&wait=0": "/",
        "/models/images/generic/infer_one": "/",
        "/%67roup": "/",
        "/files/../group": "/",  # browsers take it for /group
        "/files/%2E%2e/group": "/",
        "/./group": "/",
        "/models/images//generic/infer_one": "/",
        "/group ": "/",
        "/no-such-page": "/",
        "/queue?a=b": "/queue?a=b",
        "/files/%c3%a4": "/files/%c3%a4",
    }.items():
        answer = stranger.post("/login", data={"username": "ada", "password": PASSWORD, "next": target}, headers=same_origin())
        assert answer.headers["Location"] == leads, target


def test_a_new_password_ends_every_session(guarded: Service, stranger: FlaskClient) -> None:
    accounts.add_user(guarded, "ada", PASSWORD)
    stranger.post("/login", data={"username": "ada", "password": PASSWORD})
    assert stranger.get("/index.json").status_code == 200
    accounts.change_password(guarded, "ada", "another horse")
    assert stranger.get("/index.json").status_code == 401


def test_bearer_tokens(guarded: Service, stranger: FlaskClient) -> None:
    accounts.add_user(guarded, "ada", PASSWORD)
    token = tokens.add_token(guarded, "ada", "a script")
    headers = {"Authorization": f"Bearer {token}"}
    assert stranger.get("/info.json", headers=headers).json["user"] == "ada"
    job = make_job(guarded, owner="ada")
    assert stranger.put(f"/jobs/{job.id}", data={"job_name": "new"}, headers=headers).status_code == 200
    tokens.remove_token(guarded, tokens.list_tokens(guarded)[0].id)
    answer = stranger.get("/info.json", headers=headers)
    assert answer.status_code == 401
    assert "digits token add" in answer.json["error"]["description"]


def test_the_originals_way_in_is_refused_with_advice(stranger: FlaskClient) -> None:
    for answer in (stranger.post("/login", data={"username": "me"}), stranger.get("/index.json?username=me")):
        assert answer.status_code == 401
    assert "digits token add" in stranger.post("/login.json", data={"username": "me"}).json["error"]["description"]


def test_without_log_in_a_name_is_enough(service: Service) -> None:
    client = create_app(service).test_client()
    assert client.get("/index.json").status_code == 200
    job = make_job(service, owner="")
    for headers in ({"Accept": "application/json"}, {}):  # nobody known has the permission (R 8.4)
        assert client.put(f"/jobs/{job.id}", data={"job_name": "x"}, headers=headers).status_code == 403
        assert client.delete(f"/models/{job.id}", headers=headers).status_code == 403
        many = client.delete("/jobs", data={"job_ids[]": job.id}, headers=headers)
        assert (many.status_code, "1 job not permitted." in many.text) == (400, True)
    assert client.post(f"/jobs/{job.id}/abort", headers={"Accept": "application/json"}).status_code == 401
    assert client.post(f"/jobs/{job.id}/abort").headers["Location"].startswith("/login?next=")
    assert client.put(f"/jobs/{job.id}?username=ada", data={"job_name": "x"}).status_code == 200
    assert client.put(f"/jobs/{job.id}", data={"job_name": "y", "username": "ada"}).status_code == 200
    bad = client.put(f"/jobs/{job.id}?username=Ada", data={"job_name": "x"}, headers={"Accept": "application/json"})
    assert bad.status_code == 400


def test_log_in_and_out_as_the_originals_tests_do(service: Service) -> None:
    client = create_app(service).test_client()
    assert client.post("/login", data={"username": "Not Good"}).status_code == 400
    answer = client.post("/login?next=/queue", data={"username": "digits-testsuite"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/queue")
    assert client.get("/info.json").json["user"] == "digits-testsuite"
    assert client.post("/logout").status_code == 302
    assert client.get("/info.json").json["user"] == ""


def test_the_log_in_page_says_why_the_printed_address_does_not_open(guarded: Service, stranger: FlaskClient) -> None:
    token = accounts.new_first_token(guarded)
    page = stranger.get("/queue?a=b&token=of-yesterday", follow_redirects=True).get_data(as_text=True)
    assert "each start prints a new one" in page
    assert "of-yesterday" not in page
    stranger.get(f"/?token={token}")
    accounts.add_user(guarded, "ada", PASSWORD)
    assert "has accounts now" in stranger.get("/", follow_redirects=True).get_data(as_text=True), "the open session ends"
    page = stranger.application.test_client().get(f"/queue?a=b&token={token}", follow_redirects=True).get_data(as_text=True)
    assert "has accounts now" in page
    assert 'value="/queue?a=b"' in page
    assert "has accounts now" not in stranger.application.test_client().get("/login").get_data(as_text=True)


def test_cookies_are_secure_behind_https(guarded: Service, stranger: FlaskClient) -> None:
    token = accounts.new_first_token(guarded)
    plain = stranger.get(f"/?token={token}").headers["Set-Cookie"]
    behind = stranger.get(f"/?token={token}", headers={"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert "Secure" not in plain
    assert "Secure" in behind
