"""What plugins do when they are imported costs them alone: heavy frameworks, a process that ends, an import without end."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from digits.extensions.journal import PATIENCE, ImportJournal
from digits.ipc.plugin_host_client import HostAway
from digits.service import Service
from digits.service.plugins import host as plugins
from digits.service.plugins import packages as plugin_packages
from digits.service.plugins import views as plugin_views
from digits.service.plugins.views import ViewSample
from tests.conftest import RunningServer
from tests.plugin_host.hosts import make_dataset, plugin_form, running_host, started_host
from tests.plugin_host.packages import add_package, data_source, view_source
from tests.waiting import wait_for

EXIT = "import os\nos._exit(9)\n"
HANG = "import time\ntime.sleep(3600)\n"
DEADLINE = 60

# One package each, in the order in which they are imported: torchvision after TensorFlow would crash the process.
FRAMEWORKS = {
    "tensorflow": ("a_tensorflow", "import tensorflow as tf\n", "np.asarray(tf.fill((1, 2, 3), float(entry)))"),
    "torchvision": ("b_torch", "import torch\nimport torchvision\n", "torch.full((1, 2, 3), float(entry))"),
}


INSTALLED = [name for name in FRAMEWORKS if importlib.util.find_spec(name)]


def add_framework(site: Path, name: str) -> str:
    """A data and a view plugin that need a framework at module level; their id."""
    package, imports, feature = FRAMEWORKS[name]
    encode = f"def encode_entry(self, entry):\n    return {feature}, entry % 2\n"
    module = imports + data_source(package, encode) + "from .view import View\n"
    files = {"view.py": imports + view_source(package)}
    add_package(site, package, module, data="Data", view="View", files=files)
    return package


@pytest.mark.long
@pytest.mark.skipif(not INSTALLED, reason="neither framework is installed")
def test_plugins_that_need_a_framework_work_and_the_web_process_never_loads_it(web_server: RunningServer, tmp_path: Path) -> None:
    service, site = web_server.service, tmp_path / "site"
    ids = [add_framework(site, name) for name in INSTALLED]
    with started_host(service, tmp_path, site) as host:
        wait_for_all(service)
        jobs = [make(service, plugin) for plugin in ids]
        assert len(loaded(host.pid)) == len(ids)
    for job_id in jobs:
        encode(service, job_id, site)
        info = service.folder(job_id).dataset_info()
        split = info.splits["train_db"]
        assert (split.entries, split.meta.feature_shape, split.meta.feature_dtype) == (6, (1, 2, 3), "float32")
    assert loaded(web_server.process.pid) == set()


def make(service: Service, plugin: str) -> str:
    """A data set of the plugin, whose form and view were shown."""
    assert plugin_form(service, plugin, {}).failure is None
    job = make_dataset(service, plugin, {"dataset_name": "heavy", "count": 6})
    sample = ViewSample("one", np.zeros((1, 4, 5), np.uint8), {"a": np.ones(2)})
    results = plugin_views.render(service, job, [sample], plugin, {}, "")
    assert results.samples[0]["html"] == "<p>0 (4, 5)</p>"
    return job.id


def wait_for_all(service: Service) -> None:
    wait_for(lambda: not any("being imported" in row["error"] for row in plugins.table(service)["view"]))


def loaded(pid: int) -> set[str]:
    """The frameworks whose libraries a process has mapped."""
    maps = Path(f"/proc/{pid}/maps")
    if not maps.is_file():
        pytest.skip("only Linux tells what a process has mapped")
    return {name for name in ("tensorflow", "torch") if f"/site-packages/{name}/" in maps.read_text()}


def encode(service: Service, job_id: str, site: Path) -> None:
    command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(service.jobs_dir.path), "--attempt", "1", job_id]
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)


def test_a_plugin_whose_import_ends_the_process_is_left_out_at_last(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    add_package(site, "leaver", EXIT, data="Data")
    add_package(site, "zgood", data_source("good"), data="Data")
    (tmp_path / "host").mkdir()
    for _ in range(PATIENCE):
        with started_host(service, tmp_path / "host", site) as host:
            with pytest.raises(HostAway):  # plugins are imported for the first question
                plugins.table(service, timeout=4.0)
            assert host.wait(DEADLINE) == 9
    with running_host(service, tmp_path / "host", site):
        rows = {row["distribution"]: row for row in plugins.table(service)["data"]}
        assert "ended the process of the plugins twice" in rows["leaver"]["error"]
        assert rows["zgood"]["ok"]
        job = make_dataset(service, "good", {"dataset_name": "d"})
    encode(service, job.id, site)  # the worker imports the plugin of its job alone
    assert service.folder(job.id).dataset_file.is_file()
    monkeypatch.setenv("PYTHONPATH", str(site))
    listed = {row["distribution"]: row["ok"] for row in plugin_packages.installed()["data"]}
    assert (listed["leaver"], listed["zgood"]) == (False, True)


def test_an_import_without_end_delays_no_other_page(service: Service, tmp_path: Path) -> None:
    add_package(tmp_path / "site", "hanger", HANG, data="Data")
    with started_host(service, tmp_path, tmp_path / "site"):
        assert plugin_form(service, "image-processing", {}).failure is None
        plugins.forget(service)
        assert "Images" in plugins.menu(service)
        rows = {row["distribution"]: row for row in plugins.table(service, timeout=0.5)["data"]}
    assert "is being imported" in rows["hanger"]["error"]


def test_the_journal_forgives_a_single_kill_and_survives_a_torn_file(tmp_path: Path) -> None:
    file = tmp_path / "imports"
    file.write_text('{"at": "x:Y", "crashes": {}}')
    journal = ImportJournal(file)
    assert not journal.is_refused("x:Y")
    with journal.importing("x:Y"):
        pass
    file.write_text('{"at": "x:Y", "cra')
    assert not ImportJournal(file).is_refused("x:Y")


def test_the_table_is_known_without_importing_anything_until_a_plugin_changes(service: Service, tmp_path: Path) -> None:
    site = tmp_path / "site"
    add_package(site, "kept", data_source("kept"), data="Data")
    kept = service.jobs_dir.hidden / "plugins.json"
    with running_host(service, tmp_path, site):
        first = plugins.table(service)
        wait_for(kept.exists)
    with started_host(service, tmp_path, site) as host:
        assert plugins.table(service) == first
        assert "numpy" not in Path(f"/proc/{host.pid}/maps").read_text()
        plugin_form(service, "kept", {})
        assert "numpy" in Path(f"/proc/{host.pid}/maps").read_text()
    module = site / "kept" / "__init__.py"
    module.write_text(module.read_text() + "\nraise ValueError('changed')\n")
    with started_host(service, tmp_path, site):
        assert "ValueError: changed" in next(row["error"] for row in plugins.table(service)["data"] if not row["ok"])
        wait_for(lambda: not kept.exists())
