"""An allocation far beyond a limit fails at once, in the process that set it and in those that it starts."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIMITED = """
import mmap, subprocess, sys, time
from digits.utils.memory_use import MIB, refuse_allocations_beyond

refuse_allocations_beyond(int(sys.argv[1]) * MIB)
"""
ALLOCATES = """
import time

kept, began = bytearray(20 << 20), time.process_time()
try:
    bytes(2 << 30)
    print("allocated")
except MemoryError:
    print("refused")
assert time.process_time() - began < 1, "at once"
print(len(kept + bytearray(20 << 20)) >> 20)
"""
STARTS = f"subprocess.run([sys.executable, '-c', {ALLOCATES!r}], check=True)"
RESERVES = """
reserved = mmap.mmap(-1, 4096 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0)
with open(sys.argv[2], "w+b") as file:
    file.truncate(4096 * MIB)
    of_file = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print(len(reserved) // MIB, len(of_file) // MIB)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")


def said(code: str, *arguments: str) -> list[str]:
    """What a process prints that runs this under a limit."""
    command = [sys.executable, "-c", LIMITED + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()


@pytest.mark.parametrize("code", [ALLOCATES, STARTS], ids=["itself", "what it starts"])
def test_a_single_allocation_far_beyond_fails_at_once_and_small_ones_do_not(code: str) -> None:
    assert said(code, "1024") == ["refused", "40"]
    assert said(code, "8192") == ["allocated", "40"]


def test_memory_that_is_only_reserved_or_a_files_does_not_count(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert said(RESERVES, "1024", str(tmp_path_factory.mktemp("maps") / "file")) == ["4096", "4096"]
