"""Packages that are in each other's way, and packages whose modules were renamed, as `pip install` leaves them."""

from __future__ import annotations

import base64
import hashlib
import importlib
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from digits.cli.plugins import _state
from digits.extensions import former_names, loader, packages
from digits.extensions.data import userdata
from digits.extensions.data.interface import DataIngestionInterface
from tests.plugin_host.packages import data_source, view_source

MODULES = ("mri", "spectra", "scans", "oldScans")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """What a test imported is gone for the next, and so is what the process knows of installed packages."""
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in MODULES]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, former_names.FormerNames)]
    loader.forget()


def install(site: Path, distribution: str, files: dict[str, str], points: str) -> None:
    """What pip writes: the files, over what is there, the metadata, and a RECORD with their digests."""
    lines = []
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(text)}")
    facts = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(points)
    (facts / "RECORD").write_text("\n".join([*lines, f"{facts.name}/RECORD,,"]))


def data_point(value: str) -> str:
    return f"[digits.plugins.data]\nclass = {value}\n"


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The rows of some distributions, looked for in folders that come first on the path."""

    def of(*sites: Path, kind: str = "data") -> dict[str, loader.Extension]:
        for site in reversed(sites):
            monkeypatch.syspath_prepend(str(site))
        loader.forget()
        return {row.distribution: row for row in loader.all_extensions(kind)}

    return of


def test_of_two_packages_in_one_folder_the_files_of_the_later_one_are_used(tmp_path: Path, rows: Any) -> None:
    install(tmp_path, "a-scanner", {"mri/__init__.py": data_source("from-a")}, data_point("mri:Data"))
    install(tmp_path, "b-scanner", {"mri/__init__.py": data_source("from-b")}, data_point("mri:Data"))
    found = rows(tmp_path)
    assert (found["b-scanner"].id, found["b-scanner"].state) == ("from-b", "used")
    assert (found["a-scanner"].state, found["a-scanner"].used_instead) == ("not used", "b-scanner")
    assert str(tmp_path / "mri" / "__init__.py") in found["a-scanner"].error
    assert loader.get("data", "from-b", "mri:Data").distribution == "b-scanner"
    assert [_state(found[name].to_json()) for name in ("a-scanner", "b-scanner")] == [
        "[yellow]not used: b-scanner is[/]",
        "[green]used[/]",
    ]


def test_the_same_files_belong_to_whoever_came_last(tmp_path: Path, rows: Any) -> None:
    for name in ("a-scanner", "b-scanner"):
        install(tmp_path, name, {"mri/__init__.py": data_source("scanner")}, data_point("mri:Data"))
    os.utime(tmp_path / "b_scanner-1.0.dist-info" / "RECORD", (1, 1))
    found = rows(tmp_path)
    assert (found["a-scanner"].state, found["b-scanner"].state) == ("used", "not used")


def test_of_two_folders_the_first_on_the_path_counts(tmp_path: Path, rows: Any) -> None:
    install(
        tmp_path / "first", "z-scanner", {"mri/__init__.py": "", "mri/data.py": data_source("z")}, data_point("mri.data:Data")
    )
    files = {"mri/__init__.py": "", "mri/own.py": data_source("a")}
    install(tmp_path / "second", "a-scanner", files, data_point("mri.own:Data"))
    found = rows(tmp_path / "first", tmp_path / "second")
    assert found["z-scanner"].state == "used"
    assert (found["a-scanner"].state, found["a-scanner"].used_instead) == ("not used", "z-scanner")


def test_packages_may_share_a_namespace_and_one_may_have_data_and_view(tmp_path: Path, rows: Any) -> None:
    install(tmp_path / "first", "a", {"spectra/near/__init__.py": data_source("near")}, data_point("spectra.near:Data"))
    both = {"spectra/far/__init__.py": data_source("far"), "spectra/far/view.py": view_source("far-view")}
    points = data_point("spectra.far:Data") + "[digits.plugins.view]\nclass = spectra.far.view:View\n"
    install(tmp_path / "second", "b", both, points)
    found = rows(tmp_path / "first", tmp_path / "second")
    assert (found["a"].state, found["b"].state) == ("used", "used")
    assert rows(kind="view")["b"].state == "used"


def test_metadata_that_nobody_can_read_costs_its_own_row(tmp_path: Path, rows: Any) -> None:
    install(tmp_path, "a-scanner", {"mri/__init__.py": data_source("from-a")}, data_point("mri:Data"))
    install(tmp_path, "b-scanner", {}, data_point("mri:Data"))
    (tmp_path / "b_scanner-1.0.dist-info" / "direct_url.json").write_text("{")
    found = rows(tmp_path)
    assert not found["b-scanner"].ok
    assert loader.get("data", "image-processing").ok


RENAMED = "[digits.plugins.renamed]\noldScans = scans\n"


@pytest.fixture
def renamed(tmp_path: Path) -> Path:
    """A package whose module `scans` was `oldScans` once."""
    site = tmp_path / "site"
    files = {"scans/__init__.py": "from scans.data import Data\n", "scans/data.py": data_source("scans")}
    install(site, "our-scans", files, data_point("scans:Data") + RENAMED)
    return site


def frozen_as(module: str, cls: Any) -> bytes:
    """A data set's instance as a version froze it whose class lay in `module`."""
    now = pickle.dumps({"schema": 1, "userdata": {"count": 7}, "instance": cls(count=7), "attributes": None}, protocol=0)
    return now.replace(cls.__module__.encode(), module.encode())


def test_a_former_name_is_the_same_module(renamed: Path, rows: Any) -> None:
    assert rows(renamed)["our-scans"].state == "used"
    former, now = importlib.import_module("oldScans.data"), importlib.import_module("scans.data")
    assert former is now
    assert now.__spec__ is not None
    assert now.__spec__.name == "scans.data"
    assert importlib.import_module("oldScans") is importlib.import_module("scans")
    with pytest.raises(ModuleNotFoundError, match=r"scans\.nothing"):
        importlib.import_module("oldScans.nothing")


def test_what_was_saved_under_a_former_name_opens(renamed: Path, rows: Any) -> None:
    rows(renamed)
    found = loader.get("data", "scans", "oldScans:Data")
    assert (found.distribution, found.entry_point) == ("our-scans", "scans:Data")
    again = userdata.thaw(found.cls, frozen_as("oldScans.data", found.cls))
    assert type(again) is found.cls
    assert again.itemize_entries("train_db") == list(range(7))


def test_a_package_with_the_former_name_lies_beside_it(renamed: Path, tmp_path: Path, rows: Any) -> None:
    files = {"oldScans/__init__.py": "from .data import Data\n", "oldScans/data.py": data_source("scans")}
    install(tmp_path / "theirs", "their_scans", files, data_point("oldScans:Data"))
    found = rows(renamed, tmp_path / "theirs")
    assert (found["their_scans"].state, found["our-scans"].state) == ("used", "not used")
    assert found["our-scans"].used_instead == "their_scans"
    ours = loader.get("data", "scans", "oldScans:Data")  # a data set made before packages were noted
    theirs = loader.get("data", "scans", "oldScans:Data", "their_scans")
    assert (ours.distribution, theirs.distribution) == ("our-scans", "their_scans")
    assert loader.get("data", "scans").distribution == "their_scans"
    for one in (ours, theirs):
        again = userdata.thaw(one.cls, frozen_as("oldScans.data", one.cls))
        assert type(again) is one.cls
        assert isinstance(again, DataIngestionInterface)
    assert packages.former_names()["oldScans"] == "scans"
