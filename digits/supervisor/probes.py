"""Short work for the form of a new model in a process of its own: network texts built once, augmentations tried on pictures.

A text may loop, crash or print without end; the supervisor waits for none of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, Conflict, StorageError
from digits.frameworks import DEFAULT
from digits.ipc.supervisor_server import Answer, Later
from digits.storage.files import read_json
from digits.supervisor.process_pool import PooledProcess, ProcessPool, end_words

NETWORK_COMMAND = (sys.executable, "-P", "-m", "digits.worker.probes.network_check")
PREVIEW_COMMAND = (sys.executable, "-P", "-m", "digits.worker.probes.augmentation_preview")
PROBE_SECONDS = 90.0
AT_ONCE = 2


class Probes:
    """Processes that read a request from their input, write the answer to a file and end."""

    name: str
    title: str
    fields: tuple[str, ...]  # of a request that go into the process' input
    more: tuple[str, ...] = ()  # those that may be missing
    busy: str
    late: str
    failed: str

    def __init__(self, directory: Path, command: Sequence[str], seconds: float = PROBE_SECONDS) -> None:
        self.command = tuple(command)
        self.seconds = seconds
        idle = 2 * seconds  # `_answer` sees it first
        self.pool: ProcessPool[Path] = ProcessPool(directory, self.name, AT_ONCE, idle, seconds, self.title)

    def request(self, request: Mapping[str, Any]) -> Answer | Later:
        """A control operation: what the process answers, or `{"problem": words}`."""
        if not all(name in request for name in self.fields):
            raise BadRequest(f"{request.get('op')} needs {', '.join(f'`{name}`' for name in self.fields)}.")
        if len(self.pool.running) >= AT_ONCE:
            raise Conflict(self.busy, advice="Try again in a moment.")
        process = self._start(request)
        return lambda: self._answer(process)

    def arguments(self, request: Mapping[str, Any]) -> list[str]:
        """Of the command, beside `--out`."""
        return []

    def _start(self, request: Mapping[str, Any]) -> PooledProcess:
        base = self.pool.next_base()
        stdin = base.with_suffix(".in")
        stdin.write_text(json.dumps({name: request.get(name) for name in (*self.fields, *self.more)}))
        command = [*self.command, *self.arguments(request), "--out", f"{base}.json"]
        nowhere = Path("/dev/null")  # a text may print without end
        return self.pool.start(base, command, {"CUDA_VISIBLE_DEVICES": ""}, base=base, stdin=stdin, log=nowhere)

    def _answer(self, process: PooledProcess) -> Answer | None:
        if process.child.is_running() and not self.pool.is_late(process):
            return None
        answer = {"problem": self.late.format(seconds=self.seconds)} if process.child.is_running() else self._read(process)
        if process.base in self.pool.running:
            self.pool.drop(process.base)
        return answer

    def _read(self, process: PooledProcess) -> Answer:
        try:
            return dict(read_json(process.base.with_suffix(".json")))
        except StorageError:
            return {"problem": self.failed.format(words=end_words(process))}


class NetworkChecks(Probes):
    """The control operation `check-network`: `{"framework", "text", "contexts", "layers"}` → `{"report"}` or `{"problem"}`."""

    name = "check"
    title = "check of a network"
    fields = ("text", "contexts")
    more = ("layers",)
    busy = "Other network texts are being checked."
    late = "Building the network took longer than {seconds:g} s; is there an endless loop in the text?"
    failed = "The process that built the network did not finish: {words}."

    def __init__(self, directory: Path, command: Sequence[str] = NETWORK_COMMAND, seconds: float = PROBE_SECONDS) -> None:
        super().__init__(directory, command, seconds)

    def arguments(self, request: Mapping[str, Any]) -> list[str]:
        return ["--framework", str(request.get("framework") or DEFAULT)]


class AugmentationPreviews(Probes):
    """The control operation `preview-augmentation`: `{"folder", "augmentation", …}` becomes `{"samples"}` or `{"problem"}`."""

    name = "preview"
    title = "preview of an augmentation"
    fields = ("folder", "augmentation", "crop_size", "epoch")
    busy = "Other augmentations are being previewed."
    late = "The preview took longer than {seconds:g} s."
    failed = "The process that made the preview did not finish: {words}."

    def __init__(self, directory: Path, command: Sequence[str] = PREVIEW_COMMAND, seconds: float = PROBE_SECONDS) -> None:
        super().__init__(directory, command, seconds)
