"""How long /jobs.json takes at the server with 10,000 runs of 50 epochs and 6 metrics: any query, order, filter and page.

python benchmarks/queries.py [--jobs 10000] [--rounds 20]; DIGITS_DATABASE_URL measures another database than SQLite. The promise
is a 95th percentile of 100 ms each; `/index.json` and `/completed_jobs.json` answer within 1 s. On a machine with other work the
CPU time says what an idle one would show.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from flask.testing import FlaskClient
from sqlalchemy import insert

from digits.config import Settings
from digits.domain.jobs import JobRequest, Kind, Resources, UserColumns
from digits.domain.metrics import facts
from digits.service import Service
from digits.service.models.form import ModelForm, form_values
from digits.storage.jobs.store import index_columns, setting_rows
from digits.storage.jobs.tables import JobRow, OutputRow, SettingRow
from digits.web.app import create_app

PROMISE_MS, LIST_PROMISE_MS = 100.0, 1000.0
EPOCHS = 50
METRICS = ("loss", "accuracy", "accuracy_top5")  # each of the training and of the validation
PAGE = 100
COLUMNS = "name,accuracy (val) last,setting.learning_rate"
QUERIES: dict[str, dict[str, Any]] = {
    "newest first": {},
    "page 50": {"offset": 50 * PAGE},
    "best first": {"sort": "-best,name"},
    "best by another metric": {"sort": "-best", "metric": "last.accuracy_top5"},
    "by a metric": {"sort": "-accuracy,name"},
    "by a setting and a metric": {"sort": "learning_rate,-accuracy"},
    "by the data set": {"sort": "dataset,name", "offset": 3000},
    "a metric": {"query": "accuracy>0.9"},
    "two metrics and a setting": {"query": "accuracy>0.5 train.loss<0.5 learning_rate<0.05", "sort": "-best"},
    "a word": {"query": "resnet"},
    "three words": {"query": "resnet mnist 99"},
    "a data set": {"query": "dataset:mnist status:done -network:lenet"},
    "exact words": {"query": '"resnet 99"'},
    "nothing": {"query": "no_such_thing"},
    "one tag": {"query": "tag:paper"},
    "groups": {"by": "group", "sort": "-best"},
    "sweeps": {"by": "sweep", "sort": "-best", "offset": 5000},
    "folded seeds": {"fold": 1, "sort": "-best"},
}


def fill(service: Service, count: int) -> None:
    """Insert finished models as a supervisor would have left them, each with its folder."""
    chance = random.Random(0)
    datasets = [f"20250101-000000-{number:04x}" for number in range(20)]
    rows = {
        "jobs": [dataset_row(job_id, number) for number, job_id in enumerate(datasets)],
        "outputs": list[dict[str, Any]](),
        "settings": list[dict[str, Any]](),
    }
    for number in range(count):
        request, user = make_request(number, chance, chance.choice(datasets))
        service.folder(request.id).create(request, user)
        (service.folder(request.id).path / "snapshots").mkdir(exist_ok=True)
        rows["jobs"].append(job_row(request, user, number, chance))
        rows["outputs"] += [output_row(request.id, name, phase, chance) for name in METRICS for phase in ("train", "val")]
        rows["settings"] += [
            {"job_id": row.job_id, "name": row.name, "number": row.number, "text": row.text} for row in setting_rows(request)
        ]
    with service.store.engine.begin() as connection:
        for model, values in ((JobRow, rows["jobs"]), (OutputRow, rows["outputs"]), (SettingRow, rows["settings"])):
            connection.execute(insert(model), values)
        if service.store.engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")


@contextlib.contextmanager
def unsynced() -> Iterator[None]:
    """Files are written without waiting for the disk: 10,000 folders in seconds."""
    with mock.patch("os.fsync"):
        yield


def dataset_row(job_id: str, number: int) -> dict[str, Any]:
    name = f"{random.Random(number).choice(['mnist', 'flowers', 'bccd'])} {number}"
    return common(job_id, "dataset", 1.0, name) | {"type_name": "Image Classification Dataset"}


def make_request(number: int, chance: random.Random, dataset: str) -> tuple[JobRequest, UserColumns]:
    """What a form would have requested: three seeds of each setting."""
    setting = random.Random(number // 3)
    form = ModelForm.model_validate(
        {
            "model_name": f"{setting.choice(['lenet', 'resnet'])} {number}",
            "dataset": dataset,
            "learning_rate": [setting.choice([0.1, 0.01, 0.001])],
            "batch_size": [setting.choice([16, 32, 64])],
            "random_seed": number,
            "solver_type": setting.choice(["SGD", "ADAM"]),
            "train_epochs": EPOCHS,
        }
    )
    network = setting.choice(["lenet", "resnet18", "resnet50"])
    request = JobRequest(
        id=f"20260101-{number // 10_000:06d}-{number:06x}",
        kind=Kind.MODEL,
        type_name="Image Classification Model",
        task="classification",
        created=1_700_000_000.0 + number,
        form=form_values(form),
        spec={
            "network_name": network,
            "network": "# a text\n" * 60,
            "seed": number,
            "task": "classification",
            "framework": "pytorch",
        },
        resources=Resources("train"),
        columns={"dataset_id": dataset, "network": network, "framework": "pytorch"},
    )
    tags = ("paper",) if number % 50 == 0 else ()
    return request, UserColumns(form.model_name, group=f"group {chance.randrange(20)}", tags=tags)


def common(job_id: str, kind: str, created: float, name: str) -> dict[str, Any]:
    return {
        "id": job_id, "seq": 0, "kind": kind, "task": "classification", "created": created, "name": name, "status": "D",
        "history": [["I", created], ["R", created + 1], ["D", created + 100]], "started": created + 1, "finished": created + 100,
        "progress": 1.0, "index_version": 1, "summary": {}, "tags": [], "group": "", "dataset_id": "", "network": "",
        "framework": "", "best_name": "", "best_better": "", "best_value": None, "best_epoch": None, "sparkline": [],
        "disk_bytes": 1, "sweep": "", "fold": "", "words": "",
    }  # fmt: skip


def job_row(request: JobRequest, user: UserColumns, number: int, chance: random.Random) -> dict[str, Any]:
    return common(request.id, "model", request.created, user.name) | {
        "type_name": request.type_name,
        "seq": number,
        "group": user.group,
        "tags": list(user.tags),
        "best_name": "accuracy",
        "best_better": "higher",
        "best_value": chance.random(),
        "best_epoch": 3.0,
        "sparkline": [float(f"{chance.random():.4g}") for _ in range(EPOCHS)],
        **request.columns,
        **index_columns(request),
    }


def output_row(job_id: str, name: str, phase: str, chance: random.Random) -> dict[str, Any]:
    low, high = sorted((chance.random(), chance.random()))
    kind = "loss" if name == "loss" else "accuracy"
    known = facts(name, kind)
    best = {"higher": high, "lower": low}[known.better]
    values = {"last": low, "min": low, "max": high, "best": best, "min_epoch": 1.0, "max_epoch": 2.0, "best_epoch": 2.0}
    return {"job_id": job_id, "name": name, "phase": phase, "kind": kind, **values, "better": known.better, "unit": known.unit}


def measure(client: FlaskClient, address: str, arguments: dict[str, Any], rounds: int) -> tuple[list[float], list[float], Any]:
    """Milliseconds of each round, from the request to the last byte; those of the CPU in it; and the answer."""
    times, cpu = [], []
    for _ in range(rounds):
        start, start_cpu = time.perf_counter(), time.process_time()
        answer = client.get(address, query_string=arguments)
        body = answer.data
        times.append((time.perf_counter() - start) * 1000)
        cpu.append((time.process_time() - start_cpu) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{address} {arguments}: {body[:300]!r}")
    return times, cpu, json.loads(body)


def percentile(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]


def main() -> None:
    """Print the median and the 95th percentile of each query beside the promise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", help="where the jobs are made, and used again by the next call")
    options = parser.parse_args()
    with contextlib.nullcontext(options.folder) if options.folder else tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            jobs_dir=str(Path(folder) / "jobs"), auth=False, database_url=os.environ.get("DIGITS_DATABASE_URL", "")
        )
        service = Service.open(settings)
        start = time.perf_counter()
        if not service.store.ids():
            with unsynced():
                fill(service, options.jobs)
        client = create_app(service).test_client()
        print(f"{options.jobs} models of {EPOCHS} epochs, a page of {PAGE}; made in {time.perf_counter() - start:.0f} s")
        for name, arguments in QUERIES.items():
            wanted = {"kind": "model", "limit": PAGE, "columns": COLUMNS, **arguments}
            times, cpu, page = measure(client, "/jobs.json", wanted, options.rounds)
            late = percentile(times)
            print(
                f"{name:>26}: median {statistics.median(times):6.1f} ms, p95 {late:6.1f} ms (CPU {statistics.median(cpu):5.1f},"
                f" {percentile(cpu):5.1f}), {page['total']:6} lines,"
                f" ratio to the promise {PROMISE_MS / late:.1f}"
            )
        for address in ("/index.json", "/completed_jobs.json"):
            times, cpu, _ = measure(client, address, {}, 3)
            print(
                f"{address:>26}: first {times[0]:6.0f} ms (CPU {cpu[0]:6.0f}), then {statistics.median(times[1:]):6.0f} ms"
                f" (CPU {statistics.median(cpu[1:]):6.0f}),"
                f" ratio to the promise {LIST_PROMISE_MS / times[0]:.1f}"
            )
        service.close()


if __name__ == "__main__":
    main()
