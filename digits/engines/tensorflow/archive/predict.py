#!/usr/bin/env python3
"""Use this model on pictures: python predict.py PICTURE [PICTURE ...] [--top 5] [--json] [--save FOLDER]

Needs TensorFlow and Pillow. It prepares a picture exactly as the training's data set did and gives the numbers that digits
gave.
"""

import importlib.util
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # however this file is started, its neighbour is found

from predicting import (  # noqa: E402
    cut_back,
    finish,
    in_stored_units,
    main_name,
    mean_for,
    middle,
    padded,
    parser_of,
    pictured,
    read_feature,
    report,
)

MEAN_IMAGE = "digits_mean.npy"
AUXILIARY = "auxiliary"  # outputs whose names begin so served the loss only


def load_model():
    """What builds the network for a size of pictures, what is known about it, and the mean picture (C, H, W) or None."""
    info = json.loads((HERE / "info.json").read_text(encoding="utf-8"))
    meta = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
    snapshot = HERE / info["snapshot file"]
    with zipfile.ZipFile(snapshot) as archive:
        found = MEAN_IMAGE in archive.namelist()
        mean_image = np.load(io.BytesIO(archive.read(MEAN_IMAGE)), allow_pickle=False) if found else None
    networks = {}

    def network_for(height, width):
        if (height, width) not in networks:
            networks[height, width] = network_with_weights(meta, snapshot, height, width)
        return networks[height, width]

    return network_for, meta, mean_image


def network_with_weights(meta, snapshot, height, width):
    try:
        model = build_network(meta, height, width)
    except ImportError:  # the text needs what is not installed here; the file has the network too
        return keras.models.load_model(snapshot, compile=False)
    model.load_weights(snapshot)
    return model


def build_network(meta, height, width):
    spec = importlib.util.spec_from_file_location("network", HERE / "network.py")
    network = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(network)
    label_shape = meta.get("label_shape")
    context = SimpleNamespace(
        task=meta["task"],
        input_shape=(meta["input_shape"][0], height, width),
        num_classes=len(meta["class_labels"]),
        class_labels=tuple(meta["class_labels"]),
        label_shape=None if label_shape is None else tuple(label_shape),
        label_kind=meta.get("label_kind", "index"),
        pretrained=False,
        box_sizes=tuple(meta.get("box_sizes", ())),
        input_scale=float(meta["preparation"]["std"]),
    )
    model = network.build_network(context)
    model(tf.zeros((1, height, width, context.input_shape[0])), training=False)  # before, some have no weights
    return model


# -- from a feature to outputs ----------------------------------------------------------------------------------------


def prepare(feature, meta, mean_image):
    """(C, H, W) to what the network sees, float32 (1, h, w, C): middle cut out, mean taken off, scaled."""
    how = meta["preparation"]
    height, width = meta["input_shape"][1:]
    if tuple(feature.shape) == tuple(meta["stored_shape"]) and (height, width) != tuple(feature.shape[1:]):
        feature = middle(feature, height, width)
    x = feature.astype(np.float32)
    mean = mean_for(x.shape[1:], meta, mean_image)
    if mean is not None:
        x = x - mean
    if how["std"] != 1.0:
        x = x * np.float32(1.0 / how["std"])
    if how.get("whitening"):
        x = (x - x.mean()) / max(x.std(), x.size**-0.5)
    return tf.constant(x.transpose(1, 2, 0)[np.newaxis])


def predict(path, network_for, meta, mean_image):
    """Outputs of one picture by name, NumPy arrays without batch axis, channels first."""
    feature = read_feature(path, meta)
    seen = padded(feature, meta)
    x = prepare(seen, meta, mean_image)
    found = network_for(x.shape[1], x.shape[2])(x, training=False)
    if isinstance(found, (list, tuple)):
        found = {f"output{place or ''}": value for place, value in enumerate(found)}
    elif not isinstance(found, dict):
        found = {"output": found}
    values = {name: tf.cast(value, tf.float32)[0].numpy() for name, value in found.items() if not name.startswith(AUXILIARY)}
    first = {name: value.transpose(2, 0, 1) if value.ndim == 3 else value for name, value in values.items()}
    first[main_name(first)] = pictured(first[main_name(first)], meta, channels_last=True)
    main = main_name(first)
    finished = {n: in_stored_units(finish(value, meta, scores=n == main), meta, mean_image) for n, value in first.items()}
    return {name: cut_back(value, feature, seen) for name, value in finished.items()}


def main():
    options = parser_of(__doc__.splitlines()[0]).parse_args()
    network_for, meta, mean_image = load_model()
    report(lambda path: predict(path, network_for, meta, mean_image), meta, options)


if __name__ == "__main__":
    main()
