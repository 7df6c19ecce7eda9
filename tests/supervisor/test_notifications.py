"""Notifications, found by a real supervisor and delivered to servers of this machine: a webhook, a mail server."""

from __future__ import annotations

import dataclasses
import http.server
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from digits.domain.events import WarningEvent
from digits.domain.jobs import Action, Kind, Status
from digits.domain.notifications import Choices, Message
from digits.service import notifications as service_of
from digits.storage.jobs.tables import NotificationRow
from digits.storage.notifications import Notifications
from digits.supervisor.notifications import PAUSES
from tests.supervisor.conftest import World


class Hooks(http.server.ThreadingHTTPServer):
    """Keeps what is posted; answers with the codes of `answers`, then 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.got: list[tuple[str, dict[str, Any], str]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Hook(http.server.BaseHTTPRequestHandler):
    server: Hooks

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, json.loads(body), self.headers.get("Authorization", "")))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Mail(socketserver.StreamRequestHandler):
    """Enough of SMTP for one message; the answers to RCPT and MAIL that `answers` has come first."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline().strip():
            if answers := self.server.answers.get(line[:4].upper()):  # type: ignore[attr-defined]
                self.wfile.write(answers.pop(0))
                continue
            if line[:4].upper() == b"EHLO":
                self.wfile.write(b"250-here\r\n250 AUTH PLAIN\r\n")
                continue
            if line.upper() == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (text := self.rfile.readline()) != b".\r\n":
                    lines.append(text)
                self.server.got.append(b"".join(lines).decode())  # type: ignore[attr-defined]
            bad = b"RCPT" in line.upper() and b"nobody@" in line
            self.wfile.write(b"221 bye\r\n" if line.upper() == b"QUIT" else b"550 unknown\r\n" if bad else b"250 fine\r\n")


def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    yield from serving(Hooks())


@pytest.fixture
def mail() -> Iterator[Any]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    server.got, server.answers = [], {}  # type: ignore[attr-defined]
    yield from serving(server)


def supervise(world: World, mail: Any = None, **settings: Any) -> Notifications:
    more = {"smtp_host": "127.0.0.1", "smtp_port": mail.server_address[1], "smtp_security": "none"} if mail else {}
    world.settings = dataclasses.replace(world.settings, **{"notify_private": True, **more, **settings})
    world.supervise()
    return Notifications(world.service.store.engine)


def states(world: World, user: str = "anna") -> list[tuple[str, str, str]]:
    return sorted((one["event"], one["channel"], one["state"]) for one in service_of.log(world.service, user))


def test_done_failed_and_to_whom_it_is_said(world: World, hooks: Hooks, mail: Any) -> None:
    kept = supervise(world, mail, public_url="https://lab.example/digits/")
    world.until(lambda: kept.cursor() is not None)
    kept.save("anna", Choices(email="anna@example.org", webhook=f"{hooks.url}/a", slack=f"{hooks.url}/b", browser=True))
    kept.save("bob", Choices(events=("failed",), ntfy=f"{hooks.url}/n/topic", ntfy_token="tk_1", scope="all"))
    job, bad = world.job(steps=1), world.job(raises="digits")
    world.service.store.update(job.id, name="<b>net & co</b>\nBcc: x@y.z", owner="anna")
    world.service.store.update(bad.id, owner="carol")
    world.until_ended(job, bad)
    world.until(lambda: len(hooks.got) == 3 and len(mail.got) == 1)
    got = {path: (body, token) for path, body, token in hooks.got}
    plain = got["/a"][0]
    assert (plain["event"], plain["job"]["id"], plain["job"]["status"]) == ("done", job.id, "Done")
    assert plain["url"] == f"https://lab.example/digits/jobs/{job.id}"
    assert plain["text"].startswith("accuracy 100 at epoch 1")
    assert got["/b"][0]["text"].startswith("*Done: &lt;b&gt;net &amp; co&lt;/b&gt; Bcc: x@y.z*\naccuracy 100")
    ntfy, token = got["/n/"]
    assert (ntfy["topic"], token) == ("topic", "Bearer tk_1")
    assert ntfy["message"] == "The loss is not a number. Lower the learning rate."
    assert "To: anna@example.org" in mail.got[0]
    assert "\nBcc:" not in mail.got[0]
    world.until(lambda: all(state == "sent" for *_, state in states(world)))
    assert [channel for _, channel, _ in states(world)] == ["browser", "email", "slack", "webhook"]
    assert [row["title"] for row in service_of.for_browser(world.service, "anna", 0)] == ["Done: <b>net & co</b> Bcc: x@y.z"]
    supervise(world, mail)  # and nothing is said twice
    world.service.store.update(job.id, notes="changed")
    world.until(lambda: kept.cursor() == world.service.store.sequence())
    assert len(hooks.got) == 3


