"""The one place that finds out what is damaged in a job's folder; page, row, log, JSON and `digits doctor` say what it found.

Holds: nothing here writes, nothing raises for what lies in a folder. Files that are as their seal says (see `seals`) cost a look
at their length and time; the events of a job are read once, and then only what was added. Jobs of versions that wrote no seal
are judged by whether their files can be understood.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from digits.domain.damage import Damage
from digits.domain.datasets import STAGES
from digits.domain.events import is_intact
from digits.domain.jobs import FINISHED, PREDICTING, Kind, Status
from digits.errors import DigitsError
from digits.storage.events import read_lines
from digits.storage.files import read_json
from digits.storage.folders import JobFolder
from digits.storage.seals import is_changed, sealed
from digits.storage.snapshots import check_snapshot
from digits.utils.values import counted

MARKER = "records.json"  # of a split, as digits.storage.records.writer
CHECKPOINT = "checkpoint.json"
PREVIOUS = "previous.json"  # names the checkpoint before it
NEVER = -1  # no time of change: the content is read
VALUES = {Kind.DATASET: ("dataset.json",), Kind.EVALUATION: ("result.json",), Kind.EMBEDDING: ("result.json",)}
MAKE_AGAIN = {
    Kind.DATASET: "Clone the data set to make it again from its sources, or bring its folder back from a backup.",
    Kind.MODEL: "Clone the model to train it again, or bring its folder back from a backup.",
    Kind.EVALUATION: "Start the evaluation again on the page of its model.",
    Kind.EXPORT: "Export the model again on its page.",
    Kind.EMBEDDING: "Make the vectors again on the page of its model.",
    Kind.PRETRAINED: "Add it again from where it came, or bring its folder back from a backup.",
}
VITAL = (".json", ".arrow", ".mdb", ".npy", ".pkl", ".py")  # files without which a result cannot be used
LEFT = {
    Kind.DATASET: "Models that were trained on it are loaded and predict as before, but cannot be evaluated on its splits.",
    Kind.MODEL: "Its data set and its evaluations are not touched.",
    Kind.EVALUATION: "Its model is not touched.",
    Kind.EXPORT: "Its model is not touched.",
    Kind.EMBEDDING: "Its model is not touched.",
    Kind.PRETRAINED: "Models that started from it are not touched.",
}


@dataclass(frozen=True)
class Row:
    """What the table of jobs says of a job: with that its folder is compared. `written` is the length that its events had."""

    kind: Kind
    status: Status
    attempt: int
    written: int


@dataclass
class _Log:
    """What was read of an event log: up to `end`, when the file was changed at `changed`."""

    inode: int = 0
    changed: int = 0
    end: int = 0
    lines: int = 0
    damaged: int = 0
    has_end: bool = False  # whether the worker said that the job is done


_logs: dict[Path, _Log] = {}
_lock = threading.Lock()
MOST_LOGS = 20_000


def examine(folder: JobFolder, row: Row, *, deep: bool = False) -> list[Damage]:
    """Everything that is damaged, the worst first. `deep` reads every file that has a seal, however whole it looks."""
    gone = _folder_damage(folder, row)
    if gone is not None:
        return [gone]
    found = [*_request_damage(folder, row), *_result_damage(folder, row, deep), *_events_damage(folder, row)]
    found += [*_checkpoint_damage(folder, row), *_notes_damage(folder)]
    return sorted(found, key=lambda damage: not damage.vital)


def _folder_damage(folder: JobFolder, row: Row) -> Damage | None:
    path = folder.path
    advice = f"{MAKE_AGAIN[row.kind]} If it is not needed, delete the job here."
    if not path.is_dir():
        what = "is no folder any more" if path.exists() else "is gone: somebody deleted or moved it"
        return Damage("", f"The folder {path} {what}.", _changed(path), LEFT[row.kind], advice)
    if not os.access(path, os.R_OK | os.X_OK):
        again = "Give the user who runs digits the right to read it."
        return Damage("", f"The folder {path} cannot be read: permission denied.", _changed(path), LEFT[row.kind], again)
    return None


def _request_damage(folder: JobFolder, row: Row) -> Iterator[Damage]:
    problem = _problem(folder.request)
    if problem:
        works = "What it made is not touched, and the table of jobs has its name, group and notes."
        advice = "Bring the file back from a backup: without it the job cannot be cloned, resumed or used for anything new."
        yield _damage(folder, folder.request_file.name, problem, works, advice)


def _result_damage(folder: JobFolder, row: Row, deep: bool) -> Iterator[Damage]:
    if row.status != Status.DONE:
        return
    removed = row.kind == Kind.DATASET and folder.records_removed_file.is_file()
    if removed:
        yield _removed_records(folder)
    seal = sealed(folder)
    said = {folder.request_file.name} if _problem(folder.request) else set()
    for name in seal or _unsealed(folder, row):
        if name in said or (removed and is_of_records(name)):
            continue
        problem = _sealed_problem(folder.path / name, seal[name], deep) if seal else _unsealed_problem(folder, name)
        if problem:
            yield _of_result(folder, row, name, problem)


def is_of_records(name: str) -> bool:
    """Whether a file, by its path in the folder of a data set, is one of a split's, or one that the records were made from."""
    return name.split("/")[0] in (*STAGES, "sent")


