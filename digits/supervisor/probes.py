"""Short work for the form of a new model in a process of its own: network texts built once, augmentations tried on pictures.

A text may loop, crash or print without end; the supervisor waits for none of it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, Conflict, StorageError
from digits.ipc.supervisor_server import Answer, Later
from digits.storage.files import read_json
from digits.supervisor.child_processes import ChildProcess
from digits.supervisor.outcomes import exit_words

CHECK_COMMAND = (sys.executable, "-P", "-m", "digits.worker.probes.network_check")
PREVIEW_COMMAND = (sys.executable, "-P", "-m", "digits.worker.probes.augmentation_preview")
CHECK_SECONDS = 90.0
AT_ONCE = 2


@dataclass
class _Probe:
    child: ChildProcess
    out: Path
    stdin: Path
    deadline: float


class NetworkChecks:
    """The control operation `check-network`. `directory` is for the files between the processes."""

    name = "check"
    fields: tuple[str, ...] = ("text", "context")
    busy = "Other network texts are being checked."
    late = "Building the network took longer than {seconds:g} s; is there an endless loop in the text?"
    failed = "The process that built the network did not finish: {words}."

    def __init__(self, directory: Path, command: Sequence[str] = CHECK_COMMAND, seconds: float = CHECK_SECONDS) -> None:
        self.directory = directory
        self.command = tuple(command)
        self.seconds = seconds
        self.running: list[_Probe] = []
        self._number = 0

    def request(self, request: Mapping[str, Any]) -> Answer | Later:
        """`{"framework", "text", "context"}` becomes `{"report": …}` or `{"problem": words}`."""
        if not all(name in request for name in self.fields):
            raise BadRequest(f"{request.get('op')} needs {', '.join(f'`{name}`' for name in self.fields)}.")
        if len(self.running) >= AT_ONCE:
            raise Conflict(self.busy, advice="Try again in a moment.")
        check = self._start(request)
        self.running.append(check)
        return lambda: self._answer(check)

    def stop(self) -> None:
        """End all."""
        for check in list(self.running):
            self._end(check)

    def _start(self, request: Mapping[str, Any]) -> _Probe:
        self._number += 1
        out = self.directory / f"{self.name}{self._number}.json"
        stdin = out.with_suffix(".in")
        stdin.write_text(json.dumps({name: request[name] for name in self.fields}))
        child = ChildProcess(
            [*self.command, *self.arguments(request), "--out", str(out)],
            {"CUDA_VISIBLE_DEVICES": ""},
            stdin=stdin,
            log=Path("/dev/null"),
        )
        return _Probe(child, out, stdin, time.monotonic() + self.seconds)

    def arguments(self, request: Mapping[str, Any]) -> list[str]:
        """Of the command, beside `--out`."""
        return ["--framework", str(request.get("framework") or "pytorch")]

    def _answer(self, check: _Probe) -> Answer | None:
        if check.child.is_running():
            if time.monotonic() < check.deadline:
                return None
            self._end(check)
            return {"problem": self.late.format(seconds=self.seconds)}
        answer = self._read(check)
        self._end(check)
        return answer

    def _read(self, check: _Probe) -> Answer:
        try:
            return dict(read_json(check.out))
        except StorageError:
            words = exit_words(check.child.process.returncode)
            return {"problem": self.failed.format(words=words)}

    def _end(self, check: _Probe) -> None:
        if check in self.running:
            self.running.remove(check)
        check.child.stop(0 if check.child.is_running() else 1)
        for path in (check.out, check.stdin):
            path.unlink(missing_ok=True)


class AugmentationPreviews(NetworkChecks):
    """The control operation `preview-augmentation`: `{"folder", "augmentation", …}` becomes `{"samples"}` or `{"problem"}`."""

    name = "preview"
    fields = ("folder", "augmentation", "crop_size", "epoch")
    busy = "Other augmentations are being previewed."
    late = "The preview took longer than {seconds:g} s."
    failed = "The process that made the preview did not finish: {words}."

    def __init__(self, directory: Path, command: Sequence[str] = PREVIEW_COMMAND, seconds: float = CHECK_SECONDS) -> None:
        super().__init__(directory, command, seconds)

    def arguments(self, request: Mapping[str, Any]) -> list[str]:
        return []
