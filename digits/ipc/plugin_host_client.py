"""Where the running plugin host is found: the file `.digits/plugin_host.json`, written by the host itself."""

from __future__ import annotations

from pathlib import Path

from digits.errors import StorageError
from digits.storage.files import read_json
from digits.storage.folders import JobsDir


def address_file(jobs_dir: JobsDir) -> Path:
    """The file that names the host's socket and process."""
    return jobs_dir.hidden / "plugin_host.json"


def socket_of(jobs_dir: JobsDir) -> str:
    """Path of the host's socket; empty when none has run yet. Whether it still listens shows when one connects."""
    try:
        return str(read_json(address_file(jobs_dir)).get("socket", ""))
    except (StorageError, AttributeError):
        return ""
