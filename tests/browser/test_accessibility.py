"""Every kind of page, light and dark, looked at by axe-core: nothing it calls serious or critical."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from digits.domain.jobs import Status
from digits.service import accounts, tokens
from tests.browser.conftest import PATIENCE_MS, name_yourself
from tests.browser.test_training_page import Training, training
from tests.builders import make_job
from tests.conftest import RunningServer, start_server
from tests.journeys.client import Client
from tests.service.finished_dataset import class_folder

__all__ = ["training"]

GRAVE = ("serious", "critical")
LONG = 120_000
QUIET_MS, LONGEST_MS = 120, 2000  # so long nothing on the page changes; not waited for any longer
DATASETS = "/datasets/images/classification"
MODELS = "/models/images/classification"


def violations(page: Page, **options: Any) -> list[str]:
    """What axe finds on the page as it is: rule, gravity, and each element with the reason."""
    found = Axe().run(page, options=options or None).response["violations"]
    return [
        f"{rule['id']} ({rule['impact']}): {node['target']} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


@pytest.fixture(scope="module")
def tab(chromium: Browser) -> Iterator[Page]:
    """One tab for all pages of this file."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def settle(page: Page) -> None:
    """Wait until nothing on the page has changed for a moment."""
    page.evaluate(
        """([quiet, longest]) => new Promise((done) => {
            let timer;
            const end = () => { watcher.disconnect(); done(); };
            const again = () => { clearTimeout(timer); timer = setTimeout(end, quiet); };
            const watcher = new MutationObserver(again);
            watcher.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
            setTimeout(end, longest);
            again();
        })""",
        [QUIET_MS, LONGEST_MS],
    )


def check(page: Page) -> None:
    """The page in the light colours with all rules, then the contrast in the dark ones."""
    page.add_style_tag(content="*, *::before, *::after { transition: none !important; animation: none !important; }")
    for theme, rules in (("Light", {}), ("Dark", {"runOnly": ["color-contrast"]})):
        page.get_by_role("button", name=theme, exact=True).click()
        settle(page)  # charts are drawn anew
        found = violations(page, **rules)
        assert not found, f"{page.url}, {theme}:\n" + "\n".join(found)


