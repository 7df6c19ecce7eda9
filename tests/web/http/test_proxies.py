"""Forwarded headers: believed from the proxies of the setting, and from nobody else, however they are made up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import request

from digits import config
from digits.errors import ConfigError
from digits.service import Service
from digits.web.app import create_app

CLIENT = "203.0.113.7"


def seen(service: Service, trusted: str, remote: str, headers: dict[str, str]) -> tuple[str, str, str]:
    """Address, scheme and host that the application sees."""
    app = create_app(Service(replace(service.settings, trusted_proxies=trusted), service.jobs_dir, service.store))
    found: list[tuple[str, str, str]] = []
    app.view_functions["system.health"] = lambda: found.append((str(request.remote_addr), request.scheme, request.host)) or "seen"
    answer = app.test_client().get("/health", headers=headers, environ_base={"REMOTE_ADDR": remote})
    assert answer.status_code == 200, answer.text
    return found[0]


@pytest.mark.parametrize("trusted", ["", "10.0.0.1", "192.168.0.0/16, fd00::/8"])
@pytest.mark.parametrize("remote", [CLIENT, "127.0.0.1", "::1"])
def test_headers_of_anybody_else_count_for_nothing(service: Service, trusted: str, remote: str) -> None:
    headers = {
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "127.0.0.2",
        "X-Real-IP": "1.2.3.4",
    }
    headers |= {"Forwarded": "for=1.2.3.4;proto=https", "X-Forwarded-Ssl": "on", "X-Forwarded-Port": "443", "SCRIPT_NAME": "/x"}
    assert seen(service, trusted, remote, headers) == (remote, "http", "localhost")


@pytest.mark.parametrize(
    ("trusted", "remote", "forwarded", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", CLIENT, CLIENT),
        ("127.0.0.1", "::ffff:127.0.0.1", CLIENT, CLIENT),
        ("127.0.0.0/8,10.0.0.0/8", "127.0.0.1", f"{CLIENT}, 10.1.1.1", CLIENT),
        ("127.0.0.1", "127.0.0.1", f"1.2.3.4, {CLIENT}", CLIENT),  # the sender made up the first
        ("127.0.0.1", "127.0.0.1", f"127.0.0.1, {CLIENT}", CLIENT),
        ("127.0.0.1", "127.0.0.1", f"{CLIENT}, 127.0.0.1", CLIENT),
        ("10.0.0.0/8", "10.0.0.1", "10.0.0.9", "10.0.0.9"),  # a user in the proxies' network
        ("127.0.0.1", "127.0.0.1", f"{CLIENT}:4711", CLIENT),
        ("127.0.0.1", "127.0.0.1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("127.0.0.1", "127.0.0.1", '"2001:db8::7"', "2001:db8::7"),
        ("127.0.0.1", "127.0.0.1", f"{CLIENT}, unknown", "127.0.0.1"),  # nothing before a word that is no address is believed
        ("127.0.0.1", "127.0.0.1", "<script>", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", ",".join(["1.1.1.1"] * 500 + [CLIENT]), CLIENT),
    ],
)
def test_the_sender_is_the_last_address_that_is_no_proxy(
    service: Service, trusted: str, remote: str, forwarded: str, expected: str
) -> None:
    assert seen(service, trusted, remote, {"X-Forwarded-For": forwarded})[0] == expected


def test_scheme_and_host_come_with_the_sender(service: Service) -> None:
    one = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost"}
    assert seen(service, "127.0.0.1", "127.0.0.1", {**one, "Host": "127.0.0.1:5000"}) == (CLIENT, "https", "localhost")
    two = {"X-Forwarded-For": f"{CLIENT}, 10.0.0.1", "X-Forwarded-Proto": "https, http"}
    assert seen(service, "127.0.0.1,10.0.0.1", "127.0.0.1", two)[:2] == (CLIENT, "https")
    made_up = {"X-Forwarded-For": f"1.2.3.4, {CLIENT}", "X-Forwarded-Proto": "https, http"}
    assert seen(service, "127.0.0.1", "127.0.0.1", made_up)[:2] == (CLIENT, "http")


def test_a_name_that_somebody_pointed_here_does_not_hide_behind_a_header(service: Service) -> None:
    """A page of that name may set `X-Forwarded-Host` in its own requests, which a proxy may pass on."""
    app = create_app(Service(replace(service.settings, trusted_proxies="127.0.0.1"), service.jobs_dir, service.store))
    for headers in (
        {"Host": "evil.example", "X-Forwarded-Host": "localhost"},
        {"Host": "localhost", "X-Forwarded-Host": "evil.example"},
    ):
        assert app.test_client().get("/health", headers=headers).status_code == 400


def test_a_proxy_that_is_not_believed_is_named_once(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    client = create_app(service).test_client()
    for number in range(3):
        client.get("/health", headers={"X-Forwarded-For": f"1.2.3.{number}"}, environ_base={"REMOTE_ADDR": CLIENT})
    assert caplog.text.count("is not believed") == 1
    assert f"{CLIENT} sends X-Forwarded-For" in caplog.text
    assert "trusted_proxies" in caplog.text


def test_what_is_no_network_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("proxy.lab", "10.0.0.1/8", "127.0.0.1 10.0.0.1"):
        with pytest.raises(ConfigError, match="DIGITS_TRUSTED_PROXIES: trusted_proxies is"):
            config.load(environ={"DIGITS_TRUSTED_PROXIES": value})
    assert len(config.load(environ={"DIGITS_TRUSTED_PROXIES": "127.0.0.1, ::1,10.0.0.0/8"}).settings.proxy_networks()) == 3
