"""Writes `library.json`: every network of keras.applications with parameter count, input size and the inputs it was trained with.

Run it again when Keras is updated: `python -m digits.networks.tensorflow.generate_library`. No weight is made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras

OUTPUT = Path(__file__).with_name("library.json")
SIDE = 224  # of networks for any size
# What published weights expect of pictures whose mean is 0 and deviation 1: factor, addition, whether blue comes first.
EIGHT_BIT = (58.0, 120.0, False)  # 0 to 255: the network scales them on its own
CAFFE = (58.0, 0.0, True)  # 8 bits without their mean
SYMMETRIC = (0.46, -0.06, False)  # −1 to 1
STANDARD = (1.0, 0.0, False)  # mean 0, deviation 1
INPUTS = {
    "DenseNet": STANDARD,
    "Inception": SYMMETRIC,
    "NASNet": SYMMETRIC,
    "Xception": SYMMETRIC,
    "VGG": CAFFE,
    "ResNet": CAFFE,
}


def main() -> None:
    names = [name for name in dir(keras.applications) if name[0].isupper() and callable(getattr(keras.applications, name))]
    rows = [json.dumps(row(name)) for name in names]
    OUTPUT.write_text("[\n" + ",\n".join(rows) + "\n]\n")
    print(f"{len(rows)} networks -> {OUTPUT}")


def row(name: str) -> dict[str, Any]:
    with keras.StatelessScope():  # variables get no memory
        model = getattr(keras.applications, name)(weights=None)
        _, height, width, channels = model.input_shape
        scale, offset, bgr = inputs(name, model)
        return {
            "name": f"keras/{name}",
            "parameters": model.count_params(),
            "input_shape": [channels, height or SIDE, width or SIDE],
            "pretrained": True,
            "scale": scale,
            "offset": offset,
            "bgr": bgr,
        }


def inputs(name: str, model: Any) -> tuple[float, float, bool]:
    """What the network's weights expect; those with a rescaling layer at their start take 8-bit values."""
    if any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers[:3]) or name.startswith("ConvNeXt"):
        return EIGHT_BIT
    if name.startswith("MobileNet") or name.endswith("V2"):
        return SYMMETRIC
    return next(value for start, value in INPUTS.items() if name.startswith(start))


if __name__ == "__main__":
    main()
