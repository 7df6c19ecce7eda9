"""An entry whose encoding never comes back costs itself alone: it is left out, and the list of problems says which setting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from digits.errors import DataError
from digits.extensions.data.source import FileSource, ReportProblem
from digits.ingest.source import _prepare
from digits.storage.folders import JobFolder
from tests.ingest.making import make_job, run_job

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
