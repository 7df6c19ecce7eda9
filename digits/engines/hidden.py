"""Optional packages that a framework loads although nothing of ours uses what it makes of them.

Lightning Fabric asks for the version of torchmetrics, Keras wraps itself for scikit-learn; either imports the whole package with
SciPy where it is installed: 1 to 3 CPU seconds at the start of every process. While the framework is imported, there is none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Importing the package fails inside the block, where it was not imported before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
