"""What packages of the original did that no class of ours does: draw while listing, test with other shapes, live in Angular."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile
from PIL import Image

from digits.config import Settings
from digits.domain.jobs import Status
from digits.errors import FormErrors
from digits.service import Service
from digits.service.datasets import from_source
from digits.service.plugins import host as plugins
from digits.service.plugins import views as plugin_views
from digits.service.plugins.views import ViewSample
from digits.storage.jobs.store import Job
from digits.storage.records.open import open_records
from digits.web.app import create_app
from tests.builders import make_job
from tests.examples import example
from tests.plugin_host.hosts import make_dataset, plugin_form, running_host

PACKAGES = ("faces", "slopes", "outlines", "acoustics", "stories", "tumours", "gan_data", "gan_view")
LEGACY_PLUGINS = Path(__file__).parent / "legacy_plugins"


@dataclass(frozen=True)
class Place:
    """A service with a host that has the packages, and the folder they are installed in."""

    service: Service
    site: Path
    folder: Path

    def ingest(self, job: Job) -> dict[str, np.ndarray]:
        """The features of each split, made by a worker."""
        command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(self.service.jobs_dir.path), "--attempt", "1", job.id]
        path = os.pathsep.join(filter(None, [str(self.site), os.environ.get("PYTHONPATH")]))
        subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)
        splits = self.service.folder(job.id).dataset_info().splits
        readers = {name: open_records(self.service.folder(job.id).path / name) for name in splits}
        return {name: reader.features(range(len(reader))) for name, reader in readers.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("original")
    sources = [str(shutil.copytree(LEGACY_PLUGINS / name, folder / name)) for name in PACKAGES]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    site = folder / "site"
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(site), *sources], check=True)
    service = Service.open(Settings(jobs_dir=str(folder / "jobs"), auth=False, data_dirs=str(folder)))
    with running_host(service, folder, site):
        yield Place(service, site, folder)
    service.close()


def warnings(service: Service, kind: str, plugin: str) -> list[str]:
    return next(row["warnings"] for row in plugins.table(service)[kind] if row["id"] == plugin)


def test_samples_that_are_drawn_while_they_are_listed_differ_from_split_to_split_and_test_to_test(place: Place) -> None:
    job = make_dataset(
        place.service, "image-slopes", {"dataset_name": "slopes", "train_image_count": "6", "val_image_count": "6"}
    )
    found = place.ingest(job)
    assert {name: len(features) for name, features in found.items()} == {"train_db": 6, "val_db": 6}
    assert not np.array_equal(found["train_db"], found["val_db"])
    first, second = (from_source.inference_entries(place.service, job, {"test_image_count": "2"}).labels for _ in range(2))
    assert not np.array_equal(first, second)


def test_a_generator_is_tested_with_numbers_and_shown_as_a_grid(place: Place) -> None:
    job = make_dataset(place.service, "image-faces", {"dataset_name": "faces", "face_count": "5", "resize": "8"})
    entries = from_source.inference_entries(place.service, job, {"row_count": "3", "task_id": "style"})
    assert [feature.shape for feature in entries.features] == [(1, 1, 100)] * 9
    assert entries.keys == [f"{i:09d}" for i in range(9)]  # a hundred numbers are no name
    picture = np.zeros((3, 8, 8), np.float32)
    samples = [
        ViewSample(key, feature, {"generated": picture + i}, id=f"{i:09d}")
        for i, (key, feature) in enumerate(zip(entries.keys, entries.features, strict=True))
    ]
    results = plugin_views.render(place.service, job, samples, "image-faces", {"gan_view_task_id": "grid"}, "")
    assert results.failure is None
    assert [sample.get("error") for sample in results.samples] == [None] * 9
    assert results.header["html"].count("<img") == 9  # each in its place, by the number that it has
    assert results.header["html"].index("<h3>Grid") >= 0
    assert ["heading" in words for words in warnings(place.service, "view", "image-faces")] == [True]


def write_list(folder: Path, count: int) -> dict[str, str]:
    """Pictures of 12 by 12 pixels and a list of attributes as CelebA has it, as fields of the form."""
    (folder / "celeba").mkdir()
    for i in range(count):
        Image.fromarray(np.full((12, 12, 3), 20 * i, np.uint8)).save(folder / f"celeba/{i}.png")
    rows = [f"{i}.png {' '.join(str(1 - 2 * (i >> bit & 1)) for bit in range(4))}" for i in range(count)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(count), "Bald Male Smiling Young", *rows]) + "\n")
    return {"image_folder": str(folder / "celeba"), "file_list": str(folder / "list_attr_celeba.txt")}


def test_the_pair_for_generators_works_from_the_list_of_attributes_to_the_grid(place: Place) -> None:
    folders = write_list(place.folder, 6)
    job = make_dataset(place.service, "image-gan", {"dataset_name": "celeba", **folders, "center_crop_size": "8", "resize": "4"})
    entry_point = place.service.folder(job.id).spec()["entry_point"]
    assert entry_point == "digitsDataPluginGan:DataIngestion"  # also where the bundled package of this id is installed
    assert place.ingest(job)["train_db"].shape == (6, 3, 4, 4)
    generic = make_dataset(place.service, "image-slopes", {"dataset_name": "slopes"})  # made by another plugin
    asked = {"dataset_type": "mnist", "task_id": "class", "row_count": "10"}
    entries = from_source.inference_entries(place.service, generic, asked, extension_id="image-gan")
    assert {feature.shape for feature in entries.features} == {(1, 1, 110)}
    np.testing.assert_array_equal([feature[0, 0, 100:].argmax() for feature in entries.features[:10]], range(10))
    samples = [
        ViewSample(key, feature, {"out": np.full((1, 28, 28), i, np.float32)}, id=f"{i:09d}")
        for i, (key, feature) in enumerate(zip(entries.keys, entries.features, strict=True))
    ]
    options = {**asked, "gan_view_task_id": "grid"}  # all that the page sends
    results = plugin_views.render(place.service, generic, samples, "image-gan", options, "")
    assert [sample.get("error") for sample in results.samples] == [None] * 100
    assert "$('#gan-cell-9-9').append" in results.samples[99]["html"]
    assert results.header["html"].count('id="gan-cell-') == 100
    assert "data:image/gif;base64," in results.header["html"]


def test_the_tasks_of_the_pair_for_generators(place: Place) -> None:
    values = {"dataset_name": "again", "image_folder": str(place.folder), "center_crop_size": "0", "resize": "0"}
    job = make_dataset(place.service, "image-gan", values)
    lines = "\n".join(" ".join(map(str, row)) for row in np.eye(2, 100))
    film = {"task_id": "animation", "animation_z_vectors": lines, "animation_num_transitions": "3"}
    for asked, shape in (
        (film, (6, 1, 1, 100)),
        ({"task_id": "genimg", "genimg_class_id": "3", "dataset_type": "mnist"}, (1, 1, 1, 110)),
        ({"task_id": "style", "row_count": "2", "dataset_type": "mnist"}, (20, 1, 1, 110)),
    ):
        assert np.shape(from_source.inference_entries(place.service, job, asked).features) == shape
    with pytest.raises(FormErrors):
        from_source.inference_entries(place.service, job, {"task_id": "genimg", "genimg_class_id": "10"})
    code = np.concatenate([np.zeros(100), np.eye(28).ravel()])
    sample = ViewSample("a", np.zeros((1, 28, 28), np.uint8), {"out": code})
    results = plugin_views.render(place.service, job, [sample], "image-gan", {"gan_view_task_id": "mnist_encoder"}, "")
    assert results.samples[0]["html"].count("<img") == 2


def test_what_it_says_of_the_form_is_an_error_of_the_form(place: Place) -> None:
    job = make_dataset(place.service, "image-faces", {"dataset_name": "faces", "face_count": "5", "resize": "8"})
    client = create_app(place.service).test_client()
    for values, words in (
        ({"z_vector": "1 2 3"}, "needs 100 numbers, found 3"),
        ({"task_id": "analogy"}, "Unknown task: analogy"),
    ):
        with pytest.raises(FormErrors, match=words):
            from_source.inference_entries(place.service, job, {"row_count": "3", **values})
    page = client.get(
        f"/datasets/generic/inference-form/image-slopes/{job.id}"
    )  # another plugin's form, as the selector asks for it
    assert page.status_code == 200
    assert 'name="gradient_x"' in page.text
    assert plugin_form(place.service, "image-faces", {}).failure is None
    assert ["remark" in words for words in warnings(place.service, "data", "image-faces")] == [True]


def test_the_page_of_a_model_offers_the_forms_of_other_plugins_too(place: Place) -> None:
    job = make_dataset(place.service, "image-slopes", {"dataset_name": "slopes"})
    spec = {"dataset_id": job.id, "task": "generic"}
    model = make_job(place.service, task="generic", parents=(job.id,), status=Status.DONE, spec=spec)
    plugins.table(place.service)
    page = create_app(place.service).test_client().get(f"/models/{model.id}")
    assert page.status_code == 200
    offered = [
        f'<option value="{name}"' in page.text for name in ("all-default", "image-faces", "audio-acoustics", "image-slopes")
    ]
    assert offered == [True, True, True, False]
    assert 'name="gradient_x"' in page.text  # its own is there at once


def test_a_view_needs_no_plugin_of_the_data_set(place: Place) -> None:
    job = replace(make_dataset(place.service, "image-slopes", {"dataset_name": "slopes"}), extension="image-uninstalled")
    sample = ViewSample("a", np.zeros((1, 8, 8), np.uint8), {"output": np.zeros((2, 8, 8), np.float32)})
    for view in ("all-raw-data", "image-outlines"):
        assert plugin_views.render(place.service, job, [sample], view, {}, "").failure is None
    form = from_source.inference_form(place.service, job, None)
    assert form is not None
    assert "image-uninstalled" in str(form.failure)


def test_angular_is_there_for_views_that_use_it_alone(place: Place) -> None:
    sample = ViewSample("a", np.zeros((1, 8, 8), np.uint8), {"output": np.zeros((2, 8, 8), np.float32)})
    uses = {}
    for view in ("all-raw-data", "image-outlines"):
        results = plugin_views.render(place.service, None, [sample], view, {}, "n1")
        assert results.failure is None
        uses[view] = results.uses_angular
    assert uses == {"all-raw-data": False, "image-outlines": True}
    assert '<script nonce="n1">' in results.before["html"]
    assert "{[ label.name ]}" in results.header["html"]
    with create_app(place.service).test_client().get("/vendor/angular.js") as library:
        assert library.status_code == 200
        assert b"AngularJS" in library.data[:200]


def test_recordings_become_spectrograms_split_by_the_seed_of_init(place: Place) -> None:
    for pitch, name in enumerate(("high", "low")):
        (place.folder / "recordings" / name).mkdir(parents=True)
        for i in range(4):
            tone = np.sin(np.arange(160) * (0.9 - 0.6 * pitch) + i)
            scipy.io.wavfile.write(place.folder / f"recordings/{name}/{i}.wav", 8000, (tone * 9000).astype(np.int16))
    values = {"dataset_name": "tones", "recordings_folder": str(place.folder / "recordings"), "window": "16", "pct_val": "25"}
    job = make_dataset(place.service, "audio-acoustics", values)
    found = place.ingest(job)
    assert {name: features.shape for name, features in found.items()} == {"train_db": (6, 1, 9, 19), "val_db": (2, 1, 9, 19)}
    info = place.service.folder(job.id).dataset_info()
    assert (info.task, info.class_labels, info.duplicates) == ("classification", ("high", "low"), 0)
    entries = from_source.inference_entries(place.service, job, {"recording": str(place.folder / "recordings/low/1.wav")})
    assert entries.features[0].dtype == np.float64


def test_questions_become_words_of_the_dictionary_that_is_kept(place: Place) -> None:
    example("stories").write(place.folder / "stories_of_tasks", 8)
    values = {
        "dataset_name": "questions",
        "story_folder": str(place.folder / "stories_of_tasks"),
        "task_id": "2",
        "pct_val": "25",
    }
    job = make_dataset(place.service, "text-stories", values)
    found = place.ingest(job)
    assert {name: len(features) for name, features in found.items()} == {"train_db": 30, "val_db": 10}
    info = place.service.folder(job.id).dataset_info()
    channels, sentences, words = info.feature_shape or ()
    assert (channels, info.task) == (2, "regression")  # a row of numbers
    assert np.prod(info.splits["train_db"].meta.label_shape or ()) == words
    typed = "Anna went to the hall.\nAnna took the violin.\nWhere is the violin?"
    entries = from_source.inference_entries(place.service, job, {"snippet": typed})
    story, question = np.asarray(entries.features[0])
    assert (story[0] > 1).sum() == 5
    assert list(story[1][:4]) == [*story[1][:3], 1]  # a word that the dictionary lacks
    assert (question == question[0]).all()
    assert sentences == len(question)
    with pytest.raises(FormErrors, match="You must write a story and a question"):
        from_source.inference_entries(place.service, job, {"snippet": ""})
    form = plugin_form(place.service, "text-stories", {})
    assert form.failure is None
    assert 'name="story_folder"' in form.html


def test_scans_give_several_slices_each(place: Place) -> None:
    example("phantoms").write(place.folder / "brains", 4, 16)
    values = {"dataset_name": "brains", "dataset_folder": str(place.folder / "brains"), "modality": "all", "pct_val": "25"}
    job = make_dataset(place.service, "images-tumours", {**values, "filter_method": "all", "channel_conversion": "L"})
    found = place.ingest(job)
    assert {name: features.shape for name, features in found.items()} == {"train_db": (36, 4, 16, 16), "val_db": (12, 4, 16, 16)}
    info = place.service.folder(job.id).dataset_info()
    assert (info.task, info.class_labels[4]) == ("segmentation", "enhancing")
    entries = from_source.inference_entries(place.service, job, {"validation_record": "0"})
    np.testing.assert_array_equal(np.stack([np.asarray(feature) for feature in entries.features]), found["val_db"])
    assert {np.asarray(label).shape for label in entries.labels} == {(1, 16, 16)}
    assert entries.notes == [""] * 12
