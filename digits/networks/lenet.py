"""LeNet-5 as its modern variant: two convolutions, two fully connected layers (LeCun et al., 1998)."""

import torch
from torch import nn

BATCH_SIZE = 64
ONE_SIZE = True  # it is built for pictures of one size


def build_network(context):
    channels, height, width = context.input_shape
    features = nn.Sequential(
        nn.Conv2d(channels, 20, kernel_size=5),
        nn.MaxPool2d(2, ceil_mode=True),  # (N, 20, 12, 12) for 28×28
        nn.Conv2d(20, 50, kernel_size=5),
        nn.MaxPool2d(2, ceil_mode=True),  # (N, 50, 4, 4)
        nn.Flatten(),
    )
    size = features(torch.zeros(1, channels, height, width)).shape[1]  # 800 for 28×28
    return nn.Sequential(
        features,
        nn.Linear(size, 500),
        nn.ReLU(),
        nn.Linear(500, context.num_classes),
    )
