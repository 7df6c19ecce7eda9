"""An ONNX export made ready for one use: a model repository of Triton, or a page that runs it in a browser, in one file.

The page has ONNX Runtime Web in it where the setting `onnxruntime_web` names a folder with its npm package; without it the page
says what to put beside it. Nothing is fetched.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from digits.domain.exports import Export
from digits.domain.training import TaskOptions
from digits.errors import BadRequest
from digits.service import Service
from digits.service.models.archives import PLAIN, TEMPLATES, Archive, Member, file_member, file_stem, text_member, zip_archive
from digits.service.models.thresholds import values_of, with_thresholds
from digits.storage.exports import export_folder
from digits.storage.jobs.store import Job
from digits.storage.snapshots import snapshot_metadata
from digits.tasks import Labels, of

MAIN = "model.onnx"
MOST_IN_A_PAGE = 96 * 2**20  # bytes of a network; a browser decodes what is in a page at once
RUNTIME, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"  # of onnxruntime-web, in its folder `dist`
BATCH = 32  # pictures that Triton may put together


def offered(export: Export) -> dict[str, str]:
    """The packages that an export can be had as: name and title."""
    inputs = export.facts.get("inputs") or {}
    if MAIN not in inputs:
        return {}
    return {"triton": "For Triton", **({"web": "As a web page"} if PLAIN in inputs else {})}


def package(service: Service, model: Job, export: Export, name: str) -> Archive:
    """An export as one of the packages that are `offered`; a zip file. BadRequest for another one, or where the model's pictures
    are not for a browser."""
    makers: dict[str, Callable[[Service, Source], list[Member]]] = {"triton": triton_members, "web": web_members}
    if name not in offered(export):
        raise BadRequest(f"{export.format} is not packed as {name[:40]!r}.", advice=f"There are {', '.join(makers)}, of ONNX.")
    folder = export_folder(service.folder(model.id), export)
    meta = with_thresholds(snapshot_metadata(service.folder(model.id).path / export.snapshot), values_of(service, model.id))
    found = Source(model, export, folder, meta)
    return zip_archive(f"{file_stem(model)}_epoch_{export.epoch:g}_{name}", makers[name](service, found))


class Source:
    """What a package is made of: the job, the export, the folder of its files, the metadata of the snapshot."""

    def __init__(self, job: Job, export: Export, folder: Path, meta: Mapping[str, Any]) -> None:
        self.job, self.export, self.folder, self.meta = job, export, folder, meta
        self.task = of(str(meta.get("task", job.task)), Labels.of_snapshot(meta))
        self.labels = [str(label) for label in meta.get("class_labels") or ()]
        self.file = PLAIN if PLAIN in export.facts["inputs"] else MAIN


# -- Triton -----------------------------------------------------------------------------------------------------------


def triton_members(service: Service, model: Source) -> list[Member]:
    """`<name>/config.pbtxt` and `<name>/1/model.onnx`: the folder is what `tritonserver --model-repository` takes."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", model.job.name).strip("._-")[:60] or "model"
    members = [
        text_member(f"{name}/config.pbtxt", triton_config(name, model)),
        file_member(model.folder / model.file, f"{name}/1/model.onnx"),
    ]
    if (weights := model.folder / "model.onnx.data").is_file():
        members.append(file_member(weights, f"{name}/1/{weights.name}"))
    if model.labels:
        members.append(text_member(f"{name}/labels.txt", "".join(f"{label}\n" for label in model.labels)))
    return members


def triton_config(name: str, model: Source) -> str:
    """The text of `config.pbtxt`. Shapes are without the batch, -1 for what is free; classes have their names."""
    about = model.export.facts["inputs"][model.file]
    labelled = model.labels and model.task.output_kind == "classes"
    outputs = [
        _tensor("output", output, shape, 'label_filename: "labels.txt"' if labelled and len(shape) == 2 else "")
        for output, shape in about["outputs"].items()
    ]
    return "\n".join(
        [
            f'name: "{name}"',
            'platform: "onnxruntime_onnx"',
            f"max_batch_size: {BATCH}",
            _tensor("input", about["input"], about["shape"]),
            *outputs,
            "dynamic_batching { max_queue_delay_microseconds: 1000 }",
            "",
        ]
    )


def _tensor(kind: str, name: str, shape: list[int | str], more: str = "") -> str:
    sides = ", ".join(str(side) if isinstance(side, int) and side > 0 else "-1" for side in shape[1:]) or "1"
    reshape = "" if len(shape) > 1 else "reshape: { shape: [ ] }"
    lines = "\n    ".join(
        line for line in (f'name: "{name}"', "data_type: TYPE_FP32", f"dims: [ {sides} ]", reshape, more) if line
    )
    return f"{kind} [\n  {{\n    {lines}\n  }}\n]"


