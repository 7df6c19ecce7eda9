"""The form of a new model and the page of a training in a real browser; what a worker would report is written by hand."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from digits.cli import OF_A_FORM
from digits.cli.model import train
from digits.domain.events import AttemptEvent, ErrorEvent, MetricEvent, ProgressEvent, SnapshotEvent, WarningEvent
from digits.domain.jobs import Status
from digits.frameworks import available_frameworks
from digits.networks.catalog import standard_networks
from digits.service.models.create import create_models
from digits.storage.events import EventWriter
from digits.storage.jobs.store import Job
from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer
from tests.service.finished_dataset import boxes_to_come, class_folder, finished_dataset

NEW = "/models/images/classification/new"
WAIT_SECONDS = 60.0
LOSS = {"loss": "loss"}


@pytest.fixture(scope="module")
def dataset(web_server: RunningServer) -> Job:
    service = web_server.service
    features = {"train_db": np.zeros((40, 1, 28, 28), np.uint8), "val_db": np.zeros((6, 1, 28, 28), np.uint8)}
    labels = {name: np.arange(len(f)) % 3 for name, f in features.items()}
    return finished_dataset(service, class_folder(web_server.jobs_dir.parent / "pictures"), features, labels)


def losses(page: Page) -> list[float] | None:
    """The points of the loss curve as they are drawn; None before there is one."""
    points = page.evaluate("document.querySelector('.chart-loss')?.data?.[0].y ?? null")
    return None if points is None else list(points)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the page's own rule forbids Playwright's way of doing so."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the page did not follow"
        time.sleep(0.05)


def test_the_form_fills_in_draws_and_warns(page: Page, context: BrowserContext, web_server: RunningServer, dataset: Job) -> None:
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}{NEW}?dataset={dataset.id}")
    summary = page.locator("[data-summary]")
    expect(summary).to_contain_text("28×28, grey")
    expect(page.locator("#learning_rate")).to_have_value("0.02")

    page.fill("#batch_size", "4, 8")
    expect(page.locator("[data-create]")).to_have_text("Create 2 models")
    page.get_by_role("tab", name="Library").click()
    page.fill("#library-search", "resnet 18")
    page.get_by_label("torchvision/resnet18", exact=True).check()
    expect(page.locator("#learning_rate")).to_have_value("0.0005")
    expect(page.locator("#batch_size")).to_have_value("4, 8")
    expect(page.locator("[data-hints]")).to_contain_text("at least 32×32 pixels; the pictures have 28")

    page.get_by_text("Learning rate policy").click()
    page.select_option("#lr_policy", "multistep")
    expect(page.locator("#lr-chart .lines")).to_have_count(1)
    page.fill("#learning_rate", "0.1, 0.01")
    expect(page.locator("#lr-chart .lines")).to_have_count(2)
    expect(page.locator("[data-create]")).to_have_text("Create 4 models")


def test_what_is_copied_is_the_form(page: Page, context: BrowserContext, web_server: RunningServer, dataset: Job) -> None:
    """The command is read by the command itself, and the request is what the form would send."""
    name_yourself(context, web_server)
    page.add_init_script("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.goto(f"{web_server.url}{NEW}?dataset={dataset.id}")
    page.fill("#model_name", "it's $mine")
    for is_shuffled in (True, False):
        page.evaluate("(on) => { document.querySelector('#shuffle').checked = on; }", is_shuffled)
        page.click("[data-copy-as=cli]")
        command = shlex.split(page.evaluate("window.copied").replace("\\\n", ""))
        assert command[:3] == ["digits", "model", "train"]
        read = train.make_context("train", command[3:]).params
        assert (read["dataset"], read["network"]) == (dataset.id, "lenet")
        assert {option: read[OF_A_FORM + option] for option in ("model_name", "train_epochs")} == {
            "model_name": "it's $mine",
            "train_epochs": page.input_value("#train_epochs"),
        }
        assert read[OF_A_FORM + "shuffle"] in ((None, True) if is_shuffled else (False,))
        page.click("[data-copy-as=curl]")
        assert ("shuffle=false" in page.evaluate("window.copied")) is not is_shuffled
        assert "boxes[]" not in page.evaluate("window.copied")


@contextmanager
def before_the_code(page: Page, address: str) -> Iterator[None]:
    """The form as a slow connection shows it: the block comes before the page's code."""
    held: list[Route] = []
    page.route("**/pages/model_form.js*", lambda route: held.append(route))
    page.goto(address, wait_until="commit")
    yield
    until(lambda: page.evaluate("true") and bool(held))
    held[0].continue_()


