"""Making a data set of photos: 500×375 JPEG to 256×256 records, through digits and with the bare work alone.

    python benchmarks/ingest_photos.py [--full] [--rounds 3] [--processes N] [--encoding auto]

Bare work: the same decode, resize and (with `--encoding png`) encode by Pillow in the same number of processes, nothing
kept. Single loop: a plain Pillow loop in one process that writes PNG files of compression level 1. The three run in turns.
Times of digits are whole jobs less the time of a job of a few photos (start of the processes); the bare pool is timed when its
processes stand. Promised: at least 0.85 of the bare work, and at least twice the single loop where there are two processes
or more. The CPU time of both is compared as well: on a machine with other work it is the steadier figure.
"""

from __future__ import annotations

import io
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
from _ingest import cpu_seconds, make_job, options, report, report_ratio, run_worker
from PIL import Image

from digits.storage.records.codec import PNG_OPTIONS

SIZE, SIDE = (500, 375), 256
DISTINCT = 200  # the others are copies: decoding knows no difference
FEW = 48  # more than are encoded in place, so that their job starts the pool too


def main() -> None:
    chosen = options(__doc__, encoding="auto")
    count = 10_000 if chosen.full else 1_000
    with tempfile.TemporaryDirectory(dir=chosen.folder) as temporary:
        root = Path(temporary)
        tree, few = make_photos(root / "photos", count), make_photos(root / "few", FEW)
        paths = sorted(map(str, tree.rglob("*.jpg")))
        rates: dict[str, list[float]] = {"digits": [], "bare": [], "single": []}
        cpu: list[float] = []
        for _ in range(chosen.rounds):
            start, start_cpu = with_cpu(lambda: through_digits(root, few, chosen))
            whole, whole_cpu = with_cpu(lambda: through_digits(root, tree, chosen))
            rates["digits"].append((count - FEW) / (whole - start))
            work, work_cpu = with_cpu(lambda: bare(paths, chosen.processes, chosen.encoding))
            rates["bare"].append(count / work)
            cpu.append(work_cpu / count * (count - FEW) / (whole_cpu - start_cpu))
            rates["single"].append(count / single(paths, root / "out"))
    for name, values in rates.items():
        report(name, values, "photos/s")
    report_ratio("digits / bare", ratios(rates, "bare"), "at least 0.85")
    report_ratio("CPU time, bare / digits", cpu, "at least 0.85")
    report_ratio("digits / single", ratios(rates, "single"), f"at least 2 ({chosen.processes} processes)")


def ratios(rates: dict[str, list[float]], other: str) -> list[float]:
    return [a / b for a, b in zip(rates["digits"], rates[other], strict=True)]


def through_digits(root: Path, tree: Path, chosen: Any) -> float:
    data = {"folder_train": str(tree), "folder_pct_val": 0, "resize_width": SIDE, "resize_height": SIDE, "resize_channels": 3}
    folder = make_job(root / "jobs", "image-classification-folder", data, feature_encoding=chosen.encoding)
    return run_worker(folder, chosen.processes)[0]


def bare(paths: list[str], processes: int, encoding: str) -> float:
    work = convert if encoding == "png" else shrink
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(work, paths[: processes * 4], chunksize=1)
        seconds = timed(lambda: run_pool(pool, work, paths))
        pool.close()
        pool.join()
    return seconds


def with_cpu(work: Callable[[], float]) -> tuple[float, float]:
    """What `work` returns, and the CPU seconds of the processes it started and ended."""
    before = cpu_seconds()
    return work(), cpu_seconds() - before


def run_pool(pool: Pool, work: Callable[[str], int], paths: list[str]) -> None:
    for _ in pool.imap_unordered(work, paths, chunksize=8):
        pass


def single(paths: list[str], out: Path) -> float:
    out.mkdir()
    try:
        return timed(lambda: [(out / f"{n}.png").write_bytes(encoded(path, compress_level=1)) for n, path in enumerate(paths)])
    finally:
        shutil.rmtree(out)


def convert(path: str) -> int:
    return len(encoded(path, **PNG_OPTIONS))


def shrink(path: str) -> int:
    return int(np.asarray(small(path)).nbytes)


def encoded(path: str, **png: int) -> bytes:
    buffer = io.BytesIO()
    small(path).save(buffer, "PNG", **png)
    return buffer.getvalue()


def small(path: str) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)


def timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def make_photos(tree: Path, count: int) -> Path:
    """Two classes of pictures with coarse and fine structure, as JPEG of quality 90 (about 60 kB)."""
    rng = np.random.default_rng(0)
    for label in "ab":
        (tree / label).mkdir(parents=True)
    for number in range(count):
        path = tree / "ab"[number % 2] / f"{number:06d}.jpg"
        if number < DISTINCT:
            photo(rng).save(path, "JPEG", quality=90)
        else:
            shutil.copyfile(tree / "ab"[number % 2] / f"{number % DISTINCT:06d}.jpg", path)
    return tree


def photo(rng: np.random.Generator) -> Image.Image:
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    fine = rng.normal(0, 6, (SIZE[1], SIZE[0], 3))
    return Image.fromarray(np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
