"""Slow and crowding connections against a real web process of eight threads: none is held by who is not logged in, and nobody who
goes on, however slowly, is cut."""

from __future__ import annotations

import contextlib
import http.client
import logging
import select
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import ThreadWorker

from digits.config import Settings
from digits.service import accounts
from digits.service.sessions import digest
from digits.storage.publications import Publication, Publications, ServeToken, Version
from digits.web import worker
from digits.web.connections import Connection, Strangers, first_to_go
from digits.web.worker import OPENING
from tests.conftest import RunningServer, start_server
from tests.waiting import PATIENCE_SECONDS, wait_for

PASSWORD = "correct horse"
PROXY = "127.0.0.9"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
LOG_IN = urlencode({"username": "ada", "password": PASSWORD})
LARGE = "/vendor/plotly.min.js"
SLOW_BODY = (
    "POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 999\r\n"
)
THREADS = 8


class Site:
    """A server whose limits are two seconds, in which a busy machine gets on with a test; for six who are not logged in it waits
    at a time, for two of one address."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.port = int(server.url.rpartition(":")[2])
        self.opened: list[socket.socket] = []
        status, headers, _ = self.ask("POST", "/login", LOG_IN, FORM)
        assert status == 302
        self.cookie = {"Cookie": str(headers["Set-Cookie"]).partition(";")[0]}

    def ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def connect(self, text: str = "", address: str = "127.0.0.1", buffer: int = 0) -> socket.socket:
        """A connection that has sent `text`; `buffer` is how much is kept of what it does not read."""
        sock = socket.socket()
        self.opened.append(sock)
        sock.settimeout(60)
        sock.bind((address, 0))
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.connect(("127.0.0.1", self.port))
        sock.sendall(text.encode())
        return sock

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()

    def answers(self) -> bool:
        """Whether the log-in page and a page for those who are in come."""
        return self.ask("GET", "/login")[0] == 200 and self.ask("GET", "/sessions.json", headers=self.cookie)[0] == 200


@contextlib.contextmanager
def open_site(folder: Path, seconds: int) -> Iterator[Site]:
    limits = {"web_threads": str(THREADS), "head_seconds": str(seconds), "body_seconds": str(seconds)}
    limits["connections_per_address"] = "2"
    with start_server(folder, "-m", "digits.web", auth="true", trusted_proxies=PROXY, **limits) as server:
        accounts.add_user(server.service, "ada", PASSWORD)
        yield Site(server)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("slow"), 2) as site:
        yield site


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Site]:
    """One that cuts nobody for being slow while a test goes on, however busy the machine is."""
    with open_site(tmp_path, 600) as site:
        yield site
        site.close()


@pytest.fixture(autouse=True)
def close(site: Site) -> Iterator[None]:
    yield
    site.close()


def head(text: str, headers: dict[str, str]) -> str:
    lines = [text, "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""])


def all_of(sock: socket.socket) -> str:
    """What comes until the server closes."""
    parts = []
    with sock, contextlib.suppress(ConnectionError):
        while part := sock.recv(1 << 16):
            parts.append(part)
    return b"".join(parts).decode()


def wait_for_the_end(sock: socket.socket) -> None:
    """Until the server has closed, without reading."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    assert poll.poll(60_000)


def is_open(sock: socket.socket) -> bool:
    sock.setblocking(False)
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def test_heads_that_do_not_come_hold_no_thread(site: Site) -> None:
    slow = [site.connect("GET /login HTTP/1.1\r\nX-Slow: ") for _ in range(3 * THREADS)]
    silent = site.connect()
    assert site.answers()
    for sock in slow:
        answer = all_of(sock)
        assert answer.startswith("HTTP/1.1 408 ")
        assert "did not come within 2 s (setting head_seconds)" in answer
    assert all_of(silent) == ""


def test_more_connections_than_there_may_be_make_room(site: Site) -> None:
    kept = site.connect(head("GET /sessions.json HTTP/1.1", site.cookie))
    assert kept.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    waiting = [site.connect("G") for _ in range(THREADS + 200)]
    assert site.answers()
    assert not is_open(waiting[0]), "the oldest went"
    kept.sendall(head("GET /login HTTP/1.1", {"Connection": "close"}).encode())
    assert "HTTP/1.1 200 " in all_of(kept), "who is logged in stays"


