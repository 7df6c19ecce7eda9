"""Files of ours and of installed packages that pages load: their addresses, and how long a browser keeps them.

An address names the content: `/static/kept/<mark>/…`, where the mark is of all our files, as scripts name each other by where
they lie; `/vendor/<name>?v=<mark>`, where it is of the one file. What is asked for under the mark of now is kept for ever; under
any other the file of now is sent, and the browser asks again the next time.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import time
from pathlib import Path

from flask import Flask, abort, g, request, send_from_directory, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

STATIC = (Path(__file__).parents[1] / "static").resolve()
VENDORED = {
    "plotly.min.js": ("plotly", "package_data/plotly.min.js"),
    "bootstrap.min.css": ("flask_bootstrap", "static/bootstrap5/css/bootstrap.min.css"),
    "bootstrap.min.js": ("flask_bootstrap", "static/bootstrap5/js/bootstrap.min.js"),
    "popper.min.js": ("flask_bootstrap", "static/bootstrap5/umd/popper.min.js"),
    "jquery.min.js": ("flask_bootstrap", "static/bootstrap4/jquery.min.js"),  # for plugins' own scripts
    "angular.js": ("xstatic.pkg.angular", "data/angular.js"),  # for views with templates of AngularJS
}
FOR_EVER = 31536000  # a year, in seconds: as long as a browser keeps anything
IMPORT = re.compile(r'^(?:import|export|\})[^"\n]*"(\.{1,2}/[^"]+\.js)";', re.MULTILINE)
Signature = tuple[tuple[str, int, int], ...]


def register(app: Flask) -> None:
    """Add both kinds of addresses, and the template functions `asset`, `vendored` and `module`."""
    app.add_url_rule("/static/kept/<mark>/<path:filename>", "kept", _kept)
    app.add_url_rule("/vendor/<path:name>", "vendor", _vendor)
    app.jinja_env.globals.update(asset=asset, vendored=vendored, module=module)


def asset(filename: str) -> str:
    """Address of one of our static files."""
    return url_for("kept", mark=_mark_of_ours(), filename=filename)


def vendored(name: str) -> str:
    """Address of a file that an installed package carries."""
    path = _carried(name)
    return url_for("vendor", name=name, v=_mark_of(path) if path else None)


def module(filename: str) -> Markup:
    """The `<script>` of a module of ours, and a line for each that it imports and no script of this page did before: a browser
    would else learn of them one by one."""
    named: set[str] = g.setdefault("named_modules", set())
    further = [name for name in imported(filename) if name not in named]
    named.update((filename, *further))
    script = Markup('<script type="module" src="{}"></script>').format(asset(filename))
    return script + Markup("").join(Markup('<link rel="modulepreload" href="{}">').format(asset(name)) for name in further)


def imported(filename: str) -> tuple[str, ...]:
    """All modules that a module of ours imports, itself or by another, as names below `static`; not those it imports later."""
    return _imported(filename, _mark_of_ours())


@functools.lru_cache(maxsize=256)
def _imported(filename: str, _mark: str) -> tuple[str, ...]:
    found: dict[Path, None] = {STATIC / filename: None}
    waiting = [STATIC / filename]
    while waiting:
        path = waiting.pop(0)
        for name in IMPORT.findall(path.read_text(encoding="utf-8")):
            other = (path.parent / name).resolve()
            if other not in found:
                found[other] = None
                waiting.append(other)
    return tuple(path.relative_to(STATIC).as_posix() for path in list(found)[1:])


def _kept(mark: str, filename: str) -> Response:
    return _for_ever(send_from_directory(STATIC, filename), mark == _mark_of_ours())


def _vendor(name: str) -> Response:
    """A file that an installed package carries, served without importing the package."""
    path = _carried(name)
    if path is None:
        abort(404)
    return _for_ever(send_from_directory(path.parent, path.name), request.args.get("v") == _mark_of(path))


def _for_ever(response: Response, is_of_now: bool) -> Response:
    if is_of_now:
        response.headers["Cache-Control"] = f"public, max-age={FOR_EVER}, immutable"
    return response


@functools.cache
def _carried(name: str) -> Path | None:
    package, inside = VENDORED.get(name, ("", ""))
    try:
        spec = importlib.util.find_spec(package) if package else None
    except ModuleNotFoundError:  # the package around it
        spec = None
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / inside
    return path if path.is_file() else None


def _mark_of(path: Path) -> str:
    found = path.stat()
    return _of_content(path.parent, ((path.name, found.st_size, found.st_mtime_ns),))


def _mark_of_ours() -> str:
    return _mark_in(int(time.monotonic()))


@functools.lru_cache(maxsize=1)
def _mark_in(_second: int) -> str:
    """Files are looked at once a second: who edits one sees it at the next page."""
    stats = ((path.relative_to(STATIC).as_posix(), path.stat()) for path in sorted(STATIC.rglob("*")) if path.is_file())
    return _of_content(STATIC, tuple((name, found.st_size, found.st_mtime_ns) for name, found in stats))


@functools.lru_cache(maxsize=16)
def _of_content(folder: Path, signature: Signature) -> str:
    """Of what the files hold, not of when they were written, which packages and containers set as they like."""
    told = hashlib.sha256()
    for name, size, _ in signature:
        told.update(f"{name}\n{size}\n".encode())
        told.update((folder / name).read_bytes())
    return told.hexdigest()[:16]
