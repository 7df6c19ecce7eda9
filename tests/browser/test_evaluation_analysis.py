"""What an evaluation tells, in a real browser: a threshold that is kept, reviews by keyboard that another tab shows."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from digits.domain.jobs import Kind, Status
from digits.service.models.thresholds import values_of
from digits.storage.jobs.store import Job
from digits.tasks import Labels
from tests.browser.conftest import name_yourself
from tests.builders import make_job
from tests.conftest import RunningServer
from tests.web.evaluations.analysed import analysed


@pytest.fixture
def evaluation(web_server: RunningServer) -> Job:
    """30 pictures of 26 classes, so that the matrix is a chart; every fifth is taken for the next class."""
    service = web_server.service
    folder = Path(service.settings.data_dirs) / "reviewed"
    folder.mkdir(exist_ok=True)
    for n in range(30):
        Image.new("RGB", (20, 16), (8 * n, 0, 90)).save(folder / f"{n}.png")
    truth = np.arange(30) % 26
    made = np.where(np.arange(30) % 5 == 4, (truth + 1) % 26, truth)
    logs = np.log(np.full((30, 26), 0.1 / 26) + 0.9 * np.eye(26)[made]).astype(np.float32)
    labels = Labels(class_labels=tuple(f"<i>class {k}</i>" for k in range(26)))
    model = make_job(service, Kind.MODEL, "a model", status=Status.DONE)
    paths = [str(folder / f"{n}.png") for n in range(30)]
    return analysed(service, "classification", labels, logs, truth, paths=paths, model=model.id)


def test_a_threshold_is_chosen_and_pictures_are_reviewed(
    page: Page, context: BrowserContext, web_server: RunningServer, evaluation: Job
) -> None:
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}/evaluations/{evaluation.id}")
    cards = page.locator("[data-gallery] .sample-card")
    expect(cards).to_have_count(24)
    model = str(evaluation.summary["model_id"])

    box = page.locator("[data-curves]")
    expect(box.locator(".main-svg").first).to_be_visible()
    box.get_by_label("Class of the curve").select_option(index=3)
    expect(box.locator("[data-effect=missed]")).to_have_text("1")  # of class 3 one of two pictures is taken for class 4
    box.get_by_role("button", name="ROC").click()
    box.get_by_role("slider").press("End")
    expect(box.locator("[data-effect=recall]")).to_have_text("0 %")
    box.get_by_role("slider").press("ArrowLeft")
    box.get_by_role("button", name="Keep with the model").click()
    expect(box.locator("[data-kept]")).to_contain_text("Kept with the model")
    assert list(values_of(web_server.service, model)) == ["<i>class 3</i>"]
    page.reload()
    box.get_by_label("Class of the curve").select_option(index=3)
    box.get_by_role("button", name="Forget").click()
    expect(box.locator("[data-kept]")).to_contain_text("None is kept")

    other = context.new_page()
    other.goto(f"{web_server.url}/evaluations/{evaluation.id}")
    expect(other.locator("[data-gallery] .sample-card")).to_have_count(24)
    cards.first.focus()
    page.keyboard.press("1")
    expect(cards.first).to_have_attribute("data-said", "label_wrong")
    page.keyboard.press("ArrowRight")
    expect(cards.nth(1)).to_be_focused()
    page.keyboard.press("3")
    expect(page.locator("[data-review-counts]")).to_have_text("Reviewed: 1 × the label is wrong, 1 × the model is wrong.")
    expect(other.locator("[data-gallery] .sample-card").first).to_have_attribute("data-said", "label_wrong")
    other.get_by_label("Review", exact=True).select_option("model_wrong")
    expect(other.locator("[data-gallery] .sample-card")).to_have_count(1)
    other.close()
    page.keyboard.press("0")
    expect(cards.nth(1)).to_have_attribute("data-said", "")

    page.get_by_role("button", name="Wrong", exact=True).click()
    expect(cards).to_have_count(6)
    page.get_by_role("button", name="In the form").click()
    expect(page).to_have_url(re.compile("/datasets/images/classification/new"))
    expect(page.locator("[name=textfile_local_train_images]")).to_have_value(re.compile("chosen_pictures.txt$"))


def test_a_cell_of_a_large_matrix_opens_its_pictures(
    page: Page, context: BrowserContext, web_server: RunningServer, evaluation: Job
) -> None:
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}/evaluations/{evaluation.id}")
    chart = page.locator("[data-matrix]")
    expect(chart.locator(".heatmaplayer image")).to_have_count(1)
    place = chart.evaluate("""chart => {
      const {xaxis: x, yaxis: y} = chart._fullLayout, box = chart.getBoundingClientRect();
      return [x._offset + x.d2p("<i>class 5</i>"), y._offset + y.d2p("<i>class 4</i>")];
    }""")
    chart.scroll_into_view_if_needed()
    chart.click(position={"x": place[0], "y": place[1]})
    expect(page.locator("[data-gallery] .sample-card")).to_have_count(1)
    expect(page.get_by_label("Predicted class", exact=True)).to_have_value("5")
    page.set_viewport_size({"width": 400, "height": 800})
    page.reload()
    expect(chart.locator(".heatmaplayer image")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400, "nothing is cut off on a phone"
