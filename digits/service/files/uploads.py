"""Uploads: what a browser sends becomes a named folder below `.digits/uploads`, usable in every path field.

Holds: nothing is written outside the upload's own folder; names that would leave it are refused, links and devices are
left out and counted; an archive may not unpack to more than the settings allow; an upload is written aside and takes its
name only when it is whole. Cancelling and deleting asks for no room on the disk and needs none. Who began an upload alone may
send, finish and cancel it. What was begun and got no file for a day is removed at the next start. A file that comes in pieces is
appended to; a piece that comes twice changes nothing, and one that does not fit says where to go on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from digits.errors import BadRequest, Conflict, Forbidden, NotFound, StorageError
from digits.service import Service
from digits.service.files.names import CHUNK, check_free_space, copy_limited, free_path, not_taken, safe_name
from digits.service.files.unpack import unpack_all
from digits.storage.files import atomic, cannot_write, read_json, sync_directory, tree_size, write_json
from digits.storage.modes import make_folder
from digits.utils.locks import locked

PARTIAL = ".partial"  # uploads that are still being sent
ABOUT = ".about"  # one JSON file per upload: owner, time, counts
LOCK = ".lock"  # in ABOUT, while an upload takes its name
TOKEN = re.compile(r"^[0-9a-f]{16}$")
PIECES = ".pieces"  # in the folder of an upload that is being sent: files of which only the beginning is there
PLACE = ".place"  # beside them: where one goes that is whole
REMOVED = "removed-"  # folders on their way out, below PARTIAL
STALE_SECONDS = 86400


@dataclass(frozen=True)
class Upload:
    """One finished upload.

    `path` is the folder that a path field takes, `file` the one file when there is only one; `skipped` counts links and
    other things left out.
    """

    name: str
    path: str
    owner: str = ""
    created: float = 0.0
    files: int = 0
    bytes: int = 0
    skipped: int = 0
    file: str = ""


class Misplaced(Conflict):
    """A piece of a file that does not go on where the last one ended; `offset` is where that is."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message, advice=f"Go on from byte {offset}.")
        self.offset = offset


@dataclass(frozen=True)
class PartialUpload:
    """An upload that is being sent, or that nobody goes on sending: `sent` is the time of the last file. `token` is empty for
    all but whoever began it."""

    token: str
    name: str
    owner: str = ""
    begun: float = 0.0
    sent: float = 0.0
    files: int = 0
    bytes: int = 0


# -- sending ------------------------------------------------------------------------------------------------------


def begin(service: Service, name: str, owner: str) -> str:
    """Start an upload that will be called `name`; the token under which its files are sent."""
    drop_stale(service)
    token = secrets.token_hex(8)
    make_folder(_partial(service), exist_ok=True)
    make_folder(_partial(service) / token, service.jobs_dir.mode)
    try:
        write_json(_about_partial(service, token), {"name": name, "owner": owner, "begun": time.time()})
    except BaseException:
        _remove_partial(service, token)
        raise
    return token


def add_file(service: Service, token: str, relative: str, stream: IO[bytes], user: str = "") -> Path:
    """Write one file of an upload. Raises BadRequest for a path that would leave it or when the limit is reached."""
    folder = _sending(service, token, user)
    check_free_space(service.settings, folder, "upload")
    path = free_path(folder, relative)
    limit = _room(service, folder)
    with atomic(path) as handle:
        copy_limited(stream, handle, limit, f"The upload is larger than {service.settings.max_upload_mb} MiB.", "max_upload_mb")
    os.utime(_about_partial(service, token))
    return path


def add_once(service: Service, token: str, files: Iterable[tuple[str, IO[bytes]]], user: str = "") -> None:
    """Write files of an upload, each by its path and its whole content; what was written before is left as it is."""
    most = _room(service, _sending(service, token, user))
    for relative, stream in files:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        add_piece(service, token, relative, stream, 0, size, user, most=most)
        most -= size


def add_piece(
    service: Service,
    token: str,
    relative: str,
    stream: IO[bytes],
    offset: int,
    size: int,
    user: str = "",
    *,
    most: int | None = None,
) -> int:
    """Append what comes from byte `offset` on to the file `relative` of `size` bytes, which takes its place when it is whole; the
    number of bytes that are there then.

    What is there already is compared and not written again, so a piece may be sent twice. An empty piece asks how much is there.
    `most`: bytes that the upload may still grow by, where the caller knows. Raises Misplaced with the offset to go on from.
    """
    folder = _sending(service, token, user)
    check_free_space(service.settings, folder, "upload")
    if not 0 <= offset <= size:
        raise BadRequest(f"A file of {size:,} bytes has no piece at byte {offset:,}.")
    if most is None:
        most = _room(service, folder)
    make_folder(folder / PIECES, exist_ok=True)
    piece = folder / PIECES / hashlib.sha256(f"{size} {relative}".encode(errors="surrogatepass")).hexdigest()
    if not piece.exists():
        free_path(folder, relative)  # refuses a path that would leave the folder before anything is kept of it
    place = piece.with_suffix(PLACE)  # where the whole file goes, once that is known
    try:
        with open(piece if piece.exists() or not place.exists() else folder / place.read_text(), "ab+") as handle:
            _alone(handle, relative)
            _append(handle, stream, offset, size, relative, most, service.settings.max_upload_mb)
            there = handle.tell()
            if there == size and piece.exists():
                handle.flush()
                os.fsync(handle.fileno())
                if not place.exists():
                    place.write_text(str(free_path(folder, relative).relative_to(folder)))
                os.rename(piece, folder / place.read_text())
                sync_directory((folder / place.read_text()).parent)
    except OSError as error:
        raise cannot_write(error, piece) from error
    os.utime(_about_partial(service, token))
    return there


