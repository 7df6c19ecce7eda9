"""The quick reading of many logs says what the slow reading of one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from digits.domain.events import AttemptEvent, BaselineEvent, MetricEvent, ProgressEvent, SnapshotEvent
from digits.service.models import run_curves
from digits.service.models.history import current_snapshots, read_history, read_shown
from digits.storage import event_lines
from digits.storage.events import EventWriter
from digits.storage.folders import JobFolder


def write_run(folder: Path, resumed: bool) -> JobFolder:
    """Ten steps; a resumed run goes back from step 8 to 5 and takes another way."""
    job = JobFolder(folder)
    first = EventWriter(job.events_file, 1)
    first.emit(AttemptEvent())
    first.emit(BaselineEvent(values={"accuracy": 0.5}, description="one"))
    first.emit(MetricEvent(step=0, epoch=0.0, phase="val", values={'odd "phase":"train"': 1.0}, kinds={}))
    offset = 0
    for step in range(1, 9 if resumed else 11):
        first.emit(MetricEvent(step=step, epoch=step / 5, phase="train", values={"loss": 1.0 / step}, kinds={"loss": "loss"}))
        first.emit(ProgressEvent(fraction=step / 10, stage="train", rate=100.0 + step))
        if step % 4 == 0:
            first.emit(SnapshotEvent(step=step, epoch=step / 5, path=f"s{step}", metrics={"accuracy": step / 10}, best=True))
        offset = first.offset if step == 5 else offset
    first.close()
    if resumed:
        second = EventWriter(job.events_file, 2)
        second.emit(AttemptEvent(resumed_step=5, resumed_offset=offset))
        for step in range(6, 11):
            second.emit(
                MetricEvent(step=step, epoch=step / 5, phase="train", values={"loss": 2.0 / step}, kinds={"loss": "loss"})
            )
        second.close()
    with job.events_file.open("ab") as handle:
        handle.write(b'{"type":"metric","step":99')  # torn
    return job


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("block", [1 << 23, 200])
def test_quick_and_slow_reading_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool, block: int) -> None:
    monkeypatch.setattr(event_lines, "BLOCK", block)
    job = write_run(tmp_path, resumed)
    found, slow = run_curves.read_curves(job, 1000), read_history(job)
    assert found.train == slow.metrics["train"]
    assert [event.step for event in found.train] == list(range(1, 11))
    assert found.val == slow.metrics["val"]
    assert found.snapshots == slow.snapshots
    assert current_snapshots(slow)[-1].step == (4 if resumed else 8)
    assert found.baseline == slow.baseline
    shown = read_shown(job)
    assert (shown.metrics, shown.snapshots, shown.offset) == (slow.metrics, slow.snapshots, slow.offset)
    assert (shown.progress, shown.baseline, shown.attempts) == (slow.progress, slow.baseline, slow.attempts)


def test_thinned_curves_keep_their_ends(tmp_path: Path) -> None:
    found = run_curves.read_curves(write_run(tmp_path, resumed=False), 4)
    assert [found.train[at].step for at in (0, -1)] == [1, 10]
    assert (len(found.train) < 10, found.as_json()["train"]["reports"]) == (True, 10)
    assert found.speed == 105.5
