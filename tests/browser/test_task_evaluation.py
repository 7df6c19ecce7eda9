"""The pictures of an evaluation in a real browser: overlays, the order, a mask and an overlay to take away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from digits.storage.jobs.store import Job
from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer
from tests.web.evaluations.test_sample_pages import finished


@pytest.fixture
def evaluation(web_server: RunningServer) -> Job:
    maps = [np.full((20, 30), n % 2, np.uint8) for n in range(30)]
    return finished(web_server.service, "map", maps)


def test_the_worst_come_first_and_pictures_can_be_taken_away(
    page: Page, context: BrowserContext, web_server: RunningServer, evaluation: Job, tmp_path: Path
) -> None:
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}/evaluations/{evaluation.id}")
    gallery = page.locator("[data-gallery]")
    expect(gallery).to_have_attribute("data-drawn", "0")
    expect(gallery.locator(".film-card")).to_have_count(24)
    expect(gallery.locator(".film-card").first).to_contain_text("29 é.png")
    page.get_by_role("button", name="Next page").click()
    expect(gallery.locator(".film-card")).to_have_count(6)
    page.locator("[data-sort]").select_option(label="Best first")
    expect(gallery.locator(".film-card").first).to_contain_text("0 é.png")
    second = gallery.locator(".film-card").nth(1)
    with page.expect_download() as waiting:
        second.get_by_role("link", name="mask").click()
    waiting.value.save_as(tmp_path / "mask.png")
    assert (np.asarray(Image.open(tmp_path / "mask.png")) == 1).all()
    page.locator("#film-opacity").fill("1")
    with page.expect_download() as waiting:
        second.get_by_role("button", name="overlay").click()
    waiting.value.save_as(tmp_path / "overlay.png")
    overlay = np.asarray(Image.open(tmp_path / "overlay.png"))
    assert overlay.shape == (20, 30, 4)
    assert (overlay[..., 3] == 255).all()