def test_what_was_written_before_the_code_came_stays(
    page: Page, context: BrowserContext, web_server: RunningServer, dataset: Job
) -> None:
    name_yourself(context, web_server)
    with before_the_code(page, f"{web_server.url}{NEW}?dataset={dataset.id}"):
        page.fill("#model_name", "a name of my own")
        page.fill("#train_epochs", "3")
        page.locator("label", has_text="LeNet").first.click()
    expect(page.locator("[data-summary]")).to_contain_text("3 epochs")
    expect(page.locator("#model_name")).to_have_value("a name of my own")
    expect(page.locator("#batch_size")).to_have_value("64")  # LeNet's, whose card was chosen


def test_a_framework_chosen_before_the_code_came_shows_its_networks(
    page: Page, context: BrowserContext, web_server: RunningServer, dataset: Job
) -> None:
    if "tensorflow" not in available_frameworks():
        pytest.skip("TensorFlow is not installed")
    name_yourself(context, web_server)
    with before_the_code(page, f"{web_server.url}{NEW}?dataset={dataset.id}"):
        page.get_by_text("TensorFlow", exact=True).click()
    cards = page.locator("#pane-standard .network-card:visible")
    expect(cards.filter(has_text="Siamese")).to_have_count(1)
    expect(cards.locator("input:checked")).to_have_count(1)


def test_a_network_is_customized_in_the_editor(
    page: Page, context: BrowserContext, web_server: RunningServer, dataset: Job
) -> None:
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}{NEW}?dataset={dataset.id}")
    page.locator('[data-customize="lenet"]:visible').click()
    text = page.locator("#custom_network")
    expect(text).to_have_value(re.compile(r"def build_network\(context\)"))
    assert page.locator(".code-colours .tok-keyword", has_text="def").count() >= 1
    lines = text.input_value().count("\n") + 1
    assert page.locator(".code-lines").inner_text().split()[-1] == str(lines)
    text.fill("def build_network(context):")
    text.press("End")
    text.press("Enter")
    text.press_sequentially("return 1")
    text.press("Enter")
    text.press("Tab")
    assert text.input_value() == "def build_network(context):\n    return 1\n        "
    page.fill("#model_name", "mine")
    page.fill("#train_epochs", "0")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#error-train_epochs")).to_contain_text("at least 1")
    assert text.input_value().startswith("def build_network(context):\n    return 1")
    expect(page.get_by_role("tab", name="Custom")).to_have_attribute("aria-selected", "true")


def test_the_tab_of_tensorflow(page: Page, context: BrowserContext, web_server: RunningServer, dataset: Job) -> None:
    if "tensorflow" not in available_frameworks():
        pytest.skip("TensorFlow is not installed")
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}{NEW}?dataset={dataset.id}")
    page.get_by_text("TensorFlow", exact=True).click()
    cards = page.locator("#pane-standard .network-card:visible")
    expect(cards).to_have_count(len(standard_networks("tensorflow", "classification")))
    expect(cards.filter(has_text="Siamese")).to_have_count(1)
    page.get_by_role("tab", name="Library").click()
    page.fill("#library-search", "resnet 50")
    expect(page.get_by_label("keras/ResNet50", exact=True)).to_be_visible()
    expect(page.get_by_label("torchvision/resnet50", exact=True)).to_have_count(0)

    page.get_by_role("tab", name="Standard").click()
    page.locator('[data-customize="lenet"]:visible').click()
    expect(page.locator("#custom_network")).to_have_value(re.compile("import keras"))
    expect(page.locator("[data-foreign]")).to_be_hidden()
    page.fill("#custom_network", "from torch import nn\n\ndef build_network(context):\n    return nn.Flatten()\n")
    page.get_by_role("button", name="Switch to PyTorch").click()
    expect(page.locator("#framework-pytorch")).to_be_checked()
    expect(page.locator("[data-foreign]")).to_be_hidden()

    page.get_by_text("TensorFlow", exact=True).click()
    page.get_by_role("tab", name="Standard").click()
    cards.filter(has_text="LeNet").first.click()
    page.fill("#model_name", "keras")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url(re.compile(r"/models/2"))
    job = web_server.service.store.get(page.url.rsplit("/", 1)[1].split("?")[0])
    assert (job.framework, job.network) == ("tensorflow", "lenet")


