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
    {"utils", "errors", "client"},
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


def imported(name: str, path: Path) -> set[str]:
    """Modules of the package that the file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{name} uses a relative import; write it in full")
    return {n for n in names if n.split(".")[0] == "digits"}


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


def test_there_is_no_cycle() -> None:
    edges = {name: {t for t in imported(name, path) if t in MODULES and t != name} for name, path in MODULES.items()}
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


FRAMEWORKS = {"torch", "tensorflow", "keras"}
PAGES = {"flask", "wtforms", "gunicorn"}
EDGE = {"flask", "pydantic", "sqlalchemy", "wtforms"}  # what checks requests and keeps rows
FORBIDDEN = {
    # the web process loads no framework, no plugin's libraries
    "digits.web.app": {*FRAMEWORKS, "cv2", "pandas", "alembic"},
    "digits.web.serve": {
        *FRAMEWORKS,
        "cv2",
        "pandas",
        "alembic",
        "sqlalchemy",
        "flask",
        "numpy",
        "pydantic",
    },  # its worker has these
    "digits.service": {*FRAMEWORKS, "cv2", "pandas", "flask", "alembic"},
    "digits.service.models.create": {*FRAMEWORKS, "cv2", "pandas", "flask", "alembic"},
    # the supervisor neither trains nor answers HTTP
    "digits.supervisor.server": {*FRAMEWORKS, *PAGES, "cv2", "pandas", "alembic"},
    # workers answer no HTTP and write no database
    "digits.worker.__main__": EDGE,
    "digits.worker.training": {*EDGE, "tensorflow"},
    "digits.worker.dataset": {*EDGE, "torch", "tensorflow"},
    "digits.worker.export": {*EDGE, "torch", "tensorflow", "onnx"},
    "digits.worker.evaluation.run": {*EDGE, "tensorflow"},
    "digits.worker.probes.network_check": {*EDGE, *FRAMEWORKS},
    "digits.engines.pytorch.engine": {"onnx", "onnxruntime", "onnxscript", "torchvision", "lightning_fabric"},
    "digits.engines.pytorch.train": {*EDGE, "tensorflow", "torchvision", "torchmetrics", "scipy", "timm"},
    "digits.predictor.__main__": {*EDGE, *FRAMEWORKS},
    "digits.plugin_host.__main__": {*FRAMEWORKS, "sqlalchemy", "pydantic", "gunicorn", "numpy", "flask", "pyarrow"},
    "digits.plugin_host.app": {*FRAMEWORKS, "sqlalchemy", "pydantic", "gunicorn"},
    "digits.worker.tensorboard_server": {*EDGE, *FRAMEWORKS},
    # the command that starts the server checks no form
    "digits.cli.serve": {*FRAMEWORKS, *PAGES, "cv2", "pandas", "alembic", "numpy", "pydantic"},
    "digits.cli": {*FRAMEWORKS, "cv2", "pandas", "flask", "sqlalchemy", "pydantic"},
    # what is known of a framework is known without it
    "digits.frameworks": {*FRAMEWORKS, *EDGE, "numpy"},
    "digits.networks.catalog": {*FRAMEWORKS, *EDGE, "numpy"},
}


@pytest.mark.parametrize("module", sorted(FORBIDDEN))
def test_processes_never_load(module: str) -> None:
    program = f"import sys, {module}; print('\\n'.join(sorted({{m.split('.')[0] for m in sys.modules}})))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not loaded & FORBIDDEN[module]


def test_a_web_process_that_nobody_asks_for_more_than_lists_stays_small(tmp_path: Path) -> None:
    """What these bring along is most of what it would otherwise take; they are imported where a page needs them."""
    program = (
        "import sys; from digits.config import Settings; from digits.service import Service\n"
        "from digits.web.app import create_app\n"
        f"service = Service.open(Settings(jobs_dir={str(tmp_path)!r}, auth=False))\n"
        "client = create_app(service).test_client(); [client.get(path) for path in ('/', '/models', '/jobs.json', '/queue')]\n"
        "service.close(); print(*sorted({'numpy', 'PIL.Image', 'markdown_it', 'pyarrow'} & sys.modules.keys()))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize("name", sorted(name for name in MODULES if area(name) == "web"))
def test_the_web_process_starts_and_kills_none(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text())
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not modules & {"subprocess", "multiprocessing", "signal"}
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"os.kill", "os.killpg", "os.fork", "os.system", "os.execv", "psutil.Process"}


OF_NO_ROOM = {
    "browser": "the pages, driven in a browser",
    "compatibility": "every name of the original, tried",
    "faults": "what happens when processes, disks and servers fail",
    "javascript": "script of the pages, run without a browser",
    "journeys": "whole ways from a form to a result",
    "plugins": "the packages under `plugins/`, which lie outside the package",
    "truth": "what is computed, against bare loops and reference libraries",
}


def test_tests_lie_where_their_modules_lie() -> None:
    tests = Path(__file__).parent
    folders = {path.parent.relative_to(tests).as_posix() for path in tests.rglob("test_*.py")}
    assert {name for name in folders if not (PACKAGE / name).is_dir()} == set(OF_NO_ROOM)
