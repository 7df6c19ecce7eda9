"""How much of a request is read into memory: what is too long is refused before it is parsed (413).

Files stream to the disk, and only `max_upload_mb` limits them, but for requests to published names (32 MiB). A form without files
and a JSON body are held in memory as many small objects, some twenty times their size.
"""

from __future__ import annotations

from typing import IO, Any

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

MAX_FIELDS = 50_000
MAX_FORM_BYTES = 32 * 2**20
MAX_JSON_BYTES = 8 * 2**20
FORM = "application/x-www-form-urlencoded"
MAX_SERVED_BYTES = 32 * 2**20  # of a request to a published name, which is held in memory whole
SERVED = "serving."  # begins the endpoints of published names
RAW = "files.send"  # what is sent there with PUT is the content of a file, whatever its type


class LimitedForm(FormDataParser):
    """Counts the fields of a form before they become objects."""

    def _parse_urlencoded(self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str]) -> Any:
        data = stream.read()
        if data.count(b"&") >= MAX_FIELDS:
            raise RequestEntityTooLarge(f"A form may have {MAX_FIELDS:,} fields.")
        return super()._parse_urlencoded(_Read(data), mimetype, len(data), options)  # type: ignore[arg-type]


class LimitedRequest(Request):
    """A request whose form or JSON body is bounded."""

    form_data_parser_class = LimitedForm

    @property
    def max_content_length(self) -> int | None:
        most = MAX_SERVED_BYTES if (self.endpoint or "").startswith(SERVED) else super().max_content_length
        own = MAX_JSON_BYTES if self.is_json else MAX_FORM_BYTES if self.mimetype == FORM and not self.is_raw else most
        return own if most is None or (own is not None and own < most) else most

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._max_content_length = value

    @property
    def is_raw(self) -> bool:
        """Whether the body is the content of a file that is uploaded."""
        return self.method == "PUT" and self.endpoint == RAW

    @property
    def is_json(self) -> bool:
        return not self.is_raw and super().is_json


class _Read:
    """A stream of what was read already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1) -> bytes:
        data, self._data = self._data, b""
        return data
