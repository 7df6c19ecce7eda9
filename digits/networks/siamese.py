"""A siamese network: are two pictures of the same class? (Hadsell, Chopra and LeCun, 2006; LeNet as its branch.)

The pair lies in the channels: the first half of them is one picture, the second half the other; of three channels, as a
colour file has them, the third is not used. The classes are 0 (different) and 1 (the same). Both pictures go through one branch,
which gives each a place in the plane; pairs whose places are nearer than half the margin count as the same.
"""

import torch
from torch import nn

BATCH_SIZE = 64
ONE_SIZE = True  # it is built for pictures of one size
MARGIN = 1.0  # pictures of different classes are pushed apart to this distance
PLACE = 2  # numbers of a place
TINY = 1e-3
METRICS = {
    "distance_same": {"better": "lower", "title": "Distance of two of one class"},
    "distance_different": {"better": "higher", "title": "Distance of two of different classes"},
}


class Siamese(nn.Module):
    def __init__(self, channels, height, width):
        super().__init__()
        self.channels = channels
        features = nn.Sequential(
            nn.Conv2d(channels, 20, kernel_size=5),
            nn.MaxPool2d(2, ceil_mode=True),  # (N, 20, 12, 12) for 28×28
            nn.Conv2d(20, 50, kernel_size=5),
            nn.MaxPool2d(2, ceil_mode=True),  # (N, 50, 4, 4)
            nn.Flatten(),
        )
        size = features(torch.zeros(1, channels, height, width)).shape[1]  # 800 for 28×28
        self.branch = nn.Sequential(features, nn.Linear(size, 500), nn.ReLU(), nn.Linear(500, 10), nn.Linear(10, PLACE))

    def forward(self, pair):
        first = self.branch(pair[:, : self.channels])  # (N, 2)
        second = self.branch(pair[:, self.channels : 2 * self.channels])
        squared = torch.sum((first - second) ** 2, dim=1, keepdim=True)
        distance = torch.sqrt(squared + TINY**2) - TINY  # (N, 1), 0 for equal places, where a root alone has no slope
        scores = torch.cat([distance - MARGIN / 2, MARGIN / 2 - distance], dim=1)  # (N, 2): different, the same
        return {"output": scores, "distance": distance, "first": first, "second": second}


def build_network(context):
    channels, height, width = context.input_shape
    if channels < 2:
        raise ValueError("A pair of pictures needs at least two channels, one for each picture.")
    if context.judged and context.num_classes != 2:
        raise ValueError(f"Pairs are of 2 classes, 0 (different) and 1 (the same); the data set has {context.num_classes}.")
    return Siamese(channels // 2, height, width)


def loss(outputs, targets):
    distance, same = outputs["distance"][:, 0], targets.float()
    apart = torch.clamp(MARGIN - distance, min=0) ** 2
    return torch.mean(same * distance**2 + (1 - same) * apart) / 2


def metrics(outputs, targets):
    distance, same = outputs["distance"][:, 0], targets.float()
    return {
        "distance_same": (torch.sum(distance * same), torch.sum(same)),
        "distance_different": (torch.sum(distance * (1 - same)), torch.sum(1 - same)),
    }
