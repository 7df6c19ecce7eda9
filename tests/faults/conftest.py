"""The world of the supervisor's tests, for tests that break it."""

from tests.supervisor.conftest import world

__all__ = ["world"]
