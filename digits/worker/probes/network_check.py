"""`python -m digits.worker.probes.network_check --framework NAME --out FILE`: build a network text once and write what came out.

Reads `{"text", "contexts", "layers"}` as JSON from stdin (the last are `path` and `name` of a Python layer file, and `data`, what
is in it as base64, where the path is not to be opened any more; or empty). Writes `{"report": …}` or `{"problem": text}` to FILE.
Both texts are code: this process has limits on its time and memory, and what they print goes nowhere.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from digits.engines.base import NetworkContext, get_engine
from digits.engines.network.python_layers import LayerFile, use
from digits.errors import DigitsError
from digits.storage.files import write_json
from digits.utils.processes import die_with_parent
from digits.worker.failures import error_event

CPU_SECONDS = 90


def main(argv: Sequence[str] | None = None) -> int:
    """Do one check; the exit code is 0 whenever FILE was written."""
    parser = argparse.ArgumentParser(prog="python -m digits.worker.probes.network_check", description="Check a network text.")
    parser.add_argument("--framework", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    die_with_parent()
    request = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    _silence()
    use(_layer_file(request.get("layers") or {}))
    write_json(options.out, check(options.framework, str(request["text"]), request["contexts"]))
    return 0


def _layer_file(given: Mapping[str, str]) -> LayerFile | None:
    if not given:
        return None
    if "data" in given:  # whatever lies at that path by now is not even shown as the line of an error
        return LayerFile(Path(Path(given["path"]).name), given["name"], base64.b64decode(given["data"]))
    return LayerFile(Path(given["path"]), given["name"])


def check(framework: str, text: str, contexts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The engine's report for the first context in which the network works, as JSON types; without one that of the first in which
    it can be built, or the problem of the first in words."""
    answers = []
    for context in contexts:
        answers.append(_answer(framework, text, context))
        if answers[-1].get("report", {}).get("output_shapes"):
            return answers[-1]
    return next((answer for answer in answers if "report" in answer), answers[0])


def _answer(framework: str, text: str, context: Mapping[str, Any]) -> dict[str, Any]:
    try:
        report = get_engine(framework).check(text, _context(context))
    except DigitsError as error:
        return {"problem": str(error)}
    except Exception as error:  # whatever the text throws is the answer
        event = error_event(error)
        return {"problem": f"{event.message} {event.advice}".strip()}
    return {"report": asdict(report)}


def _context(values: Mapping[str, Any]) -> NetworkContext:
    """Lists of JSON as the tuples that the context has."""
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return NetworkContext(**fields)


def _silence() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
