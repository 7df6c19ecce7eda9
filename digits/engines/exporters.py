"""Which formats a model can be written in, known without importing a framework or a plugin: what a page lists, a worker loads.

Those of an engine stand in its row of `digits.frameworks`. A package adds one under the entry-point group
`digits.plugins.export`: the entry point's name is the format, its object the class (`digits.engines.base.Exporter`). Of two of
one name the engine's counts.
"""

from __future__ import annotations

import importlib
import re
from importlib import metadata

from digits.engines.base import Exporter
from digits.errors import BadRequest, PluginError
from digits.frameworks import Format, frameworks

GROUP = "digits.plugins.export"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


def formats(framework: str = "", *, missing: bool = False) -> tuple[Format, ...]:
    """All formats, or those that a framework's models may be written in; built-ins first, then by name. Those that lack a package
    only where `missing` ones are wanted too."""
    built_in = [exported for row in frameworks().values() for exported in row.exports]
    known = {row.name for row in built_in}
    installed = {point.name: point for point in metadata.entry_points(group=GROUP) if NAME.match(point.name)}
    plugins = [Format(name, name, point.value) for name, point in sorted(installed.items()) if name not in known]
    fitting = (row for row in (*built_in, *plugins) if not framework or not row.frameworks or framework in row.frameworks)
    return tuple(row for row in fitting if missing or row.is_installed)


def check_format(name: str, framework: str) -> Format:
    """The row of a format that a framework's models may be written in. BadRequest names those that are."""
    offered = formats(framework)
    for row in offered:
        if row.name == name:
            return row
    names = ", ".join(row.name for row in offered)
    for row in formats(framework, missing=True):
        if row.name == name:
            raise BadRequest(
                f"{row.title} needs {row.needs}, which is not installed.", advice=f"{row.install}, or choose {names}."
            )
    if name in {row.name for row in formats()}:
        raise BadRequest(f"Models of {framework} are not written as {name}.", advice=f"Choose {names}.")
    raise BadRequest(f"format is {name[:40]!r}, expected one of {names}.")


def get_exporter(name: str, framework: str = "") -> Exporter:
    """The exporter of a framework's models, imported now. BadRequest for an unknown name, PluginError for one that cannot be
    loaded."""
    row = next((row for row in formats(framework) if row.name == name), None)
    if row is None:
        raise BadRequest(f"There is no export format {name!r} (any more).", advice="Install the package that brings it.")
    module, _, attribute = row.home.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)()
    except Exception as error:  # whatever an installed package throws
        raise PluginError(f"The exporter {name} ({row.home}) cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, Exporter):
        raise PluginError(f"{row.home} is no digits.engines.base.Exporter.", advice="Derive the class from it.")
    return found
