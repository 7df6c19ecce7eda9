"""`python -m digits.plugin_host --socket PATH --jobs-dir DIR`: serve until requested to stop.

Holds: what answers questions, and with it Flask, NumPy and the plugins, is imported for the first question that needs more than
the table of plugins, or where that is not known from before: a server whose lists are looked at stays small. Where everything was
imported for the table alone, the process begins anew once that is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from digits.extensions.kept_table import KeptTable, Rows
from digits.ipc.message_server import MessageServer
from digits.ipc.messages import Message
from digits.ipc.plugin_host_client import address_file
from digits.ipc.watchdog import Watchdog
from digits.storage.files import write_json
from digits.storage.folders import JobsDir
from digits.storage.identity import place_of
from digits.utils.masking import log_to_stderr
from digits.utils.memory_use import MIB, refuse_allocations_beyond
from digits.utils.processes import offer_to_oom_killer, on_stop

LEAN_SECONDS = 15.0  # for the page that needs a plugin to follow the list of them
TABLE_FILE = "plugins.json"  # of the jobs directory's hidden folder


def main(arguments: list[str] | None = None) -> int:
    """Serve on the socket; the exit code is 0 when requested to stop."""
    parser = argparse.ArgumentParser(prog="python -m digits.plugin_host", description="Runs the page code of plugins.")
    parser.add_argument("--socket", required=True, type=Path)
    parser.add_argument("--jobs-dir", required=True, type=Path)
    parser.add_argument("--memory-mb", type=int, default=0, help="what may be allocated at most; 0: anything")
    options = parser.parse_args(arguments)
    log_to_stderr("%(asctime)s [%(levelname)s] %(message)s")
    offer_to_oom_killer()
    if options.memory_mb:
        refuse_allocations_beyond(options.memory_mb * MIB)
    if serve(options.socket, JobsDir(options.jobs_dir.absolute())):
        os.execv(sys.executable, sys.orig_argv)
    return 0


def serve(socket_path: Path, jobs_dir: JobsDir) -> bool:
    """Answer on `socket_path` until requested to stop; while it listens, `.digits/plugin_host.json` says where. Whether
    the process is to begin anew, without all that it imported."""
    watch, stop, anew = Watchdog(), threading.Event(), threading.Event()

    def begin_anew() -> None:
        anew.set()
        stop.set()

    answers = _Answers(jobs_dir, watch, socket_path.with_suffix(".imports"), begin_anew)
    with _empty_folder(socket_path.with_suffix(".folder")):
        server = MessageServer(socket_path, answers, scratch=jobs_dir.scratch, name="question")
        on_stop(stop.set)
        write_json(address_file(jobs_dir), {"socket": str(socket_path), "pid": os.getpid(), "place": place_of(jobs_dir)})
        watch.start()
        server.serve(stop.is_set)
        if not anew.is_set():
            answers.forget_crashes()  # requested to stop: the next host tries all plugins again
    return anew.is_set()


class _Answers:
    """Answers questions; the first one that needs more than this process has the rest imported, and then all plugins."""

    def __init__(self, jobs_dir: JobsDir, watch: Watchdog, journal: Path, begin_anew: Callable[[], None]) -> None:
        self.jobs_dir = jobs_dir
        self.watch = watch
        self.journal = journal
        self.begin_anew = begin_anew
        self._is_needed = threading.Event()  # for more than the table
        self.kept = KeptTable(jobs_dir.hidden / TABLE_FILE)
        self._known: Rows | None = None
        self._lock = threading.Lock()
        self._answer: Callable[[Message], Message] | None = None

    def __call__(self, message: Message) -> Message:
        if message.header.get("op") == "ping":
            return Message({"ok": True, "pid": os.getpid()})
        if message.header.get("op") == "plugins" and (rows := self._table()) is not None:
            return Message({**rows, "complete": True})
        if message.header.get("op") != "plugins":
            self._is_needed.set()
        return self._awake()(message)

    def _table(self) -> Rows | None:
        """The table as it was kept; None where it is not known, or the plugins are imported here already."""
        with self._lock:
            if self._answer is None and self._known is None:
                self._known = self.kept.read()
            return self._known if self._answer is None else None

    def _awake(self) -> Callable[[Message], Message]:
        with self._lock:
            if self._answer is None:
                from digits.extensions import loader
                from digits.plugin_host.app import answer, create_app

                loader.keep_journal(self.journal)
                self._answer = functools.partial(answer, create_app(), self.jobs_dir, self.watch)
                threading.Thread(target=self._preload, daemon=True, name="preload").start()
            return self._answer

    def _preload(self) -> None:
        """Import the plugins before a page needs one of them, and keep the table for the next host."""
        from digits.extensions import loader

        rows = {kind: [{**row.to_json(), "warnings": []} for row in loader.all_extensions(kind)] for kind in loader.GROUPS}
        self.kept.write(rows)
        if self.kept.read() is not None and not self._is_needed.wait(LEAN_SECONDS):
            self.begin_anew()

    def forget_crashes(self) -> None:
        """Give every plugin another chance."""
        from digits.extensions.journal import ImportJournal

        ImportJournal(self.journal).forget()


@contextlib.contextmanager
def _empty_folder(folder: Path) -> Iterator[None]:
    """Relative paths of plugins lead nowhere. The folder lies beside the socket: what a killed host leaves goes with that."""
    before = os.getcwd()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
