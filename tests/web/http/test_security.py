"""Host, origin, headers: what keeps other sites and foreign content out."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from digits.config import Settings
from digits.errors import ConfigError
from digits.service import Service, accounts
from digits.web.app import create_app
from tests.builders import make_job


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "127.0.0.1:5000", "[::1]:5000", "10.1.2.3"])
def test_known_hosts_pass(client: FlaskClient, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"])
def test_a_name_that_somebody_pointed_here_is_refused(client: FlaskClient, host: str) -> None:
    answer = client.get("/index.json", headers={"Host": host})
    assert answer.status_code == 400
    assert "allowed_hosts" in answer.json["error"]["description"]


def test_further_names_can_be_allowed(service: Service) -> None:
    named = Service(replace(service.settings, allowed_hosts="gpu.lab, other"), service.jobs_dir, service.store)
    assert create_app(named).test_client().get("/health", headers={"Host": "gpu.lab"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8888"},
    ],
)
def test_other_sites_cannot_change_anything(client: FlaskClient, service: Service, headers: dict[str, str]) -> None:
    job = make_job(service)
    answer = client.put(f"/jobs/{job.id}", data={"job_name": "taken over"}, headers=headers)
    assert answer.status_code == 403
    assert service.store.get(job.id).name == "a job"


def test_a_session_needs_a_proof_and_a_form_token_is_one(service: Service) -> None:
    guarded = Service(replace(service.settings, auth=True), service.jobs_dir, service.store)
    client = create_app(guarded).test_client()
    client.get(f"/?token={accounts.new_first_token(guarded)}")
    job = make_job(guarded, owner=accounts.default_user())
    change = {"job_name": "new"}
    assert client.put(f"/jobs/{job.id}", data=change).status_code == 403
    assert client.put(f"/jobs/{job.id}", data=change, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert client.put(f"/jobs/{job.id}", data=change, headers={"Origin": "http://localhost"}).status_code == 200
    found = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/").text)
    assert found is not None
    assert client.put(f"/jobs/{job.id}", data={**change, "csrf_token": found[1]}).status_code == 200
    assert client.put(f"/jobs/{job.id}", data=change, headers={"X-CSRF-Token": found[1]}).status_code == 200
    assert client.put(f"/jobs/{job.id}", data=change, headers={"X-CSRF-Token": "wrong"}).status_code == 403


def test_headers_of_a_page(client: FlaskClient) -> None:
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search(r"script-src 'self' 'nonce-([^']+)';", policy)
    assert nonce is not None
    assert f'<script nonce="{nonce[1]}">' in answer.text
    assert "unsafe-eval" not in policy
    assert "connect-src 'self'" in policy
    for rule in ("object-src 'none'", "form-action 'self'", "frame-ancestors 'self'", "base-uri 'self'"):
        assert rule in policy
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }.items():
        assert answer.headers[name] == value
    assert client.get("/").headers["Content-Security-Policy"] != policy, "each answer has a nonce of its own"


def test_no_page_has_script_that_the_policy_would_stop(client: FlaskClient) -> None:
    for address in ("/", "/queue", "/info", "/uploads", "/login", "/foo"):
        text = client.get(address).text
        for tag in re.findall(r"<script\b[^>]*>", text):
            assert "src=" in tag or "nonce=" in tag or "application/json" in tag, (address, tag)
        assert not re.search(r"<[^>]+\son\w+=", text), address


@pytest.mark.parametrize(
    ("host", "auth", "users", "refused"),
    [
        ("127.0.0.1", False, False, ""),
        ("localhost", True, False, ""),
        ("0.0.0.0", False, True, "no-auth"),
        ("0.0.0.0", True, False, "digits user add"),
        ("192.168.1.2", True, True, ""),
    ],
)
def test_strangers_cannot_reach_a_server_without_accounts(
    service: Service, host: str, auth: bool, users: bool, refused: str
) -> None:
    named = Service(Settings(jobs_dir=service.settings.jobs_dir, host=host, auth=auth), service.jobs_dir, service.store)
    if users:
        accounts.add_user(named, "ada", "correct horse")
    if refused:
        with pytest.raises(ConfigError, match=refused):
            accounts.check_address(named)
    else:
        accounts.check_address(named)


def test_below_a_prefix_addresses_and_cookies_carry_it(service: Service) -> None:
    prefixed = Service(replace(service.settings, url_prefix="/digits"), service.jobs_dir, service.store)
    client = create_app(prefixed).test_client()
    for base in ("/digits", ""):  # whether the proxy strips the prefix or not
        page = client.get(f"{base}/queue")
        assert page.status_code == 200
        assert 'href="/digits/queue"' in page.text
        assert 'content="/digits"' in page.text
    answer = client.post("/digits/login", data={"username": "ada"})
    assert answer.headers["Location"] == "/digits/"
    assert "Path=/digits" in answer.headers["Set-Cookie"]
