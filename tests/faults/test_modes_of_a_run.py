"""Every file that a real server and its workers made belongs to the user who runs them alone."""

from __future__ import annotations

from tests.faults.finished import Finished


def test_nobody_else_reads_anything_of_a_run(jobs: Finished) -> None:
    hidden = jobs.service.jobs_dir.hidden
    expected = {hidden / name for name in ("runtime.json", "digits.log", "digits.sqlite", "digits.sqlite-wal", "reserve", "lock")}
    expected |= {jobs.service.folder(job.id).events_file for job in (jobs.dataset, jobs.model)}
    assert expected <= set(jobs.modes)
    assert any(path.suffix == ".sock" for path in jobs.modes)
    assert {str(path): oct(mode) for path, mode in jobs.modes.items() if mode & 0o077} == {}
