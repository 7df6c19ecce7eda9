"""Python layer files over HTTP: which of the fields counts, what is refused, and where the file goes with a model."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.config import Settings
from digits.service import Service
from digits.service.models import python_layers
from digits.service.models.archives import model_members
from digits.service.models.snapshots import Snapshot
from digits.storage.jobs.store import Job
from digits.web.app import create_app
from tests.service.finished_dataset import class_folder, finished_dataset

ROUTE = "/models/images/classification"
COPY = "digits_python_layers.py"
TEXT = "from torch import nn\nfrom {} import Twice\n\n\ndef build_network(context):\n    return Twice()\n"
LAYERS = "from torch import nn\n\n\nclass Twice(nn.Module):\n    pass\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("layers")
    service = Service.open(Settings(jobs_dir=str(root / "jobs"), auth=False, data_dirs=str(root / "data")))
    yield service
    service.close()


@pytest.fixture(scope="module")
def data(service: Service) -> Path:
    """The one folder that the server may read."""
    folder = service.jobs_dir.path.parent / "data"
    folder.mkdir()
    (folder / "server_layers.py").write_text(LAYERS)
    return folder


@pytest.fixture(scope="module")
def dataset(service: Service, data: Path) -> Job:
    features = {"train_db": np.zeros((6, 1, 8, 8), np.uint8), "val_db": np.zeros((3, 1, 8, 8), np.uint8)}
    labels = {name: np.arange(len(f)) % 3 for name, f in features.items()}
    return finished_dataset(service, class_folder(data / "pictures"), features, labels)


@pytest.fixture
def client(service: Service, dataset: Job) -> FlaskClient:
    client = create_app(service).test_client()
    client.post("/login", data={"username": "me"})
    return client


def upload(text: str = LAYERS, name: str = "sent_layers.py") -> dict[str, Any]:
    return {"python_layer_client_file": (io.BytesIO(text.encode()), name)}


def post(client: FlaskClient, dataset: Job, module: str = "digits_python_layers", **values: Any) -> Any:
    known = {"dataset": dataset.id, "model_name": "m", "method": "custom", "custom_network": TEXT.format(module)}
    return client.post(f"{ROUTE}.json", data={**known, "framework": "pytorch", **values})


def made(client: FlaskClient, dataset: Job, **values: Any) -> dict[str, Any]:
    answer = post(client, dataset, **values)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return dict(answer.get_json())


def test_a_file_is_copied_named_and_shown(client: FlaskClient, dataset: Job, service: Service, data: Path) -> None:
    model = made(client, dataset, module="server_layers", python_layer_server_file=data / "server_layers.py")
    assert model["python layer file"] == COPY
    assert "warnings" not in model
    assert (Path(model["directory"]) / COPY).read_text() == LAYERS
    assert service.folder(model["id"]).spec()["python_layers"] == "server_layers.py"
    page = client.get(f"/models/{model['id']}").get_data(as_text=True)
    assert "Python layer file server_layers.py" in page
    assert "class Twice" in page
    with client.get(f"/files/{model['id']}/{COPY}") as answer:
        assert answer.get_data(as_text=True) == LAYERS


@pytest.mark.parametrize(("first", "name"), [("true", "sent_layers.py"), ("", "server_layers.py")])
def test_of_two_files_the_flag_decides(client: FlaskClient, dataset: Job, data: Path, first: str, name: str) -> None:
    both = {**upload(), "python_layer_server_file": data / "server_layers.py"}
    model = made(client, dataset, python_layer_from_client=first, **both)
    assert json.loads((Path(model["directory"]) / "job.json").read_text())["spec"]["python_layers"] == name


def test_one_file_counts_whatever_the_flag_says(client: FlaskClient, dataset: Job) -> None:
    assert made(client, dataset, **upload())["python layer file"] == COPY


def test_a_clone_has_the_same_file_and_form(client: FlaskClient, dataset: Job, service: Service) -> None:
    first = made(client, dataset, module="sent_layers", **upload())
    second = client.post(f"{ROUTE}.json", data={"clone": first["id"]}).get_json()
    forms = [service.folder(model["id"]).request().form for model in (first, second)]
    assert forms[0] == forms[1]
    assert service.folder(second["id"]).spec()["python_layers"] == "sent_layers.py", "the name that it had"
    (Path(first["directory"]) / COPY).unlink()
    third = client.post(f"{ROUTE}.json", data={"clone": second["id"]}).get_json()
    assert (Path(third["directory"]) / COPY).read_text() == LAYERS, "where the first one is gone its copy does"


def test_it_comes_along_with_an_earlier_model(client: FlaskClient, dataset: Job) -> None:
    first = made(client, dataset, **upload())
    customized = client.post(f"/models/customize?network={first['id']}", data={"snapshot_epoch": "0"}).get_json()
    assert Path(customized["python_layer"]) == Path(first["directory"]) / COPY
    second = made(client, dataset, method="previous", previous_networks=first["id"])
    assert (Path(second["directory"]) / COPY).read_text() == LAYERS


def test_an_archive_has_it_under_both_names(client: FlaskClient, dataset: Job, service: Service) -> None:
    model = made(client, dataset, **upload())
    folder = service.folder(model["id"])
    folder.snapshots.mkdir()
    (folder.snapshots / "epoch_1.pt").write_bytes(b"")
    (folder.path / "preprocessing.json").write_text("{}")
    members = {}
    for member in model_members(service, service.store.get(model["id"]), Snapshot(1.0, "snapshots/epoch_1.pt")):
        with member.source as source:
            members[member.name] = source.read()
    assert members[COPY].decode() == LAYERS
    assert b"import digits_python_layers" in members["sent_layers.py"]
    assert json.loads(members["info.json"])["python layer file"] == COPY


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (LAYERS, "layers.txt", "no Python file"),
        ("def f(:\n", "layers.py", "line 1"),
        ("import caffe\n\n\nclass Twice(caffe.Layer):\n    pass\n", "layers.py", "layers of Caffe"),
        ("print 'two'\n", "layers.py", "line 1"),
        ("x" * 5_000, "layers.py", "more than "),
        ("\0\0\0\0", "layers.pyc", "another version of Python"),
        ("# coding: nonesuch\n", "layers.py", "unknown encoding"),
    ],
    ids=["suffix", "syntax", "caffe", "python2", "size", "compiled", "encoding"],
)
def test_a_file_that_cannot_be_used_is_refused(
    client: FlaskClient, dataset: Job, monkeypatch: pytest.MonkeyPatch, text: str, name: str, words: str
) -> None:
    monkeypatch.setattr(python_layers, "LARGEST", 4096)
    answer = post(client, dataset, **upload(text, name))
    assert answer.status_code == 400
    assert words in answer.get_json()["errors"]["python_layer_client_file"][0]
    assert list(answer.get_json()["errors"]) == ["python_layer_client_file"]


@pytest.mark.parametrize("path", ["/etc/hostname", "/nonesuch.py", "pictures"])
def test_a_path_is_confined_and_must_be_a_file(client: FlaskClient, dataset: Job, data: Path, path: str) -> None:
    answer = post(client, dataset, python_layer_server_file=data / path)
    assert list(answer.get_json()["errors"]) == ["python_layer_server_file"]


def test_what_has_no_effect_is_said(client: FlaskClient, dataset: Job, data: Path) -> None:
    lenet = {"method": "standard", "standard_networks": "lenet"}
    assert "its network does not import it" in made(client, dataset, **lenet, **upload())["warnings"][0]
    assert "also the name of an installed module" in made(client, dataset, module="json", **upload(name="json.py"))["warnings"][0]
    missing = post(client, dataset).get_json()["errors"]["python_layer_server_file"][0]
    assert "no Python layer file is given" in missing


def test_a_text_is_looked_at_with_its_layers(client: FlaskClient, data: Path) -> None:
    sent = {"custom_network": TEXT.format("digits_python_layers")}
    answer = client.post("/models/visualize-network.json", data=sent)
    assert list(answer.get_json()["errors"]) == ["python_layer_server_file"]
    answer = client.post("/models/visualize-network.json", data={**sent, **upload("def f(:\n")})
    assert list(answer.get_json()["errors"]) == ["python_layer_client_file"]


def test_what_was_looked_at_is_kept_whatever_lies_there_later(
    client: FlaskClient, dataset: Job, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file becomes a link out of the folder between the looks: what was read once is what goes with the model."""
    file = data / "turned.py"
    file.write_text(LAYERS)
    outside = data.parent / "secret.py"
    outside.write_text("secret = 1\n")
    judged = python_layers.problem

    def turn(suffix: str, content: bytes) -> str:
        file.unlink()
        file.symlink_to(outside)
        return judged(suffix, content)

    monkeypatch.setattr(python_layers, "problem", turn)
    model = made(client, dataset, module="turned", python_layer_server_file=file)
    assert (Path(model["directory"]) / COPY).read_text() == LAYERS
    monkeypatch.setattr(python_layers, "problem", judged)
    monkeypatch.setattr(python_layers, "readable_file", lambda service, text, field: Path(text))  # the look came before the link
    answer = post(client, dataset, module="turned", python_layer_server_file=file)
    assert answer.status_code == 400
    assert "outside the folders" in answer.get_json()["errors"]["python_layer_server_file"][0]
