"""Hostile archives and weights at each door: uploads, what is proposed of them, `digits jobs import`, pretrained models, stores.

`make faults` sends those that take seconds too, and `FAULTS_REPORT` names a file to which each is appended, a line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digits.config import Settings
from digits.errors import DataError, DigitsError
from digits.plugin_host.recognise import look_into
from digits.service import Service
from digits.service.files import uploads
from digits.service.models import pretrained, stores, weights_file
from digits.service.models.moving import import_model
from tests import hostile
from tests.hostile import MARK, Hostile
from tests.service.models.test_pretrained import INFO, work
from tests.worker.test_export import TEXT

SECONDS = 5.0  # of the processor, to refuse what is refused
MEMORY = 600 << 20  # bytes that the process may grow by meanwhile
LOOKS = int(os.environ.get("HOSTILE_LOOKS") or 8)  # one of so many that are taken is looked at
DOORS = ("upload", "import", "pretrained")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret").write_bytes(b"not for you")
    found = Service.open(Settings(jobs_dir=str(folder / "jobs"), auth=False, data_dirs=str(folder), min_free_mb=1))
    yield found
    found.close()


def upload(service: Service, path: Path, name: str) -> None:
    """What is taken is looked at as *What have you got?* does (here and there), and removed."""
    token = uploads.begin(service, "sent", "ada")
    try:
        with open(path, "rb") as file:
            uploads.add_file(service, token, name, file, "ada")
        done = uploads.finish(service, token, "ada")
    except DigitsError:
        uploads.cancel(service, token, "ada")
        raise
    below = Path(service.jobs_dir.uploads / done.name)
    assert not any(path.is_symlink() or not (path.is_file() or path.is_dir()) for path in below.rglob("*"))
    if zlib.crc32(path.read_bytes()) % LOOKS == 0:
        look_into(str(below), [str(service.jobs_dir.uploads)])
    uploads.remove(service, done.name, "ada")


def take_in(service: Service, path: Path, name: str) -> None:
    import_model(service, path)


def adopt(service: Service, path: Path, name: str) -> None:
    pretrained.from_archive(service, path, name)


OPEN: dict[str, Callable[[Service, Path, str], None]] = {"upload": upload, "import": take_in, "pretrained": adopt}


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file but those of the database, the first bytes of each."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            if not name.startswith("digits.sqlite"):
                with open(Path(root) / name, "rb") as file:
                    found[str(Path(root, name).relative_to(folder))] = file.read(100)
    return found


def peak() -> int:
    """The most memory that this process had since `forget_peak`, in bytes."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])  # type: ignore[index]


def forget_peak() -> int:
    with contextlib.suppress(OSError):  # where that may not be written, the most so far counts
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def send(service: Service, door: str, one: Hostile, folder: Path, slow: float = 0.0) -> str:
    """Send it, and look for what it left; what was said, empty where it was taken. `slow`: seconds of the processor allowed."""
    path = folder / one.file_name
    if not path.exists():
        one.write(path)
    place = service.jobs_dir.path.parent
    before, jobs, memory, began = files_below(place), service.store.ids(), forget_peak(), time.process_time()
    said, status = "", 0
    try:
        OPEN[door](service, path, one.file_name)
    except DigitsError as error:
        said, status = str(error), error.status
    seconds, grown = time.process_time() - began, peak() - memory
    line = {"hostile": one.name, "door": door, "said": said[:200], "seconds": round(seconds, 2), "mib": grown >> 20}
    if os.environ.get("FAULTS_REPORT"):
        with open(os.environ["FAULTS_REPORT"], "a") as report:
            report.write(json.dumps(line) + "\n")
    assert said or not one.refused or door == "import", line
    assert not said or 400 <= status < 500, line
    assert service.store.ids() == jobs, line
    assert files_below(place) == before, line
    assert not os.path.lexists("/evil"), line
    assert grown < MEMORY, line
    assert not slow or seconds < slow, line
    return said


@pytest.mark.parametrize("door", DOORS)
def test_no_archive_leaves_its_folder_or_stops_the_server(service: Service, tmp_path: Path, door: str) -> None:
    said = Counter[bool]()
    for one in hostile.cheap():
        said[bool(send(service, door, one, tmp_path, SECONDS))] += 1
        (tmp_path / one.file_name).unlink()
    assert sum(said.values()) >= 230
    if door != "upload":
        assert not said[False], "none of them is a model"
    assert MARK not in files_below(tmp_path).values()


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_no_bomb_takes_long_or_all_of_the_memory(service: Service, tmp_path: Path) -> None:
    for one in hostile.costly():
        for door in DOORS:
            send(service, door, one, tmp_path, SECONDS if one.refused else 0.0)
        (tmp_path / one.file_name).unlink()


SHOP = {**INFO, "name": "shop", "labels file": "l.txt"}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights_of_strangers_are_refused_in_words(service: Service, tmp_path: Path) -> None:
    """At once where they are uploaded, by the job's worker where they come from a store."""
    for one in hostile.weights():
        shop = tmp_path / "shop" / "model"
        shop.mkdir(parents=True, exist_ok=True)
        path = shop / one.file_name
        one.write(path)
        memory = forget_peak()
        assert bool(weights_file.problem(path)) or not one.refused, one.name
        (shop / "network.py").write_text(TEXT)
        (shop / "l.txt").write_text("a\nb\n")
        (shop / "info.json").write_text(json.dumps({**SHOP, "snapshot file": one.file_name}))
        (tmp_path / "shop" / "master.json").write_text(json.dumps({"children": ["model"]}))
        (found,) = stores.read_store(str(tmp_path / "shop"), refresh=True).models
        if found.problem:
            continue
        job = stores.install(service, found, "ada")
        with pytest.raises(DigitsError):
            work(service, job)
        assert peak() - memory < MEMORY, one.name
        assert not (service.folder(job.id).path / "snapshots").exists() or not list(service.folder(job.id).snapshots.iterdir())
        path.unlink()


def test_no_link_leads_out_of_a_store(service: Service, tmp_path: Path) -> None:
    """Also one that was turned after the store was read; and nobody waits for a pipe in it."""
    (tmp_path / "secret").write_text("not for you")
    shop = tmp_path / "shop"
    for name in ("good", "info", "labels", "pipe", "weights"):
        (shop / name).mkdir(parents=True)
        (shop / name / "network.py").write_text(TEXT)
        (shop / name / "l.txt").write_text("a\nb\n")
        (shop / name / "w.safetensors").write_bytes(b"x")
        (shop / name / "info.json").write_text(json.dumps({**SHOP, "name": name}))
    (shop / "master.json").write_text(json.dumps({"children": ["good", "info", "labels", "pipe", "weights"]}))
    (shop / "info" / "info.json").unlink()
    (shop / "info" / "info.json").symlink_to(tmp_path / "secret")
    (shop / "pipe" / "info.json").unlink()
    os.mkfifo(shop / "pipe" / "info.json")
    for name, file in (("labels", "l.txt"), ("weights", "w.safetensors")):
        (shop / name / file).unlink()
        (shop / name / file).symlink_to(tmp_path / "secret")
    found = {model.folder: model for model in stores.read_store(str(shop), refresh=True).models}
    assert "leads out of the store" in found["info"].problem
    assert "is a pipe" in found["pipe"].problem
    with pytest.raises(DigitsError, match="leads out of the store"):
        stores.install(service, found["labels"])
    with pytest.raises(DataError, match="leads out of the store"):
        work(service, stores.install(service, found["weights"]))
