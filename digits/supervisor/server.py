"""`run`: the supervisor with its services under the lock on the jobs directory. `run_until`: only until some jobs have ended.
`serving`: only to answer requests."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from digits.config import Settings
from digits.domain.jobs import FINISHED, Kind
from digits.errors import NotFound
from digits.ipc.supervisor_client import is_listening, read_runtime
from digits.ipc.supervisor_server import Answer, ControlServer, Later
from digits.storage.folders import JobsDir
from digits.storage.identity import copy_words
from digits.storage.jobs.ownership import open_store, other_owner
from digits.storage.jobs.store import Job, JobStore
from digits.storage.lock import Locked, ServerLock, holder
from digits.supervisor import logs
from digits.supervisor.child_processes import ServiceProcess, ServiceSpec, stop_all
from digits.supervisor.executor import Executor
from digits.supervisor.local_executor import WORKER_COMMAND, LocalExecutor
from digits.supervisor.loop import TICK_SECONDS, Supervisor
from digits.supervisor.memory_limit import end_greedy, process_limit
from digits.supervisor.predictors import Predictors
from digits.supervisor.probes import AugmentationPreviews, NetworkChecks
from digits.supervisor.process_pool import PooledProcess, ProcessPool
from digits.supervisor.tensorboards import TensorBoards
from digits.utils.collection import give_back_memory
from digits.utils.processes import STOP_SIGNALS

logger = logging.getLogger(__name__)

TICKS_BETWEEN_LOOKS = 5  # so often who follows jobs looks whether a supervisor does them
SECOND_INTERRUPT_SECONDS = 3.0  # how long the first Ctrl-C waits for a second one while jobs run
PLUGIN_HOST = "plugin host"


class Server:
    """A supervisor with its services, predictors and control socket; built by `run`."""

    def __init__(
        self, supervisor: Supervisor, control: ControlServer, services: Sequence[ServiceSpec], on_ready: Callable[[], None] | None
    ) -> None:
        self.supervisor = supervisor
        self.control = control
        self.predictors = Predictors(
            supervisor.jobs_dir, control.directory, supervisor.settings.predictor_idle_seconds, supervisor.executor.free_gpus
        )
        self.checks = NetworkChecks(control.directory)
        self.previews = AugmentationPreviews(control.directory)
        self.tensorboards = TensorBoards(supervisor.jobs_dir, control.directory, self._model_name)
        supervisor.queue.before_start = lambda allocation: self.predictors.release(allocation.gpus)
        supervisor.on_delete = self._forget
        self.services = [ServiceProcess(service, control.directory) for service in services]
        self.limit = process_limit(supervisor.settings)
        self._on_ready = on_ready
        control.handlers.update(self.handlers())

    def start_services(self) -> None:
        """Start the services, or start again those that ended."""
        for service in self.services:
            service.tick()

    def tick(self) -> None:
        """Everything that is due now."""
        self._keep_runtime()
        self.start_services()
        if self._on_ready is not None and all(service.was_ready for service in self.services):
            self._on_ready()
            self._on_ready = None
        end_greedy([*(one for one in self.services if one.socket), *self._pooled()], self.limit)
        self.supervisor.tick()
        for pool in self._pools():
            pool.tick()
        self.control.serve()

    def _keep_runtime(self) -> None:
        try:
            renewed = self.control.renew()
        except OSError as error:
            logger.warning("The folder of sockets cannot be made: %s", error)
            return
        if renewed:
            for service in self.services:
                service.move(self.control.directory)
            for pool in self._pools():
                pool.move(self.control.directory)

    def stop(self) -> None:
        """End services and predictors; workers are left alone."""
        stop_all([service.child for service in self.services if service.child is not None])
        for pool in self._pools():
            pool.stop()

    def _pools(self) -> list[ProcessPool[Any]]:
        return [owner.pool for owner in (self.predictors, self.tensorboards, self.checks, self.previews)]

    def _pooled(self) -> list[PooledProcess]:
        return [process for pool in self._pools() for process in pool.running.values()]

    def handlers(self) -> Mapping[str, Callable[[Mapping[str, Any]], Answer | Later]]:
        """The operations of the control socket."""
        return {
            "ping": lambda _: {"ok": True},
            "queue": lambda _: self.supervisor.queue.describe(),
            "gpus": lambda _: self.supervisor.queue.resources(),
            "problems": lambda _: {"problems": self.supervisor.problems()},
            "predictor": self.predictors.request,
            "check-network": self.checks.request,
            "preview-augmentation": self.previews.request,
            "tensorboard": self.tensorboards.request,
            "restart-plugin-host": lambda _: self._restart(PLUGIN_HOST),
        }

    def _model_name(self, job_id: str) -> str:
        job = self.supervisor.store.find(job_id)
        return job.name if job is not None and job.kind == Kind.MODEL else ""

    def _forget(self, job_id: str) -> None:
        """End what serves a job that is being deleted."""
        self.predictors.forget(job_id)
        self.tensorboards.forget(job_id)

    def _restart(self, name: str) -> Answer:
        found = [service for service in self.services if service.service.name == name]
        for service in found:
            service.restart()
        if not found:
            raise NotFound(f"No {name} runs here.")
        return {"ok": True}


def run(
    settings: Settings,
    services: Sequence[ServiceSpec] = (),
    *,
    address: str = "",
    stop_jobs: bool = False,
    on_ready: Callable[[], None] | None = None,
    stop: threading.Event | None = None,
    worker_command: Sequence[str] = WORKER_COMMAND,
) -> None:
    """Serve until SIGTERM, SIGINT, SIGHUP or `stop`. Workers go on then and are adopted at the next start, unless `stop_jobs` is
    set or Ctrl-C is pressed a second time.

    `address` is what a second server reports about this one, `on_ready` is called once when all services are ready.
    Raises Locked when another supervisor has the jobs directory, StorageError when it cannot be used, ConfigError when an
    essential service does not start.
    """
    jobs_dir = JobsDir(settings.jobs_path, settings.folder_mode)
    jobs_dir.prepare()
    logs.configure(settings, jobs_dir)  # before the database is opened, which may have to be made again
    lock = ServerLock(jobs_dir, address)
    with lock, _store(settings, jobs_dir) as store, ControlServer(jobs_dir, {}) as control:
        jobs_dir.settle_modes()
        store.check()
        supervisor = Supervisor(settings, jobs_dir, store, executor=executor_for(settings, jobs_dir, worker_command))
        server = Server(supervisor, control, services, on_ready)
        with _Signals(stop) as signals:
            supervisor.problem = lambda: lock.problem() or other_owner(store, supervisor.identity)
            supervisor.is_leaving = signals.is_set
            try:
                server.start_services()
                supervisor.open()
                control.publish(address=address)
                logger.info("Supervises %s (pid %d).", jobs_dir.path, os.getpid())
                if supervisor.identity.copy_of:
                    logger.info("%s", copy_words(supervisor.identity))
                give_back_memory()
                _loop(server.tick, control.wake, signals.is_set)
            finally:
                signals.report()
                control.unpublish()
                server.stop()
                _leave(supervisor, stop_jobs, signals)


def run_until(
    settings: Settings,
    job_ids: Collection[str],
    *,
    on_change: Callable[[Job], None] = lambda job: None,
    tick: float = TICK_SECONDS,
    worker_command: Sequence[str] = WORKER_COMMAND,
) -> list[Job]:
    """Run the given jobs, and what they need, in this process' charge until they have ended; their last rows.

    `on_change` gets each of their rows when it changes. Ctrl-C stops the jobs, which wait for the next supervisor then, and
    raises KeyboardInterrupt. Raises Locked when a supervisor runs: then it does the jobs, and `follow` shows them.
    """
    jobs_dir = JobsDir(settings.jobs_path, settings.folder_mode)
    jobs_dir.prepare()
    with ServerLock(jobs_dir) as lock, _store(settings, jobs_dir) as store:
        executor = executor_for(settings, jobs_dir, worker_command)
        supervisor = Supervisor(settings, jobs_dir, store, executor=executor, only=_with_parents(store, job_ids))
        supervisor.problem = lock.problem
        try:
            supervisor.open()
            return _follow(store, job_ids, on_change, supervisor.tick, tick)
        except KeyboardInterrupt:
            supervisor.stop_jobs()
            while not supervisor.is_idle() and not supervisor.problem():
                supervisor.tick()
                time.sleep(tick)
            raise
        finally:
            supervisor.close()


@contextmanager
def serving(settings: Settings, services: Sequence[ServiceSpec] = ()) -> Iterator[None]:
    """While the block runs, somebody answers requests for predictors, probes and `services`: the running server, else a
    supervisor in a thread of this process, which does no jobs and is gone afterwards.

    Waits while another command has the jobs directory. What the thread raises is raised at the end of the block.
    """
    jobs_dir = JobsDir(settings.jobs_path, settings.folder_mode)
    jobs_dir.prepare()
    with ExitStack() as stack:
        if not _lock_unless_served(jobs_dir, stack):
            yield
            return
        store = stack.enter_context(_store(settings, jobs_dir))
        control = stack.enter_context(ControlServer(jobs_dir, {}))
        supervisor = Supervisor(settings, jobs_dir, store, executor=executor_for(settings, jobs_dir), only=())
        server = Server(supervisor, control, services, None)
        stop, failures = threading.Event(), list[BaseException]()
        thread = threading.Thread(target=_serve, args=(server, stop, failures), name="supervisor")
        thread.start()
        control.publish(address="")
        try:
            yield
        finally:
            stop.set()
            control.wake.set()
            thread.join()
        if failures:
            raise failures[0]


def _lock_unless_served(jobs_dir: JobsDir, stack: ExitStack) -> bool:
    """Whether the lock is ours now; false where a server has it, which says its address. A command that has it is waited for."""
    while not (read_runtime(jobs_dir).get("address") and is_listening(jobs_dir)):
        try:
            stack.enter_context(ServerLock(jobs_dir))
            return True
        except Locked:
            time.sleep(TICK_SECONDS)
    return False


def _serve(server: Server, stop: threading.Event, failures: list[BaseException]) -> None:
    """The loop of `serving`: children are started and ended by this thread."""
    try:
        _loop(server.tick, server.control.wake, stop.is_set)
    except BaseException as error:  # raised again by the thread that waits
        failures.append(error)
    finally:
        server.stop()
        server.supervisor.close()


def follow(
    settings: Settings,
    job_ids: Collection[str],
    *,
    on_change: Callable[[Job], None] = lambda job: None,
    tick: float = TICK_SECONDS,
) -> list[Job]:
    """As `run_until`, for jobs that a running server does: watch until they have ended, or until no supervisor is there.

    A command that does jobs of its own counts as one: it may end without having done these.
    """
    jobs_dir = JobsDir(settings.jobs_path, settings.folder_mode)
    looks = itertools.cycle([False] * (TICKS_BETWEEN_LOOKS - 1) + [True])
    with _store(settings, jobs_dir) as store:
        return _follow(store, job_ids, on_change, lambda: None, tick, lambda: next(looks) and holder(jobs_dir) is None)


def has_ended(job: Job) -> bool:
    """Whether nothing is left to do for the job."""
    return job.status in FINISHED and not job.requested_action


def executor_for(settings: Settings, jobs_dir: JobsDir, command: Sequence[str] = WORKER_COMMAND) -> Executor:
    """An executor whose workers know what the settings say about addresses, wherever that was set."""
    environ = {**os.environ, "DIGITS_ALLOW_URLS": str(settings.allow_urls), "DIGITS_ENTRY_SECONDS": str(settings.entry_seconds)}
    return LocalExecutor(
        jobs_dir, command, checkpoint_seconds=settings.checkpoint_seconds, environ=environ, cpu_slots=settings.cpu_slots
    )


def _follow(
    store: JobStore,
    job_ids: Collection[str],
    on_change: Callable[[Job], None],
    work: Callable[[], None],
    tick: float,
    is_over: Callable[[], bool] = lambda: False,
) -> list[Job]:
    """Until all jobs have ended, and those that are being deleted are gone; or until `is_over`."""
    seen: dict[str, int] = {}
    while True:
        work()
        jobs = [job for job_id in job_ids if (job := store.find(job_id, with_deleted=True)) is not None]
        for job in jobs:
            if seen.get(job.id) != job.seq:
                seen[job.id] = job.seq
                on_change(job)
        if all(has_ended(job) for job in jobs) or is_over():
            return jobs
        time.sleep(tick)


def _with_parents(store: JobStore, job_ids: Collection[str]) -> set[str]:
    wanted, todo = set(job_ids), list(job_ids)
    while todo:
        parents = [parent for parent in store.parents(todo.pop()) if parent not in wanted]
        wanted.update(parents)
        todo += parents
    return wanted


def _loop(tick: Callable[[], None], wake: threading.Event, is_over: Callable[[], bool]) -> None:
    while not is_over():
        tick()
        wake.wait(TICK_SECONDS)
        wake.clear()


def _leave(supervisor: Supervisor, stop_jobs: bool, signals: _Signals) -> None:
    """What happens to the workers when the server ends."""
    running = len(supervisor.executor.workers)
    if not supervisor.problem():
        supervisor.note_stop()
    if running and not stop_jobs and signals.interrupts == 1 and sys.stdin.isatty():
        logger.warning("%s. Press Ctrl-C again to stop what runs.", _going_on(running))
        deadline = time.monotonic() + SECOND_INTERRUPT_SECONDS
        while signals.interrupts == 1 and time.monotonic() < deadline:
            time.sleep(TICK_SECONDS)
    if running and (stop_jobs or signals.interrupts > 1):
        logger.info("Stops what runs; %s when the server runs again.", _going_on(running))
        supervisor.stop_jobs()
        while not supervisor.is_idle() and not supervisor.problem():
            supervisor.tick()
            time.sleep(TICK_SECONDS)
    elif running:
        logger.info(
            "The server ends; %s adopted at the next start.", _going_on(running) + (" and is" if running == 1 else " and are")
        )
    supervisor.close()


def _going_on(jobs: int) -> str:
    return "1 job goes on" if jobs == 1 else f"{jobs} jobs go on"


class _Signals:
    """SIGTERM, SIGINT and SIGHUP as a flag, while entered; in another thread than the main one only `stop` counts.

    The flag is no event: a signal comes anywhere in the main thread, also where that holds the lock of the event it waits for,
    and an event that is set then waits for that lock for good. So the loop sees it a tick later.
    """

    def __init__(self, stop: threading.Event | None) -> None:
        self.interrupts = 0
        self.hung_up = False
        self._came = False
        self._stop = stop
        self._old: dict[signal.Signals, Any] = {}

    def is_set(self) -> bool:
        return self._came or (self._stop is not None and self._stop.is_set())

    def report(self) -> None:
        if self.hung_up:
            logger.info("The terminal was closed, or SIGHUP was sent: the server ends, as by SIGTERM.")

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in STOP_SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
            self._old = {number: signal.signal(number, self._note) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.interrupts += number == signal.SIGINT
        self.hung_up |= number == signal.SIGHUP
        self._came = True


@contextmanager
def _store(settings: Settings, jobs_dir: JobsDir) -> Iterator[JobStore]:
    store = open_store(settings.database_url, jobs_dir)
    try:
        yield store
    finally:
        store.close()
