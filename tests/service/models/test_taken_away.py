"""What is taken away with an ONNX export: a script and a server that need ONNX Runtime alone and give the model's numbers, a
card, a report, a repository of Triton, a page."""

from __future__ import annotations

import fnmatch
import io
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from digits.domain.exports import Export, ExportSpec
from digits.domain.jobs import JobRequest, Kind, Resources, Status, UserColumns
from digits.domain.training import TaskOptions, TrainingSpec
from digits.engines.base import get_engine
from digits.errors import BadRequest
from digits.service import Service
from digits.service.models.archives import Archive, file_stem, model_archive
from digits.service.models.packages import Source, package, triton_config
from digits.service.models.thresholds import store_threshold
from digits.storage.exports import exports_of
from digits.storage.jobs.store import Job
from digits.testing.runs import make_dataset, striped_pictures, train
from digits.worker import export
from digits.worker.runtime import WorkerContext
from tests.builders import make_job
from tests.journeys.client import multipart
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
    return exported(service, "classification", features, labels, crop_size=10)


def exported(service: Service, task: str, features: np.ndarray, labels: np.ndarray, **settings: Any) -> Job:
    dataset = make_job(service, kind=Kind.DATASET, name="stripes", status=Status.DONE)
    folder = service.folder(dataset.id).path
    kind = "index" if task == "classification" else "vector"
    make_dataset(folder, features, labels, task=task, label_kind=kind, class_labels=("left", "<right>"))
    spec = TrainingSpec(dataset.id, task, network=TEXT, epochs=1, batch_size=8, seed=1, val_interval=1, **settings)
    job = make_job(service, name=HOSTILE, status=Status.DONE, spec=spec.to_json(), framework="pytorch", parents=(dataset.id,))
    path = service.folder(job.id).path
    (path / "network.py").write_text(TEXT)
    train(folder, path, spec)
    wanted = ExportSpec(job.id, "snapshots/epoch_1.safetensors", 1.0, "onnx", "pytorch", dataset.id)
    request = JobRequest("20260102-000000-0001", Kind.EXPORT, "Export", task, 0.0, {}, wanted.to_json(), (), Resources("export"))
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

    check_image(tmp_path / "archive", set(files))

    repository = unpacked(package(service, model, made, "triton"), tmp_path / "triton")
    (config,) = (name for name in repository if name.endswith("config.pbtxt"))
    name = config.split("/")[0]
    text = (tmp_path / "triton" / config).read_text()
    assert f'name: "{name}"' in text
    assert 'name: "features"\n    data_type: TYPE_FP32\n    dims: [ 3, 12, 12 ]' in text
    assert 'dims: [ 2 ]\n    label_filename: "labels.txt"' in text
    assert f"{name}/1/model.onnx" in repository
    check_triton(tmp_path / "triton" / name)
    with pytest.raises(BadRequest, match="triton, web"):
        package(service, model, made, "../x")

    page = unpacked(package(service, model, made, "web"), tmp_path / "web")
    assert page == ["README.txt", "index.html"]
    text = (tmp_path / "web" / "index.html").read_text()
    assert "<b>model" not in text
    assert "</script>" not in text.split('id="facts">')[1].split("<script")[0].replace("</script>\n", "")


def test_the_page_counts_labels_from_the_thresholds_that_were_chosen(service: Service, tmp_path: Path) -> None:
    features, labels = striped_pictures(24, 12, seed=1, channels=3)
    truth = np.eye(2, dtype=np.float32)[labels]
    model = exported(service, "multi_label", features, truth, options=TaskOptions(label_thresholds=(0.25, 0.75)))
    store_threshold(service, model.id, "<right>", {"threshold": 0.125})
    (made,) = exports_of(service.folder(model.id))
    unpacked(package(service, model, made, "web"), tmp_path / "web")
    text = (tmp_path / "web" / "index.html").read_text()
    facts = json.loads(text.split('id="facts">')[1].split("</script>")[0])
    assert facts["thresholds"] == [0.25, 0.125]


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
            data, kind = multipart({}, {"image_file": ("picture.png", picture.read_bytes())})
            form = urllib.request.Request(f"{address}predict", data, {"Content-Type": kind})
            with urllib.request.urlopen(form, timeout=60) as answer:
                assert json.loads(answer.read()) == found
            return found
        finally:
            server.terminate()


