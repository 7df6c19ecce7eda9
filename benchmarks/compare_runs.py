"""How long a comparison of many long trainings takes: 50 runs of 10,000 reports each, answered by the server.

    python benchmarks/compare_runs.py [--runs 50] [--points 10000]

Makes the runs in a temporary jobs directory, then asks for the comparison as a page does.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

from digits.config import Settings
from digits.domain.events import AttemptEvent, MetricEvent, to_line
from digits.domain.jobs import Kind, Resources, Status
from digits.service import Service
from digits.service.jobs import create_job
from digits.service.models.comparison import comparison
from digits.storage.event_lines import keep_shown
from digits.web.app import create_app


def make_run(service: Service, number: int, points: int) -> str:
    """A model that reported so many training values, and a validation every hundredth step, at most a thousand."""
    job = create_job(
        service,
        kind=Kind.MODEL,
        task="classification",
        type_name="Image Classification Model",
        name=f"run {number}",
        form={"learning_rate": [0.001 * (number + 1)], "train_epochs": 30},
        spec={"seed": number, "epochs": 30, "dataset_id": "none", "task": "classification"},
        resources=Resources("gpu"),
    )
    lines = [to_line(AttemptEvent(attempt=1))]
    kinds = {"loss": "loss", "accuracy": "accuracy"}
    for step in range(1, points + 1):
        loss = math.exp(-step / points) + 0.01 * ((step * 7919) % 13)
        epoch = 30 * step / points
        train, val = {"loss": loss}, {"loss": loss, "accuracy": 1 - loss / 2}
        lines.append(to_line(MetricEvent(step=step, epoch=epoch, phase="train", values=train, kinds=kinds, attempt=1)))
        if step % max(100, points // 1000) == 0:
            lines.append(to_line(MetricEvent(step=step, epoch=epoch, phase="val", values=val, kinds=kinds, attempt=1)))
    service.folder(job.id).events_file.write_text("\n".join(lines) + "\n")
    service.store.transition(job.id, Status.RUN)
    service.store.transition(job.id, Status.DONE)
    keep_shown(service.folder(job.id).events_file)  # as the supervisor does when a job ends
    return job.id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--points", type=int, default=10_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service.open(Settings(jobs_dir=str(Path(folder) / "jobs"), auth=False))
        ids = [make_run(service, number, arguments.points) for number in range(arguments.runs)]
        jobs = [service.store.get(job_id) for job_id in ids]
        for name in ("first", "second"):
            began, used = time.perf_counter(), time.process_time()
            comparison(service, jobs)
            wall, cpu = time.perf_counter() - began, time.process_time() - used
            print(f"{name} comparison of {arguments.runs} runs: {wall:.2f} s, {cpu:.2f} s of a core")
        client = create_app(service).test_client()
        began = time.perf_counter()
        answer = client.get(f"/compare.json?ids={','.join(ids)}")
        print(f"/compare.json: {time.perf_counter() - began:.2f} s, {len(answer.data) / 1e6:.1f} MB")
        service.close()


if __name__ == "__main__":
    main()
