"""A real PostgreSQL of a test's own, on a Unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

INITDB = shutil.which("initdb") or shutil.which("initdb", path="/usr/lib/postgresql/15/bin:/usr/lib/postgresql/17/bin")


@contextmanager
def postgresql(beside: Path, *options: str) -> Iterator[str]:
    """Start one whose files lie in `beside`, made by `initdb` with `options`; its address. Skips where there is none."""
    if INITDB is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    programs = Path(INITDB).resolve().parent
    user: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}  # which refuses to run as root
    place = beside / "cluster"
    place.mkdir()
    for folder in (place, *place.parents):
        if folder.owner() == "root" and user and str(folder).startswith("/tmp/"):
            folder.chmod(0o711)
    if user:
        shutil.chown(place, "postgres")
    (beside / "password").write_text("s3cret")
    (beside / "password").chmod(0o644)
    made = ["--auth=scram-sha-256", f"--pwfile={beside / 'password'}", "--username=digits", "--no-sync", *options]
    subprocess.run([programs / "initdb", "-D", place / "data", *made], check=True, capture_output=True, **user)
    listens = f"-c listen_addresses='' -c unix_socket_directories={place} -c fsync=off -c jit=off"
    control = [programs / "pg_ctl", "-D", place / "data", "-w", "-l", place / "log", "-o", listens]
    subprocess.run([*control, "start"], check=True, capture_output=True, **user)
    try:
        yield f"postgresql+psycopg://digits:s3cret@/postgres?host={place}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, **user)
