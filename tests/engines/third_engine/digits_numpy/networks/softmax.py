"""Softmax regression: a weight for each value of the picture and each class."""

from digits_numpy.engine import zeros

BATCH_SIZE = 8


def build_network(context):
    channels, height, width = context.input_shape
    return zeros(channels * height * width, context.num_classes)
