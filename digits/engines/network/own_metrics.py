"""What a network text says of the metrics that its `metrics(outputs, targets)` gives: which direction is better, and the unit.

    METRICS = {"top1_error": {"better": "lower", "unit": "%"}}

`better` is `lower` or `higher`; `unit` and `title` are for pages. The unit `%` says that values are fractions, shown times 100.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from digits.domain.metrics import HIGHER, LOWER, can_decide
from digits.errors import NetworkError

NAME = "METRICS"
OWN_LOSS = re.compile(r"^(def loss\b|loss\s*=)", re.MULTILINE)
FIELDS = ("better", "unit", "title")
EXAMPLE = f'Write {NAME} = {{"name": {{"better": "lower", "unit": "%"}}}}; docs/networks.md shows how.'


def declared_in(names: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What the names of a text that was run declare. NetworkError for another form."""
    found = names.get(NAME, {})
    if not isinstance(found, Mapping):
        raise NetworkError(f"{NAME} is {found!r:.80}, expected a dictionary.", advice=EXAMPLE)
    return {str(name): _checked(str(name), value) for name, value in found.items()}


def read_declared(text: str) -> dict[str, dict[str, str]]:
    """What a text declares, without running it: empty where it says it in another way than by values written out."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == NAME for target in targets):
            try:
                return declared_in({NAME: _written_out(node.value)})  # type: ignore[attr-defined]
            except (ValueError, NetworkError):
                return {}
    return {}


def _written_out(node: ast.AST) -> Any:
    """The value of a literal, in which dictionaries may be written `dict(better="lower")`. ValueError for all else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {str(word.arg): _written_out(word.value) for word in node.keywords}
    if isinstance(node, ast.Dict):
        keys = [ast.literal_eval(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_written_out, node.values), strict=True))
    return ast.literal_eval(node)


def may_decide(name: str, text: str) -> bool:
    """Whether an output's direction is known, so that it may choose the best snapshot. What a text's own loss gives may be a
    part of that loss, which only the training knows."""
    return can_decide(name, "", read_declared(text)) or bool(OWN_LOSS.search(text))


def no_direction(name: str) -> NetworkError:
    """The error of an own metric that was chosen to decide and does not say which direction is better."""
    return NetworkError(
        f"{name} was chosen to decide which snapshot is best, but the network text does not say which direction of it is better.",
        advice=EXAMPLE.replace('"name"', f'"{name}"'),
    )


def _checked(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or set(value) - set(FIELDS):
        raise NetworkError(f"{NAME} says {value!r:.80} of {name}.", advice=EXAMPLE)
    if value.get("better", LOWER) not in (LOWER, HIGHER):
        raise NetworkError(f"{NAME} says that {value['better']!r} is better of {name}; it is lower or higher.", advice=EXAMPLE)
    return {field: str(value[field]) for field in FIELDS if field in value}
