"""Row, page and live page are summed up from the same events: whatever a log holds, the three show the same."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from digits.domain.events import (
    AttemptEvent,
    ErrorEvent,
    Event,
    HardwareEvent,
    MetricEvent,
    ProgressEvent,
    SnapshotEvent,
    StatusEvent,
    from_line,
    to_line,
)
from digits.domain.training import TrainingSpec
from digits.service.models.history import current_snapshots, read_history
from digits.service.models.page import page_data
from digits.storage.events import EventWriter, read_lines
from digits.storage.folders import JobFolder
from digits.storage.run_summary import RunSummary

RUNS = 25
SCRIPT = Path(__file__).with_name("event_folding.js")
KINDS = {"loss": "loss", "accuracy": "accuracy"}
UNFIT = [math.nan, math.inf, -math.inf]
JOB: Any = SimpleNamespace(id="x", name="x", status="R", best_name="", elapsed=0.0)


def write_run(folder: JobFolder, seed: int) -> None:
    """A log with up to four attempts: each goes on from a checkpoint, or from nothing, and ends in the middle of something."""
    draw = random.Random(seed)
    checkpoints = [(-1, 0)]
    for attempt in range(1, draw.randint(2, 5)):
        writer = EventWriter(folder.events_file, attempt)
        step, offset = checkpoints[draw.randrange(len(checkpoints))] if attempt > 1 else (-1, 0)
        checkpoints = [point for point in checkpoints if point[1] <= offset]
        writer.emit(AttemptEvent(resumed_step=step, resumed_offset=offset))
        for event in events(draw, max(step, 0)):
            writer.emit(event)
            if draw.random() < 0.3:
                checkpoints.append((getattr(event, "step", 0), writer.offset))
        writer.close()
        tear(folder.events_file, draw)


def events(draw: random.Random, step: int) -> list[Event]:
    found: list[Event] = []
    for step in range(step + 1, step + draw.randint(2, 12)):  # noqa: B020
        epoch = step / 4
        value = {name: draw.choice([draw.random(), draw.random(), draw.random(), draw.choice(UNFIT)]) for name in KINDS}
        found.append(MetricEvent(step=step, epoch=epoch, phase="train", values={"loss": value["loss"]}, kinds=KINDS))
        found.append(MetricEvent(step=step, epoch=epoch, phase="val", values=value, kinds=KINDS))
        found.append(ProgressEvent(fraction=min(1.0, step / 40), step=step, epoch=epoch, rate=draw.choice([0.0, 5.0])))
        found.append(HardwareEvent(cpu_percent=float(step)))
        if draw.random() < 0.4:
            path, best, gone = f"snapshots/epoch_{step % 3}", draw.random() < 0.5, draw.random() < 0.2
            found.append(SnapshotEvent(step=step, epoch=float(step % 3), path=path, best=best and not gone, removed=gone))
    return [*found, draw.choice([ErrorEvent(code="x", message="It broke."), StatusEvent(status="A"), found[-1]])]


def tear(path: Path, draw: random.Random) -> None:
    """What a crash leaves: half a line, bytes that are no JSON, or a line of a newer version."""
    lines = [b'{"type":"metric","st', b"\x00\xff{\n", b'{"type":"not known yet"}\n', b"", b'{"type":"metric","step":1}\n']
    with open(path, "ab") as handle:
        handle.write(draw.choice(lines))


def page_of(folder: JobFolder) -> dict[str, Any]:
    """What the page gets from the server."""
    data = page_data(JOB, TrainingSpec("d", "classification"), read_history(folder), None, folder)
    return json.loads(json.dumps(data, allow_nan=False))


def live(folders: list[JobFolder], scratch: Path) -> list[dict[str, Any]]:
    """What the page's own code shows after it has followed each log from its start, as the server sends it."""
    deno = shutil.which("deno") or shutil.which("deno", path=str(Path(sys.executable).parent))
    if deno is None:
        pytest.skip("deno runs the page's code")
    runs = []
    for number, folder in enumerate(folders):
        lines, pages = [], {0: page_of(JobFolder(scratch / "empty"))}
        for end, line in read_lines(folder.events_file):
            event = from_line(line)
            lines.append({"offset": end, "event": json.loads(to_line(event)) if event else None})
            if isinstance(event, AttemptEvent):  # the page is loaded again then
                part = scratch / f"part-{number}-{end}"
                part.mkdir()
                (part / "events.jsonl").write_bytes(folder.events_file.read_bytes()[:end])
                pages[end] = page_of(JobFolder(part))
        runs.append({"pages": pages, "lines": lines})
    command = [deno, "run", "--no-remote", "--allow-read", str(SCRIPT)]
    done = subprocess.run(command, input=json.dumps(runs), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def summary_of(folder: JobFolder, pieces: random.Random) -> RunSummary:
    """The row's summary, read while the log grows."""
    run = RunSummary("x")
    whole = folder.events_file.read_bytes()
    growing = folder.path / "growing.jsonl"
    for cut in [*sorted(pieces.randrange(len(whole)) for _ in range(4)), len(whole)]:
        growing.write_bytes(whole[:cut])
        run.read(growing)
    return run


def finite_points(series: dict[str, Any], name: str) -> list[tuple[float, float]]:
    values = series["values"].get(name, [None] * len(series["epoch"]))
    return [(value, epoch) for value, epoch in zip(values, series["epoch"], strict=True) if value is not None]


def test_row_page_and_live_page_show_the_same(tmp_path: Path) -> None:
    folders = []
    for seed in range(RUNS):
        path = tmp_path / f"run-{seed}"
        path.mkdir()
        folders.append(JobFolder(path))
        write_run(folders[-1], seed)
    (tmp_path / "empty").mkdir()
    for seed, (folder, seen) in enumerate(zip(folders, live(folders, tmp_path), strict=True)):
        page, run, history = page_of(folder), summary_of(folder, random.Random(seed)), read_history(folder)
        assert seen["curves"]["val"] == page["curves"]["val"]
        assert seen["curves"]["train"] == page["curves"]["train"]
        assert seen["curves"]["kinds"] == page["curves"]["kinds"]
        assert [one["path"] for one in seen["snapshots"]] == [one.path for one in current_snapshots(history)]
        assert [one["best"] for one in seen["snapshots"]] == [one["best"] for one in page["snapshots"]]
        assert (seen["progress"] or {}).get("step") == (run.progress.step if run.progress else None)
        assert (page["progress"] or {}).get("step") == (run.progress.step if run.progress else None)
        assert run.error_text() == (history.error.message if history.error else "")
        for phase in ("train", "val"):
            for name in KINDS:
                points = finite_points(page["curves"][phase], name)
                output = run.outputs.get((name, phase))
                assert (output.min if output else None) == min((value for value, _ in points), default=None)
                assert (output.max if output else None) == max((value for value, _ in points), default=None)
        for name, best in seen["best"].items():
            assert (best and (best["value"], best["epoch"])) == run.bests.get(name)