def _room(service: Service, folder: Path) -> int:
    """Bytes that an upload which is being sent may still grow by."""
    return service.settings.max_upload_mb * 2**20 - tree_size(folder)


def _alone(handle: IO[bytes], relative: str) -> None:
    """Raises Misplaced while another request, perhaps one whose sender has gone, still writes the file."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        there = os.fstat(handle.fileno()).st_size
        raise Misplaced(f"Another request is still writing {relative[:200]!r}; try again in a moment.", there) from None


def _append(handle: IO[bytes], stream: IO[bytes], offset: int, size: int, relative: str, most: int, setting: int) -> None:
    """Compare what comes with what is there, append the rest; the handle is at the end of the file then."""
    there = handle.seek(0, os.SEEK_END)
    if offset > there:
        raise Misplaced(f"Of {relative[:200]!r} only {there:,} bytes are here, none up to byte {offset:,}.", there)
    position, most = offset, most + there
    while chunk := stream.read(CHUNK):
        if position + len(chunk) > size:
            raise BadRequest(f"{relative[:200]!r} is longer than the {size:,} bytes that were announced.")
        known = chunk[: max(0, there - position)]
        if known:
            handle.seek(position)
            if handle.read(len(known)) != known:
                raise BadRequest(
                    f"{relative[:200]!r} is not what it was when it was begun.", advice="Send it again under a new upload."
                )
        position += len(chunk)
        if position > most:
            raise BadRequest(f"The upload is larger than {setting} MiB.", advice="The setting max_upload_mb raises the limit.")
        handle.write(chunk[len(known) :])  # at the end, wherever the handle stands
    handle.seek(0, os.SEEK_END)


def _settle_pieces(folder: Path) -> None:
    """Take away what was noted of files in pieces. BadRequest where one of them is not whole."""
    pieces = folder / PIECES
    left = [path for path in pieces.iterdir() if path.suffix != PLACE] if pieces.is_dir() else []
    if left:
        raise Conflict(
            f"{len(left)} of the files were sent in part only.",
            advice="Send the rest of them, or cancel the upload and begin anew.",
        )
    shutil.rmtree(pieces, ignore_errors=True)


def finish(service: Service, token: str, user: str = "") -> Upload:
    """Unpack the archives that were sent, give the folder its name, and say what it holds."""
    folder = _sending(service, token, user)
    check_free_space(service.settings, folder, "upload")
    _settle_pieces(folder)
    about = _read_about(_about_partial(service, token))
    skipped = unpack_all(service.settings, folder)
    files = sum(len(names) for _, _, names in os.walk(folder))
    if not files:
        raise BadRequest("The upload holds no file.", advice="Send at least one file, or check what the archive contains.")
    inner, only, size = _inner(folder), _only_file(folder, files), tree_size(folder)
    make_folder(service.jobs_dir.uploads / ABOUT, exist_ok=True)
    with locked(service.jobs_dir.uploads / ABOUT / LOCK):  # two of one name have not both found it free
        folder = _sending(service, token, user)  # nobody else has finished it meanwhile
        name = _free_name(service, str(about.get("name") or token))
        target = service.jobs_dir.uploads / name
        path, file = (str(target / Path(found).relative_to(folder)) if found else "" for found in (inner, only))
        upload = Upload(name, path, str(about.get("owner") or ""), time.time(), files, size, skipped, file)
        write_json(_about_file(service, name), asdict(upload))  # first: on a disk that is full now, the upload keeps its owner
        os.rename(folder, target)
    _about_partial(service, token).unlink(missing_ok=True)
    return upload


def cancel(service: Service, token: str, user: str = "") -> None:
    """Remove what was sent so far. Forbidden for an upload that somebody else began."""
    _sending(service, token, user)
    _remove_partial(service, token)


def list_partial(service: Service, user: str | None = None) -> list[PartialUpload]:
    """Uploads that are not finished, oldest first; `user` gets the tokens of its own (None: of all)."""
    try:
        names = sorted(name for name in os.listdir(_partial(service)) if TOKEN.match(name))
    except FileNotFoundError:
        return []
    found = [_partial_upload(service, token, user) for token in names if (_partial(service) / token).is_dir()]
    return sorted(found, key=lambda upload: upload.begun)


# -- what is there ------------------------------------------------------------------------------------------------


def list_uploads(service: Service) -> list[Upload]:
    """All finished uploads, newest first."""
    folder = service.jobs_dir.uploads
    names = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    return sorted((find(service, name) for name in names), key=lambda upload: -upload.created)


def find(service: Service, name: str) -> Upload:
    """The upload of that name. Raises NotFound."""
    folder = service.jobs_dir.uploads / name
    if name.startswith(".") or "/" in name or not folder.is_dir():
        raise NotFound(f"There is no upload {name!r}.")
    about = _read_about(_about_file(service, name))
    try:
        return Upload(**about)
    except TypeError:  # lost or damaged
        return Upload(name, str(folder), created=folder.stat().st_mtime)


def remove(service: Service, name: str, user: str) -> None:
    """Delete an upload. Forbidden when it is somebody else's."""
    upload = find(service, name)
    if upload.owner and upload.owner != user:
        raise Forbidden(f"The upload {name} belongs to {upload.owner}.")
    _about_file(service, name).unlink(missing_ok=True)  # first: once the folder is gone, the name and its note may be another's
    _remove_folder(service, service.jobs_dir.uploads / name)


