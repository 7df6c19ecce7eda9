"""A full disk pauses a training."""

from __future__ import annotations

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


def test_a_checkpoint_that_is_not_whole_is_none(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path) is None
    checkpoint.write(tmp_path, 5, 100, 1, b"abc")
    checkpoint.write(tmp_path, 9, 200, 1, b"abcdef")
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert (found["step"], found["offset"], found["path"].read_bytes()) == (9, 200, b"abcdef")
    assert [p.name for p in tmp_path.glob("state_*")] == ["state_9.bin"]
    found["path"].write_bytes(b"abc")
    assert checkpoint.read(tmp_path) is None
