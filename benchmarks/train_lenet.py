"""Training LeNet on MNIST, batch 64, CPU: images per second through digits, in bare loops, and with ImageFolder + DataLoader.

    python benchmarks/train_lenet.py [--mnist FOLDER_OF_IDX_FILES] [--full] [--rounds 24] [--block 10] [--threads 0]

All train the same network with the same solver, batches and threads, in one process and in turns: some steps of one, some of
the next, so that a busy machine slows all alike. digits trains as in a job of five epochs, everything that it does in between
(reading records, metrics, events in a file) included. The bare loops have all data in memory as float tensors, already
normalised: one as it is usually written, one with digits' own choices (channels innermost in memory, the fused optimizer), so
that nothing but the overhead differs. Printed are medians, and the ratio of each round with its spread, by the clock and by the
time of the processors, which a busy machine disturbs less. Promised: digits at least 0.97 of a bare loop, and 1.3 times the
DataLoader script with its best number of workers (0 to 2).
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from _mnist import read_mnist, repeated_digits
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.engines.pytorch.build import build
from digits.errors import JobStopped
from digits.networks.catalog import network_text
from digits.storage.events import EventWriter
from digits.testing.runs import make_dataset, make_run

BATCH = 64
RATE = 0.01
EPOCHS = 5
CLASSES = tuple("0123456789")
DIGITS = "digits"
SAME_LAYOUT = "bare loop, same layout"


@dataclass
class Times:
    """Seconds of each block of steps, by the clock and by the processors (of this process alone)."""

    clock: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)


class Turns:
    """Runs the others' blocks whenever digits has done a block of steps, and keeps the times of all."""

    def __init__(self, others: dict[str, Iterator[None]], block: int, rounds: int) -> None:
        self.others, self.block, self.rounds = others, block, rounds
        self.times = {name: Times() for name in (DIGITS, *others)}
        self.steps = 0

    def after_step(self) -> bool:
        """Called by digits after each step; whether it should stop."""
        self.steps += 1
        if self.steps % self.block == 0:
            self._note(DIGITS)
            names = list(self.others)
            for name in names if self.steps // self.block % 2 else reversed(names):
                self._start()
                for _ in range(self.block):
                    next(self.others[name])
                self._note(name)
            self._start()
        return self.steps >= self.block * (self.rounds + 1)

    def _start(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def _note(self, name: str) -> None:
        if self.steps > self.block:  # the first round warms up
            self.times[name].clock.append(time.perf_counter() - self.began[0])
            self.times[name].processors.append(time.process_time() - self.began[1])


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    images, labels = read_mnist(options.mnist) if options.mnist else repeated_digits()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = make_dataset(root / "dataset", images[:, None], labels, class_labels=CLASSES, validation=0)
        count = BATCH * options.block * (options.rounds + 1)
        tree = write_tree(root / "tree", np.resize(images, (count, *images.shape[1:])), np.resize(labels, count))
        others = {
            "bare loop": bare_loop(images, labels, same_layout=False),
            SAME_LAYOUT: bare_loop(images, labels, same_layout=True),
            **{f"DataLoader, {n} workers": with_loader(tree, n) for n in range(3)},
        }
        turns = Turns(others, options.block, options.rounds)
        train_through_digits(dataset, root / "model", turns)
        report(turns.times, options.block * BATCH)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, help="without it, scikit-learn's digits, enlarged and repeated, take its place")
    parser.add_argument("--full", action="store_true", help="five times the rounds")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--block", type=int, default=10, help="steps of each before the next takes its turn")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    options.rounds *= 5 if options.full else 1
    return options


def report(times: dict[str, Times], pictures: int) -> None:
    for name, own in times.items():
        speeds = [pictures / seconds for seconds in own.clock]
        print(f"{name:22} {statistics.median(speeds):8.0f} images/s   (from {min(speeds):.0f} to {max(speeds):.0f})")
    best = min((name for name in times if name.startswith("DataLoader")), key=lambda name: statistics.median(times[name].clock))
    for other, wanted in (("bare loop", 0.97), (SAME_LAYOUT, 0.97), (best, 1.3)):
        clock = spread(times[DIGITS].clock, times[other].clock)
        processors = spread(times[DIGITS].processors, times[other].processors)
        print(f"digits / {other}: {clock} by the clock, {processors} by the processors; promised {wanted}")


def spread(own: list[float], theirs: list[float]) -> str:
    """The median ratio of speeds and where its middle half lies."""
    ratios = [b / a for a, b in zip(own, theirs, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def train_through_digits(dataset: Path, folder: Path, turns: Turns) -> None:
    folder.mkdir()
    events = EventWriter(folder / "events.jsonl", attempt=1)
    spec = TrainingSpec(
        "dataset",
        "classification",
        network=network_text("lenet"),
        epochs=EPOCHS,
        batch_size=BATCH,
        seed=1,
        learning_rate=LearningRate(RATE, "fixed"),
        snapshot_interval=0,
        val_interval=0,
    )
    run = make_run(dataset, folder, spec, events.emit, threads=torch.get_num_threads())
    run.should_stop = turns.after_step
    with contextlib.suppress(JobStopped):
        get_engine("pytorch").train(run)
    events.close()


def bare_loop(images: np.ndarray, labels: np.ndarray, *, same_layout: bool) -> Iterator[None]:
    x = torch.from_numpy((images[:, None] - images.mean()) / images.std()).float()
    y = torch.from_numpy(labels)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            for indices in torch.randperm(len(x)).split(BATCH):
                yield x[indices], y[indices]

    return train(batches, same_layout=same_layout)


def with_loader(tree: Path, workers: int) -> Iterator[None]:
    """What a user would write: a folder per class, torchvision's transforms, a DataLoader."""
    change = transforms.Compose([transforms.Grayscale(), transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    data = datasets.ImageFolder(str(tree), change)
    return train(lambda: iter(DataLoader(data, BATCH, shuffle=True, num_workers=workers)))


def train(batches: Callable[[], Iterator[tuple[Tensor, Tensor]]], *, same_layout: bool = False) -> Iterator[None]:
    """The loop that everybody writes, a step each time it is asked for one."""
    torch.manual_seed(1)
    model: nn.Module = build(network_text("lenet"), NetworkContext("classification", (1, 28, 28), 10)).module
    model = model.to(memory_format=torch.channels_last) if same_layout else model
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4, fused=same_layout or None)
    for x, y in batches():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        yield


def write_tree(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{i}.png")
    return folder


if __name__ == "__main__":
    main()
