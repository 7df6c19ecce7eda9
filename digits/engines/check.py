"""Check a network text in a process of its own, which an endless loop or a crash cannot hurt.

`python -m digits.engines.check` reads `{"framework", "text", "context": {…}}` from stdin and writes one JSON line:
`{"report": {…}}` or `{"problem": message}`. `check_apart` starts it, ends it after `seconds` and gives that answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from digits.engines.base import NetworkContext, get_engine
from digits.errors import DigitsError

SECONDS = 90.0


def check_apart(framework: str, text: str, context: dict[str, Any], seconds: float = SECONDS) -> dict[str, Any]:
    """The answer about a text: a `report` (see `NetworkReport`) or a `problem`. `context` holds NetworkContext's arguments."""
    request = json.dumps({"framework": framework, "text": text, "context": context}).encode()
    command = [sys.executable, "-m", "digits.engines.check"]
    try:
        done = subprocess.run(
            command, input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=seconds, check=False
        )
        return dict(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return {"problem": f"The network text was still running after {seconds:.0f} s and was stopped. Look for an endless loop."}
    except ValueError:
        return {"problem": f"Building the network ended its process (exit code {done.returncode}). It may need too much memory."}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Build and describe, in this process."""
    try:
        context: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in request["context"].items()}
        report = get_engine(request["framework"]).check(request["text"], NetworkContext(**context))
    except DigitsError as error:
        return {"problem": str(error)}
    except MemoryError:
        return {"problem": "The network is too large for this machine's memory."}
    return {"report": asdict(report)}


def main() -> int:
    out = os.fdopen(os.dup(1), "w")  # what the text prints must not mix with the answer
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    out.write(json.dumps(answer(json.load(sys.stdin))))
    out.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
