"""A public function that takes or gives arrays says their shape in its docstring, or names the contract that does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import digits

PACKAGE = Path(digits.__file__).parent
ARRAYS = re.compile(r"\b(ndarray|NDArray|ArrayLike|Tensor)\b")
AXIS = r"(?:[A-Za-z]|\d+|…|\*\w+|[A-Za-z]\[, [A-Z]\]|height|width|length|channels|classes|rows|columns|count|wanted|batch_size)"
SHAPE = re.compile(rf"\({AXIS}(?:,\s*{AXIS})*,?\)|\bscalars?\b|\bany shape\b|`shape`")
NAMED = re.compile(r"\b[Aa]s `([\w.]+)`")


@dataclass(frozen=True)
class Function:
    place: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    bases: tuple[str, ...]  # names of the classes above its own

    @property
    def doc(self) -> str:
        return ast.get_docstring(self.node) or ""

    @property
    def has_arrays(self) -> bool:
        arguments = self.node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        annotations = [one.annotation for one in every if one is not None] + [self.node.returns]
        return any(ARRAYS.search(ast.unparse(one)) for one in annotations if one is not None)


def functions() -> dict[str, list[Function]]:
    """Public functions by `name`, methods by `Class.name`; what is private, or inside of a function, is left out."""
    found: dict[str, list[Function]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for name, one in _inside(ast.parse(path.read_text()), path.relative_to(PACKAGE).as_posix()):
            found.setdefault(name, []).append(one)
    return found


def _inside(tree: ast.Module, path: str) -> Iterator[tuple[str, Function]]:
    for node in tree.body:
        owner = node if isinstance(node, ast.ClassDef) else None
        for one in owner.body if owner else [node]:
            if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) or one.name.startswith("_"):
                continue
            if owner is None:
                yield one.name, Function(f"{path}:{one.lineno} {one.name}", one, ())
            elif not owner.name.startswith("_"):
                bases = tuple(ast.unparse(base).split("[")[0].rpartition(".")[2] for base in owner.bases)
                yield f"{owner.name}.{one.name}", Function(f"{path}:{one.lineno} {owner.name}.{one.name}", one, bases)


def says_shape(one: Function, found: dict[str, list[Function]]) -> bool:
    """By itself, by what it is said to be like, or by the method that it overrides."""
    if SHAPE.search(one.doc):
        return True
    above = [".".join(name.split(".")[-2:]) for name in NAMED.findall(one.doc)]
    above += [f"{base}.{one.node.name}" for base in one.bases]
    return any(says_shape(other, found) for name in above for other in found.get(name, []) if other is not one)


def test_array_functions_say_their_shapes() -> None:
    found = functions()
    everything = [one for several in found.values() for one in several if one.has_arrays]
    everything = [one for one in everything if not one.node.name.startswith("test_")]
    assert len(everything) > 200
    silent = [one.place for one in everything if not says_shape(one, found)]
    assert not silent, "\n".join(["Say shape, type and range or units, or refer to the contract's method:", *silent])


def test_the_pattern_finds_shapes_only() -> None:
    for text in ("(N, C, H, W)", "float32 (n,)", "(N, *shape)", "(2, C, H, W)", "(H, W[, C])", "(…, h, w)", "a scalar"):
        assert SHAPE.search(text), text
    for text in ("(see the base)", "(outputs, targets)", "(kind, array)", "the shape of it"):
        assert not SHAPE.search(text), text


REPLACED = {  # by the field's own words: what to write instead
    "film": "validation samples",
    "crew": "local executor",
    "ledger": "job rows",
    "tally": "classification report",
    "spool": "columns",
    "facade": "dataset view",
    "keeper": "snapshot manager",
    "sound value": "recommended value",
}


def test_replaced_words_do_not_come_back() -> None:
    """In names and prose of the package and its pages; parts of a name count as words."""
    words = re.compile("|".join(rf"{word.replace(' ', '[ _]?')}s?" for word in REPLACED))
    found = []
    for path in sorted(path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".js", ".css", ".html")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            parts = re.sub(r"([a-z])([A-Z])", r"\1 \2", line).replace("_", " ").replace("-", " ").lower()
            found += [f"{path}:{number}: {one}" for one in re.findall(r"[a-z]+(?: value)?", parts) if words.fullmatch(one)]
    assert not found
