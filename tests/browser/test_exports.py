"""Exports, the graph of a network (Netron draws offline, in a frame of its own), publishing, and an archive that is taken in, in
a browser."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from digits.domain.jobs import Kind, Status
from digits.domain.training import LearningRate, TrainingSpec
from digits.networks import catalog
from digits.service import Service
from digits.service.models.archives import model_archive
from digits.storage.jobs.store import Job
from digits.testing.runs import make_dataset, striped_pictures, train
from tests.browser.conftest import name_yourself
from tests.builders import make_job
from tests.conftest import RunningServer

SECONDS = 120_000  # importing torch on a busy machine takes its time


@pytest.fixture(scope="module")
def model(live_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """LeNet after two epochs."""
    return trained(live_server.service, tmp_path_factory.mktemp("data"))


def trained(service: Service, folder: Path) -> Job:
    features, labels = striped_pictures(24, 28, seed=1)
    data = make_dataset(folder, features, labels, class_labels=("left", "right"))
    text = catalog.network_text("lenet")
    rate = LearningRate(0.01, "fixed")
    spec = TrainingSpec("", "classification", network=text, epochs=2, batch_size=8, seed=1, learning_rate=rate)
    job = make_job(service, name="stripes", status=Status.DONE, spec=spec.to_json(), framework="pytorch", network="lenet")
    path = service.folder(job.id).path
    (path / "network.py").write_text(text)
    train(data, path, spec)
    return job


def test_the_graph_is_drawn_and_no_request_leaves_the_server(
    page: Page, context: BrowserContext, live_server: RunningServer, model: Job
) -> None:
    name_yourself(context, live_server)
    requested: list[str] = []

    def note(request: Request) -> None:
        requested.append(request.url)

    context.on("request", note)
    page.goto(f"{live_server.url}/models/{model.id}#settings")
    page.get_by_text("Network text").click()
    page.get_by_role("button", name="Graph and layers").click()
    graph = page.frame_locator("iframe[title='Graph of the network']")
    expect(graph.locator("g.node").first).to_be_visible(timeout=SECONDS)
    for kind in ("Conv", "MaxPool", "Relu", "Gemm"):  # Netron forbids `eval`, so the frame can only be looked at
        expect(graph.locator("g.node", has_text=kind).first).to_be_visible()
    expect(graph.locator("#message-button")).not_to_be_visible()
    expect(page.get_by_role("region", name="Layers").get_by_role("cell", name="Conv2d").first).to_be_visible()
    assert [url for url in requested if not url.startswith((live_server.url, "data:", "blob:"))] == []
    assert any("/netron/onnx.js" in url for url in requested)


def test_a_model_is_exported_from_its_page(page: Page, context: BrowserContext, live_server: RunningServer, model: Job) -> None:
    name_yourself(context, live_server)
    page.goto(f"{live_server.url}/models/{model.id}#exports")
    exports = page.get_by_role("region", name="Exports")
    expect(exports.get_by_label("Snapshot")).to_have_value("2")
    exports.get_by_label("Format").select_option("torch_export")
    exports.get_by_role("button", name="Export").click()
    row = exports.get_by_role("row", name="PyTorch program")
    expect(row.get_by_text("Done")).to_be_visible(timeout=SECONDS)
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == f"{model.id}_epoch_2_model.pt2"
    page.set_viewport_size({"width": 400, "height": 800})
    assert exports.locator(".table-scroll").evaluate("(box) => box.scrollWidth - box.clientWidth") == 0
    page.set_viewport_size({"width": 1280, "height": 800})
    exports.get_by_role("link", name="Parity report").click()
    report = page.get_by_role("region", name="PyTorch program")
    expect(report.get_by_role("row", name="torch.export")).to_contain_text("ms")
    page.go_back()
    row.get_by_role("button", name="Delete PyTorch program, epoch 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(exports.get_by_text("There is no export.")).to_be_visible()


def test_an_archive_is_uploaded_tested_and_chosen(
    page: Page, context: BrowserContext, live_server: RunningServer, model: Job, tmp_path: Path
) -> None:
    """Uploaded, listed, tested without training, chosen for a new model."""
    service = live_server.service
    (tmp_path / "net.zip").write_bytes(b"".join(model_archive(service, model, "zip").chunks))
    (tmp_path / "page.zip").write_bytes(b"<html>")
    features, labels = striped_pictures(18, 28, seed=2)
    dataset = make_job(service, kind=Kind.DATASET, name="other stripes", status=Status.DONE)
    make_dataset(service.folder(dataset.id).path, features, labels, class_labels=("left", "right"))
    name_yourself(context, live_server)
    page.goto(f"{live_server.url}/pretrained_models/new")
    archive = page.get_by_role("region", name="An archive")
    archive.get_by_label("Archive", exact=True).set_input_files(tmp_path / "page.zip")
    archive.get_by_role("button", name="Upload the archive").click()
    expect(page.get_by_text("Incorrect archive type")).to_be_visible()
    archive.get_by_label("Archive", exact=True).set_input_files(tmp_path / "net.zip")
    archive.get_by_label("Name").fill("<i>taken in</i>")
    archive.get_by_role("button", name="Upload the archive").click()
    expect(page).to_have_url(re.compile(r"/pretrained_models/\d"))
    start = page.get_by_role("link", name="New model from it")
    expect(start).to_be_visible(timeout=SECONDS)

    page.set_viewport_size({"width": 400, "height": 800})
    Image.fromarray(features[0, 0]).save(tmp_path / "picture.png")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "picture.png")
    expect(page.get_by_text("left").first).to_be_visible(timeout=SECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{live_server.url}/pretrained_models")
    expect(page.get_by_role("row", name="<i>taken in</i>")).to_be_visible()
    page.get_by_role("link", name="<i>taken in</i>").click()
    start.click()
    expect(page.get_by_role("tab", name="Pretrained")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("radio", name="<i>taken in</i>")).to_be_checked()


def test_a_form_that_is_sent_before_the_scripts_is_answered_when_they_are_there(
    page: Page, context: BrowserContext, live_server: RunningServer, model: Job
) -> None:
    name_yourself(context, live_server)

    def late(route: Route) -> None:
        page.get_by_label("Name", exact=True).fill("early")
        page.get_by_label("Name", exact=True).press("Enter", no_wait_after=True)
        route.continue_()

    page.route("**/pages/serving.js*", late, times=1)
    page.goto(f"{live_server.url}/serve?model={model.id}#publish-model")
    page.wait_for_url("**/serve/early")
    expect(page.get_by_role("region", name="What was done").locator("dd")).to_have_count(1)
    page.get_by_role("button", name="Take back").click()
    page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    expect(page.get_by_text("Nothing is published")).to_be_visible()


def test_a_model_is_published_tried_and_rolled_back(
    page: Page, context: BrowserContext, live_server: RunningServer, model: Job
) -> None:
    name_yourself(context, live_server)
    page.goto(f"{live_server.url}/models/{model.id}#files")
    page.get_by_role("region", name="Serving").get_by_role("link", name="Publish").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("stripes")
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/serve/stripes", timeout=SECONDS)
    expect(page.get_by_text("The token, shown this once")).to_be_visible()
    token = page.locator("[data-token-text]").inner_text()
    programs = page.get_by_role("region", name="From a program")
    expect(programs.locator("[data-code]").first).to_contain_text(f"TOKEN={token}")

    buffer = io.BytesIO()
    Image.fromarray(striped_pictures(1, 28, seed=2)[0][0, 0]).save(buffer, "PNG")
    for data, said in ((buffer.getvalue(), 'predictions: [["'), (b"no picture", "The uploaded file is no picture")):
        page.get_by_label("A picture").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": data})
        page.get_by_role("button", name="Predict").click()
        expect(page.get_by_label("The answer")).to_contain_text(said)
    expect(page.locator(".tile", has_text="Errors")).to_contain_text("1 × 400")

    page.get_by_role("link", name="New version").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("stripes")
    page.get_by_label("Canary, %").fill("25")
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/serve/stripes")
    versions = page.get_by_role("region", name="Versions")
    expect(versions.get_by_role("row", name="2 stripes")).to_contain_text("25 %")
    versions.get_by_role("row", name="2 stripes").get_by_role("button", name="Use").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    expect(versions.get_by_role("row", name="2 stripes")).to_contain_text("active")
    expect(page.get_by_text("The token, shown this once")).not_to_be_visible()
    expect(programs.locator("[data-code]").first).to_contain_text("TOKEN=YOUR_TOKEN")
    page.get_by_role("button", name="Roll back to version 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Yes").click()
    expect(versions.get_by_role("row", name="1 stripes")).to_contain_text("active")
    page.set_viewport_size({"width": 400, "height": 800})
    tables = page.locator(".table-scroll")
    expect(tables.first).to_contain_text("epoch 2")
    assert tables.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0
    page.get_by_role("button", name="Take back").click()
    page.get_by_role("dialog").get_by_role("button", name="Take back").click()
    expect(page.get_by_text("Nothing is published")).to_be_visible()
