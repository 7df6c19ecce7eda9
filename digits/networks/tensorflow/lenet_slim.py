"""LeNet as the original wrote it with slim: ReLU behind each convolution and dropout before the scores (LeCun et al., 1998).

slim's regularisation of the weights is the weight decay of the form, 0.0005; Keras begins with Xavier's weights as slim did.
"""

import keras
from keras import layers

BATCH_SIZE = 64
ONE_SIZE = True  # it is built for pictures of one size


def build_network(context):
    channels, height, width = context.input_shape
    return keras.Sequential(
        [
            keras.Input((height, width, channels)),
            layers.Conv2D(20, kernel_size=5, activation="relu"),
            layers.MaxPool2D(2),  # (N, 12, 12, 20) for 28×28
            layers.Conv2D(50, kernel_size=5, activation="relu"),
            layers.MaxPool2D(2),  # (N, 4, 4, 50)
            layers.Flatten(),  # 800 numbers for 28×28
            layers.Dense(500, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(context.num_classes),
        ]
    )
