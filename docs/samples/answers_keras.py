"""Questions about stories (data sets of plugins/babi, trained with use_mean=none): `answers.py` for TensorFlow. A sentence is
the sum of its words, weighted by their places; each layer reads the story once and reduces the question by what every sentence
says to it (after Seo et al., "Query-Reduction Networks", 2017)."""

import keras
from keras import layers, ops

BATCH_SIZE = 32
WORDS = 4096  # vectors; beyond them words share one
WIDTH = 48
LAYERS = 2


class Rows(layers.Layer):
    """Word numbers (N, S + 1, W) to sums of vectors (N, S + 1, WIDTH), weighted by the place of a word."""

    def build(self, shape):
        small = keras.initializers.RandomNormal(stddev=0.1)
        self.vectors = self.add_weight(shape=(WORDS, WIDTH), initializer=small, name="vectors")
        self.places = self.add_weight(shape=(shape[-1], WIDTH), initializer="ones", name="places")

    def call(self, numbers):
        known = ops.cast(numbers > 0, self.compute_dtype)[..., None]
        return ops.sum(ops.take(self.vectors, numbers, axis=0) * self.places * known, axis=2)


class Ages(layers.Layer):
    """A vector of its own for each place in the story."""

    def build(self, shape):
        self.ages = self.add_weight(shape=shape[1:], initializer="zeros", name="ages")

    def call(self, sentences, said):
        return sentences + self.ages * said[..., None]


class Reduction(layers.Layer):
    """Sentences and questions (N, S, WIDTH), `said` (N, S): 1 where there is a sentence; the question after each (N, S,
    WIDTH)."""

    def __init__(self, **options):
        super().__init__(**options)
        self.gate = layers.Dense(1)
        self.reduced = layers.Dense(WIDTH, activation="tanh")

    def call(self, sentences, questions, said):
        scores = self.gate(sentences * questions)[..., 0]  # (N, S): how much a sentence says to the question
        opened = ops.sigmoid(scores) * said
        until = ops.cumsum(ops.log_sigmoid(-scores) * said, axis=1)
        weights = ops.tril(until[:, :, None] - until[:, None, :])  # (N, S, S): what is left of the second after the first
        weights = ops.tril(ops.exp(weights)) * opened[:, None, :]
        seen = ops.concatenate([sentences, questions, sentences * questions], axis=2)
        return ops.matmul(weights, self.reduced(seen))


def build_network(context):
    channels, height, width = context.input_shape
    picture = keras.Input((height, width, channels))
    numbers = ops.cast(ops.maximum(ops.round(picture[..., 0] * context.input_scale), 0), "int32") % WORDS  # (N, S + 1, W)
    rows = Rows()(numbers)  # (N, S + 1, WIDTH)
    said = ops.cast(ops.any(numbers[:, :-1] > 0, axis=2), "float32")  # (N, S)
    sentences = Ages()(rows[:, :-1], said)
    questions = ops.repeat(rows[:, -1:], height - 1, axis=1)  # (N, S, WIDTH)
    for _ in range(LAYERS):
        questions = Reduction()(sentences, questions, said)
    return keras.Model(picture, layers.Dense(context.num_classes)(questions[:, -1] + rows[:, -1]))  # (N, K)
