"""A small convolutional network for classes that takes pictures of any size, also a single row or a few pixels."""

from torch import nn

BATCH_SIZE = 32
WIDTHS = (16, 32, 64, 128)  # channels of the stages; each halves width and height as long as there is something to halve


def stage(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2, ceil_mode=True),
    )


def build_network(context):
    channels = context.input_shape[0]
    return nn.Sequential(
        *[stage(a, b) for a, b in zip((channels, *WIDTHS[:-1]), WIDTHS, strict=True)],  # (N, 128, H/16, W/16)
        nn.AdaptiveAvgPool2d(1),  # (N, 128, 1, 1)
        nn.Flatten(),
        nn.Linear(WIDTHS[-1], context.num_classes),  # (N, K)
    )
