"""The PyTorch engine passes the contract; what only torch has is tested below."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from digits.domain.events import LogEvent, MetricEvent, SnapshotEvent, WarningEvent
from digits.domain.training import LearningRate, StartWeights
from digits.engines.base import NetworkContext, get_engine
from digits.engines.pytorch.predictor import TorchPredictor
from digits.errors import NetworkError, StorageError, TrainingError
from digits.networks.catalog import network_text
from digits.testing.engines import EngineContract
from digits.testing.runs import make_dataset, striped_pictures, train, train_logged

HEAD = "import torch\nfrom torch import nn\n\ndef build_network(context):\n    c, h, w = context.input_shape\n"
TEXTS = {
    "classifier": HEAD
    + "    body = nn.Sequential(nn.Conv2d(c, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())\n"
    + "    return nn.Sequential(body, nn.Dropout(0.2), nn.Linear(h * w, context.num_classes))\n",
    "wide": HEAD + "    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 1000))\n",
    "broken": HEAD + "    return nn.Sequential(nn.Flatten(), nn.BogusCode(3))\n",
    "pixels": HEAD + "    return nn.Sequential(nn.Conv2d(c, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, context.num_classes, 1))\n",
    "numbers": HEAD + "    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 2))\n",
    "picture": HEAD + "    return nn.Sequential(nn.Conv2d(c, 4, 3, padding=1), nn.Conv2d(4, c, 1))\n",
    "own": HEAD
    + "    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, context.num_classes))\n"
    + "def loss(outputs, targets):\n"
    + "    main = nn.functional.cross_entropy(outputs, targets)\n"
    + "    return {'loss': main, 'extra_loss': 2 * main.detach()}\n"
    + "def metrics(outputs, targets):\n    return {'extra_metric': outputs.mean()}\n",
}


TEXTS["softmax"] = TEXTS["classifier"].replace("context.num_classes))", "context.num_classes), nn.Softmax(1))")


class TestTorch(EngineContract):
    framework: ClassVar[str] = "pytorch"
    texts: ClassVar[dict[str, str]] = TEXTS

    def test_mixed_precision_trains_on_the_cpu(self, pictures: Path, tmp_path: Path) -> None:
        events = train(pictures, tmp_path, self.spec(epochs=1, precision="16-mixed"))
        assert [e.code for e in events if isinstance(e, WarningEvent)] == ["precision"]

    @pytest.mark.parametrize(
        "error",
        [
            "MemoryError('no room')",
            "torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB')",
            "RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`')",
            "RuntimeError('[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can\\'t allocate memory')",
        ],
    )
    def test_a_step_that_needs_too_much_memory_says_what_to_lower(self, pictures: Path, tmp_path: Path, error: str) -> None:
        text = TEXTS["classifier"] + f"import torch\ndef loss(outputs, targets):\n    raise {error}\n"
        with pytest.raises(TrainingError, match=r"memory of the machine is too small") as caught:
            train(pictures, tmp_path, self.spec(network=text, batch_size=7))
        assert caught.value.code == "out-of-memory"
        assert "Lower the batch size (now 7)" in caught.value.advice

    def test_an_error_in_forward_names_the_line(self, pictures: Path, tmp_path: Path) -> None:
        text = TEXTS["classifier"] + "def loss(outputs, targets):\n    return outputs.nonsense()\n"
        with pytest.raises(NetworkError, match="line 9"):
            train(pictures, tmp_path, self.spec(network=text))

    def test_pretrained_weights_that_the_text_lacks_are_said(self, pictures: Path, tmp_path: Path) -> None:
        events = train(pictures, tmp_path, self.spec(epochs=1, start=StartWeights("pretrained")))
        assert [e.code for e in events if isinstance(e, WarningEvent)] == ["no-pretrained-weights"]

    def test_weights_of_torch_save_are_taken(self, pictures: Path, tmp_path: Path) -> None:
        engine = get_engine("pytorch")
        train(pictures, tmp_path / "a", self.spec(epochs=3))
        weights = engine.load(tmp_path / "a" / "snapshots" / "epoch_3.safetensors").module.state_dict()  # type: ignore[attr-defined]
        torch.save({"state_dict": weights}, tmp_path / "weights.pth")
        spec = self.spec(epochs=1, learning_rate=LearningRate(0.0, "fixed"))
        events = train(pictures, tmp_path / "b", spec, start_weights=tmp_path / "weights.pth")
        first = next(e for e in events if isinstance(e, MetricEvent) and e.phase == "val")
        assert first.values["accuracy"] == 1.0

    def test_several_files_of_weights_lie_one_over_the_other(self, pictures: Path, tmp_path: Path) -> None:
        shapes = {"0.weight": (4, 1, 3, 3), "0.bias": (4,), "2.weight": (2, 4 * 144)}
        text = HEAD + "    return nn.Sequential(nn.Conv2d(c, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * h * w, 2))\n"
        for number, names in enumerate((("0.weight", "0.bias"), ("0.bias", "2.weight"))):
            torch.save({name: torch.full(shapes[name], number + 1.0) for name in names}, tmp_path / f"{number}.pth")
        spec = self.spec(network=text, epochs=1, learning_rate=LearningRate(0.0, "fixed"))
        files = {"start_weights": tmp_path / "0.pth", "more_weights": (tmp_path / "1.pth",)}
        events = train(pictures, tmp_path / "m", spec, **files)
        made = get_engine("pytorch").load(tmp_path / "m" / "snapshots" / "epoch_1.safetensors")
        state = made.module.state_dict()  # type: ignore[attr-defined]
        assert {name: float(state[name].mean()) for name in shapes} == {"0.weight": 1.0, "0.bias": 2.0, "2.weight": 2.0}
        (said,) = [e.message for e in events if isinstance(e, LogEvent) and "were taken" in e.message]
        assert said.count("of 2 tensors") == 2
        assert said.endswith("These start anew: 2.bias.")
        torch.save({"other": torch.ones(3)}, tmp_path / "1.pth")
        with pytest.raises(TrainingError, match=r"None of the weights of 1.pth fits"):
            train(pictures, tmp_path / "n", spec, **files)

    @pytest.mark.parametrize("text", ["Identity()", "Sequential(nn.Conv2d(c, c, 3, padding=1)).requires_grad_(False)"])
    def test_a_network_without_weights_is_done_at_once_and_predicts(self, tmp_path: Path, text: str) -> None:
        features, _ = striped_pictures(12, 8, seed=1)
        data = make_dataset(tmp_path / "data", features, None, task="processing", label_kind="none", validation=4)
        spec = self.spec(network=HEAD + f"    return nn.{text}\n", task="processing", epochs=3, use_mean="image")
        events = train(data, tmp_path / "m", spec)
        assert [e.code for e in events if isinstance(e, WarningEvent)] == ["no-weights"]
        assert {(e.step, e.phase) for e in events if isinstance(e, MetricEvent)} == {(3, "val")}
        assert [e.epoch for e in events if isinstance(e, SnapshotEvent)] == [3.0]
        made = get_engine("pytorch").load(tmp_path / "m" / "snapshots" / "epoch_3.safetensors").predict(features[:2])["output"]
        assert made.shape == features[:2].shape
        if text == "Identity()":
            np.testing.assert_allclose(made, features[:2], atol=1e-3)
        assert not [e for e in train(data, tmp_path / "m", spec) if isinstance(e, MetricEvent)]  # it was done

    def test_the_faster_layout_of_the_training_is_used_to_predict_as_well(self, pictures: Path, tmp_path: Path) -> None:
        train(pictures, tmp_path, self.spec(epochs=1))
        predictor = get_engine("pytorch").load(tmp_path / "snapshots" / "epoch_1.safetensors")
        assert predictor.meta["channels_last"] is True
        assert isinstance(predictor, TorchPredictor)
        assert predictor.inputs.layout is torch.channels_last
        batch = np.random.default_rng(0).integers(0, 255, (5, 1, 12, 12), np.uint8)
        fast = predictor.predict(batch)["output"]
        predictor.inputs.layout = torch.contiguous_format
        predictor.module.to(memory_format=torch.contiguous_format)
        np.testing.assert_allclose(predictor.predict(batch)["output"], fast, atol=1e-5)

    def test_weights_that_run_code_are_not_read(self, pictures: Path, tmp_path: Path) -> None:
        torch.save({"x": Path("/")}, tmp_path / "bad.pth")
        with pytest.raises(TrainingError, match="cannot be read as weights"):
            train(pictures, tmp_path / "b", self.spec(epochs=1), start_weights=tmp_path / "bad.pth")

    def test_a_file_that_is_no_snapshot(self, tmp_path: Path) -> None:
        (tmp_path / "x.safetensors").write_bytes(b"nonsense")
        with pytest.raises(StorageError, match="no readable snapshot"):
            get_engine("pytorch").load(tmp_path / "x.safetensors")

    @pytest.mark.parametrize("network", ["lenet", "alexnet"])
    def test_pictures_too_small_for_the_network_are_said_so(self, network: str) -> None:
        with pytest.raises(NetworkError) as raised:
            get_engine("pytorch").check(network_text(network), NetworkContext("classification", (1, 8, 8), 3))
        assert "too small" in raised.value.advice

    def test_a_text_for_tensorflow_is_recognised(self) -> None:
        with pytest.raises(NetworkError, match="tensorflow"):
            get_engine("pytorch").check(
                "import keras\ndef build_network(context):\n    pass\n", NetworkContext("classification", (1, 4, 4), 2)
            )

    def test_the_seed_repeats_and_another_differs(self, pictures: Path, tmp_path: Path) -> None:
        runs = {name: self.spec(epochs=1, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))}
        values = {}
        for name, spec in runs.items():
            values[name] = [e.values for e in train(pictures, tmp_path / name, spec) if isinstance(e, MetricEvent)]
        assert values["a"] == values["b"] != values["c"]

    def test_events_are_in_the_log(self, pictures: Path, tmp_path: Path) -> None:
        train_logged(pictures, tmp_path, self.spec(epochs=1))
        assert (tmp_path / "samples" / "inputs.npz").is_file()
