"""A data set of boxes from nothing but a folder: recognised, previewed, made, looked at; in a real browser."""

from __future__ import annotations

import re
import shutil

from playwright.sync_api import BrowserContext, Page, Route, expect

from digits.domain.jobs import Kind
from digits.storage.jobs.store import JobQuery
from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer
from tests.ingest import objects
from tests.service.finished_dataset import class_folder

MADE_MS = 60_000


def test_from_a_typed_folder_to_the_charts_of_its_boxes(page: Page, context: BrowserContext, live_server: RunningServer) -> None:
    name_yourself(context, live_server)
    data = live_server.jobs_dir.parent / "animals"
    objects.pictures(data / "images")
    objects.yolo(data / "labels")
    page.goto(f"{live_server.url}/datasets/generic/new/image-segmentation")
    page.get_by_label("Feature image folder", exact=True).fill(str(data))
    page.keyboard.press("Tab")
    page.get_by_role("link", name="Object detection (YOLO text)").click()
    expect(page.get_by_label("Training label folder", exact=True)).to_have_value(str(data / "labels"))
    page.get_by_label("% for validation").fill("0")
    page.get_by_role("button", name="Preview").click()
    shown = page.locator("[data-preview-answer]")
    expect(shown.locator("img")).to_have_count(4)
    expect(shown).to_contain_text("4 for training")
    expect(shown.get_by_role("list", name="Classes").get_by_role("listitem")).to_have_text(["cat", "dog"])
    expect(shown).to_contain_text("1 problem in the files")
    page.locator("[name=dataset_name]").fill("animals")
    page.get_by_role("button", name="Create").click()
    expect(page.locator('[data-chart="box-shapes"] .plot-container')).to_be_visible(timeout=MADE_MS)
    expect(page.get_by_text("Images without an object")).to_be_visible()


def test_the_list_of_folders_does_not_lie_over_the_answer(
    page: Page, context: BrowserContext, live_server: RunningServer
) -> None:
    name_yourself(context, live_server)
    data = live_server.jobs_dir.parent / "pets"
    objects.pictures(data / "images")
    objects.yolo(data / "labels")
    (data / "images/a.png").write_bytes((data / "images/a.png").read_bytes()[:-200])
    page.goto(f"{live_server.url}/datasets/images/classification/new")
    page.locator(".recognise summary").click()
    folder = page.get_by_role("combobox", name="Folder", exact=True)
    folder.press_sequentially(f"{data}/")
    expect(page.get_by_role("option", name=f"{data}/images/")).to_be_visible()
    folder.press("Enter")
    proposals = page.locator(".proposals li")
    expect(proposals.first).to_have_class("likeliest")
    expect(proposals.first).to_contain_text("4 records")
    expect(page.locator(".recognise .suggestions")).to_be_hidden()
    proposals.get_by_role("link", name="Object detection (YOLO").click()
    expect(page.get_by_role("heading", name="New Object Detection Dataset")).to_be_visible()
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("[data-preview-answer]")).to_contain_text("1 of the 4 samples tried could not be read: a.png.")


def test_a_click_that_comes_before_the_scripts_is_answered_when_they_are_there(
    page: Page, context: BrowserContext, live_server: RunningServer
) -> None:
    name_yourself(context, live_server)

    def late(route: Route) -> None:
        page.get_by_role("button", name="Preview").click()
        route.continue_()

    page.route("**/pages/dataset_preview*.js*", late)
    page.goto(f"{live_server.url}/datasets/images/classification/new")
    expect(page.locator("[data-preview-answer]")).to_be_visible()


def test_a_preview_that_cannot_be_says_why(page: Page, context: BrowserContext, live_server: RunningServer) -> None:
    name_yourself(context, live_server)
    page.goto(f"{live_server.url}/datasets/generic/new/image-object-detection")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("[data-preview-answer] [role=alert]")).to_contain_text("train_image_folder")


def test_home_recognises_a_path_or_files_and_opens_the_form_filled_in(
    page: Page, context: BrowserContext, live_server: RunningServer
) -> None:
    name_yourself(context, live_server)
    data = class_folder(live_server.jobs_dir.parent / "gradients", per_class=4, side=8)
    page.goto(live_server.url)
    box = page.get_by_role("combobox", name="Folder on the server")
    box.fill(f"{data}/nothing-here")
    box.press("Enter")
    expect(page.locator("[data-recognise-answer]")).to_contain_text("does not exist")
    box.fill(str(data))
    box.press("Enter")
    expect(page.locator("[name=folder_train]")).to_have_value(str(data))
    page.goto(live_server.url)
    archive = shutil.make_archive(str(live_server.jobs_dir.parent / "sent"), "zip", data)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(archive)
    expect(page.locator("[name=folder_train]")).to_have_value(re.compile(r"/uploads/sent"))


def test_one_click_on_home_trains_on_real_digits(page: Page, context: BrowserContext, live_server: RunningServer) -> None:
    name_yourself(context, live_server)
    page.goto(live_server.url)
    page.get_by_role("button", name="New Dataset").click()
    expect(page.get_by_role("link", name="Segmentation", exact=True)).to_contain_text("a mask for each")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Train on real digits").click()
    expect(page.get_by_role("heading", name="LeNet on handwritten digits (demo)")).to_be_visible()
    page.goto(live_server.url)
    page.get_by_role("button", name="Train on real digits").click()
    expect(page.get_by_role("heading", name="LeNet on handwritten digits (demo)")).to_be_visible()
    counts = live_server.service.store.counts()
    model = live_server.service.store.query(JobQuery(kind=Kind.MODEL)).jobs[0]
    assert (counts[Kind.MODEL], "Handwritten digits" in live_server.service.store.get(model.dataset_id).name) == (1, True)
