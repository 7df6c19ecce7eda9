"""A generator makes pictures out of random numbers, a discriminator tells them from real ones, and an encoder finds the numbers
that a picture is made of: `gan.py` for TensorFlow. For pictures of 8 bits, trained with use_mean=none.

It learns from pictures of one shape (H, W, C). Everything else that it is given are numbers, of which it makes pictures.
"""

import keras
from keras import layers, ops

BATCH_SIZE = 64
NUMBERS = 100  # that a picture is made of
CLASSES = 0  # that the generator is told too, behind the numbers: then labels are vectors with 1 for the class of a picture
EXPORT_SHAPE = (1, 1, NUMBERS + CLASSES)  # exports generate
EXAMPLES = 64  # how many fixed vectors of numbers validations use


def generator(shape):
    """Numbers (N, NUMBERS + CLASSES) → pictures (N, H, W, C) from -1 to 1."""
    height, width, channels = shape
    small = (-(-height // 4), -(-width // 4), 64)  # rounded up
    return keras.Sequential(
        [
            keras.Input((NUMBERS + CLASSES,)),
            layers.Dense(small[0] * small[1] * small[2]),
            layers.Reshape(small),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2DTranspose(32, 4, strides=2, padding="same"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2DTranspose(channels, 4, strides=2, padding="same", activation="tanh"),
            layers.Cropping2D(((0, 4 * small[0] - height), (0, 4 * small[1] - width))),
        ]
    )


def reader(shape, results, dropout=0.0):
    """Pictures (N, H, W, C) from -1 to 1 → what is read off them (N, results)."""
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(32, 4, strides=2, padding="same"),
            layers.LeakyReLU(0.2),
            layers.Dropout(dropout),
            layers.Conv2D(64, 4, strides=2, padding="same"),
            layers.LeakyReLU(0.2),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(results),
        ]
    )


class Gan(keras.Model):
    def __init__(self, shape, scale):
        super().__init__()
        self.shape, self.scale = shape, scale  # what inputs are multiplied by to lie between 0 and 2
        self.generator = generator(shape)
        self.discriminator = reader(shape, 1 + CLASSES, dropout=0.3)  # how real a picture looks, and scores of the classes
        self.encoder = reader(shape, NUMBERS)
        self.seeds = keras.random.SeedGenerator()
        self.examples = self.add_weight(shape=(EXAMPLES, NUMBERS + CLASSES), trainable=False, name="examples")
        self.examples.assign(self.draw(EXAMPLES))

    def call(self, x, training=False):
        if tuple(x.shape[1:]) != self.shape:
            return {"output": self.as_input(self.generator(layers.Flatten()(x), training=training))}
        count, x = ops.shape(x)[0], x * self.scale - 1
        numbers = self.draw(count) if training else ops.take(self.examples, ops.arange(count) % EXAMPLES, axis=0)
        made = self.generator(numbers, training=training)
        return {
            "output": self.as_input(made),
            "code": self.encoder(x, training=training),
            "real": self.discriminator(x, training=training),
            "fake": self.discriminator(made, training=training),
            "drawn": numbers,
            "found": self.encoder(made, training=training),
        }

    def as_input(self, pictures):
        return (pictures + 1) / self.scale

    def draw(self, count):
        """Random numbers, and a class each where there are classes (count, NUMBERS + CLASSES)."""
        numbers = keras.random.normal((count, NUMBERS), seed=self.seeds)
        if not CLASSES:
            return numbers
        drawn = keras.random.randint((count,), 0, CLASSES, seed=self.seeds)
        return ops.concatenate([numbers, ops.one_hot(drawn, CLASSES)], axis=1)


def build_network(context):
    channels, height, width = context.input_shape
    return Gan((height, width, channels), context.input_scale / 127.5)


def loss(outputs, targets):
    real, fake, drawn = outputs["real"], outputs["fake"], outputs["drawn"]
    judging = looks(real, 0.9) + looks(fake, 0.0)  # 0.9: so that it is never all too sure
    fooling = looks(fake, 1.0)
    if CLASSES:  # the class that a picture has, or was made for, is to be seen (Odena et al., 2016)
        judging = judging + wrong(real[:, 1:], ops.reshape(targets, (-1, CLASSES)))
        fooling = fooling + wrong(fake[:, 1:], drawn[:, NUMBERS:])
    return [
        {"loss": judging, "vars": "discriminator"},
        {"loss": fooling, "vars": "generator"},
        {"loss": ops.mean(ops.square(outputs["found"] - drawn[:, :NUMBERS])), "vars": "encoder"},
    ]


def looks(scores, real):
    """How far scores (N, 1 or more) are from saying that all pictures are real (1) or none is (0)."""
    return ops.mean(ops.binary_crossentropy(ops.zeros_like(scores[:, 0]) + real, scores[:, 0], from_logits=True))


def wrong(scores, classes):
    """How far scores (N, CLASSES) are from classes (N, CLASSES), 1 for the class of a picture."""
    return ops.mean(ops.categorical_crossentropy(classes, scores, from_logits=True))