def _free_name(service: Service, name: str) -> str:
    return not_taken(service.jobs_dir.uploads / safe_name(name)).name


def _inner(folder: Path) -> Path:
    """The folder inside, when an archive held nothing but one folder."""
    entries = list(os.scandir(folder))
    return Path(entries[0].path) if len(entries) == 1 and entries[0].is_dir(follow_symlinks=False) else folder


def _only_file(folder: Path, files: int) -> str:
    return next(str(Path(root) / names[0]) for root, _, names in os.walk(folder) if names) if files == 1 else ""


def _partial(service: Service) -> Path:
    return service.jobs_dir.uploads / PARTIAL


def _about_file(service: Service, name: str) -> Path:
    return service.jobs_dir.uploads / ABOUT / f"{name}.json"


def _about_partial(service: Service, token: str) -> Path:
    return _partial(service) / f"{token}.json"


def _read_about(file: Path) -> dict[str, Any]:
    """What was noted of an upload; empty where that is lost or damaged."""
    try:
        value = read_json(file)
    except StorageError:
        return {}
    return value if isinstance(value, dict) else {}


def _sending(service: Service, token: str, user: str) -> Path:
    """The folder of an upload that is being sent. Raises NotFound, and Forbidden where somebody else than `user` began it."""
    folder = _partial(service) / token
    if not TOKEN.match(token) or not folder.is_dir():
        raise NotFound("This upload is not (or no longer) being sent.", advice="Start it again.")
    owner = _read_about(_about_partial(service, token)).get("owner")
    if owner and user and owner != user:
        raise Forbidden(f"This upload is {owner}'s.")
    return folder


def _partial_upload(service: Service, token: str, user: str | None) -> PartialUpload:
    folder, about = _partial(service) / token, _read_about(_about_partial(service, token))
    owner = str(about.get("owner") or "")
    files = sum(not name.endswith(PLACE) for _, _, names in os.walk(folder) for name in names)
    begun = about.get("begun")
    return PartialUpload(
        token=token if user is None or owner in ("", user) else "",
        name=str(about.get("name") or "unnamed"),
        owner=owner,
        begun=begun if isinstance(begun, float) else _newest(folder),
        sent=_newest(folder),
        files=files,
        bytes=tree_size(folder),
    )


def _newest(folder: Path) -> float:
    """When something was last written below a folder or of its note, in seconds since 1970."""
    times = [0.0]
    for path in (
        folder,
        folder.with_suffix(".json"),
        *(Path(root, name) for root, _, names in os.walk(folder) for name in names),
    ):
        with contextlib.suppress(OSError):
            times.append(path.lstat().st_mtime)
    return max(times)


def _remove_partial(service: Service, token: str) -> None:
    _remove_folder(service, _partial(service) / token)
    _about_partial(service, token).unlink(missing_ok=True)


def _remove_folder(service: Service, folder: Path) -> None:
    """Take a folder away at once and its content then; where there is no room for a new name, the content at once."""
    aside = _partial(service) / f"{REMOVED}{secrets.token_hex(8)}"
    try:
        make_folder(aside.parent, exist_ok=True)
        os.rename(folder, aside)
    except OSError:
        aside = folder
    shutil.rmtree(aside, ignore_errors=True)


def drop_stale(service: Service, *, at_start: bool = False) -> list[str]:
    """Remove uploads to which nothing was added for a day, and `at_start` what was on its way out when a server ended; their
    names."""
    folder, dropped = _partial(service), []
    entries = list(os.scandir(folder)) if folder.is_dir() else []
    for entry in sorted(entries, key=lambda entry: not entry.is_dir(follow_symlinks=False)):  # a note goes after its folder
        path = Path(entry.path)
        if entry.name.startswith(REMOVED):
            if at_start:
                shutil.rmtree(path, ignore_errors=True)
        elif time.time() - _newest(path.with_suffix("")) >= STALE_SECONDS:
            if entry.is_dir(follow_symlinks=False):
                dropped.append(str(_read_about(path.with_suffix(".json")).get("name") or entry.name))
                _remove_folder(service, path)
            else:
                path.unlink(missing_ok=True)
    return dropped
