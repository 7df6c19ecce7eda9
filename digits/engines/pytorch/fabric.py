"""Lightning Fabric, imported in this one place.

Fabric asks for the version of torchmetrics, and that imports the whole of it where it is installed, with SciPy and torchvision:
3 CPU seconds at the start of every training, for a feature that none uses. While Fabric is imported, there is none.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Importing the package fails inside the block, where it was not imported before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


with _hidden("torchmetrics"):
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import LightningEnvironment

__all__ = ["Fabric", "LightningEnvironment"]
