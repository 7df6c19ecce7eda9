"""Uploading in a real browser: choose, watch, use, delete; and browsing the server."""

from __future__ import annotations

import zipfile
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer


def test_an_archive_is_uploaded_listed_and_deleted(
    page: Page, context: BrowserContext, web_server: RunningServer, tmp_path: Path
) -> None:
    name_yourself(context, web_server)
    with zipfile.ZipFile(tmp_path / "animals.zip", "w") as packed:
        packed.writestr("cat/1.png", "1")
        packed.writestr("dog/2.png", "2")
    page.goto(f"{web_server.url}/uploads")
    with page.expect_navigation():
        page.locator('.dropzone input[type="file"]').first.set_input_files(tmp_path / "animals.zip")
    line = page.locator("tbody tr")
    expect(line).to_contain_text("animals")
    assert sorted(p.name for p in (web_server.service.jobs_dir.uploads / "animals").iterdir()) == ["cat", "dog"]
    line.get_by_role("button", name="Delete animals").click()
    with page.expect_navigation():
        page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="No upload yet")).to_be_visible()


def test_a_refused_archive_says_why(page: Page, context: BrowserContext, web_server: RunningServer, tmp_path: Path) -> None:
    name_yourself(context, web_server)
    (tmp_path / "broken.zip").write_bytes(b"no archive")
    page.goto(f"{web_server.url}/uploads")
    page.locator('.dropzone input[type="file"]').first.set_input_files(tmp_path / "broken.zip")
    expect(page.locator(".note.error")).to_contain_text("cannot be unpacked")
    expect(page.locator(".dropzone")).to_be_visible()
