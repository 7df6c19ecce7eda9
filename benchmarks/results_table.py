"""How long a page of the results table takes with 10,000 jobs: sorted, filtered, by an output; the promise is 100 ms each.

python benchmarks/results_table.py [--jobs 10000] [--rounds 20]
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.orm import Session

from digits.config import Settings
from digits.service import Service
from digits.service.rows import rows
from digits.storage.jobs.store import JobQuery
from digits.storage.jobs.tables import JobRow, OutputRow

PROMISE_MS = 100.0
PAGE = 100
QUERIES = {
    "newest first": JobQuery(kind="model", limit=PAGE),
    "page 50": JobQuery(kind="model", offset=50 * PAGE, limit=PAGE),
    "best first": JobQuery(kind="model", sort="best_value", limit=PAGE),
    "by an output": JobQuery(kind="model", sort="output:accuracy:val:max", limit=PAGE),
    "text in names": JobQuery(kind="model", text="resnet 99", limit=PAGE),
    "one group": JobQuery(kind="model", group="group 7", limit=PAGE),
}


def fill(service: Service, count: int) -> None:
    """Insert finished models with two outputs each."""
    chance = random.Random(0)
    jobs = [_job(number, chance) for number in range(count)]
    outputs = [
        _output(job["id"], name, phase, chance) for job in jobs for name in ("loss", "accuracy") for phase in ("train", "val")
    ]
    with Session(service.store.engine) as session, session.begin():
        session.execute(insert(JobRow), jobs)
        session.execute(insert(OutputRow), outputs)


def _job(number: int, chance: random.Random) -> dict:
    created = 1_700_000_000.0 + number
    return {
        "id": f"20260101-{number // 10_000:06d}-{number:06x}",
        "seq": number,
        "kind": "model",
        "type_name": "Image Classification Model",
        "task": "classification",
        "network": chance.choice(["lenet", "resnet18", "resnet50"]),
        "created": created,
        "started": created + 1,
        "finished": created + 100,
        "name": f"{chance.choice(['lenet', 'resnet'])} {number}",
        "group": f"group {chance.randrange(20)}",
        "status": "D",
        "history": [["I", created], ["R", created + 1], ["D", created + 100]],
        "progress": 1.0,
        "best_name": "accuracy",
        "best_value": chance.random(),
        "sparkline": [chance.random() for _ in range(60)],
        "disk_bytes": chance.randrange(10**9),
    }


def _output(job_id: str, name: str, phase: str, chance: random.Random) -> dict:
    low, high = sorted((chance.random(), chance.random()))
    kind = "loss" if name == "loss" else "accuracy"
    return {"job_id": job_id, "name": name, "phase": phase, "kind": kind, "last": low, "min": low, "max": high}


def measure(service: Service, query: JobQuery, rounds: int) -> list[float]:
    """Milliseconds of each round: the page from the database as the rows that are sent."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        page = service.store.query(query)
        rows(service, page.jobs)
        times.append((time.perf_counter() - start) * 1000)
    return times


def main() -> None:
    """Print the median and the spread of each query beside the promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service.open(Settings(jobs_dir=str(Path(folder) / "jobs")))
        fill(service, options.jobs)
        print(f"{options.jobs} models, a page of {PAGE}, {options.rounds} rounds")
        for name, query in QUERIES.items():
            times = measure(service, query, options.rounds)
            median = statistics.median(times)
            spread = f"{min(times):.1f} to {max(times):.1f}"
            print(f"{name:>14}: median {median:6.1f} ms ({spread}), ratio to the promise {PROMISE_MS / median:.1f}")
        service.close()


if __name__ == "__main__":
    main()
