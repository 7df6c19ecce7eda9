"""VGG-16, configuration D, with batch normalisation (Simonyan and Zisserman, 2014). Meant for 224×224 (crop of 256)."""

import torch
from torch import nn

BATCH_SIZE = 32
ONE_SIZE = True  # it is built for pictures of one size
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def build_network(context):
    channels, height, width = context.input_shape
    layers = []
    for stage in STAGES:
        for outputs in stage:
            layers += [
                nn.Conv2d(channels, outputs, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
            channels = outputs
        layers.append(nn.MaxPool2d(2))
    features = nn.Sequential(*layers, nn.Flatten())  # (N, 512 · 7 · 7) for 224×224
    with torch.no_grad():
        size = features.eval()(torch.zeros(1, *context.input_shape)).shape[1]  # 25088 for 224×224
    return nn.Sequential(
        features.train(),
        nn.Linear(size, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(4096, context.num_classes),
    )
