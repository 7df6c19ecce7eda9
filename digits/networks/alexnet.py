"""AlexNet with the grouped convolutions of the paper on one device (Krizhevsky et al., 2012). Meant for 227×227 (crop of 256)."""

import torch
from torch import nn

BATCH_SIZE = 128
ONE_SIZE = True  # it is built for pictures of one size


def build_network(context):
    channels, height, width = context.input_shape
    features = nn.Sequential(
        nn.Conv2d(channels, 96, kernel_size=11, stride=4),  # (N, 96, 55, 55) for 227×227
        nn.ReLU(inplace=True),
        nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=2),  # (N, 256, 27, 27)
        nn.ReLU(inplace=True),
        nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Conv2d(256, 384, kernel_size=3, padding=1),  # (N, 384, 13, 13)
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 384, kernel_size=3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, kernel_size=3, padding=1, groups=2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, ceil_mode=True),
        nn.Flatten(),  # (N, 256 · 6 · 6)
    )
    size = features(torch.zeros(1, channels, height, width)).shape[1]  # 9216 for 227×227
    return nn.Sequential(
        features,
        nn.Linear(size, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(4096, context.num_classes),
    )
