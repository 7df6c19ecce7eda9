"""A new plugin made from a starter keeps the contracts from its first minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from digits.errors import BadRequest, Conflict
from digits.service.plugins.packages import new_plugin


@pytest.mark.parametrize("kind", ["data", "view"])
def test_a_new_plugin_passes_its_own_tests(kind: str, tmp_path: Path) -> None:
    made = new_plugin(kind, "my first", tmp_path)
    assert made == tmp_path / f"digits-{kind}-my-first"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=made,
        env={**os.environ, "PYTHONPATH": str(made)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    with pytest.raises(Conflict):
        new_plugin(kind, "my first", tmp_path)


@pytest.mark.parametrize("name", ["", "../x", "class", "9lives"])
def test_a_name_that_cannot_be_a_package_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        new_plugin("data", name, tmp_path)
