#!/usr/bin/env python3
"""Use this model on pictures: python predict.py PICTURE [PICTURE ...] [--top 5] [--json] [--save FOLDER]

Needs onnxruntime, numpy and Pillow, nothing else. It prepares a picture exactly as the training's data set did and gives the
numbers that digits gave.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # however this file is started, its neighbour is found

from predicting import cut_back, padded, parser_of, read_feature, report  # noqa: E402

PLAIN, PREPARED = "model_plain.onnx", "model.onnx"


def load_model():
    """The network, which takes pictures as `read_feature` gives them, and what is known about it."""
    meta = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    file = HERE / PLAIN
    if not file.is_file():
        sys.exit(f"{PLAIN} is missing: this model takes numbers instead of pictures; give them to {PREPARED}.")
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"]), meta


def predict(path, session, meta):
    """Outputs of one picture by name, NumPy arrays without batch axis, channels first."""
    feature = read_feature(path, meta)
    seen = padded(feature, meta)
    source = session.get_inputs()[0]
    fixed = [side for side in source.shape[1:] if isinstance(side, int)]
    if len(fixed) == 3 and fixed != list(seen.shape):
        sys.exit(f"{path} becomes {list(seen.shape)} (channels, height, width); this file takes {fixed} and nothing else.")
    found = session.run(None, {source.name: seen[np.newaxis].astype(np.float32)})
    values = {output.name: value[0] for output, value in zip(session.get_outputs(), found, strict=True)}
    if meta["task"] == "detection":
        return {"boxes": values["boxes"][values["boxes"][:, 4] > 0]}
    return {name: cut_back(value, feature, seen) for name, value in values.items()}


def main():
    options = parser_of(__doc__.splitlines()[0]).parse_args()
    session, meta = load_model()
    report(lambda path: predict(path, session, meta), meta, options)


if __name__ == "__main__":
    main()
