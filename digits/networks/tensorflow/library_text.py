"""The text of a network of keras.applications, to be filled in by `networks.catalog`."""

KERAS = '''"""{title}: {parameters} parameters, meant for {side}×{side} pixels.

Input channels and classes follow the data set. Published weights are for three channels.
"""

import keras
from keras import layers, ops

BATCH_SIZE = {batch}
SCALE, OFFSET, BGR = {scale}, {offset}, {bgr}  # from mean 0 and deviation 1 to what its published weights were trained with


def build_network(context):
    channels, height, width = context.input_shape
    weights = "imagenet" if context.pretrained and channels == 3 else None
    picture = keras.Input((height, width, channels))
    x = layers.Rescaling(SCALE, OFFSET)(picture)
    x = ops.flip(x, axis=-1) if BGR and channels == 3 else x
    body = keras.applications.{name}(include_top=False, weights=weights, input_shape=(height, width, channels), pooling="avg")
    return keras.Model(picture, layers.Dense(context.num_classes)(layers.Dropout(0.2)(body(x))))
'''
