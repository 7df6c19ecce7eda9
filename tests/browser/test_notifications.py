"""A notification of the browser, asked for on its page, seen when a job has ended."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, expect

from digits.domain.notifications import Message
from digits.storage.notifications import Notifications
from tests.browser.conftest import name_yourself
from tests.conftest import USER, RunningServer

KEEP = """() => {
  globalThis.shown = [];
  const Real = Notification;
  globalThis.Notification = class extends Real {
    constructor(title, options) { super(title, options); this.addEventListener("show", () => shown.push([title, options.body])); }
  };
}"""


def test_it_is_shown_where_the_browser_allows_it(page: Page, context: BrowserContext, web_server: RunningServer) -> None:
    name_yourself(context, web_server)
    context.grant_permissions(["notifications"], origin=web_server.url)
    page.clock.install()
    page.add_init_script(f"({KEEP})()")
    page.goto(f"{web_server.url}/notifications")
    page.get_by_label("browser").first.check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    page.goto(f"{web_server.url}/queue")
    page.clock.run_for(10_500)
    page.wait_for_function("() => localStorage.getItem('digits-notify-last') !== null")
    kept = Notifications(web_server.service.store.engine)
    choices = kept.choices(USER)
    assert choices is not None
    assert choices.browser
    kept.add(USER, choices, "20260101-000000-abcd", "done", Message("done", "Done: <b>net</b>", "accuracy 99 %", "", {}))
    page.clock.run_for(10_500)
    page.wait_for_function("() => shown.length")
    assert page.evaluate("() => shown") == [["Done: <b>net</b>", "accuracy 99 %"]]
