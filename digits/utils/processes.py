"""What identifies processes beyond a restart of whoever started them: identity, life, signals, parenthood.

Holds: a process is named by its pid, its start time *and* the run of the machine, so that a pid that the system gave away again
is never taken for the old process. A wall clock that is set plays no part. Nothing here raises when a process disappears.
Every signal that is sent anywhere in digits is sent here, to a process that was known before and is still the same one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.process import BaseProcess

START_TOLERANCE_SECONDS = 0.05
PR_SET_PDEATHSIG = 1
OOM_SCORE = 500
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux
PID_NAMESPACE = Path("/proc/self/ns/pid")
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # by which a process is requested to end
SIGNALS = {
    signal.SIGKILL: "often the system's way when memory runs out; lower the batch size or free memory",
    signal.SIGSEGV: "a crash inside a compiled library",
    signal.SIGBUS: "a file it had mapped into memory became shorter, or a disk or shared memory is full",
    signal.SIGABRT: "a compiled library gave up",
    signal.SIGFPE: "a division by zero inside a compiled library",
    signal.SIGILL: "a compiled library uses instructions that this processor does not have",
    signal.SIGTERM: "a person or the system requested it to end",
    signal.SIGHUP: "a person or the system requested it to end",
}


@dataclass(frozen=True)
class ProcessIdentity:
    """One process and no other: `started` is in seconds since the machine was, `boot` names that run of the machine."""

    pid: int
    started: float
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The process that has `pid` now."""
        return cls(pid, start_time(pid), boot_identity())

    def is_there(self) -> bool:
        """Whether the system still has it: alive, or dead and not yet waited for."""
        return self.boot == boot_identity() and self.pid > 0 and _is_same(start_time(self.pid), self.started)

    def is_alive(self) -> bool:
        """Whether it runs (a zombie does not)."""
        return self.boot == boot_identity() and is_alive(self.pid, self.started)


def start_time(pid: int) -> float:
    """When process `pid` started, in seconds since the machine did; 0.0 when there is none."""
    if sys.platform == "linux":
        return _start_in_proc(pid)
    try:
        # both times are the wall clock's, but their difference is not: it stays when the clock is set
        return float(psutil.Process(pid).create_time() - psutil.boot_time())
    except psutil.Error:
        return 0.0


def _start_in_proc(pid: int) -> float:
    """Straight from the kernel, which counts from the start of the machine: no clock that is set comes between."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def boot_identity() -> str:
    """Names this run of the machine: another text after each restart."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


def pid_namespace() -> int:
    """Names the container in which pids mean what they mean here (Linux); 0 elsewhere."""
    try:
        return PID_NAMESPACE.stat().st_ino
    except OSError:
        return 0


def is_alive(pid: int, started: float) -> bool:
    """Whether the process that had `pid` and start time `started` still runs (a zombie does not)."""
    if pid <= 0 or not _is_same(start_time(pid), started):
        return False
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _is_same(found: float, started: float) -> bool:
    return found > 0 and abs(found - started) < START_TOLERANCE_SECONDS


def exit_words(code: int, who: str = "it") -> str:
    """How a process ended, for people: `code` as `subprocess` has it."""
    if code >= 0:
        return f"{who} ended with exit code {code} and no word about why"
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"{who} was killed by signal {-code}"
    hint = SIGNALS.get(number)
    return f"{who} was killed by signal {-code} ({number.name}{': ' + hint if hint else ''})"


def group_members(group: int) -> list[int]:
    """Pids of the living processes in process group `group`."""
    return _living(lambda pid: os.getpgid(pid) == group)


def session_members(session: int) -> list[int]:
    """Pids of the living processes in a session, whatever their group."""
    return _living(lambda pid: os.getsid(pid) == session)


