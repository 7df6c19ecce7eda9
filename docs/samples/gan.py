"""A generator makes pictures out of random numbers, a discriminator tells them from real ones, and an encoder finds the numbers
that a picture is made of (Goodfellow et al., 2014; Radford et al., 2015). For pictures of 8 bits, trained with use_mean=none.

It learns from pictures of one shape (C, H, W). Everything else that it is given are numbers, of which it makes pictures.
"""

import torch
import torch.nn.functional as F
from torch import nn

BATCH_SIZE = 64
NUMBERS = 100  # that a picture is made of
CLASSES = 0  # that the generator is told too, behind the numbers: then labels are vectors with 1 for the class of a picture
EXPORT_SHAPE = (1, 1, NUMBERS + CLASSES)  # exports generate
EXAMPLES = 64  # how many fixed vectors of numbers validations use


class Generator(nn.Module):
    """Numbers (N, NUMBERS + CLASSES) → pictures (N, C, H, W) from -1 to 1."""

    def __init__(self, shape):
        super().__init__()
        channels, self.height, self.width = shape
        height, width = -(-self.height // 4), -(-self.width // 4)  # rounded up
        self.start = nn.Linear(NUMBERS + CLASSES, 64 * height * width)
        self.grow = nn.Sequential(
            nn.Unflatten(1, (64, height, width)),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, 2, 1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, numbers):
        return self.grow(self.start(numbers))[..., : self.height, : self.width]


class Reader(nn.Sequential):
    """Pictures (N, C, H, W) from -1 to 1 → what is read off them (N, results)."""

    def __init__(self, shape, results, dropout=0.0):
        channels, height, width = shape
        super().__init__(
            nn.Conv2d(channels, 32, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Conv2d(32, 64, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
            nn.Flatten(),
            nn.Linear(64 * (height // 4) * (width // 4), results),
        )


class Gan(nn.Module):
    def __init__(self, shape, scale):
        super().__init__()
        self.shape, self.scale = shape, scale  # what inputs are multiplied by to lie between 0 and 2
        self.generator = Generator(shape)
        self.discriminator = Reader(shape, 1 + CLASSES, dropout=0.3)  # how real a picture looks, and scores of the classes
        self.encoder = Reader(shape, NUMBERS)
        self.register_buffer("examples", draw(EXAMPLES, "cpu"))

    def forward(self, x):
        if tuple(x.shape[1:]) != self.shape:
            return {"output": self.as_input(self.generator(x.flatten(1)))}
        count, x = len(x), x * self.scale - 1
        numbers = draw(count, x.device) if self.training else self.examples[torch.arange(count, device=x.device) % EXAMPLES]
        made = self.generator(numbers)
        return {
            "output": self.as_input(made),
            "code": self.encoder(x),
            "real": self.discriminator(x),
            "fake": self.discriminator(made),
            "drawn": numbers,
            "found": self.encoder(made),
        }

    def as_input(self, pictures):
        return (pictures + 1) / self.scale


def draw(count, device):
    """Random numbers, and a class each where there are classes (count, NUMBERS + CLASSES)."""
    numbers = torch.randn(count, NUMBERS, device=device)
    if not CLASSES:
        return numbers
    return torch.cat([numbers, F.one_hot(torch.randint(CLASSES, (count,), device=device), CLASSES)], 1)


def build_network(context):
    return Gan(tuple(context.input_shape), context.input_scale / 127.5)


def loss(outputs, targets):
    real, fake, drawn = outputs["real"], outputs["fake"], outputs["drawn"]
    judging = looks(real, 0.9) + looks(fake, 0.0)  # 0.9: so that it is never all too sure
    fooling = looks(fake, 1.0)
    if CLASSES:  # the class that a picture has, or was made for, is to be seen (Odena et al., 2016)
        judging = judging + F.cross_entropy(real[:, 1:], targets.flatten(1).argmax(1))
        fooling = fooling + F.cross_entropy(fake[:, 1:], drawn[:, NUMBERS:].argmax(1))
    return [
        {"loss": judging, "vars": "discriminator"},
        {"loss": fooling, "vars": "generator"},
        {"loss": F.mse_loss(outputs["found"], drawn[:, :NUMBERS]), "vars": "encoder"},
    ]


def looks(scores, real):
    """How far scores (N, 1 or more) are from saying that all pictures are real (1) or none is (0)."""
    return F.binary_cross_entropy_with_logits(scores[:, 0], torch.full_like(scores[:, 0], real))
