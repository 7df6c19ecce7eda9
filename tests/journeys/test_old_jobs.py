"""Jobs of an earlier version: they open, resume, test and download, and give the numbers that they gave then.

`tests/data/old_jobs.tar.xz` was made on a server of the last version before the modules were moved to their present places,
with pictures of 5 to 48 pixels and networks of a layer or two. It holds

* `jobs/`: data sets from a folder and from text files, for segmentation, detection, regression and image-to-image, one of the
  plugin in `plugins/image_gradients`, one of LMDB databases; a model of each, one of TensorFlow, one that diverged, and `whole`,
  which ran through, beside `killed`: the same training, but server and worker were killed with signal 9 at step 29 of 60, two
  steps after its last checkpoint; evaluations of a split and of a folder;
* `pictures/` and `lmdb/`, from which they were made (then below `/tmp/old-jobs`);
* `answers.json`: the ids by name, and what that server answered: results of evaluations, curves, single predictions.

The database was vacuumed; logs, locks and the session key of the server were left out.
"""

from __future__ import annotations

import io
import json
import runpy
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.domain.events import MetricEvent
from digits.frameworks import available_frameworks
from digits.storage.events import valid_events
from tests.journeys.client import GENERIC, Client, server_with

HERE = Path(__file__).resolve()
ARCHIVE = HERE.parents[1] / "data" / "old_jobs.tar.xz"
PLUGIN = HERE.parents[2] / "plugins" / "image_gradients"
CLASSIFICATION = "/models/images/classification"
THEN = "/tmp/old-jobs"
KILLED_AT = 27  # the step of the last checkpoint
DATASETS = ("colours", "lists", "masks", "boxes", "values", "pairs", "gradients", "database")
MODELS = ("tint", "listed", "keras", "segmenter", "finder", "regressor", "denoiser", "slope", "whole")
TESTED = {  # by evaluations of their validation split
    "split evaluation": "tint",
    "masks evaluation": "segmenter",
    "boxes evaluation": "finder",
    "values evaluation": "regressor",
    "pairs evaluation": "denoiser",
}
PICTURES = {
    "segmenter": "masks/images/0.png",
    "finder": "boxes/images/0.png",
    "regressor": "values/images/0.png",
    "denoiser": "pairs/noisy/0.png",
}
ROSE = "colours/red rose/0.png"
# A new evaluation's own; the page now says which metric decides; there is no top 5 of five classes or fewer, as all are here.
CHANGES = ("seconds", "deciding", "top5", "accuracy_top5")
# columns that no folder holds, or that there were none of then
OF_A_SERVER = {"seq", "pid", "pid_start", "disk_bytes", "best_better", "sweep", "fold"}
BEST = {"best_name", "best_value", "best_epoch"}

pytestmark = pytest.mark.slow


