"""Every task on a few real files in a real browser: the validation samples from epoch 0 on, its sliders, and a tested picture."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Frame, Locator, Page, expect

from tests.browser.conftest import name_yourself, view_of
from tests.conftest import start_server
from tests.journeys.client import GENERIC, Client
from tests.journeys.test_real_tasks import SOLVER, TRAINING, angles, cells, noise, streets, take

pytestmark = pytest.mark.slow


def same(shared_data: Path, root: Path) -> tuple[str, dict[str, Any]]:
    """Pictures that are their own labels."""
    place = take(shared_data / "camvid" / "train" / "images", root / "same", 8)
    return "image-processing", {
        "feature_folder": place,
        "label_source": "image",
        "folder_pct_val": 25,
        "resize_width": 64,
        "resize_height": 48,
    }


RECIPES = {
    "streets": (streets, "unet"),
    "cells": (cells, "detector"),
    "noise": (noise, "denoiser"),
    "same": (same, "autoencoder"),
    "angles": (angles, "regressor"),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with start_server(tmp_path_factory.mktemp("server"), "-m", "digits", "serve", "--stop-jobs") as server:
        yield Client(server)


@pytest.fixture(scope="module")
def models(client: Client, shared_data: Path) -> dict[str, str]:
    """A model of each task, trained for one epoch."""
    found = {}
    for name, (recipe, network) in RECIPES.items():
        extension, values = recipe(shared_data, client.server.jobs_dir.parent)
        made = client.json(f"/datasets/generic/create/{extension}.json", dataset_name=name, **values)
        chosen = {"model_name": name, "dataset": client.done(made["id"]), "standard_networks": network}
        found[name] = client.json(f"{GENERIC}.json", **chosen, **TRAINING, **SOLVER)["id"]
    return {name: client.done(job_id) for name, job_id in found.items()}


@pytest.fixture
def visit(page: Page, context: BrowserContext, client: Client, models: dict[str, str]) -> Any:
    """The validation samples of a model's page."""

    def go(name: str) -> Locator:
        name_yourself(context, client.server)
        page.goto(f"{client.server.url}/models/{models[name]}#samples")
        samples = page.locator("[data-validation-samples]")
        expect(samples).to_have_attribute("data-shown", re.compile("[1-9]"))  # the last step
        return samples

    return go


def picture(page: Page | Frame, selector: str) -> np.ndarray:
    """The pixels of a canvas (H, W, 4)."""
    program = """(selector) => {
        const { width, height } = document.querySelector(selector);
        const context = document.querySelector(selector).getContext("2d");
        return [width, height, [...context.getImageData(0, 0, width, height).data]];
    }"""
    width, height, values = page.evaluate(program, selector)
    return np.array(values, np.uint8).reshape(height, width, 4)


def move(page: Page | Frame, selector: str, value: str) -> None:
    page.locator(selector).fill(value)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def back_to_the_beginning(page: Page, samples: Locator) -> None:
    expect(page.locator("[data-samples-epoch]")).to_have_text("epoch 1")
    page.locator("#samples-slider").fill("0")
    expect(samples).to_have_attribute("data-shown", "0")
    expect(page.locator("[data-samples-epoch]")).to_have_text("epoch 0")


CARD = ".sample-card canvas"


def test_streets(page: Page, visit: Any, client: Client, tmp_path: Path) -> None:
    samples = visit("streets")
    expect(samples.locator("canvas")).to_have_count(2)
    back_to_the_beginning(page, samples)
    before = picture(page, CARD)
    move(page, "#sample-opacity", "1")
    assert not np.array_equal(picture(page, CARD), before)
    page.get_by_label("Prediction", exact=True).uncheck()
    page.get_by_label("Ground truth", exact=True).uncheck()
    move(page, "#sample-opacity", "0.5")
    bare = picture(page, CARD)
    page.get_by_label("Ground truth", exact=True).check()
    move(page, "#sample-opacity", "0.4")
    outlined = (picture(page, CARD) != bare).any(axis=2).mean()
    assert 0.005 < outlined < 0.5  # lines, not areas
    samples.locator("canvas").first.click()
    expect(page.locator(".sample-large canvas")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".sample-large")).to_have_count(0)
    result = results_of(page, client, "camvid/images")
    shown = picture(result, "canvas")
    move(result, "[data-option=opacity]", "0.9")
    assert not np.array_equal(picture(result, "canvas"), shown)
    with page.expect_download() as waiting:
        result.get_by_role("button", name="Mask").click()
    waiting.value.save_as(tmp_path / "mask.png")
    mask = np.asarray(Image.open(tmp_path / "mask.png"))
    assert mask.shape[:2] == (64, 96)
    assert mask[..., 0].max() < 11


