"""What identifies processes beyond a restart of whoever started them: identity, life, parenthood.

Holds: a process is named by its pid *and* its start time, so that a pid that the system gave away again is never taken
for the old process. A wall clock that is set plays no part. Nothing here raises when a process disappears meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil

START_TOLERANCE_SECONDS = 0.05
PR_SET_PDEATHSIG = 1
OOM_SCORE = 500
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux
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


def start_time(pid: int) -> float:
    """When process `pid` started, in seconds since the machine did; 0.0 when there is none."""
    try:
        return _since_boot(psutil.Process(pid))
    except psutil.Error:
        return 0.0


def boot_identity() -> str:
    """Names this run of the machine: another text after each restart."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


def is_alive(pid: int, started: float) -> bool:
    """Whether the process that had `pid` and start time `started` still runs (a zombie does not)."""
    if pid <= 0:
        return False
    try:
        process = psutil.Process(pid)
        same = abs(_since_boot(process) - started) < START_TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _since_boot(process: psutil.Process) -> float:
    """Both times are the wall clock's, but their difference is not: it stays when the clock is set."""
    return float(process.create_time() - psutil.boot_time())


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


def signal_group(group: int, number: signal.Signals) -> bool:
    """Send a signal to a whole process group; False when nobody is in it any more."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def signal_process(pid: int, number: signal.Signals) -> bool:
    """Send a signal to one process; False when it is gone."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


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
    parent = os.getppid()
    death_signal_setter(number)()
    if os.getppid() != parent:
        os._exit(1)
