"""One of the further processes of a data-parallel training: reads the run from stdin, trains along, says on a pipe how it fares.

What it says is described in `ranks`, which started it. It ends when stdin does, for then rank 0 has; requests to stop are for
rank 0 alone, which agrees with the others on the step.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from digits.domain.datasets import TRAIN_DB, VAL_DB
from digits.domain.training import TrainingSpec
from digits.engines.activity import Motion, activity_of
from digits.engines.base import TrainingRun
from digits.engines.imports import import_for_good
from digits.engines.network.python_layers import layer_file, use
from digits.errors import JobStopped, ProcessLost
from digits.storage.folders import JobFolder
from digits.storage.records.open import find_split, open_split
from digits.utils.processes import die_with_parent, leave_stopping_to_parent

import_for_good("digits.engines.pytorch.train")

import torch.distributed as dist  # noqa: E402 - with all that it brings it has just been imported for good

from digits.engines.pytorch.devices import EXCHANGE_TIMEOUT, world_size  # noqa: E402
from digits.engines.pytorch.ranks import BEAT_SECONDS, HOST, pack_error  # noqa: E402
from digits.engines.pytorch.train import train_rank  # noqa: E402


def main(argv: list[str]) -> int:
    die_with_parent()
    leave_stopping_to_parent()
    speaker = Speaker(int(argv[0]))
    value = json.loads(_first_line())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        run = run_from(value)
        use(layer_file(run.folder, run.spec.python_layers))
        speaker.motion = run.motion
        store = dist.TCPStore(HOST, int(os.environ["MASTER_PORT"]), world_size(run), is_master=False, timeout=EXCHANGE_TIMEOUT)
        speaker.say(ready=True)
        train_rank(run, store)
    except JobStopped:
        pass
    except Exception as error:  # whatever a network text throws: rank 0 ends the job with it
        speaker.say(time=time.monotonic(), secondary=isinstance(error, ProcessLost), error=pack_error(error))
        traceback.print_exc()
        return 1
    speaker.say(done=True)
    return 0


class Speaker:
    """The writing end of the pipe to rank 0: JSON, one line each; now and then a sign of life, with what this process is doing,
    from a thread of its own."""

    motion: Motion | None = None

    def __init__(self, pipe: int) -> None:
        self._pipe, self._lock = open(pipe, "wb", buffering=0), threading.Lock()  # noqa: SIM115 - until the process ends
        threading.Thread(target=self._beat, daemon=True).start()

    def say(self, **words: Any) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            self._pipe.write(json.dumps(words).encode() + b"\n")

    def _beat(self) -> None:
        while True:
            self.say(**asdict(activity_of(self.motion)) if self.motion is not None else {})
            time.sleep(BEAT_SECONDS)


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
        more_weights=tuple(map(Path, value["more_weights"])),
    )


def _first_line() -> bytes:
    """Of stdin, which stays open. Read without Python's buffer: a thread that waits in there cannot be left behind."""
    line = b""
    while not line.endswith(b"\n"):
        line += os.read(0, 1 << 16) or b"\n"
    return line


def _end_with_stdin() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
