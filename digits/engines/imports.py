"""What it costs to import a framework, and what of it can be saved."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def import_for_good(module: str) -> None:
    """Import what stays until the process ends, if it is not there yet.

    A framework is half a million objects and none is garbage: to look through them again and again while they come, while
    they are used, and once more at the end takes a quarter of the CPU time of a short job.
    """
    if module in sys.modules:
        return
    collects = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module(module)
        gc.freeze()
    finally:
        if collects:
            gc.enable()


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Importing the package fails inside the block, where it was not imported before.

    For optional packages that a framework loads although nothing of ours uses what it makes of them: Lightning Fabric asks for
    the version of torchmetrics, Keras wraps itself for scikit-learn; either imports the whole package with SciPy where it is
    installed, 1 to 3 CPU seconds at the start of every process.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
