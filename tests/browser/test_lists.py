"""The page of a table in a real browser: its address is the view; queries, renaming, tags, folded seeds, keys, a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from digits.domain.jobs import Kind, Status
from digits.storage.jobs.store import Output
from tests.browser.conftest import name_yourself
from tests.builders import make_job
from tests.conftest import RunningServer

LINES = "tbody tr[data-id]"
LONG = "which network is the best one on handwritten digits"


@pytest.fixture(scope="module")
def models(web_server: RunningServer) -> dict[str, str]:
    """Seven models, two of which differ by their seed alone."""
    service = web_server.service
    data = make_job(service, Kind.DATASET, "mnist", status=Status.DONE)
    made = {}
    for number in range(6):
        rate = 0.1 if number < 2 else 0.1 / number
        network = "lenet" if number % 2 else "alexnet"
        job = make_job(
            service, name=f"{LONG} {number}", status=Status.DONE, parents=(data.id,), network=network,
            form={"learning_rate": [rate]}, spec={"seed": number, "network": "alike"}, framework="pytorch",
        )  # fmt: skip
        best = 0.5 + number / 100
        service.store.put_outputs(job.id, [Output(job.id, "accuracy", "val", "accuracy", best, 0.1, best, 1.0, 2.0)])
        service.store.update(job.id, best_name="accuracy", best_value=best, best_epoch=2.0, best_better="higher")
        made[str(number)] = job.id
    made["odd"] = make_job(service, name="<b>odd</b> 🙂 a/b", status=Status.ERROR).id
    return made


@pytest.fixture
def page_of_models(page: Page, context: BrowserContext, web_server: RunningServer, models: dict[str, str]) -> Page:
    name_yourself(context, web_server)
    page.goto(f"{web_server.url}/models")
    expect(page.locator(LINES)).to_have_count(7)
    return page


def test_the_address_is_the_view(page_of_models: Page, context: BrowserContext, models: dict[str, str]) -> None:
    page, lines = page_of_models, page_of_models.locator(LINES)
    page.locator("[data-search]").fill("accuracy>0.52 dataset:mnist")
    expect(lines).to_have_count(3)
    page.locator("th").get_by_role("button", name="Best", exact=True).click()
    expect(lines.first).to_contain_text("55 %")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Search columns").fill("learning_rate")
    page.get_by_label("learning_rate", exact=True).check()
    expect(lines.first).to_contain_text("0.02")
    page.keyboard.press("Escape")
    lines.nth(1).locator("td:has(.pill)").click()
    expect(page.locator('[aria-selected="true"]')).to_have_count(1)
    address = page.url
    assert f"selected={models['4']}" in address

    def shows_it(tab: Page) -> None:
        expect(tab.locator(LINES)).to_have_count(3)
        expect(tab.locator("[data-search]")).to_have_value("accuracy>0.52 dataset:mnist")
        expect(tab.locator(LINES).first).to_contain_text("55 %")
        expect(tab.locator("thead")).to_contain_text("learning_rate")
        expect(tab.locator(f'tr[data-id="{models["4"]}"]')).to_have_attribute("aria-selected", "true")

    page.reload()
    shows_it(page)
    assert context.browser is not None
    other = context.browser.new_context().new_page()
    other.goto(address)
    shows_it(other)
    other.context.close()
    page.locator("[data-status=failed]").click()
    expect(page.locator("[data-nothing]")).to_be_visible()
    page.go_back()
    shows_it(page)
    page.go_back()
    expect(page.locator("thead")).not_to_contain_text("learning_rate")


@pytest.mark.parametrize("gone", ["sort=-setting.nothing", "sort=-history", "metric=nothing", "sort=-best&metric=nothing"])
def test_an_order_that_is_gone_is_left_and_the_rest_of_the_address_holds(
    page_of_models: Page, web_server: RunningServer, gone: str
) -> None:
    page = page_of_models
    page.goto(f"{web_server.url}/models?query=network:alexnet&{gone}")
    expect(page.locator("#toasts")).to_contain_text("They are in the usual order.")
    expect(page.locator("tbody tr[data-id]")).to_have_count(3)
    expect(page).to_have_url(f"{web_server.url}/models?query=network%3Aalexnet")


def test_an_error_is_marked_where_it_is_and_names_are_completed(page_of_models: Page) -> None:
    page, box = page_of_models, page_of_models.locator("[data-search]")
    box.fill("lenet acuracy>0.5")
    expect(page.locator("[data-query-error] mark")).to_have_text("acuracy")
    expect(page.locator("[data-query-error]")).to_contain_text("Did you mean accuracy")
    expect(page.locator(LINES)).to_have_count(7)
    box.fill("network:al")
    page.get_by_role("option", name="alexnet").click()
    expect(box).to_have_value("network:alexnet")
    expect(page.locator(LINES)).to_have_count(3)
    expect(page.locator("[data-query-error]")).to_be_hidden()
    page.locator("th", has_text="Network").hover()
    page.get_by_role("button", name="Filter by Best").focus()
    page.keyboard.press("Enter")
    page.locator("dialog input").fill(">= 0.52")
    page.locator("dialog").get_by_role("button", name="Filter").click()
    expect(box).to_have_value("network:alexnet accuracy>=0.52")
    expect(page.locator(LINES)).to_have_count(2)


def test_seeds_fold_views_are_saved_and_what_is_selected_is_compared(page_of_models: Page, models: dict[str, str]) -> None:
    page, lines = page_of_models, page_of_models.locator(LINES)
    page.get_by_label("Fold seeds").check()
    page.get_by_label("Group by").select_option("dataset")
    expect(lines).to_have_count(6)
    expect(page.locator(".group-row")).to_have_text(["No data set 1", "mnist 6"])
    expect(lines.filter(has_text="2 seeds")).to_contain_text("50.50 % ± 0.71 %")
    page.get_by_role("button", name="2 seeds").click()
    expect(lines).to_have_count(7)
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="Save this view…").click()
    page.locator("dialog input").fill("<i>folded</i>")
    page.locator("dialog").get_by_role("button", name="Save").click()
    page.get_by_label("Fold seeds").uncheck()
    page.get_by_label("Group by").select_option("")
    expect(page.locator(".group-row")).to_have_count(0)
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="<i>folded</i>", exact=True).click()
    expect(page.locator(".group-row")).to_have_count(2)
    page.locator(f'tr[data-id="{models["2"]}"] input').check()
    place = lines.first.bounding_box()
    page.locator(f'tr[data-id="{models["3"]}"] input').check()
    assert lines.first.bounding_box() == place, "selecting moves nothing"
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**/compare?ids=*")
    assert {models["2"], models["3"]} == set(page.url.partition("ids=")[2].split(","))


def test_renaming_tags_and_keys(page_of_models: Page, web_server: RunningServer, models: dict[str, str]) -> None:
    page, store = page_of_models, web_server.service.store
    line = page.locator(f'tr[data-id="{models["odd"]}"]')
    expect(line.locator("td.name").first).to_have_text("<b>odd</b> 🙂 a/b")
    page.locator("table").focus()
    page.keyboard.press("ArrowDown")
    expect(line).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Space")
    expect(line).to_have_attribute("aria-selected", "false")
    page.keyboard.press("Space")
    page.keyboard.press("F2")
    store.update(models["odd"], name="from another tab")
    page.locator(".renaming").fill("mine <i>")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_contain_text("from another tab")
    page.locator("dialog").get_by_role("button", name="Rename").click()
    expect(line.locator("td.name").first).to_have_text("mine <i>")
    assert store.get(models["odd"]).name == "mine <i>"
    line.locator("input").check()
    page.get_by_role("button", name="Tag…").click()
    page.locator("dialog input").fill("paper, week 12")
    page.locator("dialog").get_by_role("button", name="Tag").click()
    page.locator("[data-search]").fill('tag:"week 12"')
    expect(page.locator(LINES)).to_have_count(1)
    assert store.get(models["odd"]).tags == ["paper", "week 12"]


def test_on_a_phone_name_status_and_metric_come_first(page_of_models: Page, web_server: RunningServer) -> None:
    page = page_of_models
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(f"{web_server.url}/models?query=mnist&sort=-best&columns=name,gone,setting.gone,loss (val) last")
    expect(page.locator(LINES)).to_have_count(6)
    expect(page.locator("thead th")).to_have_text(["", "Name", "gone", "loss (val) last"])
    page.goto(f"{web_server.url}/models?query=mnist&sort=-best")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    best = page.locator("td.best").first.bounding_box()
    assert best is not None
    assert best["x"] + best["width"] <= 400
    ends = page.locator(".cut-end").all_inner_texts()
    assert len({text[-1] for text in ends}) == len(ends) == 6, "where the names differ is not cut"
