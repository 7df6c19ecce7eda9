"""Pictures a second of an evaluation over many small files, against the bare loop: decode, stack, forward in batches.

python benchmarks/classify_many.py [--pictures 10000] [--rounds 5]

The promise is about the work itself (reading to result); what a job costs beside it, starting a process and importing PyTorch,
is printed too. Promised: at least 0.9 of the bare loop.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from _inference import BareModel, Server, get, post, serving, spread, write_pictures

PROMISE = 0.9
BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="five times the pictures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        pictures = write_pictures(root / "new", options.pictures * (5 if options.full else 1))
        with serving(root) as server:
            compare(server, root / "new", pictures, options.rounds)


def compare(server: Server, folder: Path, pictures: list[Path], rounds: int) -> None:
    """Alternate both ways over all pictures and print rates and their ratio."""
    bare = BareModel(server)
    ours, whole, theirs = [], [], []
    for _ in range(rounds):
        theirs.append(len(pictures) / bare_seconds(bare, pictures))
        work, job = evaluation_seconds(server, folder)
        ours.append(len(pictures) / work)
        whole.append(job)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    print(f"evaluation {spread(ours, ' pictures/s', 0)}; the whole job takes {spread(whole, ' s')}")
    print(f"bare loop  {spread(theirs, ' pictures/s', 0)}")
    kept = "kept" if statistics.median(ratios) >= PROMISE else "BROKEN"
    print(f"ratio {spread(ratios)}, promised at least {PROMISE:g}: {kept}")


def bare_seconds(bare: BareModel, pictures: list[Path]) -> float:
    started = time.perf_counter()
    for start in range(0, len(pictures), BATCH):
        bare(pictures[start : start + BATCH])
    return time.perf_counter() - started


def evaluation_seconds(server: Server, folder: Path) -> tuple[float, float]:
    """Seconds of the work and of the whole job."""
    fields = {"job_id": server.model, "image_folder": folder, "keep": 1}
    started = time.perf_counter()
    job = post(f"{server.address}/models/images/classification/classify_many.json", fields)["job_id"]
    seconds = time.perf_counter() - started
    return float(get(f"{server.address}/evaluations/{job}.json")["result"]["seconds"]), seconds


if __name__ == "__main__":
    main()
