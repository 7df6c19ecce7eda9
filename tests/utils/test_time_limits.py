"""A call that may never come back."""

from __future__ import annotations

import sys
import threading

import pytest

from digits.utils.time_limits import within


def test_it_gives_what_the_call_gives() -> None:
    assert within(5, lambda: [1, None], "A list") == [1, None]
    assert within(5, lambda: None, "Nothing") is None


def test_it_raises_what_the_call_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 // 0, "A division")
    with pytest.raises(SystemExit):
        within(5, lambda: sys.exit(3), "An exit")


def test_a_call_that_never_ends() -> None:
    ended = threading.Event()
    with pytest.raises(TimeoutError, match="Waiting did not end within 0 seconds"):
        within(0.05, ended.wait, "Waiting")
    ended.set()
