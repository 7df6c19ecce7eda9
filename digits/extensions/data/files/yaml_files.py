"""YAML as texts; a file whose aliases stand for far more than it holds is refused before anything is built of it."""

from __future__ import annotations

import math
import os
import re
from typing import Any

import yaml

from digits.errors import DataError
from digits.extensions.data.files.text import read_text

MOST_LEVELS = 100
BRACKETS = re.compile(r"[\[\]{}]")
MOST_UNFOLDED = 1_000_000  # values that a file may stand for


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """What a YAML file holds, all values as texts: a class may be called `no` or `1.0`. Raises DataError, also for one whose
    aliases stand for far more than it holds."""
    text = read_text(path)
    if _levels(text) > MOST_LEVELS:
        raise DataError(f"{path} has brackets in each other, more than {MOST_LEVELS} deep.", advice="Correct the file.")
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
        if root is None:
            return None
        if (size := _unfolded(root, {})) > MOST_UNFOLDED:
            raise DataError(f"{path} stands for {size:.3g} values by its aliases.", advice="Write them without aliases.")
        return yaml.BaseLoader("").construct_document(root)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise DataError(f"{path} is no YAML: {error}.", advice="Correct the file.") from error


def _levels(text: str) -> int:
    """How many brackets are open at once at most; each costs the parser a look at all others."""
    depth = deepest = 0
    for bracket in BRACKETS.finditer(text):
        depth += 1 if bracket[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _unfolded(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a node stands for, aliases followed; infinity where it holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf
        inner = [one for pair in node.value for one in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_unfolded(one, known) for one in inner)
    return known[id(node)]
