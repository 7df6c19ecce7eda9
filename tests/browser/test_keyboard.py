"""Everything by keyboard: Ctrl-K finds pages, jobs, actions and documentation; `/` searches, `?` says which keys there are."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, expect

from digits.domain.jobs import Kind, Status
from tests.browser.conftest import name_yourself
from tests.browser.test_accessibility import settle, violations
from tests.builders import make_job
from tests.conftest import RunningServer


def test_ctrl_k_goes_everywhere(page: Page, context: BrowserContext, web_server: RunningServer) -> None:
    name_yourself(context, web_server)
    job = make_job(web_server.service, Kind.MODEL, "Leaf & <b>stem</b>", status=Status.DONE)
    page.goto(f"{web_server.url}/queue")
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox")
    expect(box).to_be_focused()
    settle(page)
    assert not violations(page)
    page.keyboard.type("leaf")
    expect(page.get_by_role("option", name="Leaf & <b>stem</b>")).to_have_attribute("aria-selected", "true")
    with page.expect_request(f"**/jobs/{job.id}"):
        page.keyboard.press("Enter")

    page.goto(f"{web_server.url}/queue")
    page.keyboard.press("Meta+k")
    expect(box).to_be_focused()
    page.keyboard.type("dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.get_by_role("button", name="Go to…").click()
    expect(box).to_be_focused()
    page.keyboard.type("warm-up cosine")
    expect(page.get_by_role("option").first).to_contain_text("documentation")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/docs/**")

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Ctrl K")
    page.keyboard.press("Control+k")  # one dialog at a time
    expect(page.get_by_role("dialog")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("? and /")  # are characters where one types
    expect(page.get_by_role("searchbox")).to_have_value("? and /")
    expect(page.get_by_role("dialog")).to_have_count(0)
