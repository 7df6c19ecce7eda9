"""What is taken away with an ONNX export: a script and a server that need ONNX Runtime alone and give the model's numbers, a
card, a report, a repository of Triton, a page."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.domain.exports import ExportSpec
from digits.domain.jobs import JobRequest, Kind, Resources, Status, UserColumns
from digits.domain.training import TrainingSpec
from digits.engines.base import get_engine
from digits.errors import BadRequest
from digits.service import Service
from digits.service.models.archives import Archive, file_stem, model_archive
from digits.service.models.packages import package
from digits.storage.exports import exports_of
from digits.storage.jobs.store import Job
from digits.testing.runs import make_dataset, striped_pictures, train
from digits.worker import export
from digits.worker.runtime import WorkerContext
from tests.builders import make_job
from tests.worker.test_export import TEXT

HOSTILE = 'a | <b>model</b> & "more"'
ALONE = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "tensorflow", "keras", "digits", "cv2", "pyarrow", "onnx"):
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Blocked())
script = sys.argv.pop(1)
sys.argv[0] = script
import runpy
runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture
def model(service: Service) -> Job:
    """A linear network on stripes, cropped and with a mean picture, exported as ONNX by a worker."""
    features, labels = striped_pictures(24, 12, seed=1, channels=3)
    dataset = make_job(service, kind=Kind.DATASET, name="stripes", status=Status.DONE)
    folder = service.folder(dataset.id).path
    make_dataset(folder, features, labels, class_labels=("left", "<right>"))
    spec = TrainingSpec(dataset.id, "classification", network=TEXT, epochs=1, batch_size=8, seed=1, crop_size=10, val_interval=1)
    job = make_job(service, name=HOSTILE, status=Status.DONE, spec=spec.to_json(), framework="pytorch", parents=(dataset.id,))
    path = service.folder(job.id).path
    (path / "network.py").write_text(TEXT)
    train(folder, path, spec)
    wanted = ExportSpec(job.id, "snapshots/epoch_1.safetensors", 1.0, "onnx", "pytorch", dataset.id)
    request = JobRequest(
        "20260102-000000-0001", Kind.EXPORT, "Export", "classification", 0.0, {}, wanted.to_json(), (), Resources("export")
    )
    own = service.jobs_dir.folder(request.id)
    own.create(request, UserColumns("test"))
    context = WorkerContext(own, service.jobs_dir, request, 1, 1, (), 60)
    try:
        export.run(context)
    finally:
        context.writer.close()
    return job


def test_all_that_is_taken_away(service: Service, model: Job, tmp_path: Path) -> None:
    (made,) = exports_of(service.folder(model.id))
    assert [name for name, _ in made.files] == ["model.onnx", "model_plain.onnx"]
    assert made.size == made.files[0][1], "what one has to have is one file"
    assert made.quality["metric"] == "accuracy"
    assert (made.quality["pictures"], made.quality["total"], made.metric_drop) == (8, 8, 0.0)
    assert [timing.runtime for timing in made.timings][1:] == ["ONNX Runtime", "ONNX Runtime, plain pictures"]
    assert all(0 < timing.p50_ms <= timing.p95_ms for timing in made.timings)

    files = unpacked(model_archive(service, model, "zip", named=True), tmp_path / "archive")
    assert {"predict.py", "predict_pytorch.py", "server.py", "Dockerfile", "requirements.txt"} <= set(files)
    picture = tmp_path / "picture.png"
    pixels = np.random.default_rng(5).integers(0, 256, (31, 22, 3), np.uint8)
    Image.fromarray(pixels).save(picture)
    expected = prediction(service, model, picture)
    found = json.loads(alone(tmp_path / "archive", "predict.py", "--json", str(picture)))[str(picture)]
    assert found == pytest.approx(expected, abs=1e-6)
    assert ask_server(tmp_path / "archive", picture) == pytest.approx(expected, abs=1e-6)

    card = (tmp_path / "archive" / "MODEL_CARD.md").read_text()
    assert card.startswith('# a \\| \\<b\\>model\\</b\\> & "more"\n')
    assert "| 1 | \\<right\\> |" in card
    assert "ONNX Runtime" in card
    assert "| Accuracy (top 1) |" in card
    assert json.loads((tmp_path / "archive" / "parity.json").read_text())[0]["format"] == "onnx"
    assert "validation pictures" in (tmp_path / "archive" / "PARITY.md").read_text()

    repository = unpacked(package(service, model, made, "triton"), tmp_path / "triton")
    (config,) = (name for name in repository if name.endswith("config.pbtxt"))
    name = config.split("/")[0]
    text = (tmp_path / "triton" / config).read_text()
    assert f'name: "{name}"' in text
    assert 'name: "features"\n    data_type: TYPE_FP32\n    dims: [ 3, 12, 12 ]' in text
    assert 'dims: [ 2 ]\n    label_filename: "labels.txt"' in text
    assert f"{name}/1/model.onnx" in repository
    with pytest.raises(BadRequest, match="triton, web"):
        package(service, model, made, "../x")

    page = unpacked(package(service, model, made, "web"), tmp_path / "web")
    assert page == ["README.txt", "index.html"]
    text = (tmp_path / "web" / "index.html").read_text()
    assert "<b>model" not in text
    assert "</script>" not in text.split('id="facts">')[1].split("<script")[0].replace("</script>\n", "")


def test_a_file_is_named_after_its_model(service: Service) -> None:
    names = {"../../etc/passwd": "etc-passwd", "näme {x}\r\nSet-Cookie: a": "näme-x-Set-Cookie-a", "a" * 300: "a" * 80}
    for name, stem in names.items():
        assert file_stem(make_job(service, name=name)) == stem
    nameless = make_job(service, name="///")
    assert file_stem(nameless) == nameless.id


def unpacked(archive: Archive, folder: Path) -> list[str]:
    folder.mkdir()
    with zipfile.ZipFile(io.BytesIO(b"".join(archive.chunks))) as opened:
        opened.extractall(folder)
        return sorted(opened.namelist())


def prediction(service: Service, model: Job, picture: Path) -> dict[str, float]:
    """The numbers of the model itself for a picture, squashed to the size of its records."""
    snapshot = service.folder(model.id).path / "snapshots" / "epoch_1.safetensors"
    small = np.asarray(Image.open(picture).resize((12, 12), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    output = get_engine("pytorch").load(snapshot).predict(small[None].copy())["output"][0]
    return dict(zip(("left", "<right>"), output.tolist(), strict=True))


def alone(folder: Path, script: str, *arguments: str) -> str:
    """What a script prints where only ONNX Runtime, numpy and Pillow are there."""
    command = [sys.executable, "-I", "-c", ALONE, str(folder / script), *arguments]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout


def ask_server(folder: Path, picture: Path) -> dict[str, float]:
    """What the archive's server answers to a picture; what is none is refused."""
    command = [sys.executable, "-I", "-u", "-c", ALONE, str(folder / "server.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder) as server:
        try:
            address = server.stdout.readline().strip()
            with urllib.request.urlopen(f"{address}health", timeout=60) as answer:
                assert json.loads(answer.read())["class_labels"] == ["left", "<right>"]
            for junk in (b"no picture", b""):
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(f"{address}predict", data=junk, timeout=60)
                with refused.value as answer:
                    assert answer.code == 400
                    assert "error" in json.loads(answer.read())
            with urllib.request.urlopen(f"{address}predict", data=picture.read_bytes(), timeout=60) as answer:
                found: dict[str, float] = json.loads(answer.read())
                return found
        finally:
            server.terminate()
