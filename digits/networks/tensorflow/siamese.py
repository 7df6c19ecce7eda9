"""A siamese network: are two pictures of the same class? (Hadsell, Chopra and LeCun, 2006; LeNet as its branch.)

The pair lies in the channels: the first half of them is one picture, the second half the other; of three channels, as a
colour file has them, the third is not used. The classes are 0 (different) and 1 (the same). Both pictures go through one branch,
which gives each a place in the plane; pairs whose places are nearer than half the margin count as the same.
"""

import keras
from keras import layers, ops

BATCH_SIZE = 64
ONE_SIZE = True  # it is built for pictures of one size
MARGIN = 1.0  # pictures of different classes are pushed apart to this distance
PLACE = 2  # numbers of a place
TINY = 1e-3
METRICS = {
    "distance_same": {"better": "lower", "title": "Distance of two of one class"},
    "distance_different": {"better": "higher", "title": "Distance of two of different classes"},
}


def branch(height, width, channels):
    return keras.Sequential(
        [
            keras.Input((height, width, channels)),
            layers.Conv2D(20, kernel_size=5),
            layers.MaxPool2D(2, padding="same"),  # (N, 12, 12, 20) for 28×28
            layers.Conv2D(50, kernel_size=5),
            layers.MaxPool2D(2, padding="same"),  # (N, 4, 4, 50)
            layers.Flatten(),
            layers.Dense(500, activation="relu"),
            layers.Dense(10),
            layers.Dense(PLACE),
        ]
    )


def build_network(context):
    channels, height, width = context.input_shape
    half = channels // 2
    if half == 0:
        raise ValueError("A pair of pictures needs at least two channels, one for each picture.")
    if context.judged and context.num_classes != 2:
        raise ValueError(f"Pairs are of 2 classes, 0 (different) and 1 (the same); the data set has {context.num_classes}.")
    pair = keras.Input((height, width, channels))
    network = branch(height, width, half)
    first, second = network(pair[..., :half]), network(pair[..., half : 2 * half])  # (N, 2)
    squared = ops.sum(ops.square(first - second), axis=1, keepdims=True)
    distance = ops.sqrt(squared + TINY**2) - TINY  # (N, 1), 0 for equal places, where a root alone has no slope
    scores = ops.concatenate([distance - MARGIN / 2, MARGIN / 2 - distance], axis=1)  # (N, 2): different, the same
    return keras.Model(pair, {"output": scores, "distance": distance, "first": first, "second": second})


def loss(outputs, targets):
    distance, same = outputs["distance"][:, 0], ops.cast(targets, "float32")
    apart = ops.square(ops.maximum(MARGIN - distance, 0.0))
    return ops.mean(same * ops.square(distance) + (1 - same) * apart) / 2


def metrics(outputs, targets):
    distance, same = outputs["distance"][:, 0], ops.cast(targets, "float32")
    return {
        "distance_same": (ops.sum(distance * same), ops.sum(same)),
        "distance_different": (ops.sum(distance * (1 - same)), ops.sum(1 - same)),
    }
