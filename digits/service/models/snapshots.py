"""The snapshots of a model as its folder holds them: `snapshots/epoch_<E>.<extension>`, where E may be a fraction, and
`snapshots/best.<extension>` where the best weights fell between two of them (its metadata knows the epoch)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from digits.domain.training import same_epoch
from digits.errors import BadRequest, NotFound, StorageError
from digits.frameworks import snapshot_suffixes
from digits.service import Service
from digits.service.damage import require_file, require_usable
from digits.storage.jobs.store import Job
from digits.storage.snapshots import epoch_in_name, snapshot_metadata
from digits.utils.values import decimal

NEWEST = (None, -1.0, 0.0)
BEST, START = "best", "start"  # words for a snapshot: where 0 means the newest, that of epoch 0 needs one


@dataclass(frozen=True, order=True)
class Snapshot:
    """One saved state of the weights: `path` is relative to the model's folder. `best`: no other one is better."""

    epoch: float
    path: str
    best: bool = field(default=False, compare=False)

    @property
    def is_between(self) -> bool:
        """Whether it is kept only because it was the best at its moment: no interval fell there."""
        return _is_best_file(Path(self.path))

    @property
    def label(self) -> str:
        """The epoch as people write it: `3`, `0.5`."""
        return f"{self.epoch:g}"

    @property
    def choice(self) -> str:
        """What `find_snapshot` finds it by."""
        return self.label if self.epoch else START

    @property
    def words(self) -> str:
        """The epoch, and what that of epoch 0 is."""
        return self.label if self.epoch else "0, the weights that the training started from: they were the best"


def list_snapshots(service: Service, model: Job, *, with_best: bool = False) -> list[Snapshot]:
    """The snapshots of the training's interval, by ascending epoch; `with_best` also the best one between them."""
    folder = service.folder(model.id)
    snapshots = folder.snapshots
    try:
        names = os.listdir(snapshots)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = sorted(s for name in names if (s := _snapshot(folder.path, snapshots / name)) is not None)
    marked = [replace(s, best=model.best_epoch is not None and same_epoch(s.epoch, model.best_epoch)) for s in found]
    return [snapshot for snapshot in marked if with_best or not snapshot.is_between]


def best_snapshot(service: Service, model: Job) -> Snapshot:
    """The best one, or the newest where none is known to be: what another training starts from that names a model and no epoch.
    (Requests for a prediction, a download or an export that name none get the newest, as the original has it: `find_snapshot`.)
    BadRequest where there is none."""
    known = any(snapshot.best for snapshot in list_snapshots(service, model, with_best=True))
    return find_snapshot(service, model, BEST if known else None)


def find_snapshot(service: Service, model: Job, epoch: float | str | None = None) -> Snapshot:
    """The snapshot of `epoch`; the newest for -1, 0, an empty text or None (R 11.7); `best` is the best one, `start` that of the
    weights which a training started from, kept where they stayed the best.

    Raises Damaged for one whose file was cut or changed, BadRequest for a text that is no number or a model without snapshots,
    NotFound for an epoch it does not have.
    """
    wanted = wanted_epoch(model, epoch)
    if not os.path.isdir(service.folder(model.id)):
        require_usable(service, model)
    found = list_snapshots(service, model, with_best=True)
    if not found:
        raise BadRequest(
            f"{model.name} has no snapshot yet.",
            advice="Wait until the training has written its first one." if model.status.is_running else "Train it again.",
        )
    if wanted in NEWEST and epoch not in (BEST, START):
        return _whole(service, model, next((s for s in reversed(found) if not s.is_between), found[-1]))
    for snapshot in found:
        if wanted is not None and same_epoch(snapshot.epoch, wanted):
            return _whole(service, model, snapshot)
    known = ", ".join(s.label for s in found)
    what = f"epoch {wanted:g}" if wanted is not None else "a best epoch"
    raise NotFound(f"{model.name} has no snapshot of {what}; there are {known}.")


def _whole(service: Service, model: Job, snapshot: Snapshot) -> Snapshot:
    """The snapshot, where it is as it was written and the model can be used."""
    require_file(service, model, snapshot.path)
    require_usable(service, model)
    return snapshot


def _is_best_file(path: Path) -> bool:
    return path.stem == "best" and path.suffix in snapshot_suffixes()


def _snapshot(root: Path, path: Path) -> Snapshot | None:
    epoch = _epoch_in_header(path) if _is_best_file(path) else epoch_in_name(path.name)
    return None if epoch is None else Snapshot(epoch, str(path.relative_to(root)))


def _epoch_in_header(path: Path) -> float | None:
    """The epoch that a snapshot's metadata say; None where they do not."""
    with contextlib.suppress(StorageError, KeyError, TypeError, ValueError):
        return float(snapshot_metadata(path)["epoch"])
    return None


def wanted_epoch(model: Job, epoch: float | str | None) -> float | None:
    """The epoch of a number or a word; None where there is none. Raises BadRequest for a text that is neither."""
    if epoch == BEST:
        return model.best_epoch
    return 0.0 if epoch == START else _number(epoch)


def _number(epoch: float | str | None) -> float | None:
    text = "" if epoch is None else str(epoch).strip()
    return decimal(text, "snapshot_epoch") if text else None
