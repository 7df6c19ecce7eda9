"""The folder of one job: the names of its files, and how its requests and user columns are read and written."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from digits.domain.datasets import DatasetInfo
from digits.domain.jobs import JOB_ID, SCHEMA, JobRequest, Kind, UserColumns
from digits.errors import StorageError
from digits.storage.files import read_json, write_json
from digits.storage.modes import OWNER_ONLY, close_hidden, make_folder, settle_tree
from digits.utils.confinement import HIDDEN, UPLOADS


class _Below:
    """The path of a name below a folder, made when it is asked for: lists look at thousands of folders."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: JobFolder, _owner: type) -> Path:
        return folder.path / self.name


class JobFolder:
    """Names below one job's directory. Making one does no input or output."""

    request_file = _Below("job.json")
    claim_file = _Below(".claimed")  # while files are put into it, until it is a job
    user_file = _Below("user.json")
    events_file = _Below("events.jsonl")
    worker_file = _Below("worker.json")  # pid, start time, attempt, host of the running worker
    heartbeat_file = _Below("heartbeat")  # changed at each sign of life; says in words which processes show none
    lock_file = _Below("worker.lock")  # locked by the running worker: there is never a second one
    state_file = _Below("state.json")  # status, history, … of the row, so that the row can be made again
    log_file = _Below("worker.log")  # the worker's stdout and stderr
    dataset_file = _Below("dataset.json")
    problems_file = _Below("problems.jsonl")
    userdata_file = _Below("userdata.pkl")
    snapshots = _Below("snapshots")
    exports = _Below("exports")
    answers = _Below("answers")  # the last ones of the model's page, see `service.evaluations.kept`
    checkpoint = _Below("checkpoint")
    versions_file = _Below("versions.json")  # of the packages that a training ran with
    capsule_file = _Below("capsule.json")  # what a training was made of, to do it again and compare
    reproduction_file = _Below("reproduction.json")  # of a training that does another again: whether it gives the same
    records_removed_file = _Below("records_removed.json")  # when its owner removed the records and kept the models
    result_file = _Below("result.json")
    finish_file = _Below("finish.json")  # its user wants the training to end at its next step, as done
    extend_file = _Below("extend.json")  # for how many epochs in all a training that is done is to go on, and how many it had

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def create(self, request: JobRequest, user: UserColumns) -> None:
        """Make the folder with `user.json` and then `job.json`: a folder without `job.json` is not a job."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.user_file, user.to_json())
        write_json(self.request_file, request.to_json())

    def request(self) -> JobRequest:
        """What was requested. Raises StorageError for a file of a newer version or one that is broken."""
        value = read_json(self.request_file)
        if not isinstance(value, dict) or not isinstance(value.get("schema"), int):
            raise StorageError(f"{self.request_file} is not a job of digits.")
        if value["schema"] > SCHEMA:
            raise StorageError(
                f"{self.request_file} was written by a newer version of digits (schema {value['schema']}, known is {SCHEMA}).",
                advice="Start that version on this jobs directory, or use another directory.",
            )
        try:
            return JobRequest.from_json(value)
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{self.request_file} cannot be understood: {error}.") from error

    def settle_task(self) -> JobRequest:
        """The request with the task that a data set turned out to be for: `dataset.json` says it, and `job.json` from now on.

        Any other job and a data set that is not whole are as they were asked for. Raises StorageError.
        """
        request = self.request()
        if request.kind != Kind.DATASET or not self.dataset_file.is_file():
            return request
        with contextlib.suppress(StorageError, KeyError, TypeError, ValueError):
            task = read_json(self.dataset_file)["task"]
            if isinstance(task, str) and task:
                request = self.name_task(task)
        return request

    def name_task(self, task: str) -> JobRequest:
        """The request with this task, in `job.json` too. Only the records show what a plugin's data set and its models are for,
        so this is the one thing of a request that changes. Raises StorageError."""
        request = self.request()
        if task != request.task:
            spec = {**request.spec, "task": task} if "task" in request.spec else request.spec
            request = replace(request, task=task, spec=spec)
            write_json(self.request_file, request.to_json())
        return request

    def lengthen(self, epochs: int) -> JobRequest:
        """The request of a training of so many epochs in all, in `job.json` too. Raises StorageError."""
        request = self.request()
        if request.spec.get("epochs") != epochs:
            form = {**request.form, "train_epochs": str(epochs)} if "train_epochs" in request.form else request.form
            request = replace(request, form=form, spec={**request.spec, "epochs": epochs})
            write_json(self.request_file, request.to_json())
        return request

    def request_finish(self) -> None:
        """Let the training end at its next step, as done. Raises StorageError."""
        write_json(self.finish_file, {"t": time.time()})

    def request_extension(self, epochs: int, before: int) -> None:
        """Note for how many epochs in all the training is to go on, which has trained for `before`. Raises StorageError."""
        write_json(self.extend_file, {"epochs": epochs, "before": before, "t": time.time()})

    def extension(self) -> tuple[int, int]:
        """What `request_extension` noted last: epochs in all, and before (0: an older version did not note that). Two zeros:
        nothing (readable)."""
        try:
            value = read_json(self.extend_file)
            return int(value["epochs"]), int(value.get("before") or 0)
        except (AttributeError, StorageError, KeyError, TypeError, ValueError):
            return 0, 0

    def user(self) -> UserColumns:
        """Name, notes and so on; the job's id as its name where the file is lost."""
        return self.find_user() or UserColumns(name=self.id)

    def find_user(self) -> UserColumns | None:
        """As `user`; None where the file is lost or damaged."""
        try:
            return UserColumns.from_json(read_json(self.user_file))
        except (AttributeError, StorageError, TypeError):
            return None

    def write_user(self, user: UserColumns) -> None:
        write_json(self.user_file, user.to_json())

    def write_state(self, state: dict[str, Any]) -> None:
        """Keep what the supervisor knows about the job beside the job (see `storage.jobs.reindex`)."""
        write_json(self.state_file, state)

    def state(self) -> dict[str, Any]:
        """What `write_state` kept last; empty where there is nothing (readable)."""
        try:
            value = read_json(self.state_file)
        except StorageError:
            return {}
        return value if isinstance(value, dict) else {}

    def worker_directory(self) -> str:
        """The id of the jobs directory for which the newest worker was started (see `storage.identity`); empty: not said."""
        try:
            return str(read_json(self.worker_file).get("directory") or "")
        except (StorageError, AttributeError):
            return ""

    def last_sign(self) -> float:
        """When a worker was last seen to live, by the time of its files; 0: never."""
        found = 0.0
        for file in (self.heartbeat_file, self.events_file):
            with contextlib.suppress(OSError):
                found = max(found, file.stat().st_mtime)
        return found

    def silent(self) -> str:
        """In words which processes of the worker show no sign of life, or hold up the others; empty: none."""
        try:
            return self.heartbeat_file.read_text("utf-8", errors="replace").strip()
        except OSError:
            return ""

    def dataset_info(self) -> DatasetInfo:
        """What a finished data set holds. Raises StorageError while it is not whole, or when its file is broken."""
        info = self.find_dataset_info()
        if info is None:
            raise StorageError(
                f"The data set {self.id} is not there or not finished.", advice="Create it again, or choose another."
            )
        return info

    def find_dataset_info(self) -> DatasetInfo | None:
        """As `dataset_info`; None while the data set is not whole, or when its folder is gone."""
        if not self.dataset_file.is_file():
            return None
        value = read_json(self.dataset_file)
        try:
            return DatasetInfo.from_json(value)
        except (AttributeError, TypeError, KeyError, ValueError) as error:
            raise StorageError(
                f"{self.dataset_file} cannot be understood: {error}.", advice="Create the data set again."
            ) from error

    def snapshot_file(self, name: str) -> Path:
        """The file of a snapshot by its path in this folder, links followed. Raises StorageError where none is there, and for a
        path that leaves the folder."""
        path = (self.path / name).resolve()
        if self.path.resolve() not in path.parents or not path.is_file():
            raise StorageError(f"Model {self.id} has no snapshot {name!r} (any more).", advice="Choose another epoch.")
        return path

    def trace_file(self, step: int) -> Path:
        """The execution trace of a step of a training; the original's name."""
        return self.path / f"timeline_{step}.json"

    def spec(self) -> dict[str, Any]:
        return self.request().spec

    def exists(self) -> bool:
        return self.request_file.is_file()


