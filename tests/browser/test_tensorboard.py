"""TensorBoard behind our pages, in a real browser: from a model's page, and from a selection of models."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from digits.domain.jobs import Status
from digits.domain.training import TrainingSpec
from digits.engines.training.tensorboard import Summaries
from digits.service import Service
from digits.service.tensorboard import is_installed
from digits.testing.runs import make_dataset, make_run, striped_pictures
from tests.browser.conftest import name_yourself
from tests.builders import make_job
from tests.conftest import RunningServer

pytestmark = pytest.mark.skipif(not is_installed(), reason="TensorBoard is not installed")


def summarized(service: Service, data: Path, name: str) -> str:
    """A model that a training has written curves of."""
    spec = TrainingSpec(dataset_id="", task="classification")
    job = make_job(service, name=name, status=Status.ABORT, spec=spec.to_json())
    summaries = Summaries(make_run(data, service.folder(job.id).path, spec, lambda event: 0), step=0)
    for step in range(3):
        summaries.scalars("val", step, {"loss": 1 / (step + 1)})
    return job.id


def test_curves_of_one_model_and_of_two(page: Page, context: BrowserContext, live_server: RunningServer, tmp_path: Path) -> None:
    features, labels = striped_pictures(8, 8, seed=1)
    data = make_dataset(tmp_path, features, labels, class_labels=("a", "b"), validation=0)
    first = summarized(live_server.service, data, "first")
    summarized(live_server.service, data, "second")
    name_yourself(context, live_server)

    page.goto(f"{live_server.url}/models/{first}")
    with context.expect_page() as opened:
        page.get_by_role("link", name="TensorBoard").click()
    board = opened.value
    board.wait_for_url(re.compile(rf"/tensorboard/{first}/"))
    expect(board.get_by_text("val/loss").first).to_be_visible()
    expect(board.get_by_text("first").first).to_be_visible()
    board.close()

    page.goto(f"{live_server.url}/?tab=2")
    for name in ("first", "second"):
        page.get_by_label(f"Select {name}").check()
    with context.expect_page() as opened:
        page.get_by_role("button", name="TensorBoard").click()
    board = opened.value
    board.wait_for_url(re.compile(r"/tensorboard/[^/]*,[^/]*/"))
    for name in ("first", "second"):
        expect(board.get_by_text(name).first).to_be_visible()
