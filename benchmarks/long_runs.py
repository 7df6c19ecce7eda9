"""How long pages of long trainings take in a browser: a run of 1,000,000 reports, and 50 runs of 10,000 compared.

    python benchmarks/long_runs.py [--points 1000000] [--runs 50] [--each 10000] [--chromium /usr/bin/chromium]

Makes the runs in a temporary jobs directory, starts a server on it and opens both pages in Chromium, each five times; a page is
there when its charts are drawn and it answers a click. Promised: at most 1 s and 1.5 s. A browser compiles the chart library when
it meets it, and keeps the result from the second time on: so it has a profile, as that of a user, and each time is told. Beside
the clock it says how long the processor worked for the server and for the page's own thread in the browser (of that: for its
scripts), which other work on the machine changes less. Needs Playwright.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from _server import serving
from compare_runs import make_run
from playwright.sync_api import Page, sync_playwright

from digits.config import Settings
from digits.service import Service

TIMES = 5
DRAWN = "() => document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length >= "


@dataclass(frozen=True)
class Opened:
    """Seconds: by the clock, of the server's processes, of the page's thread, of its scripts; and bytes that were sent."""

    clock: float
    server: float
    page: float
    script: float

    def __str__(self) -> str:
        return f"{self.clock:.2f} s (server {self.server:.2f}, page {self.page:.2f}, of it scripts {self.script:.2f})"


def opened(page: Page, address: str, curves: int, switch: str) -> Opened:
    """Until the charts have so many curves and a switch of the page was flipped."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # of the processor, not by the clock
    page.goto("about:blank")
    before, used, began = metrics(session), server_seconds(), time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(DRAWN + str(curves), timeout=120_000)
    page.locator(switch).check()
    clock = time.perf_counter() - began
    after = metrics(session)
    session.detach()
    task, script = (after[name] - before.get(name, 0.0) for name in ("TaskDuration", "ScriptDuration"))
    return Opened(clock, server_seconds() - used, task, script)


def metrics(session: object) -> dict[str, float]:
    """What the browser counts of the page, in seconds."""
    found = session.send("Performance.getMetrics")["metrics"]  # type: ignore[attr-defined]
    return {one["name"]: one["value"] for one in found}


def server_seconds() -> float:
    """Of the processor, of all processes of the server."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if "digits" in " ".join(process.cmdline()):
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.Error:
            continue
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--each", type=int, default=10_000)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--folder", help="where the runs are made, and used again by the next call")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.folder or temporary)
        service = Service.open(Settings(jobs_dir=str(folder / "jobs"), auth=False))
        if not service.store.ids():
            make_run(service, 0, arguments.points)
            for number in range(arguments.runs):
                make_run(service, number, arguments.each)
        long, *ids = sorted(service.store.ids())
        service.close()
        with serving(folder, folder / "site") as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch_persistent_context(
                Path(temporary) / "profile",
                executable_path=arguments.chromium,
                args=["--no-sandbox", "--disable-gpu"],
                viewport={"width": 1280, "height": 900},
            )
            page = browser.new_page()
            page.goto(f"{url}/queue")  # what all pages share is loaded
            for name, address, curves in (
                (f"a run of {arguments.points:,} reports", f"{url}/models/{long}", 2),
                (f"{arguments.runs} runs of {arguments.each:,} reports", f"{url}/compare?ids={','.join(ids)}", arguments.runs),
            ):
                for number in range(TIMES):
                    print(f"{name}, {number + 1}. time: {opened(page, address, curves, '#log-scale')}", flush=True)
            browser.close()


if __name__ == "__main__":
    main()
