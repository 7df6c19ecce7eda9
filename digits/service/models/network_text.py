"""A first look at a network text without running it: is it Python, does it define what the engine calls?"""

from __future__ import annotations

import ast

from digits.engines.network.text import foreign_advice
from digits.frameworks import frameworks


def what_to_write(framework: str) -> str:
    """How a text for this framework begins."""
    return (
        f"Write Python with a function build_network(context) that returns a {frameworks()[framework].network_class}; "
        "Customize on a standard network gives an example to start from."
    )


def problems(text: str, framework: str) -> list[str]:
    """What keeps `text` from being a network, as sentences that say what to do; empty when nothing was found."""
    advice = what_to_write(framework)
    if not text.strip():
        return [f"The network text is empty. {advice}"]
    if foreign := foreign_advice(text, framework):
        return [f"{foreign[0]} {foreign[1]} {advice}"]
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return [_syntax(error, advice)]
    except (ValueError, RecursionError, MemoryError) as error:
        return [f"The text cannot be read as Python: {error or type(error).__name__}. {advice}"]
    return _missing(tree, advice)


def _syntax(error: SyntaxError, advice: str) -> str:
    if error.lineno is None:
        return f"The text cannot be read as Python: {error.msg}. {advice}"
    line = (error.text or "").strip()
    shown = f": {line[:120]}" if line else ""
    return f"Line {error.lineno}: {error.msg}{shown}"


def _missing(tree: ast.Module, advice: str) -> list[str]:
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "build_network"]
    if defined:
        return [] if _takes_context(defined[-1].args) else ["build_network must take one argument, the context."]
    return [] if "build_network" in _names(tree) else [f"The text defines no build_network. {advice}"]


def _takes_context(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    return (positional >= 1 or arguments.vararg is not None) and required <= 1


def _names(tree: ast.Module) -> set[str]:
    """Names bound at the top level by assignment or import, also inside `if` and `try`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.alias):
            found.add(node.asname or node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found
