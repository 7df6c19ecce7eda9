"""A data set and a model that a real server made, small enough for tests that need every file of both."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from digits.service import Service
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from tests.conftest import RunningServer, start_server
from tests.journeys.client import Client
from tests.service.finished_dataset import class_folder

NETWORK = """
import torch


def build_network(context):
    channels, height, width = context.input_shape
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(channels * height * width, context.num_classes))
"""


@dataclass(frozen=True)
class Finished:
    """A service on the jobs directory, a data set of 18 pictures and a model of one epoch on it, both done; and the mode of every
    file, folder and socket that there was while the server ran."""

    service: Service
    dataset: Job
    model: Job
    modes: dict[Path, int] = field(default_factory=dict)


@contextmanager
def finished(folder: Path) -> Iterator[Finished]:
    """Let a server and its workers make both below `folder`, where no umask helps; the server stays, for pages ask
    its plugin host."""
    pictures = class_folder(folder / "pictures", 6)
    before = os.umask(0)  # the loosest that there is
    with ExitStack() as stack:
        try:
            server = stack.enter_context(start_server(folder, "-m", "digits", "serve", "--stop-jobs"))
        finally:
            os.umask(before)
        client = Client(server)
        form = {"dataset_name": "gradients", "folder_train": str(pictures), "resize_width": 10, "resize_height": 10}
        dataset = client.json("/datasets/images/classification.json", method="folder", **form)["id"]
        values = {"model_name": "linear", "dataset": dataset, "method": "custom", "custom_network": NETWORK}
        model = client.json("/models/images/classification.json", train_epochs=1, random_seed=1, **values)["id"]
        client.json("/uploads/begin", name="begun")
        client.done(model)
        service = server.service
        yield Finished(service, service.store.get(dataset), service.store.get(model), _modes(server))


def _modes(server: RunningServer) -> dict[Path, int]:
    runtime = read_json(server.service.jobs_dir.hidden / "runtime.json")
    folders = [server.jobs_dir, Path(runtime["directory"])]
    found = [*folders, *(path for folder in folders for path in folder.rglob("*") if not path.is_symlink())]
    return {path: stat.S_IMODE(path.lstat().st_mode) for path in found if path.exists()}
