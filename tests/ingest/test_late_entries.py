"""An entry whose encoding never comes back costs itself alone: it is left out, and the list of problems says which setting."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from digits.domain.events import WarningEvent
from digits.errors import DataError
from digits.extensions.data.source import FileSource, ReportProblem
from digits.ingest import silence
from digits.ingest.silence import SilenceWatch
from digits.ingest.source import _prepare
from digits.storage.folders import JobFolder
from tests.ingest.making import make_job, run_job
from tests.waiting import PATIENCE_SECONDS

SECONDS = 8  # in which a process of a pool starts, also on a busy machine
IN_PLACE = """
import time
from digits.ingest.pool import ending_when_late
with ending_when_late():
    pass
time.sleep(1.2)
print("in time", flush=True)
with ending_when_late():
    time.sleep(60)
print("never")
"""


@pytest.mark.usefixtures("plugin_site")
def test_an_entry_that_never_comes_back_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_ENTRY_SECONDS", str(SECONDS))
    run = run_job(make_job(tmp_path / "jobs", "test-source", {"case": "hangs", "count": 40}), workers=2)
    (problem,) = run.problems()
    assert problem["entry"] == "17"
    assert f"takes longer than {SECONDS} s to encode; the setting entry_seconds (DIGITS_ENTRY_SECONDS)" in problem["reason"]
    assert len(run.reader()) == 39


class Silent(FileSource):
    """Looks at its files for ever, or for long with signs of life."""

    signs = True

    def prepare(self, report: ReportProblem) -> None:
        for number in range(9):
            time.sleep(0.3)
            if self.signs:
                self.check_stop() if number % 2 else report({"kind": "note", "reason": "one"})
        self.prepared = True


@pytest.mark.parametrize("signs", [True, False])
def test_a_source_that_shows_no_sign_of_life_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signs: bool) -> None:
    monkeypatch.setenv("DIGITS_ENTRY_SECONDS", "1")
    source, folder = Silent(), JobFolder(tmp_path)
    source.signs = signs
    folder.problems_file.write_bytes(b"")
    if signs:
        _prepare(source, folder, lambda problem: None, lambda: False)
        assert source.prepared
        return
    with pytest.raises(DataError, match=r"Silent.prepare gave no sign of life for 1 s.*entry_seconds"):
        _prepare(source, folder, lambda problem: None, lambda: False)


def test_what_hangs_in_the_worker_itself_ends_it_with_its_traces() -> None:
    run = subprocess.run(
        [sys.executable, "-c", IN_PLACE],
        env={**os.environ, "DIGITS_ENTRY_SECONDS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "in time\n")
    assert "Timeout (0:00:01)!" in run.stderr
    assert 'File "<string>"' in run.stderr


class Watched:
    """A watch, and what it said and did."""

    def __init__(self, seconds: float = 0.4) -> None:
        self.ended = threading.Event()
        self.errors: list[Exception] = []
        self.said: list[WarningEvent] = []
        self.watch = SilenceWatch("Data plugin 'X' (x)", seconds, self.said.append, self._give_up)

    def _give_up(self, error: Exception) -> None:
        self.errors.append(error)
        self.ended.set()


def test_a_plugin_that_hangs_while_it_lists_its_entries_is_named_with_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "WARN_SECONDS", 0.1)
    watched = Watched()
    with watched.watch.watching("itemize_entries('train_db')", __name__):
        assert watched.ended.wait(PATIENCE_SECONDS)  # the line that the plugin hangs in
    (said,), (error,) = watched.said, watched.errors
    for words in (said.message, str(error)):
        assert "Data plugin 'X' (x): itemize_entries('train_db')" in words
        assert "in test_late_entries.py, line" in words
        assert "# the line that the plugin hangs in" in words
    assert "gave no sign of life for 0.4 s" in str(error)
    assert "entry_seconds (DIGITS_ENTRY_SECONDS)" in str(error)
    assert "the line that the plugin hangs in" in error.trace  # type: ignore[attr-defined]


def test_a_plugin_that_reads_its_files_may_take_its_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    watched = Watched(1.5)
    with watched.watch.watching("__init__"):
        ends = time.monotonic() + 2.5
        while time.monotonic() < ends:
            (tmp_path / "file").read_text()
            time.sleep(0.02)
    assert not watched.errors


@pytest.mark.usefixtures("plugin_site")
def test_both_calls_of_a_job_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(SilenceWatch, "watching", lambda self, call, module: seen.append(call) or nullcontext())
    run_job(make_job(tmp_path / "jobs", "test-source", {"case": "pair", "count": 4}))
    assert seen == ["__init__", *(f"itemize_entries('{stage}')" for stage in ("train_db", "val_db", "test_db"))]
