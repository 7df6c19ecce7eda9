"""Pictures and jobs for the tests of ingest."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits.domain.datasets import DatasetInfo, DatasetSpec
from digits.domain.events import Event
from digits.domain.jobs import JobRequest, Kind, Resources, UserColumns, new_job_id
from digits.extensions import loader
from digits.extensions.data.source import ROOTS, with_roots
from digits.ingest.pipeline import IngestContext, ingest
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.records.open import open_records
from digits.storage.records.reader import RecordReader
from digits.utils.confinement import EVERYWHERE

FOLDER, TEXTFILE = "image-classification-folder", "image-classification-textfile"


def picture(seed: int, size: tuple[int, int] = (12, 10), mode: str = "RGB") -> Image.Image:
    """A random picture of (width, height)."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


def class_folder(root: Path, classes: dict[str, int], suffix: str = "png", first_seed: int = 0) -> Path:
    """One sub-folder per class with so many different pictures."""
    seed = first_seed
    for name, count in classes.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture(seed).save(root / name / f"{number:03d}.{suffix}")
            seed += 1
    return root


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


@dataclass
class Run:
    """A finished ingest."""

    folder: JobFolder
    info: DatasetInfo
    events: list[Event] = field(default_factory=list)

    def reader(self, split: str = "train") -> RecordReader:
        return open_records(self.folder.path / f"{split}_db")

    def lines(self, name: str) -> list[str]:
        return (self.folder.path / name).read_text().splitlines()

    def problems(self) -> list[dict[str, Any]]:
        import json

        return [json.loads(line) for line in self.folder.problems_file.read_text().splitlines()]

    def entries(self) -> dict[str, int]:
        return {name.removesuffix("_db"): split.entries for name, split in self.info.splits.items()}


def make_job(jobs: Path, extension: str, data: dict[str, Any], **spec: Any) -> JobFolder:
    """The folder of a job that asks for a data set."""
    jobs_dir = JobsDir(jobs)
    jobs_dir.prepare()
    folder = jobs_dir.folder(new_job_id())
    cls = loader.get("data", extension).cls
    data = with_roots(cls, data, data.get(ROOTS, EVERYWHERE))
    request = JobRequest(
        id=folder.id,
        kind=Kind.DATASET,
        type_name="Image Classification Dataset",
        task="classification",
        created=time.time(),
        form={},
        spec=DatasetSpec(extension=extension, extension_data=data, **spec).to_json(),
        resources=Resources("create_db"),
    )
    folder.create(request, UserColumns(name="test"))
    return folder


def run_job(folder: JobFolder, *, workers: int = 1, should_stop: Callable[[], bool] = lambda: False) -> Run:
    """Do the job in this process."""
    events: list[Event] = []
    context = IngestContext(
        emit=events.append,
        should_stop=should_stop,
        retry_when_disk_full=lambda work: work(),
        workers=workers,
        give_up=lambda error: None,
    )
    info = ingest(folder, DatasetSpec.from_json(folder.spec()), context)
    return Run(folder, info, events)


def make(tmp_path: Path, extension: str = FOLDER, spec: dict[str, Any] | None = None, **data: Any) -> Run:
    """Make a data set of small grey or colour pictures from form values."""
    values = {"resize_width": 10, "resize_height": 8, "resize_channels": 3, **data}
    return run_job(make_job(tmp_path / "jobs", extension, values, **(spec or {})))
