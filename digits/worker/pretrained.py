"""The runner of pretrained models: fetches the files of a store, makes a snapshot of weights from elsewhere, tries it once.

What was fetched stays until the job is done, so that a run that was interrupted goes on with it. Nothing is unpickled: weights
are read as safetensors, as HDF5, or by PyTorch as tensors alone.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from digits.domain.events import LogEvent, ProgressEvent, WarningEvent
from digits.domain.pretrained import ABOUT, GIVEN, LICENCE, Fetched, PretrainedSpec, describes_a_model
from digits.engines.base import Predictor, get_engine
from digits.engines.network.python_layers import layer_file, use
from digits.errors import DataError, Forbidden, JobStopped, LoadImageError, StorageError
from digits.storage.files import atomic, write_json
from digits.storage.snapshots import check_snapshot, snapshot_metadata
from digits.storage.thresholds import FILE as THRESHOLDS
from digits.storage.thresholds import believed, read_thresholds
from digits.utils.confinement import Confinement
from digits.utils.fetch import download
from digits.utils.names import is_address
from digits.worker.training import keep_versions

if TYPE_CHECKING:
    from digits.worker.runtime import WorkerContext

CHUNK = 1 << 20
MOST_BYTES = 1 << 40  # of a file of a store that does not say how large it is
EVERY_SECONDS = 0.5  # between two words on the progress
FETCHING = 0.8  # of the whole work


def run(context: WorkerContext) -> None:
    """Make the pretrained model that `job.json` describes."""
    spec, folder = PretrainedSpec.from_json(context.request.spec), context.folder
    given = folder.path / GIVEN
    for number in range(len(spec.fetch)):
        _fetch(context, spec, number, given)
    text = _text(context, spec, given)
    if remark := str(spec.origin.get("labels_remark", "")):
        context.emit(WarningEvent(code="class-names", message=f"The labels file: {remark}"))
    keep_versions(context, spec.framework)
    use(layer_file(folder.path, spec.python_layers))
    snapshot, weights = folder.path / spec.snapshot, given / spec.weights
    if not snapshot.is_file():
        _report(context, FETCHING, "read the weights")
        _make_snapshot(context, spec, weights, text, snapshot)
    _report(context, 0.9, "try it")
    predictor = get_engine(spec.framework).load(snapshot, "cpu")
    _try(context, predictor)
    _write_beside(folder.path, snapshot_metadata(snapshot))
    for name in (LICENCE, ABOUT):
        if (given / name).is_file():
            shutil.copyfile(given / name, folder.path / name)
    if chosen := believed(read_thresholds(given), from_here=spec.origin.get("kind") == "model"):
        write_json(folder.path / THRESHOLDS, {"thresholds": chosen})
    shutil.rmtree(given, ignore_errors=True)
    _report(context, 1.0, "done")


def _fetch(context: WorkerContext, spec: PretrainedSpec, number: int, given: Path) -> None:
    """Bring a file of a store here, and compare it with what the store says of it. DataError where it is another."""
    one, count = spec.fetch[number], len(spec.fetch)
    target = given / one.name
    if target.is_file():  # an earlier attempt brought it whole
        return
    given.mkdir(exist_ok=True)
    began, said = time.monotonic(), 0.0

    def tell(done: int) -> None:
        nonlocal said
        if context.should_stop():
            raise JobStopped("The download was stopped.")
        if (now := time.monotonic()) - said > EVERY_SECONDS:
            said, rate = now, done / max(now - began, 1e-3)
            share = min(1.0, done / one.size) if one.size > 0 else 0.0
            eta = (one.size - done) / rate if one.size > 0 and rate else None
            fraction, total = FETCHING * (number + share) / count, max(one.size, 0)
            stage = f"fetch {one.name}"
            context.emit(ProgressEvent(fraction=fraction, stage=stage, done=done, total=total, unit="bytes", rate=rate, eta=eta))

    with atomic(target) as file:
        if is_address(one.place):
            download(one.place, file, private=True, most=one.size if one.size >= 0 else MOST_BYTES, on_bytes=tell)
        else:
            _copy(Path(one.place), Path(str(spec.origin.get("store", ""))), file, tell)
        file.flush()
        _compare(context, one, Path(file.name))


def _copy(source: Path, store: Path, target: Any, tell: Any) -> None:
    """A file of a store that is a folder, from which no link leads out."""
    done = 0
    try:
        opened = Confinement([store]).open(source)
    except Forbidden as error:
        raise DataError(f"{source} is a link that leads out of the store.", advice="Tell whoever runs the store.") from error
    except OSError as error:
        raise LoadImageError(
            f"{source} cannot be read: {error.strerror or error}.", advice="Look at the store's folder."
        ) from error
    with opened as file:
        while chunk := file.read(CHUNK):
            target.write(chunk)
            done += len(chunk)
            tell(done)


def _compare(context: WorkerContext, one: Fetched, file: Path) -> None:
    size = file.stat().st_size
    if one.size >= 0 and size != one.size:
        raise DataError(f"{one.name} has {size:,} bytes; the store says {one.size:,}.", advice="Tell whoever runs the store.")
    if not one.sha256:
        context.emit(LogEvent(message=f"{one.name}: {size:,} bytes. The store gives no hash, so it was not compared."))
        return
    with open(file, "rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != one.sha256.lower():
        raise DataError(
            f"{one.name} is not what the store says: its SHA-256 is {found}, expected {one.sha256.lower()}.",
            advice="It was changed or cut on its way, or in the store. Nothing of it is used.",
        )
    context.emit(LogEvent(message=f"{one.name}: {size:,} bytes, SHA-256 as the store says."))


def _text(context: WorkerContext, spec: PretrainedSpec, given: Path) -> str:
    """The network text, which lies in the job's folder from now on. StorageError where it did not come."""
    file = context.folder.path / "network.py"
    if not file.is_file():
        try:
            text = spec.network or (given / "network.py").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError(f"The network text cannot be read: {error}.", advice="It has to be Python in UTF-8.") from error
        with atomic(file) as handle:
            handle.write(text.encode(errors="surrogatepass"))
    layers = given / "digits_python_layers.py"
    if spec.python_layers and layers.is_file():
        shutil.copyfile(layers, context.folder.path / layers.name)
    return file.read_text(encoding="utf-8", errors="surrogatepass")


