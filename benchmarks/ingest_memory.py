"""Memory of ingest: the largest use of a whole job (worker and pool, proportional set size) at two sizes ten apart.

    python benchmarks/ingest_memory.py [--full] [--rounds 1] [--processes 2]

28×28 grey PNG files in ten classes, one tree of links to a few files. Default: 2,000 and 20,000 pictures; --full: 20,000 and
200,000. Promised: at most 1.1 times.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from _ingest import make_job, options, report, report_ratio, run_worker
from PIL import Image

DISTINCT = 500


def main() -> None:
    chosen = options(__doc__)
    small = 20_000 if chosen.full else 2_000
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        root = Path(temporary)
        trees = {count: make_tree(root / str(count), count) for count in (small, small * 10)}
        peaks: dict[int, list[float]] = {count: [] for count in trees}
        for _ in range(chosen.rounds):
            for count, tree in trees.items():
                peaks[count].append(peak(root, tree, chosen.processes) / 2**20)
    for count, values in peaks.items():
        report(f"{count:,} pictures", values, "MiB")
    report_ratio("large / small", [b / a for a, b in zip(peaks[small], peaks[small * 10], strict=True)], "at most 1.1")


def peak(root: Path, tree: Path, processes: int) -> int:
    data = {"folder_train": str(tree), "resize_width": 28, "resize_height": 28, "resize_channels": 1}
    return run_worker(make_job(root / "jobs", "image-classification-folder", data), processes)[1]


def make_tree(tree: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    for label in range(10):
        (tree / str(label)).mkdir(parents=True)
    originals = [tree / str(n % 10) / f"{n:06d}.png" for n in range(DISTINCT)]
    for path in originals:
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(path)
    for number in range(DISTINCT, count):
        os.link(originals[number % DISTINCT], tree / str(number % 10) / f"{number:06d}.png")
    return tree


if __name__ == "__main__":
    main()
