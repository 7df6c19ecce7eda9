"""TensorBoards: started when wanted, one for each selection, ended when idle, too many or in a deletion's way."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from digits.errors import BadRequest, DigitsError
from digits.storage.folders import JobsDir
from digits.supervisor.tensorboards import TensorBoards
from tests.supervisor.test_child_processes import runtime, until  # noqa: F401 - a fixture

FAKE = (sys.executable, str(Path(__file__).with_name("fake_tensorboard.py")))
A, BROKEN, C, D = (f"20260101-000000-000{letter}" for letter in "abcd")
NAMES = {A: "LeNet/../1", BROKEN: "broken", C: "LeNet/../1", D: "two\nlines"}


class TensorBoardsUnderTest:
    """TensorBoards of some models."""

    def __init__(self, folder: Path, runtime: Path, **options: Any) -> None:  # noqa: F811
        for job_id in NAMES:
            (folder / job_id / "tb").mkdir(parents=True)
        self.tensorboards = TensorBoards(JobsDir(folder), runtime, lambda job_id: NAMES.get(job_id, ""), command=FAKE, **options)

    def request(self, *ids: str, start: bool = True) -> dict[str, Any]:
        return self.tensorboards.request({"job_ids": list(ids), "start": start})

    def ready(self, *ids: str) -> str:
        """The socket, once it is ready."""
        until(lambda: self.request(*ids)["ready"], self.tensorboards.pool.tick)
        return str(self.request(*ids)["socket"])

    def pid(self, socket: str) -> int:
        return int(Path(socket).with_suffix("").joinpath("pid").read_text())

    def gone(self, pid: int) -> None:
        until(lambda: not psutil.pid_exists(pid), self.tensorboards.pool.tick)


@pytest.fixture
def tensorboards(tmp_path: Path, runtime: Path) -> Iterator[Callable[..., TensorBoardsUnderTest]]:  # noqa: F811
    made: list[TensorBoardsUnderTest] = []

    def make(**options: Any) -> TensorBoardsUnderTest:
        made.append(TensorBoardsUnderTest(tmp_path / "jobs", runtime, **options))
        return made[-1]

    yield make
    for one in made:
        one.tensorboards.pool.stop()
    assert list(runtime.iterdir()) == []


def test_one_for_each_selection_whatever_its_order(tensorboards: Callable[..., TensorBoardsUnderTest]) -> None:
    one = tensorboards()
    both = one.ready(A, C)
    assert one.ready(C, A, C) == both
    assert one.ready(A) != both
    runs = sorted(path for path in Path(both).with_suffix("").iterdir() if path.is_symlink())
    assert [path.name for path in runs] == [f"LeNet_.._1 ({A})", f"LeNet_.._1 ({C})"]
    assert [path.resolve().parent.name for path in runs] == [A, C]


def test_who_only_looks_starts_nothing(tensorboards: Callable[..., TensorBoardsUnderTest]) -> None:
    one = tensorboards()
    assert one.request(A, start=False) == {"socket": "", "ready": False}
    assert one.tensorboards.pool.running == {}


@pytest.mark.parametrize("ids", [[], ["missing"], A, [1], None])
def test_requests_that_name_no_model_are_refused(tensorboards: Callable[..., TensorBoardsUnderTest], ids: Any) -> None:
    with pytest.raises(BadRequest):
        tensorboards().tensorboards.request({"job_ids": ids, "start": True})


def test_one_that_does_not_start_says_why_and_can_be_tried_again(tensorboards: Callable[..., TensorBoardsUnderTest]) -> None:
    one = tensorboards()

    def failed() -> str:
        try:
            one.request(BROKEN)
        except DigitsError as error:
            return str(error)
        return ""

    for _ in range(2):
        assert "exit code 4" in (said := until(failed, one.tensorboards.pool.tick))
        assert "no such thing as a tensorboard" in said


def test_one_that_was_killed_is_started_again(tensorboards: Callable[..., TensorBoardsUnderTest]) -> None:
    one = tensorboards()
    first = one.ready(A)
    os.kill(one.pid(first), signal.SIGKILL)
    until(lambda: one.request(A)["socket"] != first, one.tensorboards.pool.tick)
    assert one.pid(one.ready(A)) > 0


def test_the_idle_are_ended_and_the_least_used_make_room(tensorboards: Callable[..., TensorBoardsUnderTest]) -> None:
    one = tensorboards(limit=2)
    first, second = one.ready(A), one.ready(C)
    pid = one.pid(second)
    one.request(A)
    one.ready(D)
    one.gone(pid)
    assert one.ready(A) == first
    one.tensorboards.pool.idle_seconds = 0.0
    one.gone(one.pid(first))
    assert one.tensorboards.pool.running == {}


def test_a_deleted_model_takes_its_boards_along(tensorboards: Callable[..., TensorBoardsUnderTest], tmp_path: Path) -> None:
    one = tensorboards()
    pid = one.pid(one.ready(A, C))
    one.ready(D)
    one.tensorboards.forget(C)
    one.gone(pid)
    assert list(one.tensorboards.pool.running) == [(D,)]
    assert (tmp_path / "jobs" / A / "tb").is_dir(), "what links led to stays"
