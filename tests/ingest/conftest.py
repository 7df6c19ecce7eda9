"""A plugin that is installed for the length of a test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from digits.extensions import loader
from tests.ingest import plugin_source


@pytest.fixture
def plugin_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the import path in which a distribution with the data source `test-source` is installed."""
    site = tmp_path / "site"
    info = site / "digits_test_source-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: digits-test-source\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[digits.plugins.data]\nclass = digits_test_source:DataIngestion\n")
    shutil.copyfile(plugin_source.__file__, site / "digits_test_source.py")
    monkeypatch.syspath_prepend(str(site))
    loader.forget()
    yield site
    loader.forget()
