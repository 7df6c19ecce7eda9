"""A server for the tests of one file; a file that needs another one has fixtures of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import start_server
from tests.journeys.client import Client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with start_server(tmp_path_factory.mktemp("server"), "-m", "digits", "serve", "--stop-jobs") as server:
        yield Client(server)


@pytest.fixture(scope="module")
def root(client: Client) -> Path:
    """A folder that the server may read."""
    return client.server.jobs_dir.parent