def _removed_records(folder: JobFolder) -> Damage:
    works = "Models that were trained on it predict as before, are exported and downloaded."
    advice = "They can be neither resumed nor evaluated on its splits. Clone the data set to make its records again."
    since = _changed(folder.records_removed_file)
    return Damage("", "The records were deleted; the rest is kept for its models.", since, works, advice, word="records deleted")


def _sealed_problem(path: Path, facts: list[int], deep: bool) -> str:
    try:
        now = path.lstat()
        if not path.is_file():
            return "is no file any more"
        if not is_changed(path, facts, deep):
            return ""
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError, TypeError) as error:
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    if now.st_size < facts[0]:
        return f"was cut: {now.st_size:,} of {facts[0]:,} bytes are left"
    return "is not what was written: its checksum differs"


def _unsealed(folder: JobFolder, row: Row) -> Iterator[str]:
    """What a finished job of an earlier version must have."""
    yield from VALUES.get(row.kind, ())
    if row.kind == Kind.DATASET and not _problem(folder.dataset_info):
        for split in folder.dataset_info().splits:
            yield f"{split}/{MARKER}"
            yield from _shards(folder, split)
    if row.kind in PREDICTING and folder.snapshots.is_dir():
        yield from (f"{folder.snapshots.name}/{path.name}" for path in sorted(folder.snapshots.iterdir()))


def _shards(folder: JobFolder, split: str) -> Iterator[str]:
    try:
        yield from (f"{split}/{shard['file']}" for shard in read_json(folder.path / split / MARKER).get("shards", ()))
    except (DigitsError, AttributeError, KeyError, TypeError):
        return


def _unsealed_problem(folder: JobFolder, name: str) -> str:
    path = folder.path / name
    if name == folder.dataset_file.name:
        return _problem(folder.dataset_info)
    if name.startswith(f"{folder.snapshots.name}/"):
        return _problem(lambda: check_snapshot(path))
    if path.suffix == ".json":
        return _problem(lambda: dict(read_json(path)))
    try:
        sizes = {shard["file"]: shard.get("bytes") for shard in read_json(path.parent / MARKER)["shards"]}
        size, wanted = path.stat().st_size, sizes.get(path.name)
    except FileNotFoundError:
        return "is missing"
    except (DigitsError, OSError, AttributeError, KeyError, TypeError) as error:
        return f"cannot be read: {error}"
    return f"was cut: {size:,} of {wanted:,} bytes are left" if isinstance(wanted, int) and size < wanted else ""


def _of_result(folder: JobFolder, row: Row, name: str, problem: str) -> Damage:
    top = name.split("/")[0]
    if row.kind == Kind.MODEL and top == folder.snapshots.name:
        works = "Other snapshots, curves and settings."
        return _damage(folder, name, problem, works, f"Choose another snapshot. {MAKE_AGAIN[row.kind]}", vital=False)
    if top == folder.checkpoint.name:
        works = "Everything: the training is done, and its snapshots lie apart."
        return _damage(folder, name, problem, works, "Nothing has to be done.", vital=False)
    vital = name.endswith(VITAL) or row.kind in (Kind.EVALUATION, Kind.PRETRAINED)
    works = LEFT[row.kind] if vital else "Everything that does not read this file."
    return _damage(folder, name, problem, works, MAKE_AGAIN[row.kind], vital=vital)


def _events_damage(folder: JobFolder, row: Row) -> Iterator[Damage]:
    name = folder.events_file.name
    if not row.attempt:
        return
    works = "Results, snapshots and predictions are not touched; the row keeps its best values; what can be read is shown."
    advice = "Nothing can bring the lines back but a backup of the file."
    try:
        size = folder.events_file.stat().st_size
        log = _read_log(folder.events_file, whole=row.status in FINISHED)
    except OSError as error:
        problem = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror or error}"
        yield _damage(folder, name, f"{problem}: charts and log are empty", works, advice, vital=False)
        return
    if log.damaged:
        left = log.lines - log.damaged
        rest = f"{counted(left, 'line')} can be read and {'is' if left == 1 else 'are'} shown"
        yield _damage(folder, name, f"holds {counted(log.damaged, 'damaged line')}; {rest}", works, advice, vital=False)
    if size < row.written:
        lost = f"was cut: its last {row.written - size:,} bytes are missing, so charts and log end early"
        yield _damage(folder, name, lost, works, advice, vital=False)
    elif row.status == Status.DONE and not log.has_end and not log.damaged:
        yield _damage(folder, name, "was cut: the line that says that the job is done is missing", works, advice, vital=False)


