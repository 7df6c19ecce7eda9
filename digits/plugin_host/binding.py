"""Plugins' forms: made inside a request of their own, so that they bind themselves, then refilled, checked and described."""

from __future__ import annotations

import contextlib
import io
import mimetypes
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import wtforms
from flask import Flask
from werkzeug.datastructures import FileStorage, MultiDict

from digits.errors import FormErrors, PluginError
from digits.extensions.data.userdata import NEVER_PASSED

PATH_CLASS = "autocomplete_path"
T = TypeVar("T")


class UploadedPath(str):
    """The path of an uploaded file, which plugins also use as the upload itself: as a file that is open for reading bytes, whose
    lines it gives when it is iterated (a text would give the letters of its path), and as Werkzeug's `FileStorage`.

    It holds no file open, so it can be kept with the plugin's own data; how far it was read is not kept.
    """

    _at = 0  # bytes that were read

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return UploadedPath, (str(self),)

    @property
    def filename(self) -> str:
        return Path(self).name

    @property
    def stream(self) -> io.BytesIO:
        """The whole content, from its start."""
        return io.BytesIO(Path(self).read_bytes())

    @property
    def mimetype(self) -> str:
        return mimetypes.guess_type(self.filename)[0] or "application/octet-stream"

    content_type = mimetype

    @property
    def content_length(self) -> int:
        return Path(self).stat().st_size

    def read(self, size: int | None = -1) -> bytes:
        return self._reading(lambda file: file.read(-1 if size is None else size))

    def readline(self, size: int = -1) -> bytes:
        return self._reading(lambda file: file.readline(size))

    def readlines(self, hint: int = -1) -> list[bytes]:
        return self._reading(lambda file: file.readlines(hint))

    def __iter__(self) -> Iterator[Any]:
        while line := self.readline():
            yield line

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._reading(lambda file: file.seek(offset, whence))

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""

    def _reading(self, work: Callable[[BinaryIO], T]) -> T:
        with open(str(self), "rb") as file:
            file.seek(self._at)
            found = work(file)
            self._at = file.tell()
        return found

    def save(self, destination: Any, buffer_size: int = 16384) -> None:
        data = Path(self).read_bytes()
        if hasattr(destination, "write"):
            destination.write(data)
        else:
            Path(destination).write_bytes(data)


@contextlib.contextmanager
def request_with(app: Flask, values: Mapping[str, Any] | None) -> Iterator[None]:
    """A request that posts `values` (None: one that only reads), in which a plugin makes its form."""
    if values is None:
        context = app.test_request_context("/")
    else:
        context = app.test_request_context("/", method="POST", data=multi_dict(values))
    with context:
        yield


def multi_dict(values: Mapping[str, Any]) -> MultiDict[str, str]:
    """Values as a browser sends them: text, lists as repeated fields, nothing for None."""
    result: MultiDict[str, str] = MultiDict()
    for name, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None and item is not False:
                result.add(name, "y" if item is True else str(item))
    return result


def make_form(plugin: str, maker: Callable[[], Any]) -> Any:
    """The form the plugin makes. Raises PluginError when it is no form."""
    form = maker()
    if not isinstance(form, wtforms.form.BaseForm):
        raise PluginError(
            f"The plugin {plugin} gave {type(form).__name__} as its form.", advice="Return an instance of a flask_wtf form."
        )
    return form


def refill(form: Any, values: Mapping[str, Any], whole: bool = True) -> None:
    """Show values in a form that was just opened.

    `whole`: they are all that was sent once (a clone), so a box that is not among them is not ticked. Otherwise they are a few
    that the address names, and every other field keeps its default.
    """
    sent = multi_dict(values)
    for field in form:
        if isinstance(field, wtforms.FileField):
            continue
        if _was_sent(field, sent) or (whole and isinstance(field, wtforms.BooleanField) and values):
            field.process(sent)
            field.errors = ()


def _was_sent(field: Any, sent: Mapping[str, Any]) -> bool:
    """Whether there is a value for a field, or for a part of one that has parts (`name-0`, `name-part`)."""
    has_parts = isinstance(field, wtforms.FieldList | wtforms.FormField)
    return field.name in sent or (has_parts and any(name.startswith(f"{field.name}-") for name in sent))


def check(form: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values for the plugin's `__init__`. Raises FormErrors."""
    uploads = _put_uploads(form, values)
    try:
        valid = form.validate_on_submit() if hasattr(form, "validate_on_submit") else form.validate()
        if not valid:
            raise FormErrors({str(name or "form"): _messages(found) for name, found in form.errors.items()})
        return _data(form)
    finally:
        for upload in uploads:
            upload.close()


def _put_uploads(form: Any, values: Mapping[str, Any]) -> list[FileStorage]:
    """Give file fields the uploads that the web server stored and named by their paths."""
    uploads = []
    for field in form:
        path = values.get(field.name)
        if isinstance(field, wtforms.FileField) and isinstance(path, str) and path and Path(path).is_file():
            upload = FileStorage(open(path, "rb"), filename=Path(path).name, name=field.name)  # noqa: SIM115  closed by check
            upload.path = path  # type: ignore[attr-defined]
            uploads.append(upload)
            field.data, field.raw_data = upload, [upload]
    return uploads


def _data(form: Any) -> dict[str, Any]:
    return {field.name: _value(field) for field in form if field.name not in NEVER_PASSED}


def _value(field: Any) -> Any:
    if isinstance(field, wtforms.MultipleFileField) and isinstance(field.data, list | tuple):
        return [_upload(item) for item in field.data]
    return _upload(field.data) if isinstance(field, wtforms.FileField) or isinstance(field.data, FileStorage) else field.data


def _upload(value: Any) -> Any:
    """What a field for files holds, as plugins get it: None and an empty text stay."""
    if isinstance(value, FileStorage):
        return UploadedPath(getattr(value, "path", value.filename or ""))
    return UploadedPath(value) if isinstance(value, str) and value else value


def _messages(found: Any) -> list[str]:
    if isinstance(found, Mapping):
        return [f"{name}: {' '.join(_messages(inner))}" for name, inner in found.items()]
    return [str(message) for message in found]


def describe(form: Any, html: str) -> list[dict[str, Any]]:
    """Name, label, type, choices and value of each field, and whether the template marks it as a server path."""
    paths = path_fields(html)
    return [
        {
            "name": field.name,
            "label": field.label.text,
            "type": type(field).__name__,
            "multiline": isinstance(field, wtforms.TextAreaField),
            "upload": isinstance(field, wtforms.FileField),
            "path": field.name in paths,
            "choices": _choices(field),
            "default": plain(field.data),
        }
        for field in form
        if field.name not in NEVER_PASSED
    ]


def path_fields(html: str) -> set[str]:
    """Names of the text inputs with the class `autocomplete_path`; the class means nothing on selects and numbers."""
    parser = _PathInputs()
    parser.feed(html)
    return parser.names


class _PathInputs(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        is_text = tag == "input" and (found.get("type") or "text") in ("text", "search", "url", "file")
        if is_text and PATH_CLASS in (found.get("class") or "").split() and found.get("name"):
            self.names.add(str(found["name"]))


def _choices(field: Any) -> list[list[str]]:
    if not isinstance(field, wtforms.SelectField | wtforms.SelectMultipleField):
        return []
    return [[str(choice[0]), str(choice[1])] for choice in field.iter_choices()]


def plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return [plain(item) for item in value] if isinstance(value, list | tuple) else str(value)
