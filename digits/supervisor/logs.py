"""The server's log: `YYYY-MM-DD HH:MM:SS [job id] [LEVEL] message`, on the terminal and in a rotating file."""

from __future__ import annotations

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

from digits.config import Settings
from digits.errors import ConfigError
from digits.storage.folders import JobsDir
from digits.utils.masking import MaskedFormatter

FILE_BYTES = 10 * 10**6
FILE_COUNT = 10


class JobFormatter(MaskedFormatter):
    """Puts the job's id where a record has one (`extra={"job_id": ...}`)."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(job)s[%(levelname)s] %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        job_id = getattr(record, "job_id", "")
        record.job = f"[{job_id}] " if job_id else ""
        return super().format(record)


class LogFile(RotatingFileHandler):
    """The rotating file; one that somebody else has moved or removed meanwhile (logrotate) is begun anew."""

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is not None and self._moved(self.stream.fileno()):
            self.stream.close()
            self.stream = None
        super().emit(record)

    def _moved(self, descriptor: int) -> bool:
        try:
            return not os.path.samestat(os.stat(self.baseFilename), os.fstat(descriptor))
        except OSError:
            return True


def log_file(settings: Settings, jobs_dir: JobsDir) -> Path:
    """Where the server logs to."""
    return Path(settings.logfile_filename).expanduser() if settings.logfile_filename else jobs_dir.hidden / "digits.log"


def configure(settings: Settings, jobs_dir: JobsDir) -> None:
    """Log from now on to stderr and to the file; replaces the handlers that were there before. Raises ConfigError where the file
    cannot be written."""
    file = log_file(settings, jobs_dir)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.open("a").close()
    except OSError as error:
        raise ConfigError(
            f"The log file {file} cannot be written: {error.strerror}.",
            advice="Name another with the setting logfile_filename, or change its permissions.",
        ) from error
    rotating = LogFile(file, maxBytes=FILE_BYTES, backupCount=FILE_COUNT, encoding="utf-8", delay=True)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr), rotating]
    for handler in handlers:
        handler.setFormatter(JobFormatter())
    logging.raiseExceptions = False  # a full disk must not fill the terminal with traces
    logging.basicConfig(level=settings.logfile_level.upper(), handlers=handlers, force=True)
