"""When checkpoints are due and which count; a full disk pauses a training."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digits.domain.events import Event, WarningEvent
from digits.domain.training import TrainingSpec
from digits.engines.training import checkpoint
from digits.errors import DiskFull, JobStopped
from digits.testing.runs import make_dataset, make_run, striped_pictures


@pytest.fixture
def data(tmp_path: Path) -> Path:
    features, labels = striped_pictures(8, 4, 0)
    return make_dataset(tmp_path / "data", features, labels, class_labels=("a", "b"), validation=2)


def test_work_is_done_again_when_there_is_free_space(data: Path, tmp_path: Path) -> None:
    reported: list[Event] = []
    failures = [DiskFull("full")]

    def work() -> None:
        if failures:
            raise failures.pop()

    run = make_run(data, tmp_path / "model", TrainingSpec("x", "classification"), lambda event: reported.append(event) or 0)
    run.retry_when_disk_full(work)
    assert [event.code for event in reported if isinstance(event, WarningEvent)] == ["disk-full"]


def test_a_stop_ends_the_wait(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.storage.files.free_bytes", lambda folder: 0)

    def work() -> None:
        raise DiskFull("full")

    run = make_run(data, tmp_path / "m", TrainingSpec("x", "classification"), lambda event: 0, should_stop=lambda: True)
    with pytest.raises(JobStopped):
        run.retry_when_disk_full(work)


def test_of_a_checkpoint_that_is_not_whole_the_one_before_counts(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path) is None
    checkpoint.write(tmp_path, 5, 100, 1, b"abc")
    checkpoint.write(tmp_path, 9, 200, 1, b"abcdef")
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert (found["step"], found["offset"], found["path"].read_bytes()) == (9, 200, b"abcdef")
    assert states(tmp_path) == ["state_5.bin", "state_9.bin"]
    found["path"].write_bytes(b"abc")
    assert (checkpoint.read(tmp_path) or {})["step"] == 5, "the one before"
    assert checkpoint.damaged(tmp_path) == "The checkpoint of step 9 was cut: 3 of 6 bytes are left."
    (tmp_path / "state_5.bin").write_bytes(b"x")
    assert checkpoint.read(tmp_path) is None


def states(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*state_*"))


def test_two_checkpoints_are_kept_while_there_is_room_and_never_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in (1, 2, 3):
        checkpoint.write(tmp_path, step, step, 1, b"abc")
    assert states(tmp_path) == ["state_2.bin", "state_3.bin"]
    checkpoint.write(tmp_path, 3, 3, 1, b"abd")
    assert states(tmp_path) == ["state_2.bin", "state_3.bin"], "of one step there is one"
    (tmp_path / checkpoint.NAME).unlink()
    assert (checkpoint.read(tmp_path) or {})["step"] == 2
    assert checkpoint.damaged(tmp_path) == "The newest checkpoint is missing."
    checkpoint.write(tmp_path, 4, 4, 1, b"abc")
    assert (states(tmp_path), (checkpoint.read(tmp_path) or {})["step"]) == (["state_4.bin"], 4)
    monkeypatch.setattr(checkpoint, "free_bytes", lambda folder: 29)
    checkpoint.write(tmp_path, 5, 5, 1, b"abc")
    assert (states(tmp_path), (tmp_path / checkpoint.PREVIOUS).exists()) == (["state_5.bin"], False)
    monkeypatch.setattr(checkpoint, "free_bytes", lambda folder: 30)
    checkpoint.write(tmp_path, 6, 6, 1, b"abc")
    assert states(tmp_path) == ["state_5.bin", "state_6.bin"]
    checkpoint.forget_previous(tmp_path)
    assert (states(tmp_path), (checkpoint.read(tmp_path) or {})["step"]) == (["state_6.bin"], 6)


WRITING = """
import sys
from pathlib import Path
from digits.engines.training import checkpoint
for step in range(int(sys.argv[2]), 10**9):
    checkpoint.write(Path(sys.argv[1]), step, 0, 1, str(step).encode() * 5000)
    print(step, flush=True)
