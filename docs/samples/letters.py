"""Texts as rows of letter numbers (the text plugin, trained with use_mean=none): each three letters in a row have a vector of
their own, their mean decides the class. Vectors are shared by hashing (after Joulin et al., 2016)."""

from torch import nn

BATCH_SIZE = 32
VECTORS = 16384
WIDTH = 32


class Letters(nn.Module):
    def __init__(self, scale, classes):
        super().__init__()
        self.scale = scale
        self.vectors = nn.EmbeddingBag(VECTORS + 1, WIDTH, mode="mean", padding_idx=0)
        self.classes = nn.Linear(WIDTH, classes)

    def forward(self, x):
        letters = (x.flatten(1) * self.scale).round().long()  # (N, length): 0 is padding
        first, second, third = letters[:, :-2], letters[:, 1:-1], letters[:, 2:]
        rows = ((first * 257 + second) * 257 + third) % VECTORS + 1
        return self.classes(self.vectors(rows * (third > 0)))


def build_network(context):
    return Letters(context.input_scale, context.num_classes)
