"""Several labels for each picture, the whole way in the browser: labels from a table and from folders, a small network,
thresholds that are refused and then chosen, scores beside them, an evaluation on the other data set, the archive's script."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import name_yourself
from tests.conftest import RunningServer
from tests.journeys.client import GENERIC, Client

NAMES = ("bottom", "left", "top")
BARS = {"bottom": np.s_[12:, :, 0], "left": np.s_[:, :4, 1], "top": np.s_[:4, :, 2]}  # in the colours red, green, blue
COUNT = 48
LONG = 120_000

pytestmark = pytest.mark.slow


def drawn() -> list[tuple[Image.Image, list[str]]]:
    """Pictures of 16×16 with up to three bars on noise, and the labels of each."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(COUNT):
        pixels = rng.integers(0, 90, (16, 16, 3)).astype(np.uint8)
        labels = [name for name in NAMES if rng.random() < 0.5]
        for name in labels:
            pixels[BARS[name]] += 150
        found.append((Image.fromarray(pixels), labels))
    return found


@pytest.fixture(scope="module")
def client(live_server: RunningServer) -> Client:
    return Client(live_server)


@pytest.fixture(scope="module")
def datasets(client: Client) -> dict[str, str]:
    """The pictures as a table of 0 and 1, and those that have labels in a folder for each label."""
    root = client.server.jobs_dir.parent / "labels"
    for name in ("pictures", *(f"folders/{name}" for name in NAMES)):
        (root / name).mkdir(parents=True)
    with open(root / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", *NAMES])
        for number, (picture, labels) in enumerate(drawn()):
            picture.save(root / "pictures" / f"{number}.png")
            table.writerow([number, *(int(name in labels) for name in NAMES)])
            for name in labels:
                picture.save(root / "folders" / name / f"{number}.png")
    sources = {
        "table": {"image_folder": root / "pictures", "values_file": root / "labels.csv", "folder_pct_val": 25},
        "folders": {"image_folder": root / "folders", "label_source": "folders", "folder_pct_val": 50},
    }
    made = {
        name: client.json("/datasets/generic/create/image-multi-label.json", dataset_name=f"Bars, {name}", **values)["id"]
        for name, values in sources.items()
    }
    return {name: client.done(job_id) for name, job_id in made.items()}


def test_scripts_are_told_what_is_wrong_with_thresholds(client: Client, datasets: dict[str, str]) -> None:
    known = {"model_name": "refused", "dataset": datasets["table"], "standard_networks": "small_cnn"}
    for text, message in (
        ("0.5, 0.2", "2 thresholds for 3 labels. Give one for all, or one for each in this order: bottom, left, top."),
        ("0.5, high, 0.2", "'high' is not a number."),
        ("1", "1 is not allowed: it must be less than 1"),
    ):
        status, answer = client.request(f"{GENERIC}.json", label_thresholds=text, **known)
        assert status == 400
        assert message in answer.replace("\\u0027", "'")


def test_from_labels_to_the_script_of_the_archive(page: Page, client: Client, datasets: dict[str, str], tmp_path: Path) -> None:
    model = train(page, client, datasets["table"])
    shows_metrics(page, client, model)
    known = {"job_id": model, "snapshot_epoch": "best"}  # as the page begins with
    answer = client.json(f"/models/{model}/answer.json", record="val:0", **known)["samples"][0]
    page.get_by_role("tab", name="Evaluate/Test").click()
    page.locator("[data-record='val:0']").click()
    shows_scores(page.locator("[data-result-board] .sample-card"), answer)
    evaluation = evaluate(page, client, datasets["folders"])
    archive = downloaded(page, client, model, evaluation["epoch"], tmp_path)
    agrees_with_the_script(client, archive, evaluation)


def train(page: Page, client: Client, dataset: str) -> str:
    """Through the form, which first refuses what does not fit the labels."""
    name_yourself(page.context, client.server)
    page.goto(f"{client.server.url}/datasets/{dataset}")
    page.get_by_role("link", name="Train").first.click()
    page.get_by_text("Loss and threshold", exact=True).click()
    thresholds = page.get_by_label("Label thresholds")
    expect(page.get_by_label("Score threshold")).to_be_hidden()  # of boxes
    thresholds.fill("0.5, 0.2")
    page.locator("[name=train_epochs]").fill("6")
    page.locator("[name=model_name]").fill("Bars")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("#error-label_thresholds")).to_contain_text("in this order: bottom, left, top")
    expect(thresholds).to_have_value("0.5, 0.2")
    thresholds.fill("")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url(re.compile(r"/models/2"))
    expect(page.locator("[data-job-status]")).to_have_text("Done", timeout=LONG)
    return page.url.rpartition("/")[2].partition("?")[0]