"""


def test_a_kill_at_any_moment_of_writing_leaves_one_to_go_on_from(tmp_path: Path) -> None:
    chance, step = random.Random(1), 1
    for _ in range(6):
        command = [sys.executable, "-c", WRITING, str(tmp_path / "checkpoint"), str(step)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(chance.randrange(3, 30)):
            step = int(process.stdout.readline())
        time.sleep(chance.random() / 100)
        process.kill()
        process.communicate()
        found = checkpoint.read(tmp_path / "checkpoint")
        assert found is not None
        assert found["step"] >= step
        assert found["path"].read_bytes() == str(found["step"]).encode() * 5000
        assert checkpoint.damaged(tmp_path / "checkpoint") == ""
        step = found["step"] + 1


def test_the_first_is_due_after_ten_seconds_and_later_ones_cost_a_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    clock = checkpoint.CheckpointClock(60)
    now[0] += 9.9
    assert not clock.is_due()
    now[0] += 0.1
    assert clock.is_due()
    clock.note(0.2)
    now[0] += 59.9
    assert not clock.is_due()
    now[0] += 0.1
    assert clock.is_due()
    clock.note(2.0)
    now[0] += 199.9
    assert not clock.is_due(), "two seconds are a hundredth of two hundred"
    now[0] += 0.1
    assert clock.is_due()
    assert checkpoint.CheckpointClock(1).pause(0.5) == 1, "who wishes less than ten seconds gets it"


def test_a_checkpoint_whose_events_are_not_all_there_does_not_count(tmp_path: Path) -> None:
    """As in a folder that was copied while it was written."""
    (tmp_path / "events.jsonl").write_bytes(b"x" * 100)
    checkpoint.write(tmp_path / "checkpoint", 7, 100, 1, b"state")
    assert (checkpoint.read(tmp_path / "checkpoint") or {})["step"] == 7
    (tmp_path / "events.jsonl").write_bytes(b"x" * 99)
    assert checkpoint.read(tmp_path / "checkpoint") is None


def test_a_checkpoint_with_other_bytes_is_none_and_said(tmp_path: Path) -> None:
    assert checkpoint.damaged(tmp_path) == ""
    checkpoint.write(tmp_path, 9, 200, 1, b"abcdef")
    assert checkpoint.damaged(tmp_path) == ""
    (tmp_path / "state_9.bin").write_bytes(b"abcdeg")
    assert checkpoint.read(tmp_path) is None
    assert checkpoint.damaged(tmp_path) == "The checkpoint of step 9 is not what was written: its checksum differs."
    (tmp_path / "state_9.bin").write_bytes(b"abc")
    assert checkpoint.damaged(tmp_path) == "The checkpoint of step 9 was cut: 3 of 6 bytes are left."
    for text in ("", "[]", "{}", '{"file": "state_9.bin", "bytes": 3}'):
        (tmp_path / checkpoint.NAME).write_text(text)
        assert checkpoint.read(tmp_path) is None
        assert checkpoint.damaged(tmp_path).startswith("The checkpoint cannot be understood"), text


def test_a_checkpoint_of_a_version_without_checksums_is_read(tmp_path: Path) -> None:
    (tmp_path / "state_9.bin").write_bytes(b"abc")
    (tmp_path / checkpoint.NAME).write_text('{"step": 9, "offset": 1, "threads": 1, "file": "state_9.bin", "bytes": 3}')
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert found["step"] == 9


def test_the_events_are_on_the_disk_before_a_checkpoint_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"{}\n")
    done: list[int | str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def replaced(source: Path, target: Path) -> None:
        done.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    checkpoint.write(tmp_path / "checkpoint", 5, 3, 1, b"state")
    assert done.index(events.stat().st_ino) < done.index("checkpoint.json")
