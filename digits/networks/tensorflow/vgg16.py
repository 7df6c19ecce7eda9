"""VGG-16, configuration D, with batch normalisation (Simonyan and Zisserman, 2014). Meant for 224×224 (crop of 256)."""

import keras
from keras import layers

BATCH_SIZE = 32
ONE_SIZE = True  # it is built for pictures of one size
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def build_network(context):
    channels, height, width = context.input_shape
    body = [keras.Input((height, width, channels))]
    for stage in STAGES:
        for outputs in stage:
            body += [
                layers.Conv2D(outputs, kernel_size=3, padding="same", use_bias=False),
                layers.BatchNormalization(),
                layers.ReLU(),
            ]
        body.append(layers.MaxPool2D(2))
    head = [
        layers.Flatten(),  # 25088 numbers for 224×224
        layers.Dense(4096, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(4096, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(context.num_classes),
    ]
    return keras.Sequential(body + head)
