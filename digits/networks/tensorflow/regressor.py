"""A small convolutional network for numbers: one output for each number of the label (a regression), in the label's own shape
where that is a picture of another size than the one it gets."""

import math

import keras
from keras import layers

BATCH_SIZE = 32
WIDTHS = (16, 32, 64, 128)  # channels of the stages; each halves width and height
GRID = 4  # where something is stays known by so many places across and down


def stage(x, outputs):
    x = layers.Conv2D(outputs, kernel_size=3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.MaxPool2D(2, padding="same")(x)


def build_network(context):
    channels, height, width = context.input_shape
    numbers = math.prod(context.label_shape)
    x = picture = keras.Input((height, width, channels))
    for outputs in WIDTHS:
        x = stage(x, outputs)  # (N, H/16, W/16, 128) in the end
    if height is None:  # of several sizes
        x = layers.GlobalAveragePooling2D()(x)
    else:
        pool = [math.ceil(side / 2 ** len(WIDTHS) / GRID) for side in (height, width)]
        x = layers.Flatten()(layers.AveragePooling2D(pool, padding="same")(x))  # up to 4 × 4 places
    x = layers.Dense(numbers)(layers.Dense(64, activation="relu")(x))  # (N, numbers)
    if len(context.label_shape) == 3 and min(context.label_shape[1:]) > 1:
        x = layers.Permute((2, 3, 1))(layers.Reshape(context.label_shape)(x))  # (N, H, W, C)
    return keras.Model(picture, x)
