"""What a network text says of the metrics that its `metrics(outputs, targets)` gives: which direction is better, and the unit.

    METRICS = {"top1_error": {"better": "lower", "unit": "%"}, "brier": "lower"}

`better` is `lower` or `higher`, and may stand alone; `unit` and `title` are for pages. The unit `%` says that values are
fractions, shown times 100.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from digits.domain.metrics import HIGHER, LOWER, METRICS, can_decide
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
    with contextlib.suppress(ValueError, NetworkError):
        return _read(_tree(text))
    return {}


def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _read(tree: ast.Module) -> dict[str, dict[str, str]]:
    """ValueError where only a run can know what is declared, NetworkError where it is wrong."""
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == NAME]
    if not named:
        return {}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if targets == named:
            return declared_in({NAME: _written_out(node.value)})  # type: ignore[attr-defined]
    raise ValueError(f"{NAME} is made by more than one assignment")


def _written_out(node: ast.AST) -> Any:
    """The value of a literal, in which dictionaries may be written `dict(better="lower")`. ValueError for all else."""
    try:
        return _literal(node)
    except TypeError as error:  # a list as a key
        raise ValueError(str(error)) from error


def _literal(node: ast.AST) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {str(word.arg): _literal(word.value) for word in node.keywords}
    if isinstance(node, ast.Dict):
        keys = [ast.literal_eval(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_literal, node.values), strict=True))
    return ast.literal_eval(node)


def may_decide(name: str, text: str) -> bool:
    """Whether an output's direction is known, so that it may choose the best snapshot, or only a run can know it: what a text
    declares in another way than by values written out, and what may be a part of its own loss."""
    tree = _tree(text)
    try:
        declared = _read(tree)
    except ValueError:
        return True
    except NetworkError:
        declared = {}
    return can_decide(name, "", declared) or (bool(OWN_LOSS.search(text)) and not _is_of_metrics_alone(name, tree))


def _is_of_metrics_alone(name: str, tree: ast.Module) -> bool:
    """Whether a text writes this name in its `metrics` and nowhere else."""
    own = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "metrics"]
    others = [node for node in tree.body if node not in own]
    return _writes(name, own) and not _writes(name, others)


def _writes(name: str, nodes: Sequence[ast.AST]) -> bool:
    found = (inner for node in nodes for inner in ast.walk(node))
    return any(
        (isinstance(inner, ast.Constant) and inner.value == name) or (isinstance(inner, ast.keyword) and inner.arg == name)
        for inner in found
    )


def no_direction(name: str) -> NetworkError:
    """The error of an own metric that was chosen to decide and does not say which direction is better."""
    return NetworkError(
        f"{name} was chosen to decide which snapshot is best, but the network text does not say which direction of it is better.",
        advice=EXAMPLE.replace('"name"', f'"{name}"'),
    )


def _checked(name: str, value: Any) -> dict[str, str]:
    if value in (LOWER, HIGHER):
        value = {"better": value}
    if not isinstance(value, Mapping) or set(value) - set(FIELDS):
        raise NetworkError(f"{NAME} says {value!r:.80} of {name}.", advice=EXAMPLE)
    if value.get("better", LOWER) not in (LOWER, HIGHER):
        raise NetworkError(f"{NAME} says that {value['better']!r} is better of {name}; it is lower or higher.", advice=EXAMPLE)
    known = METRICS[name].better if name in METRICS else ""
    if known and value.get("better", known) != known:
        message = f"{NAME} says that {value['better']} is better of {name}, which digits measures itself: {known} is."
        raise NetworkError(message, advice="Give the text's own metric another name.")
    return {field: str(value[field]) for field in FIELDS if field in value}
