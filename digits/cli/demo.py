"""`digits demo`: a server with a data set of real handwritten digits and LeNet trained on it, made the ordinary way."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from digits.cli.options import jobs_dir_option
from digits.cli.serve import free_port, plain_address, settings_from, start
from digits.config import Settings
from digits.domain.jobs import Kind, Status
from digits.errors import DigitsError
from digits.service import Service
from digits.storage.files import atomic
from digits.storage.jobs.store import Job, JobQuery
from digits.utils.masking import masked

NAME = "Handwritten digits (demo)"
EPOCHS = 10
# "Optical Recognition of Handwritten Digits", the test part: 1,797 pictures of 8 × 8 pixels in 17 grey levels. E. Alpaydin and
# C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0. Arrays `images` uint8
# (1797, 8, 8), 0 to 16, and `labels` uint8 (1797,), in the order of the original.
PICTURES = Path(__file__).parent / "optical_digits.npz"
LEVELS = 16
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


def write_pictures(folder: Path) -> Path:
    """Write the 1,797 digits as PNG files, one sub-folder per class; a folder that is whole already is left as it is."""
    import numpy as np
    from PIL import Image

    marker = folder / "complete"
    pictures = folder / "pictures"
    if marker.exists():
        return pictures
    shutil.rmtree(folder, ignore_errors=True)
    with np.load(PICTURES, allow_pickle=False) as data:
        images, labels = data["images"], data["labels"]
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        target = pictures / str(label)
        target.mkdir(parents=True, exist_ok=True)
        grey = np.round(image * (255 / LEVELS)).astype(np.uint8)
        Image.fromarray(grey).save(target / f"{index:04d}.png")
    with atomic(marker) as handle:
        handle.write(b"1797\n")
    return pictures


def make_jobs(service: Service) -> Job:
    """The demo's model: the one that is there, else a new one on a new data set."""
    from digits.service.datasets.classification import create_classification_dataset
    from digits.service.models.create import create_models

    found = _existing(service, Kind.MODEL)
    if found is not None:
        return found
    pictures = write_pictures(service.jobs_dir.uploads / "demo-digits")
    form = {"folder_train": str(pictures), "resize_width": 28, "resize_height": 28, "resize_channels": 1}
    dataset = _existing(service, Kind.DATASET) or create_classification_dataset(service, {"dataset_name": NAME, **form})
    wanted = {"model_name": f"LeNet on {NAME.lower()}", "dataset": dataset.id, "standard_networks": "lenet"}
    solver = {"train_epochs": EPOCHS, "batch_size": 64, "random_seed": 1, "lr_policy": "step"}
    return create_models(service, "classification", {**wanted, **solver, "method": "standard"})[0]


def _existing(service: Service, kind: Kind) -> Job | None:
    usable = (Status.INIT, Status.WAIT, Status.RUN, Status.DONE)
    for job in service.store.query(JobQuery(kind=kind, text=NAME)).jobs:
        if job.status in usable:
            return job
    return None


def _make(settings: Settings, address: str) -> None:
    service = Service.open(settings)
    try:
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
