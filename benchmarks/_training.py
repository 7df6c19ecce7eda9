"""Training through digits and in bare loops, in turns: what the benchmarks of segmentation and detection share."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from train_lenet import DIGITS, Times, Turns, spread

from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.engines.pytorch.build import build
from digits.errors import JobStopped
from digits.networks.catalog import network_text
from digits.storage.events import EventWriter
from digits.testing.runs import make_run

PROMISED = 0.95
RATE = 0.001
BARE, SAME_LAYOUT = "bare loop", "bare loop, same layout"
Batches = Iterator[tuple[Tensor, Any]]
Losses = Callable[[nn.Module, Tensor, Any], Tensor]


def arguments(text: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--block", type=int, default=4, help="steps of each before the next takes its turn")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    return options


def compare(
    options: argparse.Namespace,
    network: str,
    context: NetworkContext,
    batch_size: int,
    make_data: Callable[[Path], Path],
    batches: Callable[[], Batches],
    loss: Losses,
) -> None:
    """Train through digits on the data set that `make_data` writes and in loops over `batches` in memory; print the ratios."""
    others = {
        BARE: bare_loop(network, context, batches(), loss, torch.contiguous_format),
        SAME_LAYOUT: bare_loop(network, context, batches(), loss, torch.channels_last),
    }
    turns = Turns(others, options.block, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        through_digits(make_data(Path(folder) / "dataset"), Path(folder) / "model", network, context.task, batch_size, turns)
    report(turns.times, options.block * batch_size)


def through_digits(dataset: Path, folder: Path, network: str, task: str, batch_size: int, turns: Turns) -> None:
    folder.mkdir()
    events = EventWriter(folder / "events.jsonl", attempt=1)
    spec = TrainingSpec(
        "dataset",
        task,
        network=network_text(network),
        epochs=1_000,
        batch_size=batch_size,
        seed=1,
        use_mean="none",
        solver=Solver("ADAM"),
        learning_rate=LearningRate(RATE, "fixed"),
        snapshot_interval=0,
        val_interval=0,
    )
    run = make_run(dataset, folder, spec, events.emit, threads=torch.get_num_threads(), should_stop=turns.after_step)
    turns._start()
    try:
        get_engine("pytorch").train(run)
    except JobStopped:
        pass
    finally:
        events.close()


def bare_loop(
    network: str, context: NetworkContext, batches: Batches, loss: Losses, layout: torch.memory_format
) -> Iterator[None]:
    """One step of the loop that everybody writes, each time it is asked for."""
    torch.manual_seed(1)
    model = build(network_text(network), context).module.train().to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=layout == torch.channels_last)
    for x, y in batches:
        optimizer.zero_grad()
        loss(model, x.to(memory_format=layout), y).backward()
        optimizer.step()
        yield


def report(times: dict[str, Times], pictures: int) -> None:
    for name, own in times.items():
        speeds = [pictures / seconds for seconds in own.clock]
        print(f"{name:22} {statistics.median(speeds):8.1f} images/s   (from {min(speeds):.1f} to {max(speeds):.1f})")
    for other in (BARE, SAME_LAYOUT):
        clock = spread(times[DIGITS].clock, times[other].clock)
        processors = spread(times[DIGITS].processors, times[other].processors)
        print(f"digits / {other}: {clock} by the clock, {processors} by the processors; promised {PROMISED}")
