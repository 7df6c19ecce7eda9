"""Commands that need predictors and the plugin host: those of the running server or, without one, their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from digits import supervisor
from digits.cli.serve import plugin_host
from digits.service import Service


@contextlib.contextmanager
def answering(service: Service, *, plugins: bool = True) -> Iterator[None]:
    """While the block runs, predictors (and with `plugins` the plugin host) answer what `digits.service` requests of them."""
    from digits.web.process import web_environment

    settings = service.settings
    host = [plugin_host(settings, web_environment(settings, os.environ))] if plugins else []
    with supervisor.serving(settings, host):
        yield
