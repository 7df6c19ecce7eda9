"""A real Chromium for the browser tests; they are skipped where none is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Page, expect

from tests.conftest import USER, RunningServer

PATIENCE_MS = 60_000  # of a machine with other work; what is expected is usually there at once
expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile of 1280 by 800 pixels; everything it stores is gone afterwards."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails the test when its code throws or breaks the content security policy."""
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
    yield page
    assert problems == []


def view_of(page: Page) -> Frame:
    """The frame in which the page of a model shows what a view made of a test."""
    found = page.frame("room-view")
    assert found is not None
    return found


def name_yourself(context: BrowserContext, server: RunningServer, user: str = USER) -> None:
    """Carry the cookie that stands for the log-in where log-in is off."""
    context.add_cookies([{"name": "username", "value": user, "url": server.url}])
