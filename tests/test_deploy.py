"""What docs/deploy.md gives is as it says; `web/test_nginx.py` tries the proxy, `service/test_backup.py` the backup."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from digits.cli import COMMANDS
from digits.config import Settings, load
from digits.service import Service, accounts
from tests.conftest import start_server
from tests.waiting import PATIENCE_SECONDS

DOCS = Path(__file__).parents[1] / "docs"
SYSTEMD = shutil.which("systemd-analyze")
PAGE = (DOCS / "deploy.md").read_text()


@pytest.mark.skipif(SYSTEMD is None, reason="systemd is not installed")
def test_systemd_takes_the_service(tmp_path: Path) -> None:
    text = (DOCS / "digits.service").read_text()
    assert "/opt/digits/bin/digits " in text
    unit = tmp_path / "digits.service"
    unit.write_text(text.replace("/opt/digits/bin/digits", f"{sys.executable} -m digits"))
    said = subprocess.run([str(SYSTEMD), "verify", "--man=no", unit], capture_output=True, text=True)
    assert (said.returncode, [line for line in said.stderr.splitlines() if "digits.service" in line]) == (0, [])
    unit.write_text(text.replace("Restart=on-failure", "Restart=often"))
    assert "Failed to parse" in subprocess.run([str(SYSTEMD), "verify", "--man=no", unit], capture_output=True, text=True).stderr


def test_the_settings_of_the_example_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITS_CONFIG", str(DOCS / "digits.toml"))
    for name in (field.name for field in fields(Settings)):
        monkeypatch.delenv(f"DIGITS_{name.upper()}", raising=False)
    settings = load().settings
    assert (settings.jobs_dir, settings.trusted_proxies) == ("/srv/digits/jobs", "127.0.0.1")


def test_the_container_is_made_of_what_there_is() -> None:
    text = (DOCS / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()]
    assert {"constraints.txt", "pyproject.toml", "setup.py", "digits.pth", "digits", "docs"} <= set(copied), "what a build needs"
    assert not [name for name in copied if not (DOCS.parent / name).exists()]
    made = set(re.search(r"install -d -o digits -g digits -m 0700 ((?:/\S+ ?)+)", text)[1].split())  # type: ignore[index]
    written = set(re.findall(r"digits backup (/\S+?)`", PAGE)) | set(re.findall(r"-v digits-\w+:(/[\w-]+)", PAGE))
    assert written == made == {"/jobs", "/jobs-backup"}, "a new volume is of whom its folder in the image is"
    settings = {field.name for field in fields(Settings)}
    assert set(re.findall(r"DIGITS_(\w+)=", text + PAGE)) <= {name.upper() for name in settings} | {"CONFIG"}


def test_each_line_of_the_container_holds() -> None:
    """As far as that can be seen without building it: its Python, its packages, its program, how it is asked for its health."""
    text = (DOCS / "Dockerfile").read_text()
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    python = re.search(r"^FROM python:([\d.]+)-slim$", text, re.MULTILINE)
    assert python is not None
    assert SpecifierSet(project["requires-python"]).contains(python[1])
    lines = (DOCS.parent / "constraints.txt").read_text().splitlines()
    pinned = {Requirement(line).name for line in lines if line[:1].isalpha()}
    installed = " ".join(re.findall(r"^RUN pip install (.*)$", text, re.MULTILINE))
    wanted = set(re.findall(r" ([a-z]+)", installed))
    assert {"torch", "torchvision"} <= wanted & pinned
    program, words = (json.loads(re.search(rf"^{name} (.*)$", text, re.MULTILINE)[1]) for name in ("ENTRYPOINT", "CMD"))  # type: ignore[index]
    assert program[0] in project["scripts"]
    assert words == ["serve", "--stop-jobs"], "who stops a container ends all that runs in it"
    assert "--no-deps" in installed.partition("whl/cpu")[0], (
        "the index of the CPU build has not every version of what torch needs"
    )
    health = re.search(r'^HEALTHCHECK CMD python -c "(.*)"$', text, re.MULTILINE)
    assert health is not None
    compile(health[1], "HEALTHCHECK", "exec")
    host, port = re.search(r"http://([\d.]+):(\d+)/health", health[1]).groups()  # type: ignore[union-attr]
    assert (int(port), f"EXPOSE {port}\n" in text) == (Settings().port, True)
    assert host == "127.0.0.1", "which is a known name whatever allowed_hosts says"
    asked = subprocess.run([sys.executable, "-c", health[1]], capture_output=True, text=True)
    assert "URLError" in asked.stderr, "no server: not healthy"
    said = {line.split()[0] for line in text.splitlines() if line and not line.startswith("#")}
    known = {"FROM", "RUN", "COPY", "WORKDIR", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert said == known
    assert text.index("USER digits") < text.index("ENTRYPOINT"), "it does not run as root"


def test_what_the_container_starts_is_healthy_keeps_its_volume_closed_and_ends(tmp_path: Path) -> None:
    """With its variables, words and look at its health, but for the port and the places."""
    text = (DOCS / "Dockerfile").read_text()
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    given = {name.removeprefix("DIGITS_").lower(): value for name, _, value in (pair.partition("=") for pair in line.split())}
    assert (given.pop("jobs_dir"), given.pop("data_dirs")) == ("/jobs", "/data")
    assert all(f"install -d {place}" in text or f"-m 0700 {place} " in text for place in ("/jobs", "/data"))
    (words,) = re.findall(r"^CMD (.*)$", text, re.MULTILINE)
    (health,) = re.findall(r'^HEALTHCHECK CMD python -c "(.*)"$', text, re.MULTILINE)
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs")))
    accounts.add_user(service, "ada", "correct horse")  # the first command of the page
    service.close()
    with start_server(tmp_path, "-m", "digits", *json.loads(words), auth="true", **given) as server:
        check = health.replace(":5000/", f":{server.url.rpartition(':')[2]}/")
        asked = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
        assert (asked.returncode, asked.stderr) == (0, "")
        found = [path for path in (tmp_path / "jobs").rglob("*") if path.lstat().st_mode & 0o077]
        server.process.terminate()
        assert server.process.wait(PATIENCE_SECONDS) == 0
    assert found == []


def test_the_commands_of_the_page_are_commands() -> None:
    used = set(re.findall(r"(?:bin/|exec digits |[`] ?|^    |run .*)digits ([a-z]+)\b", PAGE, re.MULTILINE))
    assert used - set(COMMANDS) == set()
    assert used >= {"serve", "user", "doctor", "jobs", "backup"}
