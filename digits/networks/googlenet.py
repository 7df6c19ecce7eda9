"""GoogLeNet, Inception v1, with batch normalisation (Szegedy et al., 2014). Meant for 224×224 (crop of 256).

While training, two auxiliary classifiers help the gradient; their losses count 0.3 each.
"""

import torch
import torch.nn.functional as F
from torch import nn

BATCH_SIZE = 32
AUXILIARY_WEIGHT = 0.3


class Convolution(nn.Sequential):
    def __init__(self, inputs, outputs, **options):
        super().__init__(
            nn.Conv2d(inputs, outputs, bias=False, **options),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Inception(nn.Module):
    """Four paths side by side: 1×1, 3×3, 5×5 and pooling."""

    def __init__(self, inputs, one, three_reduce, three, five_reduce, five, pool):
        super().__init__()
        self.one = Convolution(inputs, one, kernel_size=1)
        self.three = nn.Sequential(
            Convolution(inputs, three_reduce, kernel_size=1),
            Convolution(three_reduce, three, kernel_size=3, padding=1),
        )
        self.five = nn.Sequential(
            Convolution(inputs, five_reduce, kernel_size=1),
            Convolution(five_reduce, five, kernel_size=5, padding=2),
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), Convolution(inputs, pool, kernel_size=1))

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1)  # (N, one + three + five + pool, h, w)


class Auxiliary(nn.Sequential):
    def __init__(self, inputs, classes):
        super().__init__(
            nn.AdaptiveAvgPool2d(4),
            Convolution(inputs, 128, kernel_size=1),
            nn.Flatten(),
            nn.Linear(128 * 4 * 4, 1024),
            nn.ReLU(inplace=True),
            nn.Dropout(0.7),
            nn.Linear(1024, classes),
        )


class GoogLeNet(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.stem = nn.Sequential(
            Convolution(channels, 64, kernel_size=7, stride=2, padding=3),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Convolution(64, 64, kernel_size=1),
            Convolution(64, 192, kernel_size=3, padding=1),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
        )
        self.first = nn.Sequential(
            Inception(192, 64, 96, 128, 16, 32, 32),
            Inception(256, 128, 128, 192, 32, 96, 64),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Inception(480, 192, 96, 208, 16, 48, 64),
        )
        self.second = nn.Sequential(
            Inception(512, 160, 112, 224, 24, 64, 64),
            Inception(512, 128, 128, 256, 24, 64, 64),
            Inception(512, 112, 144, 288, 32, 64, 64),
        )
        self.third = nn.Sequential(
            Inception(528, 256, 160, 320, 32, 128, 128),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Inception(832, 256, 160, 320, 32, 128, 128),
            Inception(832, 384, 192, 384, 48, 128, 128),
        )
        self.auxiliary1 = Auxiliary(512, classes)
        self.auxiliary2 = Auxiliary(528, classes)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(1024, classes))

    def forward(self, x):
        first = self.first(self.stem(x))  # (N, 192, 28, 28) → (N, 512, 14, 14) for 224×224
        second = self.second(first)  # (N, 528, 14, 14)
        scores = self.head(self.third(second))  # (N, 1024, 7, 7) → (N, K)
        if not self.training:
            return {"output": scores}
        return {"output": scores, "auxiliary1": self.auxiliary1(first), "auxiliary2": self.auxiliary2(second)}


def build_network(context):
    return GoogLeNet(context.input_shape[0], context.num_classes)


def loss(outputs, targets):
    losses = {f"{name}_loss": F.cross_entropy(scores, targets) for name, scores in outputs.items()}
    main = losses.pop("output_loss")
    return {"loss": main + AUXILIARY_WEIGHT * sum(losses.values()), **losses}


METRICS = {"top1": {"better": "higher", "unit": "%"}, "top5": {"better": "higher", "unit": "%"}}


def metrics(outputs, targets):
    from digits.networks.helpers import accuracy_top_n

    scores = outputs["output"]  # (N, K); the five best of five classes or fewer are always right
    return {f"top{n}": accuracy_top_n(scores, targets, n) for n in (1, 5) if n == 1 or n < scores.shape[1]}
