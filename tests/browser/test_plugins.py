"""Pages with plugins in a real browser: an old template's jQuery and handlers run, and the built-in views draw at once."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from flask import Flask, render_template
from playwright.sync_api import BrowserContext, Page, expect

from digits.config import Settings
from digits.engines.suppression import suppressed
from digits.extensions.view.bounding_boxes import Visualization as Boxes
from digits.extensions.view.segmentation import Visualization as Segmentation
from digits.plugin_host import rendering
from digits.plugin_host.view import DatasetView
from digits.service import Service
from digits.service.plugins.views import Results
from digits.utils import compatibility
from digits.web.app import create_app
from digits.web.http.security import CSP, csp_nonce
from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer, start_server
from tests.engines.test_suppression import boxes_at_random
from tests.plugin_host.packages import add_package

OLD = Path(__file__).resolve().parents[1] / "plugin_host" / "old_style" / "oldStylePlugin"
SIDE = 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with the plugin of old style beside it."""
    folder = tmp_path_factory.mktemp("old")
    add_package(folder / "site", "oldfashioned", "from oldStylePlugin import DataIngestion\n", data="DataIngestion")
    shutil.copytree(OLD, folder / "site" / "oldStylePlugin")
    with pytest.MonkeyPatch.context() as patch:
        path = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("PYTHONPATH", path)
        with start_server(folder, "-m", "digits", "serve", "--stop-jobs") as running:
            yield running


def test_an_old_form_is_alive(page: Page, context: BrowserContext, server: RunningServer) -> None:
    name_yourself(context, server)
    page.goto(f"{server.url}/datasets/generic/new/old-style")
    expect(page.locator("#title")).to_have_attribute("data-touched", "yes")  # inline script with jQuery
    page.click("#old-button")  # an inline handler
    expect(page.locator("#title")).to_have_value("clicked")
    field = page.locator(".path-field", has=page.locator("#folder"))
    expect(field.locator("[data-browse]")).to_be_visible()
    expect(page.locator(".path-field #count")).to_have_count(0)  # the class is inert on numbers
    page.fill("#folder", str(server.jobs_dir.parent))
    page.fill("[name=dataset_name]", "hearts")
    page.click("button[type=submit]")
    expect(page.locator(".form-group.has-error", has=page.locator("#seed"))).to_be_visible()
    expect(page.locator("#title")).to_have_value("clicked")  # what was typed is still there


def shown(name: str, view: object, output: np.ndarray, truth: np.ndarray | None = None, **known: object) -> str:
    """The header and one sample of a view, as the results page holds them."""
    app = Flask("digits.plugin_host")
    rendering.prepare(app)
    picture = np.full((SIDE, SIDE), 100, np.uint8)
    with app.test_request_context("/"):
        data = view.process_data("x", picture, {name: output}, truth, **known)  # type: ignore[attr-defined]
        sample = rendering.render(name, *view.get_view_template(data), nonce="")  # type: ignore[attr-defined]
        return rendering.render(name, *view.get_header_template(), nonce="") + sample  # type: ignore[attr-defined]


def put(page: Page, server: RunningServer, html: str) -> None:
    page.goto(f"{server.url}/plugins")
    page.evaluate(
        """async (html) => {
            document.querySelector("main").innerHTML = html;
            const { start } = await import("/static/js/pages/views.js");
            await start();
        }""",
        html,
    )


def pixel(page: Page, x: int, y: int) -> list[int]:
    program = "([x, y]) => [...document.querySelector('canvas').getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3)"
    return list(page.evaluate(program, [x, y]))


