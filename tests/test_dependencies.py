"""What pyproject.toml declares is imported, and what is imported is declared."""

from __future__ import annotations

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OWN = {"digits", "predict", "predicting"}  # the last two lie beside server.py in an archive
NOT_IMPORTED = {
    "netron": "its files are served to a frame",
    "onnxscript": "torch.onnx's exporter is made of it",
    "plotly": "its plotly.min.js is served",
    "segmentation-models-pytorch": "network texts that the form shows import it",
    "setuptools": "pip builds old plugins with it, without isolation",
    "xstatic-angular": "its angular.js is served to plugins' result pages",
}
NOT_DECLARED = {
    "pandas": "digits.client gives lists where a script has none",
    "pytest": "digits.testing is imported by tests only, which have it",
    "tensorflow": "comes as tensorflow-cpu",
    "tf2onnx": "models of TensorFlow are written as ONNX where it is",
    "umap": "vectors are drawn by it where it is",
}


def declared() -> set[str]:
    """Names of distributions, normalised, but for those of development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for name, lines in project["optional-dependencies"].items() if name != "dev" for line in lines]
    return {normal(re.split(r"[<>=!;\[ ]", line)[0]) for line in (*project["dependencies"], *extras)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, set[str]]:
    """Top-level modules of others, each with the files that import it."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "digits").rglob("*.py"):
        for name in names(ast.parse(file.read_text())):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in OWN:
                found.setdefault(top, set()).add(str(file.relative_to(ROOT)))
    return found


def names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


@functools.cache
def owners() -> dict[str, set[str]]:
    """Distributions by top-level module."""
    return {module: {normal(name) for name in found} for module, found in metadata.packages_distributions().items()}


def test_every_import_is_declared() -> None:
    known, distributions = declared(), owners()
    missing = {
        module: sorted(files)[:3]
        for module, files in imported().items()
        if module not in NOT_DECLARED and not distributions.get(module, {module}) & known
    }
    assert missing == {}


def test_every_dependency_is_imported_or_has_a_reason() -> None:
    used = {name for module in imported() for name in owners().get(module, {module})}
    assert declared() - used - set(NOT_IMPORTED) == {"tensorflow-cpu"} - used
    assert set(NOT_IMPORTED) <= declared()


def test_constraints_have_every_dependency() -> None:
    pinned = {normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert declared() <= pinned
