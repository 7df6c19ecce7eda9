"""Template filters and helpers: times, durations, sizes."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from flask import Flask
from markupsafe import Markup

from digits import tasks
from digits.domain.jobs import Kind, Status
from digits.storage.jobs.store import Job
from digits.utils.times import print_time, print_time_diff, print_time_since
from digits.utils.values import sizeof_fmt
from digits.web.http.request import may_edit


def register(app: Flask) -> None:
    """Add the filters; the names of R 1.0 stay because plugin templates use them."""
    filters = {
        "print_time": print_time,
        "print_time_diff": print_time_diff,
        "print_time_since": print_time_since,
        "sizeof_fmt": sizeof_fmt,
        "has_permission": has_permission,
        "ago": ago,
        "day": day,
        "duration": duration,
        "pill": pill,
        "job_pill": job_pill,
        "sort_of": sort_of,
    }
    app.jinja_env.filters.update(filters)


def sort_of(job: Job) -> str:
    """What a job makes and for which task, in words for people: `Segmentation model`."""
    noun = {Kind.DATASET: "data set", Kind.PRETRAINED: "pretrained model"}.get(Kind(job.kind), str(job.kind))
    return f"{tasks.title_of(job.task)} {noun}"


def duration(seconds: float | None) -> str:
    """Compact duration: `12 s`, `3:05`, `1:02:03`, `2 d 3 h`."""
    if seconds is None:
        return ""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    if whole < 86400:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 86400} d {whole // 3600 % 24} h"


def ago(seconds: float | None) -> Markup:
    """A `<time>` that reads as a relative time, is kept up to date by the page and shows the absolute one on hover."""
    if not seconds:
        return Markup("")
    moment = datetime.fromtimestamp(seconds).astimezone()
    text = f"{print_time_diff(max(0, time.time() - seconds)).split(',')[0]} ago"
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(
        moment.isoformat(timespec="seconds"), moment.strftime("%Y-%m-%d %H:%M:%S"), text
    )


def day(seconds: float | None) -> str:
    """A date, e.g. 2026-11-30; empty for None."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d") if seconds else ""


def pill(status: Status | str) -> Markup:
    """The coloured word of a status."""
    value = Status(str(status))
    return Markup('<span class="pill pill-{}" data-status="{}">{}</span>').format(value.word.lower(), value, value.word)


def job_pill(job: Any) -> Markup:
    """The coloured word of a job's status; amber with the number where much of a data set was left out."""
    css = job.status.word.lower() if job.css == job.status.css else "partly"
    return Markup('<span class="pill pill-{}" data-status="{}">{}</span>').format(css, job.status, job.status_words)


def has_permission(job: Any, action: str = "edit") -> bool:
    """Whether the current user may edit or delete the job."""
    return may_edit(job)
