"""The page of a training grows while it is open: validation samples, metrics beside the baseline, the forms that test it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from digits.domain.events import AttemptEvent, BaselineEvent, MetricEvent, SampleEvent, SnapshotEvent
from digits.domain.jobs import Status
from digits.service.models.create import create_models
from digits.storage.events import EventWriter
from digits.storage.files import write_json
from digits.storage.jobs.store import Job
from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer
from tests.service.finished_dataset import class_folder, finished_dataset

WAIT_SECONDS = 60.0
LABELS = ["background", "cell"]
KINDS = {"loss": "loss", "epoch_loss": "loss"} | dict.fromkeys(("mean_dice", "pixel_accuracy", "dice/cell"), "accuracy")


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; the page's own rule forbids Playwright's way of doing so."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "the page did not follow"
        time.sleep(0.05)


class Training:
    """A training whose worker is this test."""

    def __init__(self, server: RunningServer, job: Job) -> None:
        self.folder = server.service.folder(job.id).path
        self.url = f"{server.url}/models/{job.id}"
        self.writer = EventWriter(self.folder / "events.jsonl", 1)
        self.writer.emit(AttemptEvent())

    def begin(self) -> None:
        meta = {"task": "segmentation", "label_kind": "map", "label_shape": [1, 32, 32], "class_labels": LABELS}
        write_json(self.folder / "preprocessing.json", meta)
        (self.folder / "samples").mkdir()
        truth = np.zeros((1, 32, 32), np.uint8)
        truth[:, 8:24, 8:24] = 1
        feature = np.full((3, 32, 32), 60, np.uint8)
        np.savez(self.folder / "samples" / "inputs.npz", **{"indices": np.array([3]), "0/feature": feature, "0/label": truth})
        guess = {"mean_dice": 0.4, "pixel_accuracy": 0.75, "dice/cell": 0.0}
        self.writer.emit(BaselineEvent(values=guess, description="every pixel “background”"))

    def validate(self, epoch: int, found: bool, **values: float) -> None:
        made = np.zeros((32, 32), np.uint8)
        made[8:24, 8:24] = found
        path = f"samples/step_{epoch * 10}.npz"
        np.savez(self.folder / path, **{"0/output": made})
        decides = "mean_dice" if "mean_dice" in values else ""
        named = {name.replace("of_cell", "dice/cell"): value for name, value in values.items()}
        self.writer.emit(MetricEvent(step=epoch * 10, epoch=epoch, phase="val", values=named, kinds=KINDS, decides=decides))
        self.writer.emit(SampleEvent(step=epoch * 10, epoch=epoch, path=path))


@pytest.fixture
def training(web_server: RunningServer, tmp_path: Path) -> Iterator[Training]:
    service = web_server.service
    features = {"train_db": np.zeros((12, 3, 32, 32), np.uint8), "val_db": np.zeros((6, 3, 32, 32), np.uint8)}
    labels = {name: np.arange(len(f)) % 3 for name, f in features.items()}
    dataset = finished_dataset(service, class_folder(web_server.jobs_dir.parent / "pictures"), features, labels)
    values = {"dataset": dataset.id, "model_name": "watched", "standard_networks": "lenet", "train_epochs": "4"}
    job = create_models(service, "classification", values)[0]
    service.store.transition(job.id, Status.RUN)
    training = Training(web_server, job)
    yield training
    training.writer.close()


def centre(page: Page) -> list[int]:
    """Red, green and blue in the middle of the first sample."""
    code = "document.querySelector('.sample-card canvas').getContext('2d').getImageData(16, 16, 1, 1).data"
    return list(page.evaluate(f"Array.from({code})"))[:3]


def test_the_samples_grow_and_can_be_wound_back(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    page.goto(f"{training.url}#samples")
    samples = page.locator("[data-validation-samples]")
    expect(samples).to_be_hidden()
    training.begin()
    training.validate(0, found=False, mean_dice=0.3, pixel_accuracy=0.7, of_cell=0.0)
    expect(samples).to_have_attribute("data-shown", "0")
    assert centre(page) == [60, 60, 60]
    training.validate(1, found=True, mean_dice=0.9, pixel_accuracy=0.95, of_cell=0.85)
    expect(samples).to_have_attribute("data-shown", "10")
    expect(samples).to_contain_text("Dice 100 %")
    half = centre(page)
    assert half != [60, 60, 60]
    page.locator("#sample-opacity").fill("1")
    until(lambda: centre(page) != half)
    page.get_by_label("Prediction", exact=True).uncheck()
    until(lambda: centre(page) == [60, 60, 60])
    page.locator("#samples-slider").fill("0")
    expect(samples).to_have_attribute("data-shown", "0")
    expect(page.locator("[data-samples-epoch]")).to_have_text("epoch 0")
    training.validate(2, found=True, mean_dice=0.95, pixel_accuracy=0.95, of_cell=0.9)
    expect(page.locator("#samples-slider")).to_have_attribute("max", "2")
    expect(samples).to_have_attribute("data-shown", "0")


def test_a_model_that_finds_nothing_is_told_so(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    training.begin()
    training.validate(0, found=False, mean_dice=0.3, pixel_accuracy=0.7, of_cell=0.0)
    page.goto(training.url)
    verdict = page.locator("[data-verdict]")
    metrics = page.locator("[data-metrics]")
    expect(metrics.locator("tr.is-deciding")).to_contain_text("40 %")
    expect(verdict).to_have_text("")
    training.validate(1, found=False, mean_dice=0.4, pixel_accuracy=0.9, of_cell=0.0)
    expect(verdict).to_contain_text("no better than the trivial answer (every pixel “background”)")
    expect(verdict).to_contain_text("90 % of all pixels are right, but the thing itself is not found: “cell”")
    training.validate(2, found=True, mean_dice=0.9, pixel_accuracy=0.95, of_cell=0.85)
    expect(verdict).to_have_text("")
    expect(metrics.locator(".class-metrics")).to_contain_text("85 %")
    expect(page.locator("[data-tiles]")).to_contain_text("baseline 40 %")


def test_epoch_means_stand_out_and_single_steps_are_faint(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    page.goto(training.url)
    for step in range(1, 21):
        means = {"epoch_loss": 5.0 - step / 10} if step % 10 == 0 else {}
        values = {"loss": 5.0 - step / 10, **means}
        training.writer.emit(MetricEvent(step=step, epoch=step / 10, phase="train", values=values, kinds=KINDS))
    names = "document.querySelector('.chart-loss')?.data?.filter((t) => t.showlegend !== false).map((t) => t.name)"
    until(lambda: page.evaluate(names) == ["training"])
    drawn = page.evaluate("document.querySelector('.chart-loss').data.map((t) => [t.y.length, t.opacity ?? 1])")
    until(lambda: page.evaluate("document.querySelector('.chart-loss').data[0].y.length") == 20)
    assert [opacity for _, opacity in drawn] == [0.3, 1]


def test_the_best_is_named_where_no_curve_runs(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    training.begin()
    for epoch in (1, 2, 3):  # all at 100 %
        values = {"mean_dice": 1.0}
        training.writer.emit(MetricEvent(step=epoch * 10, epoch=epoch, phase="train", values=values, kinds=KINDS))
        training.validate(epoch, found=True, mean_dice=1.0, pixel_accuracy=1.0, of_cell=1.0)
    page.goto(training.url)
    chart = page.locator("[data-key='accuracy-Dice (%)']")
    chart.scroll_into_view_if_needed()
    best = chart.locator(".annotation-text", has_text="best")
    expect(best).to_be_visible()
    ends = "(part) => { const { top, bottom } = part.getBoundingClientRect(); return [top, bottom]; }"
    legend, label, plot = (part.evaluate(ends) for part in (chart.locator(".legend"), best, chart.locator(".nsewdrag")))
    assert legend[1] <= label[0] < label[1] <= plot[0]


def test_the_forms_that_try_a_model_come_with_its_first_snapshot(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    page.goto(f"{training.url}#test")
    expect(page.locator("#inference")).to_contain_text("as soon as the training has written its first snapshot")
    path = training.folder / "snapshots" / "epoch_1.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"weights")
    training.writer.emit(SnapshotEvent(step=10, epoch=1, path="snapshots/epoch_1.safetensors", best=True))
    expect(page.locator("input[type=file][name=image_file]")).to_be_attached()
    expect(page.locator("#one-snapshot option")).to_have_count(1)
    expect(page.locator("#image_path")).to_be_visible()
    training.writer.emit(SnapshotEvent(step=20, epoch=2, path="snapshots/epoch_2.safetensors"))
    expect(page.locator("#one-snapshot option")).to_have_count(2)


def test_a_video_that_is_dropped_lies_in_the_field_of_videos(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    path = training.folder / "snapshots" / "epoch_1.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"weights")
    page.goto(f"{training.url}#test")
    page.locator("#image_folder").evaluate("(input) => { input.value = '/of/the/drop/before'; }")
    dropped = "() => { const all = new DataTransfer(); all.items.add(new File(['frames'], 'clip.mkv')); return all; }"
    page.dispatch_event("[data-dropzone]", "drop", {"dataTransfer": page.evaluate_handle(dropped)})
    field = page.locator("#video_file")
    expect(field).to_be_visible()
    expect(field).to_be_focused()
    assert field.evaluate("(input) => input.files[0].name") == "clip.mkv"
    expect(page.locator("#image_folder")).to_have_value("")  # a folder and a video exclude each other


def test_what_is_dropped_and_not_taken_is_named(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    path = training.folder / "snapshots" / "epoch_1.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"weights")
    page.goto(f"{training.url}#test")
    drop = """(names) => { const all = new DataTransfer(); names.forEach((name) => all.items.add(new File(["x"], name)));
        return all; }"""
    for names, said in (
        (["ant.jpg", "labels.txt", "clip.mp4"], "Not taken: labels.txt, clip.mp4. Only pictures are answered at once."),
        (["one.mp4", "two.mp4"], "Not taken: two.mp4. A job has one video."),
        (["a.txt", "b.doc"], "None of these is a picture: a.txt, b.doc."),
    ):
        page.dispatch_event("[data-dropzone]", "drop", {"dataTransfer": page.evaluate_handle(drop, names)})
        expect(page.get_by_text(said)).to_be_visible()
        page.locator("#try-tab-one").click()
    with page.expect_request(lambda request: "upload" in request.url):  # an archive that is chosen is one that is dropped
        page.locator("#image_file").set_input_files({"name": "many.zip", "mimeType": "application/zip", "buffer": b"PK"})


def test_the_best_snapshot_is_what_is_downloaded_and_tried(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    training.begin()
    page.goto(training.url)
    download = page.locator("[data-download-best]")
    expect(download).to_be_hidden()
    for epoch, best in ((1, True), (2, False)):
        path = f"snapshots/epoch_{epoch}.pt"
        training.writer.emit(SnapshotEvent(step=10 * epoch, epoch=epoch, path=path, metrics={"loss": 1.0}, best=best))
    expect(download).to_have_attribute("href", re.compile(r"/download\.zip\?named=1&epoch=best$"))
    select = page.locator("select[data-snapshot]").first
    expect(select).to_have_value("1")
    training.writer.emit(SnapshotEvent(step=30, epoch=3, path="snapshots/epoch_3.pt", metrics={"loss": 0.5}, best=True))
    expect(select).to_have_value("3")
    select.evaluate("(select) => { select.value = '2'; select.dispatchEvent(new Event('change', { bubbles: true })); }")
    training.writer.emit(SnapshotEvent(step=40, epoch=4, path="snapshots/epoch_4.pt", metrics={"loss": 0.1}, best=True))
    expect(select.locator("option")).to_have_count(4)
    expect(select).to_have_value("2")


def shown_parts(page: Page) -> list[str]:
    return list(
        page.evaluate("[...document.querySelectorAll('[data-panel]')].filter((e) => e.offsetParent).map((e) => e.dataset.panel)")
    )


def test_the_address_names_the_tab(page: Page, context: BrowserContext, web_server: RunningServer, training: Training) -> None:
    name_yourself(context, web_server)
    training.begin()
    page.goto(f"{training.url}#exports")
    expect(page.get_by_role("tab", name="Files")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#exports")).to_be_in_viewport()
    assert shown_parts(page) == ["files"]
    for step in (1, 2):  # while the charts are hidden
        training.writer.emit(MetricEvent(step=step, epoch=step / 10, phase="train", values={"loss": 3.0}, kinds=KINDS))
    expect(page.locator("[data-tiles]")).to_contain_text("3")
    expect(page.locator(".js-plotly-plot")).to_have_count(0)
    page.get_by_role("tab", name="Log").click()
    assert page.url.endswith("#log")
    page.get_by_role("tab", name="Overview").click()
    expect(page.locator(".chart-loss .scatterlayer .trace")).to_have_count(1)
    width = "(chart) => chart.querySelector('svg').clientWidth - chart.clientWidth"
    assert page.locator(".chart-loss").evaluate(width) == 0
    page.go_back()
    expect(page.locator("[data-log-tail]")).to_be_visible()
    page.reload()
    assert shown_parts(page) == ["log"]
    page.get_by_role("tab", name="Log").focus()
    for key, tab in (
        ("ArrowRight", "files"),
        ("ArrowRight", "overview"),
        ("End", "files"),
        ("Home", "overview"),
        ("ArrowLeft", "files"),
    ):
        page.keyboard.press(key)
        expect(page.locator(f"#tab-{tab}")).to_be_focused()
        assert (shown_parts(page), page.url.rpartition("#")[2]) == ([tab], tab)
    path = training.folder / "snapshots" / "epoch_1.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"weights")
    training.writer.emit(SnapshotEvent(step=10, epoch=1, path="snapshots/epoch_1.safetensors", best=True))
    page.get_by_role("link", name="Evaluate", exact=True).click()
    expect(page.locator("#try-evaluate")).to_be_visible()
    page.goto(f"{training.url}#%")
    assert shown_parts(page) == ["overview"]


def test_without_scripts_all_parts_are_shown(chromium: Browser, web_server: RunningServer, training: Training) -> None:
    context = chromium.new_context(java_script_enabled=False)
    name_yourself(context, web_server)
    page = context.new_page()
    page.goto(training.url)
    for part in ("overview", "samples", "test", "settings", "log", "files"):
        expect(page.locator(f"#{part}")).to_be_visible()
    context.close()


def test_a_spike_of_a_long_run_is_seen_and_zooming_in_shows_all(
    page: Page, context: BrowserContext, web_server: RunningServer, training: Training
) -> None:
    name_yourself(context, web_server)
    training.begin()

    def report(step: int, loss: float) -> None:
        training.writer.emit(MetricEvent(step=step, epoch=step / 1000, phase="train", values={"loss": loss}, kinds=KINDS))

    for step in range(1, 4001):
        report(step, {1234: 77.0, 2500: math.nan}.get(step, 1.0 + step % 5 / 10))
    page.goto(training.url)
    note = page.locator("[data-thinned]")
    expect(note).to_contain_text("of 4,000 reports")
    curve = "document.querySelector('.chart-loss').data[0]"
    expect(page.locator(".chart-loss .scatterlayer .trace")).to_have_count(1)
    buttons = page.locator(".chart-loss").evaluate(
        "(chart) => [...chart.querySelectorAll('[data-title]')].map((e) => e.dataset.title)"
    )
    assert "Pan" in buttons
    assert not [title for title in buttons if "Share" in title], "nothing of a chart is sent anywhere"
    assert page.evaluate(f"Math.max(...{curve}.y)") == 77
    assert page.evaluate(f"{curve}.y[{curve}.x.indexOf(2.5)]") is None
    zoom = "Plotly.relayout(document.querySelector('.chart-loss'), {'xaxis.range[0]': 2, 'xaxis.range[1]': 2.1})"
    page.evaluate(f"() => {{ {zoom} }}")
    inside = f"{curve}.x.filter((x) => x >= 2 && x <= 2.1).length"
    until(lambda: page.evaluate(inside) == 101)
    report(4001, 0.5)
    until(lambda: page.evaluate(f"{curve}.x.at(-1)") == 4.001)
    expect(note).to_contain_text("of 4,001 reports")
    assert page.evaluate(inside) == 101
    page.evaluate("() => { Plotly.relayout(document.querySelector('.chart-loss'), {'xaxis.autorange': true}) }")
    until(lambda: page.evaluate(inside) < 101)
