"""A small convolutional network for classes that takes pictures of any size, also a single row or a few pixels."""

import keras
from keras import layers

BATCH_SIZE = 32
WIDTHS = (16, 32, 64, 128)  # channels of the stages; each halves width and height as long as there is something to halve


def stage(x, outputs):
    x = layers.Conv2D(outputs, kernel_size=3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.MaxPool2D(2, padding="same")(x)


def build_network(context):
    channels, height, width = context.input_shape
    x = picture = keras.Input((height, width, channels))
    for outputs in WIDTHS:
        x = stage(x, outputs)  # (N, H/16, W/16, 128) in the end
    x = layers.GlobalAveragePooling2D()(x)  # (N, 128)
    return keras.Model(picture, layers.Dense(context.num_classes)(x))  # (N, K)
