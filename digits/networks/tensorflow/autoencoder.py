"""A convolutional autoencoder: the picture through a narrow middle and back (after Hinton and Salakhutdinov, 2006).

The label is a picture of the input's size; with data that has no labels it is the input itself.
"""

import keras
from keras import layers

BATCH_SIZE = 32
ONE_SIZE = True  # it is built for pictures of one size
WIDTH = 16
CODE = 8  # channels of the middle, at a quarter of the width and height


def build_network(context):
    channels, height, width = context.input_shape
    if height is None:
        raise ValueError("The pictures have several sizes, and this network is built for one: give the model a crop size.")
    rest = ((0, -height % 4), (0, -width % 4))
    return keras.Sequential(
        [
            keras.Input((height, width, channels)),
            layers.ZeroPadding2D(rest),
            layers.Conv2D(WIDTH, kernel_size=3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(2 * WIDTH, kernel_size=3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(CODE, kernel_size=1),  # (N, H/4, W/4, 8)
            layers.Conv2DTranspose(2 * WIDTH, kernel_size=4, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(WIDTH, kernel_size=4, strides=2, padding="same", activation="relu"),
            layers.Conv2D(context.label_shape[0], kernel_size=3, padding="same"),
            layers.Cropping2D(rest),  # (N, height, width, outputs)
        ]
    )
