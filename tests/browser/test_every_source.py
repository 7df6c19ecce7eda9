"""Every source and plugin by its own page: form, *Train*, *Create* without touching a field, *Done*, an answer to a record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import name_yourself
from tests.browser.test_story import LONG
from tests.journeys.client import Client, server_with
from tests.sources import PLUGINS, SOURCES

FIRST_OF = {network: name for name, (*_, network) in reversed(SOURCES.items())}  # they are asked too
ALIKE = ("lists", "itself", "databases-numbers", "databases-planes", "databases-alone")  # their source has a row without them

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with server_with(PLUGINS, tmp_path_factory.mktemp("sources")) as client:
        yield client


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.long) if name in ALIKE else name for name in SOURCES])
def test_from_the_form_to_a_trained_model(name: str, page: Page, client: Client) -> None:
    address, prepare, task, network = SOURCES[name]
    name_yourself(page.context, client.server)
    page.goto(f"{client.server.url}{address}")
    for field, value in prepare(root=client.server.jobs_dir.parent / name).items():
        fill_in(page, field, str(value))
    page.locator("[name=dataset_name]").fill(name)
    create(page)
    expect(page.get_by_text("Ready", exact=True)).to_be_visible(timeout=LONG)
    never_called_generic(page)

    dataset = re.search(r"/datasets/([\w-]+)", page.url)
    assert dataset
    folder = client.server.jobs_dir / dataset[1]
    requested, info = (json.loads((folder / file).read_text()) for file in ("job.json", "dataset.json"))
    row = client.server.service.store.get(dataset[1])
    assert {row.task, requested["task"], requested["spec"]["task"], info["task"]} == {task}

    page.get_by_role("link", name="Train").first.click()
    expect(page.locator("[name=standard_networks]:checked")).to_have_value(network)
    never_called_generic(page)
    create(page)
    page.wait_for_url(re.compile(r"/models/\d{8}-"))
    model = page.url
    page.goto("about:blank")  # charts that nobody watches need not be drawn
    client.done(model.rpartition("/")[2])
    page.goto(model)
    expect(page.locator("[data-job-status]")).to_have_text("Done")
    never_called_generic(page)
    if FIRST_OF[network] == name:
        page.get_by_role("link", name="Test", exact=True).click()
        page.locator("#try-tab-one").click()
        page.locator("[data-record]").first.click()
        expect(page.locator("#try-one [data-result-time]")).to_contain_text("answered after", timeout=LONG)
        scored = page.locator("#try-one [data-result] .predictions .list-group-item")
        expect(scored.or_(page.locator("#try-one [data-result-board] .sample-card")).first).to_be_visible()


def fill_in(page: Page, name: str, value: str) -> None:
    """A field of any kind by its name, as it is shown at that moment."""
    if name == "method":
        page.locator(f"[data-tab={value}]").click()
        return
    field = page.locator(f"[name={name}]:visible")
    kind = field.evaluate("(element) => element.type")
    if kind == "checkbox":
        field.check()
    elif kind == "select-one":
        field.select_option(value)
    else:
        field.fill(value)


def create(page: Page) -> None:
    page.get_by_role("button", name="Create", exact=True).click()


def never_called_generic(page: Page) -> None:
    """What scripts call generic has a name of its own on the pages."""
    assert "generic" not in page.locator("body").inner_text().lower()
