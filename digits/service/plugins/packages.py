"""Installing plugins and starting new ones: what `digits plugins` and `digits plugins new` do."""

from __future__ import annotations

import json
import keyword
import re
import string
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, Conflict, DigitsError, PluginError
from digits.ipc import supervisor_client as control
from digits.service import Service
from digits.service.plugins import building
from digits.service.plugins import host as plugins

STARTERS = Path(__file__).parent / "starters"
KINDS = ("data", "view")
LISTING_SECONDS = 900
MAX_CRASHES = 12  # of processes that list plugins: two for each plugin that ends them
LISTING = """
import json, pathlib, sys
from digits.extensions import loader
loader.keep_journal(pathlib.Path(sys.argv[1]))
rows = {kind: [row.to_json() for row in loader.all_extensions(kind)] for kind in loader.GROUPS}
print()
print(json.dumps(rows))
"""
NAME = re.compile(r"^[A-Za-z][A-Za-z0-9 _-]*$")


def installed() -> dict[str, list[dict[str, Any]]]:
    """The table of plugins, for commands that run without a server. Raises PluginError.

    They are imported in a process of its own; one that ends it is a row that says so, as in the plugin host.
    """
    with tempfile.TemporaryDirectory(prefix="digits-plugins-") as folder:
        for _ in range(MAX_CRASHES):
            run = _python(LISTING, f"{folder}/imports")
            if run.returncode == 0:
                return dict(json.loads(run.stdout.strip().splitlines()[-1]))
    raise PluginError(f"The plugins cannot be listed:\n{run.stderr.strip()}")


def install(service: Service | None, target: str, echo: Callable[[str], object] = print) -> list[dict[str, Any]]:
    """Install a package from a folder, or by name, and let a running server see it. Returns the rows of that package.

    Raises BadRequest for what is neither, PluginError with pip's last lines when it fails.
    """
    before = _distributions()
    echo(f"Installing {target} …")
    building.install(target)
    found = sorted(_distributions() - before) or [_name_of(target)]
    if service is not None:
        refresh(service, echo)
    return [row for rows in installed().values() for row in rows if _same(str(row["distribution"]), found)]


def refresh(service: Service, echo: Callable[[str], object] = print) -> bool:
    """Let the running server's plugin host start again; False when no server runs, or it could not."""
    try:
        control.call(service.jobs_dir, {"op": "restart-plugin-host"}, timeout=30)
    except control.ControlError:
        echo("No server is running; it will find the plugin at its next start.")
        return False
    except DigitsError as error:
        echo(f"The running server did not start its plugin host again: {error}")
        return False
    plugins.forget(service)
    echo("The plugin host was started again: the plugin is in the menu.")
    return True


def new_plugin(kind: str, name: str, folder: Path) -> Path:
    """Write a working package with a passing test below `folder`; its path. Raises BadRequest, and Conflict when it exists."""
    if kind not in KINDS:
        raise BadRequest(
            f"There are data and view plugins, but no {kind!r} ones.", advice="Write `digits plugins new data NAME`."
        )
    words = re.split(r"[ _-]+", name.strip())
    if not NAME.match(name) or keyword.iskeyword(name) or not all(words):
        raise BadRequest(f"{name!r} cannot be a plugin's name.", advice="Use letters, digits, spaces and hyphens.")
    values = _names(kind, words)
    target = folder / values["dist"]
    if target.exists():
        raise Conflict(f"{target} exists already.", advice="Choose another name or folder.")
    for source in sorted((STARTERS / kind).rglob("*.txt")):
        _write(source, target / _fill(str(source.relative_to(STARTERS / kind).with_suffix("")), values), values)
    return target


def _names(kind: str, words: list[str]) -> dict[str, str]:
    slug = "-".join(word.lower() for word in words)
    return {
        "slug": slug,
        "dist": f"digits-{kind}-{slug}",
        "package": f"digits_{kind}_{slug.replace('-', '_')}",
        "title": " ".join(words).capitalize() if words[0].islower() else " ".join(words),
    }


def _write(source: Path, target: Path, values: Mapping[str, str]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(string.Template(source.read_text(encoding="utf-8")).substitute(values), encoding="utf-8")


def _fill(path: str, values: Mapping[str, str]) -> str:
    return path.replace("PACKAGE", values["package"])


def _distributions() -> set[str]:
    """Names of the packages installed now, read in a new process because this one may have read them before."""
    program = "from importlib import metadata; print('\\n'.join(sorted({d.name for d in metadata.distributions()})))"
    return set(_python(program).stdout.split())


def _python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LISTING_SECONDS, check=False)


def _name_of(target: str) -> str:
    """The distribution that a folder's metadata name, else the target itself."""
    folder = Path(target).expanduser()
    text = "".join((folder / name).read_text() for name in ("pyproject.toml", "setup.py") if (folder / name).is_file())
    found = re.search(r"""name\s*=\s*["']([\w.-]+)["']""", text)
    return found[1] if found else target


def _same(name: str, names: list[str]) -> bool:
    def plain(text: str) -> str:
        return re.sub(r"[-_.]+", "-", text).lower()

    return plain(name) in {plain(other) for other in names}
