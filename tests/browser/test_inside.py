"""A model looked into in a real browser: a layer found and opened, why it says so, vectors drawn around."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import BrowserContext, Page, expect
from werkzeug.serving import make_server

from digits.storage.jobs.store import Job
from tests.conftest import USER
from tests.inside_world import World, opened

TEXT = """
from torch import nn


def build_network(context):
    maps = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU())
    deep = nn.Sequential(nn.Conv2d(4, 80, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(maps, deep, nn.Linear(80, context.num_classes))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, str, Job]]:
    """A world, its address, a model."""
    with opened(tmp_path_factory.mktemp("looked")) as found:
        torch.manual_seed(3)
        shapes = {"0.0.weight": (4, 3, 3, 3), "1.0.weight": (80, 4, 3, 3), "2.weight": (2, 80)}
        weights = {name: torch.rand(shape) for name, shape in shapes.items()}
        weights |= {f"{name.rpartition('.')[0]}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
        weights["2.weight"][1] = 0.01  # the second class is less probable
        server = make_server("127.0.0.1", 0, found.app, threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found, f"http://127.0.0.1:{server.server_port}", found.pretrained("looked into", TEXT, weights)
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_a_long_matrix_is_no_hairline(page: Page, context: BrowserContext, world: tuple[World, str, Job]) -> None:
    _, url, model = world
    context.add_cookies([{"name": "username", "value": USER, "url": url}])
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(f"{url}/models/{model.id}/inside")
    page.get_by_label("Search layers").fill("linear")
    expect(page.locator(".layer-row")).to_have_count(1)
    page.locator(".layer-row").click()
    drawing = page.get_by_alt_text("Weights of 2")  # 2 by 80
    expect(drawing).to_have_class("drawing flat")
    size = drawing.bounding_box()
    assert size is not None
    assert size["height"] > 60
    assert size["width"] > 200


def test_a_layer_why_and_vectors(page: Page, context: BrowserContext, world: tuple[World, str, Job]) -> None:
    made, url, model = world
    context.add_cookies([{"name": "username", "value": USER, "url": url}])
    page.goto(f"{url}/models/{model.id}/inside")
    rows = page.locator(".layer-row")
    expect(rows.first).to_be_visible()
    page.get_by_label("Search layers").fill("1. conv")
    expect(rows).to_have_count(1)
    rows.click()
    expect(page.locator(".layer-title")).to_have_text("1.0")
    page.get_by_role("button", name="Activations").click()
    expect(page.get_by_text("No picture is chosen.")).to_be_visible()
    page.locator("[data-record]").nth(1).click()
    expect(page.get_by_alt_text("Activations of 1.0")).to_be_visible()
    expect(page.get_by_text("1 to 64 of 80")).to_be_visible()
    page.get_by_label("Maps after").click()
    expect(page.get_by_text("65 to 80 of 80")).to_be_visible()

    page.get_by_role("tab", name="Why").click()
    expect(page.locator(".sanity:not(.muted)")).to_contain_text("With random weights")
    expect(page.locator("[data-why] .facts")).to_contain_text("red-to-right")
    page.get_by_label("What is explained").select_option("1")
    expect(page.locator("[data-why] .facts")).to_contain_text("something else")
    expect(page.get_by_alt_text("What speaks for something else")).to_be_visible()

    page.get_by_role("tab", name="Vectors").click()
    page.get_by_role("button", name="Make").click()
    expect(page.locator("[data-embeddings] .pill")).to_have_text("Initialized")
    made.embed(page.evaluate("new URLSearchParams(location.search).get('embedding')"))
    points = page.locator("[data-chart] .scatterlayer .point")
    expect(points).to_have_count(9)
    points.first.hover(force=True)
    expect(page.locator("[data-hover]")).to_contain_text("record")
    area = page.locator("[data-chart] .nsewdrag").bounding_box()
    assert area
    corners = [(area["x"] + dx * (area["width"] - 6), area["y"] + dy * (area["height"] - 6)) for dx, dy in SQUARE]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    pictures = page.locator(".gallery-picture")
    expect(pictures).to_have_count(9)
    address = page.url
    pictures.first.click()
    expect(page.locator(".sanity:not(.muted)")).to_contain_text("With random weights")
    page.go_back()
    expect(points).to_have_count(9)  # the address holds it all
    assert page.url == address


SQUARE = ((0.01, 0.01), (1, 0.01), (1, 1), (0.01, 1), (0.01, 0.01))
