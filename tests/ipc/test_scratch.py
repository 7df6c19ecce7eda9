"""Arrays in scratch files: what is written comes back, nothing else is opened, nothing is left."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from digits.errors import BadRequest
from digits.ipc.messages import CommunicationError, Message, call
from digits.ipc.scratch import StoredArray, confined_folder, discard, remove_left_over, scratch_folder, store
from digits.storage.folders import JobsDir
from tests.ipc.test_message_server import SECONDS, serving
from tests.ipc.test_messages import answer_to, exchange, frame
from tests.waiting import wait_for

LARGE = np.arange(2**17, dtype=np.float32).reshape(4, -1)


@pytest.fixture
def jobs_dir(tmp_path: Path) -> JobsDir:
    jobs_dir = JobsDir(tmp_path / "jobs")
    jobs_dir.prepare()
    return jobs_dir


def test_large_arrays_are_written_and_keep_their_order(jobs_dir: JobsDir) -> None:
    arrays = {"a": LARGE, "b": np.zeros(3), "c": LARGE.T[::2], "d": LARGE.astype(">i4"), "e": LARGE > 5}
    with scratch_folder(jobs_dir) as folder:
        stored = store(folder, arrays)
        assert list(stored) == list(arrays)
        assert [isinstance(array, StoredArray) for array in stored.values()] == [True, False, True, True, True]
        for name, array in arrays.items():
            assert np.array_equal(np.asarray(stored[name]), array)
        writable = np.asarray(stored["a"])
        writable[:] = 0  # as a plugin may do: the file stays as it is
        assert np.array_equal(np.asarray(stored["a"]), LARGE)
        assert store(folder, stored) == stored
    assert list(jobs_dir.scratch.iterdir()) == []
    assert writable.sum() == 0  # what is open stays open


def test_too_much_is_refused(jobs_dir: JobsDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.ipc.scratch.MAX_BYTES", LARGE.nbytes + 100)
    with scratch_folder(jobs_dir) as folder:
        store(folder, {"a": LARGE})
        with pytest.raises(BadRequest, match="Test fewer at once"):
            store(folder, {"b": LARGE})


@pytest.mark.parametrize("place", ["parent", "folder"])
def test_what_cannot_be_written_is_sent(jobs_dir: JobsDir, place: str) -> None:
    with scratch_folder(jobs_dir) as folder:
        blocked = jobs_dir.scratch if place == "parent" else folder
        blocked.parent.mkdir(exist_ok=True)
        blocked.write_bytes(b"")  # a file where the folder would be
        found = exchange(Message({}, store(folder, {"a": LARGE})))
        assert np.array_equal(found.arrays["a"], LARGE)


def test_a_full_disk_leaves_no_half_file(jobs_dir: JobsDir) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGE.nbytes // 2, before[1]))  # the system refuses to write more
    try:
        with scratch_folder(jobs_dir) as folder:
            assert store(folder, {"a": LARGE})["a"] is LARGE
            assert list(folder.iterdir()) == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_small_arrays_need_no_folder(jobs_dir: JobsDir) -> None:
    with scratch_folder(jobs_dir) as folder:
        store(folder, {"a": np.zeros(3)})
        assert not jobs_dir.scratch.exists()


def test_a_message_names_its_file(jobs_dir: JobsDir) -> None:
    with scratch_folder(jobs_dir) as folder:
        sent = store(folder, {"a": LARGE, "b": np.arange(3)})
        with pytest.raises(CommunicationError, match="no scratch file"):
            exchange(Message({}, sent))  # who knows no scratch folder opens nothing


@pytest.mark.parametrize("place", ["/etc/passwd", "{jobs}/.digits/secret", "{scratch}/../secret", "{scratch}/link", "{scratch}"])
def test_files_elsewhere_are_never_opened(jobs_dir: JobsDir, place: str) -> None:
    jobs_dir.secret_file.write_bytes(bytes(1000))
    jobs_dir.scratch.mkdir()
    (jobs_dir.scratch / "link").symlink_to(jobs_dir.secret_file)
    file = place.format(jobs=jobs_dir.path, scratch=jobs_dir.scratch)
    entry = {"name": "a", "dtype": "|u1", "shape": [10], "file": file, "offset": 0}
    assert "no scratch file" in str(answer_to(frame({"arrays": [entry]}), jobs_dir.scratch))


@pytest.mark.parametrize(
    "change", [{"offset": 7}, {"offset": -1}, {"offset": "0"}, {"shape": [11]}, {"shape": [0]}, {"offset": None}]
)
def test_what_a_file_does_not_hold_is_refused(jobs_dir: JobsDir, change: dict) -> None:
    jobs_dir.scratch.mkdir()
    (jobs_dir.scratch / "file").write_bytes(bytes(10))
    entry = {"name": "a", "dtype": "|u1", "shape": [10], "file": str(jobs_dir.scratch / "file"), "offset": 0, **change}
    assert "does not hold" in str(answer_to(frame({"arrays": [entry]}), jobs_dir.scratch))


PROGRAM = """
import sys, time
from pathlib import Path
import numpy as np
from digits.ipc.scratch import scratch_folder, store
from digits.storage.folders import JobsDir
with scratch_folder(JobsDir(Path(sys.argv[1]))) as folder:
    store(folder, {"a": np.zeros(2**20)})
    print("written", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_process_left_goes_with_the_next_start(jobs_dir: JobsDir) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(jobs_dir.path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        os.kill(process.pid, signal.SIGKILL)
    assert len(list(jobs_dir.scratch.glob("*/*.arrays"))) == 1
    remove_left_over(jobs_dir)
    assert not jobs_dir.scratch.exists()


def test_an_answer_that_comes_after_its_client_gave_up_leaves_nothing(jobs_dir: JobsDir, tmp_path: Path) -> None:
    """The client's folder is gone when the answer is written: the writer makes it anew, and removes it again."""
    go, written = threading.Event(), threading.Event()

    def answer(request: Message) -> Message:
        assert go.wait(SECONDS)
        stored = store(confined_folder(jobs_dir.scratch, request.header["scratch"]), {"a": LARGE})
        written.set()
        return Message({}, stored)

    with serving(tmp_path / "s", answer, scratch=jobs_dir.scratch):
        with scratch_folder(jobs_dir) as folder, pytest.raises(CommunicationError):
            call(tmp_path / "s", Message({"scratch": str(folder)}), timeout=0.1)
        go.set()
        assert written.wait(SECONDS)
        wait_for(lambda: not list(jobs_dir.scratch.iterdir()))


def test_answers_to_others_in_the_same_folder_stay(jobs_dir: JobsDir) -> None:
    with scratch_folder(jobs_dir) as folder:
        late, other = store(folder, {"a": LARGE}), store(folder, {"b": LARGE})
        discard(late)
        assert np.array_equal(np.asarray(other["b"]), LARGE)
        assert len(list(folder.iterdir())) == 1
