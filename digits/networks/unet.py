"""A small U-Net that a CPU can train (after Ronneberger et al., 2015): two convolutions a level, each with normalisation.

Any input size: the picture is padded to a multiple of 8 and the output cut back. For segmentation it gives a score per class
and pixel, else as many channels as the label picture has.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

BATCH_SIZE = 8
WIDTH = 16  # channels of the first level; doubled at each of the next
DEPTH = 3


def two_convolutions(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        widths = [WIDTH * 2**level for level in range(DEPTH + 1)]
        self.down = nn.ModuleList(two_convolutions(a, b) for a, b in zip([channels, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, kernel_size=2, stride=2) for a, b in pairwise(widths))
        self.merge = nn.ModuleList(two_convolutions(2 * a, a) for a in widths[:-1])
        self.head = nn.Conv2d(WIDTH, outputs, kernel_size=1)

    def forward(self, x):
        height, width = x.shape[-2:]
        step = 2**DEPTH
        x = F.pad(x, (0, -width % step, 0, -height % step))  # (N, C, H, W), both sides multiples of 8
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)  # (N, 16, H, W), (N, 32, H/2, W/2), … (N, 128, H/8, W/8)
            skips.append(x)
        for level in reversed(range(DEPTH)):
            x = self.merge[level](torch.cat([skips[level], self.up[level](x)], dim=1))  # (N, 64, H/4, W/4) … (N, 16, H, W)
        return self.head(x)[..., :height, :width]  # (N, outputs, height, width)


def build_network(context):
    outputs = context.num_classes if context.task == "segmentation" else context.label_shape[0]
    return UNet(context.input_shape[0], outputs)
