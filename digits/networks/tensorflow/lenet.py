"""LeNet-5 as its modern variant: two convolutions, two fully connected layers (LeCun et al., 1998)."""

import keras
from keras import layers

BATCH_SIZE = 64
ONE_SIZE = True  # it is built for pictures of one size


def build_network(context):
    channels, height, width = context.input_shape
    return keras.Sequential(
        [
            keras.Input((height, width, channels)),
            layers.Conv2D(20, kernel_size=5),
            layers.MaxPool2D(2, padding="same"),  # (N, 12, 12, 20) for 28×28
            layers.Conv2D(50, kernel_size=5),
            layers.MaxPool2D(2, padding="same"),  # (N, 4, 4, 50)
            layers.Flatten(),  # 800 numbers for 28×28
            layers.Dense(500, activation="relu"),
            layers.Dense(context.num_classes),
        ]
    )
