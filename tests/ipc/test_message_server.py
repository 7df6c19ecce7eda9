"""The answering end: every request gets an answer, and answers that wait hold up neither others nor the end."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.errors import DigitsError
from digits.ipc import messages
from digits.ipc.message_server import MAX_CONNECTIONS, Answer, MessageServer
from digits.ipc.messages import Message
from digits.supervisor.process_pool import answers_at

SECONDS = 20


@contextlib.contextmanager
def serving(path: Path, answer: Answer, **options: Any) -> Iterator[threading.Event]:
    """A server in a thread; its end is set on leaving, and noticed."""
    over = threading.Event()
    thread = threading.Thread(target=MessageServer(path, answer, **options).serve, args=(over.is_set,))
    thread.start()
    try:
        yield over
    finally:
        over.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def waiting(go: threading.Event) -> Answer:
    def answer(request: Message) -> Message:
        if request.header.get("wait"):
            go.wait(SECONDS)
        return Message({"ok": True})

    return answer


@pytest.mark.parametrize(
    "answer", [Message({"count": np.int64(3)}), Message({}, {"a": np.array([None, "x"])})], ids=["header", "array"]
)
def test_an_answer_that_cannot_be_sent_is_an_error(tmp_path: Path, answer: Message) -> None:
    def answers(request: Message) -> Message:
        return answer if request.header.get("bad") else Message({"ok": True})

    path = tmp_path / "s"
    with serving(path, answers), messages.connect(path) as connection:
        with pytest.raises(DigitsError, match="cannot be sent"):
            messages.exchange(connection, path, Message({"bad": True}), SECONDS)
        assert messages.exchange(connection, path, Message({}), SECONDS).header == {"ok": True}  # the connection lives on


def test_the_folder_of_a_socket_may_have_a_path_of_any_length(tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 120) / ("b" * 120)
    folder.mkdir(parents=True)
    path = folder / "s"
    with serving(path, lambda request: Message({"ok": True})):
        assert messages.call(path, Message({}), SECONDS).header == {"ok": True}
        assert answers_at(path)
        connection = messages.UnixConnection(str(path), SECONDS)
        connection.connect()
        connection.close()
        assert [file.name for file in folder.iterdir()] == ["s"]
    assert list(folder.iterdir()) == []
    with pytest.raises(messages.CommunicationError, match="No process listens"):
        messages.call(path, Message({}), SECONDS)
    with pytest.raises(messages.CommunicationError, match="No process listens"):
        messages.call(folder / "c" / "s", Message({}), SECONDS)


def test_without_a_limit_many_who_wait_hold_up_nobody(tmp_path: Path) -> None:
    go = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(serving(tmp_path / "s", waiting(go), max_connections=None))
        for _ in range(MAX_CONNECTIONS + 6):
            messages.send(stack.enter_context(messages.connect(tmp_path / "s")), Message({"wait": True}))
        assert messages.call(tmp_path / "s", Message({}), SECONDS).header == {"ok": True}
        go.set()


def test_a_server_that_is_full_still_ends(tmp_path: Path) -> None:
    go = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.callback(go.set)
        begun = time.monotonic()
        with serving(tmp_path / "s", waiting(go), max_connections=1):
            for _ in range(2):
                messages.send(stack.enter_context(messages.connect(tmp_path / "s")), Message({"wait": True}))
        assert time.monotonic() - begun < SECONDS / 2
        assert not (tmp_path / "s").exists()
