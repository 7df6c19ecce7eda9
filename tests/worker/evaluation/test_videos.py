"""Evaluations of videos: frames are kept as pictures and predicted; what cannot be is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from digits.domain.events import WarningEvent
from digits.domain.inference import EvaluationSpec
from digits.errors import DataError, Forbidden
from digits.images import video_frames
from digits.storage.events import read_events
from digits.storage.folders import JobsDir
from digits.worker import loading
from digits.worker.runtime import WorkerContext
from tests.images.test_video import write_gif, write_video
from tests.predictor.fake_engine import FakeEngine, write_snapshot
from tests.worker.evaluation import evaluating

MODEL_ID = "20260101-000000-aaaa"


@pytest.fixture
def jobs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobsDir:
    monkeypatch.setattr(loading, "get_engine", lambda framework: FakeEngine())
    jobs_dir = JobsDir(tmp_path / "jobs")
    jobs_dir.prepare()
    write_snapshot(jobs_dir.folder(MODEL_ID).path / "snapshots" / "epoch_1.json")
    return jobs_dir


def context_for(jobs_dir: JobsDir, video: Path, name: str = "20260101-000001-bbbb", **spec: Any) -> WorkerContext:
    roots = (str(video.parent), str(jobs_dir.path))
    values = EvaluationSpec(MODEL_ID, "snapshots/epoch_1.json", 1.0, "video", folder=str(video), roots=roots, **spec)
    return evaluating.context_for(jobs_dir, name, "classification", values)


def test_every_nth_frame_is_predicted_and_kept(jobs_dir: JobsDir, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    context = context_for(jobs_dir, write_video(tmp_path / "videos" / "clip.avi", 12), every=4)
    result = evaluating.run(context)
    assert (result["count"], result["labelled"], result["skipped"]) == (3, 0, 0)
    rows = evaluating.kept_by(context.folder.path).rows(range(3))
    assert [Path(row.path).name.split("_")[1] for row in rows] == ["000000", "000004", "000008"]
    with Image.open(rows[2].path) as picture:
        assert picture.size == (48, 32)
    again = context_for(jobs_dir, write_gif(tmp_path / "videos" / "moving.gif"), "20260101-000002-cccc", limit=2)
    assert evaluating.run(again)["count"] == 2


def test_a_video_that_ends_early_is_answered_and_said(jobs_dir: JobsDir, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    path = write_video(tmp_path / "videos" / "clip.avi", 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    context = context_for(jobs_dir, path, every=5)
    assert 0 < evaluating.run(context)["count"] < 12
    warned = [event.code for _, event in read_events(context.folder.events_file) if isinstance(event, WarningEvent)]
    assert "short-video" in warned


def test_what_is_no_video_or_too_long_ends_the_job(jobs_dir: JobsDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos").mkdir()
    monkeypatch.setattr(video_frames, "MOST_FRAMES", 5)
    long = context_for(jobs_dir, write_video(tmp_path / "videos" / "clip.avi", 30))
    with pytest.raises(DataError, match="more than 5 frames") as raised:
        evaluating.run(long)
    assert "every 6th" in raised.value.advice
    playlist = tmp_path / "videos" / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nclip.avi\n")
    with pytest.raises(DataError, match="is no video"):
        evaluating.run(context_for(jobs_dir, playlist, "20260101-000002-cccc"))
    outside = context_for(jobs_dir, playlist, "20260101-000003-dddd")
    object.__setattr__(outside.request, "spec", {**outside.request.spec, "roots": [str(jobs_dir.path)]})
    with pytest.raises(Forbidden):
        evaluating.run(outside)