def _living(belongs: Callable[[int], bool]) -> list[int]:
    members = []
    for pid in psutil.pids():
        try:
            if belongs(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                members.append(pid)
        except (OSError, psutil.Error):
            continue
    return members


def signal_process(process: ProcessIdentity, number: signal.Signals) -> bool:
    """Send a signal to one process; False when it is gone, or another one has its pid."""
    try:
        with _Handle(process.pid) as handle:
            if not process.is_there():
                return False
            handle.send(number)
    except OSError:
        return False
    return True


def signal_group(leader: ProcessIdentity, number: signal.Signals) -> bool:
    """Send a signal to the process group that `leader` led, whether it still lives or not; False when nobody is left in it.

    The system gives away no pid that is still the name of a group: where another process has it, the group is gone. Members that
    outlive their leader are signalled one by one.
    """
    if leader.is_there():
        try:
            os.killpg(leader.pid, number)
        except OSError:
            return False
        return True
    if leader.boot != boot_identity() or start_time(leader.pid):
        return False
    left = [ProcessIdentity.of(pid) for pid in group_members(leader.pid)]
    sent = [signal_process(process, number) for process in left if process.started >= leader.started]
    return any(sent)


def kill_children(children: Iterable[subprocess.Popen[Any] | BaseProcess]) -> None:
    """End processes that this one started and holds by their handles: until they are waited for, nobody else gets their pids."""
    for child in children:
        child.kill()


class _Handle:
    """A process by a descriptor of the kernel where that has them (Linux), so that none can take its place in between."""

    def __init__(self, pid: int) -> None:
        self.pid, self._descriptor = pid, -1

    def __enter__(self) -> _Handle:
        try:
            self._descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            raise
        except (AttributeError, OSError):
            self._descriptor = -1
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def send(self, number: signal.Signals) -> None:
        if self._descriptor >= 0:
            signal.pidfd_send_signal(self._descriptor, number)
        else:
            os.kill(self.pid, number)


def on_stop(request: Callable[[], Any]) -> None:
    """Have `request` called when this process is requested to end, however that is said. One that was started to outlive its
    terminal (`nohup`) keeps ignoring that it is gone."""
    for number in STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: request())


def leave_stopping_to_parent() -> None:
    """Ignore requests to end: they are meant for the process that started this one, which ends it."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def death_signal_setter(number: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """A function that makes the calling process die when the thread that made it dies (Linux; nothing elsewhere).

    Everything it needs is loaded before it is returned, so it may be used as `preexec_fn`.
    """
    parent = os.getpid()
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return lambda: None

    def set_death_signal() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent and os.getpid() != parent:
            os._exit(1)

    return set_death_signal


def offer_to_oom_killer(score: int = OOM_SCORE) -> None:
    """When the machine's memory runs out, let the system end this process and its children rather than the server (Linux).

    `score` is added to what the system itself computes, in thousandths of all memory; nothing happens where it may not be set.
    """
    try:
        with open("/proc/self/oom_score_adj", "w") as handle:
            handle.write(str(score))
    except OSError:
        return


def die_with_parent(number: signal.Signals = signal.SIGKILL) -> None:
    """Make this process die when its parent dies: for pool initializers and the ranks of a training."""
    from multiprocessing import parent_process

    known = parent_process()  # a process of a pool knows who it is for, also where that died before this line
    parent = os.getppid() if known is None else known.pid
    death_signal_setter(number)()
    if os.getppid() != parent:
        os._exit(1)


def memory_below(pid: int, kind_of: Callable[[Sequence[str]], str], name: str) -> dict[str, int]:
    """Resident bytes of a process, called `name`, and of all that it started, by what `kind_of` says of their command lines;
    empty where there is no such process."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except (psutil.Error, ValueError):
        return {}
    found: dict[str, int] = {}
    for process in processes:
        with suppress(psutil.Error):  # it has just ended
            kind = name if process == root else kind_of(process.cmdline())
            found[kind] = found.get(kind, 0) + process.memory_info().rss
    return found
