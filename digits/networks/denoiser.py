"""A small residual denoiser that a CPU can train (after Zhang et al., "DnCNN", 2017): it learns what is to be taken off.

The output is the input minus what the convolutions find, so with 8-bit pictures it starts as the unchanged picture. Any size.
"""

from torch import nn

BATCH_SIZE = 16
WIDTH = 48
DEPTH = 7  # convolutions; each looks one pixel further


class Denoiser(nn.Module):
    def __init__(self, channels):
        super().__init__()
        layers = [nn.Conv2d(channels, WIDTH, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(DEPTH - 2):
            layers += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True)]
        self.noise = nn.Sequential(*layers, nn.Conv2d(WIDTH, channels, 3, padding=1))
        nn.init.zeros_(self.noise[-1].weight)
        nn.init.zeros_(self.noise[-1].bias)

    def forward(self, x):
        return x - self.noise(x)  # (N, C, H, W) float32, as the input


class InUnits(nn.Module):
    """From the network's units (deviation 1) to those of the label picture, by one factor and offset a channel."""

    def __init__(self, body, channels, factor):
        super().__init__()
        self.body = body
        self.units = nn.Conv2d(channels, channels, 1, groups=channels)
        nn.init.constant_(self.units.weight, factor)
        nn.init.zeros_(self.units.bias)  # right where no mean is subtracted (`use_mean` none)

    def forward(self, x):
        return self.units(self.body(x))  # (N, C, H, W)


def build_network(context):
    channels = context.input_shape[0]
    if context.label_shape[0] != channels:
        raise ValueError(f"The denoiser gives as many channels as it gets: {channels}, the label has {context.label_shape[0]}.")
    full = 255.0 if context.input_scale > 2 else 1.0  # targets of 8 bits are learnt as parts of full intensity
    return InUnits(Denoiser(channels), channels, context.input_scale / full)
