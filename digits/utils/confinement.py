"""Which files of the server may be read: those in the allowed folders, links followed; where no folder is allowed, none.

Holds: closed by default; a link is judged by what it leads to, a path with `..` by where it ends. In an allowed folder `.digits`
(the server's database and secret) is closed but for the uploads, and `userdata.pkl`, which Python would run, always is. What is
refused is refused in the words of `OUTSIDE`, whoever sends the request. `open` judges what it has opened, whatever a link led to
meanwhile. Readers of files open them with `open_file`, or have all of one from `read_file`, which do so where the work at hand
reads for somebody (`reading_from`); a library that opens a file itself gets the path that `opened` gives, which leads to what was
judged.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from digits.errors import Forbidden

EVERYWHERE = ("/",)  # for whoever may read what the shell may
HIDDEN, UPLOADS = ".digits", "uploads"  # below the jobs directory
PRIVATE = frozenset({"userdata.pkl"})
OUTSIDE = "outside the folders that digits may read (setting data_dirs)"
JUDGED = PRIVATE | {HIDDEN, "", ".", ".."}  # names that are not as open as their folder
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
NO_LINK = FLAGS | os.O_NOFOLLOW
PIECE = 1 << 20  # bytes at once, of a file that says nothing of its length
LARGEST_FILE = 3 << 29  # bytes that are read at once: 1.5 GiB
MOST_FOLDERS = 32  # that are held open
FOLDER_SECONDS = 1.0  # so long a folder is taken for the one that lies at its path
OPENED = "/proc/self/fd"  # where Linux says which file a descriptor is
ADVICE = "Add its folder to the setting data_dirs (DIGITS_DATA_DIRS) and start the server again."


class Confinement:
    """The folders that files may come from, e.g. `data_dirs` and the uploads. None: nothing may be read."""

    def __init__(self, roots: Iterable[str | Path] = ()) -> None:
        self.roots = tuple(os.path.realpath(root) for root in roots)
        links = (os.path.join(root, HIDDEN) for root in self.roots)
        self.hidden = tuple(os.path.realpath(link) for link in links if os.path.islink(link))  # where it lies elsewhere
        self._real_folder = functools.lru_cache(maxsize=4096)(os.path.realpath)
        self._folder_is_open = functools.lru_cache(maxsize=4096)(self._is_open)  # which the path alone decides
        self._folders: dict[str, _Folder | None] = {}  # from which files were opened lately; None: one file

    def allows(self, path: str | Path) -> bool:
        """Whether the file or folder behind `path` may be read."""
        return self._is_open(self._behind(str(path)))

    def refusal(self, path: str | Path) -> str:
        """Why `path` may not be read; empty where it may."""
        return "" if self.allows(path) else f"{path} is {OUTSIDE}."

    def resolve(self, path: str | Path) -> str:
        """The path behind `path`, without links: the one to open. Raises Forbidden."""
        real = self._behind(str(path))
        if not self._is_open(real):
            raise Forbidden(f"{path} is {OUTSIDE}.", advice=ADVICE)
        return real

    def open(self, path: str | Path) -> IO[bytes]:
        """The file behind `path`, opened for reading and judged by what was opened. Raises Forbidden and OSError; what is no
        ordinary file is an OSError too, for a pipe would be waited for."""
        text = os.fspath(path)
        return _file(self.descriptor(text), text)

    def descriptor(self, text: str) -> int:
        """A descriptor of what lies behind a path, whatever that is, judged by what was opened. Raises Forbidden and OSError."""
        folder, _, name = text.rpartition("/")
        known = self._folders.get(folder)
        if known is not None and known.until > time.monotonic() and name not in JUDGED:
            try:
                return os.open(name, NO_LINK, dir_fd=known.descriptor)
            except OSError:  # a link, or whatever else takes a longer look
                pass
        try:
            descriptor = os.open(text, FLAGS)
        except OSError as error:
            if not self._is_open(os.path.realpath(text)):  # nor is said what lies there
                raise Forbidden(f"{text} is {OUTSIDE}.", advice=ADVICE) from error
            raise
        try:
            real = _behind_descriptor(descriptor) or os.path.realpath(text)
            if not self._file_is_open(real):
                raise Forbidden(f"{text} is {OUTSIDE}.", advice=ADVICE)
        except BaseException:
            os.close(descriptor)
            raise
        self._remember(folder, os.path.dirname(real))
        return descriptor

    def _remember(self, folder: str, real: str) -> None:
        """The next files of a folder that no link leads to may be opened in it without a look at where it lies, for a short
        time; from its second file on, for it costs more than one look."""
        if not folder or folder != real or not self._folder_is_open(real):
            return
        if folder not in self._folders:
            if len(self._folders) >= MOST_FOLDERS:
                self._folders = {}
            self._folders[folder] = None
            return
        with contextlib.suppress(OSError):
            found = _Folder(folder)
            if _behind_descriptor(found.descriptor) == real:
                self._folders[folder] = found

    @contextlib.contextmanager
    def opened(self, path: str | Path) -> Iterator[str]:
        """A path, good for the block, by which a library opens the very file that was judged; raises what `open` does."""
        with self.open(path) as file:
            yield f"{OPENED}/{file.fileno()}"

    def _behind(self, path: str) -> str:
        """Where a path leads; the folders of many files are looked up once."""
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        real = os.path.join(self._real_folder(folder or "."), name)
        return os.path.realpath(real) if os.path.islink(real) else real

    def _file_is_open(self, real: str) -> bool:
        """As `_is_open`, of a file; quick for many files of a folder."""
        folder, name = os.path.split(real)
        plain = name not in PRIVATE and name != HIDDEN
        return (plain and self._folder_is_open(folder)) or self._is_open(real)

    def _is_open(self, real: str) -> bool:
        if os.path.basename(real) in PRIVATE:
            return False
        if any(_is_hidden(f"{HIDDEN}{real[len(folder) :]}") for folder in self.hidden if f"{real}/".startswith(f"{folder}/")):
            return False
        prefixes = (root.rstrip("/") + "/" for root in self.roots)
        return any((real + "/").startswith(prefix) and not _is_hidden(real[len(prefix) :]) for prefix in prefixes)


class _Folder:
    """An opened folder that was judged: what lies in it by another name than a link's is as open as it is."""

    def __init__(self, path: str) -> None:
        self.descriptor = -1
        self.descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.until = time.monotonic() + FOLDER_SECONDS

    def __del__(self) -> None:  # when no thread opens a file in it any more
        if self.descriptor >= 0:
            os.close(self.descriptor)


