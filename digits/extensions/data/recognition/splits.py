"""Files that say more of class folders than these do, and are not read with them: lists of splits, classes of other pictures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from digits.errors import DataError
from digits.extensions.data.files.names import listed, stem
from digits.extensions.data.files.text import read_text, split_lines
from digits.extensions.data.recognition.proposals import Remark
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, split_of
from digits.utils.names import labelled_line

ENDINGS = (".txt", ".csv", ".tsv")
EACH, FILES = 5, 60  # that are looked at, of each folder and together
HEAD = 1 << 14  # bytes
LINES = 20
BETWEEN = re.compile(r"[\t,; ]+")


def said(tree: Tree, train: Folder, classes: list[Folder]) -> Iterator[Remark]:
    """Sentences about such files near the class folders of the training."""
    names, inside = {folder.name for folder in classes}, train.stems(IMAGE)
    others = tree.root.stems(IMAGE) - inside
    lists: list[str] = []
    for path in tree.some_files(*ENDINGS, each=EACH, most=FILES):
        lines = _lines(path)
        rows = [BETWEEN.split(line.strip()) for line in lines]
        short = os.path.relpath(path, tree.root.path)
        if _most(any(stem(word) in others for word in row) and not names.isdisjoint(row) for row in rows):
            yield Remark(
                f"{short} says of pictures outside of {train.path} in which of its classes they are, which is not read with "
                "folders: sort them into a folder for each class, and name that as the validation or test folder."
            )
        elif (
            split_of(os.path.basename(path))
            and not any(map(labelled_line, lines))
            and _most(_names_one_in_class(row[0], names, inside) for row in rows)
        ):
            lists.append(short)
    if lists:
        yield Remark(
            f"{listed(lists)} say which pictures belong to which split, which is not read with class folders: a split is drawn. "
            "Move the pictures of a split into class folders of their own to use theirs."
        )


def _lines(path: str) -> list[str]:
    try:
        return [line for line in split_lines(read_text(path, HEAD))[:LINES] if line.strip()]
    except DataError:
        return []


def _most(found: Iterator[bool]) -> bool:
    values = list(found)
    return 2 * sum(values) > len(values)


def _names_one_in_class(word: str, names: set[str], inside: frozenset[str]) -> bool:
    """Whether a word is the path of a picture in a class folder, with or without its ending."""
    parts = word.split("/")
    return len(parts) > 1 and not names.isdisjoint(parts[:-1]) and (stem(parts[-1]) in inside or parts[-1] in inside)