def check_image(folder: Path, files: set[str]) -> None:
    """The Dockerfile, line by line: what it starts from has a version, what it copies is there, what it runs is a script of the
    archive with arguments that this takes, at the port that it shows and asks."""
    lines = [line.partition(" ") for line in (folder / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    words: dict[str, list[str]] = {}
    for word, _, rest in lines:
        words.setdefault(word, []).append(rest)
    assert set(words) == {"FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "CMD"}
    assert re.fullmatch(r"python:3\.\d+-slim", words["FROM"][0])
    for pattern in (name for rest in words["COPY"] for name in rest.split()[:-1]):
        assert fnmatch.filter(files, pattern), f"{pattern} is not in the archive"
    program, script, *arguments = json.loads(words["CMD"][0])
    assert (program, script) == ("python", "server.py")
    told = alone(folder, script, "--help")
    assert all(argument in told for argument in arguments if argument.startswith("--"))
    port = arguments[arguments.index("--port") + 1]
    asked = json.loads(words["HEALTHCHECK"][0].removeprefix("CMD "))
    compile(asked[-1], "HEALTHCHECK", "exec")
    assert words["EXPOSE"] == [port]
    assert f":{port}/health" in asked[-1]
    assert words["USER"][0].isdigit(), "not root"
    needs = (folder / "requirements.txt").read_text().split()
    assert all(re.fullmatch(r"(numpy|onnxruntime|pillow)>=[\d.]+", need) for need in needs)
    assert len(needs) == 3


def check_triton(folder: Path) -> None:
    """What the configuration says is what the file takes and gives, in Triton's own words."""
    configuration = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="tritonclient[grpc] is not installed")
    from google.protobuf import text_format

    config = text_format.Parse((folder / "config.pbtxt").read_text(), configuration.ModelConfig())
    assert (config.name, config.platform) == (folder.name, "onnxruntime_onnx")
    assert config.max_batch_size > 1
    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    for told, real in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        assert [one.name for one in told] == [one.name for one in real]
        for one, other in zip(told, real, strict=True):
            assert not isinstance(other.shape[0], int), "batches of any size"
            assert list(one.dims) == [side if isinstance(side, int) else -1 for side in other.shape[1:]]
            assert (one.data_type, other.type) == (configuration.TYPE_FP32, "tensor(float)")
    assert (folder / config.output[0].label_filename).read_text() == "left\n<right>\n"


@pytest.mark.parametrize(
    ("shape", "dims", "reshaped"),
    [(["batch", "found", 6], [-1, 6], None), (["batch", 3, "height", "width"], [3, -1, -1], None), (["batch"], [1], [])],
)
def test_triton_is_told_of_outputs_of_every_kind(service: Service, shape: list[Any], dims: list[int], reshaped: Any) -> None:
    configuration = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="tritonclient[grpc] is not installed")
    from google.protobuf import text_format

    about = {"input": "features", "shape": ["batch", 3, "height", 20], "outputs": {"boxes": shape}}
    export = Export("onnx", 1.0, "", "x", 1.0, (), 0.0, 1, facts={"inputs": {"model_plain.onnx": about}})
    source = Source(make_job(service), export, Path(), {"task": "generic", "class_labels": []})
    config = text_format.Parse(triton_config("a", source), configuration.ModelConfig())
    assert list(config.input[0].dims) == [3, -1, 20]
    assert list(config.output[0].dims) == dims
    assert config.output[0].HasField("reshape") == (reshaped is not None)
