"""Deleting and undoing in a real browser, and what a tab says whose job was deleted elsewhere."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, expect

from digits.domain.jobs import Status
from tests.browser.conftest import name_yourself
from tests.builders import make_job
from tests.conftest import RunningServer


def test_undo_in_the_notice_and_restore_in_another_tab(page: Page, context: BrowserContext, web_server: RunningServer) -> None:
    name_yourself(context, web_server)
    spec = {"dataset_id": "", "task": "classification"}
    job = make_job(web_server.service, name="precious", status=Status.DONE, spec=spec)
    address = f"{web_server.url}/models/{job.id}"
    other = context.new_page()
    other.goto(address)
    page.goto(address)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Delete Job").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#toasts")).to_contain_text("Deleted “precious”.")
    expect(other.locator("[data-job-gone]")).to_contain_text("This job was deleted.")
    expect(other.get_by_role("button", name="Delete Job")).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toasts")).to_contain_text("precious is restored.")
    expect(page.locator(f'#pane-model tr[data-id="{job.id}"]')).to_be_visible()
    expect(other.locator("[data-job-gone]")).to_have_count(0)
    web_server.service.store.request_action(job.id, "delete")
    page.goto(address)
    page.get_by_role("button", name="Restore precious").click()
    expect(page.locator("[data-job-name]").first).to_have_text("precious")
    web_server.service.store.request_action(job.id, "delete")
    page.goto(f"{web_server.url}/trash")
    page.get_by_role("button", name="Empty").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#content")).to_contain_text("Nothing in it")
