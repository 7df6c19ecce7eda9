"""A framework is imported without the collector, which works again afterwards; what is hidden is there afterwards too."""

from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path

import pytest

from digits.engines.imports import hidden, import_for_good

HEAVY = "import gc\nCOLLECTS = gc.isenabled()\nOBJECTS = [[i] for i in range(5000)]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which Python looks for modules."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_what_stays_is_imported_without_the_collector_and_never_looked_through(folder: Path) -> None:
    (folder / "heavy_module.py").write_text(HEAVY)
    import_for_good("heavy_module")
    module = sys.modules.pop("heavy_module")
    assert not module.COLLECTS
    assert gc.isenabled()
    assert not any(found is module.OBJECTS for found in gc.get_objects()), "it lies where the collector does not go"


def test_a_module_that_is_there_is_left_as_it_is() -> None:
    frozen = gc.get_freeze_count()
    import_for_good("gc")
    assert gc.get_freeze_count() <= frozen, "other threads may free some of them; a freeze would add all that there are"


def test_the_collector_works_again_after_an_import_that_fails(folder: Path) -> None:
    (folder / "broken_module.py").write_text("raise ImportError('no driver')\n")
    with pytest.raises(ImportError, match="no driver"):
        import_for_good("broken_module")
    assert gc.isenabled()


def test_a_hidden_package_cannot_be_imported_until_the_block_ends(folder: Path) -> None:
    (folder / "optional_package.py").write_text("")
    with hidden("optional_package"), pytest.raises(ImportError):
        importlib.import_module("optional_package")
    module = importlib.import_module("optional_package")
    with hidden("optional_package"):
        assert importlib.import_module("optional_package") is module, "what was imported before is not taken away"
    del sys.modules["optional_package"]
