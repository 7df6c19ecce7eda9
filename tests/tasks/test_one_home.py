"""What a task means is decided in `digits/tasks` alone: nothing else compares the name of one, or the kind of a label.

What a task declares (`moves`, `counted`, `kind` of its report) may be read anywhere; pages that draw a kind of output in a
manner of its own are listed.

`python -m tests.tasks.test_one_home [FOLDER]` prints every such place of a checkout.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import digits

PACKAGE = Path(digits.__file__).parent
NAMES = {"classification", "segmentation", "detection", "processing", "regression", "generic", "multi_label"}
KINDS = {"index", "vector", "map", "boxes", "array"}
ABOUT_TASKS = re.compile(r"\btask\b|\btask_name\b")
ABOUT_KINDS = re.compile(r"\blabel_kind\b|\boutput_kind\b|\bkind\b")
IN_PAGES = re.compile(rf"""\b(?:task|area|form_area)\b[^=!<>&|]{{0,12}}(?:==|!=|===|!==)\s*["'](?:{"|".join(NAMES)})["']""")
DRAWN = re.compile(
    r"""\bkind\b[^=!<>&|]{0,12}(?:==|!=|===|!==)\s*["'](?:index|vector|map|boxes|array|pictures|pixels|classes)["']"""
)
IS_ENUM = re.compile(r"^(?:jobs\.)?Task\.[A-Z_]+$")

ALLOWED = {
    "storage/records/": "how each kind of label lies in a file",
    "testing/": "makes data sets of each kind",
    "networks/": "network texts are told their task and stand alone; the catalogue's rows name the tasks of a network",
    "domain/metrics.py": "the table of the metric that decides for each task",
    "service/models/templates/": "predict.py stands alone: it runs where digits is not installed",
    "engines/pytorch/archive/": "the same, for its framework",
}
DRAWS_KINDS = {
    "web/static/js/overlay/card_board.js": "masks and boxes have a colour for each class",
    "web/static/js/pages/augmentation_preview.js": "the truth of a mask, of boxes and of a picture is drawn differently",
    "web/templates/inference/evaluation.html": "masks can be taken as PNG, boxes as COCO results",
    "web/templates/inference/_gallery.html": "masks and boxes lie over the picture and have an overlay's options",
    "web/templates/datasets/show.html": "shares of pixels and sizes of boxes are drawn as charts of their own",
}


def places(root: Path) -> Iterator[tuple[str, int, str]]:
    """(file, line, text) of every comparison under a package folder."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith("tasks/") or any(name.startswith(prefix) for prefix in ALLOWED):
            continue
        if path.suffix == ".py":
            yield from ((name, line, text) for line, text in compared(path.read_text()))
        elif path.suffix in (".html", ".js"):
            lines = enumerate(path.read_text().splitlines(), 1)
            yield from ((name, number, line.strip()) for number, line in lines if _in_page(name, line))


def _in_page(name: str, line: str) -> bool:
    return bool(IN_PAGES.search(line) or (DRAWN.search(line) and name not in DRAWS_KINDS))


def compared(source: str) -> list[tuple[int, str]]:
    found = {}
    for node in ast.walk(ast.parse(source)):
        if _compares(node) or _is_table(node) or IS_ENUM.match(ast.unparse(node) if isinstance(node, ast.Attribute) else ""):
            found[node.lineno] = ast.unparse(node)  # type: ignore[attr-defined]
    return sorted(found.items())


def _compares(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    words = {word for side in sides for word in _words(side)}
    others = " ".join(ast.unparse(side) for side in sides if not _words(side))
    if words & NAMES and ABOUT_TASKS.search(others):
        return True
    return bool(words & KINDS and ABOUT_KINDS.search(others)) or bool("none" in words and "label_kind" in others)


def _words(side: ast.expr) -> list[str]:
    parts = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _is_table(node: ast.AST) -> bool:
    """A dictionary by tasks."""
    if not isinstance(node, ast.Dict):
        return False
    return len({key.value for key in node.keys if isinstance(key, ast.Constant)} & NAMES) > 1


def test_nothing_else_compares_a_task_or_the_kind_of_a_label() -> None:
    assert list(places(PACKAGE)) == []


def test_pages_that_draw_a_kind_are_those_that_are_listed() -> None:
    assert all(DRAWN.search((PACKAGE / name).read_text()) for name in DRAWS_KINDS)


if __name__ == "__main__":
    for place in places(Path(sys.argv[1]) / "digits" if len(sys.argv) > 1 else PACKAGE):
        print(*place, sep=":")
