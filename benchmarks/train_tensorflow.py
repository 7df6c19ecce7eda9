"""Training with TensorFlow: LeNet on MNIST and the small U-Net through digits and `keras.Model.fit`; the start of a worker.

    python benchmarks/train_tensorflow.py [--mnist FOLDER_OF_IDX_FILES] [--rounds 8] [--block 60] [--threads 2]

Both train the same network text with the same solver, batches and threads, in one process and in turns: some steps of one,
some of the next, so that a busy machine slows both alike. `fit` has all data in memory as float arrays in Keras' layout, already
normalised, and shows nothing; digits reads its records and writes its events. Promised: digits at least 0.97 of `fit`; the
ratios are those of blocks by the clock and by the time of the processors, which a busy machine disturbs less. The start is the
time from the command to the first step's line in `events.jsonl`, imports and compilation included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _mnist import read_mnist, repeated_digits

from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.errors import JobStopped
from digits.networks.catalog import network_text
from digits.storage.events import EventWriter
from digits.testing.runs import make_dataset, make_run, striped_pictures

RATE = 0.01
CLASSES = tuple("0123456789")


class Turns:
    """Two trainings in two threads, one of which works at a time; keeps the seconds of each one's blocks."""

    def __init__(self, block: int, rounds: int) -> None:
        self.block, self.rounds = block, rounds
        self.gates = {"digits": threading.Semaphore(1), "fit": threading.Semaphore(0)}
        self.seconds: dict[str, list[float]] = {"digits": [], "fit": []}  # by the clock
        self.worked: dict[str, list[float]] = {"digits": [], "fit": []}  # by the processors
        self.steps = {"digits": 0, "fit": 0}

    def after_step(self, name: str) -> bool:
        """Called after each step; whether that training should end."""
        self.steps[name] += 1
        if self.steps[name] % self.block:
            return False
        self.seconds[name].append(time.perf_counter() - self.began[0])
        self.worked[name].append(time.process_time() - self.began[1])
        other = "fit" if name == "digits" else "digits"
        self.gates[other].release()
        if len(self.seconds[name]) > self.rounds:
            return True
        self.wait(name)
        return False

    def wait(self, name: str) -> None:
        self.gates[name].acquire()
        self.began = time.perf_counter(), time.process_time()


def ratio(times: dict[str, list[float]]) -> str:
    """Median ratio of speeds and where its middle half lies; the first round warms up."""
    ratios = [fit / own for own, fit in zip(times["digits"][1:], times["fit"][1:], strict=False)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="without it, scikit-learn's digits, enlarged and repeated, take its place")
    parser.add_argument("--full", action="store_true", help="three times the rounds")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--block", type=int, default=60, help="steps of each before the other takes its turn")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    options.rounds *= 3 if options.full else 1
    images, labels = read_mnist(options.mnist) if options.mnist else repeated_digits()
    with tempfile.TemporaryDirectory() as folder:
        numbers = make_dataset(Path(folder) / "numbers", images[:, None], labels, class_labels=CLASSES, validation=0)
        spec = TrainingSpec("x", "classification", "tensorflow", network_text("lenet", "tensorflow"), batch_size=64)
        print(f"start of a worker to its first step: {start_seconds(numbers, Path(folder) / 'start', spec):.1f} s")
        compare("LeNet on MNIST, batch 64", spec, numbers, images[:, None], labels, options)
        pictures, _ = striped_pictures(512, 64, seed=1)
        masks = (pictures > 99).astype(np.uint8)
        maps: dict[str, Any] = {"task": "segmentation", "label_kind": "map", "class_labels": ("dark", "bright")}
        cells = make_dataset(Path(folder) / "cells", pictures, masks, validation=0, **maps)
        spec = TrainingSpec(
            "x", "segmentation", "tensorflow", network_text("unet", "tensorflow"), batch_size=8, loss="cross_entropy"
        )
        options.block = max(5, options.block // 6)
        compare("U-Net, 64x64, batch 8", spec, cells, pictures, masks[:, 0].astype(np.int64), options)


def compare(
    title: str, spec: TrainingSpec, dataset: Path, features: np.ndarray, labels: np.ndarray, options: argparse.Namespace
) -> None:
    turns = Turns(options.block, options.rounds)
    other = threading.Thread(target=train_with_fit, args=(spec, features, labels, turns), daemon=True)
    with tempfile.TemporaryDirectory() as folder:
        train_through_digits(spec, dataset, Path(folder) / "model", turns, options.threads, other.start)
    other.join()
    for name, seconds in turns.seconds.items():
        speed = turns.block * (spec.batch_size or 1) / statistics.median(seconds[1:])
        print(f"{title}: {name:7} {speed:8.0f} images/s")
    print(f"{title}: digits / fit {ratio(turns.seconds)} by the clock, {ratio(turns.worked)} by the processors; promised 0.97")


def train_through_digits(
    spec: TrainingSpec, dataset: Path, folder: Path, turns: Turns, threads: int, start_other: Callable[[], None]
) -> None:
    folder.mkdir()
    events = EventWriter(folder / "events.jsonl", attempt=1)
    rate = LearningRate(RATE, "fixed")
    spec = replace(spec, epochs=1000, seed=1, learning_rate=rate, snapshot_interval=0, val_interval=0)
    run = make_run(dataset, folder, spec, events.emit, threads=threads)

    def should_stop() -> bool:
        if turns.steps["digits"] == 0:
            turns.wait("digits")
            start_other()
        return turns.after_step("digits")

    run.should_stop = should_stop
    with contextlib.suppress(JobStopped):
        get_engine("tensorflow").train(run)
    events.close()


def train_with_fit(spec: TrainingSpec, features: np.ndarray, labels: np.ndarray, turns: Turns) -> None:
    """What a user would write, with the same network text."""
    import keras

    from digits.engines.tensorflow.build import build

    classes = int(labels.max()) + 1
    turns.wait("fit")
    context = NetworkContext(spec.task, features.shape[1:], classes, ())
    model = build(spec.network, context).model
    x = ((features - features.mean()) / features.std()).astype(np.float32).transpose(0, 2, 3, 1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE, momentum=0.9, weight_decay=1e-4), loss, metrics=["accuracy"])

    class Ticks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            if turns.after_step("fit"):
                self.model.stop_training = True
                raise StopIteration

    with contextlib.suppress(StopIteration):
        model.fit(x, labels, batch_size=spec.batch_size, epochs=1000, verbose=0, callbacks=[Ticks()])


def start_seconds(dataset: Path, folder: Path, spec: TrainingSpec) -> float:
    """From the command to the first training metric in the file."""
    folder.mkdir()
    values = spec.to_json() | {"epochs": 1000, "val_interval": 0, "learning_rate": {"base": RATE, "policy": "fixed"}}
    (folder / "spec.json").write_text(json.dumps({"spec": values, "options": {}}))
    began = time.perf_counter()
    command = [sys.executable, "-m", "digits.testing.runs", str(dataset), str(folder), str(folder / "spec.json")]
    process = subprocess.Popen(command)
    events = folder / "events.jsonl"
    try:
        while not (events.is_file() and '"train"' in events.read_text()):
            time.sleep(0.02)
        return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
