"""A plugin that never comes back costs its own answer, and in the end one restart of the host; one that allocates far too much
costs its own answer alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from digits.errors import LimitExceeded
from digits.ipc.watchdog import EXIT_STUCK
from digits.service import Service
from digits.service.plugins import host as plugins
from tests.plugin_host.hosts import plugin_form, running_host
from tests.plugin_host.packages import add_package, data_source
from tests.waiting import PATIENCE_SECONDS

HANG = "def __init__(self, **kwargs):\n    import time\n    time.sleep(3600)\n"
GREEDY = "def __init__(self, **kwargs):\n    self.kept = bytes(6 << 30)\n"
EXIT = "def __init__(self, **kwargs):\n    import os\n    os._exit(3)\n"


def test_others_are_answered_meanwhile_and_the_host_then_makes_room(service: Service, tmp_path: Path) -> None:
    site = tmp_path / "site"
    add_package(site, "hanger", data_source("hanger", HANG), data="Data")
    add_package(site, "good", data_source("good"), data="Data")
    failures: list[plugins.PluginFailure] = []

    def hang() -> None:
        with pytest.raises(plugins.PluginFailure) as caught:
            plugins.request(
                service, "create", "hanger", {"values": {}, "job_id": "20260101-000000-abcd", "allowed_roots": ["/"]}, timeout=2
            )
        failures.append(caught.value)

    with running_host(service, tmp_path, site) as process:
        thread = threading.Thread(target=hang)
        thread.start()
        assert plugin_form(service, "good", {}).failure is None
        thread.join()
        assert process.wait(PATIENCE_SECONDS) == EXIT_STUCK
    assert failures[0].timed_out
    assert "hanger did not answer within 2 seconds" in str(failures[0])


def test_a_plugin_that_ends_the_process_is_named(service: Service, tmp_path: Path) -> None:
    add_package(tmp_path / "site", "crasher", data_source("crasher", EXIT), data="Data")
    with running_host(service, tmp_path, tmp_path / "site"), pytest.raises(plugins.PluginFailure) as caught:
        plugins.request(
            service, "create", "crasher", {"values": {}, "job_id": "20260101-000000-abcd", "allowed_roots": ["/"]}, timeout=60
        )
    assert "stopped while the plugin crasher was at work" in str(caught.value)


def test_an_allocation_far_beyond_the_limit_is_refused_and_the_host_goes_on(service: Service, tmp_path: Path) -> None:
    site = tmp_path / "site"
    add_package(site, "greedy", data_source("greedy", GREEDY), data="Data")
    add_package(site, "good", data_source("good"), data="Data")
    with running_host(service, tmp_path, site, memory_mb=4096) as process:
        with pytest.raises(LimitExceeded) as caught:
            plugins.request(
                service, "create", "greedy", {"values": {}, "job_id": "20260101-000000-abcd", "allowed_roots": ["/"]}, timeout=60
            )
        assert "The plugin greedy needs more memory than there is for it" in str(caught.value)
        assert "process_memory_mb" in caught.value.advice
        assert plugin_form(service, "good", {}).failure is None
        assert process.poll() is None


def test_without_a_host_the_menu_is_empty_and_nothing_waits(service: Service) -> None:
    assert plugins.menu(service) == {}
