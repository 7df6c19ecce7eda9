"""A network of Keras from elsewhere: taken in as an archive or as plain weights, tested as it is, trained from."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.config import Settings
from digits.domain.jobs import Status
from digits.engines.base import get_engine
from digits.errors import StorageError
from digits.frameworks import available_frameworks
from digits.service import Service
from digits.service.models import pretrained
from digits.service.models.create import create_models
from digits.service.models.pretrained_form import from_files
from digits.storage.jobs.store import Job
from tests.service.models.test_pretrained import work
from tests.service.models.test_reproduce import dataset_in, run

pytestmark = pytest.mark.skipif("tensorflow" not in available_frameworks(), reason="tensorflow is not installed")
TEXT = """
import keras
from keras import layers

def build_network(context):
    channels, height, width = context.input_shape
    start = keras.Input((height, width, channels))
    made = layers.Conv2D(2, 3, name="seeing")(start)
    return keras.Model(start, layers.Dense(context.num_classes, name="telling")(layers.Flatten()(made)))
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("keras")
    data = os.pathsep.join([str(folder.parent), "/tmp"])
    found = Service.open(Settings(jobs_dir=str(folder / "jobs"), auth=False, data_dirs=data))
    yield found
    found.close()


@pytest.fixture(scope="module")
def files(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What a user of Keras has: a saved network, its weights alone, its text, and labels."""
    import keras

    from digits.engines.tensorflow.start import start

    start()
    names: dict[str, object] = {}
    exec(TEXT, names)
    context = type("Context", (), {"input_shape": (3, 8, 8), "num_classes": 3})
    keras.utils.set_random_seed(3)
    network = names["build_network"](context)  # type: ignore[operator]
    folder = tmp_path_factory.mktemp("given")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Keras' own, when it saves
        network.save(folder / "w.keras")
        network.save_weights(folder / "w.weights.h5")
    (folder / "network.py").write_text(TEXT)
    (folder / "labels.txt").write_text("class 0\nclass 1\nclass 2\n")
    pictures = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3)).astype(np.float32)
    np.save(folder / "pictures.npy", pictures)
    np.save(folder / "outputs.npy", network(pictures).numpy())
    return {path.name: path for path in folder.iterdir()}


def sent(files: dict[str, Path], name: str) -> dict[str, str]:
    return {
        "job_name": name,
        "framework": "tensorflow",
        "weights_file": str(files[name]),
        "model_def_file": str(files["network.py"]),
        "labels_file": str(files["labels.txt"]),
        "width": "8",
        "height": "8",
        "image_type": "3",
    }


def outputs(snapshot: Path, files: dict[str, Path]) -> np.ndarray:
    pictures = np.load(files["pictures.npy"]).transpose(0, 3, 1, 2).astype(np.uint8)
    return get_engine("tensorflow").load(snapshot).predict(pictures)["output"]


def softmax(scores: np.ndarray) -> np.ndarray:
    parts = np.exp(scores - scores.max(axis=1, keepdims=True))
    return parts / parts.sum(axis=1, keepdims=True)


def made_of(service: Service, job: Job) -> Path:
    snapshot = work(service, job)
    for state in (Status.WAIT, Status.RUN, Status.DONE):
        service.store.transition(job.id, state)
    return snapshot


def test_weights_of_keras_are_tested_travel_and_are_trained_from(
    service: Service, files: dict[str, Path], tmp_path: Path
) -> None:
    expected = softmax(np.load(files["outputs.npy"]))
    for name in ("w.keras", "w.weights.h5"):
        job = from_files(service, sent(files, name), "me")
        np.testing.assert_allclose(outputs(made_of(service, job), files), expected, atol=1e-5)

    buffer = io.BytesIO()
    about = {"name": "a", "framework": "tensorflow", "snapshot file": "w.keras", "network file": "network.py"}
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("info.json", json.dumps({**about, "labels file": "labels.txt", "image dimensions": [8, 8, 3]}))
        for member in ("w.keras", "network.py", "labels.txt"):
            archive.write(files[member], member)
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    taken = pretrained.from_archive(service, tmp_path / "a.zip", "a.zip")
    snapshot = made_of(service, taken)
    np.testing.assert_allclose(outputs(snapshot, files), expected, atol=1e-5)
    assert pretrained.pretrained_dict(service, taken)["labels"] == ["class 0", "class 1", "class 2"]

    dataset = dataset_in(service, tmp_path)
    form = {"model_name": "m", "dataset": dataset.id, "method": "pretrained", "pretrained_networks": taken.id}
    rest = {"framework": "tensorflow", "train_epochs": 1, "learning_rate": 1e-9, "batch_size": 4, "use_mean": "none"}
    (model,) = create_models(service, "classification", {**form, **rest})
    run(service, service.store.get(model.id))
    (after,) = service.folder(model.id).snapshots.glob("epoch_1.*")
    engine = get_engine("tensorflow")
    before, now = engine.arrays(snapshot), engine.arrays(after)
    seeing = [name for name in before if "conv2d" in name]
    assert len(seeing) == 2
    for name in seeing:
        np.testing.assert_allclose(now[name], before[name], atol=1e-6)


def test_weights_of_another_network_are_refused_by_name(service: Service, files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text(TEXT.replace("Conv2D(2", "Conv2D(5"))
    wrong = from_files(service, {**sent(files, "w.keras"), "model_def_file": str(tmp_path / "network.py")}, "me")
    with pytest.raises(StorageError, match="does not fit the network text: 3 of its 4 variables"):
        work(service, wrong)
    nameless = from_files(service, {**sent(files, "w.keras"), "labels_file": ""}, "me")
    with pytest.raises(StorageError, match="Give a file of labels"):
        work(service, nameless)


def test_weights_that_the_network_has_no_place_for_are_refused_by_name(
    service: Service, files: dict[str, Path], tmp_path: Path
) -> None:
    text = TEXT.replace("layers.Flatten()(made)", "layers.Flatten()(layers.Conv2D(2, 1, padding='same')(made))")
    names: dict[str, object] = {}
    exec(text, names)
    larger = names["build_network"](type("Context", (), {"input_shape": (3, 8, 8), "num_classes": 3}))  # type: ignore[operator]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        larger.save_weights(tmp_path / "w.weights.h5")
    job = from_files(service, {**sent(files, "w.weights.h5"), "weights_file": str(tmp_path / "w.weights.h5")}, "me")
    with pytest.raises(StorageError, match="has besides layers/conv2d_1/vars/0, layers/conv2d_1/vars/1"):
        work(service, job)


def test_what_a_compiled_model_saves_along_is_no_weight(service: Service, files: dict[str, Path], tmp_path: Path) -> None:
    import keras

    names: dict[str, object] = {}
    exec(TEXT.replace("layers.Flatten()(made)", "layers.Dropout(0.5)(layers.Flatten()(made))"), names)
    network = names["build_network"](type("Context", (), {"input_shape": (3, 8, 8), "num_classes": 3}))  # type: ignore[operator]
    network.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    network.fit(np.load(files["pictures.npy"]), np.array([0, 1, 2, 0]), verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network.save(tmp_path / "w.keras")
    work(service, from_files(service, {**sent(files, "w.keras"), "weights_file": str(tmp_path / "w.keras")}, "me"))
