"""A form that was refused comes back as it was sent: every box, choice and text of every kind of form."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from digits.service.datasets.classification import create_classification_dataset
from digits.service.datasets.from_source import PluginSource
from digits.service.datasets.source import create_dataset
from digits.storage.jobs.store import Job
from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer
from tests.service.finished_dataset import class_folder

FORMS = {
    "classification": ("/datasets/images/classification/new", "dataset_name"),
    "processing": ("/datasets/generic/new/image-processing", "dataset_name"),
    "segmentation": ("/datasets/generic/new/image-segmentation", "dataset_name"),
    "detection": ("/datasets/generic/new/image-object-detection", "dataset_name"),
    "regression": ("/datasets/generic/new/image-regression", "dataset_name"),
    "multi_label": ("/datasets/generic/new/image-multi-label", "dataset_name"),
    "dicom": ("/datasets/generic/new/image-dicom", "dataset_name"),
    "databases": ("/datasets/images/generic/new", "dataset_name"),
    "model": ("/models/images/classification/new", "model_name"),
    "other model": ("/models/images/generic/new", "model_name"),
}
# Every field of the page's form is set to something else than it shows; the name is left empty, which is the one error.
CHANGE = """([form, name]) => {
  for (const field of form.elements) {
    if (!field.name || field.disabled || ["hidden", "file", "submit", "button"].includes(field.type)) continue;
    if (field.closest("[data-tasks][hidden]")) continue; // a network for another task, which nobody can choose
    if (field.type === "checkbox") field.checked = !field.checked;
    else if (field.type === "radio") field.checked = true;
    else if (field.tagName === "SELECT") {
      const others = [...field.options].filter((option) => !option.disabled && !option.hidden && option.value !== field.value);
      if (others.length) field.value = others.at(-1).value;
    }
    else if (field.name === name) field.value = "";
    else if (field.type === "number") field.value = String(Number(field.value || 1) + Number(field.step === "any" ? 0.5 : 1));
    else field.value = `${field.value}7`;
  }
}"""
STATE = """(form) => [...form.elements]
  .filter((field) => field.name && !["csrf_token", "boxes[]"].includes(field.name) && !["file", "submit"].includes(field.type))
  .map((field) => [
    field.name,
    field.type === "radio" ? field.value : "",
    ["checkbox", "radio"].includes(field.type) ? field.checked : field.value,
  ])"""
MARKED = "form.dataset-form, form.model-form"


@pytest.fixture(scope="module")
def dataset(live_server: RunningServer) -> Job:
    """One of classes, and one of pictures that are their own labels for the form of all other tasks."""
    folder = class_folder(live_server.jobs_dir.parent / "pictures")
    values = {"dataset_name": "itself", "feature_folder": str(folder), "label_source": "image"}
    create_dataset(live_server.service, PluginSource("image-processing"), values)
    return create_classification_dataset(live_server.service, {"dataset_name": "pictures", "folder_train": str(folder)})


def state(page: Page) -> list[Any]:
    return list(page.locator(MARKED).first.evaluate(STATE))


@pytest.mark.parametrize("kind", FORMS)
def test_every_field_comes_back(kind: str, page: Page, context: BrowserContext, live_server: RunningServer, dataset: Job) -> None:
    name_yourself(context, live_server)
    address, name = FORMS[kind]
    page.goto(f"{live_server.url}{address}")
    form = page.locator(MARKED).first
    fresh = state(page)
    form.evaluate(f"(form) => ({CHANGE})([form, '{name}'])")
    sent = state(page)
    assert sum(before != after for before, after in zip(fresh, sent, strict=True)) > len(fresh) / 2
    form.evaluate("(form) => { form.noValidate = true; form.requestSubmit(form.querySelector('[type=submit]')); }")
    expect(page.locator(".alert-danger").first).to_be_visible()
    assert state(page) == sent