class JobsDir:
    """The jobs directory: one folder per job and `.digits/` for what belongs to the server."""

    def __init__(self, path: Path, mode: int = OWNER_ONLY) -> None:
        self.path = path
        self.mode = mode  # of the folders of jobs and uploads
        self.hidden = path / HIDDEN
        self.database_file = self.hidden / "digits.sqlite"
        self.lock_file = self.hidden / "lock"
        self.stopped_file = self.hidden / "stopped.json"  # attempts that ran when a server was requested to stop
        self.secret_file = self.hidden / "secret"
        self.uploads = self.hidden / UPLOADS
        self.going = self.hidden / "trash"  # folders that are being removed; jobs that can be restored stay where they are
        self.scratch = self.hidden / "scratch"  # arrays of requests that are under way

    def prepare(self) -> None:
        """Make what is missing and keep others out of `.digits`. Raises StorageError when the directory cannot be written."""
        try:
            if not self.path.exists():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                make_folder(self.path, self.mode, exist_ok=True)
            make_folder(self.hidden, exist_ok=True)
            make_folder(self.uploads, exist_ok=True)
            close_hidden(self.hidden)
            probe = self.hidden / f".probe-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StorageError(
                f"The jobs directory {self.path} cannot be written: {error.strerror or error}.",
                advice="Choose another with --jobs-dir (or DIGITS_JOBS_DIR), or change its permissions.",
            ) from error

    def settle_modes(self) -> None:
        """Give the folders of jobs and uploads that are there already the mode that new ones get."""
        folders = [*self.path.iterdir(), *self.uploads.iterdir()]
        for folder in folders:
            if JOB_ID.match(folder.name) or (folder.parent == self.uploads and folder.is_dir()):
                settle_tree(folder, self.mode)

    def folder(self, job_id: str) -> JobFolder:
        """The folder of a job, which need not exist. StorageError when the text is no job id."""
        if not JOB_ID.match(job_id):
            raise StorageError(f"{job_id!r} is not a job id.")
        return JobFolder(self.path / job_id)

    def folders(self) -> list[JobFolder]:
        """Every folder that holds a job, oldest id first."""
        if not self.path.is_dir():
            return []
        names = sorted(name for name in os.listdir(self.path) if JOB_ID.match(name))
        return [folder for folder in (JobFolder(self.path / name) for name in names) if folder.exists()]

    def foreign(self) -> list[Path]:
        """Job folders of the original tool (`status.pickle`), which are named to the user and left untouched."""
        if not self.path.is_dir():
            return []
        return sorted(p.parent for p in self.path.glob("*/status.pickle"))
