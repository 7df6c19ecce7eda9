"""`digits demo`: a server with a data set of real handwritten digits and LeNet trained on it, made the ordinary way."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import click

from digits.cli.options import jobs_dir_option
from digits.cli.serve import free_port, plain_address, settings_from, start
from digits.config import Settings
from digits.domain.jobs import Status
from digits.errors import DigitsError
from digits.service import Service
from digits.storage.jobs.store import Job
from digits.utils.masking import masked

POLL_SECONDS = 0.3


@click.command()
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("-p", "--port", type=click.IntRange(0, 65535), help="Port to listen on; 0: any free one. [default: 5000]")
@jobs_dir_option
@click.option("--no-auth", is_flag=True, help="Require no log-in; only on a loopback address.")
def demo(**options: Any) -> None:
    """Start the server with a model trained on real handwritten digits.

    The pictures come with digits; nothing is downloaded. A demo model that is there already is used again.
    """
    settings = settings_from(**options)
    settings = replace(settings, port=free_port(settings))

    def ready(address: str) -> None:
        thread = threading.Thread(target=_make, args=(settings, address), name="demo", daemon=True)
        thread.start()

    start(settings, on_ready=ready)


def _make(settings: Settings, address: str) -> None:
    from digits.service import accounts, audit
    from digits.service.demo import make_jobs

    service = Service.open(settings)
    try:
        audit.record(service, "digits demo", who=accounts.default_user(), by="command")
        model = _wait(service, make_jobs(service))
        _announce(settings, address, model)
    except DigitsError as error:
        click.echo(f"{click.style('error', fg='red')}: {masked(str(error))}", err=True)
    finally:
        service.close()


def _wait(service: Service, model: Job) -> Job:
    shown = ""
    while model.status.is_running:
        dataset = service.store.get(model.dataset_id)
        job = dataset if dataset.status.is_running else model
        line = f"{job.name}: {job.status.word.lower()} {job.progress:.0%}"
        if line != shown:
            click.echo(f"\r\033[K  {line}", nl=False)
            shown = line
        time.sleep(POLL_SECONDS)
        model = service.store.get(model.id)
    click.echo("\r\033[K", nl=False)
    return model


def _announce(settings: Settings, address: str, model: Job) -> None:
    if model.status != Status.DONE:
        click.echo(f"{model.name} ended as {model.status.word}: {model.error or model.message}", err=True)
        return
    best = f"{model.best_name} {model.best_value:.4g} at epoch {model.best_epoch:g}" if model.best_value is not None else ""
    token = address.partition("?")[2]
    page = f"{plain_address(settings)}/models/{model.id}{f'?{token}' if token else ''}"
    click.echo(
        f"\n  {model.name} is trained: {best}\n\n  {click.style(page, fg='green', bold=True)}\n\n  Ctrl-C ends the server.\n"
    )
