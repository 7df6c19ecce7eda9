"""Below the path of a proxy: every redirect and every address on a page stays there, with a log-in too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from digits.domain.jobs import Kind, Status
from digits.service import Service, accounts
from digits.storage.jobs.store import JobQuery
from digits.web.app import create_app
from tests.builders import make_job

PREFIX, PASSWORD = "/digits", "a long enough password"
ADDRESS = re.compile(r"""(?:href|src|action|data-href)=["'](/[^"']*)["']""")


@pytest.fixture
def app(service: Service) -> Flask:
    guarded = Service(replace(service.settings, auth=True, url_prefix=PREFIX), service.jobs_dir, service.store)
    accounts.add_user(guarded, "ada", PASSWORD)
    for kind in (Kind.DATASET, Kind.MODEL, Kind.EVALUATION):
        make_job(guarded, kind=kind, status=Status.DONE, owner="ada")
    return create_app(guarded)


def addresses(app: Flask) -> Iterator[str]:
    """Of every page that can be asked for with GET, with the id of a real job where one is needed."""
    jobs = app.extensions["digits"].store.query(JobQuery()).jobs
    for rule in app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.rule.endswith(("/events", "json")):
            continue
        if not rule.arguments:
            yield rule.rule
        elif rule.arguments == {"job_id"}:
            for job in jobs:
                yield rule.rule.replace("<job_id>", job.id)


def test_every_redirect_stays_below_the_prefix(app: Flask) -> None:
    stranger, ada = app.test_client(), app.test_client()
    log_in(ada)
    seen = 0
    for address in addresses(app):
        for client in (stranger, ada):
            answer = client.get(address, headers={"Accept": "text/html"}, buffered=False)
            answer.close()
            if 300 <= answer.status_code < 400:
                seen += 1
                assert answer.headers["Location"].startswith(f"{PREFIX}/"), (address, answer.headers["Location"])
    assert seen > 20


def log_in(client: FlaskClient, **more: str) -> str:
    answer = client.post("/digits/login", data={"username": "ada", "password": PASSWORD, **more})
    assert answer.status_code == 302
    return answer.headers["Location"]


def test_a_log_in_leads_to_where_one_was_going(app: Flask) -> None:
    for wanted, led_to in (
        ("/models/customize", "/digits/models/customize"),
        ("/digits/queue?a=b", "/digits/queue?a=b"),
        ("/digits", "/digits"),
        ("https://evil.example/", "/digits/"),
        ("//evil.example", "/digits/"),
    ):
        assert log_in(app.test_client(), next=wanted) == led_to


def test_the_way_through_the_log_in(app: Flask) -> None:
    client = app.test_client()
    login = client.get("/digits/queue?x=1", headers={"Accept": "text/html"}).headers["Location"]
    assert login.startswith("/digits/login?next=")
    page = client.get(login).text
    found = re.search(r'name="next" value="([^"]*)"', page)
    assert found is not None
    assert log_in(client, next=found[1]) == "/digits/queue?x=1"


def test_every_address_on_a_page_is_below_the_prefix(app: Flask) -> None:
    """Whether the proxy strips it or not: the browser's cookie comes along either way."""
    client = app.test_client()
    log_in(client)
    cookie = client.get_cookie(app.config["SESSION_COOKIE_NAME"], path=f"{PREFIX}/")
    assert cookie is not None
    headers = {"Accept": "text/html", "Cookie": f"{cookie.key}={cookie.value}"}
    forms = ["/models/images/classification/new", "/datasets/images/classification/new"]
    for page in ("/", "/queue", "/uploads", "/info", "/login", "/nothing/here", *forms):
        for path in (page, PREFIX + page):
            found = ADDRESS.findall(app.test_client(use_cookies=False).get(path, headers=headers).text)
            assert len(found) > 3
            assert [address for address in found if not address.startswith(f"{PREFIX}/")] == []
