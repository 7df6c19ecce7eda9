"""How long overlays of large masks and many boxes take to redraw when a slider moves; the promise is 50 ms for each step.

Drives a real Chromium over the page's own code: the results of a segmentation (2,000×2,000 pixels, two classes and twelve) and
of a detection (1,000 boxes before suppression), and the validation samples of a training with the same masks and boxes. A step is
from the slider's event to the end of the frame in which the canvas was painted. Median and slowest of 20 steps each.

python benchmarks/overlay_redraw.py [--side 2000] [--steps 20] [--scale 1]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask
from metric_latency import CHROMIUM, running_job, web_process
from playwright.sync_api import Page, sync_playwright

from digits.domain.events import SampleEvent
from digits.domain.training import TrainingSpec
from digits.extensions.view.bounding_boxes import Visualization as Boxes
from digits.extensions.view.segmentation import Visualization as Segmentation
from digits.plugin_host import rendering
from digits.plugin_host.view import DatasetView
from digits.service import Service
from digits.storage.events import EventWriter
from digits.storage.files import write_json

PROMISE_MS = 50.0
CLASSES = [f"class {i}" for i in range(12)]
PUT = """async (html) => {
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/static/css/plugins.css" });
  await new Promise((done) => { style.onload = done; document.head.append(style); });
  document.querySelector("main").innerHTML = html;
  await (await import("/static/js/pages/views.js")).start();
}"""
# Each step is given to the page by a frame's callback, as a hand on a slider does.
STEPS = """async ([selector, values]) => {
  const input = document.querySelector(selector);
  const frame = () => new Promise(requestAnimationFrame);
  const times = [];
  for (const value of values) {
    await frame();
    await new Promise((done) => setTimeout(done, 30));
    const begin = performance.now();
    if (typeof value === "boolean") input.checked = value; else input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await frame();
    await new Promise((done) => { const { port1, port2 } = new MessageChannel(); port1.onmessage = done; port2.postMessage(0); });
    times.push(performance.now() - begin);
  }
  return times;
}"""

# From one validation to the next of the validation samples, until it can be seen.
VALIDATIONS = """async (steps) => {
  const slider = document.querySelector("[data-samples-slider]"), samples = document.querySelector("[data-validation-samples]");
  const times = [];
  for (const step of steps) {
    await new Promise((done) => setTimeout(done, 400)); // a hand rests: neighbours are fetched ahead
    const begin = performance.now();
    slider.value = step;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (samples.dataset.shown !== String(step)) await new Promise(requestAnimationFrame);
    times.push(performance.now() - begin);
  }
  return times;
}"""


@contextmanager
def page_of(url: str, scale: float) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, device_scale_factor=scale)
        page.goto(url)
        yield page
        browser.close()


def waves(side: int, count: int) -> np.ndarray:
    """A map (H, W) of `count` classes with long winding borders."""
    y, x = np.mgrid[:side, :side] / side
    return ((np.sin(9 * x + 5 * np.sin(7 * y)) + 1) / 2 * count).astype(np.uint8).clip(0, count - 1)


def boxes_at_random(count: int, side: int) -> np.ndarray:
    """Float32 (n, 6), best first."""
    draws = np.random.default_rng(0)
    corner, size = draws.random((count, 2)) * side * 0.9, draws.random((count, 2)) * side * 0.1
    scores = np.sort(draws.random((count, 1)), axis=0)[::-1]
    classes = draws.integers(0, len(CLASSES), (count, 1))
    return np.concatenate([corner, corner + size, scores, classes], axis=1).astype(np.float32)


def rendered(view: Any, side: int, output: np.ndarray, **known: Any) -> str:
    """Header and one sample, as the results page holds them."""
    app = Flask("digits.plugin_host")
    rendering.prepare(app)
    picture = np.random.default_rng(1).integers(0, 255, (side // 8, side // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with app.test_request_context("/"):
        data = view.process_data("x", picture, {"output": output}, **known)
        template, names = view.get_view_template(data)
        sample = rendering.render("x", template, names, nonce="")
        header, names = view.get_header_template()
        return rendering.render("x", header, names, nonce="") + sample


def begin_samples(service: Service, side: int, task: str, truth: np.ndarray, outputs: list[np.ndarray]) -> str:
    """The address of a training that left one sample, predicted at several validations."""
    job = running_job(service)
    folder = service.folder(job.id).path
    request = service.folder(job.id).request().to_json() | {"spec": TrainingSpec("none", task).to_json()}
    write_json(service.folder(job.id).request_file, request)
    kind = "map" if task == "segmentation" else "boxes"
    write_json(folder / "preprocessing.json", {"task": task, "label_kind": kind, "label_shape": None, "class_labels": CLASSES})
    (folder / "samples").mkdir()
    feature = np.zeros((3, side, side), np.uint8)
    arrays: dict[str, Any] = {"indices": np.array([0]), "0/feature": feature, "0/label": truth}
    np.savez(folder / "samples" / "inputs.npz", **arrays)
    writer = EventWriter(folder / "events.jsonl", 1)
    for step, output in enumerate(outputs):
        arrays = {"0/output": output}
        np.savez(folder / "samples" / f"step_{step}.npz", **arrays)
        writer.emit(SampleEvent(step=step, epoch=step, path=f"samples/step_{step}.npz"))
    writer.close()
    return f"/models/{job.id}"


def measure(page: Page, name: str, selector: str, values: list[Any]) -> None:
    report(name, page.evaluate(STEPS, [selector, values]))


def report(name: str, times: list[float]) -> None:
    slowest = max(times)
    verdict = "kept" if slowest <= PROMISE_MS else "BROKEN"
    print(f"{name:<48} median {statistics.median(times):5.1f} ms   slowest {slowest:5.1f} ms   promise {verdict}")


def of_segmentation(page: Page, side: int, steps: Callable[..., list[Any]]) -> None:
    def option(name: str) -> str:
        return f"[data-option={name}]"

    two = np.stack([1 - waves(side, 255) / 254, waves(side, 255) / 254]).astype(np.float32)
    view = Segmentation(DatasetView(extension_userdata={"class_labels": ["background", "thing"]}))
    page.evaluate(PUT, rendered(view, side, two, ground_truth=waves(side, 2)))
    print(f"results: a canvas of {sizes(page, '.view-sample canvas')} pixels")
    for source in ("classes", "difference"):
        page.locator(option("source")).select_option(source)
        for layer in ("fill", "line"):
            page.locator(option("layer")).select_option(layer)
            measure(page, f"results, 2 classes, {source}, {layer}: threshold", option("threshold"), steps(0.1, 0.9))
    measure(page, "results, 2 classes, line: width", option("width"), steps(1, 8))
    view = Segmentation(DatasetView(extension_userdata={"class_labels": CLASSES}))
    page.evaluate(PUT, rendered(view, side, waves(side, len(CLASSES))))
    measure(page, "results, 12 classes: opacity", option("opacity"), steps(0.1, 0.9))
    measure(page, "results, 12 classes: a class on and off", "[data-class='5']", steps(False, True))


def of_detection(page: Page, side: int, steps: Callable[..., list[Any]]) -> None:
    view = Boxes(DatasetView(extension_userdata={"class_labels": CLASSES}))
    rows = boxes_at_random(1000, side)
    page.evaluate(PUT, rendered(view, side, rows, candidates={"boxes": rows, "overlap": 0.5, "most": 0}))
    page.locator("[data-option=threshold]").evaluate("(input) => { input.value = 0; }")
    for name, ends in (("overlap", (0.1, 1)), ("threshold", (0, 0.9)), ("opacity", (0.1, 1))):
        measure(page, f"results, 1,000 boxes: {name}", f"[data-option={name}]", steps(*ends))
    measure(page, "results, 1,000 boxes: a class on and off", "[data-class='5']", steps(False, True))


def of_samples(page: Page, url: str, service: Service, side: int, steps: Callable[..., list[Any]]) -> None:
    masks = [waves(side, n + 3) for n in range(8)]
    rows = boxes_at_random(1000, side)
    truth = rows[:40, [0, 1, 2, 3, 5, 5]]
    maps = begin_samples(service, side, "segmentation", masks[-1][None], masks)
    boxes = begin_samples(service, side, "detection", truth, [rows[: 125 * (n + 1)] for n in range(8)])
    for name, address, options in (("mask", maps, ("opacity",)), ("boxes", boxes, ("score", "overlap", "opacity"))):
        page.goto(url + address)
        page.locator("[data-validation-samples][data-shown]").wait_for(timeout=60_000)
        page.wait_for_timeout(1000)  # neighbours are fetched ahead
        for large in (False, True):
            if large:
                page.locator(".sample-card canvas").first.click()
                page.locator(".sample-large canvas").wait_for()
                page.wait_for_timeout(1000)
            shown = ".sample-large canvas" if large else ".sample-card canvas"
            print(f"validation samples: a canvas of {sizes(page, shown)} pixels")
            where = f"validation samples{', enlarged' if large else ''}, {name}"
            for option in options:
                ends = (0, 0.9) if option == "score" else (0.1, 1)
                measure(page, f"{where}: {option}", f"[data-sample-option={option}]", steps(*ends))
            measure(page, f"{where}: a class on and off", "[data-sample-class='2']", steps(False, True))
            report(f"{where}: next validation", page.evaluate(VALIDATIONS, [6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6, 7]))


def sizes(page: Page, selector: str) -> str:
    """In how many pixels a canvas is drawn."""
    return str(page.evaluate("(s) => (({ width, height }) => `${width}×${height}`)(document.querySelector(s))", selector))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--scale", type=float, default=1.0, help="pixels of the screen for each pixel of the page")
    options = parser.parse_args()

    def steps(first: Any, last: Any) -> list[Any]:
        if isinstance(first, bool):
            return [first, last] * (options.steps // 2)
        return [float(f"{value:.3f}") for value in np.linspace(first, last, options.steps)]

    if shutil.which("chromium") is None:
        print("left out: no chromium is installed")
        return
    with tempfile.TemporaryDirectory() as folder, web_process(Path(folder) / "jobs") as (host, port, service):
        url = f"http://{host}:{port}"
        with page_of(f"{url}/plugins", options.scale) as page:
            of_segmentation(page, options.side, steps)
            of_detection(page, options.side, steps)
            of_samples(page, url, service, options.side, steps)


if __name__ == "__main__":
    main()