def slide(page: Page, option: str, value: str) -> None:
    page.locator(f"[data-option={option}]").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }", value
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_segmentation_follows_its_sliders(page: Page, context: BrowserContext, server: RunningServer) -> None:
    name_yourself(context, server)
    scores = np.zeros((2, SIDE, SIDE), np.float32)
    scores[1, :, : SIDE // 2] = 0.7  # left: 0.7 of class 1
    scores[0] = 1 - scores[1]
    view = Segmentation(DatasetView(extension_userdata={"class_labels": ["back", "front"]}), colormap="none")
    put(page, server, shown("image-segmentation", view, scores))
    slide(page, "opacity", "1")
    left, right = (pixel(page, x, 10) for x in (2, 17))
    assert right == [100, 100, 100]  # the picture
    assert left == [230, 75, 53]  # class 1's colour
    slide(page, "threshold", "0.8")
    assert pixel(page, 2, 10) == [100, 100, 100]  # 0.7 is below it
    slide(page, "threshold", "0.5")
    slide(page, "layer", "line")
    assert pixel(page, 2, 10) == [100, 100, 100]  # only the outline is drawn
    assert pixel(page, 9, 10) == [230, 75, 53]
    page.locator("[data-class='1']").uncheck()
    slide(page, "layer", "fill")
    assert pixel(page, 2, 10) == [100, 100, 100]


def test_boxes_follow_the_score_threshold(page: Page, context: BrowserContext, server: RunningServer) -> None:
    name_yourself(context, server)
    rows = np.array([[2, 2, 8, 8, 0.9, 0], [10, 10, 18, 18, 0.4, 0]], np.float32)
    view = Boxes(DatasetView(extension_userdata={"class_labels": ["cell"]}), score_threshold=0.25)
    put(page, server, shown("image-bounding-boxes", view, rows))
    expect(page.locator("[data-count]")).to_have_text("2")
    slide(page, "threshold", "0.5")
    expect(page.locator("[data-count]")).to_have_text("1")


def test_overlapping_boxes_come_and_go_as_in_python(page: Page, context: BrowserContext, server: RunningServer) -> None:
    name_yourself(context, server)
    rows = boxes_at_random(300, seed=5)
    page.goto(f"{server.url}/plugins")
    program = """async ([packed, overlap, score, most]) => {
        const { chosen, unpack } = await import("/static/js/overlay/suppression.js");
        return chosen(unpack(packed), { overlap, score }, most).map(({ box, score, class: label }) => [...box, score, label]);
    }"""
    packed = base64.b64encode(rows.tobytes()).decode()
    for overlap, score, most in ((0.0, 0, 0), (0.3, 0.25, 0), (0.45, 0.5, 10), (0.6, 0, 100), (1.0, 0, 0)):
        found = page.evaluate(program, [packed, overlap, score, most])
        wanted = rows[rows[:, 4] >= score]
        assert found == wanted[suppressed(wanted, overlap, most)].tolist()


def test_the_overlap_slider_brings_boxes_back(page: Page, context: BrowserContext, server: RunningServer, tmp_path: Path) -> None:
    name_yourself(context, server)
    rows = np.array([[2, 2, 12, 12, 0.9, 0], [2, 2, 12, 10, 0.8, 0], [2, 2, 12, 9, 0.7, 1]], np.float32)
    view = Boxes(DatasetView(extension_userdata={"class_labels": ["cell", "plate"]}), score_threshold=0.25)
    candidates = {"boxes": rows, "overlap": 0.5, "most": 0}
    origin = {"pixels_of": "picture", "size": [40, 72], "scale": [2.0, 4.0], "offset": [1.0, 2.0]}
    put(page, server, shown("image-bounding-boxes", view, rows[[0, 2]], candidates=candidates, origin=origin))
    count = page.locator("[data-count]")
    expect(count).to_have_text("2")  # as the network does it: 80 of 100 pixels shared is too much
    slide(page, "overlap", "0.85")
    expect(count).to_have_text("3")
    page.get_by_label("plate").uncheck()
    expect(count).to_have_text("2")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Boxes").click()
    waiting.value.save_as(tmp_path / "boxes.json")
    found = json.loads((tmp_path / "boxes.json").read_text())
    assert [(one["bbox"], one["category_id"]) for one in found] == [([2, 0, 20, 40], 0), ([2, 0, 20, 32], 0)]
    assert {one["pixels_of"] for one in found} == {"picture"}
    slide(page, "overlap", "0")
    expect(count).to_have_text("1")


def angular_page(service: Service) -> tuple[str, str]:
    """The results page of an old view with an Angular application around two samples, and its content security policy."""
    from outlinesView import Visualization

    view = Visualization(DatasetView(extension_userdata={"class_labels": ["sky", "bird"]}), colormap="dataset")
    host = Flask("digits.plugin_host")
    rendering.prepare(host)
    with create_app(service).test_request_context("/"):
        nonce = csp_nonce()
        with host.test_request_context("/"):
            data = [view.process_data(i, np.full((SIDE, SIDE), 100, np.uint8), {"o": scores(i)}) for i in (0, 1)]
            samples = [rendering.render("outlines", *view.get_view_template(one), nonce=nonce) for one in data]
            header = rendering.render("outlines", *view.get_header_template(), nonce=nonce)
        before, after = ({"html": rendering.with_nonce(part, nonce)} for part in view.get_ng_templates())
        parts = [{"key": f"{i}.png", "html": html} for i, html in enumerate(samples)]
        results = Results("Outlines", {"html": header}, parts, before, after)
        model = SimpleNamespace(id="20260101-000000-aaaa", name="birds")
        said = {"model": model, "snapshot": SimpleNamespace(label="1"), "results": results, "skipped": [], "count": 2}
        return render_template("plugins/results.html", **said), f"{CSP.format(nonce=nonce)}; script-src-attr 'unsafe-inline'"


def scores(i: int) -> np.ndarray:
    return np.stack([np.full((SIDE, SIDE), 0.5), np.full((SIDE, SIDE), float(i))]).astype(np.float32)


def test_an_angular_application_lives_around_the_results(
    page: Page, context: BrowserContext, server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(OLD.parents[1] / "legacy_plugins" / "outlines"))
    compatibility.install()
    service = Service.open(Settings(jobs_dir=str(tmp_path / "jobs"), auth=False))
    body, policy = angular_page(service)
    service.close()
    headers = {"Content-Security-Policy": policy, "Content-Type": "text/html; charset=utf-8"}
    page.route("**/angular-results", lambda route: route.fulfill(body=body, headers=headers))
    name_yourself(context, server)
    page.goto(f"{server.url}/angular-results")
    expect(page.locator("#outlines-opacity")).to_have_text("30 %")
    expect(page.locator(".list-group-item")).to_have_text(["sky 0", "bird 1"])
    expect(page.locator("#fill-1")).to_have_css("opacity", "0.3")
    page.get_by_role("button", name="Hide").click()
    expect(page.locator("#fill-1")).to_be_hidden()
    page.wait_for_function("() => localStorage.getItem('ngStorage-outlines_style') === '\"none\"'")
    page.reload()
    expect(page.locator("#fill-1")).to_be_hidden()  # ngStorage kept it