def _file(descriptor: int, path: str) -> IO[bytes]:
    """The file of a descriptor, by a name that libraries can read. Raises OSError for what is no ordinary file."""
    try:
        _check_ordinary(os.fstat(descriptor).st_mode, path)
        return open(path, "rb", opener=lambda *_: descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _contents(descriptor: int, path: str) -> bytes:
    """All bytes of the file of a descriptor, which is closed. Raises OSError for what is no ordinary file."""
    try:
        status = os.fstat(descriptor)
        _check_ordinary(status.st_mode, path)
        _check_size(status.st_size, path)
        data = os.read(descriptor, status.st_size + 1)
        if len(data) == status.st_size:  # it ended there
            return data
        parts, size = [data], len(data)
        while data:  # it grew, the system gave less at once, or nobody knows how long it is
            data = os.read(descriptor, PIECE)
            parts.append(data)
            size += len(data)
            _check_size(size, path)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _check_size(size: int, path: str) -> None:
    if size > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"it has {size / 2**30:,.1f} GiB; at most {LARGEST_FILE / 2**30:g} are read at once", path)


def _check_ordinary(mode: int, path: str) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, not a file", path)


_reading: ContextVar[Confinement | None] = ContextVar("reading", default=None)
_noting: ContextVar[Callable[[], None] | None] = ContextVar("noting", default=None)


@contextlib.contextmanager
def reading_from(allowed: Confinement | None, note: Callable[[], None] | None = None) -> Iterator[None]:
    """While the block runs, `open_file` opens only what may be read (None: everything), and calls `note` for each file. Threads
    that it starts do not know of it: they are given `current` and begin with `adopt`."""
    token, noting = _reading.set(allowed), _noting.set(note)
    try:
        yield
    finally:
        _reading.reset(token)
        _noting.reset(noting)


def current() -> tuple[Confinement | None, Callable[[], None] | None]:
    """Where the work at hand may read from, and whom it calls for each file."""
    return _reading.get(), _noting.get()


def adopt(allowed: Confinement | None, note: Callable[[], None] | None) -> None:
    """Read from there in this thread from now on."""
    _reading.set(allowed)
    _noting.set(note)


@functools.lru_cache(maxsize=16)
def of_roots(roots: tuple[str, ...]) -> Confinement:
    """One Confinement for many blocks that judge by `open`, which remembers nothing of folders."""
    return Confinement(roots)


def open_file(path: str | os.PathLike[str]) -> IO[bytes]:
    """A file opened for reading. Raises OSError, for what may not be read in the words of `OUTSIDE`, and for a pipe, which would
    be waited for, or a device, which may never end."""
    text = os.fspath(path)
    return _file(_descriptor(text), text)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """All bytes of a file, for less than it takes to open and read it. Raises what `open_file` does, and OSError for one of more
    than `LARGEST_FILE` bytes, whose claim would take the memory before a byte of it is looked at."""
    text = os.fspath(path)
    return _contents(_descriptor(text), text)


def _descriptor(path: str) -> int:
    allowed, note = current()
    if note is not None:
        note()
    if allowed is None:
        return os.open(path, FLAGS)
    try:
        return allowed.descriptor(path)
    except Forbidden as error:
        raise PermissionError(errno.EACCES, f"it is {OUTSIDE}", path) from error


def _behind_descriptor(descriptor: int) -> str:
    """The path of what was opened; empty where the system does not say."""
    try:
        return os.readlink(f"{OPENED}/{descriptor}")
    except OSError:
        return ""


def _is_hidden(path: str) -> bool:
    """Whether a path below an allowed folder is one of the server's own."""
    parts = path.split("/")
    return HIDDEN in parts and parts[parts.index(HIDDEN) + 1 :][:1] != [UPLOADS]
