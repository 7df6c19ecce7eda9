"""How the web process is started: what does so needs nothing of what it is made of."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping

from digits.config import Settings

SMALL = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}  # many threads that take turns need no heap each


def web_command() -> list[str]:
    """The command that starts the web process; its settings come from `web_environment`."""
    return [sys.executable, "-P", "-m", "digits.web"]


def web_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with every setting as its `DIGITS_*` variable, so that the web process has the same ones."""
    own = {f"DIGITS_{name.upper()}": str(value) for name, value in dataclasses.asdict(settings).items()}
    return {**SMALL, **environ, **own}
