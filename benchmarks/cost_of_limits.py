"""What the limits on strangers' files cost: ingest and inference with them and without, in turns, by processor time.

python benchmarks/cost_of_limits.py [--rounds 60] [--pictures 2000]

Everything runs in this process, so that its processor time counts all of it and nothing else: the whole ingest of a folder of
pictures (looking at the files, encoding, writing) and a predictor's answers to requests that name files. Without limits means:
files are read by `open(path).read()`, and, beside that, by as few calls of the system as there can be; nobody judges where they
lie or of what kind they are, and no call has a deadline. What a run costs whatever its size (threads that watch) stands apart:
it is measured on 40 pictures, and taken off the larger runs. The promise is 2 % of what each picture or request takes. Many
short turns tell more than few long ones on a machine that does something else too: each pair is compared, the middle of all
pairs counts. What watches from outside, the supervisor's look at the memory of processes, is stated in percent of one processor.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import shutil
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
REQUESTS = 20
FEW, PHOTOS = 40, 60
LOOKS = 200


def open_plainly(path: str | Path) -> BinaryIO:
    """Opened as anybody would."""
    return open(path, "rb")


def read_as_anybody(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def read_plainly(path: str | Path) -> bytes:
    """Read by as few calls of the system as there can be."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size + 1)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def unlimited(read: Callable[[str | Path], bytes]) -> Iterator[None]:
    """Lift every limit of this process; files are read by `read`."""
    nothing = contextlib.nullcontext
    with contextlib.ExitStack() as stack:
        for target, name, value in (
            (ConfinedSource, "reading", lambda self, note=None: nothing()),
            (pool, "ending_when_late", nothing),
            (SilenceWatch, "watching", lambda self, call, module="": nothing()),
            (Watchdog, "request", lambda self, limit: nothing()),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        for module in ("utils.stored", "images.prepare"):
            stack.enter_context(mock.patch(f"digits.{module}.open_file", open_plainly))
        for module in ("utils.image", "images.prepare", "extensions.data.images.pictures"):
            stack.enter_context(mock.patch(f"digits.{module}.read_file", read))
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
    shutil.rmtree(folder.path)


def compare(
    name: str, work: Callable[[bool], object], rounds: int, fixed: float = 0.0, read: Callable[[str | Path], bytes] = read_plainly
) -> float:
    """`work` with limits and without, in turns; which comes first changes. Print the ratio of processor times, less `fixed`
    seconds that a run with limits takes more whatever its size; the difference of the two in seconds."""
    for limited in (True, False):
        run(work, limited, read)
    pairs = []
    for number in range(rounds):
        taken = {limited: run(work, limited, read) for limited in ((True, False) if number % 2 else (False, True))}
        pairs.append((taken[True], taken[False]))
    ratios = sorted((one - fixed) / other for one, other in pairs)
    middle, error = statistics.median(ratios), 1.25 * statistics.stdev(ratios) / len(ratios) ** 0.5
    quarter = len(ratios) // 4
    spread = f"{middle:.3f} (half of them {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}, standard error {error:.3f})"
    print(f"{name:>44}: {statistics.median(one for one, _ in pairs):.3f} s, with limits / without {spread}", flush=True)
    return statistics.median(one - other for one, other in pairs)


def judge(name: str, work: Callable[[bool], object], rounds: int, fixed: float) -> None:
    for words, read in {"beside open(path).read()": read_as_anybody, "beside the fewest calls": read_plainly}.items():
        more = compare(name, work, rounds, fixed, read)
        print(f"{words:>44}: {1000 * more:+.2f} ms a run, {1000 * fixed:.2f} of them whatever its size; promised {PROMISE:g}")


def run(work: Callable[[bool], object], limited: bool, read: Callable[[str | Path], bytes]) -> float:
    gc.collect()
    with contextlib.nullcontext() if limited else unlimited(read):
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
    began = time.process_time()
    for _ in range(LOOKS):
        memory_of_groups({os.getpgrp()})
    each = (time.process_time() - began) / LOOKS
    print(f"{'looks at memory, four a second':>40}: {1e6 * each:.0f} µs each, {400 * each:.2f} % of one processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--pictures", type=int, default=2000, help="of 28×28")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, mock.patch.object(pool, "IN_PLACE_ENTRIES", 1 << 30):
        root = Path(temporary)
        few, many = root / "few", root / "many"
        small = write_pictures(many, options.pictures)
        write_pictures(few, FEW)
        photos(root / "photos", PHOTOS)
        fixed = compare(f"ingest of {FEW} pictures of 28×28", lambda _: make(root / "jobs", few, 28, 1), options.rounds)
        print(f"{'':>44}  {1000 * fixed:+.2f} ms a run with limits, whatever its size", flush=True)
        judge(f"ingest of {len(small):,} pictures of 28×28", lambda _: make(root / "jobs", many, 28, 1), options.rounds, fixed)
        judge(
            f"ingest of {PHOTOS} photos to 256×256", lambda _: make(root / "jobs", root / "photos", 256, 3), options.rounds, fixed
        )
        with serving(root) as server:
            model = LoadedModel.open(JobFolder(server.folder), f"snapshots/{server.snapshot.name}", "cpu")
        watch, pictures = Watchdog(), small[: BATCH * REQUESTS]
        judge(
            f"{REQUESTS} requests of {BATCH} files of 28×28 to LeNet",
            lambda limited: ask(model, watch, pictures, [str(root)] if limited else []),
            options.rounds,
            0.0,
        )
        watching()


if __name__ == "__main__":
    main()
