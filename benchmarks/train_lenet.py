"""Training LeNet on MNIST, batch 64: images per second through digits, in a bare loop, and with ImageFolder + DataLoader.

    python benchmarks/train_lenet.py --mnist FOLDER_OF_IDX_FILES [--rounds 5] [--steps 300] [--threads 0]

All three use the same network, solver, batches, threads and seed. The bare loop has all data in memory as float tensors, already
normalised. The three run in turns; printed are medians, and the ratio of each round with its spread. Promised: digits at least
0.97 of the bare loop and 1.3 times the DataLoader script with its best number of workers (0 to 2).
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from digits.domain.events import Event, MetricEvent
from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.engines.torch_build import build
from digits.networks.catalog import network_text
from digits.testing.runs import make_dataset, make_run

BATCH = 64
RATE = 0.01
CLASSES = tuple("0123456789")


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    images, labels = read_idx(options.mnist, "train-images"), read_idx(options.mnist, "train-labels")
    count = options.steps * BATCH
    images, labels = images[:count], labels[:count].astype(np.int64)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = make_dataset(root / "dataset", images[:, None], labels, class_labels=CLASSES, validation=0)
        tree = write_tree(root / "tree", images, labels)
        runs: dict[str, Callable[[], float]] = {
            "digits": lambda: through_digits(dataset, root),
            "bare loop": lambda: bare_loop(images, labels),
            **{f"DataLoader, {n} workers": (lambda n=n: with_loader(tree, n)) for n in range(3)},
        }
        tell(measure(runs, options.rounds))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


def measure(runs: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Images per second of each, in turns; the first round warms up and does not count."""
    results: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            speed = run()
            if number:
                results[name].append(speed)
    return results


def tell(results: dict[str, list[float]]) -> None:
    for name, speeds in results.items():
        print(f"{name:22} {statistics.median(speeds):8.0f} images/s   (from {min(speeds):.0f} to {max(speeds):.0f})")
    loaders = {name: speeds for name, speeds in results.items() if name.startswith("DataLoader")}
    best = max(loaders, key=lambda name: statistics.median(loaders[name]))
    for other, wanted in (("bare loop", 0.97), (best, 1.3)):
        ratios = [own / theirs for own, theirs in zip(results["digits"], results[other], strict=True)]
        middle = statistics.median(ratios)
        print(f"digits / {other}: {middle:.3f} (from {min(ratios):.3f} to {max(ratios):.3f}; promised {wanted})")


def through_digits(dataset: Path, root: Path) -> float:
    """Time between the first and the last step of one epoch, everything that digits does in between included."""
    folder = Path(tempfile.mkdtemp(dir=root))
    told: list[tuple[float, int]] = []

    def emit(event: Event) -> int:
        with open(folder / "events.jsonl", "a") as handle:
            handle.write(repr(event))
        if isinstance(event, MetricEvent) and event.phase == "train":
            told.append((time.perf_counter(), event.step))
        return 0

    spec = TrainingSpec("dataset", "classification", network=network_text("lenet"), epochs=1, batch_size=BATCH, seed=1)
    spec = TrainingSpec(**{**vars(spec), "learning_rate": LearningRate(RATE, "fixed"), "snapshot_interval": 0, "val_interval": 0})
    get_engine("pytorch").train(make_run(dataset, folder, spec, emit, threads=torch.get_num_threads()))
    (start, first), (end, last) = told[0], told[-1]
    return (last - first) * BATCH / (end - start)


def bare_loop(images: np.ndarray, labels: np.ndarray) -> float:
    x = torch.from_numpy((images[:, None] - images.mean()) / images.std()).float()
    y = torch.from_numpy(labels)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for indices in torch.randperm(len(x)).split(BATCH):
            yield x[indices], y[indices]

    return train(batches())


def with_loader(tree: Path, workers: int) -> float:
    """What a user would write: a folder per class, torchvision's transforms, a DataLoader."""
    change = transforms.Compose([transforms.Grayscale(), transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    data = datasets.ImageFolder(str(tree), change)
    return train(iter(DataLoader(data, BATCH, shuffle=True, num_workers=workers)))


def train(batches: Iterator[tuple[Tensor, Tensor]]) -> float:
    """The bare loop; the speed from the end of the first step on."""
    torch.manual_seed(1)
    model: nn.Module = build(network_text("lenet"), NetworkContext("classification", (1, 28, 28), 10)).module
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-4)
    start, steps = 0.0, -1
    for x, y in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        steps += 1
        if not steps:
            start = time.perf_counter()
    return steps * BATCH / (time.perf_counter() - start)


def write_tree(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{i}.png")
    return folder


def read_idx(folder: Path, name: str) -> np.ndarray:
    """An array of an idx file, gzipped or not."""
    file = next(folder.glob(f"{name}*"))
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


if __name__ == "__main__":
    main()
