"""Trainings in several processes that are started once: `Ranks` is this process as rank 0 with the others, for many cases.

`python -m tests.truth.ranks PORT RANK WORLD` is one of the others: it waits for cases and trains along.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

from digits.domain.events import Event
from digits.domain.training import TrainingSpec
from digits.engines.pytorch.devices import EXCHANGE_TIMEOUT
from digits.engines.pytorch.ranks import HOST, _listening_store
from digits.engines.pytorch.train import train_rank
from digits.testing.runs import make_run

PATIENCE = timedelta(seconds=120)


class Ranks:
    """`most` ranks, of which a case uses as many as it names. This process takes part as rank 0 while a case runs."""

    def __init__(self, most: int) -> None:
        port, self.store = _listening_store(most)
        self.cases = 0
        command = [sys.executable, "-m", "tests.truth.ranks", str(port)]
        environ = os.environ | {"OMP_NUM_THREADS": "1"}
        self.others = [subprocess.Popen([*command, str(rank)], env=environ) for rank in range(1, most)]

    def train(self, dataset: Path, folder: Path, spec: TrainingSpec, world: int) -> list[Event]:
        """The events of a training on `world` ranks."""
        case = {"dataset": str(dataset), "folder": str(folder), "spec": spec.to_json(), "world": world}
        self.store.set(f"case {self.cases}", json.dumps(case))
        self.cases += 1
        return train_case(self.store, self.cases - 1, 0, case)

    def close(self) -> None:
        """End the others."""
        self.store.set(f"case {self.cases}", "{}")
        for other in self.others:
            assert other.wait(60) == 0


def train_case(store: dist.Store, number: int, rank: int, case: dict) -> list[Event]:
    """This rank's part of a case; the events, of which only rank 0's are used."""
    events: list[Event] = []

    def emit(event: Event) -> int:
        events.append(event)
        return len(events)

    run = make_run(Path(case["dataset"]), Path(case["folder"]), TrainingSpec.from_json(case["spec"]), emit)
    with _group(dist.PrefixStore(f"group {number}", store), rank, case["world"]):
        train_rank(run, None)
    return events


@contextlib.contextmanager
def _group(store: dist.Store, rank: int, world: int) -> Iterator[None]:
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def main(port: int, rank: int) -> None:
    """Take part in every case that uses this rank, until there are no more."""
    torch.set_num_threads(1)
    store = dist.TCPStore(HOST, port, is_master=False, timeout=EXCHANGE_TIMEOUT)
    number = 0
    while case := json.loads(store.get(f"case {number}")):
        if rank < case["world"]:
            train_case(store, number, rank, case)
        number += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
