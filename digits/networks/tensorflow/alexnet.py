"""AlexNet with the grouped convolutions of the paper on one device (Krizhevsky et al., 2012). Meant for 227×227 (crop of 256).

Where the paper normalises the responses of neighbouring channels, this normalises over the batch.
"""

import keras
from keras import layers

BATCH_SIZE = 128
ONE_SIZE = True  # it is built for pictures of one size


def pool(x):
    """Windows of 3 every 2 pixels; the last may be cut, so that no pixel is left out."""
    return layers.MaxPool2D(3, strides=2, padding="valid" if x.shape[1] % 2 else "same")(x)


def build_network(context):
    channels, height, width = context.input_shape
    picture = keras.Input((height, width, channels))
    x = layers.Conv2D(96, kernel_size=11, strides=4, activation="relu")(picture)  # (N, 55, 55, 96) for 227×227
    x = pool(layers.BatchNormalization()(x))
    x = layers.Conv2D(256, kernel_size=5, padding="same", groups=2, activation="relu")(x)  # (N, 27, 27, 256)
    x = pool(layers.BatchNormalization()(x))
    x = layers.Conv2D(384, kernel_size=3, padding="same", activation="relu")(x)  # (N, 13, 13, 384)
    x = layers.Conv2D(384, kernel_size=3, padding="same", groups=2, activation="relu")(x)
    x = layers.Conv2D(256, kernel_size=3, padding="same", groups=2, activation="relu")(x)
    x = layers.Flatten()(pool(x))  # 9216 numbers for 227×227
    x = layers.Dropout(0.5)(layers.Dense(4096, activation="relu")(x))
    x = layers.Dropout(0.5)(layers.Dense(4096, activation="relu")(x))
    return keras.Model(picture, layers.Dense(context.num_classes)(x))
