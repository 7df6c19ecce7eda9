"""Text of files in the encodings that people have: one decoding for every reader, and XML and JSON on top of it.

Holds: a byte order mark decides; without one text is UTF-8 where it can be, else Windows-1252, in which every byte means
something. So no byte raises an exception; what is no text is seen by whoever reads the lines.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
from collections.abc import Generator, Iterator
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from digits.errors import DataError
from digits.utils.confinement import open_file
from digits.utils.values import sizeof_fmt

MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LOOKED_AT = 256  # bytes that tell UTF-16 without a mark
LARGEST_XML = 256 << 20
LONGEST_LINE = 4 << 20  # characters of a line of a list or table
LARGEST_LABELS = 4 << 20  # bytes of a file that names classes, which take some twenty times as much as names
LARGEST_LIST = 64 << 20  # bytes of a list that is answered while somebody waits
DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
# What files that declare the first really hold, as browsers read them (WHATWG Encoding, section 4.2).
LARGER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "cp950", "ascii": "cp1252"}


def decoded(data: bytes) -> str:
    """The text of a file's bytes; never an exception."""
    encoding, mark = _marked(data)
    if encoding:
        return data[len(mark) :].decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1").translate(WINDOWS)


def read_text(path: str | os.PathLike[str], most: int = 0) -> str:
    """The text of a file, or of its first `most` bytes. Raises DataError."""
    data = _bytes(path, most)
    if most and len(data) == most and not _marked(data)[0]:
        data = _whole_characters(data)
    return decoded(data)


def split_lines(text: str) -> list[str]:
    """Lines without their ends, which are those of Windows, Unix or old Macs; nothing else ends a line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def whole_text(path: str | os.PathLike[str], most: int) -> str:
    """The text of a file of at most `most` bytes, which is not read where it has more. Raises DataError."""
    data = _bytes(path, most + 1)
    if len(data) > most:
        raise DataError(f"{path} has more than {sizeof_fmt(most)}.", advice="Is it the right file?")
    return decoded(data)


def lines_of(path: str | os.PathLike[str], most: int = 0) -> list[str]:
    """The lines of a text file, with `most` of one of at most so many bytes. Raises DataError."""
    return split_lines(whole_text(path, most) if most else read_text(path))


def lines_naming_files(path: str | os.PathLike[str]) -> Generator[str]:
    """Lines of a list of files that will be opened by these very names: bytes that are no UTF-8 come as Python's file functions
    want them (surrogates). With the mark of another encoding they are read in that. Raises DataError, also at a line of more than
    `LONGEST_LINE` characters, which is never held whole."""
    try:
        with open_file(path) as handle:
            encoding = _marked(handle.read(LOOKED_AT))[0] or "utf-8"
        errors = "surrogateescape" if encoding == "utf-8" else "replace"
        with io.TextIOWrapper(open_file(path), encoding=encoding, errors=errors) as handle:
            for number, line in _bounded(handle, path, "Is it a list?"):
                yield (line.lstrip("\ufeff") if number == 1 else line).rstrip("\r\n")
    except OSError as error:
        raise _unreadable(path, error) from error


def long_text(path: str | os.PathLike[str]) -> Generator[str]:
    """The lines of a text that may be larger than the memory, with their ends, for a reader of tables: in the encoding of its
    mark, else each in UTF-8 where it can be and in Windows-1252 where not. Raises DataError, also at a line of more than
    `LONGEST_LINE` characters, which is never held whole."""
    try:
        with open_file(path) as handle:
            encoding, mark = _marked(handle.read(LOOKED_AT))
            handle.seek(len(mark))
            text = io.TextIOWrapper(handle, encoding or "latin-1", "replace", newline="")
            for _, line in _bounded(text, path, "Is it text?"):
                yield line if encoding else decoded(line.encode("latin-1"))
    except OSError as error:
        raise _unreadable(path, error) from error


def _bounded(text: io.TextIOWrapper, path: str | os.PathLike[str], advice: str) -> Iterator[tuple[int, str]]:
    """Each line with its end and its number, from 1. Raises DataError at one that is too long, which is never held whole."""
    number = 0
    while line := text.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise DataError(f"Line {number} of {path} has more than {LONGEST_LINE:,} characters.", advice=advice)
        yield number, line


def read_json(path: str | os.PathLike[str]) -> Any:
    """What a JSON file holds. Raises DataError with the line."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}.", advice="Correct the file.") from error


