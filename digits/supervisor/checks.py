"""Network texts built once in a process of their own, for the editor: the text may loop, crash or print without end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, Conflict, StorageError
from digits.storage.files import read_json
from digits.supervisor.children import Child
from digits.supervisor.control import Answer, Later
from digits.supervisor.endings import exit_words

CHECK_COMMAND = (sys.executable, "-P", "-m", "digits.worker.network_check")
CHECK_SECONDS = 90.0
AT_ONCE = 2


@dataclass
class _Check:
    child: Child
    out: Path
    stdin: Path
    deadline: float


class NetworkChecks:
    """The control operation `check-network`. `directory` is for the files between the processes."""

    def __init__(self, directory: Path, command: Sequence[str] = CHECK_COMMAND, seconds: float = CHECK_SECONDS) -> None:
        self.directory = directory
        self.command = tuple(command)
        self.seconds = seconds
        self.running: list[_Check] = []
        self._number = 0

    def request(self, request: Mapping[str, Any]) -> Answer | Later:
        """`{"framework", "text", "context"}` becomes `{"report": …}` or `{"problem": words}`."""
        if not isinstance(request.get("text"), str) or not isinstance(request.get("context"), dict):
            raise BadRequest("check-network needs `text` and `context`.")
        if len(self.running) >= AT_ONCE:
            raise Conflict("Other network texts are being checked.", advice="Try again in a moment.")
        check = self._start(request)
        self.running.append(check)
        return lambda: self._answer(check)

    def stop(self) -> None:
        """End all."""
        for check in list(self.running):
            self._end(check)

    def _start(self, request: Mapping[str, Any]) -> _Check:
        self._number += 1
        out = self.directory / f"check{self._number}.json"
        stdin = out.with_suffix(".in")
        stdin.write_text(json.dumps({"text": request["text"], "context": request["context"]}))
        arguments = ["--framework", str(request.get("framework") or "pytorch"), "--out", str(out)]
        child = Child([*self.command, *arguments], {"CUDA_VISIBLE_DEVICES": ""}, stdin=stdin, log=Path("/dev/null"))
        return _Check(child, out, stdin, time.monotonic() + self.seconds)

    def _answer(self, check: _Check) -> Answer | None:
        if check.child.is_running():
            if time.monotonic() < check.deadline:
                return None
            self._end(check)
            return {"problem": f"Building the network took longer than {self.seconds:g} s; is there an endless loop in the text?"}
        answer = self._read(check)
        self._end(check)
        return answer

    def _read(self, check: _Check) -> Answer:
        try:
            return dict(read_json(check.out))
        except StorageError:
            words = exit_words(check.child.process.returncode)
            return {"problem": f"The process that built the network did not finish: {words}."}

    def _end(self, check: _Check) -> None:
        if check in self.running:
            self.running.remove(check)
        check.child.stop(0 if check.child.is_running() else 1)
        for path in (check.out, check.stdin):
            path.unlink(missing_ok=True)
