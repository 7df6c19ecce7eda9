"""The contract of an engine as tests: inherit `EngineContract`, name the framework, give it texts, run it with pytest."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from digits.domain.events import LogEvent, MetricEvent, SnapshotEvent, StageEvent, TraceEvent, WarningEvent
from digits.domain.training import Augmentation, LearningRate, Solver, StartWeights, TrainingSpec
from digits.engines.base import Engine, NetworkContext, get_engine
from digits.errors import JobStopped, NetworkError, TrainingError
from digits.metrics.resampling import once, resampled
from digits.storage.events import valid_events
from digits.storage.validation_pictures import read_pictures, step_file
from digits.testing.runs import latest_step, make_dataset, metric_lines, striped_pictures, train, train_logged
from digits.utils.processes import ProcessIdentity, signal_group

DEADLINE = 60.0
CLASSES = ("left", "right")


class EngineContract:
    """What every engine keeps.

    `texts` has by name: `classifier` (any input, `context.num_classes` scores, with dropout), `wide` (1,000 scores), `broken`
    (uses a layer `BogusCode`), `pixels` (segmentation), `numbers` (a vector of `context.label_shape`), `own` (a classifier with
    `loss` giving `loss` and `extra_loss`, and `metrics` giving `extra_metric`), `picture` (as many channels as it gets),
    `softmax` (the `classifier` with a softmax at its end).
    """

    framework: ClassVar[str]
    suffix: ClassVar[str] = "safetensors"  # of snapshot files
    kill_epochs: ClassVar[int] = 150  # of a training that lasts long enough to be killed in its middle
    texts: ClassVar[dict[str, str]]

    @pytest.fixture
    def engine(self) -> Engine:
        return get_engine(self.framework)

    @pytest.fixture(scope="class")
    @classmethod
    def pictures(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """48 pictures for training and 16 for validation, 1×12×12, two classes."""
        features, labels = striped_pictures(64, 12, seed=1)
        return make_dataset(tmp_path_factory.mktemp("pictures"), features, labels, class_labels=CLASSES, validation=16)

    def spec(self, text: str = "classifier", **values: Any) -> TrainingSpec:
        base = TrainingSpec(
            dataset_id="x",
            task="classification",
            framework=self.framework,
            network=self.texts[text],
            epochs=3,
            batch_size=8,
            seed=7,
            learning_rate=LearningRate(0.05, "fixed"),
        )
        return replace(base, **values)

    # -- its length ---------------------------------------------------------------------------------------------

    def test_extended_it_goes_on_as_if_it_had_been_requested_so(self, pictures: Path, tmp_path: Path) -> None:
        train_logged(pictures, tmp_path / "whole", self.spec())
        train_logged(pictures, tmp_path / "extended", self.spec(epochs=2))
        train_logged(pictures, tmp_path / "extended", self.spec())
        assert metric_lines(tmp_path / "extended") == metric_lines(tmp_path / "whole")

    def test_finished_early_it_is_measured_and_kept_and_can_be_extended(
        self, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("digits.engines.training.loop.FINISH_SECONDS", 0.0)
        folder = tmp_path / "early"
        train_logged(pictures, folder, self.spec(), should_finish=lambda: latest_step(folder) >= 8)
        events = [event for _, event in valid_events(folder / "events.jsonl")]
        (last,) = [event for event in events if isinstance(event, SnapshotEvent) and event.step == 8]
        assert last.metrics
        assert (folder / last.path).is_file()
        assert any(isinstance(event, LogEvent) and "Ends early, at epoch 1.333 of 3" in event.message for event in events)
        assert max(event.step for event in events if isinstance(event, MetricEvent)) == 8
        train_logged(pictures, folder, self.spec(), should_finish=lambda: True)  # as after kill -9: it ends at once
        assert latest_step(folder) == 8
        train_logged(pictures, folder, self.spec(epochs=2))
        assert latest_step(folder) == 12

    # -- texts --------------------------------------------------------------------------------------------------

    def test_check_reports_outputs_and_layers(self, engine: Engine) -> None:
        report = engine.check(self.texts["classifier"], NetworkContext("classification", (1, 12, 12), 2))
        assert list(report.output_shapes.values()) == [(2,)]
        assert report.parameters == sum(row.parameters for row in report.layers) > 0

    def test_a_text_with_a_syntax_error_names_its_line(self, engine: Engine) -> None:
        with pytest.raises(NetworkError, match="line 2"):
            engine.check("def build_network(context):\n    return (\n", NetworkContext("classification", (1, 12, 12), 2))

    def test_an_unknown_layer_is_named(self, engine: Engine) -> None:
        with pytest.raises(NetworkError, match="BogusCode"):
            engine.check(self.texts["broken"], NetworkContext("classification", (1, 12, 12), 2))

    def test_too_few_outputs_are_refused(self, engine: Engine) -> None:
        text = self.texts["classifier"].replace("context.num_classes", "2")
        with pytest.raises(NetworkError, match="5 classes"):
            engine.check(text, NetworkContext("classification", (1, 12, 12), 5))

    def test_an_endless_loop_is_stopped(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("digits.engines.network.text.BUILD_SECONDS", 0.3)
        swallow = "try:\n            pass\n        except Exception:\n            pass\n"
        text = f"def build_network(context):\n    while True:\n        {swallow}"
        with pytest.raises(NetworkError, match="still running"):
            engine.check(text, NetworkContext("classification", (1, 12, 12), 2))

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ('name: "LeNet"\nlayer {\n  name: "data"\n}\n', "prototxt"),
            ("require 'nn'\nlocal net = nn.Sequential()\nreturn net\n", "Lua"),
            ("class UserModel(Tower):\n    pass\n", "TensorFlow 1"),
            ("x = 1\n", "build_network"),
        ],
    )
    def test_foreign_texts_are_recognised(self, engine: Engine, text: str, found: str) -> None:
        with pytest.raises(NetworkError, match=found):
            engine.check(text, NetworkContext("classification", (1, 12, 12), 2))

    # -- training -----------------------------------------------------------------------------------------------

    def test_a_training_learns_and_its_snapshot_predicts(self, engine: Engine, pictures: Path, tmp_path: Path) -> None:
        events = train(pictures, tmp_path, self.spec())
        scores = [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"]
        assert [e.epoch for e in scores] == [0, 1, 2, 3]
        assert scores[-1].values["accuracy"] == 1.0
        assert scores[-1].values["loss"] < scores[0].values["loss"]
        self.check_kept_pictures(tmp_path, events, 16, "accuracy")
        predictor = engine.load(tmp_path / "snapshots" / f"epoch_3.{self.suffix}")
        features, labels = striped_pictures(20, 12, seed=9)
        output = predictor.predict(features)["output"]
        assert output.dtype == np.float32
        np.testing.assert_allclose(output.sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.exp(predictor.scores(features)), output, rtol=1e-4, atol=1e-7)
        assert (output.argmax(axis=1) == labels).all()
        assert predictor.meta["class_labels"] == list(CLASSES)
        predictor.close()

    def test_every_epoch_is_told_exactly(self, pictures: Path, tmp_path: Path) -> None:
        events = train(pictures, tmp_path, self.spec(epochs=1))
        reported = [e.values for e in events if isinstance(e, MetricEvent) and e.phase == "train"]
        assert reported[-1]["epoch_loss"] == pytest.approx(np.mean([v["loss"] for v in reported]))
        rates = [e.values["learning_rate"] for e in events if isinstance(e, MetricEvent) and e.phase == "lr"]
        assert rates == [0.05] * len(reported)

    @pytest.mark.parametrize(("epochs", "interval", "wanted"), [(4, 2, [2, 4]), (1, 0.5, [0.5, 1]), (2, 0, [2]), (3, 2, [2, 3])])
    def test_snapshot_intervals(self, pictures: Path, tmp_path: Path, epochs: int, interval: float, wanted: list[float]) -> None:
        events = train(pictures, tmp_path, self.spec(epochs=epochs, snapshot_interval=interval, val_interval=0))
        assert [e.epoch for e in events if isinstance(e, SnapshotEvent)] == wanted
        assert not any(isinstance(e, MetricEvent) and e.phase == "val" for e in events)
        assert len(list((tmp_path / "snapshots").iterdir())) == len(wanted)

    def test_kept_snapshots_are_limited_but_the_best_stays(self, pictures: Path, tmp_path: Path) -> None:
        events = train(pictures, tmp_path, self.spec(epochs=4, keep_snapshots=1, best_metric="loss"))
        reported = [e for e in events if isinstance(e, SnapshotEvent)]
        best = [e.path for e in reported if e.best][-1]
        left = {f"snapshots/{p.name}" for p in (tmp_path / "snapshots").iterdir()}
        assert left == {f"snapshots/epoch_4.{self.suffix}", best}
        assert {e.path for e in reported if e.removed} == {e.path for e in reported if not e.removed} - left

    def test_a_learning_rate_out_of_reason_ends_with_advice(self, pictures: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="Try decreasing your learning rate") as caught:
            train(pictures, tmp_path, self.spec(learning_rate=LearningRate(1e15, "fixed")))
        assert caught.value.code == "diverged"

    def test_a_batch_larger_than_the_data_is_the_data(self, pictures: Path, tmp_path: Path) -> None:
        events = train(pictures, tmp_path, self.spec(batch_size=500))
        assert [e.code for e in events if isinstance(e, WarningEvent)] == ["batch-size"]
        assert max(e.step for e in events if isinstance(e, MetricEvent)) == 3

    def test_gpus_that_are_not_there_are_refused(self, pictures: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="GPU"):
            train(pictures, tmp_path, self.spec(gpu_count=99))

    @pytest.mark.parametrize("use_mean", ["image", "pixel", "none"])
    def test_means_and_crops(self, engine: Engine, pictures: Path, tmp_path: Path, use_mean: str) -> None:
        train(pictures, tmp_path, self.spec(epochs=1, use_mean=use_mean, crop_size=10, snapshot_interval=0))
        predictor = engine.load(tmp_path / "snapshots" / f"epoch_1.{self.suffix}")
        assert predictor.meta["input_shape"] == [1, 10, 10]
        assert predictor.predict(striped_pictures(2, 12, seed=1)[0])["output"].shape == (2, 2)

    def test_all_augmentations_train(self, pictures: Path, tmp_path: Path) -> None:
        every = Augmentation("fliplrud", "rotall", 30, 0.07, 0.03, 0.2, True, True)
        assert train(pictures, tmp_path, self.spec(epochs=1, augmentation=every))

    def test_more_outputs_than_classes_are_dropped(self, engine: Engine, pictures: Path, tmp_path: Path) -> None:
        train(pictures, tmp_path, self.spec("wide", epochs=1))
        output = engine.load(tmp_path / "snapshots" / f"epoch_1.{self.suffix}").predict(striped_pictures(3, 12, seed=1)[0])[
            "output"
        ]
        assert output.shape == (3, 2)

    def test_a_softmax_at_the_end_is_taken_as_it_is(self, engine: Engine, pictures: Path, tmp_path: Path) -> None:
        context = NetworkContext("classification", (1, 12, 12), 2)
        notes = [engine.check(self.texts[name], context).warnings for name in ("classifier", "softmax")]
        assert [len(warnings) for warnings in notes] == [0, 1]
        losses, outputs = [], []
        for name in ("classifier", "softmax"):
            events = train(pictures, tmp_path / name, self.spec(name, epochs=2))
            losses.append([e.values["loss"] for e in events if isinstance(e, MetricEvent) and e.phase == "val"])
            predictor = engine.load(tmp_path / name / "snapshots" / f"epoch_2.{self.suffix}")
            outputs.append(predictor.predict(striped_pictures(6, 12, seed=3)[0])["output"])
        assert losses[0] == pytest.approx(losses[1], rel=2e-2, abs=1e-3)
        np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-2, atol=1e-3)

    @pytest.mark.parametrize("line", ["loss = 'mse'", "loss = lambda outputs: outputs", "metrics = 3"])
    def test_a_loss_that_is_no_function_of_outputs_and_targets_is_refused(self, engine: Engine, line: str) -> None:
        with pytest.raises(NetworkError, match="expected a function"):
            engine.check(f"{self.texts['classifier']}\n{line}\n", NetworkContext("classification", (1, 12, 12), 2))

    def test_a_metric_of_every_sample_counts_as_its_mean(self, pictures: Path, tmp_path: Path) -> None:
        text = self.texts["classifier"] + "\ndef metrics(outputs, targets):\n    return {'score': outputs[:, 0], 'one': 1.0}\n"
        events = train(pictures, tmp_path, self.spec(network=text, epochs=1))
        last = [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1]
        assert last.values["one"] == 1.0
        assert np.isfinite(last.values["score"])

    def test_metrics_that_are_no_dictionary_are_explained(self, pictures: Path, tmp_path: Path) -> None:
        text = self.texts["classifier"] + "\ndef metrics(outputs, targets):\n    return outputs[0, 0]\n"
        with pytest.raises(NetworkError, match="Return a dictionary of scalars"):
            train(pictures, tmp_path, self.spec(network=text))

    def test_own_losses_and_metrics_are_charted(self, pictures: Path, tmp_path: Path) -> None:
        events = train(pictures, tmp_path, self.spec("own", epochs=1))
        last = [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1]
        assert {"loss", "extra_loss", "extra_metric"} <= set(last.values)
        assert last.kinds["extra_loss"] == "loss"

    def test_every_solver_trains(self, engine: Engine, pictures: Path, tmp_path: Path) -> None:
        for name in engine.framework.solvers:
            spec = self.spec(epochs=1, solver=Solver(name), learning_rate=LearningRate(0.001, "poly"), val_interval=0)
            assert train(pictures, tmp_path / name, spec)

    def test_a_solver_that_is_not_known_is_refused(self, pictures: Path, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="LBFGS"):
            train(pictures, tmp_path, self.spec(solver=Solver("LBFGS")))

    def test_accumulated_batches_equal_one_large_batch(self, pictures: Path, tmp_path: Path) -> None:
        text = self.texts["numbers"]  # without dropout
        losses = []
        for name, size, accumulation in (("one", 16, 1), ("two", 8, 2)):
            rate = LearningRate(0.0005, "fixed")  # so slow that something is left to learn
            spec = self.spec(network=text, epochs=1, batch_size=size, batch_accumulation=accumulation, learning_rate=rate)
            events = train(pictures, tmp_path / name, spec)
            losses.append([e for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1].values["loss"])
        assert losses[0] > 0.01
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)

    # -- other tasks --------------------------------------------------------------------------------------------

    def test_segmentation(self, engine: Engine, tmp_path: Path) -> None:
        features, _ = striped_pictures(40, 16, seed=3)
        labels = (features > 99).astype(np.uint8)
        data = make_dataset(
            tmp_path / "data", features, labels, task="segmentation", label_kind="map", class_labels=("dark", "bright")
        )
        events = train(data, tmp_path / "model", self.spec("pixels", task="segmentation", epochs=4))
        scores = [e.values for e in events if isinstance(e, MetricEvent) and e.phase == "val"]
        assert scores[-1]["mean_dice"] > 0.9 > scores[0]["mean_dice"]
        self.check_kept_pictures(tmp_path / "model", events, None, "mean_dice")
        output = engine.load(tmp_path / "model" / "snapshots" / f"epoch_4.{self.suffix}").predict(features[:2])["output"]
        assert output.shape == (2, 2, 16, 16)

    def test_regression(self, engine: Engine, tmp_path: Path) -> None:
        features, _ = striped_pictures(40, 12, seed=4)
        labels = np.stack([features.mean(axis=(1, 2, 3)) / 100, features[..., :6].mean(axis=(1, 2, 3)) / 100], axis=1).astype(
            np.float32
        )
        data = make_dataset(tmp_path / "data", features, labels, task="regression", label_kind="vector")
        events = train(
            data, tmp_path / "model", self.spec("numbers", task="regression", learning_rate=LearningRate(0.01, "fixed"))
        )
        self.check_kept_pictures(tmp_path / "model", events, None, "mae")
        assert {"loss", "mae", "rmse", "r2"} <= set(
            [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1].values
        )
        output = engine.load(tmp_path / "model" / "snapshots" / f"epoch_3.{self.suffix}").predict(features[:2])["output"]
        assert output.shape == (2, 2)

    def test_pictures_without_labels_are_their_own(self, engine: Engine, tmp_path: Path) -> None:
        features, _ = striped_pictures(40, 16, seed=5)
        data = make_dataset(tmp_path / "data", features, None, task="processing", label_kind="none")
        train(
            data, tmp_path / "model", self.spec("picture", task="processing", epochs=2, learning_rate=LearningRate(0.01, "fixed"))
        )
        output = engine.load(tmp_path / "model" / "snapshots" / f"epoch_2.{self.suffix}").predict(features[:2])["output"]
        assert output.shape == features[:2].shape

    def test_encoded_records_train_like_unencoded_ones(self, pictures: Path, tmp_path: Path) -> None:
        features, labels = striped_pictures(64, 12, seed=1)
        encoded = make_dataset(tmp_path / "data", features, labels, class_labels=CLASSES, encoding="png", validation=16)
        plain = train(pictures, tmp_path / "plain", self.spec(epochs=1))
        decoded = train(encoded, tmp_path / "decoded", self.spec(epochs=1))
        values = [[e.values for e in events if isinstance(e, MetricEvent)] for events in (plain, decoded)]
        assert values[0] == values[1]

    # -- weights, resume ----------------------------------------------------------------------------------------

    def test_previous_weights_get_a_new_last_layer_for_other_classes(self, pictures: Path, tmp_path: Path) -> None:
        train(pictures, tmp_path / "old", self.spec(epochs=1))
        features, _ = striped_pictures(30, 12, seed=2)
        data = make_dataset(tmp_path / "data", features, np.arange(30) % 3, class_labels=("a", "b", "c"))
        snapshot = tmp_path / "old" / "snapshots" / f"epoch_1.{self.suffix}"
        spec = self.spec(epochs=1, start=StartWeights("path", path=str(snapshot)))
        events = train(data, tmp_path / "new", spec, start_weights=snapshot)
        reported = [e.message for e in events if isinstance(e, LogEvent) and "start anew" in e.message]
        assert len(reported) == 1

    @pytest.mark.parametrize("solver", ["SGD", "ADAMW", "ADAGRADDA"])
    def test_a_stopped_training_goes_on_where_it_was(self, pictures: Path, tmp_path: Path, solver: str) -> None:
        spec = self.spec(solver=Solver(solver))
        train_logged(pictures, tmp_path / "whole", spec)
        answers = iter([False] * 7 + [True])
        with pytest.raises(JobStopped):
            train_logged(pictures, tmp_path / "parts", spec, should_stop=lambda: next(answers))
        train_logged(pictures, tmp_path / "parts", spec)
        assert metric_lines(tmp_path / "parts") == metric_lines(tmp_path / "whole")

    def test_a_training_that_is_stopped_within_a_group_of_batches_goes_on_from_its_last_whole_step(
        self, pictures: Path, tmp_path: Path
    ) -> None:
        """Of 6 batches an epoch 4 and 2 are a group: it is stopped in the validation after the ninth batch."""
        spec, parts = self.spec(epochs=2, batch_size=8, batch_accumulation=4, val_interval=0.5), tmp_path / "parts"
        train_logged(pictures, tmp_path / "whole", spec)
        with pytest.raises(JobStopped):
            train_logged(pictures, parts, spec, should_stop=lambda: latest_step(parts) >= 9)
        step = json.loads((parts / "checkpoint" / "checkpoint.json").read_text())["step"]
        assert step in (6, 10)  # 10 where an engine leaves no group
        train_logged(pictures, parts, spec)
        assert metric_lines(parts) == metric_lines(tmp_path / "whole")

    @pytest.mark.parametrize("interval", [1, 0])
    def test_a_killed_training_ends_as_the_undisturbed_one(self, pictures: Path, tmp_path: Path, interval: float) -> None:
        spec = self.spec(epochs=self.kill_epochs, snapshot_interval=interval, val_interval=20, keep_snapshots=2)
        self.kill_in_the_middle(pictures, tmp_path / "killed", spec)
        options = {"checkpoint_seconds": 0.05}
        train_logged(pictures, tmp_path / "killed", spec, **options)
        train_logged(pictures, tmp_path / "whole", spec)
        assert metric_lines(tmp_path / "killed") == metric_lines(tmp_path / "whole")
        assert self.kept_pictures(tmp_path / "killed") == self.kept_pictures(tmp_path / "whole") != {}

    @staticmethod
    def kept_pictures(folder: Path) -> dict[str, bytes]:
        """The files of what snapshots answered to each validation picture."""
        return {path.name: path.read_bytes() for path in (folder / "validation_pictures").iterdir()}

    @staticmethod
    def check_kept_pictures(folder: Path, events: list[Any], count: int | None, name: str) -> None:
        """Of the best snapshot and of the last the answers to each validation picture are kept: its metric comes out of them."""
        found = [e for e in events if isinstance(e, SnapshotEvent) and not e.removed]
        wanted = {[e for e in found if e.best][-1].step: [e for e in found if e.best][-1], found[-1].step: found[-1]}
        assert {int(path.stem.removeprefix("step_")) for path in (folder / "validation_pictures").iterdir()} == set(wanted)
        for step, event in wanted.items():
            kept = read_pictures(step_file(folder, step))
            records = kept.records.tolist()
            assert records == list(range(len(records) if count is None else count))
            assert (kept.about["snapshot"], kept.about["total"]) == (event.path, len(records))
            assert resampled(name, kept.columns, once(len(records)))[0] == pytest.approx(event.metrics[name], rel=1e-5)

    def kill_in_the_middle(self, dataset: Path, folder: Path, spec: TrainingSpec) -> None:
        """Train in another process and kill it -9 when a checkpoint and some steps beyond it are on the disk."""
        folder.mkdir(parents=True)
        request = folder / "spec.json"
        request.write_text(json.dumps({"spec": spec.to_json(), "options": {"checkpoint_seconds": 0.05}}))
        command = [sys.executable, "-P", "-m", "digits.testing.runs", str(dataset), str(folder), str(request)]
        process = subprocess.Popen(command, start_new_session=True)
        leader = ProcessIdentity.of(process.pid)
        try:
            self.wait_for_checkpoint(folder, process)
        finally:
            signal_group(leader, signal.SIGKILL)
            process.wait()

    def wait_for_checkpoint(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        limit = time.monotonic() + DEADLINE
        while time.monotonic() < limit:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads((folder / "checkpoint" / "checkpoint.json").read_text())
                if found["step"] > 60 and (folder / "events.jsonl").stat().st_size > found["offset"]:
                    return
            assert process.poll() is None, "the training ended before it could be killed"
            time.sleep(0.002)
        raise AssertionError("no checkpoint in time")

    def test_a_recorded_step_computes_the_same_and_says_where_its_time_goes(
        self, engine: Engine, pictures: Path, tmp_path: Path
    ) -> None:
        """Stopped after step 5 of 12; recorded are 4, 8 and 12. An engine without a recorder says that it has none."""
        spec, traced = self.spec(epochs=2), tmp_path / "traced"
        train_logged(pictures, tmp_path / "plain", spec)
        with pytest.raises(JobStopped):
            train_logged(pictures, traced, replace(spec, traces_interval=4), should_stop=lambda: latest_step(traced) >= 5)
        train_logged(pictures, traced, replace(spec, traces_interval=4))
        assert metric_lines(traced) == metric_lines(tmp_path / "plain")
        events = [event for _, event in valid_events(traced / "events.jsonl")]
        found = {event.step: event for event in events if isinstance(event, TraceEvent)}
        assert list(found) == [4, 8, 12] or any(isinstance(event, WarningEvent) and event.code == "traces" for event in events)
        for step, event in found.items():
            assert {"forward", "backward", "optimizer"} <= set(event.parts)
            assert sum(event.parts.values()) == pytest.approx(event.seconds)
            assert f"of step {step}, " in event.where
            written = json.loads((traced / f"timeline_{step}.json").read_text())
            assert all(one["dur"] >= 0 for one in written["traceEvents"] if one["ph"] == "X")
            assert written["digits"]["operations"]

    def test_a_measured_step_says_where_its_time_goes_and_how_large_its_gradients_are(
        self, engine: Engine, pictures: Path, tmp_path: Path
    ) -> None:
        """By plain descent the weights move by the rate times the gradients. An engine need not know their norm."""
        spec = self.spec("wide", epochs=5, batch_size=24, snapshot_interval=0.5, solver=Solver("SGD", 0.0, 0.0))
        train_logged(pictures, tmp_path, spec)
        events = [event for _, event in valid_events(tmp_path / "events.jsonl")]
        measured = [event for event in events if isinstance(event, StageEvent) and event.step == 10]
        assert [event.step for event in events if isinstance(event, StageEvent)] == [2, 4, 6, 8, 10, 10]  # after each validation
        assert measured[1].seconds.keys() == {"validation"}
        assert all(value >= 0 for event in measured for value in event.seconds.values())
        if found := [event for event in events if isinstance(event, MetricEvent) and event.phase == "gradients"]:
            before, after = (_weights(engine.load(tmp_path / "snapshots" / f"epoch_{n}.{self.suffix}")) for n in ("4.5", "5"))
            assert {"data", "forward", "backward", "optimizer"} == measured[0].seconds.keys() or "compute" in measured[0].seconds
            assert found[0].values["gradient_norm"] == pytest.approx(np.linalg.norm(after - before) / 0.05, rel=1e-3)

    def test_layers_have_statistics(self, engine: Engine, pictures: Path, tmp_path: Path) -> None:
        train(pictures, tmp_path, self.spec(epochs=1))
        predictor = engine.load(tmp_path / "snapshots" / f"epoch_1.{self.suffix}")
        layers = predictor.layers(striped_pictures(1, 12, seed=1)[0][0])
        weighted = [layer.weights for layer in layers if layer.weights is not None]
        assert weighted
        assert all(sum(w.histogram[0]) == np.prod(w.shape) for w in weighted)
        report = engine.check(self.texts["classifier"], NetworkContext("classification", (1, 12, 12), 2))
        assert sum(layer.parameters for layer in layers) == report.parameters
        assert layers[-1].activations is not None
        assert layers[-1].activations.shape == (2,)


def _weights(predictor: Any) -> np.ndarray:
    """All trainable weights of a loaded snapshot in a row."""
    module = getattr(predictor, "module", None)
    found = [p.detach().cpu().numpy() for p in module.parameters()] if module else predictor.model.trainable_variables
    return np.concatenate([np.ravel(one) for one in found])