def test_a_task_that_tensorflow_lacks_is_said_at_once(page: Page, context: BrowserContext, web_server: RunningServer) -> None:
    if "tensorflow" not in available_frameworks():
        pytest.skip("TensorFlow is not installed")
    job = boxes_to_come(web_server.service)
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}/models/images/generic/new?dataset={job.id}")
    notice = page.locator("[data-impossible]")
    expect(notice).to_be_hidden()
    page.get_by_text("TensorFlow", exact=True).click()
    expect(notice).to_contain_text("Object detection is not possible with TensorFlow here.")
    page.get_by_role("button", name="Switch to PyTorch").click()
    expect(page.locator("#framework-pytorch")).to_be_checked()
    expect(notice).to_be_hidden()


def test_a_training_is_watched_live(page: Page, context: BrowserContext, web_server: RunningServer, dataset: Job) -> None:
    name_yourself(context, web_server)
    service = web_server.service
    values = {
        "dataset": dataset.id,
        "model_name": "watched",
        "standard_networks": "lenet",
        "framework": "pytorch",
        "train_epochs": "4",
    }
    job = create_models(service, "classification", values)[0]
    service.store.transition(job.id, Status.RUN)
    writer = EventWriter(service.folder(job.id).events_file, 1)
    writer.emit(AttemptEvent())
    page.goto(f"{web_server.url}/models/{job.id}")
    expect(page.locator("[data-no-curves]")).to_be_visible()

    checkpoint = 0
    for step in (1, 2, 3):
        writer.emit(MetricEvent(step=step, epoch=step / 2, phase="train", values={"loss": 4.0 - step}, kinds=LOSS))
        checkpoint = writer.offset if step == 2 else checkpoint
    writer.emit(MetricEvent(step=3, epoch=1.5, phase="val", values={"accuracy": 0.75}, kinds={"accuracy": "accuracy"}))
    writer.emit(ProgressEvent(fraction=0.4, step=3, epoch=1.5, rate=512.0, unit="images"))
    writer.emit(SnapshotEvent(step=3, epoch=1.5, path="snapshots/epoch_1.5.safetensors", metrics={"accuracy": 0.75}, best=True))
    writer.emit(WarningEvent(code="w", message="Two pictures <were> alike.", advice="Look at them."))
    tiles = page.locator("[data-tiles]")
    expect(tiles).to_contain_text("75 %")
    expect(tiles).to_contain_text("512")
    expect(page.locator(".chart-loss .scatterlayer .trace")).to_have_count(1)
    expect(page.locator("[data-snapshots] tbody tr")).to_have_count(1)
    expect(page.locator("[data-notices]")).to_contain_text("Two pictures <were> alike. Look at them.")
    expect(page.locator("[data-log-tail]")).to_contain_text("accuracy = 0.75")
    writer.close()

    again = EventWriter(service.folder(job.id).events_file, 2)
    again.emit(AttemptEvent(resumed_step=2, resumed_offset=checkpoint))
    expect(page.locator("[data-notices]")).to_contain_text("Resumed from step 2")
    expect(page.locator(".chart-accuracy")).to_have_count(0)
    expect(tiles).not_to_contain_text("75 %")
    until(lambda: len(losses(page) or ()) < 3)
    assert losses(page) == [3.0, 2.0], "what came after the checkpoint is void"
    again.emit(MetricEvent(step=3, epoch=1.5, phase="train", values={"loss": 0.5}, kinds=LOSS))
    until(lambda: losses(page) == [3.0, 2.0, 0.5])
    page.reload()
    until(lambda: losses(page) == [3.0, 2.0, 0.5])
    again.emit(ErrorEvent(code="x", message="gone"))
    again.close()
    expect(page.locator("[data-log-tail]")).to_contain_text("Attempt 2: goes on from step 2")
