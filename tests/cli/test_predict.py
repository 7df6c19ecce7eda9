"""`digits predict` without a server: the command has a predictor of its own, which is gone afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from digits.cli import group, main
from digits.domain.jobs import Kind, Status
from digits.domain.training import TaskOptions, TrainingSpec
from digits.errors import BadRequest, FormErrors
from digits.ipc.supervisor_client import is_listening
from digits.service import Service
from digits.service.evaluations.videos import videos_among
from digits.storage.jobs.store import Job
from digits.storage.lock import holder
from digits.storage.publications import Publication, Publications, Version
from digits.tasks import TASKS, Task
from digits.testing.runs import make_dataset, striped_pictures, train
from tests.builders import make_job
from tests.images.test_video import write_gif, write_video
from tests.worker.test_export import TEXT


@pytest.fixture
def model(service: Service, tmp_path: Path) -> Job:
    features, labels = striped_pictures(24, 12, seed=1)
    data = make_dataset(tmp_path / "data", features, labels, class_labels=("left", "right"))
    spec = TrainingSpec("", "classification", network=TEXT, epochs=2, batch_size=4, seed=1, val_interval=0)
    job = make_job(service, name="stripes", status=Status.DONE, spec=spec.to_json(), framework="pytorch")
    path = service.folder(job.id).path
    (path / "network.py").write_text(TEXT)
    train(data, path, spec)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(2):
        Image.fromarray(features[number, 0]).save(pictures / f"{number}.png")
    (pictures / "no.png").write_text("no picture")
    return job


def run(service: Service, *arguments: Any) -> Result:
    return CliRunner().invoke(group, [*map(str, arguments), "--jobs-dir", str(service.jobs_dir.path)])


def test_files_folders_lists_and_what_they_give(service: Service, model: Job, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    version = Version(1, model.id, "stripes", "snapshots/epoch_2.safetensors", 2.0, "classification", "pytorch", 0.0)
    Publications(service.jobs_dir).change("api", lambda _: Publication("api", "", 0.0, active=1, versions=(version,)))
    videos = [write_video(tmp_path / "clip.avi", 8), write_gif(tmp_path / "moving.gif"), tmp_path / "cut.mp4"]
    videos[2].write_bytes(b"\0\0\0\x18ftypmp42")
    given = [*videos, pictures / "0.png"]
    assert videos_among(service, given, animated=False) == {0, 2}, "without --every an animated picture is one picture"
    assert videos_among(service, given, animated=True) == {0, 1, 2}
    options = ("--json", "--save", tmp_path / "saved", "--top", 1, "--every", 5)
    result = run(service, "predict", "api", pictures, *videos, *options)
    assert result.exit_code == 1, (result.output, result.exception)
    said = json.loads(result.stdout)
    paths = [str(pictures / f"{number}.png") for number in range(2)]
    frames = [
        f"{videos[0]}:frame_000000_0.000s.jpg",
        f"{videos[0]}:frame_000005_0.500s.jpg",
        f"{videos[1]}:frame_000000_0.000s.jpg",
    ]
    assert list(said["outputs"]) == [*paths, *frames]
    assert [said["classifications"][path][0][0] for path in paths] == ["left", "right"]
    assert {row["entry"] for row in said["skipped"]} == {str(pictures / "no.png"), str(videos[2])}
    assert (tmp_path / "saved" / "clip.avi_frame_000005_0.500s_output.npy").is_file()
    assert not any(service.jobs_dir.scratch.iterdir()), "no frame stays"
    assert (said["model_id"], said["snapshot_epoch"]) == (model.id, 2.0)
    saved = np.load(tmp_path / "saved" / "1_output.npy")
    np.testing.assert_allclose(saved, said["outputs"][paths[1]]["output"], rtol=1e-6)
    assert not is_listening(service.jobs_dir)
    assert holder(service.jobs_dir) is None
    (tmp_path / "list.txt").write_text("0.png 0\n1.png 1\n")
    tool = [
        "tools",
        "inference",
        tmp_path / "list.txt",
        tmp_path / "out",
        model.id,
        "-e",
        "1",
        "-b",
        2,
        "-j",
        service.jobs_dir.path,
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(pictures)
        written = CliRunner().invoke(group, list(map(str, tool)))
    assert written.exit_code == 0, (written.output, written.exception)
    with h5py.File(tmp_path / "out" / "inference.hdf5") as file:
        assert (file["input_ids"][:].tolist(), file["input_data"].shape) == ([0, 1], (2, 1, 12, 12))
        assert file["outputs/output"].shape == (2, 2)


def test_what_cannot_be_used_is_named_and_the_others_are_answered(service: Service, model: Job, tmp_path: Path) -> None:
    pictures, gone, cut = tmp_path / "pictures", tmp_path / "gone.png", tmp_path / "cut.mp4"
    cut.write_bytes(b"\0\0\0\x18ftypmp42")
    result = run(service, "predict", "stripes", gone, pictures / "0.png", "--record", "val:7", "--top", 1)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (1, str(pictures / "0.png")), (result.output, result.exception)
    assert f"{gone}: {gone} does not exist on the server.\n" in result.stderr
    assert "val:7: stripes has no data set" in result.stderr
    for useless in ([gone, pictures / "no.png"], [cut, pictures / "no.png"], [gone, cut]):
        result = run(service, "predict", "stripes", *useless, "--json")
        assert result.exit_code == 1
        assert {row["entry"] for row in json.loads(result.stdout)["skipped"]} == set(map(str, useless)), result.exception
    assert run(service, "predict", "stripes", pictures / "0.png").exit_code == 0
    (tmp_path / "list.txt").write_text(f"{gone}\n{pictures / 'no.png'}\n")
    result = run(service, "predict", "stripes", "--list", tmp_path / "list.txt", "--json")
    assert [row["entry"] for row in json.loads(result.stdout)["skipped"]] == [str(gone), str(pictures / "no.png")]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((), BadRequest),
        (("--every", "2", "--record", "val:0"), BadRequest),
        (("x.png", "--db", "y"), BadRequest),
        (("--form", "a=1"), BadRequest),
        (("no such.png",), FormErrors),
    ],
)
def test_what_cannot_be_predicted_is_said(service: Service, model: Job, given: tuple[str, ...], error: type) -> None:
    assert isinstance(run(service, "predict", "stripes", *given).exception, error)
    assert holder(service.jobs_dir) is None


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_task_says_its_output_in_words(task: Task) -> None:
    labels, outputs, _ = task.example()
    for output in (outputs[0], np.full_like(outputs[0], np.nan)):
        lines = task.lines(task.kept(output), labels, TaskOptions(), 3)
        assert lines
        assert all(isinstance(line, str) and line and "\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["predict", "stripes", "no such.png"], "error: image_path: "),
        (["model", "train", "pictures", "--network", "lenet", "--epochs", "0"], "error: --epochs: "),
    ],
)
def test_errors_name_options_that_the_command_has(
    arguments: list[str], said: str, service: Service, model: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    make_job(service, Kind.DATASET, name="pictures", status=Status.DONE)
    with pytest.raises(SystemExit):
        main([*arguments, "--jobs-dir", str(service.jobs_dir.path)])
    assert said in capsys.readouterr().err
