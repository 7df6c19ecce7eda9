"""Files that come with a form: the job has its own copy, the rest is cleared away."""

from __future__ import annotations

import io
import os
import time
from pathlib import Path

from digits.service import Service
from digits.service.files.form_files import (
    FORM_FILES,
    LOOK_SECONDS,
    STALE_SECONDS,
    drop_form_file,
    keep_form_files,
    save_form_file,
)


def test_a_job_gets_its_own_copy_of_what_was_sent(service: Service, tmp_path: Path) -> None:
    sent = save_form_file(service, io.BytesIO(b"1"), "../a list.csv")
    values = {"csv": str(sent), "several": [str(sent)], "folder": "/pictures", "number": 3}
    first, second = service.jobs_dir.path / "first", service.jobs_dir.path / "second"
    kept = keep_form_files(service, values, first)
    drop_form_file(service, sent)
    assert not sent.parent.exists()
    assert (kept["csv"], kept["folder"], kept["number"]) == (str(first / "sent" / "a list.csv"), "/pictures", 3)
    assert Path(kept["several"][0]).read_bytes() == b"1"
    clone = keep_form_files(service, kept, second)
    assert clone["csv"] == str(second / "sent" / "a list.csv")
    own = tmp_path / "mine.txt"
    own.touch()
    drop_form_file(service, own)
    assert own.exists()


def test_files_that_nobody_came_back_for_are_removed_after_two_days(service: Service) -> None:
    old, young = (save_form_file(service, io.BytesIO(b"1"), "a.txt") for _ in range(2))
    long_ago = time.time() - STALE_SECONDS - 60
    os.utime(old.parent, (long_ago, long_ago))
    save_form_file(service, io.BytesIO(b"2"), "b.txt")
    assert old.exists(), "it looks once an hour"
    mark = service.jobs_dir.uploads / FORM_FILES / ".looked"
    os.utime(mark, (time.time() - LOOK_SECONDS - 1,) * 2)
    save_form_file(service, io.BytesIO(b"3"), "c.txt")
    assert not old.exists()
    assert young.exists()
