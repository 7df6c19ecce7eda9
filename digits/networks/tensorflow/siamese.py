"""A siamese network: are two pictures of the same class? (Hadsell, Chopra and LeCun, 2006; LeNet as its branch.)

The pair lies in the channels: the first half of them is one picture, the second half the other; of three channels, as a
colour file has them, the third is not used. The classes are 0 (different) and 1 (the same).
"""

import keras
from keras import layers, ops

BATCH_SIZE = 64
ONE_SIZE = True  # it is built for pictures of one size
MARGIN = 1.0  # pictures of different classes are pushed apart to this distance


def branch(height, width, channels):
    return keras.Sequential(
        [
            keras.Input((height, width, channels)),
            layers.Conv2D(20, kernel_size=5),
            layers.MaxPool2D(2, padding="same"),
            layers.Conv2D(50, kernel_size=5),
            layers.MaxPool2D(2, padding="same"),
            layers.Flatten(),
            layers.Dense(500, activation="relu"),
            layers.Dense(10),
            layers.Dense(2),
        ]
    )


def build_network(context):
    channels, height, width = context.input_shape
    half = channels // 2
    if half == 0:
        raise ValueError("A pair of pictures needs at least two channels, one for each picture.")
    pair = keras.Input((height, width, channels))
    network = branch(height, width, half)
    difference = network(pair[..., :half]) - network(pair[..., half : 2 * half])  # (N, 2)
    distance = ops.sqrt(ops.sum(ops.square(difference), axis=1) + 1e-6)  # (N,)
    scores = ops.stack([distance - MARGIN / 2, MARGIN / 2 - distance], axis=1)  # (N, 2): different, the same
    return keras.Model(pair, {"output": scores, "auxiliary_distance": distance})


def loss(outputs, targets):
    distance = outputs["auxiliary_distance"]
    same = ops.cast(targets, "float32")
    apart = ops.square(ops.maximum(MARGIN - distance, 0.0))
    return ops.mean(same * ops.square(distance) + (1 - same) * apart) / 2
