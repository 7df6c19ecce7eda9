"""How long pages of long trainings take in a browser: a run of 1,000,000 reports, and 50 runs of 10,000 compared.

    python benchmarks/long_runs.py [--points 1000000] [--runs 50] [--each 10000] [--chromium /usr/bin/chromium]

Makes the runs in a temporary jobs directory, starts a server on it and opens both pages in Chromium, each three times; a page is
there when its charts are drawn and it answers a click. Promised: at most 1 s and 1.5 s. Needs Playwright.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from _server import serving
from compare_runs import make_run
from playwright.sync_api import Page, sync_playwright

from digits.config import Settings
from digits.service import Service

TIMES = 3
DRAWN = "() => document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length >= "


def opened(page: Page, address: str, curves: int, switch: str) -> float:
    """Seconds until the charts have so many curves and a switch of the page was flipped."""
    page.goto("about:blank")
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function(DRAWN + str(curves), timeout=120_000)
    page.locator(switch).check()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--each", type=int, default=10_000)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        jobs = Path(folder) / "jobs"
        service = Service.open(Settings(jobs_dir=str(jobs), auth=False))
        long = make_run(service, 0, arguments.points)
        ids = [make_run(service, number, arguments.each) for number in range(arguments.runs)]
        service.close()
        with serving(Path(folder), Path(folder) / "site") as url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}/queue")  # what all pages share is loaded
            for name, address, curves in (
                (f"a run of {arguments.points:,} reports", f"{url}/models/{long}", 2),
                (f"{arguments.runs} runs of {arguments.each:,} reports", f"{url}/compare?ids={','.join(ids)}", arguments.runs),
            ):
                seconds = [opened(page, address, curves, "#log-scale") for _ in range(TIMES)]
                print(f"{name}: {', '.join(f'{one:.2f} s' for one in seconds)}")
            browser.close()


if __name__ == "__main__":
    main()
