"""The page of a comparison in a real browser: its controls, its charts, the button that evaluates what has no answers yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from safetensors.numpy import save_file

from digits.domain.events import AttemptEvent, MetricEvent, SnapshotEvent
from digits.domain.jobs import Kind, Status
from digits.service.models.create import create_models
from digits.storage.events import EventWriter
from digits.storage.jobs.store import JobQuery
from tests.browser.conftest import name_yourself
from tests.browser.test_training_page import until
from tests.conftest import RunningServer
from tests.service.finished_dataset import class_folder, finished_dataset

KINDS = {"loss": "loss", "accuracy": "accuracy"}


@pytest.fixture(scope="module")
def models(web_server: RunningServer) -> list[str]:
    """Two trainings of ten steps that are done; nothing is known of their single pictures."""
    service = web_server.service
    features = {"train_db": np.zeros((12, 3, 10, 10), np.uint8), "val_db": np.zeros((6, 3, 10, 10), np.uint8)}
    labels = {name: np.arange(len(f)) % 3 for name, f in features.items()}
    dataset = finished_dataset(service, class_folder(web_server.jobs_dir.parent / "compared"), features, labels)
    made = []
    for number, rate in enumerate(("0.1", "0.2"), start=1):
        values = {"dataset": dataset.id, "model_name": f"run <{number}>", "standard_networks": "lenet", "learning_rate": rate}
        job = create_models(service, "classification", values)[0]
        folder = service.folder(job.id)
        writer = EventWriter(folder.events_file, 1)
        writer.emit(AttemptEvent())
        for step in range(1, 11):
            loss = {"loss": number * 10.0 / step}
            writer.emit(MetricEvent(step=step, epoch=step / 5, phase="train", values=loss, kinds=KINDS))
            if step % 5 == 0:
                values = {"loss": number / step, "accuracy": step / 20}
                writer.emit(MetricEvent(step=step, epoch=step / 5, phase="val", values=values, kinds=KINDS, decides="accuracy"))
        snapshot = folder.path / "snapshots" / "epoch_2.safetensors"
        snapshot.parent.mkdir(exist_ok=True)
        save_file({"weight": np.zeros(1, np.float32)}, snapshot)
        writer.emit(SnapshotEvent(step=10, epoch=2, path="snapshots/epoch_2.safetensors", metrics=values, best=True))
        writer.close()
        service.store.transition(job.id, Status.RUN)
        service.store.transition(job.id, Status.DONE, best_name="accuracy", best_value=0.5, best_epoch=2.0)
        made.append(job.id)
    return made


def drawn(page: Page, key: str) -> Any:
    """What Plotly has of a chart: names, x and y of its curves, the title and the type of its axes."""
    program = """(key) => { const chart = document.querySelector(`[data-key=${key}] .js-plotly-plot`);
        return chart && { names: chart.data.map((t) => t.name), x: [...chart.data[0].x], y: [...chart.data[0].y],
            title: chart.layout.xaxis.title.text, type: chart.layout.yaxis.type }; }"""
    return page.evaluate(program, key)


def test_the_controls_of_a_comparison(page: Page, context: BrowserContext, web_server: RunningServer, models: list[str]) -> None:
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}/compare?ids={','.join(models)}")
    until(lambda: (drawn(page, "loss") or {}).get("x") == [1, 2])
    page.get_by_label("Over").select_option("step")
    until(lambda: drawn(page, "loss")["x"] == [5, 10])
    page.get_by_label("Over").select_option("time")
    until(lambda: drawn(page, "loss")["title"] == "seconds since the start")
    page.get_by_label("Over").select_option("epoch")
    page.get_by_label("Of", exact=True).select_option("train")
    until(lambda: drawn(page, "loss")["y"] == [10 / step for step in range(1, 11)])
    expect(page.locator("[data-key=accuracy]")).to_have_count(0)
    page.get_by_label("Smoothing").fill("0.9")
    until(lambda: drawn(page, "loss")["y"][-1] > 2)
    page.get_by_label("Log", exact=True).check()
    until(lambda: drawn(page, "loss")["type"] == "log")
    page.get_by_label("Of", exact=True).select_option("both")
    until(lambda: len(drawn(page, "loss")["names"]) == 4)
    assert drawn(page, "loss")["names"][0] == "run &lt;1&gt; (training)"
    page.get_by_role("button", name="Evaluate 2 models").click()
    expect(page.locator("[data-verdict]")).to_contain_text("The evaluations are under way")
    started = web_server.service.store.query(JobQuery(kind=Kind.EVALUATION)).jobs
    assert {job.summary["model_id"] for job in started} == set(models)


def test_a_chart_is_taken_away_and_another_run_laid_over_it(
    page: Page, context: BrowserContext, web_server: RunningServer, models: list[str]
) -> None:
    name_yourself(context, web_server)
    one, other = models
    page.goto(f"{web_server.url}/models/{one}")
    field = page.get_by_label("Another run to lay over these curves")
    field.fill(f"run <2> {other}")
    until(lambda: (drawn(page, "loss") or {}).get("names", [])[-2:] == ["run &lt;2&gt;: training", "run &lt;2&gt;: validation"])
    assert page.url.endswith(f"?with={other}")
    page.reload()
    expect(page.locator("[data-chosen-runs]")).to_contain_text("run <2>")
    page.get_by_role("button", name="Remove run <2>").click()
    until(lambda: drawn(page, "loss")["names"] == ["training", "validation"])
    drop = """(id) => { const data = new DataTransfer(); data.setData("text/uri-list", `${location.origin}/models/${id}`);
        document.querySelector("#curves").dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true })); }"""
    page.evaluate(drop, other)
    until(lambda: len(drawn(page, "loss")["names"]) == 4)
    for kind, ending in (("CSV numbers", "csv"), ("SVG drawing", "svg"), ("PNG picture", "png")):
        page.get_by_role("button", name="Save the chart: Loss").click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name=kind).click()
        assert waiting.value.suggested_filename.endswith(f".{ending}")
        content = waiting.value.path().read_bytes()
        assert content.startswith({"csv": b"curve,epoch,value\n", "svg": b"<svg", "png": b"\x89PNG"}[ending])
        assert ending != "csv" or b"training,1,2\n" in content or b"training,1,2.0\n" in content


def test_a_comparison_that_is_opened_at_once_follows_its_runs(
    page: Page, context: BrowserContext, web_server: RunningServer, models: list[str]
) -> None:
    """As after a sweep is started: nobody is told that nothing was kept, nor has to reload."""
    service = web_server.service
    name_yourself(context, web_server)
    dataset = service.store.get(models[0]).dataset_id
    values = {"dataset": dataset, "model_name": "later", "standard_networks": "lenet", "learning_rate": "0.3"}
    later = create_models(service, "classification", values)[0]
    page.goto(f"{web_server.url}/compare?ids={models[0]},{later.id}")
    sentence = page.locator(".verdict-sentence")
    expect(sentence).to_have_text("No verdict yet: 1 of 2 runs is done.")
    row = page.locator("[data-runs] tr", has_text="later")
    expect(row).not_to_contain_text("Done")
    service.store.transition(later.id, Status.RUN)
    service.store.transition(later.id, Status.DONE)
    expect(sentence).to_contain_text("nothing was kept of the single validation pictures")
    expect(row).to_contain_text("Done")
