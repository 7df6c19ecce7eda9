"""A data set of real handwritten digits that comes with digits, and LeNet trained on it: made the ordinary way, offline."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.service.datasets.classification import create_classification_dataset
from digits.service.models.create import create_models
from digits.storage.files import atomic
from digits.storage.jobs.store import Job, JobQuery

NAME = "Handwritten digits (demo)"
EPOCHS = 10
# "Optical Recognition of Handwritten Digits", the test part: 1,797 pictures of 8 × 8 pixels in 17 grey levels. E. Alpaydin and
# C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0. Arrays `images` uint8
# (1797, 8, 8), 0 to 16, and `labels` uint8 (1797,), in the order of the original.
PICTURES = Path(__file__).parent / "optical_digits.npz"
LEVELS = 16
_ONE_AT_A_TIME = threading.Lock()  # two clicks make one demo


def make_jobs(service: Service, owner: str = "") -> Job:
    """The demo's model: the one that is there, else a new one, on a data set that is made where there is none."""
    with _ONE_AT_A_TIME:
        found = _existing(service, Kind.MODEL)
        if found is not None:
            return found
        pictures = write_pictures(service.jobs_dir.uploads / "demo-digits")
        form = {"folder_train": str(pictures), "resize_width": 28, "resize_height": 28, "resize_channels": 1}
        dataset = _existing(service, Kind.DATASET)
        dataset = dataset or create_classification_dataset(service, {"dataset_name": NAME, **form}, owner)
        wanted = {"model_name": f"LeNet on {NAME.lower()}", "dataset": dataset.id, "standard_networks": "lenet"}
        solver = {"train_epochs": EPOCHS, "batch_size": 64, "random_seed": 1, "lr_policy": "step"}
        return create_models(service, "classification", {**wanted, **solver, "method": "standard"}, owner)[0]


def write_pictures(folder: Path) -> Path:
    """Write the 1,797 digits as PNG files, one sub-folder per class; a folder that is whole already is left as it is."""
    import numpy as np
    from PIL import Image

    marker = folder / "complete"
    pictures = folder / "pictures"
    if marker.exists():
        return pictures
    shutil.rmtree(folder, ignore_errors=True)
    with np.load(PICTURES, allow_pickle=False) as data:
        images, labels = data["images"], data["labels"]
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        target = pictures / str(label)
        target.mkdir(parents=True, exist_ok=True)
        grey = np.round(image * (255 / LEVELS)).astype(np.uint8)
        Image.fromarray(grey).save(target / f"{index:04d}.png")
    with atomic(marker) as handle:
        handle.write(b"1797\n")
    return pictures


def _existing(service: Service, kind: Kind) -> Job | None:
    usable = (Status.INIT, Status.WAIT, Status.RUN, Status.DONE)
    found = service.store.query(JobQuery(kind=kind, text=NAME)).jobs
    return next((job for job in found if job.status in usable), None)
