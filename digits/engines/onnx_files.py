"""The files of an ONNX export, whatever engine wrote the network: `model.onnx` takes prepared pictures, `model_plain.onnx` takes
them as they are stored (0 to 255 for pictures of 8 bits), and both say in their metadata what goes in and what comes out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import digits
from digits.engines.base import Program
from digits.engines.parity import EXPORT_SHAPE
from digits.engines.prepared import input_shape, names_of, prepare, preprocessing_of
from digits.utils.resizing import centre_start

MAIN, PLAIN, WEIGHTS = "model.onnx", "model_plain.onnx", "model.onnx.data"
INPUT, PLAIN_INPUT = "input", "features"
RUNTIME, RUNTIME_PLAIN = "ONNX Runtime", "ONNX Runtime, plain pictures"
BATCH, HEIGHT, WIDTH = "batch", "height", "width"
OURS = "plain_"  # begins the names of what `model_plain.onnx` has more


def describe(folder: Path, meta: Mapping[str, Any], *, dynamic: bool) -> list[Path]:
    """Write the metadata into `model.onnx`, whose one input takes prepared pictures (N, C, h, w), of other sizes too where it is
    `dynamic`, and make `model_plain.onnx` of it; the files, the main one first. What takes numbers has no second file."""
    model = onnx.load(folder / MAIN, load_external_data=False)
    _shape(model, INPUT, input_shape(meta), dynamic)
    _say(model, meta, INPUT, preprocessing_of(meta), dynamic)
    _save(model, folder / MAIN)
    if not meta.get(EXPORT_SHAPE):
        steps = preprocessing_of(meta)
        dynamic = dynamic and steps["crop"] == "none"
        _put_before(model, steps, input_shape(meta, prepared=False), dynamic)
        _say(model, meta, PLAIN_INPUT, preprocessing_of(meta, prepared=False), dynamic)
        _save(model, folder / PLAIN)
    order = [folder / name for name in (MAIN, PLAIN, WEIGHTS)]
    return [file for file in order if file.is_file()]


def session_of(path: Path) -> onnxruntime.InferenceSession:
    """The file in ONNX Runtime, on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def program(folder: Path) -> Program:
    """`model.onnx`, given what its metadata say: features (N, C, H, W) in stored units are prepared here."""
    session = session_of(folder / MAIN)
    steps = json.loads(session.get_modelmeta().custom_metadata_map["preprocessing"])
    names = [output.name for output in session.get_outputs()]
    boxes = _corner(steps)

    def run(features: np.ndarray) -> dict[str, np.ndarray]:
        found = dict(zip(names, session.run(None, {INPUT: prepare(features, steps)}), strict=True))
        if "boxes" in found and boxes.any():
            found["boxes"] = found["boxes"] + boxes * (found["boxes"][..., 4:5] > 0)
        return found

    return run


def plain_program(path: Path) -> Program:
    """A file that takes features (N, C, H, W) in stored units."""
    session = session_of(path)
    names = [output.name for output in session.get_outputs()]

    def run(features: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, session.run(None, {PLAIN_INPUT: np.asarray(features, np.float32)}), strict=True))

    return run


def runs(folder: Path) -> dict[str, Program]:
    """Both files in ONNX Runtime."""
    plain = folder / PLAIN
    found = {RUNTIME: program(folder)}
    return {**found, RUNTIME_PLAIN: plain_program(plain)} if plain.is_file() else found


def facts(folder: Path) -> dict[str, Any]:
    """`opset`, and of each file its `input`, the input's `shape` with names for what is free, and `outputs` by name."""
    files = {}
    opset = 0
    for path in (folder / MAIN, folder / PLAIN):
        if path.is_file():
            model = onnx.load(path, load_external_data=False)
            opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
            source = model.graph.input[0]
            outputs = {output.name: _sides(output) for output in model.graph.output}
            files[path.name] = {"input": source.name, "shape": _sides(source), "outputs": outputs}
    return {"opset": opset, "inputs": files}


def is_dynamic(path: Path) -> bool:
    """Whether pictures of several sizes go in."""
    sides = _sides(onnx.load(path, load_external_data=False).graph.input[0])
    return isinstance(sides[2], str)


def needed(files: Sequence[Path]) -> list[Path]:
    """The main file, and the weights where they lie beside it."""
    return [file for file in files if file.name in (MAIN, WEIGHTS)]


