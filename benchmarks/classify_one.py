"""How long one picture takes over HTTP when the model is warm, against the bare forward of that picture in this process.

python benchmarks/classify_one.py [--rounds 200]

Promised: the median request takes at most 30 ms longer.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _inference import BareModel, Server, post, serving, spread, write_pictures

PROMISE_MS = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--full", action="store_true", help="five times the rounds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        with serving(root) as server:
            compare(server, write_pictures(root / "new", 20), options.rounds * (5 if options.full else 1))


def compare(server: Server, pictures: list[Path], rounds: int) -> None:
    """Alternate both ways over the pictures and print the medians."""
    bare = BareModel(server)
    address = f"{server.address}/models/images/classification/classify_one.json"
    fields = {"job_id": server.model}
    started = time.perf_counter()
    post(address, fields, {"image_file": pictures[0]})
    print(f"first request, which loads the model: {time.perf_counter() - started:.2f} s")
    ours, theirs = [], []
    for number in range(rounds):
        picture = pictures[number % len(pictures)]
        theirs.append(milliseconds(bare, [picture]))
        ours.append(milliseconds(post, address, fields, {"image_file": picture}))
    extra = statistics.median(ours) - statistics.median(theirs)
    print(f"over HTTP    {spread(ours, ' ms')}")
    print(f"bare forward {spread(theirs, ' ms')}")
    kept = "kept" if extra <= PROMISE_MS else "BROKEN"
    print(f"difference of the medians {extra:.2f} ms, promised at most {PROMISE_MS:g} ms: {kept}")


def milliseconds(work: Callable[..., Any], *arguments: Any) -> float:
    started = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
