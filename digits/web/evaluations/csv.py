"""Tables of evaluations as CSV, sent while they are made."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Response

CHUNK = 1 << 16


def answer(lines: Iterable[Iterable[Any]], name: str) -> Response:
    """The rows as a download called `name`."""

    def text() -> Iterator[str]:
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for line in lines:
            writer.writerow(line)
            if buffer.tell() > CHUNK:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
        yield buffer.getvalue()

    return Response(text(), mimetype="text/csv", headers={"Content-Disposition": f'attachment; filename="{name}"'})


def with_head(head: list[str], lines: Iterable[Iterable[Any]]) -> Iterator[Iterable[Any]]:
    yield head
    yield from lines
