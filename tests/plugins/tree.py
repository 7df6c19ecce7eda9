"""The packages of `plugins/` as this tree has them, as if they were installed: before copies of theirs that are, which may be
older."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from digits.extensions import loader

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


@contextmanager
def plugins_of_the_tree(folder: Path) -> Iterator[None]:
    """Their modules can be imported, and their entry points are found: `folder` gets what says so."""
    for project in sorted(PLUGINS.glob("*/pyproject.toml")):
        described = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        info = folder / f"{described['name'].replace('-', '_')}-{described['version']}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n")
        groups = described["entry-points"].items()
        lines = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items()) for group, points in groups]
        (info / "entry_points.txt").write_text("\n".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        for path in (folder, *(project.parent for project in PLUGINS.glob("*/pyproject.toml"))):
            patch.syspath_prepend(str(path))
        loader.forget()
        yield
    loader.forget()
