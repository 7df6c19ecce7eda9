"""The web process: gunicorn with one worker of many threads, because each live page holds a thread.

Holds: one worker only, since the threads that feed live pages belong to it; on SIGTERM every stream ends at once and
requests that run get some seconds more; gunicorn's control socket is off.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger

from digits import config
from digits.config import Settings
from digits.storage.modes import limit_process
from digits.utils.collection import give_back_memory
from digits.utils.masking import MaskedFormatter, log_to_stderr
from digits.utils.processes import die_with_parent
from digits.web.worker import Worker

logger = logging.getLogger("digits.web")

GRACE_SECONDS = 4  # the supervisor kills the web process after 5
LOG_FORMAT = "%(asctime)s [web] [%(levelname)s] %(message)s"


class MaskedLogger(Logger):
    """Gunicorn's own lines, with passwords masked as in ours."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(MaskedFormatter(self.error_fmt, self.datefmt))


class WebServer(BaseApplication):
    """Gunicorn set up from our settings; the application is built in the worker."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in gunicorn_options(self.settings).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from digits.ipc import scratch
        from digits.service import Service
        from digits.service.files import uploads
        from digits.storage import files, publications
        from digits.web.app import create_app

        service = Service.open(self.settings)
        scratch.remove_left_over(service.jobs_dir)
        for folder in (publications.FOLDER, "uploads/" + uploads.PARTIAL, "uploads/" + uploads.ABOUT):
            files.remove_left_over(service.jobs_dir.hidden / folder)
        if dropped := uploads.drop_stale(service, at_start=True):
            logger.info("Uploads that nobody went on sending for a day are removed: %s.", ", ".join(dropped))
        app = create_app(service)
        give_back_memory()
        return app


def gunicorn_options(settings: Settings) -> dict[str, Any]:
    """Gunicorn's settings. Two hundred live pages need as many threads; each costs little while it sleeps."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": [f"{host}:{settings.port}"],
        "workers": 1,
        "worker_class": Worker,
        "threads": settings.web_threads,
        "worker_connections": settings.web_threads + 200,
        "keepalive": 30,
        "timeout": 120,
        "graceful_timeout": GRACE_SECONDS,
        "control_socket_disable": True,
        "limit_request_line": 8190,
        "forwarded_allow_ips": "",  # which proxies are believed is decided in one place: `web.http.proxies`
        "proc_name": "digits-web",
        "loglevel": settings.logfile_level.lower(),
        "logger_class": MaskedLogger,
        "post_fork": die_with_arbiter,
        "post_worker_init": end_streams_with,
    }


def die_with_arbiter(_arbiter: Any, _worker: Any) -> None:
    """When the server is killed, its port must be free at once for the next one."""
    die_with_parent()


def end_streams_with(worker: Any) -> None:
    """Watch the worker from a thread and end all live streams as soon as it is requested to stop."""

    def watch() -> None:
        while worker.alive:
            time.sleep(0.2)
        worker.wsgi.extensions["digits-live"].stop()

    threading.Thread(target=watch, name="digits-stop", daemon=True).start()


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Ends the process."""
    limit_process(settings.folder_mode)
    log_to_stderr(LOG_FORMAT, level=settings.logfile_level.upper())
    Arbiter(WebServer(settings)).run()


def main() -> None:
    """`python -m digits.web`: settings from the environment and the configuration file."""
    serve(config.load().settings)
