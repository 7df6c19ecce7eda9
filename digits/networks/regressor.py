"""A small convolutional network for numbers: one output for each number of the label (a regression), in the label's own shape
where that is a picture of another size than the one it gets."""

from torch import nn

BATCH_SIZE = 32
WIDTHS = (16, 32, 64, 128)  # channels of the stages; each halves width and height


def stage(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2, ceil_mode=True),
    )


def build_network(context):
    channels, height, width = context.input_shape
    numbers = 1
    for size in context.label_shape:
        numbers *= size
    is_picture = len(context.label_shape) == 3 and min(context.label_shape[1:]) > 1
    stages = [stage(a, b) for a, b in zip((channels, *WIDTHS[:-1]), WIDTHS, strict=True)]
    return nn.Sequential(
        *stages,  # (N, 128, H/16, W/16)
        nn.AdaptiveAvgPool2d(4),  # keeps where something is: up, down, left, right  # (N, 128, 4, 4)
        nn.Flatten(),
        nn.Linear(WIDTHS[-1] * 16, 64),
        nn.ReLU(inplace=True),
        nn.Linear(64, numbers),
        nn.Unflatten(1, tuple(context.label_shape)) if is_picture else nn.Identity(),  # (N, C, H, W) or (N, numbers)
    )
