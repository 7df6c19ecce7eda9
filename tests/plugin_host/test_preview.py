"""From a typed folder to a made data set: recognised, previewed, created; over HTTP, with a host in a process of its own."""

from __future__ import annotations

import base64
import io
import os
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.config import Settings
from digits.service import Service
from digits.web.app import create_app
from tests.ingest.making import picture, run_job
from tests.journeys.forms import form_of
from tests.plugin_host.hosts import running_host
from tests.plugin_host.packages import add_package, data_source

CREATE = "/datasets/generic/create/{}.json"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, masks and noisy copies."""
    place = tmp_path_factory.mktemp("preview")
    for number in range(12):
        for kind in ("images", "masks", "noisy"):
            (place / "data" / kind).mkdir(parents=True, exist_ok=True)
        picture(number, (20, 16)).save(place / "data/images" / f"{number}.png")
        picture(number + 50, (20, 16)).save(place / "data/noisy" / f"{number}.png")
        mask = np.zeros((16, 20), np.uint8)
        mask[4:9, number % 10 : 12] = 1 + number % 2
        Image.fromarray(mask).save(place / "data/masks" / f"{number}.png")
    return place


SCANS = """
@staticmethod
def get_dataset_template(form):
    return "{{ form.count }}{{ form.whole }}{{ form.turned }}{{ form.sizes }}", {"form": form}

@staticmethod
def recognise(folder):
    values = {"count": 7, "whole": False, "turned": True, "sizes": [3, 5]}
    return [{"values": values, "records": 7}] if folder.endswith("scans") else []
"""
BOXES = """    whole = wtforms.BooleanField("Whole", default=True)
    turned = wtforms.BooleanField("Turned")
    sizes = forms.MultiIntegerField("Sizes")
