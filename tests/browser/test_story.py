"""The whole way in the browser: a folder of pictures, a data set, LeNet, a tested picture, the archive."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from digits.service.demo import write_pictures
from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer

PER_CLASS = 60
LONG = 120_000
SCREENSHOTS = os.environ.get("DIGITS_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def pictures(live_server: RunningServer) -> Path:
    """A part of the handwritten digits, where the server may read them."""
    folder = write_pictures(live_server.jobs_dir.parent / "digits")
    for label in folder.iterdir():
        for path in sorted(label.iterdir())[PER_CLASS:]:
            path.unlink()
    return folder


def shoot(page: Page, name: str) -> None:
    """Keep a screenshot for the docs when `DIGITS_SCREENSHOTS` names a folder."""
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}.png")


@pytest.mark.slow
def test_from_a_folder_to_a_tested_model(page: Page, live_server: RunningServer, pictures: Path, tmp_path: Path) -> None:
    name_yourself(page.context, live_server)
    page.goto(live_server.url)
    page.get_by_role("button", name="New Dataset").or_(page.get_by_role("link", name="New Dataset")).first.click()
    page.get_by_role("link", name="Classification", exact=True).first.click()
    expect(page).to_have_title(re.compile("New Image Classification Dataset"))
    page.locator("[name=folder_train]").fill(str(pictures))
    page.locator("[name=folder_train]").press("Tab")
    expect(page.get_by_text("10 classes")).to_be_visible()
    page.locator("[name=resize_width]").fill("28")
    page.locator("[name=resize_height]").fill("28")
    page.locator("[name=resize_channels]").select_option("1")
    page.locator("[name=folder_pct_test]").fill("10")
    page.locator("[name=dataset_name]").fill("Digits")
    shoot(page, "new-dataset")
    page.get_by_role("button", name="Create").click()

    expect(page.get_by_text("Ready", exact=True)).to_be_visible(timeout=LONG)
    shoot(page, "dataset")
    page.get_by_role("link", name="Train").first.click()
    expect(page).to_have_title(re.compile("New Image Classification Model"))
    page.locator("label", has_text="LeNet").first.click()
    page.locator("[name=train_epochs]").fill("8")
    page.locator("[name=model_name]").fill("LeNet on digits")
    shoot(page, "new-model")
    page.get_by_role("button", name="Create").click()

    status = page.locator("[data-job-status]")
    expect(status).to_have_text(re.compile("Running|Done"), timeout=LONG)
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=LONG)
    expect(status).to_have_text("Done", timeout=LONG)
    page.wait_for_timeout(500)
    shoot(page, "training")

    page.get_by_role("tab", name="Evaluate/Test").click()
    seven = sorted((pictures / "7").iterdir())[-1]
    page.locator("input[type=file][name=image_file]").set_input_files(str(seven))
    expect(page.locator(".list-group .list-group-item").first).to_contain_text("7", timeout=LONG)
    shoot(page, "tested")

    page.get_by_role("tab", name="Files").click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="zip", exact=True).first.click()
    archive = tmp_path / "model.zip"
    waiting.value.save_as(archive)
    assert {"predict.py", "labels.txt", "info.json"} <= {Path(name).name for name in zipfile.ZipFile(archive).namelist()}

    page.reload()
    expect(page.get_by_role("link", name="zip", exact=True).first).to_be_visible()
    page.get_by_role("tab", name="Overview").click()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.goto(live_server.url)
    expect(page.get_by_role("link", name="LeNet on digits").first).to_be_visible()
    shoot(page, "home")
