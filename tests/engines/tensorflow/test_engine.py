"""The TensorFlow engine passes the contract; what only Keras has is tested below."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.domain.events import MetricEvent, WarningEvent
from digits.domain.training import Augmentation
from digits.engines.base import NetworkContext, get_engine
from digits.errors import DigitsError, NetworkError, StorageError, TrainingError
from digits.frameworks import available_frameworks
from digits.testing.engines import EngineContract
from digits.testing.runs import make_dataset, squared_pictures, striped_pictures, train

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
    # Keras 3.15 asks NumPy 2 for arrays of its variables in the old way
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    """As many threads as the contract's trainings have: a process cannot change them later."""
    if "tensorflow" in available_frameworks():
        from digits.engines.tensorflow.start import start

        start(1)


HEAD = (
    "import keras\nfrom keras import layers\n\ndef build_network(context):\n    c, h, w = context.input_shape\n"
    "    start = keras.Input((h, w, c))\n"
)
TEXTS = {
    "classifier": HEAD
    + "    body = [layers.Conv2D(4, 3, padding='same'), layers.BatchNormalization(), layers.ReLU(), layers.MaxPool2D(2)]\n"
    + "    return keras.Sequential([start, *body, layers.Flatten(), layers.Dropout(0.2), layers.Dense(context.num_classes)])\n",
    "wide": HEAD + "    return keras.Sequential([start, layers.Flatten(), layers.Dense(1000)])\n",
    "broken": HEAD + "    return keras.Sequential([start, layers.Flatten(), layers.BogusCode(3)])\n",
    "pixels": HEAD
    + "    body = [layers.Conv2D(8, 3, padding='same', activation='relu'), layers.Conv2D(context.num_classes, 1)]\n"
    + "    return keras.Sequential([start, *body])\n",
    "numbers": HEAD + "    return keras.Sequential([start, layers.Flatten(), layers.Dense(2)])\n",
    "picture": HEAD + "    return keras.Sequential([start, layers.Conv2D(4, 3, padding='same'), layers.Conv2D(c, 1)])\n",
    "own": HEAD
    + "    return keras.Sequential([start, layers.Flatten(), layers.Dense(context.num_classes)])\n"
    + "def loss(outputs, targets):\n"
    + "    main = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True))\n"
    + "    return {'loss': main, 'extra_loss': 2 * main}\n"
    + "def metrics(outputs, targets):\n    return {'extra_metric': keras.ops.mean(outputs)}\n",
}

TEXTS["softmax"] = TEXTS["classifier"].replace("Dense(context.num_classes)", "Dense(context.num_classes, activation='softmax')")
ODD_TEXTS = {  # of a picture of 8×6 pixels with one channel, and words of the answer
    "other size": (
        "    return keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(2, 3)])\n",
        "takes 32×32×3; the pictures are 8×6×1",
    ),
    "channels first": (
        "    return keras.Sequential([keras.Input((c, h, w)), layers.Conv2D(2, 1)])\n",
        "takes 1×8×6; the pictures are 8×6×1",
    ),
    "two inputs": (
        "    a = keras.Input((h, w, c))\n    return keras.Model([a, start], layers.Flatten()(a + start))\n",
        "has 2 inputs",
    ),
    "no model": ("    return layers.Dense(2)\n", "gave Dense, expected a keras.Model"),
    "whole numbers": ("    return keras.Model(start, keras.ops.cast(start, 'int32'))\n", "no tensor of floating-point"),
    "placeholder": ("    x = tf.placeholder(tf.float32, (None, h, w, c))\n", "That is TensorFlow 1"),
    "contrib": ("    import tensorflow.contrib.slim as slim\n", "That is TensorFlow 1"),
}

OWN_CLASS = """
import keras

class Own(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flat = keras.layers.Flatten()
        self.scores = keras.layers.Dense(classes)

    def call(self, x):
        return self.scores(self.flat(x))

def build_network(context):
    return Own(context.num_classes)
"""


