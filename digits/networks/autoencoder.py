"""A convolutional autoencoder: the picture through a narrow middle and back (after Hinton and Salakhutdinov, 2006).

The label is a picture of the input's size; with data that has no labels it is the input itself.
"""

import torch.nn.functional as F
from torch import nn

BATCH_SIZE = 32
WIDTH = 16
CODE = 8  # channels of the middle, at a quarter of the width and height


class Autoencoder(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, WIDTH, kernel_size=3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(WIDTH, 2 * WIDTH, kernel_size=3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * WIDTH, CODE, kernel_size=1),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(CODE, 2 * WIDTH, kernel_size=4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * WIDTH, WIDTH, kernel_size=4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(WIDTH, outputs, kernel_size=3, padding=1),
        )

    def forward(self, x):
        height, width = x.shape[-2:]
        padded = F.pad(x, (0, -width % 4, 0, -height % 4))  # (N, C, H, W), both sides multiples of 4
        return self.decoder(self.encoder(padded))[..., :height, :width]  # (N, 8, H/4, W/4) → (N, outputs, height, width)


def build_network(context):
    if len(context.label_shape or ()) != 3:
        raise ValueError("the labels are no pictures; make a data set that leaves them out (Other: Leave labels out)")
    return Autoencoder(context.input_shape[0], context.label_shape[0])
