"""`pip install .` of a plugin as the tutorial has it, in a fresh environment with digits from a wheel, by old and new pip.

The environment is a virtual one with links to the packages of the one that runs the tests, but for digits, its plugins, pip and
`wheel`: what is found there was installed there. No network is used but to fetch a new pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from digits.errors import BadRequest, PluginError
from digits.service.plugins import building
from tests.waiting import is_gone, wait_for

ROOT = Path(__file__).resolve().parents[3]
SHIPS = ROOT / "tests" / "plugin_host" / "legacy_plugins" / "ships"
PARTS = ("digits", "docs", "pyproject.toml", "setup.py", "digits.pth", "README.md", "LICENSE")
SITE = Path(sysconfig.get_path("purelib"))
FOUND = "from importlib.metadata import entry_points; print([e.value for e in entry_points(group='digits.plugins.data')])"
# Builds run as on a machine of somebody else: no settings of this one, no digits by PYTHONPATH.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "DIGITS_"))}


@dataclass(frozen=True)
class Environment:
    """A virtual environment; `offline` are the variables under which its pip reaches nothing but `wheels`."""

    folder: Path
    wheels: Path

    def run(self, *arguments: str, cwd: Path | None = None, **variables: str) -> str:
        """What a command of its Python prints; fails with all of it."""
        offline = {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_COMPILE": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        place = {**CLEAN, **offline, "HOME": str(self.folder), **variables}
        command = [str(self.folder / "bin" / "python"), *arguments]
        run = subprocess.run(
            command, cwd=cwd, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert run.returncode == 0, run.stdout
        return run.stdout

    @property
    def site(self) -> Path:
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))

    def plugins(self) -> str:
        return self.run("-c", FOUND)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout, and in `wheels` what pip needs to build in isolation, packed again from what is installed."""
    folder = tmp_path_factory.mktemp("fresh")
    (folder / "checkout").mkdir()
    (folder / "wheels").mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / "checkout" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / "checkout" / name)
    for name in ("setuptools", "wheel", "packaging"):
        pack(name, folder / "wheels")
    return folder


def pack(name: str, folder: Path) -> None:
    """The wheel of an installed package."""
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name}, which isolated builds want, is not installed and cannot be packed again")
    with zipfile.ZipFile(folder / f"{package.name}-{package.version}-py3-none-any.whl", "w") as archive:
        for file in package.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                archive.write(str(package.locate_file(file)), str(file))


def environment(folder: Path, name: str, pip: Path = SITE / "pip") -> Environment:
    """Without `wheel`, as Python makes them, and without digits."""
    venv.create(folder / name, symlinks=True)
    made = Environment(folder / name, folder / "wheels")
    (made.site / "pip").symlink_to(pip)
    for entry in SITE.iterdir():
        if not entry.name.startswith(("digits", "__", "pip-", "wheel")) and entry.suffix != ".pth" and entry.name != "pip":
            (made.site / entry.name).symlink_to(entry)
    return made


