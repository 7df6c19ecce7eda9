"""A generator makes pictures out of random numbers, a discriminator tells them from real ones, and an encoder finds the numbers
that a picture is made of (Goodfellow et al., 2014; Radford et al., 2015).

By its shape the network tells what it is given: pictures (N, C, H, W), of which it learns, or numbers (N, 100, 1, 1), of which
it makes pictures. Where the data set has classes or a vector of attributes, these follow the 100 numbers (N, 100 + K, 1, 1), and
the discriminator learns to name them too (Odena et al., 2016).
"""

import torch
import torch.nn.functional as F
from torch import nn

BATCH_SIZE = 64
NUMBERS = 100
EXAMPLES = 64  # of what is made of fixed numbers while it is validated


class Generator(nn.Module):
    """Numbers (N, numbers) → pictures (N, C, H, W)."""

    def __init__(self, numbers, shape):
        super().__init__()
        channels, self.height, self.width = shape
        small = (128, -(-self.height // 4), -(-self.width // 4))  # a quarter of the sides, rounded up
        self.start = nn.Sequential(
            nn.Linear(numbers, small[0] * small[1] * small[2]), nn.Unflatten(1, small), nn.BatchNorm2d(128), nn.ReLU()
        )
        self.grow = nn.Sequential(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU())
        self.paint = nn.ConvTranspose2d(64, channels, 4, 2, 1)

    def forward(self, numbers):
        return self.paint(self.grow(self.start(numbers)))[..., : self.height, : self.width]


class Reader(nn.Sequential):
    """Pictures (N, C, H, W) → what is read off them (N, results)."""

    def __init__(self, shape, results):
        channels, height, width = shape
        super().__init__(
            nn.Conv2d(channels, 64, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 4, 2, 1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(128 * (height // 4) * (width // 4), results),
        )


class Gan(nn.Module):
    def __init__(self, shape, attributes, exclusive):
        super().__init__()
        self.attributes, self.exclusive = attributes, exclusive
        self.generator = Generator(NUMBERS + attributes, shape)
        self.discriminator = Reader(shape, 1 + attributes)  # how real it looks, and its attributes
        self.encoder = Reader(shape, NUMBERS + attributes)
        self.register_buffer("examples", self.draw(EXAMPLES))

    def draw(self, count, device="cpu"):
        """Random numbers and attributes (count, NUMBERS + attributes): one of the classes each, or each attribute or not."""
        numbers = torch.randn(count, NUMBERS, device=device)
        if self.exclusive:
            drawn = F.one_hot(torch.randint(self.attributes, (count,), device=device), self.attributes).float()
        else:
            drawn = torch.randint(2, (count, self.attributes), device=device).float()
        return torch.cat([numbers, drawn], 1)

    def forward(self, x):
        if x.shape[1] == NUMBERS + self.attributes:
            return {"output": self.generator(x.flatten(1))}
        if self.training:
            numbers = self.draw(len(x), x.device)
        else:
            numbers = self.examples[torch.arange(len(x), device=x.device) % EXAMPLES]
        made = self.generator(numbers)
        code = self.encoder(x)  # of the picture; what is made of it resembles the picture
        return {
            "output": made if self.training else self.generator(code),
            "code": code,
            "real": self.discriminator(x),
            "fake": self.discriminator(made),
            "numbers": numbers,
            "found": self.encoder(made),
        }


def build_network(context):
    exclusive = context.label_kind == "index"
    vector = context.label_shape[0] if context.label_kind == "vector" else 0
    return Gan(context.input_shape, context.num_classes if exclusive else vector, exclusive)


def loss(outputs, targets):
    real, fake = outputs["real"], outputs["fake"]
    binary, ones, zeros = F.binary_cross_entropy_with_logits, torch.ones_like(real[:, 0]), torch.zeros_like(real[:, 0])
    judging = binary(real[:, 0], 0.9 * ones) + binary(fake[:, 0], zeros)  # 0.9: so that it is never all too sure
    fooling = binary(fake[:, 0], ones)
    if real.shape[1] > 1:  # attributes: all of them are to be seen in what is made
        drawn = outputs["numbers"][:, NUMBERS:]
        judging = judging + named(real[:, 1:], targets)
        fooling = fooling + named(fake[:, 1:], drawn.argmax(1) if targets.ndim == 1 else drawn)
    return [
        {"loss": judging, "vars": "discriminator"},
        {"loss": fooling, "vars": "generator"},
        {"loss": F.mse_loss(outputs["found"], outputs["numbers"]), "vars": "encoder"},
    ]


def named(scores, truth):
    """How wrong scores (N, K) are about classes (N,) or attributes (N, K)."""
    return F.cross_entropy(scores, truth) if truth.ndim == 1 else F.binary_cross_entropy_with_logits(scores, truth)
