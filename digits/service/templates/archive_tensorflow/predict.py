#!/usr/bin/env python3
"""Classify pictures with this model: python predict.py PICTURE [PICTURE ...] [--top 5] [--json]

Needs TensorFlow and Pillow. It prepares a picture exactly as the training's data set did and gives the numbers that digits
gave.
"""

import argparse
import importlib.util
import io
import json
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from pictures import read_feature

HERE = Path(__file__).resolve().parent
MEAN_IMAGE = "digits_mean.npy"


def load_model():
    """The network with its weights, what is known about it, and the mean picture (C, H, W) or None."""
    info = json.loads((HERE / "info.json").read_text(encoding="utf-8"))
    meta = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
    snapshot = HERE / info["snapshot file"]
    with zipfile.ZipFile(snapshot) as archive:
        found = MEAN_IMAGE in archive.namelist()
        mean_image = np.load(io.BytesIO(archive.read(MEAN_IMAGE)), allow_pickle=False) if found else None
    try:
        model = build_network(meta)
    except ImportError:  # the text needs what is not installed here; the file has the network too
        return keras.models.load_model(snapshot, compile=False), meta, mean_image
    model.load_weights(snapshot)
    return model, meta, mean_image


def build_network(meta):
    spec = importlib.util.spec_from_file_location("network", HERE / "network.py")
    network = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(network)
    label_shape = meta.get("label_shape")
    context = SimpleNamespace(
        task=meta["task"],
        input_shape=tuple(meta["input_shape"]),
        num_classes=len(meta["class_labels"]),
        class_labels=tuple(meta["class_labels"]),
        label_shape=None if label_shape is None else tuple(label_shape),
        label_kind=meta.get("label_kind", "index"),
        pretrained=False,
        box_sizes=tuple(meta.get("box_sizes", ())),
        input_scale=float(meta["preparation"]["std"]),
    )
    channels, height, width = context.input_shape
    model = network.build_network(context)
    model(tf.zeros((1, height, width, channels)), training=False)  # a model of a class of its own has no weights before
    return model


# -- from a feature to probabilities ---------------------------------------------------------------------------------


def middle(x, height, width):
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


def prepare(feature, meta, mean_image):
    """(C, H, W) to what the network sees, float32 (1, h, w, C): middle cut out, mean taken off, scaled."""
    how = meta["preparation"]
    height, width = meta["input_shape"][1:]
    if tuple(feature.shape) == tuple(meta["stored_shape"]) and (height, width) != tuple(feature.shape[1:]):
        feature = middle(feature, height, width)
    x = feature.astype(np.float32)
    if how["mean_kind"] != "none":
        fits = mean_image is not None and mean_image.shape[-2] >= x.shape[-2] and mean_image.shape[-1] >= x.shape[-1]
        if how["mean_kind"] == "image" and fits:
            x = x - middle(mean_image, x.shape[-2], x.shape[-1])
        else:
            x = x - np.array(how["pixel_mean"], np.float32).reshape(-1, 1, 1)
    if how["std"] != 1.0:
        x = x * np.float32(1.0 / how["std"])
    if how.get("whitening"):
        x = (x - x.mean()) / max(x.std(), x.size**-0.5)
    return tf.constant(x.transpose(1, 2, 0)[np.newaxis])


def classify(path, model, meta, mean_image):
    """Probabilities of one picture, one number per class."""
    scores = model(prepare(read_feature(path, meta), meta, mean_image), training=False)
    if isinstance(scores, dict):
        scores = scores.get("output", next(iter(scores.values())))
    elif isinstance(scores, (list, tuple)):
        scores = scores[0]
    return tf.nn.softmax(tf.cast(scores, tf.float32)[:, : len(meta["class_labels"])])[0].numpy().tolist()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--top", type=int, default=5, help="how many classes to print (5)")
    parser.add_argument("--json", action="store_true", help="print all probabilities as JSON")
    options = parser.parse_args()
    model, meta, mean_image = load_model()
    labels = meta["class_labels"]
    found = {path: classify(path, model, meta, mean_image) for path in options.pictures}
    if options.json:
        print(json.dumps({path: dict(zip(labels, scores, strict=True)) for path, scores in found.items()}, indent=1))
        return
    for path, scores in found.items():
        print(path)
        for score, label in sorted(zip(scores, labels, strict=True), reverse=True)[: options.top]:
            print(f"  {score * 100:6.2f} %  {label}")


if __name__ == "__main__":
    main()