def test_a_head_may_come_in_single_bytes_and_be_long(site: Site) -> None:
    sock = site.connect()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in head("GET /health HTTP/1.1", {"Connection": "close"}):
        sock.sendall(byte.encode())
    assert all_of(sock).startswith("HTTP/1.1 200 ")
    long = {f"X-{number}": "x" * 8000 for number in range(8)}
    assert site.ask("GET", "/login", headers=long)[0] == 200
    assert "431 Request Header Fields Too Large" in all_of(site.connect(head("GET /login HTTP/1.1", {**long, "X-8": "x" * 8000})))
    assert "HTTP/1.1 400 " in all_of(site.connect("GET /login HTTP/1.1\nHost: 127.0.0.1\n\n")), "nothing more is waited for"


def test_bodies_that_do_not_come_leave_threads_to_those_who_are_in(site: Site) -> None:
    slow = [site.connect(f"{SLOW_BODY}\r\npassword=") for _ in range(3 * THREADS)]
    assert site.answers()
    assert site.ask("POST", "/login", LOG_IN, FORM)[0] == 302
    for sock in slow:
        assert all_of(sock)[:13] in ("", "HTTP/1.1 408 ")


def test_a_body_that_stands_still_is_an_error_with_advice(site: Site) -> None:
    begun = {
        **FORM,
        "Content-Length": "999",
        "Connection": "close",
        "Accept": "application/json",
        "Sec-Fetch-Site": "same-origin",
    }
    answer = all_of(site.connect(head("POST /login HTTP/1.1", {**begun, **site.cookie}) + "password="))
    assert answer.startswith("HTTP/1.1 408 ")
    assert "stood still for 2 s" in answer
    assert "body_seconds" in answer


def test_a_body_that_trickles_ends_and_one_that_goes_on_slowly_does_not(site: Site) -> None:
    def send(pieces: int, size: int) -> str:
        sock = site.connect(head("POST /login HTTP/1.1", {**FORM, "Content-Length": str(pieces * size), "Connection": "close"}))
        with contextlib.suppress(ConnectionError):
            for _ in range(pieces):
                sock.sendall(b"x" * size)
                time.sleep(0.3)
        return all_of(sock)

    assert send(12, 10)[:13] in ("HTTP/1.1 408 ", "")
    assert send(12, 300).startswith("HTTP/1.1 401 "), "no password in it, but all of it came"


def test_who_does_not_read_holds_no_thread(site: Site) -> None:
    live = site.connect(head("GET /events HTTP/1.1", site.cookie))
    assert b"retry" in live.recv(1 << 16) + live.recv(1 << 16)
    ask = head(f"GET {LARGE} HTTP/1.1", {"Connection": "close"})
    strangers = [site.connect(ask, buffer=4096) for _ in range(3 * THREADS)]
    assert site.answers()
    known = [site.connect(head(f"GET {LARGE} HTTP/1.1", site.cookie), buffer=4096) for _ in range(2)]
    for sock in (*strangers, *known):
        wait_for_the_end(sock)
        assert len(all_of(sock)) < 1 << 20
    assert is_open(live)
    live.close()
    reading = site.connect(ask)
    assert reading.recv(1)
    time.sleep(0.5)
    assert len(all_of(reading)) > 1 << 20, "who reads after all gets all of it"


def test_requests_behind_each_other_and_bodies_of_every_form(site: Site) -> None:
    ask, last = head("GET /health HTTP/1.1", {}), head("GET /health HTTP/1.1", {"Connection": "close"})
    assert all_of(site.connect(ask * 20 + last)).count("HTTP/1.1 200 ") == 21
    sock = site.connect(head("POST /login HTTP/1.1", {**FORM, "Content-Length": str(len(LOG_IN))}) + LOG_IN + last[:20])
    assert sock.recv(1 << 16).startswith(b"HTTP/1.1 302 ")
    sock.sendall(last[20:].encode())
    assert "HTTP/1.1 200 " in all_of(sock)
    chunks = f"5\r\n{LOG_IN[:5]}\r\n{len(LOG_IN) - 5:x}\r\n{LOG_IN[5:]}\r\n0\r\n\r\n"
    sock = site.connect(head("POST /login HTTP/1.1", {**FORM, "Transfer-Encoding": "chunked"}) + chunks + last)
    assert [part[:3] for part in all_of(sock).split("HTTP/1.1 ")[1:]] == ["302", "200"]
    sock = site.connect(head("POST /login HTTP/1.1", {**FORM, "Content-Length": str(len(LOG_IN)), "Expect": "100-continue"}))
    assert sock.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
    sock.sendall(f"{LOG_IN}{last}".encode())
    assert [part[:3] for part in all_of(sock).split("HTTP/1.1 ")[1:]] == ["302", "200"]