def test_cells(page: Page, visit: Any, client: Client, tmp_path: Path) -> None:
    samples = visit("cells")
    back_to_the_beginning(page, samples)
    caption = samples.locator("[data-value]").first
    move(page, "#sample-score", "1")
    expect(caption).to_contain_text("0 found")
    move(page, "#sample-score", "0")
    expect(caption).not_to_contain_text("0 found, 0")
    result = results_of(page, client, "bccd/val")
    count = result.locator("[data-count]")
    move(result, "[data-option=threshold]", "0")
    kept = int(count.inner_text())
    given = client.json(f"{GENERIC}/infer_one.json", job_id=job_of(page), image_path=first(client, "bccd/val"))
    rows = np.asarray(given["outputs"]["boxes"]).reshape(-1, 6)
    assert kept == (rows[:, 4] > 0).sum()  # at the network's own overlap the page shows what the JSON has
    move(result, "[data-option=overlap]", "1")
    assert int(count.inner_text()) >= kept
    move(result, "[data-option=overlap]", "0")
    assert int(count.inner_text()) <= kept
    with page.expect_download() as waiting:
        result.get_by_role("button", name="Boxes").click()
    waiting.value.save_as(tmp_path / "boxes.json")
    assert len(json.loads((tmp_path / "boxes.json").read_text())) == int(count.inner_text())


@pytest.mark.parametrize("name", ["noise", "same"])
def test_pictures_to_pictures(page: Page, visit: Any, name: str) -> None:
    samples = visit(name)
    output = samples.locator(".sample-triple img").nth(1)
    trained = output.get_attribute("src")
    back_to_the_beginning(page, samples)
    assert output.get_attribute("src") != trained
    expect(samples.locator(".sample-triple").first).to_contain_text("dB")


def test_numbers(page: Page, visit: Any) -> None:
    samples = visit("angles")
    cell = samples.locator(".sample-numbers td").first
    trained = cell.inner_text()
    back_to_the_beginning(page, samples)
    assert cell.inner_text() != trained


def results_of(page: Page, client: Client, folder: str) -> Frame:
    """The results of the first picture of a folder, in their frame."""
    page.get_by_role("link", name="Test", exact=True).click()
    page.locator("#testing [name=image_path]").fill(first(client, folder))
    page.get_by_role("button", name="Test one").click()
    result = view_of(page)
    result.locator("[data-drawn=yes]").wait_for(timeout=60_000)
    return result


def first(client: Client, folder: str) -> str:
    return str(sorted((client.server.jobs_dir.parent / folder).iterdir())[0])


def job_of(page: Page) -> str:
    return page.url.rpartition("/")[2].partition("#")[0].partition("?")[0]


def test_an_answer_has_an_address_and_a_second_one_stands_beside(
    page: Page, context: BrowserContext, client: Client, models: dict[str, str]
) -> None:
    """Two files that are chosen at once, a second snapshot, the sliders, a reload, the code, and no camera."""
    name_yourself(context, client.server)
    address = f"{client.server.url}/models/{models['cells']}"
    page.goto(f"{address}#test")
    views = page.locator("#view_extension_id option")
    expect(views).to_have_text(["Bounding boxes", "Raw data"])
    files = [Path(first(client, "bccd/val")), Path(first(client, "bccd/train"))]
    drop(page, files)
    expect(page.locator("[data-many-progress]")).to_contain_text("2 pictures", timeout=60_000)
    last = page.locator("#try-one [data-last-list] .last-answer")
    for number in (0, 1):
        expect(last.nth(number)).to_have_attribute("title", re.compile(re.escape(files[1 - number].name)))
    page.select_option("[name=second]", models["cells"])
    expect(page.locator("#try-one [data-answers]")).to_have_attribute("data-answers", "2")
    expect(page.locator(".answer .step-bar")).to_have_count(2)
    found = page.locator(".answer:visible [data-value]")
    for score, words in (("1", "0 found"), ("0", "found")):
        page.locator("#answer-score-0").fill(score)
        expect(found.nth(1)).to_contain_text(words)  # the slider of the other follows
    page.wait_for_url("**answer=*#test")
    page.reload()
    expect(page.locator("#try-one [data-difference]")).to_contain_text("box")
    expect(page.locator("[name=second]")).to_have_value(models["cells"])
    expect(page.locator("#try-one .last-answer[aria-pressed=true]")).to_have_count(1)
    assert page.evaluate("document.querySelector('#image_file').files[0].name") == files[1].name
    page.locator("#try-one").get_by_text("As code").click()
    expect(page.locator("#try-one [data-code-text]")).to_contain_text(f"'{files[1].name}'")
    page.get_by_role("button", name="Camera").click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("camera")
    page.keyboard.press("Escape")


def drop(page: Page, files: list[Path]) -> None:
    """Drop files on the field for pictures."""
    sent = [[file.name, list(file.read_bytes())] for file in files]
    transfer = page.evaluate_handle(
        """(files) => {
            const transfer = new DataTransfer();
            for (const [name, bytes] of files) {
                transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
            }
            return transfer;
        }""",
        sent,
    )
    page.dispatch_event("[data-dropzone]", "drop", {"dataTransfer": transfer})