def shows_metrics(page: Page, client: Client, model: str) -> None:
    """Figures, the table of labels with the thresholds of the last validation, and the samples judged by those."""
    values = client.json(f"/models/{model}/curves.json")["curves"]["val"]["values"]
    page.reload()
    expect(page.locator("[data-tiles]")).to_contain_text("Best mAP")
    metrics = page.locator("[data-metrics]")
    for title in ("mAP of the labels", "F1 (macro", "F1 (micro", "Threshold"):
        expect(metrics).to_contain_text(title)
    thresholds = [values[f"threshold/{name}"][-1] for name in NAMES]
    for name, threshold in zip(NAMES, thresholds, strict=True):
        expect(metrics.get_by_role("row", name=re.compile(f"^{name} "))).to_contain_text(f"{100 * threshold:.4g} %")
    expect(page.locator("[data-panel=settings]")).to_contain_text("chosen on the validation split")
    step = client.json(f"/models/{model}/samples.json")["frames"][-1]["step"]
    sample = client.json(f"/models/{model}/samples/{step}.json")["samples"][0]
    assert sorted(sample["thresholds"]) == pytest.approx(sorted(100 * threshold for threshold in thresholds))
    shows_scores(page.locator("[data-validation-samples] .sample-card").first, sample)


def shows_scores(card: Locator, sample: dict[str, Any]) -> None:
    """Each score beside its threshold; what reaches it is strong, what is true is marked."""
    lines = card.locator(".sample-scores li")
    expect(lines).to_have_count(len(NAMES))
    for line, (label, percent), threshold in zip(lines.all(), sample["top"], sample["thresholds"], strict=True):
        found = label in sample["found"]
        assert found == (percent >= threshold)
        expect(line).to_have_text(re.compile(rf"^{label}\s*{percent:.2f} % {'≥' if found else '<'} {threshold:.2f} %$"))
        expect(line.locator("strong")).to_have_count(int(found))
        expect(line).to_have_class("is-true" if label in sample["true"] else "")
    assert sample["correct"] == (sample["found"] == sample["true"])


def evaluate(page: Page, client: Client, other: str) -> dict[str, Any]:
    """On the other data set; its JSON, with the samples as `samples`."""
    page.get_by_role("link", name="Evaluate", exact=True).click()
    page.locator("#evaluate-other").select_option(f"{other}/val_db")
    page.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_url(re.compile("/evaluations/2"))
    expect(page.get_by_text("F1 (micro").first).to_be_visible(timeout=LONG)
    job = page.url.rpartition("/")[2].partition("#")[0]
    result = client.json(f"/evaluations/{job}.json")["result"]
    samples = client.json(f"/evaluations/{job}/samples.json?size=200")["samples"]
    thresholds = result["options"]["label_thresholds"]
    assert [row["threshold"] for row in result["per_class"]] == thresholds
    for name, threshold in zip(NAMES, thresholds, strict=True):
        expect(page.get_by_role("row", name=re.compile(f"^{name} "))).to_contain_text(f"{100 * threshold:.2f} %")
    shows_scores(page.locator("[data-gallery] .sample-card").first, samples[0])
    hits = sum(len(set(sample["found"]) & set(sample["true"])) for sample in samples)
    sizes = sum(len(sample["found"]) + len(sample["true"]) for sample in samples)
    assert len(samples) == result["count"]
    assert result["metrics"]["f1_micro"] == pytest.approx(2 * hits / sizes)
    return {**result, "samples": samples}


def downloaded(page: Page, client: Client, model: str, epoch: float, folder: Path) -> Path:
    """The archive of the snapshot of an epoch, unpacked; thresholds and scores are those of its weights."""
    page.goto(f"{client.server.url}/models/{model}#files")
    row = page.locator("[data-snapshots] tr", has=page.get_by_role("cell", name=re.compile(rf"^{epoch:g}\b")))
    with page.expect_download() as waiting:
        row.get_by_role("link", name="zip", exact=True).click()
    waiting.value.save_as(folder / "model.zip")
    zipfile.ZipFile(folder / "model.zip").extractall(folder / "model")
    assert json.loads((folder / "model" / "info.json").read_text())["snapshot epoch"] == epoch
    return folder / "model"


def agrees_with_the_script(client: Client, archive: Path, evaluation: dict[str, Any]) -> None:
    """`predict.py` finds the labels that the evaluation found, by the same thresholds."""
    samples = evaluation["samples"][:5]
    meta = json.loads((archive / "preprocessing.json").read_text())
    assert meta["options"] == evaluation["options"]
    command = [sys.executable, "-I", str(archive / "predict.py"), *(sample["path"] for sample in samples)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for sample in samples:
        lines = made[made.index(sample["path"]) :].splitlines()[1:]
        assert lines[0].strip() == f"found: {', '.join(sample['found']) or 'none'}"
        label, percent = sample["top"][0]
        sign = ">=" if label in sample["found"] else "<"
        assert lines[1].split() == [f"{percent:.2f}", "%", sign, f"{sample['thresholds'][0]:.2f}", "%", label]
