"""The home page in a real browser: live rows, sorting, selection, dialogs, colours, the narrow screen."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from digits.domain.jobs import Kind, Status
from digits.storage.jobs.store import JobQuery, Output
from tests.browser.conftest import name_yourself
from tests.builders import make_job
from tests.conftest import RunningServer
from tests.waiting import wait_for


@pytest.fixture
def home(page: Page, context: BrowserContext, web_server: RunningServer) -> Page:
    name_yourself(context, web_server)
    for job in web_server.service.store.query(JobQuery()).jobs:
        web_server.service.store.purge(job.id)
    return page


def rows(page: Page) -> list[str]:
    return page.locator("#pane-model tbody tr[data-id] td.name:nth-child(2)").all_inner_texts()


def test_an_empty_home_has_one_obvious_button(home: Page, web_server: RunningServer) -> None:
    home.goto(web_server.url)
    expect(home.locator("#pane-model").get_by_role("link", name="Make the first data set")).to_be_visible()
    expect(home.locator("#pane-model table")).to_be_hidden()


def test_rows_come_change_and_go_without_a_reload(home: Page, web_server: RunningServer) -> None:
    store = web_server.service.store
    home.goto(web_server.url)
    job = make_job(web_server.service, name="newcomer", status=Status.RUN)
    line = home.locator(f'#pane-model tr[data-id="{job.id}"]')
    expect(line).to_contain_text("newcomer")
    card = home.locator(f'.run-card[data-id="{job.id}"]')
    store.update(job.id, progress=0.42, eta=75.0, sparkline=[3.0, 2.0, 1.0])
    expect(card).to_contain_text("42 %")
    expect(card).to_contain_text("1:15 left")
    store.transition(job.id, Status.DONE, best_name="accuracy", best_value=0.991, best_epoch=3.0)
    expect(line).to_contain_text("Done")
    expect(line).to_contain_text("accuracy ↑ 99.1 % @ 3")
    expect(card).to_have_count(0)
    store.request_action(job.id, "delete")
    expect(line).to_have_count(0)


def test_two_tabs_share_what_happens(home: Page, context: BrowserContext, web_server: RunningServer) -> None:
    home.goto(web_server.url)
    second = context.new_page()
    second.goto(web_server.url)
    job = make_job(web_server.service, name="seen twice", status=Status.RUN)
    for tab in (home, second):
        expect(tab.locator(f'#pane-model tr[data-id="{job.id}"]')).to_be_visible()
    home.close()
    web_server.service.store.update(job.id, name="renamed")
    expect(second.locator(f'#pane-model tr[data-id="{job.id}"]')).to_contain_text("renamed")


def test_sort_search_columns_are_kept_over_a_reload(home: Page, web_server: RunningServer) -> None:
    for number in (2, 3, 1):
        job = make_job(web_server.service, name=f"model {number}", status=Status.DONE)
        output = Output(job.id, "accuracy", "val", "accuracy", number / 10, 0.0, 1.0, 1.0, 2.0)
        web_server.service.store.put_outputs(job.id, [output])
    home.goto(web_server.url)
    expect(home.locator("#pane-model tbody tr")).to_have_count(3)
    home.locator("#pane-model th").get_by_text("Name").click()
    wait_for(lambda: rows(home) == ["model 1", "model 2", "model 3"])
    home.locator("#pane-model").get_by_role("button", name="Columns").click()
    home.locator("#pane-model").get_by_label("accuracy (val) last").check()
    home.keyboard.press("Escape")
    home.locator("#pane-model th").get_by_text("accuracy (val) last").click()
    wait_for(lambda: rows(home) == ["model 3", "model 2", "model 1"])
    home.reload()
    wait_for(lambda: rows(home) == ["model 3", "model 2", "model 1"])
    home.locator("#pane-model [data-search]").fill("model 2")
    wait_for(lambda: rows(home) == ["model 2"])
    home.locator("#pane-model [data-search]").fill("no such thing")
    expect(home.locator("#pane-model [data-nothing]")).to_be_visible()
    home.locator("#pane-model [data-clear]").click()
    wait_for(lambda: len(rows(home)) == 3)


def test_selection_by_mouse_and_keys_and_what_is_done_with_it(home: Page, web_server: RunningServer) -> None:
    jobs = [make_job(web_server.service, name=f"m{number}", status=Status.DONE) for number in range(5)]
    home.goto(web_server.url)
    lines = home.locator("#pane-model tbody tr[data-id]")
    expect(lines).to_have_count(5)
    chosen = home.locator('#pane-model tr[aria-selected="true"]')
    status = "td:has(.pill)"
    lines.nth(0).locator(status).click()
    expect(chosen).to_have_count(1)
    lines.nth(3).locator(status).click(modifiers=["Shift"])
    expect(chosen).to_have_count(4)
    lines.nth(1).locator(status).click(modifiers=["Control"])
    expect(chosen).to_have_count(3)
    home.locator("#pane-model table").press("Control+i")
    expect(chosen).to_have_count(2)
    home.locator("#pane-model table").press("Control+a")
    expect(chosen).to_have_count(5)
    home.get_by_role("button", name="Group…").click()
    home.locator("dialog input").fill("my group")
    home.locator("dialog").get_by_role("button", name="Group").click()
    wait_for(lambda: {web_server.service.store.get(job.id).group for job in jobs} == {"my group"})
    home.locator("#pane-model").get_by_label("Group by").select_option("group")
    expect(home.locator("#pane-model .group-row")).to_contain_text("my group")
    home.locator("#pane-model table").press("Control+a")
    home.locator("#pane-model").get_by_role("button", name="Delete").click()
    expect(home.locator("dialog")).to_contain_text("5 jobs")
    home.locator("dialog").get_by_role("button", name="Delete").click()
    expect(lines).to_have_count(0)


def test_the_size_of_a_page_can_be_chosen(home: Page, web_server: RunningServer) -> None:
    for number in range(60):
        make_job(web_server.service, name=f"m{number}", status=Status.ABORT)
    home.goto(web_server.url)
    expect(home.locator("#pane-model [data-range]")).to_have_text("1–50 of 60")
    home.get_by_role("button", name="Next page").locator("visible=true").click()
    expect(home.locator("#pane-model [data-range]")).to_have_text("51–60 of 60")
    home.get_by_role("button", name="Previous page").locator("visible=true").click()
    home.locator("#pane-model [data-size]").select_option("1000")
    expect(home.locator("#pane-model tbody tr[data-id]")).to_have_count(60)
    expect(home.locator("#pane-model [data-range]")).to_have_text("1–60 of 60")


def test_colours_are_kept_and_the_narrow_page_has_a_menu(home: Page, web_server: RunningServer) -> None:
    make_job(web_server.service, Kind.DATASET, "data " * 30, status=Status.DONE)
    home.goto(web_server.url)
    home.get_by_role("button", name="Dark").click()
    home.reload()
    assert home.locator("html").get_attribute("data-bs-theme") == "dark"
    home.set_viewport_size({"width": 400, "height": 800})
    home.goto(f"{web_server.url}/?tab=1")
    expect(home.locator("#pane-dataset tbody tr")).to_have_count(1)
    assert home.evaluate("document.documentElement.scrollWidth") <= 400
    home.get_by_role("button", name="Menu").click()
    home.get_by_role("link", name="Queue & hardware").click()
    expect(home.get_by_role("heading", name="Queue & hardware")).to_be_visible()
    expect(home.locator(".meter")).not_to_have_count(0)
    assert home.evaluate("document.documentElement.scrollWidth") <= 400


def test_what_waits_is_one_line_and_no_row(home: Page, web_server: RunningServer) -> None:
    store = web_server.service.store
    jobs = [make_job(web_server.service, name=f"patient {number}", status=Status.WAIT) for number in range(30)]
    home.goto(web_server.url)
    expect(home.locator("[data-waiting] summary")).to_have_text("30 waiting")
    expect(home.locator("#pane-model [data-all-wait]")).to_be_visible()
    expect(home.locator("#pane-model tbody tr")).to_have_count(0)
    home.locator("[data-waiting] summary").click()
    expect(home.locator("[data-waiting] .run-card")).to_have_count(24)
    expect(home.locator("[data-more-waiting]")).to_contain_text("and 6 more")
    store.transition(jobs[0].id, Status.RUN)
    expect(home.locator("[data-waiting] summary")).to_have_text("29 waiting")
    expect(home.locator('[data-strip="R"] .run-card')).to_contain_text("patient 0")
    expect(home.locator("#pane-model tbody tr")).to_have_count(1)
    home.locator("#pane-model [data-status=waiting]").click()
    expect(home.locator("#pane-model tbody tr")).to_have_count(29)


def test_home_shows_the_last_results_and_the_machine(home: Page, web_server: RunningServer) -> None:
    store = web_server.service.store
    good = make_job(web_server.service, name="good <b>", status=Status.DONE)
    store.update(good.id, best_name="accuracy", best_value=0.987, best_better="higher", finished=time.time())
    bad = make_job(web_server.service, name="bad", status=Status.ERROR)
    store.update(bad.id, error="The network has no layer called fc9.", finished=time.time() - 60)
    home.goto(web_server.url)
    results = home.locator("[data-result]")
    expect(results).to_have_count(2)
    expect(results.first).to_contain_text("98.7 % accuracy ↑")
    expect(results.last).to_contain_text("The network has no layer called fc9.")
    expect(home.locator(".device")).to_have_count(3)
    expect(home.locator("[data-supervisor]")).to_contain_text("Jobs do not start at the moment.")
    for width in (1280, 400):
        home.set_viewport_size({"width": width, "height": 900})
        assert home.evaluate("document.documentElement.scrollWidth") <= width
