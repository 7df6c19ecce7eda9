"""A server's service and pages whose predictors are threads of this process, with pretrained models that were never trained."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flask import Flask
from flask.testing import FlaskClient

from digits.config import Settings
from digits.domain.jobs import Status
from digits.ipc import message_server
from digits.ipc import supervisor_client as control
from digits.predictor import server
from digits.predictor.model import LoadedModel
from digits.service import Service
from digits.service.models.pretrained_form import from_files
from digits.storage.jobs.store import Job
from digits.web.app import create_app
from digits.worker import embedding
from digits.worker.runtime import WorkerContext
from tests.conftest import TEMPLATES, USER
from tests.service.finished_dataset import class_folder, finished_dataset, gradient
from tests.service.models.test_pretrained import work

SIDE = 12


@dataclass
class World:
    """The service, a client, and a data set of three classes with nine pictures in each split."""

    service: Service
    app: Flask
    client: FlaskClient
    folder: Path
    dataset: Job

    def pretrained(self, name: str, text: str, weights: dict[str, torch.Tensor]) -> Job:
        """A pretrained model of two classes, of which the data set has the first."""
        torch.save(weights, self.folder / "w.pth")
        (self.folder / "network.py").write_text(text)
        (self.folder / "labels.txt").write_text("red-to-right\nsomething else\n")
        files = {"weights_file": "w.pth", "model_def_file": "network.py", "labels_file": "labels.txt"}
        sent = {key: str(self.folder / file) for key, file in files.items()}
        job = from_files(self.service, {"job_name": name, "width": SIDE, "height": SIDE, "image_type": "3", **sent}, USER)
        work(self.service, job)
        return self.done(job.id)

    def embed(self, job_id: str) -> None:
        """Do the job of an embedding as its worker does."""
        folder = self.service.folder(job_id)
        context = WorkerContext(folder, self.service.jobs_dir, folder.request(), 1, 1, (), 60)
        try:
            embedding.run(context)
        finally:
            context.writer.close()
        self.done(job_id)

    def done(self, job_id: str) -> Job:
        for state in (Status.WAIT, Status.RUN, Status.DONE):
            job = self.service.store.transition(job_id, state)
        return job


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    """A world in a folder."""
    dirs = os.pathsep.join([str(folder), "/tmp"])
    service = Service.open(Settings(jobs_dir=str(folder / "jobs"), auth=False, data_dirs=dirs))
    sockets, threads, stop = dict[tuple[str, str], Path](), [], threading.Event()

    def supervisor(_jobs_dir: Any, request: dict[str, str], _timeout: float = 0) -> dict[str, str]:
        key = request["model_id"], request["snapshot"]
        if key not in sockets:
            path = sockets[key] = folder / f"{len(sockets)}.sock"
            loaded = LoadedModel.open(service.folder(key[0]), key[1], "cpu")
            threads.append(threading.Thread(target=server.serve, args=(loaded, path, stop, service.jobs_dir.scratch)))
            threads[-1].start()
            while not path.exists():
                time.sleep(0.005)
        return {"socket": str(sockets[key])}

    app = create_app(service)
    app.jinja_env.bytecode_cache = TEMPLATES
    client = app.test_client()
    assert client.post("/login", data={"username": USER}).status_code == 302
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_server, "ACCEPT_SECONDS", 0.02)
        patch.setattr(control, "call", supervisor)
        pictures = np.stack([gradient(n % 3, n).transpose(2, 0, 1) for n in range(9)])
        labels = np.arange(9) % 3
        dataset = finished_dataset(
            service,
            class_folder(folder / "pictures", 2),
            dict.fromkeys(("train_db", "val_db"), pictures),
            dict.fromkeys(("train_db", "val_db"), labels),
        )
        yield World(service, app, client, folder, dataset)
        stop.set()
        for thread in threads:
            thread.join(10)
    service.close()
