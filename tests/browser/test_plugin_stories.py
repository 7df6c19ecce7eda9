"""Plugins from the menu to the overlay, as a person sees it: real hearts twice, and two packages of the original's time."""

from __future__ import annotations

import math
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import name_yourself, view_of
from tests.browser.test_story import LONG
from tests.conftest import RunningServer, start_server
from tests.sunnybrook import Sunnybrook, copy_sunnybrook

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    ROOT / "plugins" / "sunnybrook",
    ROOT / "tests" / "plugin_host" / "legacy_plugins" / "waves",
    ROOT / "tests" / "plugin_host" / "legacy_plugins" / "chart",
)
NETWORK = """
from torch import nn

def build_network(context):
    channels, height, width = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, context.num_classes))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that finds the three packages, installed with pip into a folder of their own."""
    folder = tmp_path_factory.mktemp("stories")
    ignored = shutil.ignore_patterns("build", "*.egg-info")
    copies = [str(shutil.copytree(source, folder / "sources" / source.name, ignore=ignored)) for source in SOURCES]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(folder / "site"), *copies], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")])))
        with start_server(folder, "-m", "digits", "serve", "--stop-jobs") as running:
            yield running


@pytest.fixture(scope="module")
def hearts(server: RunningServer, shared_data: Path) -> Sunnybrook:
    return copy_sunnybrook(shared_data, server.jobs_dir.parent / "hearts")


def choose_source(page: Page, server: RunningServer, title: str) -> None:
    """By the menu, once the plugin host has told what there is."""
    name_yourself(page.context, server)
    page.goto(server.url)
    page.get_by_role("button", name="New Dataset").click()
    page.get_by_role("link", name=title, exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"New {title} Dataset")