def xml_root(path: str | os.PathLike[str], most: int = LARGEST_XML) -> Element:
    """The root element of an XML file in any encoding that Python knows. Entities are refused: they have no use here and can blow
    up or read other files. Raises DataError, with the line, for what is no XML, has entities or more than `most` bytes."""
    builder = TreeBuilder()
    parser = expat.ParserCreate("utf-8")  # in place of the declared encoding, which is undone before
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    try:
        if os.path.getsize(path) > most:
            raise DataError(f"It has more than {most >> 20} MB.", advice="An annotation is a few kilobytes.")
        parser.Parse(_xml_text(_bytes(path)).encode("utf-8", "replace"), True)
        return builder.close()
    except expat.ExpatError as error:
        raise DataError(f"Line {error.lineno} is no XML: {expat.ErrorString(error.code)}.", advice="Correct the file.") from error
    except OSError as error:
        raise DataError(f"It cannot be read: {error.strerror or error}.") from error


def _xml_text(data: bytes) -> str:
    """The text of an XML file: by its mark, else as it declares, else as every other text."""
    declared = DECLARED.match(data)
    if _marked(data)[0] or declared is None:
        return decoded(data)
    name = declared[1].decode()
    try:
        known = codecs.lookup(name)
    except LookupError as error:
        raise DataError(f"Line 1 declares the encoding {name}, which is not known.", advice="Save the file as UTF-8.") from error
    if known.name.startswith(("utf-16", "utf-32")):  # an untrue declaration: it was read byte by byte
        return decoded(data)
    for encoding in (known.name, LARGER.get(known.name, "")):
        try:
            return data.decode(encoding)
        except (UnicodeError, LookupError):  # LookupError: a codec of Python that is no encoding of text
            continue
    line = 1 + data.count(b"\n", 0, _first_fault(data, known.name))
    raise DataError(f"Line {line} is no {name}, which line 1 declares.", advice="Correct the encoding, or save it as UTF-8.")


def _first_fault(data: bytes, encoding: str) -> int:
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return error.start
    except (UnicodeError, LookupError):
        return 0
    return 0


def _refuse(*_: Any) -> Any:
    raise DataError("It declares entities, which are refused.", advice="Remove the DOCTYPE from the file.")


def _bytes(path: str | os.PathLike[str], most: int = 0) -> bytes:
    try:
        with open_file(path) as handle:
            return handle.read(most or -1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | os.PathLike[str], error: Exception) -> DataError:
    return DataError(f"{path} cannot be read: {getattr(error, 'strerror', '') or error}.")


def _marked(data: bytes) -> tuple[str, bytes]:
    """The encoding that a byte order mark tells, and the mark; also UTF-16 without one, seen from its zero bytes."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding, mark
    head = data[:LOOKED_AT]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if 4 * max(even, odd) > len(head) and not (even and odd):
        return ("utf-16-le" if odd else "utf-16-be"), b""
    return "", b""


def _whole_characters(data: bytes) -> bytes:
    """Without the character of UTF-8 that was cut off at the end."""
    for cut in range(1, 4):
        if data[-cut:][:1] >= b"\xc0":
            return data[:-cut]
    return data


def _windows() -> dict[int, str]:
    table = {}
    for code in range(0x80, 0xA0):
        try:
            table[code] = bytes([code]).decode("cp1252")
        except UnicodeDecodeError:
            continue  # five bytes that Windows-1252 leaves open stay what Latin-1 calls them
    return table


WINDOWS = _windows()
