"""Questions about stories (data sets of plugins/babi, trained with use_mean=none). A sentence is the sum of its words, weighted
by their places; each layer reads the story once and reduces the question by what every sentence says to it (after Seo et al.,
"Query-Reduction Networks", 2017): what a later sentence says covers what earlier ones said."""

import torch
import torch.nn.functional as F
from torch import nn

BATCH_SIZE = 32
WORDS = 4096  # vectors; beyond them words share one
WIDTH = 48
LAYERS = 2


class Reduction(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, 1)
        self.reduced = nn.Linear(3 * WIDTH, WIDTH)

    def forward(self, sentences, questions, said):
        """`sentences` and `questions` (N, S, WIDTH), `said` (N, S): 1 where there is a sentence; the question after each."""
        scores = self.gate(sentences * questions)[..., 0]  # (N, S): how much a sentence says to the question
        opened = scores.sigmoid() * said
        kept = F.logsigmoid(-scores) * said  # logarithm of what a sentence leaves of those before
        until = kept.cumsum(dim=1)
        weights = until[:, :, None] - until[:, None, :]  # (N, S, S): what is left of the second after the first
        weights = weights.tril().exp().tril() * opened[:, None, :]
        seen = torch.cat([sentences, questions, sentences * questions], dim=2)
        return weights @ torch.tanh(self.reduced(seen))  # (N, S, WIDTH)


class Answers(nn.Module):
    def __init__(self, scale, rows, words, classes):
        super().__init__()
        self.scale = scale
        self.vectors = nn.Embedding(WORDS, WIDTH, padding_idx=0)
        self.places = nn.Parameter(torch.ones(words, WIDTH))
        self.ages = nn.Parameter(torch.zeros(rows - 1, WIDTH))
        self.layers = nn.ModuleList(Reduction() for _ in range(LAYERS))
        self.classes = nn.Linear(WIDTH, classes)
        nn.init.normal_(self.vectors.weight, std=0.1)
        with torch.no_grad():
            self.vectors.weight[0] = 0

    def forward(self, x):
        numbers = (x[:, 0] * self.scale).round().long().clamp(min=0) % WORDS  # (N, S + 1, W): 0 is no word
        rows = (self.vectors(numbers) * self.places).sum(dim=2)  # (N, S + 1, WIDTH)
        said = (numbers[:, :-1] > 0).any(dim=2).to(rows.dtype)  # (N, S)
        sentences = rows[:, :-1] + self.ages * said[..., None]
        questions = rows[:, -1:].expand_as(sentences)
        for layer in self.layers:
            questions = layer(sentences, questions, said)
        return self.classes(questions[:, -1] + rows[:, -1])  # (N, K)


def build_network(context):
    _, rows, words = context.input_shape
    return Answers(context.input_scale, rows, words, context.num_classes)
