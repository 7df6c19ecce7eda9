"""How a text that somebody sent becomes a number or a yes or no: one reading for arguments of requests, forms and commands; and
how numbers are written in sentences and in JSON.

A number is written in ASCII digits, without underscores or a plus sign; neither NaN nor infinity is one. A whole number lies
within ±2**53, which every reader of JSON keeps exactly. What is none raises BadRequest: found, expected, what to do.
"""

from __future__ import annotations

import math
import re
from typing import Any

from digits.errors import BadRequest

LARGEST = 2**53
WHOLE = re.compile(r"-?[0-9]{1,18}")
DECIMAL = re.compile(r"[+-]?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})([eE][+-]?[0-9]{1,3})?")
TRUE_TEXTS = frozenset({"y", "yes", "t", "true", "on", "checked", "1"})
FALSE_TEXTS = frozenset({"n", "no", "f", "false", "off", "unchecked", "0", ""})
SHOWN = 40  # characters of a wrong text that a message repeats


def whole(text: str, name: str, *, least: int = 0, most: int = LARGEST) -> int:
    """The whole number that `text` writes; above `most` it counts as `most`. BadRequest below `least` and for any other text."""
    number = int(text) if WHOLE.fullmatch(text) else None
    if number is None or number < least or abs(number) > LARGEST:
        found = f"{name} is {shown(text)}, expected a whole number from {least} on."
        raise BadRequest(found, advice=f"Write it in digits, such as {max(least, 1)}.")
    return min(number, most)


def decimal(text: str, name: str, *, least: float = -math.inf, most: float = math.inf) -> float:
    """The number that `text` writes, e.g. `0.5` or `1e-3`, within bounds. BadRequest for any other text."""
    number = float(text) if is_number(text) else math.nan
    if not least <= number <= most:
        bounds = [f"{word} {bound:g}" for word, bound in (("from", least), ("to", most)) if math.isfinite(bound)]
        expected = " ".join(["a number", *bounds])
        raise BadRequest(f"{name} is {shown(text)}, expected {expected}.", advice="Write it in digits, such as 0.5.")
    return number


def is_digits(text: str) -> bool:
    """Whether `text` writes a whole number from 0 on in ASCII digits, few enough to be read."""
    return WHOLE.fullmatch(text) is not None and text[0] != "-"


def is_number(text: str) -> bool:
    """Whether `text` writes a finite number."""
    return DECIMAL.fullmatch(text) is not None and math.isfinite(float(text))


def boolean(text: str) -> bool | None:
    """Whether `text` says yes or no; None when it says neither."""
    lowered = text.strip().lower()
    return True if lowered in TRUE_TEXTS else False if lowered in FALSE_TEXTS else None


def shown(text: str) -> str:
    """A wrong text as a message repeats it: quoted, and cut where it is long."""
    return repr(text) if len(text) <= SHOWN else f"{text[:SHOWN]!r}… ({len(text):,} characters)"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 class`, `1,200 pictures`: `many` (by default `one` with an s) for every number but one."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def sizeof_fmt(size: float | None) -> str:
    """A size in bytes with a binary unit; `?` when it is not known."""
    if size is None:
        return "?"
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.3g} {unit}"
        amount /= 1024
    return f"{amount:.3g} TiB"


def finite(value: Any) -> Any:
    """`value`, in dictionaries and lists too, with None in place of each float that is not finite: JSON knows no such numbers."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
