"""Exports and the graph of a network on a model's page, in a real browser: Netron draws offline, in a frame of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from digits.domain.jobs import Status
from digits.domain.training import LearningRate, TrainingSpec
from digits.networks import catalog
from digits.service import Service
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
    exports.get_by_role("link", name="Parity report").click()
    report = page.get_by_role("region", name="PyTorch program")
    expect(report.get_by_role("row", name="torch.export")).to_contain_text("ms")
    page.go_back()
    row.get_by_role("button", name="Delete PyTorch program, epoch 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(exports.get_by_text("There is no export.")).to_be_visible()
