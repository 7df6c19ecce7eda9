"""A segmentation network that a CPU can train in half an hour: residual blocks at 1/4 to 1/32 of the size, the mean of the whole
picture as context, and a light way back to half the size (after Oršić et al., "In Defense of Pre-trained ImageNet Architectures
for Real-time Semantic Segmentation of Road-driving Images", 2019).

Any input size: the picture is padded to a multiple of 32 and the output cut back. A score per class and pixel.
"""

import torch.nn.functional as F
from torch import nn

BATCH_SIZE = 8
WIDTHS = (32, 64, 96, 128, 160)  # channels at 1/2, 1/4, 1/8, 1/16, 1/32 of the picture's size
BLOCKS = (0, 1, 2, 2, 1)  # residual blocks there
NECKS = (32, 64, 96, 96, 96)  # channels there on the way back
DROP = 0.1  # of the last channels while training


def convolution(inputs, outputs, kernel=3, stride=1):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Block(nn.Module):
    """Two convolutions and a way around them (He et al., 2015)."""

    def __init__(self, channels):
        super().__init__()
        self.first = convolution(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return F.relu(x + self.second(self.first(x)))


class Context(nn.Module):
    """The coarsest map, at each place with what the whole picture holds (after Liu et al., "ParseNet", 2015)."""

    def __init__(self, channels, outputs):
        super().__init__()
        self.own = nn.Conv2d(channels, outputs, 1)
        self.whole = nn.Conv2d(channels, outputs, 1)

    def forward(self, x):
        return F.relu(self.own(x) + self.whole(x.mean(dim=(2, 3), keepdim=True)))  # (N, C, h, w) + (N, C, 1, 1)


class Rise(nn.Module):
    """A coarse map at twice its size, joined with the finer map of the way down."""

    def __init__(self, coarse, fine, outputs):
        super().__init__()
        self.narrow = nn.Conv2d(coarse, outputs, 1)
        self.side = nn.Conv2d(fine, outputs, 1)
        self.smooth = convolution(outputs, outputs)

    def forward(self, x, fine):
        return self.smooth(twice(self.narrow(x)) + self.side(fine))  # (N, C, h, w) and (N, F, 2h, 2w) → (N, outputs, 2h, 2w)


class Segmenter(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        sizes = zip((channels, *WIDTHS[:-1]), WIDTHS, BLOCKS, strict=True)
        self.down = nn.ModuleList(
            nn.Sequential(convolution(before, width, stride=2), *[Block(width) for _ in range(blocks)])
            for before, width, blocks in sizes
        )
        self.context = Context(WIDTHS[-1], NECKS[-1])
        self.up = nn.ModuleList(
            Rise(coarse, fine, outputs) for coarse, fine, outputs in zip(NECKS[1:], WIDTHS[:-1], NECKS[:-1], strict=True)
        )
        self.head = nn.Sequential(nn.Dropout2d(DROP), nn.Conv2d(NECKS[0], classes, 1))

    def forward(self, x):
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % 32, 0, -height % 32))  # (N, C, H, W), both sides multiples of 32
        maps = []
        for stage in self.down:
            x = stage(x)  # (N, 32, H/2, W/2), (N, 64, H/4, W/4), … (N, 160, H/32, W/32)
            maps.append(x)
        x = self.context(maps.pop())  # (N, 96, H/32, W/32)
        for rise in reversed(self.up):
            x = rise(x, maps.pop())  # (N, 96, H/16, W/16), … (N, 32, H/2, W/2)
        return twice(self.head(x))[..., :height, :width]  # (N, classes, height, width)


def twice(x):
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def build_network(context):
    return Segmenter(context.input_shape[0], context.num_classes)
