"""`digits doctor`: looks at everything a working installation needs and says, for what is wrong, what to do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import click

from digits import __version__
from digits.cli.options import jobs_dir_option, json_option, load_settings
from digits.config import Settings, is_loopback, unknown_variables
from digits.errors import DigitsError, PluginError, StorageError
from digits.frameworks import DEFAULT, frameworks
from digits.storage.files import free_bytes
from digits.storage.folders import JobsDir
from digits.storage.identity import copy_words, settle
from digits.utils.masking import masked

PACKAGES = (
    "torch",
    "torchvision",
    "lightning-fabric",
    "timm",
    "numpy",
    "pyarrow",
    "pillow",
    "opencv-python-headless",
    "flask",
)
COMFORTABLE_FREE = 5 * 2**30
OK, NOTE, WRONG = "ok", "note", "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `state` is ok, note or wrong; `advice` says what to do about the latter two."""

    area: str
    state: str
    found: str
    advice: str = ""


@click.command()
@jobs_dir_option
@json_option
@click.option("--repair", is_flag=True, help="Put right what can be without losing anything, and say what was done.")
@click.option("--deep", is_flag=True, help="Read every file of every finished job and compare it with its checksum.")
@click.option("--fix", is_flag=True, help="Let pip in this virtual environment build plugins with what is installed.")
def doctor(jobs_dir: str | None, as_json: bool, repair: bool, deep: bool, fix: bool) -> None:
    """Look at versions, GPUs, engines, plugins, disk, permissions, the database and the files of all jobs; exit code 1 when
    something is wrong."""
    if fix:
        _fix()
    settings = load_settings(jobs_dir=jobs_dir).settings
    findings = [*_repair(settings), *examine(settings, deep)] if repair else list(examine(settings, deep))
    if as_json:
        from dataclasses import asdict

        from digits.cli import print_json

        print_json([asdict(f) for f in findings])
    else:
        _show(findings)
    if any(f.state == WRONG for f in findings):
        sys.exit(1)


