"""The printed address in a real browser, and what a session may do; path fields with completion and Browse."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from digits.domain.jobs import Status
from digits.service import accounts
from tests.browser.conftest import name_yourself
from tests.builders import make_job
from tests.conftest import RunningServer, start_server


def test_the_printed_address_opens_a_session_that_can_act_and_end(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    with start_server(tmp_path_factory.mktemp("guarded"), "-m", "digits.web", auth="true") as server:
        page.goto(server.url)
        expect(page.get_by_label("Token")).to_be_visible()
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Login").click()
        expect(page.get_by_role("alert")).to_contain_text("That is not the token.")
        job = make_job(server.service, name="mine", owner=accounts.default_user(), status=Status.DONE)
        page.goto(f"{server.url}/?token={accounts.new_first_token(server.service)}")
        assert "token" not in page.url
        line = page.locator(f'tr[data-id="{job.id}"]')
        line.locator("input").check()
        page.locator("#pane-model").get_by_role("button", name="Group…").click()
        page.locator("dialog input").fill("first")
        page.locator("dialog").get_by_role("button", name="Group").click()
        expect(page.locator(".note.success")).to_have_text("Jobs regrouped.")
        assert server.service.store.get(job.id).group == "first"
        page.get_by_role("button", name="Log out").click()
        page.goto(f"{server.url}/queue")
        expect(page.get_by_label("Token")).to_be_visible()


def test_a_path_is_completed_and_browsed(page: Page, context: BrowserContext, web_server: RunningServer) -> None:
    name_yourself(context, web_server)
    data = Path(web_server.service.settings.data_dirs) / "pictures"
    for name in ("cats", "dogs"):
        (data / name).mkdir(parents=True)
    page.goto(f"{web_server.url}/datasets/images/classification/new")
    field = page.locator("#folder_train")
    field.press_sequentially(f"{data}/c")
    expect(page.locator(".suggestions li:visible")).to_have_text([f"{data}/cats/"])
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value(f"{data}/cats/")
    field.fill(str(data))
    page.locator('[data-field="folder_train"] [data-browse]').click()
    dialog = page.locator("dialog")
    expect(dialog.locator(".crumb-path")).to_have_text(str(data))
    dialog.get_by_role("button", name="dogs").click()
    expect(dialog.locator(".crumb-path")).to_have_text(f"{data}/dogs")
    dialog.get_by_role("button", name="Use this folder").click()
    expect(field).to_have_value(f"{data}/dogs")
