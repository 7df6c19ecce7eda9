"""How pip builds plugins here. A `setup.py` of the original imports digits, which pip hides from what it builds in isolation.

Three things let it be found: the file `digits.pth` of our wheel (`setup.py` beside pyproject.toml), which imports digits in pip's
build processes; `no-build-isolation` in pip's configuration file of this environment (`turn_isolation_off`); and `install`,
which chooses for each package.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from digits.errors import BadRequest, PluginError
from digits.utils.processes import ProcessIdentity, signal_group

SETTING = "install.no-build-isolation"
OFF = "false"  # pip turns round what this option is set to: false says no isolation
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
INSTALL_SECONDS = 900.0
CONFIG_SECONDS = 60.0
TAIL_LINES = 20
FALSE = frozenset({"0", "false", "f", "no", "n", "off"})
LISTED = re.compile(r"^(global|install|:env:)\.no-build-isolation='(.*)'$", re.MULTILINE)
NOT_NEEDED = frozenset({"wheel"})  # setuptools makes wheels itself
REMEDIES = (
    (r"No module named '?([\w.]+)", "Its build imports {0}: install what provides it here, then try again."),
    (
        r"urlopen error|Name or service not known|Temporary failure in name resolution|ConnectionError",
        "Its setup.py fetches something, and the network cannot be reached from here: take that line out, or make a wheel where "
        "it can be and bring that.",
    ),
    (r"SyntaxError", "Its setup.py is not Python 3: change the line that is named."),
    (
        r"No matching distribution found for (\S+)|Failed to establish a new connection|Could not fetch URL",
        "pip found no index, or not what it needs there. Where there is no network, PIP_FIND_LINKS=FOLDER names a folder with "
        "wheels.",
    ),
)


def pip_is_here() -> bool:
    """Whether this environment has pip."""
    return importlib.util.find_spec("pip") is not None


def is_isolated() -> bool:
    """Whether `pip install` in this environment builds in isolation, by its configuration files and variables."""
    run = _run([*PIP, "config", "list"], {}, CONFIG_SECONDS)
    found = {section: value.strip().lower() for section, value in LISTED.findall(run.stdout)}
    decisive = next((found[section] for section in (":env:", "install", "global") if found.get(section)), "true")
    return decisive not in FALSE


def configuration_file() -> Path | None:
    """pip's configuration file of this environment; None outside of virtual environments, where it would hold for everything."""
    is_own = sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()
    return Path(sys.prefix) / ("pip.ini" if os.name == "nt" else "pip.conf") if is_own else None


def turn_isolation_off() -> None:
    """Let `pip install` in this environment build with what is installed; what else its file says stays. Raises PluginError."""
    run = _run([*PIP, "config", "--site", "set", SETTING, OFF], {}, CONFIG_SECONDS)
    if run.returncode:
        raise PluginError(f"pip could not write its configuration file:\n{_tail(run)}", advice="Look at who may write there.")


def install(target: str) -> None:
    """`pip install` of a folder or of a package's name. Raises BadRequest, and PluginError with pip's last lines.

    A folder is built with what is installed here where that is all it needs, which works without a network; else in isolation.
    """
    if not pip_is_here():
        raise PluginError("pip is not installed beside digits.", advice=f"Run `{sys.executable} -m ensurepip`, then try again.")
    folder = Path(target).expanduser()
    if not folder.is_dir() and ("/" in target or target.startswith(("-", "."))):
        raise BadRequest(f"{target} is neither a folder nor the name of a package.")
    is_isolated = bool(missing_for_build(folder)) if folder.is_dir() else True
    place = str(folder.resolve()) if folder.is_dir() else target
    turned_round = {"PIP_NO_BUILD_ISOLATION": "true" if is_isolated else OFF}
    run = _run([*PIP, "install", "--upgrade", place], turned_round, INSTALL_SECONDS)
    if run.returncode:
        raise PluginError(f"pip could not install {target}:\n{_tail(run)}", advice=_remedy(run.stdout + run.stderr))


def missing_for_build(folder: Path) -> list[str]:
    """What the folder's pyproject.toml wants for its build and is not installed here. Raises PluginError where it is no TOML."""
    file = folder / "pyproject.toml"
    try:
        text = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        wanted = [str(line) for line in text.get("build-system", {}).get("requires", [])]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise PluginError(
            f"{file} cannot be read: {error}.", advice="Correct it, or delete it where there is a setup.py."
        ) from error
    names = [re.split(r"[^\w.-]", line.strip())[0] for line in wanted]
    return [name for name in names if name not in NOT_NEEDED and not _is_here(name)]


def _is_here(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False
    return True


def _run(command: list[str], variables: Mapping[str, str], seconds: float) -> subprocess.CompletedProcess[str]:
    """Run to the end; what the command started ends with it, also where it takes too long (PluginError) or Ctrl-C is pressed."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    leader = ProcessIdentity.of(process.pid)
    try:
        out, err = process.communicate(timeout=seconds)
    except BaseException as error:
        signal_group(leader, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise PluginError(
                f"pip did not end within {seconds:g} seconds.", advice="Its setup.py may wait for a network."
            ) from error
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _tail(run: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((run.stderr or run.stdout).strip().splitlines()[-TAIL_LINES:])


def _remedy(output: str) -> str:
    for pattern, words in REMEDIES:
        if found := re.search(pattern, output):
            return words.format(*found.groups())
    return "Correct what its last lines name."
