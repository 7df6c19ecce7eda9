"""KITTI's text files: one object a line, 15 columns or 16; columns 5 to 8 are left, top, right, bottom in pixels.

type truncated occluded alpha left top right bottom height width length x y z rotation [score]

Words before the numbers are the name, also several. Records that were written without an end of line between them (`… 0.00car
0.00 …`) are read one by one; where the next name begins with a digit (`0.003d box`), the other numbers say how many decimals
there are. A line of any other form is none of these, and says so.
"""

from __future__ import annotations

import re

from digits.extensions.data.files.tables import number_of
from digits.extensions.data.image_object_detection.boxes import RawBox, Reading, is_dont_care
from digits.extensions.data.image_object_detection.formats.sources import Boxes, Request, read_each, shown_line, text_lines
from digits.storage.records.reader import BOX_IGNORED

NUMBERS = 14  # columns 2 to 15
NUMBERS_OF_A_NAME = 2  # as in `No. 2 sign`
FORM = "Expected are 15 columns: type truncated occluded alpha left top right bottom and seven more; a score may follow."
GLUED = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([^\W\d].*)")  # last number of one record, name of the next
Record = tuple[str, list[float]]


def read(request: Request) -> Reading:
    """Every picture with its boxes; lines of another form are noted."""
    return Reading(read_each(request, ".txt", lambda picture, file: _boxes(file, request)))


def _boxes(file: str, request: Request) -> Boxes:
    found = Boxes()
    for line, text in text_lines(file):
        read = records(text)
        if not read:
            found.refused += 1
            request.findings.add("annotation", f"{shown_line(text)}: {FORM} Left out.", file, request.stage, line)
        for name, numbers in read:
            flags = BOX_IGNORED if is_dont_care(name) else 0
            x0, y0, x1, y1 = numbers[3:7]
            found.boxes.append(RawBox(x0, y0, x1, y1, name, flags, line))
    return found


def records(line: str) -> list[Record]:
    """The records of a line: a name and 14 or 15 numbers each. None where a part of the line has another form."""
    words = line.split()
    if _is_whole(words[1:]) and "_" not in "".join(words[1:]):
        try:
            return [(words[0], list(map(float, words[1:])))]
        except ValueError:
            pass
    return _several(_separated(words))


def _several(words: list[str]) -> list[Record]:
    """Records with names of any number of words, one behind the other."""
    found: list[Record] = []
    name: list[str] = []
    numbers: list[str] = []
    if all(number_of(word) is not None for word in words):  # a class that is called by its number
        name, words = words[:1], words[1:]
    for word in words:
        if number_of(word) is not None:
            numbers.append(word)
            continue
        if _is_whole(numbers) and name:
            found.append(_record(name, numbers))
            name = []
        elif numbers and (len(numbers) > NUMBERS_OF_A_NAME or not name):
            return []
        else:
            name += numbers
        name.append(word)
        numbers = []
    return [*found, _record(name, numbers)] if _is_whole(numbers) and name else []


def _is_whole(numbers: list[str]) -> bool:
    """Whether these are the numbers of a record. `car 2 0.00 0 …` has one more, which is no score but belongs to the name."""
    if len(numbers) == NUMBERS + 1 and "." not in numbers[0] + numbers[2] and "." in numbers[1]:
        return False
    return len(numbers) in (NUMBERS, NUMBERS + 1)


def _record(name: list[str], numbers: list[str]) -> Record:
    return " ".join(name), [float(number) for number in numbers]


def _separated(words: list[str]) -> list[str]:
    """Words with the last number of one record and the name of the next apart."""
    decimals = {len(word.partition(".")[2]) for word in words if "." in word and number_of(word) is not None}
    found: list[str] = []
    numbers = 0
    for word in words:
        is_number = number_of(word) is not None
        glued = GLUED.fullmatch(word) if not is_number and numbers in (NUMBERS - 1, NUMBERS) else None
        end = _end_of_number(glued[1], decimals) if glued else 0
        found += [word[:end], word[end:]] if glued else [word]
        numbers = numbers + 1 if is_number else 0
    return found


def _end_of_number(digits: str, decimals: set[int]) -> int:
    """Where a number ends of which the last digits may belong to the name behind it: it has as many decimals as all others of the
    line, and without a point no 0 before other digits."""
    whole, point, fraction = digits.partition(".")
    if not point:
        zero = len(digits) - len(digits.lstrip("+-")) + 1
        return zero if digits[zero - 1] == "0" else len(digits)
    usual = next(iter(decimals)) if len(decimals) == 1 else len(fraction)
    return len(whole) + 1 + min(usual, len(fraction))
