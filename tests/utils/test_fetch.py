"""Addresses are fetched from the public network alone, whatever they look like and wherever they lead."""

from __future__ import annotations

import contextlib
import errno
import http.server
import io
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.errors import LoadImageError
from digits.utils import fetch
from digits.utils.fetch import is_public

CLOSED = (
    *("127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1", "198.18.0.1", "192.0.0.1", "192.0.2.1"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "fe80::1", "fe80::1%eth0"),
    *("fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::1"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"),
)
OPEN = ("8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")
OTHER_FORMS = ("2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "127.1", "0", "localhost.", "[::ffff:7f00:1]")


@pytest.mark.parametrize("address", CLOSED)
def test_what_is_not_public_is_closed(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", OPEN)
def test_what_is_public_is_open(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", OTHER_FORMS)
def test_other_spellings_of_this_machine_are_closed(host: str) -> None:
    with pytest.raises(LoadImageError, match="not a public address|is unknown"):
        fetch.fetch(f"http://{host}/x.png")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://8.8.8.8/x", "gopher://8.8.8.8/x", "http://", "http:///x", "http://[::1"]
)
def test_other_addresses_are_none(url: str) -> None:
    with pytest.raises(LoadImageError, match=r"is not an http\(s\) address"):
        fetch.fetch(url)


def test_one_closed_address_of_a_name_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(LoadImageError, match=r"leads to 10\.0\.0\.1"):
        fetch.public_addresses("two.example", 80)


class Site(http.server.BaseHTTPRequestHandler):
    """Pictures, redirects, and answers that drip."""

    def do_GET(self) -> None:
        kind = self.path.strip("/")
        if kind == "redirect":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if kind == "drip":
            with contextlib.suppress(OSError):  # nobody listens any more
                for _ in range(600):
                    self.wfile.write(b"x")
                    time.sleep(0.1)
            return
        picture = io.BytesIO()
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(picture, "png")
        self.wfile.write(picture.getvalue())

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """A site at `public.example`, whose one public address leads here: all connections that were asked for."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    looked_up = iter([["8.8.8.8"], ["127.0.0.1"], ["127.0.0.1"]])  # a name that changes its mind
    asked: list[Any] = []

    def answers(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in next(looked_up)]

    def here(address: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(address)
        raw = socket.socket()
        raw.settimeout(timeout)
        raw.connect(server.server_address[:2])
        return raw

    monkeypatch.setattr(socket, "getaddrinfo", answers)
    monkeypatch.setattr(socket, "create_connection", here)
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_name_is_looked_up_once_and_that_address_is_connected_to(site: list[Any]) -> None:
    assert fetch.fetch("http://public.example:8000/picture").startswith(b"\x89PNG")
    assert site == [("8.8.8.8", 8000)]


def test_a_name_of_several_addresses_is_reached_by_the_first_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of IPv6 and IPv4 from a machine that has only the latter; they are tried as the system orders them."""
    found = [("2a00::1", socket.AF_INET6), ("8.8.8.8", socket.AF_INET), ("9.9.9.9", socket.AF_INET)]
    answers = [(family, socket.SOCK_STREAM, 6, "", (address, 80)) for address, family in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    tried: list[str] = []
    mine, peer = socket.socketpair()

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        tried.append(address[0])
        if address[0] == "2a00::1":
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return mine

    monkeypatch.setattr(socket, "create_connection", connect)
    with mine, peer:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        assert fetch.fetch("http://both.example/") == b"hi"
    assert tried == ["2a00::1", "8.8.8.8"]
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: connect(("2a00::1", 80), timeout))
    with pytest.raises(LoadImageError, match="Network is unreachable"):
        fetch.fetch("http://both.example/")


def test_redirects_are_not_followed(site: list[Any]) -> None:
    with pytest.raises(LoadImageError, match=r"answered 302 .*redirects are not followed"):
        fetch.fetch("http://public.example/redirect")
    assert len(site) == 1


def test_an_answer_that_drips_has_an_end(site: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "ALL_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(LoadImageError, match=r"was not there whole after 0\.5 s"):
        fetch.fetch("http://public.example/drip")
    assert time.monotonic() - began < 30
