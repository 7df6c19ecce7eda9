"""Processes that live and die with the supervisor: the web server, the plugin host, predictors.

Holds: they are started by the main thread and get SIGKILL from the kernel when it dies, whatever killed it. Each leads a
process group of its own, so that Ctrl-C on the terminal reaches the supervisor alone, which then ends them in order.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from digits.errors import ConfigError
from digits.supervisor.local_executor import BRIEF_SPINS, package_path
from digits.utils.processes import ProcessIdentity, death_signal_setter, exit_words, signal_group

logger = logging.getLogger(__name__)

STOP_SECONDS = 5.0  # after SIGTERM, before SIGKILL
RESTART_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)  # pauses between starts that fail in a row
SETTLED_SECONDS = 3.0  # who was ready and lived so long is started again without a long pause
STEADY_SECONDS = 60.0  # who lived so long starts afresh in that row


def _never_asked() -> bool:
    return True


@dataclass(frozen=True)
class ServiceSpec:
    """A process to keep alive. `{runtime}` in `argv` and `env` becomes the private folder for sockets.

    `ready()` says (cheaply; asked at each tick) whether it can be used. When an `essential` service ends so often that the
    pauses are used up without ever having been ready, the server ends with an error.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = _never_asked
    essential: bool = False
    socket: str = ""  # where it answers; its memory is then limited


class ChildProcess:
    """One process, with its output in the file `log` (where the supervisor's goes without one) and its input from `stdin`."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: Path | None = None, stdin: Path | None = None) -> None:
        self.started = time.monotonic()
        with ExitStack() as files:
            output = None if log is None else files.enter_context(open(log, "ab", buffering=0))
            self.process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL if stdin is None else files.enter_context(open(stdin, "rb")),
                stdout=output,
                stderr=output,
                env={**BRIEF_SPINS, **os.environ, "PYTHONPATH": package_path(os.environ), **env},
                process_group=0,
                preexec_fn=death_signal_setter(),
            )
        self.leader = ProcessIdentity.of(self.process.pid)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def request_stop(self) -> None:
        signal_group(self.leader, signal.SIGTERM)

    def kill_group(self) -> None:
        """End what is left of it and of what it started."""
        signal_group(self.leader, signal.SIGKILL)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it and what it started; waits at most `seconds` for it to do so itself."""
        if self.is_running():
            self.request_stop()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            logger.warning("pid %d did not end within %g s and is killed.", self.process.pid, seconds)
        self.kill_group()
        self.process.wait()


class ServiceProcess:
    """Keeps one service alive."""

    def __init__(self, service: ServiceSpec, runtime: Path) -> None:
        self.service = service
        self.runtime = runtime
        self.title, self.ended = service.name, ""  # why the last child was ended, where that was done to it
        self.child: ChildProcess | None = None
        self.was_ready = False
        self._is_ready = False  # this child
        self._failures = 0
        self._next_start = 0.0

    def tick(self) -> None:
        """Start it where it does not run. Raises ConfigError when an essential service cannot be kept alive."""
        if self.child is not None and self.child.is_running():
            self._watch(self.child)
            return
        if self.child is not None:
            self._note_end(self.child)
        if time.monotonic() >= self._next_start:
            self.child, self._is_ready = self._start(), False

    @property
    def socket(self) -> Path | None:
        """Where it answers."""
        return Path(self.service.socket.replace("{runtime}", str(self.runtime))) if self.service.socket else None

    def _start(self) -> ChildProcess:
        argv = [part.replace("{runtime}", str(self.runtime)) for part in self.service.argv]
        env = {name: value.replace("{runtime}", str(self.runtime)) for name, value in self.service.env.items()}
        return ChildProcess(argv, env)

    def move(self, runtime: Path) -> None:
        """The folder for sockets is another one, or was made again: whoever has a socket there starts again."""
        self.runtime = runtime
        if any("{runtime}" in text for text in (*self.service.argv, *self.service.env.values())):
            self.restart()

    def restart(self) -> None:
        """End it; it starts again at the next tick."""
        if self.child is not None:
            self.child.stop()
        self.child, self._failures, self._next_start = None, 0, 0.0

    def _watch(self, child: ChildProcess) -> None:
        if not self._is_ready and self.service.ready():
            self._is_ready = self.was_ready = True
        if self._failures and time.monotonic() - child.started > STEADY_SECONDS:
            self._failures = 0

    def _note_end(self, child: ChildProcess) -> None:
        words, self.ended = self.ended or exit_words(child.process.returncode), ""
        child.kill_group()
        self.child = None
        if self._is_ready and time.monotonic() - child.started > SETTLED_SECONDS:
            self._failures = min(self._failures, 1)  # it can start; what ended it came from outside
        if self._failures >= len(RESTART_SECONDS):
            self._failures = len(RESTART_SECONDS) - 1
            if self.service.essential and not self.was_ready:
                raise ConfigError(f"The {self.service.name} does not start: {words}.", advice="What it printed says why.")
        pause = RESTART_SECONDS[self._failures]
        self._failures += 1
        self._next_start = time.monotonic() + pause
        logger.warning("The %s ended: %s. It starts again in %g s.", self.service.name, words, pause)


def stop_all(children: Sequence[ChildProcess]) -> None:
    """End several children, all requested at once."""
    for child in children:
        child.request_stop()
    for child in children:
        child.stop()