def test_behind_a_trusted_proxy_the_senders_are_counted_and_not_the_proxy(patient: Site) -> None:
    def begin(sender: str) -> socket.socket:
        """One whose body is waited for, so that they are in this order."""
        sock = patient.connect(f"{SLOW_BODY}Expect: 100-continue\r\nX-Forwarded-For: {sender}\r\n\r\n", address=PROXY)
        assert sock.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
        return sock

    senders = [begin(f"203.0.113.{number}") for number in (1, 1, 2, 3)]
    assert [is_open(sock) for sock in senders] == [True] * 4
    begin("203.0.113.1")
    wait_for(lambda: not is_open(senders[0]))
    assert [is_open(sock) for sock in senders[1:]] == [True] * 3, "only the oldest of the sender with too many went"


def test_the_last_word_is_not_waited_for_and_the_crowd_goes_first() -> None:
    with socket.socket() as listener, socket.socket() as peer:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        peer.connect(listener.getsockname())
        taken, _ = listener.accept()
        with Connection(taken, "a", 3600, Strangers(2, 2), trusted=False) as connection, pytest.raises(BlockingIOError):
            [connection.send_now(bytes(1 << 20)) for _ in range(1000)]
    assert first_to_go([(1, "a"), (2, "b"), (3, "c"), (4, "b")]) == 2
    assert first_to_go([(1, "a"), (2, "b")]) == 1


@pytest.mark.parametrize(
    ("head_line", "body", "reads", "kept"),
    [
        ("Content-Length: 4", "body", True, True),
        ("Transfer-Encoding: chunked", "4\r\nbody\r\n0\r\n\r\n", True, True),
        ("Content-Length: 0", "", True, True),
        ("Content-Length: 9", "body", False, False),
    ],
)
def test_a_connection_is_kept_as_it_was_said_however_late_its_thread_goes_on(
    monkeypatch: pytest.MonkeyPatch, head_line: str, body: str, reads: bool, kept: bool
) -> None:
    monkeypatch.setattr(worker, "DRAIN_SECONDS", -1.0)  # as after a thread has waited for its turn
    monkeypatch.setattr(ThreadWorker, "handle_request", lambda _self, req, _conn: (req.body.read() if reads else b"") is not None)
    mine, peer = socket.socketpair()
    with mine, peer:
        peer.sendall(f"POST / HTTP/1.1\r\n{head_line}\r\n\r\n{body}".encode())
        parser = RequestParser(Config(), mine, ("127.0.0.1", 1))
        conn = SimpleNamespace(sock=SimpleNamespace(known=False), parser=parser)
        assert worker.Worker.handle_request(object.__new__(worker.Worker), next(parser), conn) is kept


def test_what_was_cut_is_said_once_a_minute_with_where_most_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    strangers = Strangers(2, 2)
    assert strangers.report() == ""
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        strangers.note_cut(address)
    assert strangers.report().startswith("3 slow or crowding connections were ended, 2 of them from 192.0.2.1")
    strangers.note_cut("192.0.2.2")
    assert strangers.report() == "", "not twice within a minute"
    monkeypatch.setattr("digits.web.connections.REPORT_SECONDS", 0.0)
    assert strangers.report().startswith("1 slow")


def test_live_pages_that_come_together_are_all_opened_a_few_at_a_time(site: Site) -> None:
    refused = [site.connect(head("GET /events HTTP/1.1", {"Connection": "close"})) for _ in range(OPENING + 2)]
    assert [all_of(sock).partition("\r\n")[0] for sock in refused] == ["HTTP/1.1 302 FOUND"] * len(refused)  # to log in
    live = [site.connect(head("GET /events HTTP/1.1", site.cookie)) for _ in range(OPENING + 2)]
    for sock in live:
        text = b""
        while b"retry: 1000" not in text:
            assert (part := sock.recv(1 << 16))
            text += part
    assert site.answers()


class Arrival:
    """A connection as it comes to a worker: its peer has sent a whole request."""

    def __init__(self, path: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.peer = socket.create_connection(listener.getsockname(), timeout=PATIENCE_SECONDS)
            taken, self.client = listener.accept()
        self.peer.sendall(head(f"GET {path} HTTP/1.1", {}).encode())
        select.select([taken], [], [], 60)
        self.sock = Connection(taken, "a", 60, Strangers(6, 6), trusted=False)
        self.parser = None

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def arrive() -> Iterator[Callable[[str], Arrival]]:
    made: list[Arrival] = []

    def arrive(path: str) -> Arrival:
        made.append(Arrival(path))
        return made[-1]

    yield arrive
    for conn in made:
        conn.close()
        conn.peer.close()


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Arrival]:
    """Connections whose requests a thread was given, in this order: none of these threads is there."""
    begun: list[Arrival] = []
    monkeypatch.setattr(ThreadWorker, "enqueue_req", lambda _self, conn: begun.append(conn))
    return begun


