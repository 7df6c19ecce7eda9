"""The world of the supervisor's tests, for tests that break it, and jobs that a real server made."""

from collections.abc import Iterator

import pytest

from tests.faults.finished import Finished, finished
from tests.supervisor.conftest import world

__all__ = ["world"]


@pytest.fixture(scope="session")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    """Jobs that a server made and that have ended; the server runs."""
    with finished(tmp_path_factory.mktemp("finished")) as made:
        yield made
