"""A small U-Net that a CPU can train (after Ronneberger et al., 2015): two convolutions a level, each with normalisation.

Any input size: the picture is padded to a multiple of 8 and the output cut back. For segmentation it gives a score per class
and pixel, else as many channels as the label picture has.
"""

import keras
from keras import layers

BATCH_SIZE = 8
ONE_SIZE = True  # it is built for pictures of one size
WIDTH = 16  # channels of the first level; doubled at each of the next
DEPTH = 3


def two_convolutions(x, outputs):
    for _ in range(2):
        x = layers.Conv2D(outputs, kernel_size=3, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    return x


def build_network(context):
    channels, height, width = context.input_shape
    outputs = context.num_classes if context.task == "segmentation" else context.label_shape[0]
    if height is None:
        raise ValueError("The pictures have several sizes, and this network is built for one: give the model a crop size.")
    widths = [WIDTH * 2**level for level in range(DEPTH + 1)]
    below, right = -height % 2**DEPTH, -width % 2**DEPTH
    picture = keras.Input((height, width, channels))
    x = layers.ZeroPadding2D(((0, below), (0, right)))(picture)  # (N, H, W, C), both sides multiples of 8
    skips = []
    for level in range(DEPTH):
        x = two_convolutions(x, widths[level])  # (N, H, W, 16), (N, H/2, W/2, 32), (N, H/4, W/4, 64)
        skips.append(x)
        x = layers.MaxPool2D(2)(x)
    x = two_convolutions(x, widths[DEPTH])  # (N, H/8, W/8, 128)
    for level in reversed(range(DEPTH)):
        x = layers.Conv2DTranspose(widths[level], kernel_size=2, strides=2)(x)
        x = two_convolutions(layers.Concatenate()([skips[level], x]), widths[level])  # (N, H/4, W/4, 64) … (N, H, W, 16)
    x = layers.Conv2D(outputs, kernel_size=1)(x)
    return keras.Model(picture, layers.Cropping2D(((0, below), (0, right)))(x))