"""


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[Service]:
    service = Service.open(Settings(jobs_dir=str(place / "jobs"), auth=False, data_dirs=str(place / "data")))
    add_package(
        place / "site",
        "scans",
        "from digits.utils import forms\n" + data_source("scans", SCANS, textwrap.dedent(BOXES)),
        data="Data",
    )
    with running_host(service, place, place / "site"):
        yield service
    service.close()


@pytest.fixture
def client(service: Service) -> FlaskClient:
    client = create_app(service).test_client()
    client.post("/login", data={"username": "digits-testsuite"})
    return client


def filled(client: FlaskClient, address: str) -> dict[str, list[str]]:
    """What the form at an address sends as it is."""
    page = client.get(address)
    assert page.status_code == 200, page.text
    return form_of(page.text, "dataset_name").sent()


def values(place: Path) -> dict[str, str]:
    return {"feature_folder": str(place / "data/images"), "label_folder": str(place / "data/masks"), "folder_pct_val": "25"}


def test_a_folder_is_recognised_and_leads_to_a_filled_form(client: FlaskClient, place: Path) -> None:
    found = client.get(f"/datasets/generic/recognise.json?folder={place / 'data'}").get_json()["proposals"]
    assert found[0]["extension"] == "image-segmentation"
    page = client.get(found[0]["address"])
    assert page.status_code == 200
    assert f'value="{place / "data/masks"}"' in page.text


def test_folders_whose_names_are_no_utf8_are_proposed(client: FlaskClient, place: Path) -> None:
    odd = place / "data" / "odd" / os.fsdecode(b"caf\xe9")
    for name in ("images", "masks"):
        shutil.copytree(place / "data" / name, odd / name)
    found = client.get(f"/datasets/generic/recognise.json?folder={odd.parent}").get_json()["proposals"]
    shutil.rmtree(odd.parent)
    assert found[0]["extension"] == "image-segmentation"
    assert "caf%E9%2Fmasks" in found[0]["address"]


def test_links_carry_every_value_into_the_form(client: FlaskClient, place: Path) -> None:
    table = place / "data/table"
    (table / "pictures").mkdir(parents=True)
    for number in range(8):
        picture(number).save(table / "pictures" / f"{number}.png")
    (table / "train.csv").write_text(
        "id,label\n" + "".join(f"{number},{'cat' if number % 2 else 'dog'}\n" for number in range(8))
    )
    for split, name in [(split, name) for split in ("train", "val") for name in ("cat", "dog")]:
        (place / "data/pets" / split / name).mkdir(parents=True)
        for number in range(2):
            picture(number).save(place / "data/pets" / split / name / f"{name}{number}.png")
    seen = {}
    for folder in ("table", "pets"):
        found = client.get(f"/datasets/generic/recognise.json?folder={place / 'data' / folder}").get_json()["proposals"][0]
        seen[found["extension"]] = found["values"]
        sent = filled(client, found["address"])
        for name, value in found["values"].items():
            assert sent.get(name, []) == ([] if value is False else ["y"] if value is True else [str(value)]), name
    assert seen["image-classification-textfile"]["textfile_use_val"] is False  # otherwise ticked
    assert seen["image-classification-folder"]["has_val_folder"] is True


def test_links_untick_boxes_and_carry_lists_to_plugins(client: FlaskClient, place: Path) -> None:
    (place / "data/scans").mkdir()
    proposal = client.get(f"/datasets/generic/recognise.json?folder={place / 'data/scans'}").get_json()["proposals"][0]
    assert (proposal["extension"], proposal["records"]) == ("scans", 7)
    sent = filled(client, proposal["address"])
    assert sent["count"] == ["7"]
    assert "whole" not in sent
    assert sent["turned"] == ["y"]
    assert sent["sizes"] == ["3, 5"]


def test_folders_elsewhere_are_refused(client: FlaskClient) -> None:
    answer = client.get("/datasets/generic/recognise.json?folder=/etc")
    assert answer.status_code == 400
    assert "outside" in answer.text


def test_preview_shows_ten_samples_with_the_mask_and_keeps_nothing(client: FlaskClient, service: Service, place: Path) -> None:
    before = sorted(path.name for path in service.jobs_dir.path.iterdir())
    found = client.post("/datasets/generic/preview/image-segmentation.json", data=values(place)).get_json()
    assert found["counts"] == {"train_db": 9, "val_db": 3, "test_db": 0}
    assert found["class_labels"] == ["0", "1", "2"]
    assert len(found["samples"]) == 10
    data = base64.b64decode(found["samples"][0]["picture"].removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(data)).size == (44, 16)
    assert sorted(path.name for path in service.jobs_dir.path.iterdir()) == before


def test_preview_counts_what_it_tried_and_what_of_it_could_not_be_read(client: FlaskClient, place: Path) -> None:
    folder = place / "data/torn"
    folder.mkdir()
    for number in range(6):
        picture(number, (20, 16)).save(folder / f"{number}.png")
    whole = client.post(
        "/datasets/generic/preview/image-processing.json", data={"feature_folder": str(folder), "label_source": "image"}
    )
    assert (whole.get_json()["tried"], whole.get_json()["failed"]) == (6, 0)
    for number in (2, 4):
        file = folder / f"{number}.png"
        file.write_bytes(file.read_bytes()[:-200])
    torn = client.post(
        "/datasets/generic/preview/image-processing.json", data={"feature_folder": str(folder), "label_source": "image"}
    )
    found = torn.get_json()
    assert (found["tried"], found["failed"]) == (6, 2)
    assert sorted(Path(sample["entry"]).name for sample in found["samples"] if sample.get("failed")) == ["2.png", "4.png"]


def test_preview_says_that_pictures_differ_in_size(client: FlaskClient, place: Path) -> None:
    (place / "data/sizes").mkdir(exist_ok=True)
    picture(1, (10, 10)).save(place / "data/sizes/a.png")
    picture(2, (12, 10)).save(place / "data/sizes/b.png")
    data = {"feature_folder": str(place / "data/sizes"), "label_source": "image"}
    found = client.post("/datasets/generic/preview/image-processing.json", data=data).get_json()
    assert "2 sizes, from 10×10 to 12×10; all are padded to 32×32" in found["problems"][0]["reason"]
    data["dsopts_force_same_shape"] = "0"
    (problem,) = client.post("/datasets/generic/preview/image-processing.json", data=data).get_json()["problems"]
    assert "each keeps its own" in problem["reason"]


def test_preview_says_what_becomes_of_pictures_that_differ(client: FlaskClient, place: Path) -> None:
    folder = place / "data/differ"
    folder.mkdir()
    for number in range(6):
        picture(number, (12, 10), "L" if number == 2 else "RGB").save(folder / f"{number}.png")
    Image.fromarray(np.full((10, 12), 900, np.uint16)).save(folder / "deep.png")
    data = {"feature_folder": str(folder), "label_source": "image"}
    found = client.post("/datasets/generic/preview/image-processing.json", data=data).get_json()["problems"]
    said = {(problem["kind"], Path(problem["entry"]).name): problem["reason"] for problem in found}
    assert set(said) == {("converted", "2.png"), ("skipped", "deep.png")}
    assert "Encode all alike, as uint8." in said["skipped", "deep.png"]


def test_preview_of_files_that_make_no_data_set_says_why(client: FlaskClient, place: Path) -> None:
    (place / "data/others").mkdir(exist_ok=True)
    picture(1).save(place / "data/others/else.png")
    answer = client.post(
        "/datasets/generic/preview/image-segmentation.json", data={**values(place), "label_folder": str(place / "data/others")}
    )
    assert answer.status_code == 400
    assert "None of the 12 pictures" in answer.text
    missing = client.post("/datasets/generic/preview/image-segmentation.json", data={"folder_pct_val": "10"})
    assert missing.status_code == 400
    assert "label_folder" in missing.get_json()["errors"]


@pytest.mark.parametrize("extension", ["image-processing", "image-segmentation"])
def test_a_created_data_set_reads_its_files_in_the_worker(
    client: FlaskClient, service: Service, place: Path, extension: str
) -> None:
    made = client.post(CREATE.format(extension), data={**values(place), "dataset_name": "pairs", "unknown": "x"})
    assert made.status_code == 200, made.text
    run = run_job(service.folder(made.get_json()["id"]))
    assert run.entries() == {"train": 9, "val": 3}
    again = run_job(run.folder)
    assert again.info.content_hash == run.info.content_hash


@pytest.mark.parametrize("extension", ["image-processing", "image-segmentation", "image-object-detection", "image-regression"])
def test_pages_have_the_title_and_no_processes_are_refused(client: FlaskClient, place: Path, extension: str) -> None:
    page = client.get(f"/datasets/generic/new/{extension}")
    assert page.status_code == 200
    assert "Traceback" not in page.text
    refused = client.post(CREATE.format(extension), data={**values(place), "dataset_name": "x", "dsopts_num_threads": "0"})
    assert refused.status_code == 400
    assert "dsopts_num_threads" in refused.get_json()["errors"]
