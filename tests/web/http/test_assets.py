"""Files that pages load: named by their content, kept by browsers for ever, asked for again once they have changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from deno import find_deno_bin
from flask.testing import FlaskClient

from digits.config import Settings
from digits.service import Service
from digits.web.app import create_app
from digits.web.http import assets

ROOTS = sorted(path.relative_to(assets.STATIC).as_posix() for path in (assets.STATIC / "js" / "pages").glob("*.js"))
KEPT = "public, max-age=31536000, immutable"


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    return create_app(Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), auth=False))).test_client()


def fetched(client: FlaskClient, address: str) -> tuple[int, bytes, str]:
    """Its status, its content, and how long it may be kept."""
    with client.get(address) as answer:
        return answer.status_code, answer.data, answer.headers["Cache-Control"]


def loaded(client: FlaskClient, page: str = "/") -> list[str]:
    """The addresses that a page names, in its order."""
    return re.findall(r'<(?:script|link)[^>]*? (?:src|href)="(/[^"]+)"', client.get(page).text)


def test_what_a_page_loads_is_kept_for_ever(client: FlaskClient) -> None:
    addresses = loaded(client)
    assert len(addresses) > 10
    assert len(addresses) == len(set(addresses))
    for address in addresses:
        assert fetched(client, address)[::2] == (200, KEPT), address


@pytest.mark.parametrize("name", [*ROOTS, "js/site.js"])
def test_modules_are_named_as_deno_finds_them(name: str) -> None:
    command = [find_deno_bin(), "info", "--json", str(assets.STATIC / name)]
    environment = {"DENO_NO_UPDATE_CHECK": "1", "HOME": str(Path.home())}
    graph = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    files = {module["specifier"]: module for module in graph["modules"]}
    found: set[str] = set()
    waiting = [(assets.STATIC / name).as_uri()]
    while waiting:
        for one in files[waiting.pop()].get("dependencies", []):
            target = one.get("code", {}).get("specifier")
            if target and not one.get("isDynamic") and target not in found:
                found.add(target)
                waiting.append(target)
    assert sorted((assets.STATIC / other).as_uri() for other in assets.imported(name)) == sorted(found)


def test_another_content_has_another_address(client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where time and size of the file are those of before; the old address has the new content, and is not kept."""
    copy = tmp_path / "static"
    shutil.copytree(assets.STATIC, copy)
    monkeypatch.setattr(assets, "STATIC", copy)
    monkeypatch.setattr(assets.time, "monotonic", iter(range(10**6, 10**9)).__next__)
    changed = copy / "js" / "parts" / "format.js"
    (before,) = (address for address in loaded(client) if address.endswith("/format.js"))
    os.utime(changed)
    assert before in loaded(client)  # it is the content that counts
    changed.write_text(changed.read_text() + "// and more\n")
    (after,) = (address for address in loaded(client) if address.endswith("/format.js"))
    assert before != after
    assert fetched(client, after) == (200, changed.read_bytes(), KEPT)
    _, content, kept = fetched(client, before)
    assert (content, "immutable" in kept) == (changed.read_bytes(), False)


def test_a_package_that_is_upgraded_is_loaded_anew(client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "plotly.min.js"
    file.write_text("one")
    monkeypatch.setattr(assets, "_carried", lambda _: file)
    with client.application.test_request_context():
        before = assets.vendored("plotly.min.js")
    assert fetched(client, before) == (200, b"one", KEPT)
    file.write_text("another")
    with client.application.test_request_context():
        assert assets.vendored("plotly.min.js") != before
    for stale in (before, "/vendor/plotly.min.js"):
        _, content, kept = fetched(client, stale)
        assert (content, "immutable" in kept) == (b"another", False)


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "js/../../app.py", "js", "", "absent.js"])
def test_nothing_else_is_sent(client: FlaskClient, name: str) -> None:
    mark = loaded(client)[0].split("/")[3]
    assert client.get(f"/static/kept/{mark}/{name}").status_code in (404, 308)
    assert client.get(f"/vendor/{name}").status_code in (404, 308)
