"""One of the further processes of a data-parallel training: reads the run from stdin, trains along, reports nothing."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from digits.domain.datasets import TRAIN_DB, VAL_DB
from digits.domain.training import TrainingSpec
from digits.engines.base import TrainingRun
from digits.engines.pytorch.train import train_rank
from digits.errors import JobStopped
from digits.storage.folders import JobFolder
from digits.storage.records.open import find_split, open_split

PARENT_POLL_SECONDS = 1.0


def main() -> int:
    value = json.load(sys.stdin)
    threading.Thread(target=_end_with, args=(value["parent"],), daemon=True).start()
    try:
        train_rank(run_from(value))
    except JobStopped:
        return 0
    return 0


def run_from(value: dict[str, Any]) -> TrainingRun:
    """The run of a description, with readers of its own and no events."""
    folder = Path(value["dataset_folder"])
    info = JobFolder(folder).dataset_info()
    return TrainingRun(
        spec=TrainingSpec.from_json(value["spec"]),
        folder=Path(value["folder"]),
        dataset_folder=folder,
        info=info,
        train=open_split(folder, TRAIN_DB, info),
        val=find_split(folder, VAL_DB, info),
        emit=lambda event: 0,
        devices=tuple(value["devices"]),
        threads=value["threads"],
        checkpoint_seconds=value["checkpoint_seconds"],
        start_weights=Path(value["start_weights"]) if value["start_weights"] else None,
        processes=value["processes"],
    )


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