# -- a page -----------------------------------------------------------------------------------------------------------


def web_members(service: Service, model: Source) -> list[Member]:
    """`index.html`, and the licence of what is in it. BadRequest for what a browser cannot prepare, or hold."""
    _check_for_browser(model)
    runtime = runtime_folder(service)
    text = page_text(model, runtime)
    members = [text_member("index.html", text)]
    if runtime is None:
        members.append(text_member("README.txt", (TEMPLATES / "web_readme.txt").read_text(encoding="utf-8")))
    return members


def runtime_folder(service: Service) -> Path | None:
    """The folder `dist` of onnxruntime-web, where the setting names it or the package around it; None without one."""
    named = service.settings.onnxruntime_web
    if not named:
        return None
    root = Path(named).expanduser()
    places = (root, root / "dist", root / "onnxruntime-web" / "dist", root / "node_modules" / "onnxruntime-web" / "dist")
    found = next((place for place in places if (place / RUNTIME).is_file() and (place / WASM).is_file()), None)
    if found is None:
        raise BadRequest(
            f"The setting onnxruntime_web names {root}, which has no {RUNTIME} with {WASM}.",
            advice="`npm install onnxruntime-web` brings them, in node_modules/onnxruntime-web/dist.",
        )
    return found


def page_text(model: Source, runtime: Path | None) -> str:
    """The page, with the network and, where there is one, the runtime in it."""
    parts = {
        "title": html.escape(model.job.name),
        "facts": _as_script(page_facts(model)),
        "script": (TEMPLATES / "web_page.js").read_text(encoding="utf-8"),
        "model": _encoded(model.folder / PLAIN),
        "runtime": _encoded(runtime / RUNTIME) if runtime else "",
        "wasm": _encoded(runtime / WASM) if runtime else "",
    }
    text = (TEMPLATES / "web_page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{ (\w+) \}\}", lambda found: parts[found[1]], text)


def page_facts(model: Source) -> dict[str, Any]:
    """What the page's code needs to know, as JSON."""
    import numpy as np

    meta, how = model.meta, model.meta.get("image") or {}
    task = model.task
    channels, height, width = (int(side) for side in meta["stored_shape"])
    height, width = int(how.get("height") or height), int(how.get("width") or width)
    mode = str(how.get("resize_mode") or "squash")
    fill = how.get("fill") or ("noise" if "min_side" in how else "zero")
    noise = ""
    if mode in ("fill", "half_crop") and fill == "noise":  # the same each time: what the data set was padded with
        shape = (height, width) if channels == 1 else (height, width, channels)
        noise = base64.b64encode(np.random.default_rng(shape).integers(0, 256, shape, np.uint8).tobytes()).decode()
    return {
        "name": model.job.name,
        "kind": "labels" if task.scores == "sigmoid" else task.output_kind,
        "labels": model.labels,
        "values": list(task.value_names(Labels.of_snapshot(meta))),
        "thresholds": (meta.get("options") or {}).get("label_thresholds") or [],
        "score_threshold": TaskOptions.from_json(meta.get("options") or {}).score_threshold,
        "input": model.export.facts["inputs"][PLAIN]["input"],
        "channels": channels,
        "size": [height, width],
        "mode": mode,
        "padding": [int(side) for side in how.get("padding") or ()],
        "noise": noise,
        "stored_as": how.get("feature_encoding", ""),
        "file": MAIN,
    }


def _check_for_browser(model: Source) -> None:
    meta, how = model.meta, model.meta.get("image") or {}
    bytes_only = str((meta.get("preparation") or {}).get("dtype", "uint8")) == "uint8"
    if meta["stored_shape"][0] not in (1, 3) or not bytes_only:
        raise BadRequest(
            "A browser reads pictures of 8 bits, grey or colour, and this model takes others.", advice="Use predict.py."
        )
    if meta.get("stride") or how.get("keep_size"):
        raise BadRequest("This model takes pictures of any size, which the page does not prepare.", advice="Use predict.py.")
    size = (model.folder / PLAIN).stat().st_size
    if size > MOST_IN_A_PAGE:
        raise BadRequest(
            f"The network has {size / 2**20:.0f} MiB, too much for one page.", advice="Use the server of the archive."
        )


def _as_script(value: Any) -> str:
    """JSON as it may stand in a script element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
