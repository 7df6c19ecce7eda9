"""What the code of an export's web page shows of an output, run without a browser."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from deno import find_deno_bin

from digits.service.models.archives import TEMPLATES
from digits.service.models.packages import Source, page_facts

STUB = """
class Node {
  constructor() { this.children = []; this.textContent = ""; this.style = {}; }
  append(...more) { this.children.push(...more); }
  replaceChildren() {}
  addEventListener() {}
}
const texts = (node) => [node.textContent, ...node.children.flatMap(texts)].filter(Boolean);
const pen = { canvas: { width: 8 }, strokeRect() {} };
globalThis.document = {
  getElementById: (id) => Object.assign(new Node(), { textContent: id === "facts" ? FACTS : "x" }),
  createElement: () => new Node(),
};
"""


def shown(meta: dict[str, Any], output: np.ndarray) -> list[str]:
    """The texts that a page shows of an output (1, …) of a model with the metadata `meta`."""
    export = SimpleNamespace(facts={"inputs": {"model_plain.onnx": {"input": "input"}}})
    job = SimpleNamespace(name="model", task=meta["task"])
    facts = page_facts(Source(job, export, Path(), meta))  # type: ignore[arg-type]
    script = (TEMPLATES / "web_page.js").read_text(encoding="utf-8")
    tensor = f"{{data: Float32Array.from({output.ravel().tolist()}), dims: {list(output.shape)}}}"
    said = f"console.log(JSON.stringify(texts(shows[facts.kind]({tensor}, pen))));"
    text = "\n".join((STUB.replace("FACTS", json.dumps(json.dumps(facts))), script, said))
    ended = subprocess.run([find_deno_bin(), "run", "-"], input=text, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)
