"""What `predict.py` prints and saves, whatever the framework. Put into the scripts by `archives`."""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

# -- from outputs to words and files --------------------------------------------------------------------------------


def finish(values, meta):
    """One output of one picture: probabilities where there are classes (their axis is the first), else the labels' units."""
    classes = len(meta["class_labels"])
    indexed = meta.get("label_kind", "index") == "index" and meta["task"] in ("classification", "generic")
    if classes and values.ndim and (meta["task"] == "segmentation" or indexed):
        values = values[:classes]
        if not meta.get("probabilities"):  # the network ends in no softmax of its own
            values = np.exp(values - values.max(axis=0))
        return values / values.sum(axis=0)
    return values * np.float32(meta["preparation"].get("label_scale", 1.0))


def main_output(outputs):
    return outputs.get("output", list(outputs.values())[-1])


def as_json(outputs, meta):
    if meta["task"] == "classification":
        return dict(zip(meta["class_labels"], main_output(outputs).tolist(), strict=True))
    return {name: values.tolist() for name, values in outputs.items()}


def words(outputs, meta, top):
    """Lines about one picture."""
    labels, first = meta["class_labels"], main_output(outputs)
    if meta["task"] == "detection":
        return [box_words(row, labels) for row in first[first[:, 4] > 0][:top]] or ["nothing was found"]
    if meta["task"] == "segmentation":
        shares = np.bincount(first.argmax(axis=0).ravel(), minlength=len(labels)) / first[0].size
        return [f"{share * 100:6.2f} % of the pixels  {label}" for share, label in ranked(shares, labels, top) if share > 0]
    if labels and first.ndim == 1 and len(first) == len(labels):
        return [f"{score * 100:6.2f} %  {label}" for score, label in ranked(first, labels, top)]
    return [number_words(name, values) for name, values in outputs.items()]


def ranked(numbers, labels, top):
    return sorted(zip(numbers, labels, strict=True), reverse=True)[:top]


def box_words(row, labels):
    left, top, right, bottom, score, label = row
    return f"{score * 100:6.2f} %  {labels[int(label)]}  {left:.1f} {top:.1f} {right:.1f} {bottom:.1f}"


def number_words(name, values):
    if values.size <= 20:
        return f"{name}: {' '.join(f'{value:.6g}' for value in values.ravel())}"
    size = " x ".join(str(side) for side in values.shape)
    return f"{name}: {size} numbers from {values.min():.6g} to {values.max():.6g} (--save FOLDER writes them)"


def picture_of(values, meta):
    """A map of classes with a palette, or a picture; None for what is neither."""
    if values.ndim != 3:
        return None
    if meta["task"] == "segmentation":
        indices = values.argmax(axis=0)
        image = Image.fromarray(indices.astype(np.uint8 if len(values) <= 256 else np.uint16))
        if len(values) <= 256:
            image.putpalette([(37 * place * factor) % 256 for place in range(256) for factor in (5, 3, 7)])
        return image
    if values.shape[0] not in (1, 3) or min(values.shape[1:]) < 2:
        return None
    if meta["preparation"].get("label_scale", 1.0) == 1.0:
        values = (values - values.min()) * (255 / max(float(np.ptp(values)), 1e-12))
    pixels = values.clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def save(path, outputs, meta, folder):
    """Each output as `.npy`, and as PNG where it is a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in outputs.items():
        stem = folder / f"{Path(path).stem}_{name}"
        np.save(f"{stem}.npy", values)
        image = picture_of(values, meta)
        if image is not None:
            image.save(f"{stem}.png")


def parser_of(text):
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("pictures", nargs="+")
    parser.add_argument("--top", type=int, default=5, help="how many classes or boxes to print (5)")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write all outputs as .npy, maps and pictures as .png too")
    return parser


def report(found, meta, options):
    """`found` has the outputs by picture."""
    if options.save:
        for path, outputs in found.items():
            save(path, outputs, meta, options.save)
    if options.json:
        print(json.dumps({path: as_json(outputs, meta) for path, outputs in found.items()}, indent=1))
        return
    for path, outputs in found.items():
        print(path, *words(outputs, meta, options.top), sep="\n  ")