class TestTensorflow(EngineContract):
    framework: ClassVar[str] = "tensorflow"
    suffix: ClassVar[str] = "keras"
    kill_epochs: ClassVar[int] = 40
    texts: ClassVar[dict[str, str]] = TEXTS

    def test_each_form_of_the_step_is_traced_once(self, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from digits.engines.tensorflow.step import TensorflowStep

        seen: list[TensorflowStep] = []
        monkeypatch.setattr(TensorflowStep, "agree", lambda self, wishes: seen.append(self) or wishes)
        train(pictures, tmp_path, self.spec(batch_size=7, batch_accumulation=2))  # 48 pictures: the last batch has 6
        traces = {name: function.experimental_get_tracing_count() for name, function in seen[0].functions.items()}
        assert traces == {"add": 1, "close": 1, "evaluate": 1, "finite": 1}

    def test_mixed_precision_trains_on_the_cpu(self, pictures: Path, tmp_path: Path) -> None:
        events = train(pictures, tmp_path, self.spec(epochs=2, precision="16-mixed"))
        assert [e.code for e in events if isinstance(e, WarningEvent)] == ["precision"]
        predictor = get_engine("tensorflow").load(tmp_path / "snapshots" / "epoch_2.keras")
        assert predictor.predict(striped_pictures(2, 12, seed=1)[0])["output"].dtype == "float32"

    def test_an_error_in_the_loss_names_the_line(self, pictures: Path, tmp_path: Path) -> None:
        text = TEXTS["classifier"] + "def loss(outputs, targets):\n    return outputs.nonsense()\n"
        with pytest.raises(NetworkError, match="line 10"):
            train(pictures, tmp_path, self.spec(network=text))

    def test_detection_is_refused_with_the_way_out(self, tmp_path: Path) -> None:
        features, boxes = squared_pictures(8, 24, seed=1)
        data = make_dataset(
            tmp_path / "d", features, boxes, task="detection", label_kind="boxes", class_labels=("a",), validation=0
        )
        with pytest.raises(TrainingError, match=r"not possible with TensorFlow here. Choose PyTorch\.") as caught:
            train(data, tmp_path / "m", self.spec(task="detection"))
        assert caught.value.code == "task"
        with pytest.raises(NetworkError, match="Choose PyTorch"):
            get_engine("tensorflow").check(TEXTS["classifier"], NetworkContext("detection", (3, 24, 24), 1, label_kind="boxes"))

    def test_a_python_if_on_a_tensor_is_explained(self, pictures: Path, tmp_path: Path) -> None:
        text = (
            TEXTS["classifier"] + "def loss(outputs, targets):\n    return outputs if keras.ops.mean(outputs) > 0 else targets\n"
        )
        with pytest.raises(NetworkError, match="keras.ops.where"):
            train(pictures, tmp_path, self.spec(network=text))

    def test_a_text_for_pytorch_is_recognised_and_a_tower_explained(self) -> None:
        context = NetworkContext("classification", (1, 4, 4), 2)
        with pytest.raises(NetworkError, match="written for pytorch"):
            get_engine("tensorflow").check("from torch import nn\ndef build_network(context):\n    pass\n", context)
        with pytest.raises(NetworkError, match="TensorFlow 1") as caught:
            get_engine("tensorflow").check("class UserModel(Tower):\n    x = slim.conv2d\n", context)
        assert "keras.layers.Conv2D" in str(caught.value)

    @pytest.mark.parametrize("name", ODD_TEXTS)
    def test_odd_texts_are_explained(self, name: str) -> None:
        body, words = ODD_TEXTS[name]
        with pytest.raises(NetworkError) as caught:
            get_engine("tensorflow").check(
                "import tensorflow as tf\n" + HEAD + body, NetworkContext("classification", (1, 8, 6), 2)
            )
        assert words in str(caught.value)
        assert "\x1b" not in str(caught.value)

    def test_a_loss_object_of_keras_gets_targets_and_outputs_in_its_order(self, pictures: Path, tmp_path: Path) -> None:
        text = TEXTS["classifier"] + "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)\n"
        curves = []
        for name, spec in (("own", self.spec(network=text)), ("default", self.spec())):
            events = train(pictures, tmp_path / name, spec)
            curves.append([e.values["loss"] for e in events if isinstance(e, MetricEvent) and e.phase == "val"])
        assert curves[0] == pytest.approx(curves[1], rel=1e-3)

    def test_a_map_of_the_wrong_size_says_the_layout(self) -> None:
        text = TEXTS["pixels"].replace("layers.Conv2D(context.num_classes, 1)", "layers.Conv2D(2, 3)")
        with pytest.raises(NetworkError, match=r"\(N, H, W, context.num_classes\)"):
            get_engine("tensorflow").check(text, NetworkContext("segmentation", (1, 8, 8), 2, (8, 8), label_kind="map"))

    def test_a_label_without_a_score_is_explained(self, tmp_path: Path) -> None:
        features, labels = striped_pictures(16, 12, seed=1)
        data = make_dataset(tmp_path / "data", features, labels + 3, class_labels=("a", "b"), validation=0)
        with pytest.raises(TrainingError, match="outside the 2 classes"):
            train(data, tmp_path / "model", self.spec(epochs=1))

    def test_a_larger_picture_is_taken_where_the_network_can_be_built_for_it(self, pictures: Path, tmp_path: Path) -> None:
        text = TEXTS["classifier"].replace("layers.Flatten()", "layers.GlobalAveragePooling2D()")
        train(pictures, tmp_path / "any", self.spec(network=text, epochs=1))
        train(pictures, tmp_path / "one", self.spec(epochs=1))
        large = striped_pictures(2, 20, seed=1)[0]
        assert get_engine("tensorflow").load(tmp_path / "any/snapshots/epoch_1.keras").predict(large)["output"].shape == (2, 2)
        with pytest.raises(StorageError, match="does not fit"):
            get_engine("tensorflow").load(tmp_path / "one/snapshots/epoch_1.keras").predict(large)

    def test_a_model_of_a_class_of_its_own(self, pictures: Path, tmp_path: Path) -> None:
        train(pictures, tmp_path, self.spec(network=OWN_CLASS, epochs=1))
        predictor = get_engine("tensorflow").load(tmp_path / "snapshots" / "epoch_1.keras")
        assert predictor.predict(striped_pictures(2, 12, seed=1)[0])["output"].shape == (2, 2)

    def test_a_network_without_weights_is_done_at_once_and_predicts(self, tmp_path: Path) -> None:
        features, _ = striped_pictures(12, 8, seed=1)
        data = make_dataset(tmp_path / "data", features, None, task="processing", label_kind="none", validation=4)
        text = HEAD + "    return keras.Sequential([start, layers.Activation('linear')])\n"
        events = train(data, tmp_path / "m", self.spec(network=text, task="processing", epochs=3, use_mean="image"))
        assert [e.code for e in events if isinstance(e, WarningEvent)] == ["no-weights"]
        assert {(e.step, e.phase) for e in events if isinstance(e, MetricEvent)} == {(3, "val")}
        made = get_engine("tensorflow").load(tmp_path / "m" / "snapshots" / "epoch_3.keras").predict(features[:2])["output"]
        np.testing.assert_allclose(made, features[:2], atol=1e-3)

    def test_several_files_of_weights_lie_one_over_the_other(self) -> None:
        import keras

        from digits.engines.tensorflow.weights import places_of, take_over

        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="first"), keras.layers.Dense(1, name="second")])
        places = places_of(model)
        kernel, bias = model.layers[0].kernel.path, model.layers[1].bias.path
        place = {variable.path: place for place, variable in places.items()}
        taken = take_over(places, {place[kernel]: np.full((3, 2), 1.0)}, "a", set())
        taken += take_over(places, {place[kernel]: np.full((3, 2), 2.0)}, "b", set())
        assert taken == [kernel] * 2
        assert float(model.layers[0].kernel.numpy().mean()) == 2.0
        with pytest.raises(TrainingError, match="None of the weights of c fits"):
            take_over(places, {place[bias]: np.ones(1)}, "c", {bias})

    def test_files_that_hold_no_weights(self, pictures: Path, tmp_path: Path) -> None:
        (tmp_path / "x.keras").write_bytes(b"nonsense")
        with pytest.raises(StorageError, match="no readable snapshot"):
            get_engine("tensorflow").load(tmp_path / "x.keras")
        (tmp_path / "x.pth").write_bytes(b"nonsense")
        with pytest.raises(TrainingError, match="cannot be read as weights of Keras"):
            train(pictures, tmp_path / "m", self.spec(epochs=1), start_weights=tmp_path / "x.pth")

    def test_pictures_move_as_in_pytorch(self) -> None:
        import torch

        from digits.engines.pytorch import inputs as torch_inputs
        from digits.engines.tensorflow.inputs import Augmenter
        from digits.engines.tensorflow.start import tf

        pictures = np.random.default_rng(0).random((8, 3, 12, 16)).astype(np.float32)
        choice = Augmentation("fliplrud", rot=20, scale=0.2, shift=0.2)
        ours = torch_inputs.Augmenter(choice, 1.0, 3, moves_labels=False, index_maps=False)
        wanted, _ = ours(torch.from_numpy(pictures), None, 1, np.arange(8))
        augmenter = Augmenter(choice, 1.0, 3, moves_labels=False, index_maps=False)
        found, _ = augmenter(
            tf.constant(pictures.transpose(0, 2, 3, 1)), None, augmenter.transforms(1, np.arange(8), (3, 12, 16))
        )
        np.testing.assert_allclose(found.numpy().transpose(0, 3, 1, 2), wanted.numpy(), atol=1e-3)

    def test_augmentation_moves_pictures_and_maps_alike(self) -> None:
        from digits.engines.tensorflow.inputs import Augmenter
        from digits.engines.tensorflow.start import tf

        maps = np.random.default_rng(0).integers(0, 2, (6, 16, 16))
        pictures = (maps[:, None] * 200).astype(np.uint8)
        augmenter = Augmenter(Augmentation("fliplrud", "rotall"), 255.0, 3, moves_labels=True, index_maps=True)
        drawn = augmenter.transforms(0, np.arange(6), (1, 16, 16))
        x, y = augmenter(tf.constant(pictures.transpose(0, 2, 3, 1), tf.float32), tf.constant(maps), drawn)
        np.testing.assert_array_equal(x.numpy()[..., 0], y.numpy() * 200)
        assert (y.numpy() != maps).any()

    def test_its_threads_are_those_of_the_slot(self) -> None:
        program = (
            "from digits.engines.tensorflow.start import start, tf\nstart(3)\n"
            "t = tf.config.threading\n"
            "print(t.get_intra_op_parallelism_threads(), t.get_inter_op_parallelism_threads())\n"
        )
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert run.stdout.split() == ["3", "3"]

    @pytest.mark.parametrize(("gpu", "grows", "visible"), [(True, ["GPU:0", "GPU:1"], None), (False, [], [])])
    def test_memory_of_gpus_grows_and_is_left_alone_without_need(
        self, monkeypatch: pytest.MonkeyPatch, gpu: bool, grows: list[str], visible: list[str] | None
    ) -> None:
        from digits.engines.tensorflow.start import start, tf

        seen: dict[str, Any] = {"grows": [], "visible": None}
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0", "GPU:1"] if kind == "GPU" else [])
        monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda device, on: on and seen["grows"].append(device))
        monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: seen.update(visible=devices))
        start(1, gpu=gpu)
        assert seen == {"grows": grows, "visible": visible}


@pytest.mark.parametrize("kind", ["external link", "external values", "soft link"])
def test_a_snapshot_that_came_with_a_model_of_others_leads_nowhere(tmp_path: Path, kind: str) -> None:
    import h5py
    import keras

    from digits.engines.tensorflow.weights import load_into

    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["secret"] = np.full((4, 1), 7, np.float32)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.save_weights(tmp_path / "w.weights.h5")
    with h5py.File(tmp_path / "w.weights.h5", "r+") as file:
        place = file["layers/dense/vars"]
        kernel = place["0"][()]
        del place["0"]
        if kind == "external link":
            place["0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/secret")
        elif kind == "external values":
            place.create_dataset("0", (4, 1), "f4", external=[(str(tmp_path / "secret.h5"), 0, 16)])
        else:
            file["elsewhere"] = kernel
            place["0"] = h5py.SoftLink("/elsewhere")
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as packed:
        packed.write(tmp_path / "w.weights.h5", "model.weights.h5")
    with pytest.raises(DigitsError, match=r"another (file|place)"):
        load_into(model, tmp_path / "model.keras")
    assert not (model.get_weights()[0] == 7).any()