@dataclass(frozen=True)
class Site:
    """A server with one of everything that is finished."""

    server: RunningServer
    pictures: Path
    dataset: str
    model: str
    repeated: str
    evaluation: str

    def address(self, pattern: str) -> str:
        return self.server.url + pattern.format(
            **{name: getattr(self, name) for name in ("pictures", "dataset", "model", "repeated", "evaluation")}
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with start_server(folder, "-m", "digits", "serve", "--stop-jobs") as server:
        client = Client(server)
        pictures = class_folder(folder / "pictures", per_class=12, side=32)
        (pictures / "red-to-right" / "broken.png").write_bytes(b"no picture")
        fields = {"folder_train": pictures, "folder_pct_val": 25, "folder_pct_test": 25, "resize_width": 32, "resize_height": 32}
        made = client.json("/datasets/images/classification.json", dataset_name="Gradients", method="folder", **fields)
        dataset = client.done(made["id"])
        learning = {"train_epochs": 2, "batch_size": 8, "learning_rate": 0.01, "method": "standard", "standard_networks": "lenet"}
        learning["traces_interval"] = 3
        made = client.json("/models/images/classification.json", model_name="Small", dataset=dataset, **learning)
        model = client.done(made["id"])
        evaluation = client.done(client.json(f"/models/{model}/evaluate.json", split="val_db")["id"])
        repeated = client.done(client.json(f"/models/{model}/repeat.json", seeds=1)["ids"][0])
        yield Site(server, pictures, dataset, model, repeated, evaluation)


PAGES = (
    "/docs/getting-started.md",
    "/?tab=1",
    "/?tab=2",
    "/?tab=4",
    "/models?columns=name,best,gone&selected={model}",
    "/datasets",
    "/evaluations",
    "/serve?model={model}",
    f"{DATASETS}/new",
    "/datasets/{dataset}",
    "/datasets/{dataset}/problems",
    f"{DATASETS}/explore?job_id={{dataset}}&db=train_db",
    "/datasets/generic/new/image-segmentation",
    "/datasets/generic/new/image-object-detection",
    f"{MODELS}/new?dataset={{dataset}}",
    "/models/{model}",
    "/compare?ids={model},{repeated}",
    f"{MODELS}/large_graph?job_id={{model}}",
    f"{MODELS}/timeline_tracing?job_id={{model}}",
    f"{MODELS}/classify_one?job_id={{model}}&image_path={{pictures}}/red-to-right/0.png&show_visualizations=y",
    f"{MODELS}/top_n?job_id={{model}}&image_folder={{pictures}}&top_n=2",
    "/evaluations/{evaluation}",
    "/plugins",
    "/queue",
    "/uploads",
    "/trash",
    "/notifications",
    "/info",
    "/no-such-page",
)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", PAGES)
def test_a_page_of_a_server_in_use(tab: Page, site: Site, pattern: str) -> None:
    name_yourself(tab.context, site.server)
    tab.set_default_timeout(LONG)
    tab.goto(site.address(pattern))
    settle(tab)
    check(tab)


def test_a_home_without_anything_and_the_form_of_a_model_without_data(
    tab: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with start_server(tmp_path_factory.mktemp("empty"), "-m", "digits.web") as server:
        name_yourself(tab.context, server)
        tab.goto(server.url)
        expect(tab.get_by_role("link", name="Make the first data set").first).to_be_visible()
        check(tab)
        tab.goto(f"{server.url}{MODELS}/new")
        check(tab)


def test_the_door(tab: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    with start_server(tmp_path_factory.mktemp("guarded"), "-m", "digits.web", auth="true") as server:
        tab.context.clear_cookies()
        tab.goto(server.url)
        tab.get_by_label("Token").fill("wrong")
        tab.get_by_role("button", name="Login").click()
        expect(tab.get_by_role("alert")).to_be_visible()
        check(tab)
        token = accounts.new_first_token(server.service)
        tab.get_by_label("Token").fill(token)
        tab.get_by_role("button", name="Login").click()
        tokens.add_token(server.service, accounts.default_user(), "a script", days=7)
        for address in ("/sessions", "/group?job_ids[]=20260101-000000-aaaa&group_name=mine"):
            tab.goto(f"{server.url}{address}")
            check(tab)


def test_work_in_progress(tab: Page, web_server: RunningServer, training: Training) -> None:
    name_yourself(tab.context, web_server)
    training.begin()
    training.validate(1, False, loss=0.7, mean_dice=0.4, pixel_accuracy=0.75, of_cell=0.0)
    training.validate(2, True, loss=0.2, mean_dice=0.9, pixel_accuracy=0.95, of_cell=0.8)
    for status in (Status.RUN, Status.INIT, Status.ERROR, Status.ABORT):
        make_job(web_server.service, name=f"job {status.name}", status=status)
    for address in (training.url, web_server.url, f"{web_server.url}/queue"):
        tab.goto(address)
        settle(tab)
        check(tab)


def test_dialogs_and_fields_with_errors(tab: Page, web_server: RunningServer) -> None:
    name_yourself(tab.context, web_server)
    tab.goto(f"{web_server.url}{DATASETS}/new")
    tab.locator('[data-field="folder_train"] [data-browse]').click()
    expect(tab.locator("dialog li").first).to_be_visible()
    assert violations(tab) == []
    tab.keyboard.press("Escape")
    tab.locator("form [type=submit]:visible").first.click()
    expect(tab.locator(".is-invalid").first).to_be_visible()
    check(tab)


def test_the_dialogs_of_lists_and_of_every_page(tab: Page, web_server: RunningServer) -> None:
    name_yourself(tab.context, web_server)
    make_job(web_server.service, name="one of a list", status=Status.DONE)
    tab.goto(f"{web_server.url}/models")
    row = tab.locator("tbody tr[data-id]").first
    row.locator("input").check()

    def looked_at(open_it: Callable[[], None]) -> None:
        open_it()
        expect(tab.locator("dialog[open]")).to_be_visible()
        settle(tab)
        assert violations(tab) == []
        tab.keyboard.press("Escape")
        expect(tab.locator("dialog[open]")).to_have_count(0)

    for name in ("Tag…", "Group…", "Delete"):
        looked_at(tab.get_by_role("button", name=name).first.click)
    looked_at(lambda: tab.locator("main h1").click() or tab.keyboard.press("Control+k"))
    looked_at(lambda: tab.keyboard.press("?"))
    tab.get_by_role("button", name="Columns").click()
    settle(tab)
    assert violations(tab) == []
    tab.goto(web_server.url)
    tab.get_by_role("button", name="New Dataset").click()
    settle(tab)
    assert violations(tab) == []