def _read_log(path: Path, whole: bool) -> _Log:
    """The log, of which only what was added is read again; where it was changed otherwise (or is `whole`), all of it."""
    now = path.stat()
    with _lock:
        log = _logs.get(path, _Log())
    same = log.inode == now.st_ino and (log.changed == now.st_mtime_ns or (not whole and log.end <= now.st_size))
    log = _Log(**vars(log)) if same else _Log(now.st_ino)
    if not same or log.changed != now.st_mtime_ns:
        for end, line in read_lines(path, log.end):
            log.lines += bool(line.strip())
            log.damaged += bool(line.strip()) and not is_intact(line)
            log.has_end = log.has_end or (b'"type":"status"' in line and b'"status":"D"' in line)
            log.end = end
        log.changed = now.st_mtime_ns
        if whole and log.end < now.st_size and log.has_end:  # something stands behind the last line
            log.lines, log.damaged = log.lines + 1, log.damaged + 1
        with _lock:
            if len(_logs) > MOST_LOGS:
                _logs.clear()
            _logs[path] = log
    return log


def _checkpoint_damage(folder: JobFolder, row: Row) -> Iterator[Damage]:
    """Of a training that is to go on; a checkpoint of one that is done has a seal."""
    if row.kind != Kind.MODEL or row.status in (Status.DONE, Status.RUN) or not folder.checkpoint.is_dir():
        return
    name = f"{folder.checkpoint.name}/{CHECKPOINT}"
    works = "Snapshots that were written, their predictions, and the curves."
    step = previous_step(folder)
    goes_on = "starts from the beginning" if step is None else f"goes on from the checkpoint before it, of step {step},"
    advice = f"Resume {goes_on} and says so."
    if not (folder.path / name).exists():
        return
    try:
        value = read_json(folder.path / name)
        problem = state_problem(folder.checkpoint, value)
        name = f"{folder.checkpoint.name}/{value['file']}" if problem else name
    except (DigitsError, KeyError, TypeError) as error:
        problem = f"cannot be understood: {error}"
    if problem:
        yield _damage(folder, name, problem, works, advice, vital=False)


def previous_step(folder: JobFolder) -> int | None:
    """The step of the checkpoint before the newest one, where it is there and whole."""
    try:
        value = read_json(folder.checkpoint / PREVIOUS)
        return int(value["step"]) if not state_problem(folder.checkpoint, value) else None
    except (DigitsError, KeyError, TypeError, ValueError):
        return None


def state_problem(folder: Path, value: dict[str, object]) -> str:
    """Why the state that a checkpoint names (`file`, `bytes`, and of newer versions `crc`) is not whole; empty where it is."""
    path = folder / str(value["file"])
    try:
        size, crc = path.stat().st_size, value.get("crc")
        if size != value["bytes"]:
            return f"was cut: {size:,} of {value['bytes']:,} bytes are left"
        if isinstance(crc, int) and is_changed(path, [size, NEVER, crc]):
            return "is not what was written: its checksum differs"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return ""


def _notes_damage(folder: JobFolder) -> Iterator[Damage]:
    """`user.json` and `state.json`: the row has the same, and writes them anew."""
    for path in (folder.user_file, folder.state_file):
        if path.exists() and (problem := _problem(lambda path=path: dict(read_json(path)))):  # type: ignore[misc]
            advice = "`digits doctor --repair` writes it anew from the table of jobs."
            yield _damage(folder, path.name, problem, "Everything: the table of jobs holds the same.", advice, vital=False)


def _problem(read: Callable[[], object]) -> str:
    """What is wrong with a file, as the rest of a sentence that begins with its name; empty where it can be read."""
    try:
        read()
    except DigitsError as error:
        return "is missing" if "does not exist" in error.message else f"is damaged: {error.message}"
    except FileNotFoundError:
        return "is missing"
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return f"is damaged: {type(error).__name__}: {error}"
    return ""


def _damage(folder: JobFolder, name: str, problem: str, works: str, advice: str, vital: bool = True) -> Damage:
    problem = problem.replace(f"{folder.path / name} ", "it ")  # the sentence begins with the file
    return Damage(name, f"{name} {problem.rstrip('.')}.", _changed(folder.path / name), works, advice, vital)


def _changed(path: Path) -> float:
    """When a file, or the nearest folder that it is missing from, was last changed."""
    for place in (path, *path.parents):
        try:
            return min(place.lstat().st_mtime, time.time())
        except OSError:
            continue
    return 0.0
