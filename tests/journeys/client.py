"""A server that works, as scripts meet it, and one that has a plugin beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningServer, start_server

DEADLINE = 180.0
GENERIC = "/models/images/generic"


class Client:
    """Talks to the server as a script does; jobs that were made run side by side."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server

    def request(self, address: str, upload: dict[str, tuple[str, bytes]] | None = None, **fields: Any) -> tuple[int, str]:
        """POST where there are fields, else GET; `upload` maps fields to file name and content."""
        request = urllib.request.Request(f"{self.server.url}{address}")
        if upload:
            request.data, kind = multipart(fields, upload)
            request.add_header("Content-Type", kind)
        elif fields:
            request.data = urllib.parse.urlencode({"username": "me", **fields}, doseq=True).encode()
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def json(self, address: str, upload: dict[str, tuple[str, bytes]] | None = None, **fields: Any) -> Any:
        status, text = self.request(address, upload, **fields)
        assert status == 200, text
        return json.loads(text)

    def page(self, address: str, upload: dict[str, tuple[str, bytes]] | None = None, **fields: Any) -> str:
        status, text = self.request(address, upload, **fields)
        assert status == 200, text
        return text

    def done(self, job_id: str, status: str = "Done") -> str:
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            found = self.json(f"/jobs/{job_id}/status")
            if found["status"] in ("Done", "Error", "Aborted"):
                assert found["status"] == status, found
                return job_id
            time.sleep(0.1)
        pytest.fail(f"{job_id} did not end")


def multipart(fields: dict[str, Any], upload: dict[str, tuple[str, bytes]]) -> tuple[bytes, str]:
    parts = [f'--X\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()]
    for name, (file, content) in upload.items():
        head = f'--X\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + b"--X--\r\n", "multipart/form-data; boundary=X"


@contextmanager
def server_with(plugins: Path | Sequence[Path], folder: Path) -> Iterator[Client]:
    """A client of a server below `folder` that has the package (or packages) `plugins` installed."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    for plugin in [plugins] if isinstance(plugins, Path) else plugins:
        source = folder / "source" / plugin.name
        shutil.copytree(plugin, source, ignore=shutil.ignore_patterns("build", "*.egg-info"))
        target = ["--disable-pip-version-check", "--target", str(folder / "site"), str(source)]
        subprocess.run([*command, *target], check=True)
    with pytest.MonkeyPatch.context() as patch:
        search = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("PYTHONPATH", search)
        with start_server(folder, "-m", "digits", "serve", "--stop-jobs") as server:
            yield Client(server)