def unpack(folder: Path) -> dict[str, Any]:
    """Unpack below `folder`, where paths to pictures then lead; the answers of then."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    for file in (*folder.glob("jobs/*/job.json"), *folder.glob("jobs/*/*_db/records.json")):
        file.write_text(file.read_text().replace(THEN, str(folder)))
    found: dict[str, Any] = json.loads((folder / "answers.json").read_text())
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("old")


@pytest.fixture(scope="module")
def then(folder: Path) -> dict[str, Any]:
    return unpack(folder)


@pytest.fixture(scope="module")
def ids(then: dict[str, Any]) -> dict[str, str]:
    return dict(then["ids"])


@pytest.fixture(scope="module")
def client(folder: Path, then: dict[str, Any]) -> Iterator[Client]:
    with server_with(PLUGIN, folder) as client:
        yield client


def same(now: Any, then: Any, place: str = "") -> None:
    """Everything that was answered then is answered now; there may be more."""
    if isinstance(then, dict):
        assert isinstance(now, dict), place
        for name, value in then.items():
            assert name in now, f"{place}/{name} is gone"
            if name not in CHANGES:
                same(now[name], value, f"{place}/{name}")
    elif isinstance(then, list):
        now = now[: len(then)] if place.endswith("/columns") else now
        assert len(now) == len(then), place
        for number, (one, other) in enumerate(zip(now, then, strict=True)):
            same(one, other, f"{place}/{number}")
    elif isinstance(then, float):
        assert now == pytest.approx(then, rel=1e-4, abs=1e-6), place
    else:
        assert now == then, place


def needs_tensorflow(name: str) -> None:
    if name.startswith("keras") and "tensorflow" not in available_frameworks():
        pytest.skip("tensorflow is not installed")


def test_the_killed_training_goes_on_as_the_undisturbed_one_did(client: Client, ids: dict[str, str]) -> None:
    page = client.page(f"/models/{client.done(ids['killed'])}")
    assert "esumed from checkpoint" in page
    killed, whole = (
        [
            (event.step, event.phase, event.values)
            for _, event in valid_events(path)
            if isinstance(event, MetricEvent) and event.phase != "gradients"  # which was not measured then
        ]
        for path in (client.server.jobs_dir / ids[name] / "events.jsonl" for name in ("killed", "whole"))
    )
    before = [metric for metric in whole if metric[0] <= KILLED_AT]
    assert killed[: len(before)] == before
    assert [metric[:2] for metric in killed] == [metric[:2] for metric in whole]
    for (step, phase, found), (_, _, wanted) in zip(killed, whole, strict=True):
        same(found, wanted, f"step {step}, {phase}")  # other builds of the libraries add in another order


@pytest.mark.parametrize("name", DATASETS)
def test_pages_of_data_sets(client: Client, ids: dict[str, str], name: str) -> None:
    job_id = ids[name]
    assert name in client.page(f"/datasets/{job_id}")
    dataset = client.json(f"/datasets/{job_id}.json")
    assert (dataset["name"], dataset["status"]) == (name, "Done")
    assert client.json(f"/jobs/{job_id}.json")["id"] == job_id
    kind = "images/classification" if name in ("colours", "lists") else "generic"
    for split in ("train_db", "val_db")[: 1 if name == "lists" else 2]:
        assert client.page(f"/datasets/{kind}/explore?job_id={job_id}&db={split}")
    assert client.request(f"/clone/{job_id}?username=me")[0] == 200


@pytest.mark.parametrize("name", ["colours", "lists"])
def test_statistics_and_problems(client: Client, ids: dict[str, str], name: str) -> None:
    for what in ("statistics", "problems"):
        assert client.page(f"/datasets/{ids[name]}/{what}")
        assert client.json(f"/datasets/{ids[name]}/{what}.json") is not None


@pytest.mark.parametrize("name", MODELS)
def test_pages_and_curves_of_models(client: Client, ids: dict[str, str], then: dict[str, Any], name: str) -> None:
    job_id = ids[name]
    assert name in client.page(f"/models/{job_id}")
    model = client.json(f"/models/{job_id}.json")
    assert (model["name"], model["status"], bool(model["snapshots"])) == (name, "Done", True)
    same(client.json(f"/models/{job_id}/curves.json"), then["curves"].get(name, {}))
    assert client.page(f"/models/{job_id}/metrics.csv")
    frames = client.json(f"/models/{job_id}/samples.json")["frames"]
    assert bool(frames) == (name != "listed"), "which has no validation data"
    if frames:
        assert client.json(f"/models/{job_id}/samples/{frames[-1]['step']}.json")["samples"]
    assert client.request(f"/clone/{job_id}?username=me")[0] == 200


def test_the_one_that_diverged_still_says_why(client: Client, ids: dict[str, str]) -> None:
    assert "Try decreasing your learning rate" in client.page(f"/models/{ids['diverged']}")


def test_lists_of_jobs(client: Client, ids: dict[str, str]) -> None:
    assert client.page("/")
    listed = client.json("/index.json")
    found = {job["id"] for kind in ("datasets", "models") for job in listed[kind]}
    assert found == {ids[name] for name in (*DATASETS, *MODELS, "killed", "diverged")}
    assert client.server.service.store.get(ids["colours"]).group == "old ones"


@pytest.mark.parametrize("name", [*TESTED, "keras evaluation", "many evaluation"])
def test_evaluations_tell_the_same(client: Client, ids: dict[str, str], then: dict[str, Any], name: str) -> None:
    address = f"/evaluations/{ids[name]}"
    assert client.page(address)
    same(client.json(f"{address}.json")["result"], then["evaluations"][name], name)
    rows = "samples" if TESTED.get(name, "tint") != "tint" else "predictions"
    assert client.json(f"{address}/{rows}.json")
    assert client.page(f"{address}/{rows}.csv")


@pytest.mark.parametrize("name", TESTED)
def test_evaluated_again_they_give_the_same_numbers(client: Client, ids: dict[str, str], then: dict[str, Any], name: str) -> None:
    again = client.done(client.json(f"/models/{ids[TESTED[name]]}/evaluate.json", split="val")["id"])
    result = client.json(f"/evaluations/{again}.json")["result"]
    same(result, as_today(then["evaluations"][name]), name)


def as_today(result: dict[str, Any]) -> dict[str, Any]:
    """An evaluation of then by the rules of today (docs/metrics.md): the validation split has a baseline too, F1 of a class that
    was never predicted is 0, errors of pictures are in units of their values, R² is taken over each column alone, columns have
    rows of their own."""
    found = {key: value for key, value in result.items() if key not in ("baseline", "per_class")}
    if result["per_class"]:
        found["per_class"] = [row | ({"f1": row["f1"] or 0.0} if "f1" in row else {}) for row in result["per_class"]]
    unit = 255 if result.get("kind") == "pictures" else 1
    metrics = {key: value for key, value in result.get("metrics", {}).items() if key != "r2"}
    return found | {"metrics": {key: value * unit if key in ("mae", "rmse") else value for key, value in metrics.items()}}


@pytest.mark.parametrize("name", ["tint", "listed", "keras", "whole"])
def test_one_picture_is_classified_as_then(
    client: Client, ids: dict[str, str], then: dict[str, Any], folder: Path, name: str
) -> None:
    needs_tensorflow(name)
    answer = client.json(f"{CLASSIFICATION}/classify_one.json", job_id=ids[name], image_path=folder / "pictures" / ROSE)
    same(answer["predictions"], then["classify_one"][name], name)


@pytest.mark.parametrize("name", PICTURES)
def test_one_picture_is_inferred_as_then(
    client: Client, ids: dict[str, str], then: dict[str, Any], folder: Path, name: str
) -> None:
    picture = folder / "pictures" / PICTURES[name]
    answer = client.json(f"{GENERIC}/infer_one.json", job_id=ids[name], image_path=picture)
    same(answer["outputs"], then["infer_one"][name], name)
    assert client.page(f"{GENERIC}/infer_one", job_id=ids[name], image_path=picture)


def test_the_plugins_own_form_answers_as_then(client: Client, ids: dict[str, str], then: dict[str, Any]) -> None:
    requested = {"job_id": ids["slope"], "gradient_x": 0.5, "gradient_y": -0.5}
    was = {key.strip("()"): outputs for key, outputs in then["infer_extension"].items()}  # keys of tuples have no brackets today
    same(client.json(f"{GENERIC}/infer_extension.json", **requested)["outputs"], was)


def test_a_training_begins_where_an_old_one_ended(client: Client, ids: dict[str, str]) -> None:
    previous = {"method": "previous", "previous_networks": ids["tint"], f"{ids['tint']}-snapshot": 2}
    values = {"model_name": "on", "dataset": ids["colours"], "train_epochs": 1, "learning_rate": 1e-6, "lr_policy": "fixed"}
    on = client.done(client.json(f"{CLASSIFICATION}.json", select_gpu="cpu", **values, **previous)["id"])
    losses = [client.json(f"/models/{job}/curves.json")["curves"]["val"]["values"]["loss"] for job in (ids["tint"], on)]
    assert losses[1][0] == pytest.approx(losses[0][-1], rel=1e-4)


def test_a_model_of_the_database_trains(client: Client, ids: dict[str, str]) -> None:
    text = (
        "from torch import nn\n\n\ndef build_network(context):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(90, max(context.num_classes, 2)))\n"
    )
    values = {"model_name": "db", "dataset": ids["database"], "train_epochs": 1, "method": "custom", "custom_network": text}
    client.done(client.json(f"{GENERIC}.json", framework="pytorch", select_gpu="cpu", **values)["id"])


@pytest.mark.parametrize("name", MODELS)
def test_archives_predict(
    client: Client,
    ids: dict[str, str],
    then: dict[str, Any],
    folder: Path,
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    needs_tensorflow(name)
    with urllib.request.urlopen(f"{client.server.url}/models/{ids[name]}/download.zip", timeout=60) as answer:
        archive = zipfile.ZipFile(io.BytesIO(answer.read()))
    archive.extractall(tmp_path)
    picture = str(folder / "pictures" / PICTURES.get(name, ROSE))
    monkeypatch.syspath_prepend(tmp_path)  # as `python predict.py` finds its neighbour
    monkeypatch.setattr(sys, "argv", ["predict.py", "--json", picture])
    runpy.run_path(str(tmp_path / "predict.py"), run_name="__main__")
    found = json.loads(capsys.readouterr().out)[picture]
    if name in then["classify_one"]:
        for label, percent in then["classify_one"][name]:
            assert found[label] * 100 == pytest.approx(percent, abs=0.006)
    elif name in ("segmenter", "regressor"):
        (wanted,) = then["infer_one"][name].values()
        np.testing.assert_allclose(np.ravel(next(iter(found.values()))), np.ravel(wanted), rtol=1e-4, atol=1e-5)


def test_the_list_can_be_made_again_from_the_folders(tmp_path: Path, ids: dict[str, str]) -> None:
    unpack(tmp_path)
    command = [sys.executable, "-m", "digits", "jobs"]
    there = ["--jobs-dir", str(tmp_path / "jobs")]

    def listed() -> list[dict[str, Any]]:
        run = subprocess.run([*command, "list", "--all", "--json", *there], capture_output=True, text=True, check=True)
        jobs = sorted(json.loads(run.stdout), key=lambda job: str(job["id"]))
        # The row of `killed` had not yet seen its last events; the score before the first step counted as best in rows then.
        behind = {ids["killed"]: {"event_offset", "sparkline"}, ids["finder"]: BEST, ids["diverged"]: BEST}
        return [{k: v for k, v in job.items() if k not in OF_A_SERVER | behind.get(job["id"], set())} for job in jobs]

    before = listed()
    assert {job["id"] for job in before} == set(ids.values())
    for file in (tmp_path / "jobs" / ".digits").glob("digits.sqlite*"):
        file.unlink()
    subprocess.run([*command, "reindex", *there], check=True, capture_output=True)
    assert listed() == before
    shutil.rmtree(tmp_path / "jobs")
