"""Lightning Fabric, imported in this one place: it takes as long as PyTorch, so trainings that do not need it go without."""

from __future__ import annotations

from digits.engines.imports import hidden

with hidden("torchmetrics"):
    from lightning_fabric import Fabric

__all__ = ["Fabric"]
