"""What the limits on strangers' files cost: ingest and inference with them and without, in turns, by processor time.

python benchmarks/cost_of_limits.py [--rounds 15]

Everything runs in this process, so that its processor time counts all of it and nothing else: the whole ingest of a folder of
pictures (looking at the files, encoding, writing) and a predictor's answers to requests that name files. Without limits means:
files are opened as `open` does it, their kind is not looked at before, no call has a deadline. The promise is 2 %. What watches
from outside, the supervisor's look at the memory of processes, is stated in percent of one processor.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

import numpy as np
from _inference import serving, write_pictures
from _ingest import make_job
from PIL import Image

from digits.domain.datasets import DatasetSpec
from digits.extensions.data.source import ConfinedSource
from digits.ingest import pool
from digits.ingest.pipeline import IngestContext, ingest
from digits.ingest.silence import SilenceWatch
from digits.ipc.messages import Message
from digits.ipc.watchdog import Watchdog
from digits.predictor.model import LoadedModel
from digits.predictor.requests import answer
from digits.storage.folders import JobFolder
from digits.utils.memory_use import memory_of_groups

PROMISE = 1.02
BATCH = 32  # pictures of a request
REQUESTS = 30
LOOKS = 200


def plainly(path: str | Path) -> BinaryIO:
    """Opened as anybody would."""
    return open(path, "rb")


@contextlib.contextmanager
def unlimited() -> Iterator[None]:
    """Lift every limit of this process."""
    nothing = contextlib.nullcontext
    with contextlib.ExitStack() as stack:
        for target, name, value in (
            (ConfinedSource, "reading", lambda self, note=None: nothing()),
            (pool, "ending_when_late", nothing),
            (SilenceWatch, "watching", lambda self, call, module="": nothing()),
            (Watchdog, "request", lambda self, limit: nothing()),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        for module in ("utils.image", "utils.stored", "images.prepare"):
            stack.enter_context(mock.patch(f"digits.{module}.open_file", plainly))
        yield


def photos(folder: Path, count: int) -> None:
    """Photographs of 500×375 in two classes, of noise over a gradient, as JPEG."""
    chance = np.random.default_rng(0)
    for number in range(count):
        base = np.linspace(0, 200, 500 * 375 * 3).reshape(375, 500, 3)
        path = folder / str(number % 2) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((base + chance.integers(0, 55, base.shape)).astype(np.uint8)).save(path, quality=90)


def make(jobs: Path, pictures: Path, side: int, channels: int) -> None:
    """The whole ingest, in this process."""
    data = {"folder_train": str(pictures), "resize_width": side, "resize_height": side, "resize_channels": channels}
    folder = make_job(jobs, "image-classification-folder", {**data, "folder_pct_val": 0, "has_val_folder": False})
    context = IngestContext(lambda event: None, lambda: False, lambda work: work(), 1, lambda error: None)
    ingest(folder, DatasetSpec.from_json(folder.spec()), context)


def compare(name: str, work: Callable[[bool], object], rounds: int) -> None:
    """`work` with limits and without, in turns; which comes first changes. Print the ratio of processor times."""
    for limited in (True, False):
        run(work, limited)
    ratios, seconds = [], []
    for number in range(rounds):
        taken = {limited: run(work, limited) for limited in ((True, False) if number % 2 else (False, True))}
        ratios.append(taken[True] / taken[False])
        seconds.append(taken[True])
    middle = statistics.median(ratios)
    kept = "kept" if middle <= PROMISE else "BROKEN"
    spread = f"{middle:.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
    known = f"{name:>40}: {statistics.median(seconds):.2f} s"
    print(f"{known}, with limits / without {spread}, promised {PROMISE:g}: {kept}", flush=True)


def run(work: Callable[[bool], object], limited: bool) -> float:
    with contextlib.nullcontext() if limited else unlimited():
        began = time.process_time()
        work(limited)
        return time.process_time() - began


def ask(model: LoadedModel, watch: Watchdog, pictures: list[Path], roots: list[str]) -> None:
    """What a predictor does for requests that name files; without roots nothing is judged."""
    header: dict[str, Any] = {"op": "predict", **({"roots": roots} if roots else {})}
    for start in range(0, len(pictures), BATCH):
        named = [{"path": str(path)} for path in pictures[start : start + BATCH]]
        with watch.request(300.0):
            answer(model, Message({**header, "pictures": named}))


def watching() -> None:
    """The look of the supervisor at the memory of its processes, two times a second for jobs and for helpers each."""
    import os

    began = time.process_time()
    for _ in range(LOOKS):
        memory_of_groups({os.getpgrp()})
    each = (time.process_time() - began) / LOOKS
    print(f"{'looks at memory, four a second':>40}: {1e6 * each:.0f} µs each, {400 * each:.2f} % of one processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, mock.patch.object(pool, "IN_PLACE_ENTRIES", 1 << 30):
        root = Path(temporary)
        small = write_pictures(root / "small", 2000)
        photos(root / "photos", 300)
        compare("ingest of 2,000 pictures of 28×28", lambda _: make(root / "jobs", root / "small", 28, 1), options.rounds)
        compare("ingest of 300 photos to 256×256", lambda _: make(root / "jobs", root / "photos", 256, 3), options.rounds)
        with serving(root) as server:
            model = LoadedModel.open(JobFolder(server.folder), f"snapshots/{server.snapshot.name}", "cpu")
        watch, pictures = Watchdog(), small[: BATCH * REQUESTS]
        compare(
            f"{REQUESTS} requests of {BATCH} files of 28×28 to LeNet",
            lambda limited: ask(model, watch, pictures, [str(root)] if limited else []),
            options.rounds,
        )
        watching()


if __name__ == "__main__":
    main()
