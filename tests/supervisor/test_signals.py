"""A signal that comes at the worst moment ends the supervisor all the same."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import signal
import threading

from digits.supervisor.server import _loop, _Signals


class Busy(threading.Event):
    def wait(self, timeout=None):
        with self._cond:  # as `Event.wait` holds it for a moment
            signal.raise_signal(signal.SIGTERM)


with _Signals(None) as signals:
    _loop(lambda: None, Busy(), signals.is_set)
print("ended")
"""


def test_a_signal_within_the_wait_of_the_loop() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.stdout == "ended\n", done.stderr
