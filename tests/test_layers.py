"""Imports go down only, there is no cycle, and each process keeps clear of what it must never load (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import digits

PACKAGE = Path(digits.__file__).parent
LAYERS = [
    {"utils", "errors"},
    {"domain", "config", "frameworks"},
    {"storage"},
    {"images", "metrics", "ipc"},
    {"tasks", "extensions"},
    {"ingest", "engines", "networks"},
    {"worker", "predictor", "supervisor", "service"},
    {"web", "plugin_host"},
    {"cli", "__main__", "testing", "download_data"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
SIBLINGS_APART = {"worker", "predictor", "supervisor", "service"}


def modules() -> dict[str, Path]:
    """Dotted name of every module of the package and its file."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


MODULES = modules()


def imported(name: str, path: Path, *, top_level_only: bool = False) -> set[str]:
    """Modules of the package that the file imports (anywhere, or only when it is loaded)."""
    tree = ast.parse(path.read_text())
    names: set[str] = set()
    for node in _nodes(tree, top_level_only):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{name} uses a relative import; write it in full")
    return {n for n in names if n.split(".")[0] == "digits"}


def _nodes(tree: ast.Module, top_level_only: bool) -> list[ast.AST]:
    if not top_level_only:
        return list(ast.walk(tree))
    nodes: list[ast.AST] = []
    waiting: list[ast.AST] = [n for n in tree.body if not _is_type_checking(n)]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += [child for child in ast.iter_child_nodes(node) if not _is_type_checking(child)]
    return nodes


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def area(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_go_down(name: str) -> None:
    own = area(name)
    if not own:
        return
    assert own in LEVEL, f"{name}: digits.{own} has no layer"
    for target in imported(name, MODULES[name]):
        other = area(target)
        if other == own or other not in LEVEL:
            continue
        assert LEVEL[other] <= LEVEL[own], f"{name} imports {target}, which lies in a higher layer"
        if own in SIBLINGS_APART and other in SIBLINGS_APART:
            raise AssertionError(f"{name} imports {target}: these siblings meet only in the storage")


def test_there_is_no_cycle_when_modules_load() -> None:
    edges = {
        name: {t for t in imported(name, path, top_level_only=True) if t in MODULES and t != name}
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, "import cycle: " + " -> ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        for target in sorted(edges[name]):
            if not name.startswith(f"{target}."):
                visit(target, (*trail, name))
        done.add(name)

    for name in sorted(edges):
        visit(name, ())


FORBIDDEN = {
    "digits.web.app": {"torch", "tensorflow", "keras", "cv2", "pandas", "alembic"},
    "digits.service": {"torch", "tensorflow", "keras", "cv2", "pandas", "flask", "alembic"},
    "digits.worker.__main__": {"flask", "pydantic", "sqlalchemy", "wtforms"},
    "digits.worker.training": {"flask", "pydantic", "sqlalchemy", "wtforms", "tensorflow"},
    "digits.worker.dataset": {"flask", "pydantic", "sqlalchemy", "wtforms", "torch", "tensorflow"},
    "digits.worker.export": {"flask", "pydantic", "sqlalchemy", "wtforms", "torch", "tensorflow", "onnx"},
    "digits.engines.pytorch.engine": {"onnx", "onnxruntime", "onnxscript"},
    "digits.worker.evaluation.run": {"flask", "pydantic", "sqlalchemy", "wtforms", "tensorflow"},
    "digits.predictor": {"flask", "pydantic", "sqlalchemy", "wtforms", "tensorflow"},
    "digits.cli": {"torch", "tensorflow", "keras", "cv2", "pandas", "flask", "sqlalchemy", "pydantic"},
    "digits.supervisor": {"torch", "tensorflow", "keras", "cv2", "pandas", "flask", "alembic"},
}


@pytest.mark.parametrize("module", sorted(FORBIDDEN))
def test_processes_never_load(module: str) -> None:
    program = f"import sys, {module}; print('\\n'.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not loaded & FORBIDDEN[module]