def test_what_fails_is_tried_again_and_given_up(world: World, hooks: Hooks, mail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.supervisor.notifications.PAUSES", (0.0,) * len(PAUSES))
    kept = supervise(world, mail)
    hooks.answers = [500, 302, 429]
    kept.save("anna", Choices(webhook=f"{hooks.url}/a", email="nobody@example.org", ntfy="http://127.0.0.1:9/topic"))
    service_of.test(world.service, "anna")
    expected = [("test", "email", "failed"), ("test", "ntfy", "failed"), ("test", "webhook", "sent")]
    world.until(lambda: states(world) == expected)
    assert [path for path, *_ in hooks.got] == ["/a"] * 4, "a redirect is not followed"
    errors = {one["channel"]: one["error"] for one in service_of.log(world.service, "anna")}
    assert "The mail server refuses the address" in errors["email"]
    hooks.answers = [404]
    kept.save("anna", Choices(webhook=f"{hooks.url}/gone"))
    service_of.test(world.service, "anna")
    world.until(lambda: service_of.log(world.service, "anna")[0]["state"] == "failed")
    assert service_of.log(world.service, "anna")[0]["error"] == "The webhook answered 404 Not Found."


def test_what_a_mail_server_does_not_take_now_is_tried_again(world: World, mail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.supervisor.notifications.PAUSES", (0.0, 0.0, 60.0))
    kept = supervise(world, mail)
    mail.answers = {b"RCPT": [b"451 4.7.1 Greylisted\r\n", b"450 busy\r\n"]}
    kept.save("anna", Choices(email="anna@example.org"))
    service_of.test(world.service, "anna")
    world.until(lambda: states(world) == [("test", "email", "sent")])
    assert len(mail.got) == 1
    mail.answers = {b"MAIL": [b"452 full\r\n"] * 3}
    service_of.test(world.service, "anna")
    world.until(lambda: kept.log("anna")[0].attempts == 3)
    assert kept.log("anna")[0].state == "waiting"
    assert kept.log("anna")[0].error == "The mail server does not take the address now: 452 full"
    mail.answers = {b"MAIL": [b"550 not you\r\n"]}
    service_of.test(world.service, "anna")
    world.until(lambda: kept.log("anna")[0].state == "failed")
    assert (kept.log("anna")[0].attempts, kept.log("anna")[0].error) == (1, "The mail server refuses the address: 550 not you")


def test_a_new_token_is_not_sent_to_the_address_before_it(world: World, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.supervisor.notifications.PAUSES", (1.0,) * len(PAUSES))
    kept, new = supervise(world), Hooks()
    hooks.answers = [500]
    kept.save("anna", Choices(ntfy=f"{hooks.url}/topic", ntfy_token="tk_old"))
    service_of.test(world.service, "anna")
    world.until(lambda: len(hooks.got) == 1)
    for _ in serving(new):
        kept.save("anna", Choices(ntfy=f"{new.url}/topic", ntfy_token="tk_new"))
        service_of.test(world.service, "anna")
        world.until(lambda: len(hooks.got) == 2 and len(new.got) == 1)
    assert [token for *_, token in hooks.got] == ["Bearer tk_old", ""]
    assert [token for *_, token in new.got] == ["Bearer tk_new"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"smtp_user": "digits", "smtp_password": "gehüim"}, "UnicodeEncodeError in auth"),
        ({"smtp_from": "digits server <"}, "IndexError in "),
        ({"smtp_host": "a..b"}, "UnicodeError in "),
    ],
    ids=["password", "sender", "host"],
)
def test_a_wrong_mail_setting_costs_the_mail_and_no_more(
    world: World, hooks: Hooks, mail: Any, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    monkeypatch.setattr("digits.supervisor.notifications.PAUSES", (0.0,) * len(PAUSES))
    kept = supervise(world, mail, **settings)
    kept.save("anna", Choices(email="anna@example.org", webhook=f"{hooks.url}/a"))
    service_of.test(world.service, "anna")
    world.until(lambda: states(world) == [("test", "email", "failed"), ("test", "webhook", "sent")])
    (error,) = [one["error"] for one in service_of.log(world.service, "anna") if one["channel"] == "email"]
    assert error.startswith(f"It cannot be sent: {said}")
    assert "ü" not in error
    service_of.test(world.service, "anna")
    world.until(lambda: len(hooks.got) == 2)


def test_the_thread_outlives_whatever_befalls_it(world: World, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, troubles = supervise(world), [RuntimeError("once")]

    def forget(self: Notifications, now: float) -> None:
        if troubles:
            raise troubles.pop()

    monkeypatch.setattr(Notifications, "forget", forget)
    kept.save("anna", Choices(webhook=f"{hooks.url}/a"))
    service_of.test(world.service, "anna")
    world.until(lambda: len(hooks.got) == 1)
    assert troubles == []


def test_what_was_sent_is_listed_for_thirty_days(world: World, hooks: Hooks) -> None:
    kept = supervise(world)
    for days in (31, 29):
        kept.add("anna", Choices(browser=True), "", str(days), Message("done", f"{days} days ago", ""))
        aged = update(NotificationRow).where(NotificationRow.created > time.time() - 3600)
        with kept.engine.begin() as connection:
            connection.execute(aged.values(created=time.time() - days * 86400))
    assert [one["title"] for one in service_of.log(world.service, "anna")] == ["29 days ago", "31 days ago"]
    kept.save("anna", Choices(webhook=hooks.url))
    service_of.test(world.service, "anna")
    world.until(lambda: len(hooks.got) == 1)
    assert [one["title"] for one in service_of.log(world.service, "anna")] == ["A test of digits", "29 days ago"]


def test_private_addresses_need_the_setting(world: World, hooks: Hooks) -> None:
    kept = supervise(world, notify_private=False)
    kept.save("anna", Choices(webhook=hooks.url, slack="http://[::ffff:127.0.0.1]/x", email="a@b.c"))
    service_of.test(world.service, "anna")
    world.until(lambda: {state for *_, state in states(world)} == {"failed"})
    said = {one["channel"]: one["error"] for one in service_of.log(world.service, "anna")}
    assert "127.0.0.1, which is not a public address" in said["webhook"]
    assert "notify_private" in said["slack"]
    assert "smtp_host" in said["email"]
    assert hooks.got == []


def test_the_best_of_a_data_set_and_a_stalled_one(world: World, hooks: Hooks) -> None:
    kept = supervise(world)
    dataset = world.job(Kind.DATASET, steps=1)
    world.until_ended(dataset)
    kept.save("anna", Choices(events=("best", "stalled"), webhook=hooks.url))
    first = world.job(parents=(dataset.id,), steps=1)
    world.until_ended(first)
    second = world.job(parents=(dataset.id,), steps=10000, seconds=0.02)
    world.service.store.update(first.id, best_value=0.015)
    world.until(lambda: len(hooks.got) == 1)
    assert hooks.got[0][1]["title"] == "New best: model"
    assert hooks.got[0][1]["job"]["id"] == second.id
    with open(world.service.folder(second.id).events_file, "ab") as log:
        event = WarningEvent(code="still", message="No batch for 600 s.", attempt=1, t=time.time())
        log.write(json.dumps({"type": "warning", **dataclasses.asdict(event)}).encode() + b"\n")
    world.until(lambda: len(hooks.got) == 2)
    assert (hooks.got[1][1]["event"], hooks.got[1][1]["text"]) == ("stalled", "No batch for 600 s.")
    world.service.store.request_action(second.id, Action.ABORT)
    (row,) = world.until_ended(second)
    assert row.status == Status.ABORT


def test_nobody_hears_of_what_is_old_or_deleted(world: World, hooks: Hooks) -> None:
    kept = supervise(world)
    world.until(lambda: kept.cursor() is not None)
    kept.save("anna", Choices(webhook=hooks.url))
    old, gone, now = (world.job() for _ in range(3))
    world.service.store.update(old.id, status="D", finished=1.0)
    world.service.store.update(gone.id, status="D", finished=time.time(), deleted=time.time())
    world.service.store.update(now.id, status="D", finished=time.time())
    world.until(lambda: kept.cursor() == world.service.store.sequence())
    world.until(lambda: len(hooks.got) == 1)
    assert [body["job"]["id"] for _, body, _ in hooks.got] == [now.id]
