"""Frames of `digits.storage.wire` as the bodies of HTTP requests and answers."""

from __future__ import annotations

import io
from typing import Any, cast

from digits.storage.wire import Message, receive, send


class _Buffer(io.BytesIO):
    """Bytes behind the two calls that `wire` makes of a socket."""

    def sendall(self, data: Any) -> None:
        self.write(data)

    def recv(self, size: int) -> bytes:
        return self.read(size)


def pack(message: Message) -> bytes:
    """One frame as bytes."""
    buffer = _Buffer()
    send(cast(Any, buffer), message)
    return buffer.getvalue()


def unpack(body: bytes) -> Message:
    """The frame in `body`. Raises WireError."""
    return receive(cast(Any, _Buffer(body)))
