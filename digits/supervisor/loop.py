"""The supervisor's work, one short `tick` at a time; time, processes and devices are parameters.

Holds: one thread calls it. A tick never waits for a worker. What goes wrong with one job, or with the database for a while
(busy, disk full), is logged and tried again at a later tick; it stops neither the others nor the supervisor.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from digits.config import Settings
from digits.domain.damage import words
from digits.domain.jobs import FINISHED, Action, Kind, Status
from digits.errors import DigitsError, NotFound, StorageError
from digits.storage import reserve
from digits.storage.files import DEFAULT_MIN_FREE, free_bytes, is_read_only, read_json, write_json
from digits.storage.folders import JobsDir
from digits.storage.identity import settle as settle_identity
from digits.storage.jobs.reindex import index_folder
from digits.storage.jobs.store import Job, JobStore
from digits.supervisor.executor import EXIT_BUSY, Executor, Stop, Worker
from digits.supervisor.health import HealthWatch, summary_with
from digits.supervisor.housekeeping import DiskUsage, FolderRemover, Indexer, log_report, scan
from digits.supervisor.job_rows import JobRows, RunSummaries
from digits.supervisor.memory_limit import job_limit
from digits.supervisor.notifications import Notifier
from digits.supervisor.outcomes import STOPPED_FROM_OUTSIDE, outcome_of, requeued, result_facts
from digits.supervisor.queue import Queue, where_it_runs
from digits.supervisor.settling import settle, unsettled
from digits.supervisor.trash import Trash
from digits.utils.clock import ClockWatch
from digits.utils.memory import LESS_MEMORY_FOR_TRAINING
from digits.utils.processes import STOP_SIGNALS, exit_words

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
SUMMARY_SECONDS = 0.4  # how often the events of one job reach its row
QUEUE_SECONDS = 2.0  # how often the queue is looked at although nothing seems to have changed
BEAT_SECONDS = 2.0
REQUESTS_SECONDS = 0.3
MEMORY_SECONDS = 0.5
SCAN_SECONDS = 60.0
USAGE_SECONDS = 120.0
DISK_SECONDS = 2.0
NOTIFY_SECONDS = 1.0
WARN_SECONDS = 30.0  # between two lines about the same trouble
REST_SECONDS = 5.0  # before a job starts again that was requested to stop: whoever did may be about to stop this server too
STOPPED = frozenset(-number for number in STOP_SIGNALS)  # exit codes of a worker that was requested to end before it could listen
LESS_MEMORY = {
    Kind.DATASET: "use smaller pictures or fewer threads",
    Kind.MODEL: LESS_MEMORY_FOR_TRAINING,
    Kind.EVALUATION: "evaluate fewer pictures at once or free memory",
    Kind.EXPORT: "free memory",
    Kind.EMBEDDING: "choose a layer with fewer numbers or free memory",
    Kind.PRETRAINED: "free memory",
}
NOT_WRITABLE = "Paused: its folder cannot be written. See to mount options and permissions; the job goes on by itself."
DISK_FULL = "Paused: the disk is full. Delete what you no longer need; the job goes on by itself."


class Supervisor:
    """Everything between the table of jobs and the worker processes. `only` limits it to some jobs and what they need."""

    def __init__(
        self,
        settings: Settings,
        jobs_dir: JobsDir,
        store: JobStore,
        *,
        executor: Executor,
        only: Collection[str] | None = None,
    ) -> None:
        self.settings = settings
        self.jobs_dir = jobs_dir
        self.store = store
        self.identity = settle_identity(jobs_dir)
        self.rows = JobRows(jobs_dir, store)
        self.clock = ClockWatch()
        self.executor = executor
        self.queue = Queue(settings, jobs_dir, self.rows, executor, only)
        self.summaries = RunSummaries(jobs_dir, store, self.rows)
        self.limit = job_limit(settings)
        self._due: dict[str, float] = {}
        self._sequence = -1
        self._late: dict[str, Worker] = {}  # ended workers whose rows could not be changed yet
        self._unnamed: set[str] = set()  # jobs that run, but nobody could say yet with which worker
        self._only = only
        self._stopping = False
        self.usage = DiskUsage(jobs_dir, store)
        self.remover = FolderRemover(jobs_dir, store)
        self.indexer = Indexer(jobs_dir, store)
        self.notifier = Notifier(settings, store)
        self.trash = Trash(jobs_dir, store, self.rows, self.remover, settings.trash_days, settings.min_free_mb * 2**20)
        self._attempts_left: dict[str, int] = {}  # that ran when the last server was requested to stop
        self._away = ""
        self.problem: Callable[[], str] = lambda: ""  # why the jobs directory or its database is not ours any more
        self.is_leaving: Callable[[], bool] = lambda: False  # whether the server is about to end: then nothing starts any more
        self.health = HealthWatch(jobs_dir, store)
        self.on_delete: Callable[[str], None] = lambda job_id: None
        self._reported: set[Path] = set()
        self._problems: list[tuple[Path, str]] = []

    # -- life -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Take over what an earlier supervisor left: adopt living workers, judge dead ones, scan the folders."""
        with self._guard():
            reserve.keep(self.jobs_dir.hidden)
            self.store.reserve_disk_space()
        self._scan()
        self.remover.finish_earlier()
        with self._guard():
            self.trash.open()
            if self._only is None:
                self.trash.purge_old()
        self._attempts_left = self._take_note_of_stop()
        for job in {job.id: job for job in [*self.store.active(), *self.store.requested()]}.values():
            if job.status == Status.RUN:
                self._try_to_take_over(job)
        for job_id in self.store.uncounted():
            self.usage.count(job_id)
        self._settle()
        self.indexer.start()
        if self._only is None:
            self.health.start_round()

    def close(self) -> None:
        """End the threads; workers are left alone."""
        self.health.close()
        self.usage.close()
        self.indexer.close()
        self.notifier.close()
        self.remover.close()

    def note_stop(self) -> None:
        """The server is requested to stop while workers run: where they end before the next one comes, that was no crash. Whoever
        stops a service often stops all of its processes."""
        attempts = {worker.job_id: worker.attempt for worker in self.executor.workers.values()}
        with self._guard():
            write_json(self.jobs_dir.stopped_file, attempts)

    def _take_note_of_stop(self) -> dict[str, int]:
        try:
            attempts = read_json(self.jobs_dir.stopped_file)
        except StorageError:
            return {}
        with self._guard():
            self.jobs_dir.stopped_file.unlink(missing_ok=True)
        return attempts if isinstance(attempts, dict) else {}

    def problems(self) -> list[dict[str, str]]:
        """Folders in the jobs directory that are left out, with the reason."""
        return [{"path": str(path), "reason": reason} for path, reason in self._problems]

    def tick(self) -> None:
        """Do what is due now; nothing at all while the jobs directory is not the one that this supervisor is for."""
        with self._guard():
            self._away = self.problem()
        if self._away:
            if self._is_due(f"warn {self._away}", WARN_SECONDS):
                logger.warning("%s Nothing is done for as long as it is so.", self._away)
            return
        with self._guard():
            self._follow_clock()
        with self._guard():
            self.executor.escalate()
        self._name_workers()
        for worker in [*self._late.values(), *self.executor.reap()]:
            self._late.pop(worker.job_id, None)
            with self._guard(worker.job_id, on_failure=partial(self._keep, worker)):
                self._ended(worker)
        for job_id in list(self.executor.workers):
            if self._is_due(f"summary {job_id}", SUMMARY_SECONDS):
                with self._guard(job_id):
                    self.summaries.update(job_id)
                    self._note_stall(job_id)
        if self._is_due("beat", BEAT_SECONDS):
            self._check_beats()
        if self._is_due("memory", MEMORY_SECONDS):
            self._check_memory()
        with self._guard():
            self._look_at_queue()
        self._do_chores()

    def _follow_clock(self) -> None:
        """Before anything is measured: where the clock of the machine was set, durations and the trash go on as if it was not."""
        if self._only is not None or not (jump := self.clock.jump()):
            return
        self.rows.follow_clock(jump, time.time())
        self.clock.take_jump()
        logger.warning("The clock of this machine was set by %+.0f s. Durations go on as if it had not been.", jump)

    def stop_jobs(self) -> None:
        """Request every worker to stop and start none any more; the jobs wait for the next supervisor in the queue."""
        self._stopping = True
        for worker in self.executor.workers.values():
            self.executor.stop(worker, Stop.SERVER)

    def is_idle(self) -> bool:
        """Whether no worker runs."""
        return not self.executor.workers and not self._late

    # -- workers --------------------------------------------------------------------------------------------------

    def _try_to_take_over(self, job: Job) -> None:
        """Adopt the worker of a job that runs, or judge that it has none; where that fails, again at the next tick."""
        with self._guard(job.id, on_failure=partial(self._unnamed.add, job.id)):
            self._take_over(job)

    def _take_over(self, job: Job) -> None:
        self._unnamed.discard(job.id)
        worker = self.executor.adopt(job.id, job.pool)
        if worker is None and self.executor.is_busy(job.id):
            self._unnamed.add(job.id)
            return
        if worker is None:
            self._judge(job, *self._absence(job), at=self._last_sign(job))
            return
        self.store.update(job.id, attempt=worker.attempt, **worker.columns)
        logger.info("Adopted the worker%s, which goes on.", where_it_runs(worker), extra={"job_id": job.id})

    def _absence(self, job: Job) -> tuple[Stop, str]:
        """Why a job that should be running has no worker, and the words for it."""
        directory = self.jobs_dir.folder(job.id).worker_directory()
        if directory and directory != self.identity.id:
            where = f"{self.identity.copy_of}, of which this is a copy" if self.identity.copy_of else "another jobs directory"
            return Stop.COPY, f"it ran in {where}"
        stopped = self._attempts_left.get(job.id) == job.attempt
        return Stop.SERVER if stopped else Stop.NO, self.executor.describe_absence(job.id)

    def _last_sign(self, job: Job) -> float:
        """When a worker that ended while no server looked was seen last: what came after is no work. Within the run, whatever the
        clock said."""
        now = time.time()
        since = now if job.running_since is None else job.running_since
        return min(now, max(since, self.jobs_dir.folder(job.id).last_sign()))

    def _name_workers(self) -> None:
        for job_id in list(self._unnamed):
            job = self.store.find(job_id, with_deleted=True)
            if job is None or job.status != Status.RUN:
                self._unnamed.discard(job_id)
                continue
            self._try_to_take_over(job)

    def _keep(self, worker: Worker) -> None:
        """The row of an ended worker could not be changed: judge it again at the next tick."""
        self._late[worker.job_id] = worker

    def _ended(self, worker: Worker) -> None:
        job = self.store.find(worker.job_id, with_deleted=True)
        if job is None:
            return
        if worker.exit_code == EXIT_BUSY:
            self._meet_other(job)
            return
        code = worker.exit_code
        reason = self.executor.describe_absence(job.id) if code is None else exit_words(code)
        if worker.out_of_memory:
            reason = f"the system ended it because the memory ran out ({worker.out_of_memory}); {LESS_MEMORY[Kind(job.kind)]}"
        if worker.stop_reason == Stop.SILENT:
            words, seconds = self.jobs_dir.folder(job.id).silent(), self.settings.heartbeat_seconds
            reason = f"it showed no sign of life for {seconds} s and was ended"
            reason = f"{words}; after {seconds} s it was ended" if words else reason
        if worker.stop_reason == Stop.MEMORY:
            words = LESS_MEMORY[Kind(job.kind)]
            reason = f"The job took {self.limit.words} and was ended: {words}. {self.limit.advice}"
        stop = worker.stop_reason
        if not stop and code in STOPPED:
            stop = Stop.SIGNAL
        self._judge(job, stop, reason)

    def _meet_other(self, job: Job) -> None:
        """A worker of an earlier supervisor has the job: adopt it, or queue the job again where that one just ended."""
        worker = self.executor.adopt(job.id, job.pool)
        if worker is not None:
            self.store.update(job.id, attempt=worker.attempt, **worker.columns)
            return
        if self.executor.is_busy(job.id):
            self._unnamed.add(job.id)
            return
        result = requeued(job, "Another worker had the job; it starts again.", "another worker had it")
        self.rows.transition(job.id, result.status, **result.columns)

    def _judge(self, job: Job, stop: Stop, reason: str, at: float | None = None) -> None:
        result = outcome_of(job, self.summaries.finish(job.id), self.jobs_dir.folder(job.id), stop, reason, self.executor.log)
        columns = {**result.columns, **result_facts(job, self.jobs_dir.folder(job.id), result.status)}
        row = self.rows.transition(job.id, result.status, expected=[Status.RUN], at=at, pid=0, **columns)
        if row.status == Status.DONE:
            with suppress(OSError):
                self.jobs_dir.folder(job.id).finish_file.unlink(missing_ok=True)
        if row.status == Status.WAIT and row.summary.get("interrupted") == STOPPED_FROM_OUTSIDE:
            self.queue.let_rest(job.id, REST_SECONDS)
        if row.requested_action == Action.ABORT and row.status in FINISHED:
            self.store.clear_action(job.id, Action.ABORT)
        if row.kind == Kind.DATASET and row.status == Status.DONE:
            with self._guard(job.id):
                settle(self.jobs_dir, self.store, row)
        logger.info("Ended: %s. %s", row.status.word, row.error or row.message, extra={"job_id": job.id})
        self._due.pop(f"summary {job.id}", None)
        self._due.pop("queue", None)
        self.usage.count(job.id)
        self.health.look_at(job.id)

    def _check_beats(self) -> None:
        for worker in self.executor.silent(self.settings.heartbeat_seconds):
            logger.warning("No sign of life for %d s.", self.settings.heartbeat_seconds, extra={"job_id": worker.job_id})
            self.executor.kill(worker, Stop.SILENT)

    def _note_stall(self, job_id: str) -> None:
        stall = self.summaries.take_stall(job_id)
        job = self.store.find(job_id) if stall is not None and self._only is None else None
        if stall is not None and job is not None:
            self.notifier.stalled(job, stall.at, stall.words)

    def _check_memory(self) -> None:
        greedy = getattr(self.executor, "greedy", None)  # executors of others may be older than this
        for worker in greedy(self.limit.size) if greedy is not None else ():
            logger.warning("It takes %s and is ended.", self.limit.words, extra={"job_id": worker.job_id})
            self.executor.kill(worker, Stop.MEMORY)

    # -- queue and requests ---------------------------------------------------------------------------------------

    def _look_at_queue(self) -> None:
        sequence = self.store.sequence()
        changed = sequence != self._sequence and self.store.pending()
        self._sequence = sequence
        if not changed and not self._is_due("queue", QUEUE_SECONDS):
            return
        self._do_requests()
        for job in [] if self._stopping or self.is_leaving() else self.queue.run():
            self._due[f"summary {job.id}"] = 0.0

    def _do_requests(self) -> None:
        """As many as a tick has time for: somebody may abort or delete hundreds at once."""
        ends = time.monotonic() + REQUESTS_SECONDS
        jobs = [job for job in self.store.requested() if self._only is None or job.id in self._only]
        with self._guard():
            self._abort_waiting(jobs)
        with self._guard():
            self._put_aside(jobs)
        with self._guard():
            self._take_back(jobs)
        for job in jobs:
            if time.monotonic() > ends:
                self._sequence = -1
                return
            with self._guard(job.id):
                self._do_request(job)

    def _abort_waiting(self, jobs: list[Job]) -> None:
        """All at once; what is left of the requests is done one by one."""
        aborted = [job.id for job in jobs if job.requested_action == Action.ABORT and not job.deleted and job.status.is_running]
        waiting = [job_id for job_id in aborted if job_id not in self.executor.workers]
        done = self.rows.transition_many(waiting, Status.ABORT, clear=Action.ABORT, message="Aborted by the user.")
        gone = {job.id for job in done}
        jobs[:] = [job for job in jobs if job.id not in gone]

    def _put_aside(self, jobs: list[Job]) -> None:
        """Let deleted jobs without a worker lie in the trash, all at once; the others are stopped first."""
        busy = self.executor.workers.keys() | self._late.keys() | self._unnamed
        idle = [job.id for job in jobs if job.requested_action == Action.DELETE and job.id not in busy]
        for job in self.rows.settle_deletions(idle if self.settings.trash_days else []):
            self.on_delete(job.id)
            self.usage.count(job.id)
            logger.info("Deleted; it lies in the trash for %d days.", self.settings.trash_days, extra={"job_id": job.id})
        if self.settings.trash_days:
            jobs[:] = [job for job in jobs if job.id not in set(idle)]

    def _take_back(self, jobs: list[Job]) -> None:
        """Let the folders of restored jobs say that they are, all at once."""
        restored = [job for job in jobs if job.requested_action == Action.RESTORE]
        for job in self.rows.save_all(restored):
            logger.info("Restored from the trash.", extra={"job_id": job.id})
        self.store.clear_actions([job.id for job in restored], Action.RESTORE)
        jobs[:] = [job for job in jobs if job.requested_action != Action.RESTORE]

    def _do_request(self, job: Job) -> None:
        match job.requested_action:
            case Action.ABORT:
                self._abort(job)
            case Action.RESUME:
                self._resume(job)
            case Action.FINISH:
                if job.status.is_running and job.attempt:
                    self.jobs_dir.folder(job.id).request_finish()
                self.store.clear_action(job.id, Action.FINISH)
            case Action.EXTEND:
                self._extend(job)
            case Action.RECORDS:
                self._remove_records(job)
            case Action.DELETE | Action.PURGE:
                self._delete(job)

    def _abort(self, job: Job) -> None:
        worker = self.executor.workers.get(job.id)
        if worker is not None:
            self.executor.stop(worker, Stop.ABORT)
            return
        if job.status.is_running:
            self.rows.transition(job.id, Status.ABORT, message="Aborted by the user.")
        self.store.clear_action(job.id, Action.ABORT)

    def _resume(self, job: Job) -> None:
        if job.status in FINISHED:
            self.jobs_dir.folder(job.id).finish_file.unlink(missing_ok=True)
            summary = {**job.summary, "interrupted": f"it was {job.status.word.lower()} and resumed by the user"}
            self.rows.transition(job.id, Status.WAIT, failures=0, error="", message="Resumes.", summary=summary)
        self.store.clear_action(job.id, Action.RESUME)

    def _extend(self, job: Job) -> None:
        """Let a training that is done go on for more epochs. Killed anywhere in here it is done again, and comes to the same."""
        folder = self.jobs_dir.folder(job.id)
        epochs, before = folder.extension()
        if job.status == Status.DONE and epochs:
            folder.finish_file.unlink(missing_ok=True)
            before = before or int(folder.request().spec["epochs"])
            folder.lengthen(epochs)
            index_folder(folder, self.store)  # queries find it by the new number
            summary = {**job.summary, "interrupted": f"it was extended from {before} to {epochs} epochs by the user"}
            self.rows.transition(job.id, Status.WAIT, failures=0, error="", message="Goes on.", progress=0.0, summary=summary)
        folder.extend_file.unlink(missing_ok=True)
        self.store.clear_action(job.id, Action.EXTEND)

    def _delete(self, job: Job) -> None:
        worker = self.executor.workers.get(job.id)
        if worker is not None:
            self.executor.stop(worker, Stop.DELETE)
            return
        if job.requested_action == Action.DELETE and self.settings.trash_days:  # its worker may just have ended
            return
        self.on_delete(job.id)
        parents = self.store.parents(job.id)
        self.remover.remove(job)
        for parent in parents:
            self._forget_kept(parent)

    def _remove_records(self, dataset: Job) -> None:
        """Delete the records of a data set, and end those of its models that wait for them."""
        for model in self.store.children(dataset.id):
            if model.status in (Status.INIT, Status.WAIT):
                words = f"Aborted, because the records of {dataset.name} ({dataset.id}) were deleted."
                self.rows.transition(model.id, Status.ABORT, message=words)
        self.remover.remove_records(dataset)
        self.store.clear_action(dataset.id, Action.RECORDS)
        self.usage.count(dataset.id)
        self.health.look_at(dataset.id)
        self._forget_kept(dataset.id)

    def _forget_kept(self, dataset_id: str) -> None:
        """Delete what was kept of a data set for its models when there is none any more, not in the trash either."""
        if self.jobs_dir.folder(dataset_id).records_removed_file.is_file() and not self.store.is_needed(dataset_id):
            with suppress(NotFound):  # its owner does the same at this moment
                self.store.request_action(dataset_id, Action.PURGE)

    # -- chores ---------------------------------------------------------------------------------------------------

    def _do_chores(self) -> None:
        if self._is_due("scan", SCAN_SECONDS):
            self._scan()
            self.executor.refresh()
            with self._guard():
                if self._only is None:
                    self.trash.purge_old()
        if self._is_due("usage", USAGE_SECONDS):
            for job_id in self.executor.workers:
                self.usage.count(job_id)
        if self._only is None and self._is_due("notify", NOTIFY_SECONDS):
            with self._guard():
                self.notifier.look()
        with self._guard():
            self._report_damage()
        if self._is_due("disk", DISK_SECONDS):
            with self._guard():
                self._report_full_disk()
                if self._only is None:
                    self.trash.make_room()
                reserve.keep(self.jobs_dir.hidden)
                self.rows.flush()

    def _scan(self) -> None:
        """Compare rows with folders; one that came and says that it runs is taken over at the next tick."""
        self._due["scan"] = time.monotonic() + SCAN_SECONDS
        with self._guard():
            report = scan(self.jobs_dir, self.store)
            log_report(report, self._reported)
            self._problems = report.problems
            if report.restored:
                self._settle()
                came = self.store.find_many(set(report.restored) - self.executor.workers.keys()).values()
                self._unnamed |= {job.id for job in came if job.status == Status.RUN}  # a copy of when it ran

    def _settle(self) -> None:
        """Whatever came from an earlier version, or from elsewhere, says what it is for (see `settling`)."""
        for job in unsettled(self.store):
            with self._guard(job.id):
                settle(self.jobs_dir, self.store, job)

    def _report_damage(self) -> None:
        """Log what was found damaged, or whole again, and keep it in the rows."""
        for job_id, found in self.health.take():
            job = self.store.find(job_id)
            if job is None or job.status.is_running:
                continue
            if found:
                logger.warning("Damaged: %s `digits doctor` says what to do.", words(found), extra={"job_id": job_id})
            else:
                logger.info("Nothing of it is damaged any more.", extra={"job_id": job_id})
            self.rows.update(job_id, summary=summary_with(job, found))

    def _report_full_disk(self) -> None:
        """Running jobs pause by themselves while the disk is full; their rows say so."""
        full = free_bytes(self.jobs_dir.path) < DEFAULT_MIN_FREE
        for job_id in self.executor.workers:
            job = self.store.find(job_id)
            words = DISK_FULL if full else NOT_WRITABLE if is_read_only(self.jobs_dir.folder(job_id).path) else ""
            if job is not None and (words or job.message in (DISK_FULL, NOT_WRITABLE)):
                self.rows.set_message(job, words)

    # -- small things ---------------------------------------------------------------------------------------------

    def _is_due(self, name: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(name, 0.0):
            return False
        self._due[name] = now + every
        return True

    @contextmanager
    def _guard(self, job_id: str = "", on_failure: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Log what goes wrong inside and go on; the work is tried again at a later tick."""
        extra = {"job_id": job_id}
        try:
            yield
        except NotFound:
            logger.info("The job is gone.", extra=extra)
        except (SQLAlchemyError, OSError, DigitsError) as error:
            on_failure()
            if self._is_due(f"warn {job_id} {type(error).__name__}", WARN_SECONDS):
                logger.warning("Tried again later: %s", _one_line(error), extra=extra)
        except Exception:
            on_failure()
            if self._is_due(f"warn {job_id}", WARN_SECONDS):
                logger.exception("Unexpected; tried again later.", extra=extra)


def _one_line(error: Any) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
