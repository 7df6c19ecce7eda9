"""How our processes talk: one frame is a JSON header and the raw bytes of NumPy arrays, over a Unix socket.

Holds: supervisor, predictors and plugin host answer frames (`message_server`); a failure is `header["error"]` (`errors`). A frame
is `DGW1`, the header's length (4 bytes) and the body's length (8 bytes), both big-endian, then the header (UTF-8
JSON) and the body. `header["arrays"]` lists name, dtype and shape of each array in the order of their bytes. Only numbers
and booleans of at most 8 bytes travel, little-endian and C-ordered; nothing is ever unpickled. An array that lies in a scratch
file (`scratch`) is named by its file and offset instead. Lengths are checked before
memory is taken for them. NumPy is imported with the first frame, so that an idle web process stays small.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.errors import StorageError, Unavailable
from digits.ipc import last_words
from digits.ipc.errors import error_from_json
from digits.ipc.scratch import StoredArray, confined_file

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"DGW1"
PREFIX = struct.Struct(">4sIQ")
MAX_HEADER = 16 * 2**20
MAX_BODY = 2 * 2**30
MAX_ARRAYS = 65536
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 300.0
READ_CHUNK = 1 << 20
LONGEST_PATH = 107  # bytes of a Unix socket's path


class CommunicationError(Unavailable):
    """The other side went away, took too long or sent what is no frame."""


class NoAnswerInTime(CommunicationError):
    """The other side is there and has not answered yet."""


@dataclass(frozen=True)
class Message:
    """A frame: `header` (JSON types only) and `arrays` by name."""

    header: dict[str, Any]
    arrays: dict[str, Any] = field(default_factory=dict)  # np.ndarray or StoredArray


@contextlib.contextmanager
def socket_address(path: Path | str) -> Iterator[str]:
    """What a Unix socket is bound or connected to: the path, or where that is too long for one (a long TMPDIR) its name below the
    folder's descriptor. Raises OSError where there is no such folder."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        yield str(path)
        return
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def connect(path: Path | str, timeout: float = CONNECT_SECONDS) -> socket.socket:
    """A connected socket. Raises CommunicationError when no process listens at `path`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        with socket_address(path) as address:
            connection.connect(address)
    except OSError as error:
        connection.close()
        raise CommunicationError(f"No process listens at {path}: {error.strerror or error}.") from error
    return connection


def call(path: Path | str, message: Message, timeout: float = ANSWER_SECONDS, scratch: Path | None = None) -> Message:
    """Send one request over a new connection and wait for its answer.

    Raises CommunicationError, LimitExceeded where the other side was ended meanwhile by one of our limits, and whatever
    DigitsError it answers with. `scratch` is the folder below which the answer may name files with arrays.
    """
    with connect(path) as connection:
        return exchange(connection, path, message, timeout, scratch)


def exchange(
    connection: socket.socket,
    path: Path | str,
    message: Message,
    timeout: float = ANSWER_SECONDS,
    scratch: Path | None = None,
) -> Message:
    """As `call`, over a connection to `path` that is there."""
    connection.settimeout(timeout)
    try:
        send(connection, message)
        answer = receive(connection, scratch=scratch)
    except NoAnswerInTime:
        raise
    except CommunicationError as error:
        raise last_words.read(path) or error from None
    if answer.header.get("error"):
        raise error_from_json(answer.header["error"])
    return answer


def send(connection: socket.socket, message: Message) -> None:
    """Write one frame. Raises CommunicationError when the other side is gone, ValueError before it for what cannot travel."""
    arrays = {name: a if isinstance(a, StoredArray) else _plain(a) for name, a in message.arrays.items()}
    described = [_description(name, array) for name, array in arrays.items()]
    sent = [array for array in arrays.values() if not isinstance(array, StoredArray)]
    try:
        header = json.dumps({**message.header, "arrays": described}, separators=(",", ":")).encode()
    except TypeError as error:
        raise ValueError(f"the header of a message is not JSON: {error}") from error
    size = sum(array.nbytes for array in sent)
    if len(header) > MAX_HEADER or size > MAX_BODY:
        raise ValueError(f"a message of {len(header)} + {size} bytes is larger than a frame may be")
    try:
        connection.sendall(PREFIX.pack(MAGIC, len(header), size) + header)
        for array in sent:
            if array.nbytes:
                connection.sendall(array.reshape(-1).view("u1").data)
    except OSError as error:
        raise CommunicationError(f"The other side stopped listening: {error}.") from error


def receive(connection: socket.socket, max_body: int = MAX_BODY, scratch: Path | None = None) -> Message:
    """Read one frame. Raises CommunicationError for an end in the middle, a time-out or bytes that are no frame."""
    message = receive_or_end(connection, max_body, scratch)
    if message is None:
        raise CommunicationError("The other side closed the connection without an answer.")
    return message


def receive_or_end(connection: socket.socket, max_body: int = MAX_BODY, scratch: Path | None = None) -> Message | None:
    """As `receive`, but None where the other side closed the connection between two frames."""
    first = _read_some(connection, PREFIX.size)
    if not first:
        return None
    magic, header_size, body_size = PREFIX.unpack(first + _read(connection, PREFIX.size - len(first)))
    if magic != MAGIC:
        raise CommunicationError("What arrived is no message of digits.")
    if header_size > MAX_HEADER or body_size > max_body:
        announced, limit = f"{header_size} + {body_size} bytes", f"{MAX_HEADER} + {max_body}"
        raise CommunicationError(f"A message announces {announced}; at most {limit} are read.")
    header = _parse(_read(connection, header_size))
    described = _describe(header.pop("arrays", []), body_size, scratch)
    return Message(header, _arrays(described, _read(connection, body_size)))


def _description(name: str, array: np.ndarray | StoredArray) -> dict[str, Any]:
    place = {"file": str(array.path), "offset": array.offset} if isinstance(array, StoredArray) else {}
    return {"name": name, "dtype": array.dtype.str, "shape": list(array.shape), **place}


def _plain(values: Any) -> np.ndarray:
    """C-ordered, little-endian; ValueError unless it holds plain numbers."""
    import numpy as np

    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ValueError(f"arrays of {array.dtype} cannot be sent")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _parse(raw: bytes | bytearray) -> dict[str, Any]:
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CommunicationError(f"The header of a message is not JSON: {error}.") from error
    if not isinstance(header, dict):
        raise CommunicationError("The header of a message is not a JSON object.")
    return header


@dataclass(frozen=True)
class _Described:
    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    stored: StoredArray | None = None

    @property
    def size(self) -> int:
        """Bytes of the body that it takes."""
        return 0 if self.stored is not None else math.prod(self.shape) * self.dtype.itemsize


def _describe(entries: Any, body_size: int, scratch: Path | None) -> list[_Described]:
    """Each array of a message; CommunicationError unless together they fill the body."""
    if not isinstance(entries, list) or len(entries) > MAX_ARRAYS:
        raise CommunicationError("A message lists its arrays in a way that is not understood.")
    described = [_describe_one(entry, scratch) for entry in entries]
    if sum(one.size for one in described) != body_size:
        raise CommunicationError("The arrays of a message do not fill its body.")
    return described


def _describe_one(entry: Any, scratch: Path | None) -> _Described:
    import numpy as np

    if not isinstance(entry, Mapping):
        raise CommunicationError("A message describes an array in a way that is not understood.")
    shape = entry.get("shape")
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and 0 <= n <= MAX_BODY for n in shape):
        raise CommunicationError(f"A message has an array of shape {str(shape)[:100]}.")
    try:
        dtype = np.dtype(str(entry.get("dtype")))
    except (TypeError, ValueError, SyntaxError) as error:
        raise CommunicationError(f"A message has an array of an unknown type: {error}.") from error
    if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype.subdtype is not None:
        raise CommunicationError(f"A message has an array of {dtype}, which is not read.")
    stored = _stored(entry, dtype, tuple(shape), scratch) if "file" in entry else None
    return _Described(str(entry.get("name")), dtype, tuple(shape), stored)


def _stored(entry: Mapping[str, Any], dtype: np.dtype, shape: tuple[int, ...], scratch: Path | None) -> StoredArray:
    """The array in a scratch file that a message names; CommunicationError for a file elsewhere, or one that is too short."""
    offset = entry.get("offset")
    try:
        array = StoredArray(confined_file(scratch, str(entry["file"])), offset if type(offset) is int else -1, dtype, shape)
        is_whole = array.offset >= 0 and array.offset + array.nbytes <= array.path.stat().st_size and array.nbytes > 0
    except (StorageError, OSError) as error:
        raise CommunicationError(f"A message names a file that is not read: {error}") from error
    if not is_whole:
        raise CommunicationError(f"A message names an array that {array.path.name} does not hold.")
    return array


def _arrays(described: list[_Described], body: bytearray) -> dict[str, Any]:
    if not described:
        return {}
    import numpy as np

    arrays: dict[str, Any] = {}
    start = 0
    for one in described:
        if one.stored is not None:
            arrays[one.name] = one.stored
            continue
        part = np.frombuffer(body, dtype=np.uint8, count=one.size, offset=start)
        aligned = part.view(one.dtype) if not start % 8 else np.frombuffer(part.tobytes(), dtype=one.dtype)
        arrays[one.name] = aligned.reshape(one.shape)
        start += one.size
    return arrays


def _read(connection: socket.socket, size: int) -> bytearray:
    """Exactly `size` bytes; memory grows with what arrives, not with what was announced."""
    data = bytearray()
    while len(data) < size:
        chunk = _read_some(connection, min(READ_CHUNK, size - len(data)))
        if not chunk:
            raise CommunicationError(f"The other side stopped after {len(data)} of {size} bytes.")
        data += chunk
    return data


def _read_some(connection: socket.socket, size: int) -> bytes:
    try:
        return connection.recv(size)
    except TimeoutError as error:
        raise NoAnswerInTime(f"No answer within {connection.gettimeout():g} s.") from error
    except OSError as error:
        raise CommunicationError(f"The connection broke: {error}.") from error


class UnixConnection(http.client.HTTPConnection):
    """A connection to the socket at `path`; `timeout` seconds for each read and write, `connect_timeout` for the connection."""

    def __init__(self, path: str, timeout: float, connect_timeout: float = 5.0) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path
        self._connect_timeout = connect_timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._connect_timeout)
        try:
            with socket_address(self._path) as address:
                self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(self.timeout)
