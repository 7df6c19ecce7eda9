"""The pictures of an evaluation in a real browser: overlays, the order, a mask and an overlay to take away."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from digits.storage.jobs.store import Job
from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer
from tests.web.evaluations.test_pages import make_evaluation
from tests.web.evaluations.test_samples import finished


@pytest.fixture
def evaluation(live_server: RunningServer) -> Job:
    maps = [np.full((20, 30), n % 2, np.uint8) for n in range(30)]
    return finished(live_server.service, "map", maps)


def test_the_worst_come_first_and_pictures_can_be_taken_away(
    page: Page, context: BrowserContext, live_server: RunningServer, evaluation: Job, tmp_path: Path
) -> None:
    name_yourself(context, live_server)
    page.goto(f"{live_server.url}/evaluations/{evaluation.id}")
    gallery = page.locator("[data-gallery]")
    expect(gallery).to_have_attribute("data-drawn", "0")
    expect(gallery.locator(".sample-card")).to_have_count(24)
    expect(gallery.locator(".sample-card").first).to_contain_text("29 é.png")
    page.get_by_role("button", name="Next page").click()
    expect(gallery.locator(".sample-card")).to_have_count(6)
    page.locator("[data-sort]").select_option(label="Best first")
    expect(gallery.locator(".sample-card").first).to_contain_text("0 é.png")
    second = gallery.locator(".sample-card").nth(1)
    with page.expect_download() as waiting:
        second.get_by_role("link", name="mask").click()
    waiting.value.save_as(tmp_path / "mask.png")
    assert (np.asarray(Image.open(tmp_path / "mask.png")) == 1).all()
    page.locator("#sample-opacity").fill("1")
    with page.expect_download() as waiting:
        second.get_by_role("button", name="overlay").click()
    waiting.value.save_as(tmp_path / "overlay.png")
    overlay = np.asarray(Image.open(tmp_path / "overlay.png"))
    assert overlay.shape == (20, 30, 4)
    assert (overlay[..., 3] == 255).all()


@pytest.fixture
def classes(live_server: RunningServer) -> Job:
    """70 pictures of three classes, of which every seventh is taken for the next class."""
    folder = Path(live_server.service.settings.data_dirs) / "pictures"
    folder.mkdir(exist_ok=True)
    for n in range(70):
        Image.new("RGB", (40, 30), (3 * n, 0, 200)).save(folder / f"{n}.png")
    return make_evaluation(live_server.service, ["a", "b", "c"], [str(folder / f"{n}.png") for n in range(70)])


def test_pictures_are_chosen_by_class(page: Page, context: BrowserContext, live_server: RunningServer, classes: Job) -> None:
    name_yourself(context, live_server)
    page.goto(f"{live_server.url}/evaluations/{classes.id}")
    cards = page.locator("[data-gallery] .sample-card")
    expect(cards).to_have_count(24)
    expect(cards.first).to_have_class(re.compile("is-wrong"))
    expect(cards.nth(10)).not_to_have_class(re.compile("is-wrong"))
    page.get_by_role("button", name="Wrong", exact=True).click()
    expect(cards).to_have_count(10)
    page.get_by_label("True class", exact=True).select_option("b")
    wrong = [n for n in range(70) if n % 7 == 6 and n % 3 == 1]
    expect(cards).to_have_count(len(wrong))
    expect(cards.first).to_contain_text("true: b")
    page.go_back()
    expect(cards).to_have_count(10)
    expect(page.get_by_label("True class", exact=True)).to_have_value("")
    page.get_by_title("a taken for b").click()
    expect(cards).to_have_count(len([n for n in range(70) if n % 7 == 6 and n % 3 == 0]))
    page.reload()
    expect(page.get_by_label("Predicted class", exact=True)).to_have_value("1")
    page.get_by_label("Predicted class", exact=True).select_option("c")
    expect(page.locator("[data-samples-note]")).to_contain_text("No picture matches")
    page.get_by_role("button", name="Show all").click()
    expect(cards).to_have_count(24)


def test_an_address_names_order_and_page(page: Page, context: BrowserContext, live_server: RunningServer, classes: Job) -> None:
    name_yourself(context, live_server)
    page.goto(f"{live_server.url}/evaluations/{classes.id}?sort=index&size=25&page=9")
    cards = page.locator("[data-gallery] .sample-card")
    expect(cards).to_have_count(20)  # the last page
    expect(cards.last).to_contain_text("69.png")
    expect(page.locator("[data-sort]")).to_have_value("index asc")
    with context.expect_page() as opened:
        cards.last.get_by_role("link", name="picture").click()
    expect(opened.value.locator("img")).to_have_js_property("naturalWidth", 40)
