"""Options that several commands share. Options made from a form are in `form_options`: the server's start needs no form."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import click
from sqlalchemy import event

from digits.config import LoadedSettings, load
from digits.service import Service
from digits.storage.jobs.tables import is_write
from digits.storage.modes import limit_process, release_process

jobs_dir_option = click.option("--jobs-dir", help="Directory of all jobs (DIGITS_JOBS_DIR).", metavar="DIR")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def load_settings(**overrides: Any) -> LoadedSettings:
    """Settings with the given values of the command line; None means not given."""
    return load(overrides)


@contextlib.contextmanager
def open_service(jobs_dir: str | None, *, take_over: bool = False) -> Iterator[Service]:
    """The service on the chosen jobs directory. Whoever has a shell may read what the shell may: paths are not confined."""
    settings = replace(load_settings(jobs_dir=jobs_dir).settings, data_dirs="/")
    limit_process(settings.folder_mode)
    try:
        service = Service.open(settings, take_over=take_over)
        event.listen(service.store.engine, "before_cursor_execute", _Recorder(service))
        try:
            yield service
        finally:
            service.close()
    finally:
        release_process()


class _Recorder:
    """Records a command in the audit log when it is about to change the database for the first time."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.recorded = False

    def __call__(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        context = click.get_current_context(silent=True)
        if self.recorded or context is None or not is_write(statement):
            return
        from digits.service import accounts, audit

        self.recorded = True
        secret = {option.name for option in context.command.params if getattr(option, "hide_input", False)}
        given = {name: str(value) for name, value in context.params.items() if value and name not in secret | {"jobs_dir"}}
        command = " ".join(["digits", *context.command_path.split()[1:]])
        audit.record(self.service, command, who=accounts.default_user(), by="command", arguments=given)
