"""A data set whose task the page names itself: *Train* and *Create* work without a field that anyone touches."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer
from tests.journeys.test_every_source import masks

LONG = 300_000  # thirty epochs of ten pictures, on a busy machine


@pytest.mark.slow
def test_masks_become_a_trained_model(page: Page, context: BrowserContext, live_server: RunningServer) -> None:
    name_yourself(context, live_server)
    page.goto(f"{live_server.url}/datasets/generic/new/image-segmentation")
    for name, value in masks(live_server.jobs_dir.parent / "masks").items():
        page.locator(f"[name={name}]").fill(str(value))
    page.locator("[name=dataset_name]").fill("Parcels")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible(timeout=LONG)

    page.get_by_role("link", name="Train").first.click()
    expect(page.locator("[name=standard_networks]:checked")).to_have_value("unet")
    page.get_by_role("button", name="Create").click()
    expect(page).to_have_url(re.compile(r"/models/\d{8}-"))
    expect(page.locator("[data-job-status]")).to_have_text("Done", timeout=LONG)

    page.locator("[data-record]").first.click()
    expect(page.locator("[data-result-board] .sample-card")).to_have_count(1, timeout=LONG)
    expect(page.locator("[data-result-time]")).to_contain_text("answered after")