def _make_snapshot(context: WorkerContext, spec: PretrainedSpec, weights: Path, text: str, snapshot: Path) -> None:
    """One of ours is kept as it is; other weights are built into the network and written as one."""
    snapshot.parent.mkdir(exist_ok=True)
    if weights.suffix == snapshot.suffix and snapshot_metadata(weights):
        check_snapshot(weights)
        if not describes_a_model(snapshot_metadata(weights)):
            raise StorageError(f"{weights.name} says of itself what no snapshot says.", advice="Download the model again.")
        if str(snapshot_metadata(weights).get("task")) != spec.task:
            raise StorageError(f"{weights.name} is not for the task {spec.task} that it was announced for.")
        with atomic(snapshot) as handle, open(weights, "rb") as source:
            shutil.copyfileobj(source, handle, CHUNK)
        return
    data = get_engine(spec.framework).adopt(text, weights, spec.meta)
    with atomic(snapshot) as handle:
        handle.write(data)


def _try(context: WorkerContext, predictor: Predictor) -> None:
    """Let it predict one black picture. A warning where that gives no numbers."""
    meta = predictor.meta
    dtype = (meta.get("preparation") or {}).get("dtype", "uint8")
    black = np.zeros((1, *(meta.get("stored_shape") or meta["input_shape"])), dtype)
    outputs = predictor.predict(black)
    shapes = ", ".join(f"{name} {'×'.join(map(str, value.shape[1:])) or 1}" for name, value in outputs.items())
    context.emit(LogEvent(message=f"It takes pictures of {'×'.join(map(str, black.shape[1:]))} and gives {shapes}."))
    if bad := [name for name, value in outputs.items() if not np.isfinite(value).all()]:
        message = f"For a black picture {', '.join(bad)} holds values that are no numbers."
        context.emit(WarningEvent(code="no-numbers", message=message, advice="Test it before you build on it."))


def _write_beside(folder: Path, meta: dict[str, Any]) -> None:
    """What prepares pictures, and the labels, for whoever looks into the folder."""
    write_json(folder / "preprocessing.json", meta)
    if labels := meta.get("class_labels"):
        with atomic(folder / "labels.txt") as handle:
            handle.write("".join(f"{label}\n" for label in labels).encode(errors="surrogatepass"))


def _report(context: WorkerContext, fraction: float, stage: str) -> None:
    if context.should_stop():
        raise JobStopped("It was stopped.")
    context.emit(ProgressEvent(fraction=fraction, stage=stage))
