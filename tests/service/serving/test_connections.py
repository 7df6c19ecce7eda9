"""Predictors that are killed or hang in the middle of requests: who waits gets the next one's answer or an error, and nothing is
held afterwards."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from digits.errors import LimitExceeded, Unavailable
from digits.ipc import messages
from digits.ipc import supervisor_client as control
from digits.ipc.messages import Message
from digits.service.serving.connections import MOST, WarmConnections

Behaviour = Callable[[socket.socket, Message], None]
KEY = ("model", "snapshot")


def answers(connection: socket.socket, request: Message) -> None:
    messages.send(connection, Message({"of": request.header["number"]}, request.arrays))


def dies(connection: socket.socket, _request: Message) -> None:
    """As a process that is killed: it has read the request, and its end of the connection is closed."""
    connection.shutdown(socket.SHUT_RDWR)


def hangs(_connection: socket.socket, _request: Message) -> None:
    return


class Predictor:
    """Listens at a socket and does the same with each request; `asked` counts them."""

    def __init__(self, path: Path, behaviour: Behaviour) -> None:
        self.path, self.behaviour, self.asked = path, behaviour, 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for one in (self._listener, *self._open):
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._talk, args=(connection,)))
                self._threads[-1].start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(messages.CommunicationError):
            while (request := messages.receive_or_end(connection)) is not None:
                self.asked += 1
                self.behaviour(connection, request)


class World:
    """`connections` to what the supervisor names: the first of `predictors` that was not killed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *behaviours: Behaviour) -> None:
        self.predictors = [Predictor(folder / f"{i}.sock", behaviour) for i, behaviour in enumerate(behaviours)]
        settings = SimpleNamespace(predictor_idle_seconds=600, request_seconds=0.2)
        service: Any = SimpleNamespace(settings=settings, jobs_dir=SimpleNamespace(scratch=None))
        self.connections = WarmConnections(service)
        monkeypatch.setattr(control, "call", self._named)

    def ask(self, number: int) -> int:
        answer = self.connections.call(*KEY, Message({"number": number}, {"a": np.arange(3)}))
        assert answer.arrays["a"].tolist() == [0, 1, 2]
        return int(answer.header["of"])

    def _named(self, _jobs_dir: Any, _request: Any, _timeout: float) -> dict[str, str]:
        alive = [one for one in self.predictors if one.behaviour is not dies or not one.asked]
        return {"socket": str((alive or self.predictors)[0].path)}


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def build(*behaviours: Behaviour) -> World:
        worlds.append(World(tmp_path, monkeypatch, *behaviours))
        return worlds[-1]

    yield build
    for world in worlds:
        world.connections.close()
        for predictor in world.predictors:
            predictor.close()


def test_whoever_waits_for_a_predictor_that_is_killed_gets_the_answer_of_the_next(make: Callable[..., World]) -> None:
    world = make(dies, answers)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(world.ask, range(24))) == list(range(24))
    killed, other = world.predictors
    assert killed.asked >= 1
    assert other.asked == 24, "each was answered once"


def test_where_the_next_one_dies_too_it_is_said_and_no_place_is_lost(make: Callable[..., World]) -> None:
    world = make(dies)
    for number in range(MOST + 2):
        with pytest.raises(Unavailable, match="other side closed"):
            world.ask(number)
    world.predictors[0].behaviour = answers
    assert world.ask(7) == 7


def test_one_that_hangs_is_waited_for_as_long_as_the_settings_allow_and_asked_once(make: Callable[..., World]) -> None:
    world = make(hangs)
    with pytest.raises(LimitExceeded, match=r"did not answer within 0\.2 seconds"):
        world.ask(1)
    assert world.predictors[0].asked == 1