def examine(settings: Settings, deep: bool = False) -> Iterator[Finding]:
    """Every finding, most basic first. A check that itself fails becomes a finding."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _versions,
        _engines,
        _gpus,
        _variables,
        _jobs_directory,
        _database,
        partial(damaged_jobs, deep=deep),
        _uploads,
        _data_folders,
        _address,
        _pip,
        _plugins,
    )
    for check in checks:
        try:
            yield from check(settings)
        except (DigitsError, OSError, ImportError, RuntimeError) as error:
            name = getattr(check, "func", check).__name__.strip("_")
            yield Finding(name, WRONG, masked(f"{type(error).__name__}: {error}"))


def _versions(_settings: Settings) -> Iterator[Finding]:
    yield Finding("digits", OK, f"{__version__}, Python {sys.version.split()[0]} at {sys.executable}")
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding("packages", OK, ", ".join(found))
    if missing:
        yield Finding("packages", WRONG, f"not installed: {', '.join(missing)}", "Install digits again: pip install .")


def _engines(_settings: Settings) -> Iterator[Finding]:
    for row in frameworks().values():
        if row.is_installed:
            yield Finding(f"engine {row.name}", OK, _version_of(*row.packages))
        elif row.name == DEFAULT:
            yield Finding(f"engine {row.name}", WRONG, "not installed", row.install)
        else:
            yield Finding(f"engine {row.name}", NOTE, "not installed", f"If you want it: {row.install}")


def _gpus(_settings: Settings) -> Iterator[Finding]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        yield Finding(
            "GPUs", NOTE, f"none found ({error})", "Training runs on the CPU. With an NVIDIA GPU, check that nvidia-smi works."
        )
        return
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        name = pynvml.nvmlDeviceGetName(handle)
        yield Finding(f"GPU {index}", OK, f"{name}, {_size(int(memory.free))} of {_size(int(memory.total))} free")
    yield from _torch_sees_gpus(pynvml.nvmlDeviceGetCount())


def _variables(_settings: Settings) -> Iterator[Finding]:
    for remark in unknown_variables(os.environ):
        yield Finding("variables", NOTE, remark)


def _torch_sees_gpus(count: int) -> Iterator[Finding]:
    import torch

    if count and not torch.cuda.is_available():
        built = torch.version.cuda or "the CPU"
        advice = "Install the torch build for your driver's CUDA version (pytorch.org, Get started), or update the driver."
        yield Finding(
            "torch and the GPUs", WRONG, f"torch {torch.__version__} is built for {built} and does not see them", advice
        )


def _jobs_directory(settings: Settings) -> Iterator[Finding]:
    folder = settings.jobs_path
    jobs = JobsDir(folder, settings.folder_mode)
    jobs.prepare()
    identity = settle(jobs)
    count = len(jobs.folders())
    free = free_bytes(folder)
    state = OK if free > COMFORTABLE_FREE else WRONG if free < settings.min_free_mb * 2**20 else NOTE
    advice = "Delete old jobs, or set DIGITS_JOBS_DIR to a larger disk."
    yield Finding("jobs directory", state, f"{folder}: {count} jobs, {_size(free)} free", "" if state == OK else advice)
    if identity.copy_of:
        yield Finding(
            "jobs directory", NOTE, copy_words(identity), "Where database_url is set, each needs a database of its own."
        )
    old = jobs.foreign()
    if old:
        text = f"{len(old)} folders of the original DIGITS (status.pickle), e.g. {old[0].name}"
        yield Finding("jobs directory", NOTE, text, "They are left untouched; create the data sets again from their sources.")
    shared = shutil.disk_usage("/dev/shm").total if os.path.isdir("/dev/shm") else None
    if shared is not None and shared < 2**28:
        yield Finding(
            "shared memory", NOTE, f"/dev/shm has {_size(shared)}", "In a container, start it with --shm-size=1g or more."
        )


def _database(settings: Settings) -> Iterator[Finding]:
    """Whether the database can be read; a look does not make one."""
    from digits.storage.jobs.store import JobStore

    jobs = JobsDir(settings.jobs_path, settings.folder_mode)
    file, folders = jobs.database_file, len(jobs.folders())
    if not settings.database_url and (not file.exists() or not file.stat().st_size):
        what = "is empty" if file.exists() else "does not exist yet"
        advice = "The next start of the server makes it and reads the jobs from their folders; accounts have to be made again."
        yield Finding("database", WRONG if folders else OK, f"{file} {what}", advice if folders else "")
        return
    try:
        store = JobStore.open(settings.database_url, file)
        try:
            store.check()
            rows = sum(store.counts().values())
        finally:
            store.close()
    except StorageError as error:
        yield Finding("database", WRONG, error.message, error.advice)
        return
    yield Finding("database", OK, f"{rows} jobs in {store.engine.url.render_as_string(hide_password=True)}")


def damaged_jobs(settings: Settings, deep: bool = False) -> Iterator[Finding]:
    """What is damaged of which job, since when, what still works and what to do."""
    from digits.service import Service
    from digits.service.damage import damage_of
    from digits.storage.jobs.store import JobQuery

    if not settings.database_url and not JobsDir(settings.jobs_path).database_file.exists():
        return
    service, examined = Service.open(settings), 0
    try:
        for job in service.store.query(JobQuery()).jobs:
            examined += 1
            for one in damage_of(service, job, deep=deep):
                since = f" Since {datetime.fromtimestamp(one.since):%Y-%m-%d %H:%M}." if one.since else ""
                found = f"{job.name} ({job.id}): {one.found}{since}"
                yield Finding(f"damaged {job.kind}", WRONG, found, f"Still usable: {one.works} {one.advice}")
    finally:
        service.close()
    yield Finding("files of jobs", OK, f"{examined} jobs examined" + ("" if deep else "; --deep reads every byte"))


def _uploads(settings: Settings) -> Iterator[Finding]:
    """Uploads that were not finished and take room."""
    from digits.service import Service
    from digits.service.files.uploads import list_partial

    if not JobsDir(settings.jobs_path).uploads.is_dir():
        return
    service = Service(settings, JobsDir(settings.jobs_path, settings.folder_mode), None)  # type: ignore[arg-type]
    for one in list_partial(service):
        text = f"{one.name} of {one.owner or 'nobody'}: {one.files} files, {_size(one.bytes)}, last sent to {ago(one.sent)}"
        advice = f"If nobody sends it any more: digits upload delete {one.token}. After a day the next start removes it."
        yield Finding("unfinished upload", NOTE, text, advice)


def ago(moment: float) -> str:
    """How long ago a time was, in words of one unit."""
    minutes = max(0, round((time.time() - moment) / 60))
    hours = minutes // 60
    return f"{hours // 24} days ago" if hours >= 48 else f"{hours} hours ago" if hours >= 2 else f"{minutes} minutes ago"


def _repair(settings: Settings) -> Iterator[Finding]:
    from digits.service.repair import repair

    done = 0
    for sentence in repair(settings):
        done += 1
        yield Finding("repaired", NOTE, sentence)
    if not done:
        yield Finding("repaired", OK, "nothing that can be put right without a loss is wrong")


def _data_folders(settings: Settings) -> Iterator[Finding]:
    roots = settings.data_roots()
    if not roots:
        yield Finding(
            "data folders", NOTE, "none: path fields reach only uploads", "Set DIGITS_DATA_DIRS to the folders with your data."
        )
    for root in roots:
        usable = root.is_dir() and os.access(root, os.R_OK | os.X_OK)
        advice = "" if usable else "Create it, give the user who runs digits read permission, or change DIGITS_DATA_DIRS."
        yield Finding("data folders", OK if usable else WRONG, str(root), advice)


def _address(settings: Settings) -> Iterator[Finding]:
    if not is_loopback(settings.host):
        yield Finding(
            "address", NOTE, f"{settings.host}:{settings.port} can be reached from other machines", "Put TLS in front of it."
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
            yield Finding("address", OK, f"{settings.host}:{settings.port} is free")
        except OSError as error:
            advice = "If that is not digits itself: digits serve --port with another number."
            yield Finding("address", NOTE, f"{settings.host}:{settings.port}: {error.strerror}", advice)


def _pip(_settings: Settings) -> Iterator[Finding]:
    """Whether `pip install .` can build a plugin whose `setup.py` imports digits, or something else that is installed."""
    from digits.service.plugins import building

    if not building.pip_is_here():
        yield Finding("pip", NOTE, "not installed", f"To install plugins: {sys.executable} -m ensurepip")
        return
    version, file = _version_of("pip"), building.configuration_file()
    if not building.is_isolated():
        yield Finding("pip", OK, f"{version}, builds plugins with what is installed here")
        return
    advice = "Where `pip install .` of a plugin does not find digits, or has no network: digits plugins install ."
    if file is not None:
        advice += f" Or once: digits doctor --fix, which writes no-build-isolation into {file}."
    yield Finding("pip", NOTE, f"{version}, builds plugins in isolation from what is installed here", advice)


def _fix() -> None:
    from digits.service.plugins import building

    file = building.configuration_file()
    if file is None or not building.pip_is_here():
        found = "This is no virtual environment" if file is None else "There is no pip here"
        raise PluginError(f"{found}, so nothing was changed.", advice="`digits plugins install .` needs no setting.")
    if building.is_isolated():
        building.turn_isolation_off()
        click.echo(f"{file} is written: `pip install .` builds with what is installed here.", err=True)


def _plugins(_settings: Settings) -> Iterator[Finding]:
    from digits.service.plugins.packages import installed

    for row in (row for rows in installed().values() for row in rows):
        advice = row["error"].strip().splitlines()[-1] if row["error"] else ""
        state = NOTE if row["used_instead"] else WRONG if advice else OK
        origin = f"{row['distribution']} {row['version']}".strip()
        yield Finding(f"{row['kind']} plugin {row['id']}", state, f"{row['title']} ({origin})", advice)


def _version_of(*names: str) -> str:
    for name in names:
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def _size(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    marks = {OK: "[green]✓[/]", NOTE: "[yellow]•[/]", WRONG: "[red]✗[/]"}
    table = Table("", "What", "Found", "What to do", show_lines=False)
    for f in findings:
        table.add_row(marks[f.state], f.area, f.found, f.advice)
    Console(width=max(100, shutil.get_terminal_size((120, 40)).columns)).print(table)
