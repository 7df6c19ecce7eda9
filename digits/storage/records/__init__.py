"""Records: what ingest writes and training reads. What plugins and scripts import from here loads with its first use."""

from __future__ import annotations

import importlib
from typing import Any

KEYS_FILE = "keys.npy"  # of a split whose records stay in the LMDB that they came in
PUBLIC = {"BOX_CROWD": "boxes", "BOX_DIFFICULT": "boxes", "BOX_DTYPE": "boxes", "BOX_IGNORED": "boxes"}
PUBLIC |= {"RecordReader": "reader", "open_records": "open"}


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
