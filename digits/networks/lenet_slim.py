"""LeNet as the original wrote it with slim: ReLU behind each convolution and dropout before the scores (LeCun et al., 1998).

slim's regularisation of the weights is the weight decay of the form, 0.0005.
"""

import torch
from torch import nn

BATCH_SIZE = 64
ONE_SIZE = True  # it is built for pictures of one size


def build_network(context):
    channels, height, width = context.input_shape
    features = nn.Sequential(
        nn.Conv2d(channels, 20, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 20, 12, 12) for 28×28
        nn.Conv2d(20, 50, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),  # (N, 50, 4, 4)
        nn.Flatten(),
    )
    size = features(torch.zeros(1, channels, height, width)).shape[1]  # 800 for 28×28
    network = nn.Sequential(
        features,
        nn.Linear(size, 500),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(500, context.num_classes),
    )
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):  # as slim begins
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return network
