"""Options that several commands share. Options made from a form are in `form_options`: the server's start needs no form."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click

from digits.config import LoadedSettings, load
from digits.service import Service

jobs_dir_option = click.option("--jobs-dir", help="Directory of all jobs (DIGITS_JOBS_DIR).", metavar="DIR")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def load_settings(**overrides: Any) -> LoadedSettings:
    """Settings with the given values of the command line; None means not given."""
    return load(overrides)


@contextlib.contextmanager
def open_service(jobs_dir: str | None) -> Iterator[Service]:
    """The service on the chosen jobs directory. Whoever has a shell may read what the shell may: paths are not confined."""
    service = Service.open(replace(load_settings(jobs_dir=jobs_dir).settings, data_dirs="/"))
    try:
        yield service
    finally:
        service.close()
