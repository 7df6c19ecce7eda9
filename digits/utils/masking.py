"""Passwords in addresses (`scheme://user:password@host`) as `***`, wherever an address is shown or logged."""

from __future__ import annotations

import logging
import re
import sys

HIDDEN = "***"
# A password may hold anything, also what should have been escaped: it ends at the last @. A port of a web address, which stands
# where a password would, is followed by a slash. Lengths are bounded, so that no text takes long.
_WEB = r"(?:https?|wss?)://[^\s:/@?#]{0,200}:(?!\d{1,5}(?:[/?#]|$))"
_OTHER = r"(?!https?:|wss?:)[a-z][a-z0-9+.\-]{0,30}://[^\s:/@?#]{0,200}:"
_IN_TEXT = re.compile(rf"(?i)\b({_WEB}|{_OTHER})\S{{0,1000}}@")
_WHOLE = re.compile(rf"(?is)^\s*({_WEB}|{_OTHER}|[^@:/]*:?/+[^\s:/@]*:|[^:@/]*:(?!/)).*@")
_ARGUMENTS = re.compile(
    r"(?i)([?&](?:[a-z_-]{0,40}(?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|signature)|pwd|odbc_connect)=)[^&\s'\"<>]+"
)


def masked(text: str, *, whole: bool = False) -> str:
    """`text` with the passwords of all addresses in it hidden: those before the host, and those in arguments.

    With `whole` the text is one address, whose password may have blanks, and which may be misspelt.
    """
    if "://" not in text and "=" not in text and not whole:
        return text
    return _ARGUMENTS.sub(rf"\1{HIDDEN}", (_WHOLE if whole else _IN_TEXT).sub(rf"\1{HIDDEN}@", text))


class MaskedFormatter(logging.Formatter):
    """Lines of a log, traces included, with passwords masked."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def log_to_stderr(line: str, dates: str | None = None, level: str | int = logging.INFO) -> None:
    """Let this process log to standard error from now on, passwords masked."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskedFormatter(line, dates))
    logging.basicConfig(level=level, handlers=[handler], force=True)