@pytest.fixture
def one() -> Iterator[worker.Worker]:
    """A worker that has no listener."""
    one = worker.Worker(1, 1, [], SimpleNamespace(settings=Settings()), 30, Config(), logging.getLogger("digits"))
    one.method_queue.init()
    one.poller = selectors.DefaultSelector()
    yield one
    one.poller.close()
    one.method_queue.close()
    one.tmp.close()


def test_of_live_pages_that_come_together_four_are_opened_at_a_time(
    one: worker.Worker, begun: list[Arrival], arrive: Callable[[str], Arrival]
) -> None:
    paths = ("/events", "/events?after=3", "/digits/models/20260101-000000-abcd/events")
    live, page = [arrive(paths[number % 3]) for number in range(9)], arrive("/models/events.html")
    for conn in (*live, page):
        one.enqueue_req(conn)
    assert begun == [*live[:4], page], "nobody's page waits for them"
    live[2].sock.sendall(b"HTTP/1.1 200 OK\r\n")  # in its thread
    assert len(begun) == 5, "threads open nothing"
    one.method_queue.run_callbacks(None)
    assert begun[5:] == live[4:5], "the first that waits, once one of the four is answered"
    live[2].sock.sendall(b"\r\n")
    one.method_queue.run_callbacks(None)
    assert begun[6:] == [], "which counts once"
    failed: Future[bool] = Future()
    failed.set_exception(OSError())
    one.nr_conns = len(live)
    one.finish_request(live[0], failed)
    assert begun[6:] == live[5:6], "or once one of them has ended without an answer"
    for conn in live[1:6]:
        conn.sock.sendall(b"HTTP/1.1 200 OK\r\n")
    one.method_queue.run_callbacks(None)
    assert begun[7:] == live[6:]


def test_live_pages_that_were_not_opened_are_closed_when_the_server_ends(
    one: worker.Worker, begun: list[Arrival], arrive: Callable[[str], Arrival]
) -> None:
    live = [arrive("/events") for _ in range(OPENING + 3)]
    for conn in live:
        one.enqueue_req(conn)
    one.alive, one.nr_conns = False, len(live)
    one.murder_pending()
    assert begun == live[:OPENING]
    assert [conn.peer.recv(1) for conn in live[OPENING:]] == [b""] * 3
    assert one.nr_conns == OPENING


def test_a_program_that_never_finishes_sending_is_answered_and_gives_its_place_back(site: Site) -> None:
    publications, token = Publications(site.server.service.jobs_dir), "digits_serve_x"
    model = Version(1, "20300101-000000-0000", "gone", "snapshots/epoch_1.safetensors", 1.0, "classification", "pytorch", 0.0)
    tokens = (ServeToken(digest(token), 0.0, "ada"),)
    made = Publication("held", "ada", 0.0, active=1, queue_limit=1, versions=(model,), tokens=tokens)
    publications.change("held", lambda _: made)
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "image/png", "Connection": "close"}

    def begin(path: str, size: int) -> socket.socket:
        return site.connect(head(f"POST {path} HTTP/1.1", {**sent, "Content-Length": str(size)}) + "x")

    for path in ("/serve/held/infer.json", "/v2/models/held/infer"):
        answer = all_of(begin(path, 1000))
        assert answer.startswith("HTTP/1.1 408 ")
        assert "stood still for 2 s" in answer
        assert '"error"' in answer
        assert all_of(begin(path, 2**40)).startswith("HTTP/1.1 413 "), "nothing of it is waited for"
    begin(path, 1000).close()
    deadline = time.monotonic() + 60
    while not (answer := all_of(begin("/serve/held/infer.json", 1))).startswith("HTTP/1.1 503 "):  # its model is gone
        assert answer.startswith("HTTP/1.1 429 "), "one that went is noticed when a thread comes to it"
        assert time.monotonic() < deadline


def test_the_server_ends_while_they_are_open(site: Site) -> None:
    slow = [site.connect(text) for text in ("", "GET / HT", f"{SLOW_BODY}\r\n")]
    site.server.process.terminate()
    assert site.server.process.wait(PATIENCE_SECONDS) == 0
    for sock in slow:
        all_of(sock)