def _say(model: onnx.ModelProto, meta: Mapping[str, Any], name: str, steps: Mapping[str, Any], dynamic: bool) -> None:
    """Write the metadata: texts, most of them JSON."""
    shape = [BATCH, steps["channels"], *([HEIGHT, WIDTH] if dynamic else steps["size"])]
    options = meta.get("options") or {}
    values = {
        **names_of(meta),
        "preprocessing": dict(steps),
        "task": str(meta.get("task", "")),
        "input_name": name,
        "input_shape": shape,
        "outputs": [output.name for output in model.graph.output],
        **{name: options[name] for name in ("label_thresholds", "score_threshold") if options.get(name) not in (None, [], ())},
        "digits_version": digits.__version__,
    }
    texts = {key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    helper.set_model_props(model, texts)
    model.producer_name, model.producer_version = "digits", digits.__version__


def _shape(model: onnx.ModelProto, name: str, shape: Sequence[int], dynamic: bool) -> None:
    """Give the one input a name and a shape (batch, C, H, W), whose sides have names where they are free."""
    source = model.graph.input[0]
    if source.name != name:
        _rename(model, source.name, name)
    sides = [BATCH, shape[0], *((HEIGHT, WIDTH) if dynamic else shape[1:])]
    names = {old.dim_param: new for old, new in zip(source.type.tensor_type.shape.dim, sides, strict=False) if old.dim_param}
    for value in (*model.graph.output, *model.graph.value_info):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param in names:
                side.dim_param = str(names[side.dim_param])
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, sides))


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Call a value of the main graph otherwise, inside its nodes."""
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]


def _put_before(model: onnx.ModelProto, steps: Mapping[str, Any], stored: Sequence[int], dynamic: bool) -> None:
    """Let the graph begin with pictures as they are stored: the middle, the mean, the scale."""
    channels, (height, width) = int(steps["channels"]), steps["size"]
    nodes, constants, at = [], [], PLAIN_INPUT

    def constant(name: str, values: Any, dtype: Any = np.float32) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, dtype), OURS + name))
        return OURS + name

    def step(kind: str, *inputs: str) -> str:
        made = f"{OURS}{kind.lower()}"
        nodes.append(helper.make_node(kind, list(inputs), [made], name=made))
        return made

    if steps["crop"] == "centre":
        top, left = centre_start(stored[1] - height), centre_start(stored[2] - width)
        bounds = ("starts", [top, left]), ("ends", [top + height, left + width]), ("axes", [2, 3])
        at = step("Slice", at, *(constant(name, values, np.int64) for name, values in bounds))
    at = step("Sub", at, constant("mean", np.reshape(steps["mean"], (1, channels, 1, 1))))
    step("Div", at, constant("std", np.reshape(steps["std"], (1, channels, 1, 1))))
    nodes[-1].output[0] = INPUT
    after = list(model.graph.node)
    corner = _corner(steps)
    if "boxes" in {output.name for output in model.graph.output} and corner.any():
        after += _moved_boxes(model, constant("corner", corner), constant("score", [4], np.int64), constant("none", [0.0]))
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *after])
    model.graph.initializer.extend(constants)
    del model.graph.input[:]
    sides = [BATCH, channels, *((HEIGHT, WIDTH) if dynamic else stored[1:])]
    model.graph.input.append(helper.make_tensor_value_info(PLAIN_INPUT, TensorProto.FLOAT, sides))


def _moved_boxes(model: onnx.ModelProto, corner: str, score: str, none: str) -> list[onnx.NodeProto]:
    """Nodes that bring `boxes` (N, M, 6) of the middle into the whole picture; rows of score 0 stay."""
    cut, column, there, numbers, moved = (OURS + name for name in ("cut", "column", "there", "numbers", "moved"))
    _rename(model, "boxes", cut)
    return [
        helper.make_node("Gather", [cut, score], [column], axis=2),
        helper.make_node("Greater", [column, none], [there]),
        helper.make_node("Cast", [there], [numbers], to=TensorProto.FLOAT),
        helper.make_node("Mul", [numbers, corner], [moved]),
        helper.make_node("Add", [cut, moved], ["boxes"]),
    ]


def _corner(steps: Mapping[str, Any]) -> np.ndarray:
    """What brings a row of `boxes` from the pixels of the middle into those of the stored picture, (6,) float32."""
    if steps.get("crop") != "centre":
        return np.zeros(6, np.float32)
    spare = [have - want for have, want in zip(steps["resize_to"], steps["size"], strict=True)]
    top, left = (int(centre_start(side)) for side in spare)
    return np.array([left, top, left, top, 0, 0], np.float32)


def _sides(value: onnx.ValueInfoProto) -> list[int | str]:
    return [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]


def _save(model: onnx.ModelProto, path: Path) -> None:
    path.write_bytes(model.SerializeToString())