@pytest.fixture(scope="module")
def from_wheel(folder: Path) -> Environment:
    """With what is in our wheel where pip puts it."""
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "checkout", check=True, env=CLEAN, stdout=subprocess.DEVNULL)
    made = environment(folder, "from-wheel")
    (wheel,) = folder.glob("digits-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(made.site)
    return made


def test_a_wheel_carries_the_documentation(from_wheel: Environment) -> None:
    carried, own = from_wheel.site / "digits" / "documentation", ROOT / "docs"
    assert files_in(carried) == files_in(own)


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


@pytest.fixture
def ships(tmp_path: Path) -> Path:
    return shutil.copytree(SHIPS, tmp_path / "ships")


@pytest.fixture(scope="module")
def new_pip(folder: Path) -> Path:
    """The package of pip 26, fetched."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--timeout", "5", "--retries", "0", "-d", str(folder)]
    run = subprocess.run([*command, "pip>=26"], stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        pytest.skip("pip 26 cannot be fetched here")
    (found,) = folder.glob("pip-*.whl")
    with zipfile.ZipFile(found) as archive:
        archive.extractall(folder / "new-pip")
    return folder / "new-pip" / "pip"


@pytest.fixture(params=["this pip", "new pip"])
def beside_wheel(request: pytest.FixtureRequest, from_wheel: Environment) -> Iterator[Environment]:
    """The environment with the wheel and one pip or the other, without settings."""
    link = from_wheel.site / "pip"
    own = link.readlink()
    if request.param == "new pip":
        link.unlink()
        link.symlink_to(request.getfixturevalue("new_pip"))
    yield from_wheel
    (from_wheel.folder / "pip.conf").unlink()
    link.unlink()
    link.symlink_to(own)


def test_the_sentence_of_the_tutorial_works_beside_a_wheel(beside_wheel: Environment, ships: Path) -> None:
    assert "Successfully installed digits" in beside_wheel.run("-m", "pip", "install", ".", cwd=ships)
    assert "ships:DataIngestion" in beside_wheel.plugins()
    beside_wheel.run("-m", "pip", "config", "--site", "set", building.SETTING, building.OFF)
    built_with_what_is_here = beside_wheel.run("-m", "pip", "install", ".", cwd=ships, PIP_FIND_LINKS="")
    assert "Successfully installed digits" in built_with_what_is_here


def test_digits_does_nothing_outside_of_builds(from_wheel: Environment) -> None:
    program = "import sys; print('digits' in sys.modules)"
    assert from_wheel.run("-c", program) == "False\n"
    assert from_wheel.run("-c", program, PIP_BUILD_TRACKER="/tmp") == "True\n"


def test_make_switches_isolation_off(tmp_path: Path) -> None:
    for target in ("demo", "test"):
        stamp = f"{tmp_path}/.installed-{target}"
        command = ["make", "--dry-run", "--no-print-directory", f"VENV={tmp_path}", stamp]
        recipe = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
        assert recipe[-2].endswith(f"config --quiet --site set {building.SETTING} {building.OFF}")
        assert any(line.startswith("PIP_NO_BUILD_ISOLATION=true") and "-e" in line for line in recipe)


def test_what_a_build_lacks_is_seen_before_it_begins(tmp_path: Path) -> None:
    assert building.missing_for_build(tmp_path) == []
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[build-system]\nrequires = ["setuptools>=40", "wheel", "digits-no-such-backend[x] >=2; python_version > \'3\'"]\n'
    )
    assert building.missing_for_build(tmp_path) == ["digits-no-such-backend"]
    for text in ("[build-system", "[build-system]\nrequires = 3\n", "build-system = 1\n"):
        file.write_text(text)
        with pytest.raises(PluginError, match=r"pyproject\.toml cannot be read"):
            building.missing_for_build(tmp_path)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("import no_such_thing\n", "imports no_such_thing: install what provides it"),
        (
            "from urllib.request import urlopen\nurlopen('http://no-such-host.invalid')\n",
            "the network cannot be reached from here",
        ),
    ],
)
def test_a_setup_file_that_fails_is_answered_with_a_remedy(tmp_path: Path, text: str, remedy: str) -> None:
    (tmp_path / "setup.py").write_text(text)
    with pytest.raises(PluginError, match=remedy):
        building.install(str(tmp_path))


def test_a_setup_file_that_hangs_ends_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "INSTALL_SECONDS", 2.0)
    (tmp_path / "setup.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)\n")
    with pytest.raises(PluginError, match="did not end within 2 seconds"):
        building.install(str(tmp_path))
    pid = tmp_path / "pid"
    if pid.is_file() and (text := pid.read_text()):  # where pip came so far
        wait_for(lambda: is_gone(int(text)))


@pytest.mark.parametrize("target", ["./no/such/folder", "-r", "a/b"])
def test_what_is_neither_a_folder_nor_a_name_is_refused(target: str) -> None:
    with pytest.raises(BadRequest, match="neither a folder nor the name"):
        building.install(target)


def test_the_setting_is_read_as_pip_reads_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nno-build-isolation = true\n[install]\nno-build-isolation = no\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.delenv("PIP_NO_BUILD_ISOLATION", raising=False)
    assert not building.is_isolated()
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "true")
    assert building.is_isolated()