def create(page: Page, **values: str) -> None:
    """Fill fields in by their names and send the form."""
    for name, value in values.items():
        field = page.locator(f"[name={name}]")
        if field.evaluate("(element) => element.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    page.get_by_role("button", name="Create").click()


def train_unet(page: Page, name: str) -> None:
    """From a finished data set's page to a finished model's."""
    expect(page.get_by_text("Ready", exact=True)).to_be_visible(timeout=LONG)
    page.get_by_role("link", name="Train").first.click()
    page.locator("label", has_text="U-Net (small)").first.click()
    create(page, train_epochs="1", batch_size="2", model_name=name)
    expect(page.locator("[data-job-status]")).to_have_text("Done", timeout=LONG)


def expect_dice(page: Page, class_name: str) -> None:
    """The page that watched the training has a curve of the validation Dice and a row for the class; nobody reloaded it."""
    names = "[...document.querySelectorAll('.js-plotly-plot')].flatMap((plot) => plot.data.map((trace) => trace.name))"
    page.wait_for_function(f"() => {names}.some((name) => name.startsWith('mean_dice'))")
    expect(page.get_by_role("row").filter(has_text=class_name).first).to_contain_text("%")


def expect_overlay(page: Page, class_name: str) -> None:
    """Test a record of the validation split in the segmentation view; the overlay and the true mask can be seen."""
    page.get_by_role("tab", name="Evaluate/Test").click()
    expect(page.locator("#view_extension_id")).to_have_value("image-segmentation")
    page.locator("fieldset.plugin-form [name=validation_record]").select_option(index=1)
    page.locator("fieldset.plugin-form").get_by_role("button", name="In the view", exact=True).click()
    results = view_of(page)
    sample = results.locator(".view-sample")
    expect(sample.locator("canvas")).to_be_visible()
    expect(sample).to_have_attribute("data-truth", re.compile("^data:image/png"))
    expect(results.locator(".legend")).to_contain_text(class_name)
    painted = "() => { const c = document.querySelector('.view-sample canvas'); return c.width >= 64 && c.height >= 64; }"
    results.wait_for_function(painted)


@pytest.mark.long
def test_hearts_through_the_installed_plugin(page: Page, server: RunningServer, hearts: Sunnybrook) -> None:
    choose_source(page, server, "Sunnybrook LV Segmentation")
    folders = {"image_folder": str(hearts.pictures), "contour_folder": str(hearts.contours)}
    create(page, **folders, picture_size="64", folder_pct_val="25", dataset_name="Sunnybrook")
    train_unet(page, "Ventricle")
    expect_dice(page, "left ventricle")
    expect_overlay(page, "left ventricle")


def test_hearts_through_the_built_in_dicom_source(page: Page, server: RunningServer, hearts: Sunnybrook) -> None:
    choose_source(page, server, "DICOM")
    folders = {"dicom_folder": str(hearts.pictures), "labels": "masks", "mask_folder": str(hearts.masks)}
    sizes = {"image_width": "64", "image_height": "64"}
    create(page, **folders, **sizes, split_by="picture", class_names="background, ventricle", dataset_name="Slices")
    train_unet(page, "Slices")
    expect_dice(page, "ventricle")
    expect_overlay(page, "ventricle")


def write_waves(folder: Path) -> None:
    chance = random.Random(3)
    rows = [[i % 3, *(math.sin((i % 3 + 1) * t / 3 + i) + chance.gauss(0, 0.1) for t in range(16))] for i in range(30)]
    (folder / "waves.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    (folder / "labels.txt").write_text("slow\nmiddle\nfast\n")


def test_packages_of_the_originals_time(page: Page, server: RunningServer) -> None:
    folder = server.jobs_dir.parent
    write_waves(folder)
    choose_source(page, server, "Waves")
    expect(page.locator("#val_data_file")).to_be_hidden()  # by the template's own jQuery
    page.locator("[name=split][value=file]").check()
    expect(page.locator("#val_data_file")).to_be_visible()
    create(page, train_data_file=str(folder / "waves.csv"), dataset_name="Waves")
    expect(page.locator(".form-group.has-error", has=page.locator("#val_data_file"))).to_be_visible()
    page.locator("[name=split][value=share]").check()
    page.locator("[name=class_labels_file]").set_input_files(str(folder / "labels.txt"))
    create(page, remark="/IM-(.*)/")
    expect(page.get_by_text("Ready", exact=True)).to_be_visible(timeout=LONG)
    dataset = page.url.rsplit("/", 1)[1]
    network: dict[str, str | float | bool] = {"method": "custom", "custom_network": NETWORK}
    training = {**network, "train_epochs": "1", "dataset": dataset, "model_name": "Waves"}
    made = page.context.request.post(f"{server.url}/models/images/generic.json", form=training).json()
    page.goto(f"{server.url}/models/{made['id']}#test")
    expect(page.locator("[data-job-status]")).to_have_text("Done", timeout=LONG)
    page.locator("#view_extension_id").select_option("signal-chart")
    expect(page.locator("[data-path-field] #legend_file")).to_be_visible()  # paths are completed in options too
    page.locator("fieldset.plugin-form [name=record]").select_option("4")
    page.locator("fieldset.plugin-form [name=count]").select_option("2")
    page.locator("fieldset.plugin-form").get_by_role("button", name="In the view", exact=True).click()
    results = view_of(page)
    expect(results.locator(".chart-sample")).to_have_count(2)
    expect(results.locator("#chart-last")).to_have_text("sample-000000001")  # jQuery in the header, filled in afterwards
    assert results.evaluate("[window.chart_names, window.chart_after]") == [["000000000", "000000001"], 2]
    results.locator(".chart-sample button").first.click()  # a handler in the markup
    expect(results.locator(".chart-sample button").first).to_have_text("marked")
    expect_answer_beside_the_form(page)


def expect_answer_beside_the_form(page: Page) -> None:
    """What a plugin's form asks has what a picture has: an answer in the page with its times, an address, code."""
    own = page.locator("[data-try-own]")
    own.locator("[name=count]").select_option("1")
    own.get_by_role("button", name="Answer", exact=True).click()
    expect(own.locator(".predictions li")).to_have_count(3)
    expect(own.locator(".steps")).to_contain_text("predicted")
    expect(own.locator("[data-result-time]")).to_contain_text("was answered after")
    expect(own.locator(".last-answer")).to_have_count(1)
    expect(page.locator("#try-one .last-answer")).to_have_count(0)
    best = own.locator(".predictions li").first.inner_text()
    own.locator(".try-code > summary").click()
    expect(own.locator("[data-code-text]")).to_contain_text("record='4'")
    page.reload()
    expect(own.locator(".predictions li").first).to_have_text(best.replace("\n", ""))
    expect(own.locator("[data-result-time]")).to_have_text("An answer that was kept.")
    expect(own.locator("[name=record]")).to_have_value("4")
